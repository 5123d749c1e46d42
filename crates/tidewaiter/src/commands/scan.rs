//! `scan`: judges captures and logs, the same way as `watch` judges a live host.

use std::path::{Path, PathBuf};

use anyhow::bail;
use engine::Level;
use observation::SourceKind;

use super::Outcome;
use super::alerts::LevelChoice;
use super::baseline::ExpectationsChoice;
use crate::intel::IntelChoice;
use crate::pipeline::{FACT_BYTES_MAX, Facts, Judge, Merge, Rows, SortedFacts, Totals, replay};
use crate::progress::Progress;
use crate::rules::RulesChoice;
use crate::sinks::{Commands, Format, Sink, escaped, escaped_whole};
use crate::sources::captures::Broken;
use crate::sources::files::{Input, Named, expand};
use crate::sources::logs::{Sorted, Witnesses, opened, read_containers, read_log, sort};
use crate::sources::rows::RowFiles;
use crate::store::Store;
use crate::suppressions::Suppressions;

/// Judge captures and logs: files, folders, or what `watch --record` wrote.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidewaiter scan capture.pcapng
  tidewaiter scan recording/                              packets, events, processes together
  tidewaiter scan --containers inspect.json capture.pcap  names from `docker inspect`
  tidewaiter scan --intel feodo.csv --intel misp/ logs/   what somebody has seen attackers use
  tidewaiter scan --format ndjson --fail-on high logs/ > findings.ndjson

What a file holds is told by its content, not by its name: pcap and pcapng, Docker events and
descriptions, recordings; plain, gzip or zstd. All files of one scan are taken for one host's.
The same input gives the same alerts, whatever the order of the files and the number of lanes.")]
pub(crate) struct Arguments {
    /// Files, or folders of them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// What `docker inspect` printed: true for the whole time of the captures.
    #[arg(long, value_name = "INSPECT.json")]
    containers: Option<PathBuf>,
    /// How alerts are printed.
    #[arg(long, default_value = "table")]
    format: Format,
    /// Print alerts from this level on.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    level: LevelChoice,
    /// Exit with 3 when there is an alert at or above this level.
    #[arg(long, value_name = "LEVEL")]
    fail_on: Option<LevelChoice>,
    /// Threads that decode packets; the output is the same for any number.
    #[arg(long, value_name = "COUNT", default_value_t = 1,
          value_parser = clap::value_parser!(u8).range(1..=64))]
    lanes: u8,
    /// Also honour the suppressions in this folder, beside those of `--store`.
    #[arg(long, value_name = "DIR")]
    suppressions: Option<PathBuf>,
    #[command(flatten)]
    intel: IntelChoice,
    #[command(flatten)]
    expectations: ExpectationsChoice,
    #[command(flatten)]
    rules: RulesChoice,
    /// Keep the alerts in the store in this folder, so that `explain`, `alerts`, `suppress` and
    /// `respond` find them, and honour its suppressions. Without it nothing is kept.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let inputs = expand(&arguments.paths)?;
    let mut witnesses = Witnesses::default();
    let sorted = sort(&inputs, &mut witnesses)?;
    if sorted.captures.is_empty() && sorted.logs.is_empty() && sorted.rows.is_empty() {
        report(&sorted.broken, &sorted.unknown);
        bail!("nothing that was named is a capture or a log that this version reads");
    }
    let store = match &arguments.store {
        Some(folder) => Store::open(folder)?,
        None => Store::passing()?,
    };
    let commands = arguments.store.as_deref().map_or(Commands::Nowhere, Commands::of);
    let sink = Sink::stdout(arguments.format, arguments.level.into(), commands);
    let folder = arguments.store.as_deref();
    let suppressions = Suppressions::of(folder, arguments.suppressions.as_deref())?;
    let mut judge =
        Judge::replaying(store, sink).honouring(suppressions).ruled_by(arguments.rules.read()?);
    judge = judge.expecting(arguments.expectations.read())?;
    arguments.intel.teach(&mut judge)?;
    let input = Job {
        containers: arguments.containers.as_deref(),
        sorted: &sorted,
        byte_count: inputs.iter().map(|input| input.bytes).sum(),
        lane_count: arguments.lanes,
    };
    let totals = input.judge(&mut judge, &mut witnesses)?;
    let unknown: Vec<_> = sorted.unknown.into_iter().filter(is_surprising).collect();
    report(&sorted.broken, &unknown);
    let mut totals = totals;
    totals.broken_count += sorted.broken.len() as u64;
    totals.not_understood("files", unknown.len() as u64);
    eprintln!("{totals}");
    let is_found =
        arguments.fail_on.is_some_and(|level| totals.alerts.at_or_above(Level::from(level)) > 0);
    Ok(match (is_found, totals.is_damaged() || !unknown.is_empty()) {
        (true, _) => Outcome::Found,
        (false, true) => Outcome::Damaged,
        (false, false) => Outcome::Done,
    })
}

