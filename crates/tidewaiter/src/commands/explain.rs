//! `explain`: why an alert says what it says, term by term, with the strategy's own words.

use std::collections::BTreeSet;
use std::io::{self, Write};

use engine::{Alert, Counted, Evidence, Family};

use super::Outcome;
use super::ads::strategy;
use super::alerts::{closing_line, find};
use crate::ads::{Document, Section};
use crate::sinks::{Occasion, alert_table, escaped, escaped_whole, family_name, technique_name};
use crate::store::StoreChoice;
use crate::timestamp::readable;

/// Explain an alert: every reason for and against, and the strategy's own document.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidewaiter explain 01JD8T6V3M
  tidewaiter explain 01JD8        any unambiguous beginning will do")]
pub(crate) struct Arguments {
    /// The alert's id, or any unambiguous beginning of it.
    alert: String,
    #[command(flatten)]
    store: StoreChoice,
}

/// What of a strategy's document is shown; `ads show` prints all of it.
const EXCERPT: [Section; 4] =
    [Section::Goal, Section::StrategyAbstract, Section::BlindSpots, Section::FalsePositives];

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let store = arguments.store.open()?;
    let stored = find(&store, &arguments.alert)?;
    let alert = &stored.alert;
    let id = alert.id.to_string();
    let mut out = io::stdout().lock();
    let commands = arguments.store.commands();
    writeln!(out, "{}", alert_table(alert, Occasion::Revised, &commands))?;
    if let Some(closing) = &stored.closing {
        writeln!(out, "{}\n", closing_line(closing))?;
    }
    write_terms(&mut out, alert)?;
    write_techniques(&mut out, alert)?;
    for receipt in store.receipts(&id)? {
        let undone = receipt.undone_at.map(|at| format!(", undone {}", readable(at)));
        let (at, action) = (readable(receipt.receipt.at), escaped(&receipt.receipt.action));
        writeln!(out, "RECEIPT {}  {at}  {action}{}", receipt.id, undone.unwrap_or_default())?;
    }
    write_documents(&mut out, alert)?;
    Ok(Outcome::Done)
}

fn write_terms(out: &mut impl Write, alert: &Alert) -> anyhow::Result<()> {
    writeln!(out, "HOW THE SUM CAME ABOUT")?;
    writeln!(
        out,
        "  Ten points more mean ten times likelier an attack. Of each family only the strongest\n  \
         term counts: several names for one fact are one fact."
    )?;
    for term in &alert.evidence {
        writeln!(out, "  {:>+4}  {}", term.points_db, reason(term))?;
    }
    writeln!(out, "  {:>+4}  is {}\n", alert.sum_db, alert.level.name())?;
    Ok(())
}

fn reason(term: &Evidence) -> String {
    let family = family_name(term.family);
    let observed = escaped_whole(&term.observed);
    let text = match (term.family, term.expected.as_ref()) {
        (Family::Prior, _) => format!("{family}: {observed}; most of what is seen is innocent"),
        (_, "" | "–") => format!("{family}: {observed}"),
        (_, expected) => {
            format!("{family}: {observed}, where {} would be expected", escaped(expected))
        }
    };
    let by = if term.strategy.is_empty() {
        String::new()
    } else {
        format!(" (says {})", escaped(&term.strategy))
    };
    match term.counts {
        Counted::InSum => text + &by,
        Counted::Outweighed => format!("{text}{by}; not counted, a stronger {family} term stands"),
    }
}

fn write_techniques(out: &mut impl Write, alert: &Alert) -> anyhow::Result<()> {
    for id in &alert.techniques {
        let name = technique_name(id).unwrap_or("name unknown");
        let page = escaped(id).replace('.', "/");
        writeln!(out, "  {}  {name}  https://attack.mitre.org/techniques/{page}", escaped(id))?;
    }
    writeln!(out)?;
    Ok(())
}

fn write_documents(out: &mut impl Write, alert: &Alert) -> anyhow::Result<()> {
    let speaking = alert.evidence.iter().map(|term| term.strategy.as_ref());
    let ids: BTreeSet<&str> = speaking.chain([alert.strategy.as_ref()]).collect();
    for strategy in ids.into_iter().filter_map(strategy) {
        let document = Document::parse(strategy.ads);
        let title = document.title.as_deref().unwrap_or(strategy.id);
        writeln!(out, "{}: {title}", strategy.id)?;
        for section in EXCERPT {
            if let Some(content) = document.sections.get(&section) {
                writeln!(out, "\n{}\n{}", section.name(), content.source.trim())?;
            }
        }
        writeln!(out, "\nall of it: tidewaiter ads show {}", strategy.id)?;
    }
    Ok(())
}
