//! `watch`: this host's containers, live.

pub(super) mod coverage;
mod cuts;
mod line;
mod resume;
mod sources;
mod standing;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use engine::{Engine, Limits};
use observation::{Span, Time};

use super::Outcome;
use super::alerts::LevelChoice;
use super::baseline::ExpectationsChoice;
use crate::intel::IntelChoice;
use crate::pipeline::{Judge, Showing};
use crate::record::Recorder;
use crate::rules::RulesChoice;
use crate::sinks::{Format, Sink};
use crate::store::StoreChoice;
use crate::suppressions::Suppressions;
use crate::timestamp;
use line::Line;
use resume::{Keeper, Left};
use sources::Live;
pub(super) use standing::state_name;

/// Watch this host's containers and alert on command-and-control as it happens.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Needs root, or CAP_NET_RAW (packets), CAP_SYS_PTRACE (processes), CAP_BPF and CAP_NET_ADMIN
(sockets), and the runtime's socket; `tidewaiter doctor` says what is missing.
$DOCKER_HOST chooses another socket (unix:///…). SIGINT and SIGTERM end it cleanly.

What it knows is kept in the store: the next watch of the same boot goes on from there, and a
session that goes on stays one alert. It cuts again what `respond` has isolated when a restart or
another network has opened it. A recording is at most about a second behind: kill -9 loses no more.

Examples:
  sudo tidewaiter watch
  sudo tidewaiter watch --format ndjson >> findings.ndjson      OCSF, for a SIEM
  sudo tidewaiter watch --intel /var/lib/feeds                  read again when a feed changes
  sudo tidewaiter watch --record incident-7 --for 600           ten minutes, to replay later
  tidewaiter scan incident-7                                    the same alerts again")]
pub(crate) struct Arguments {
    /// How alerts are printed.
    #[arg(long, default_value = "table")]
    format: Format,
    /// Only print alerts at or above this level; the store keeps all of them.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    level: LevelChoice,
    /// Exit with 3 when there was an alert at or above this level.
    #[arg(long, value_name = "LEVEL")]
    fail_on: Option<LevelChoice>,
    /// Also keep everything that is seen in this folder, for `scan`.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Stop after so many seconds.
    #[arg(long = "for", value_name = "SECONDS")]
    for_s: Option<u64>,
    /// Also honour the suppressions in this folder, beside those of the store.
    #[arg(long, value_name = "DIR")]
    suppressions: Option<PathBuf>,
    #[command(flatten)]
    intel: IntelChoice,
    #[command(flatten)]
    expectations: ExpectationsChoice,
    #[command(flatten)]
    rules: RulesChoice,
    #[command(flatten)]
    store: StoreChoice,
}

/// How long the engine lets Observations gather.
const REST: Duration = Duration::from_millis(3);
/// Observations taken in a row before the clock is looked at.
const TAKEN_COUNT_MAX: usize = 1 << 15;
const SECOND: Span = Span::from_secs(1);

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let over = signals()?;
    let store = arguments.store.open()?;
    let folder = store.folder().to_path_buf();
    let recorder = arguments.record.as_deref().map(Recorder::create).transpose()?.map(Arc::new);
    let sink = Sink::stdout(arguments.format, arguments.level.into(), arguments.store.commands());
    let seed = seed();
    let keeper = Keeper::new(&folder).context("looking for what the watch before has left")?;
    let (engine, since) = resumed(&keeper, seed);
    let suppressions = Suppressions::of(Some(&folder), arguments.suppressions.as_deref())?;
    let mut judge =
        Judge::resuming(engine, store, sink, Showing::AsTheyCome).honouring(suppressions);
    judge = judge.ruled_by(arguments.rules.read()?).expecting(arguments.expectations.read())?;
    let intel = arguments.intel.follow(&mut judge)?;
    let (live, parcels) = Live::start(recorder.clone(), seed, since)?;
    let mut line = Line::new(judge, intel, keeper, &live, recorder.clone(), &folder)?;
    line.unwatched(since)?;
    let started = Instant::now();
    let end = arguments.for_s.map(|seconds| started + Duration::from_secs(seconds));
    let mut second_at = timestamp::now();
    while !over.load(Ordering::Relaxed) && end.is_none_or(|end| Instant::now() < end) {
        // Not woken by each Observation, which would cost its sender more than it costs to wait:
        // the reorder buffer holds it for longer than this anyhow.
        thread::sleep(REST);
        let now = timestamp::now();
        for parcel in parcels.try_iter().take(TAKEN_COUNT_MAX) {
            line.take(parcel, now);
        }
        line.release(now)?;
        if now.since(second_at) >= SECOND {
            second_at = now;
            line.each_second(&live, now)?;
        }
    }
    if std::io::stderr().is_terminal() {
        eprintln!("tidewaiter: ending");
    }
    let ended = live.end();
    while let Ok(parcel) = parcels.try_recv() {
        line.take(parcel, timestamp::now());
    }
    let totals = line.finish(&ended)?;
    let failed = recorder.map_or(0, |recorder| recorder.finish());
    if failed > 0 {
        eprintln!("tidewaiter: {failed} records could not be written to the recording");
    }
    eprintln!("{totals}");
    let found = arguments.fail_on.is_some_and(|l| totals.totals.alerts.at_or_above(l.into()) > 0);
    Ok(match () {
        () if found => Outcome::Found,
        () if totals.totals.is_damaged() || failed > 0 => Outcome::Damaged,
        () => Outcome::Done,
    })
}

/// The engine to go on with, and since when nobody has watched; `seed` keys a new one's tables.
fn resumed(keeper: &Keeper, seed: u64) -> (Engine, Option<Time>) {
    match keeper.left() {
        Left::State(engine, saved_at) => {
            let at = timestamp::readable(saved_at);
            eprintln!("tidewaiter: goes on from what the watch before knew at {at}");
            return (*engine, Some(saved_at));
        }
        Left::Unusable(why) => {
            eprintln!("tidewaiter: begins anew, without what the watch before knew: {why}");
        }
        Left::Nothing => {}
    }
    (Engine::new(Limits::default(), seed), None)
}

/// SIGINT and SIGTERM as a flag. A second one ends the program at once.
fn signals() -> anyhow::Result<Arc<AtomicBool>> {
    let over = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&over))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&over)))
            .context("listening for signals")?;
    }
    Ok(over)
}

/// Unguessable, so that nobody can choose addresses that collide in our tables.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_u64(Time::NEVER.0);
    hasher.finish()
}
