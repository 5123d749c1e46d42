//! `rules`: which Sigma rules can be used here, and why others cannot.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Subcommand;

use super::Outcome;
use crate::rules::check;
use crate::sinks::escaped;

/// Check Sigma rules before `watch --rules` or `scan --rules` uses them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Rules are about flows (network_connection, firewall, or Zeek's conn), lookups (dns, dns_query),
requests (proxy, webserver, http) and programs (process_creation), with Sigma's or Zeek's names of
fields. A match is an alert of the rule's own level and id; it adds nothing to other alerts.

Examples:
  tidewaiter rules check /etc/tidewaiter/rules         what can be used, and what cannot and why
  tidewaiter scan --rules /etc/tidewaiter/rules logs/
  sudo tidewaiter watch --rules /etc/tidewaiter/rules")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what can be used, and what cannot with its reason; ends with 1 when there is such.
    Check {
        /// The folder of rules.
        folder: PathBuf,
    },
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let Action::Check { folder } = &arguments.action;
    let checked = check(folder)?;
    let mut out = io::stdout().lock();
    for (path, rule) in &checked.usable {
        let (path, title) = (escaped(&path.display().to_string()), escaped(&rule.title));
        let (level, about) = (rule.level.name(), rule.subject.name());
        writeln!(out, "used      {path}  {level}, about {about}: {title}")?;
    }
    for (path, why) in &checked.unusable {
        writeln!(out, "not used  {}  {why}", escaped(&path.display().to_string()))?;
    }
    writeln!(out, "{} used, {} not", checked.usable.len(), checked.unusable.len())?;
    Ok(if checked.unusable.is_empty() { Outcome::Done } else { Outcome::Refused })
}
