//! `ads`: the strategies' own documents, and what any ADS document lacks.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Subcommand;
use engine::{Maturity, StrategyInfo, strategies};

use super::Outcome;
use crate::ads::{Document, Section, Weight, lint};
use crate::sinks::{escaped, escaped_whole};

/// List and show the strategies' documents, and lint any ADS document.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidewaiter ads list
  tidewaiter ads show telnet_c2
  tidewaiter ads lint my-strategy.md

`lint` exits with 1 when one of the ten sections is missing or empty; known gaps are reported and
do not fail.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the strategies that this program has.
    List,
    /// Show a strategy's document.
    Show {
        /// The strategy's id, as in `ads list`.
        strategy: String,
    },
    /// Say what an ADS document lacks, whatever the order of its sections.
    Lint {
        /// A Markdown file.
        file: PathBuf,
    },
}

/// A document is read to this size; no strategy needs a larger one.
const DOCUMENT_BYTES_MAX: u64 = 4 << 20;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    match &arguments.action {
        Action::List => list(),
        Action::Show { strategy } => show(strategy),
        Action::Lint { file } => lint_file(file),
    }
}

/// The strategy with this id.
pub(crate) fn strategy(id: &str) -> Option<StrategyInfo> {
    strategies().find(|strategy| strategy.id == id)
}

fn list() -> anyhow::Result<Outcome> {
    let mut out = io::stdout().lock();
    for strategy in strategies() {
        let maturity = match strategy.maturity {
            Maturity::Sandbox => "sandbox",
            Maturity::Stable => "stable",
            Maturity::Deprecated => "deprecated",
        };
        let title = Document::parse(strategy.ads).title.unwrap_or_default();
        let techniques = strategy.techniques.join(" ");
        writeln!(out, "{:<16}  {maturity:<10}  {techniques:<16}  {title}", strategy.id)?;
    }
    Ok(Outcome::Done)
}

fn show(id: &str) -> anyhow::Result<Outcome> {
    let Some(strategy) = strategy(id) else {
        bail!("there is no strategy {id:?}: `tidewaiter ads list` lists them");
    };
    io::stdout().lock().write_all(strategy.ads.as_bytes())?;
    Ok(Outcome::Done)
}

fn lint_file(path: &Path) -> anyhow::Result<Outcome> {
    let document = Document::parse(&read(path)?);
    let remarks = lint(&document);
    let mut out = io::stdout().lock();
    for remark in &remarks {
        let section = remark.section.map_or("the document", Section::name);
        writeln!(out, "{:<8} {section}: {}", remark.weight.name(), escaped_whole(&remark.text))?;
    }
    let count = |weight| remarks.iter().filter(|remark| remark.weight == weight).count();
    let (problems, gaps) = (count(Weight::Problem), count(Weight::Gap));
    let verdict = if problems == 0 { "passes" } else { "does not pass" };
    writeln!(
        out,
        "{} {verdict}: {} of {} sections, {problems} problems, {gaps} known gaps",
        escaped(&path.display().to_string()),
        document.sections.len(),
        Section::ALL.len(),
    )?;
    Ok(if problems == 0 { Outcome::Done } else { Outcome::Refused })
}

fn read(path: &Path) -> anyhow::Result<String> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut bytes = Vec::new();
    file.take(DOCUMENT_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("reading {}", path.display()))?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        bail!(
            "{} is larger than {DOCUMENT_BYTES_MAX} bytes: is it an ADS document?",
            path.display()
        );
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
