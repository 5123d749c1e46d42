//! `coverage`: how much of the host the running watch, or the last one, really sees.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use clap::ValueEnum;
use observation::Time;

use super::Outcome;
use super::watch::coverage::{Coverage, CutStanding, RingState, read};
use super::watch::state_name;
use crate::responders::{Condition, Standing as CutReceipt, conditions};
use crate::sinks::escaped;
use crate::sources::live::manifest::{PortCheck, Standing};
use crate::store::{Store, StoreChoice};
use crate::timestamp;

/// Show what the watch sees: its sources, its losses, and each port's frames beside what the
/// interface itself counted.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A port is `exact` when the sensor saw every byte that its interface counted. `unexplained` frames
passed the interface and not the sensor: a fault, or a way around monitoring; exit code 4, as for
an isolation that has a hole.

Examples:
  tidewaiter coverage
  tidewaiter coverage --format json | jq '.ports[] | select(.standing == \"unexplained\")'")]
pub(crate) struct Arguments {
    /// How it is shown.
    #[arg(long, default_value = "table")]
    format: Format,
    #[command(flatten)]
    store: StoreChoice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// One JSON object.
    Json,
    /// The same, under the name that other commands have for it.
    Ndjson,
}

/// A watch writes every second.
const STALE_S: u64 = 10;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let store = arguments.store.open()?;
    let coverage = read(store.folder()).context("reading the watch's coverage")?.with_context(|| {
        format!(
            "no watch has used the store {}: start `tidewaiter watch`, or choose its store with \
             --store",
            store.folder().display()
        )
    })?;
    let mut coverage = coverage;
    coverage.cuts = cuts(&store)?;
    let mut out = io::stdout().lock();
    match arguments.format {
        Format::Table => table(&mut out, &coverage, timestamp::now())?,
        Format::Json | Format::Ndjson => {
            writeln!(out, "{}", serde_json::to_string(&coverage)?)?;
        }
    }
    out.flush()?;
    let lost = coverage.containers.dropped_count + coverage.host.dropped_count;
    let short = coverage.sums.unexplained_count + coverage.sums.dropped_count;
    let open = coverage.cuts.iter().filter(|cut| cut.open).count();
    let whole = lost + short + coverage.queue_lost_count == 0 && open == 0;
    Ok(if whole { Outcome::Done } else { Outcome::Damaged })
}

/// The isolations that stand. Where nobody watches, nobody cuts again what has opened.
fn cuts(store: &Store) -> anyhow::Result<Vec<CutStanding>> {
    let in_words = |(standing, condition): (CutReceipt, Condition)| {
        let (title, text) = condition.in_words();
        CutStanding {
            receipt: standing.id,
            container: standing.detail.container,
            name: standing.detail.name,
            open: condition.is_open(),
            detail: format!("{title}: {text}"),
        }
    };
    Ok(conditions(store)?.into_iter().map(in_words).collect())
}

fn table(out: &mut impl Write, coverage: &Coverage, now: Time) -> io::Result<()> {
    let runs = Path::new("/proc").join(coverage.pid.to_string()).exists()
        && now.since(coverage.updated).as_millis() < STALE_S * 1000;
    let since = timestamp::readable(coverage.started);
    match runs {
        true => writeln!(out, "Watching since {since}, process {}", coverage.pid)?,
        false => {
            let until = timestamp::readable(coverage.updated);
            writeln!(out, "Nobody watches. The last watch ran from {since} until {until}")?;
        }
    }
    writeln!(out, "\nSources")?;
    for source in &coverage.sources {
        writeln!(out, "  {:<10} {}", state_name(source.state), escaped(&source.detail))?;
    }
    writeln!(out, "\nRings        packets read   understood      dropped")?;
    for (name, ring) in [("containers", coverage.containers), ("host", coverage.host)] {
        let RingState { read_count, understood_count, dropped_count } = ring;
        writeln!(out, "  {name:<10} {read_count:>12} {understood_count:>12} {dropped_count:>12}")?;
    }
    if coverage.queue_lost_count > 0 {
        writeln!(out, "  the engine had no room for {}", coverage.queue_lost_count)?;
    }
    if coverage.evidence.cut_count > 0 || coverage.evidence.evicted_count > 0 {
        writeln!(out, "\nHeld for evidence: {}", coverage.evidence)?;
    }
    if !coverage.cuts.is_empty() {
        writeln!(out, "\nIsolations")?;
    }
    for cut in &coverage.cuts {
        writeln!(out, "  {:<16} receipt {}, {}", escaped(&cut.name), cut.receipt, cut.detail)?;
    }
    writeln!(out, "\nPorts: {}", coverage.sums)?;
    if !coverage.ports.is_empty() {
        writeln!(out, "  {PORT_HEAD}")?;
    }
    coverage.ports.iter().try_for_each(|port| writeln!(out, "  {}", line(port)))
}

const PORT_HEAD: &str = "interface        standing     frames in (seen)  out (seen)         \
                         bytes in (seen)  out (seen)";

fn line(port: &PortCheck) -> String {
    let (counted, seen) = (port.counted, port.seen);
    let pair = |counted: u64, seen: u64| format!("{counted} ({seen})");
    format!(
        "{:<16} {:<12} {:<17} {:<18} {:<16} {}",
        escaped(&port.name),
        standing_name(port.standing),
        pair(counted.frames_in, seen.frames_in),
        pair(counted.frames_out, seen.frames_out),
        pair(counted.bytes_in, seen.bytes_in),
        pair(counted.bytes_out, seen.bytes_out),
    )
}

const fn standing_name(standing: Standing) -> &'static str {
    match standing {
        Standing::Settling => "settling",
        Standing::Moving => "moving",
        Standing::Exact => "exact",
        Standing::Dropped => "ring dropped",
        Standing::Refused => "refused",
        Standing::Unexplained => "unexplained",
    }
}
