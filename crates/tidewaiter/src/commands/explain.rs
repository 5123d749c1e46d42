//! `explain`: why an alert says what it says.

use super::Outcome;
use super::alerts::{closing_line, find};
use crate::sinks::{Occasion, alert_table};
use crate::store::StoreChoice;

/// Explain an alert: every reason for and against, and the strategy's own document.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidewaiter explain 01JD8T6V3M")]
pub(crate) struct Arguments {
    /// The alert's id, or any unambiguous beginning of it.
    alert: String,
    #[command(flatten)]
    store: StoreChoice,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let store = arguments.store.open()?;
    let stored = find(&store, &arguments.alert)?;
    println!("{}", alert_table(&stored.alert, Occasion::Revised, &arguments.store.commands()));
    if let Some(closing) = &stored.closing {
        println!("{}", closing_line(closing));
    }
    Ok(Outcome::Done)
}