/// Everything that one replay reads.
pub(super) struct Job<'a> {
    pub(super) containers: Option<&'a Path>,
    pub(super) sorted: &'a Sorted,
    pub(super) byte_count: u64,
    pub(super) lane_count: u8,
}

impl Job<'_> {
    /// Reads and judges it all; says on standard error what could not be read.
    pub(super) fn judge(
        &self,
        judge: &mut Judge,
        witnesses: &mut Witnesses,
    ) -> anyhow::Result<Totals> {
        let progress = Progress::new(self.byte_count);
        let mut logs = Logs::default();
        let files = RowFiles::new(&self.sorted.rows, witnesses, progress.read_bytes());
        let facts = logs.read(self, &files, witnesses, &progress)?;
        let captures = &self.sorted.captures;
        let mut merge = Merge::new(facts, Rows::new(files), judge);
        let (packets, tally) = replay(captures, self.lane_count, &progress, &mut merge)?;
        let rows = merge.finish(&packets.broken, &progress)?;
        progress.clear();
        report(&logs.broken, &[]);
        report(&packets.broken, &[]);
        report(&rows.reading.broken, &[]);
        let mut totals = Totals::of_packets(&packets, &tally);
        logs.add_to(&mut totals);
        totals.add_rows(&rows);
        totals.alerts = judge.finish()?;
        totals.forgotten("older names and flows forgotten", judge.tally().evicted_count);
        totals.dropped("matches of rules without room", judge.rule_dropped_count());
        totals.forgotten("older baselines forgotten", judge.baseline_forgotten_count());
        Ok(totals)
    }
}

/// What came of reading all logs.
#[derive(Default)]
struct Logs {
    tally: formats::Tally,
    long_line_count: u64,
    spilled_count: u64,
    broken: Vec<Broken>,
}

impl Logs {
    fn read(
        &mut self,
        job: &Job<'_>,
        rows: &RowFiles,
        witnesses: &mut Witnesses,
        progress: &Progress,
    ) -> anyhow::Result<SortedFacts> {
        let mut facts = Facts::new(FACT_BYTES_MAX);
        for capture in &job.sorted.captures {
            facts.put(&opened(&capture.path, capture.source, SourceKind::Packets))?;
        }
        for status in rows.statuses() {
            facts.put(&status)?;
        }
        if let Some(path) = job.containers {
            let tally = read_containers(path, witnesses, &mut |seen| facts.put(seen))?;
            self.tally.join(tally);
        }
        for log in &job.sorted.logs {
            let put = &mut |seen: &observation::Observation<'_>| facts.put(seen);
            let reading = read_log(log, witnesses, progress.read_bytes(), put)?;
            progress.show();
            self.tally.join(reading.tally);
            self.long_line_count += reading.long_line_count;
            self.broken.extend(reading.broken);
        }
        self.spilled_count = facts.spilled_count();
        facts.sorted()
    }

    fn add_to(&self, totals: &mut Totals) {
        let tally = &self.tally;
        totals.record_count += tally.understood_count
            + tally.unused_count
            + tally.not_understood_count
            + self.long_line_count;
        totals.understood_count += tally.understood_count + tally.unused_count;
        totals.not_understood("records", tally.not_understood_count);
        totals.not_understood("overlong lines", self.long_line_count);
        totals.broken_count += self.broken.len() as u64;
        if self.spilled_count > 0 {
            eprintln!(
                "{} log facts were sorted on disk: more than {FACT_BYTES_MAX} bytes of them",
                self.spilled_count
            );
        }
    }
}

/// A file that was named and is of no known format is damage; in a folder that is so only for one
/// whose name promises data. A note beside the data is passed over, and so is a log in which
/// nothing was ever written.
fn is_surprising(input: &Input) -> bool {
    let name = input.path.to_string_lossy();
    let has_ending = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    let is_data = has_ending(&[".pcap", ".pcapng", ".cap", ".gz", ".zst"]);
    let is_log = has_ending(&[".ndjson", ".jsonl", ".log"]) && input.bytes > 0;
    input.named == Named::Itself || is_data || is_log
}

fn report(broken: &[Broken], unknown: &[Input]) {
    for broken in broken {
        let path = escaped(&broken.path.display().to_string());
        eprintln!("{path}: {}", escaped_whole(&broken.why));
    }
    for input in unknown {
        let path = escaped(&input.path.display().to_string());
        eprintln!("{path}: no capture and no log that this version reads");
    }
}
