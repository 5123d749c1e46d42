//! `demo`: the real attack and its innocent twin, recorded in real containers, replayed through the
//! very engine that runs live. It needs no root, no Docker and no network.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, bail};
use engine::{Alert, Level};

use super::Outcome;
use super::scan::Job;
use crate::pipeline::{Judge, Totals};
use crate::sinks::{Commands, Format, Sink};
use crate::sources::files::expand;
use crate::sources::logs::{Witnesses, sort};
use crate::store::{Store, StoreChoice, default_folder};

mod recordings {
    include!(concat!(env!("OUT_DIR"), "/recordings.rs"));
}

/// Replay a recorded attack and its innocent twin: what an alert looks like.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidewaiter demo
  tidewaiter demo --format ndjson | jq .finding_info

The alerts are kept in a store of their own, so that the NEXT commands work on them and your own
alerts stay as they are.")]
pub(crate) struct Arguments {
    /// How alerts are printed.
    #[arg(long, default_value = "table")]
    format: Format,
    #[command(flatten)]
    store: StoreChoice,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    if recordings::HIT.is_empty() || recordings::MISS.is_empty() {
        bail!(
            "this build carries no recordings: fixtures/telnet_c2/hit and miss were not there \
             when it was built; record them with `tidewaiter watch --record` and build again"
        );
    }
    let store = Store::open(&arguments.store.store.clone().map_or_else(demo_folder, Ok)?)?;
    let commands = Commands::In(store.folder().to_path_buf());
    let sink = Sink::stdout(arguments.format, Level::Low, commands.clone());
    let mut attack = Judge::replaying(store, sink);
    let totals = replayed(recordings::HIT, &mut attack).context("replaying the attack")?;
    let folder = attack.store().folder().to_path_buf();
    // The twin's alerts are told in words: a table of each would bury the attack's.
    let quiet = Sink::stdout(arguments.format, Level::Critical, commands);
    let mut twin = Judge::replaying(Store::open(&folder)?, quiet);
    let twin_totals = replayed(recordings::MISS, &mut twin).context("replaying the twin")?;
    // JSON stays JSON: what is said in words goes beside it.
    let mut out: Box<dyn Write> = match arguments.format {
        Format::Table => Box::new(io::stdout().lock()),
        Format::Ndjson | Format::Json => Box::new(io::stderr().lock()),
    };
    writeln!(out, "{}", twin_words(&strongest(&mut twin)?, &twin_totals))?;
    out.flush()?;
    eprintln!("attack: {totals}\ntwin:   {twin_totals}");
    verdict(&totals, &twin_totals)
}

/// The demo must show what it promises, or say that it does not.
fn verdict(attack: &Totals, twin: &Totals) -> anyhow::Result<Outcome> {
    if attack.alerts.at_or_above(Level::High) == 0 {
        bail!("the recorded attack raised no High alert: this build's detection is broken");
    }
    if twin.alerts.at_or_above(Level::Medium) > 0 {
        bail!("the innocent twin raised an alert: this build's detection is broken");
    }
    Ok(Outcome::Done)
}

fn demo_folder() -> anyhow::Result<std::path::PathBuf> {
    Ok(default_folder()?.join("demo"))
}

/// Replays a recording. What the program carries is unpacked into a folder that vanishes, so that
/// it takes the way that every recording takes.
fn replayed(files: &[(&str, &[u8])], judge: &mut Judge) -> anyhow::Result<Totals> {
    let folder = tempfile::tempdir().context("making a temporary folder: is TMPDIR writable?")?;
    for (name, bytes) in files {
        unpack(folder.path(), name, bytes)?;
    }
    let inputs = expand(&[folder.path().to_path_buf()])?;
    let mut witnesses = Witnesses::default();
    let sorted = sort(&inputs, &mut witnesses)?;
    let byte_count = inputs.iter().map(|input| input.bytes).sum();
    Job { containers: None, sorted: &sorted, byte_count, lane_count: 1 }
        .judge(judge, &mut witnesses)
}

fn unpack(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let path = folder.join(name);
    std::fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))
}

fn strongest(judge: &mut Judge) -> anyhow::Result<Option<Alert>> {
    let mut strongest: Option<Alert> = None;
    for id in judge.alert_ids() {
        let alert = judge.store().alert(id)?.map(|stored| stored.alert);
        let sum_db = |alert: &Option<Alert>| alert.as_ref().map(|alert| alert.sum_db);
        if sum_db(&alert) > sum_db(&strongest) {
            strongest = alert;
        }
    }
    Ok(strongest)
}

fn twin_words(strongest: &Option<Alert>, totals: &Totals) -> String {
    let read = format!("TWIN  the innocent twin, {} packets of it,", totals.packet_count);
    match strongest {
        None => format!("{read} raised nothing at all."),
        Some(alert) => format!(
            "{read} got {} at most ({:+} dB): nobody is woken.",
            alert.level.name(),
            alert.sum_db
        ),
    }
}
