//! `evidence`: what was preserved, and whether it is still what it was.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::bail;
use clap::Subcommand;

use super::Outcome;
use super::alerts::find;
use crate::evidence::{Fault, Verified, describe_case, links, manifest_of, verify, verify_chain};
use crate::responders::{evidence_root, remembered_links};
use crate::sinks::escaped;
use crate::store::{Store, StoreChoice};

/// Show and verify sealed evidence.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidewaiter evidence list
  tidewaiter evidence show 01JD8T6V3M
  tidewaiter evidence verify               everything, and the chain; 1 when something changed
  tidewaiter evidence verify 01JD8T6V3M")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// List what was sealed, oldest first.
    List(Choice),
    /// Show what was sealed for an alert: packets, configuration, processes.
    Show(OfAlert),
    /// Compare sealed evidence with its hashes and name every difference.
    Verify(OfAlertOrAll),
}

#[derive(Debug, clap::Args)]
struct Choice {
    #[command(flatten)]
    store: StoreChoice,
}

#[derive(Debug, clap::Args)]
struct OfAlert {
    /// The alert's id, or any unambiguous beginning of it.
    alert: String,
    #[command(flatten)]
    store: StoreChoice,
}

#[derive(Debug, clap::Args)]
struct OfAlertOrAll {
    /// The alert's id, or any unambiguous beginning of it; without it everything.
    alert: Option<String>,
    #[command(flatten)]
    store: StoreChoice,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    match &arguments.action {
        Question::List(choice) => list(&choice.store.open()?),
        Question::Show(of) => show(&of.store.open()?, &of.alert),
        Question::Verify(of) => check(&of.store.open()?, of.alert.as_deref()),
    }
}

fn list(store: &Store) -> anyhow::Result<Outcome> {
    let root = evidence_root(store);
    let mut out = io::stdout().lock();
    for link in links(&root)? {
        let about = match manifest_of(&root.join(&link.case)) {
            Ok(manifest) => {
                let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
                let files = manifest.files.len();
                format!("{}  {files} files, {bytes} bytes", escaped(&manifest.sealed))
            }
            Err(error) => format!("unreadable: {}", escaped(&format!("{error:#}"))),
        };
        let (sequence, case) = (link.sequence, escaped(&link.case));
        writeln!(out, "{sequence:>4}  {case}  {about}  sha256 {}", escaped(&link.sha256))?;
    }
    for case in cases(&root, None)? {
        if !links(&root)?.iter().any(|link| link.case == case) {
            writeln!(out, "   -  {}  not sealed: it was interrupted", escaped(&case))?;
        }
    }
    Ok(Outcome::Done)
}

fn show(store: &Store, alert: &str) -> anyhow::Result<Outcome> {
    let root = evidence_root(store);
    let id = alert_id(store, &root, alert)?;
    let cases = cases(&root, Some(&id))?;
    if cases.is_empty() {
        bail!("nothing was sealed for {id}; `tidewaiter respond {id} --only preserve` does it");
    }
    let mut out = io::stdout().lock();
    for case in &cases {
        let folder = root.join(case);
        writeln!(out, "{}", escaped(&folder.display().to_string()))?;
        match manifest_of(&folder) {
            Ok(manifest) => {
                for line in describe_case(&folder, &manifest) {
                    writeln!(out, "  {line}")?;
                }
            }
            Err(error) => writeln!(out, "  not sealed: {}", escaped(&format!("{error:#}")))?,
        }
        write!(out, "{}", verdict(&verify(&root, case)))?;
    }
    Ok(Outcome::Done)
}

fn check(store: &Store, alert: Option<&str>) -> anyhow::Result<Outcome> {
    let root = evidence_root(store);
    let id = alert.map(|alert| alert_id(store, &root, alert)).transpose()?;
    let mut wanted = cases(&root, id.as_deref())?;
    // What the chain names and is no longer there is also to be judged.
    for link in links(&root).unwrap_or_default() {
        let mine = id.as_deref().is_none_or(|id| link.case.split('/').next() == Some(id));
        if mine && !wanted.contains(&link.case) {
            wanted.push(link.case);
        }
    }
    let mut out = io::stdout().lock();
    let mut fault_count = 0;
    for case in &wanted {
        let verified = verify(&root, case);
        fault_count += verified.faults.len();
        write!(out, "{}", verdict(&verified))?;
    }
    let chain: Vec<Fault> = verify_chain(&root, &remembered_links(store)?);
    for fault in &chain {
        writeln!(out, "FAULT   {fault}")?;
    }
    fault_count += chain.len();
    let count = wanted.len();
    writeln!(out, "{count} sealed folders verified, {fault_count} faults")?;
    Ok(if fault_count == 0 { Outcome::Done } else { Outcome::Refused })
}

fn verdict(verified: &Verified) -> String {
    let case = escaped(&verified.case);
    let mut out = String::new();
    for fault in &verified.faults {
        out.push_str(&format!("FAULT   {case}: {fault}\n"));
    }
    if verified.faults.is_empty() {
        out = format!("intact  {case}: {} files as sealed\n", verified.intact_count);
    }
    out
}

/// The alert's full id: the store's, or that of a folder, should the store have lost the alert.
fn alert_id(store: &Store, root: &Path, beginning: &str) -> anyhow::Result<String> {
    match find(store, beginning) {
        Ok(stored) => Ok(stored.alert.id.to_string()),
        Err(error) => {
            let upper = beginning.to_ascii_uppercase();
            let mut ids: Vec<String> = cases(root, None)?
                .iter()
                .filter_map(|case| case.split('/').next())
                .filter(|id| !upper.is_empty() && id.starts_with(&upper))
                .map(str::to_owned)
                .collect();
            ids.dedup();
            match (ids.pop(), ids.is_empty()) {
                (Some(id), true) => Ok(id),
                _ => Err(error),
            }
        }
    }
}

/// Folders of cases, `<alert>/<number>`, sorted; all, or one alert's.
fn cases(root: &Path, alert: Option<&str>) -> anyhow::Result<Vec<String>> {
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    };
    let mut found = Vec::new();
    for id in names(root) {
        if alert.is_none_or(|alert| alert == id) {
            found.extend(names(&root.join(&id)).into_iter().map(|case| format!("{id}/{case}")));
        }
    }
    found.sort_unstable();
    Ok(found)
}
