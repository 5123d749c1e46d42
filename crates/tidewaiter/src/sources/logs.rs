//! Log files as Observations: told apart by content, each a witness of its own.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::{Context, bail};
use formats::zeek::Writing;
use formats::{Format, HEAD_BYTES, LineLimits, Lines, Parsed, Tally, detect};
use formats::{docker_events, docker_inspect, recording};
use observation::{Fact, Observation, SourceId, SourceKind, SourceState, SourceStatus, Time};

use super::captures::{Broken, CaptureFile};
use super::files::{Counted, Input, Named};
use super::rows::RowFile;

/// A description of containers is read to this size.
const DOCUMENT_BYTES_MAX: usize = 64 << 20;

/// Hands out the numbers of witnesses. A recording's own witnesses get new ones, so that those of
/// two recordings never meet.
#[derive(Debug, Default)]
pub(crate) struct Witnesses {
    last: u16,
    recorded: BTreeMap<(SourceId, SourceId), SourceId>,
}

impl Witnesses {
    /// A number that nobody has. The last one is shared when there are more witnesses than numbers.
    pub(crate) fn next(&mut self) -> SourceId {
        self.last = self.last.saturating_add(1);
        SourceId(self.last)
    }

    /// The number here of a witness that has its number in a recording.
    fn recorded(&mut self, recording: SourceId, witness: SourceId) -> SourceId {
        if let Some(known) = self.recorded.get(&(recording, witness)) {
            return *known;
        }
        let number = self.next();
        self.recorded.insert((recording, witness), number);
        number
    }
}

/// A log that is to be read.
#[derive(Clone, Debug)]
pub(crate) struct LogFile {
    pub(crate) path: PathBuf,
    pub(crate) source: SourceId,
    pub(crate) format: Format,
}

/// What files hold.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    pub(crate) captures: Vec<CaptureFile>,
    pub(crate) logs: Vec<LogFile>,
    /// Logs of flows, which are read as a stream.
    pub(crate) rows: Vec<RowFile>,
    /// No format that we know.
    pub(crate) unknown: Vec<Input>,
    /// Could not even be opened.
    pub(crate) broken: Vec<Broken>,
}

/// Looks at the beginning of every file.
pub(crate) fn sort(inputs: &[Input], witnesses: &mut Witnesses) -> anyhow::Result<Sorted> {
    let mut sorted = Sorted::default();
    for input in inputs {
        let path = input.path.clone();
        let head = match head(&path) {
            Ok(head) => head,
            // One named file that cannot be read is a mistake to be told at once; in a folder the
            // others still count.
            Err(error) if input.named == Named::Itself => return Err(error),
            Err(error) => {
                let (source, why) = (witnesses.next(), format!("{error:#}"));
                sorted.broken.push(Broken { path, source, last: Time(0), why });
                continue;
            }
        };
        match detect(&head) {
            Format::Pcap | Format::Pcapng => {
                sorted.captures.push(CaptureFile { path, source: witnesses.next() });
            }
            Format::ZeekJson => sorted.rows.push(RowFile { path, writing: Writing::Json }),
            Format::ZeekTsv => sorted.rows.push(RowFile { path, writing: Writing::Tsv }),
            Format::Unknown => sorted.unknown.push(input.clone()),
            format => sorted.logs.push(LogFile { path, source: witnesses.next(), format }),
        }
    }
    Ok(sorted)
}

fn head(path: &Path) -> anyhow::Result<Vec<u8>> {
    let opening = || format!("opening {}: may you read it?", path.display());
    let file = File::open(path).with_context(opening)?;
    if !file.metadata().with_context(opening)?.is_file() {
        bail!("{} is no regular file: save it to one first", path.display());
    }
    let mut head = Vec::new();
    file.take(HEAD_BYTES as u64).read_to_end(&mut head).with_context(opening)?;
    Ok(head)
}

/// A witness says that it is there. What it tells may be from any time, so it is there from the
/// beginning.
pub(crate) fn opened(path: &Path, source: SourceId, kind: SourceKind) -> Observation<'static> {
    let detail = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let status =
        SourceStatus { source, kind, state: SourceState::Open, detail: Cow::Owned(detail) };
    let fact = Fact::SourceStatus(status);
    Observation { at: Time(0), witness: source, order: 0, fact }
}

/// What came of reading a log.
#[derive(Debug, Default)]
pub(crate) struct LogReading {
    pub(crate) tally: Tally,
    pub(crate) long_line_count: u64,
    pub(crate) broken: Option<Broken>,
}

/// Reads one log to its end.
pub(crate) fn read_log(
    file: &LogFile,
    witnesses: &mut Witnesses,
    read_bytes: &Arc<AtomicU64>,
    out: &mut dyn FnMut(&Observation<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<LogReading> {
    let mut log = Log {
        source: file.source,
        witnesses,
        order: 0,
        tally: Tally::default(),
        latest: Time(0),
        failure: None,
        out,
    };
    if let Some(kind) = kind(file.format) {
        log.say(opened(&file.path, file.source, kind));
    }
    let line_bytes_max = match file.format {
        Format::DockerInspect => DOCUMENT_BYTES_MAX,
        _ => LineLimits::default().line_bytes_max,
    };
    let reader = Counted::open(&file.path, read_bytes)?;
    let mut lines = Lines::open(reader, LineLimits { line_bytes_max, ..LineLimits::default() });
    let mut document = Vec::new();
    let mut why = None;
    while let Some(line) = lines.next() {
        match line {
            Ok(line) if file.format == Format::DockerInspect => {
                if document.len() + line.len() > DOCUMENT_BYTES_MAX {
                    why = Some(format!("longer than {DOCUMENT_BYTES_MAX} bytes: split it"));
                    break;
                }
                document.extend_from_slice(line);
                document.push(b'\n');
            }
            Ok(line) => log.line(file.format, line),
            Err(error) => why = Some(error.to_string()),
        }
        if let Some(failure) = log.failure.take() {
            return Err(failure);
        }
    }
    if file.format == Format::DockerInspect {
        log.document(&document, None);
    }
    let broken = why.map(|why| Broken {
        path: file.path.clone(),
        source: file.source,
        last: log.latest,
        why,
    });
    let (tally, failure) = (log.tally, log.failure);
    failure.map_or(Ok(()), Err)?;
    Ok(LogReading { tally, long_line_count: lines.long_line_count(), broken })
}

/// Reads `docker inspect`'s output as true from the beginning of time: for captures that were made
/// elsewhere, whose containers are described beside them.
pub(crate) fn read_containers(
    path: &Path,
    witnesses: &mut Witnesses,
    out: &mut dyn FnMut(&Observation<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Tally> {
    let opening = || format!("opening {}: may you read it?", path.display());
    let mut document = Vec::new();
    let file = File::open(path).with_context(opening)?;
    file.take(DOCUMENT_BYTES_MAX as u64).read_to_end(&mut document).with_context(opening)?;
    let source = witnesses.next();
    let (order, tally, latest, failure) = (0, Tally::default(), Time(0), None);
    let mut log = Log { source, witnesses, order, tally, latest, failure, out };
    log.say(opened(path, source, SourceKind::RuntimeEvents));
    log.document(&document, Some(Time(0)));
    let (tally, failure) = (log.tally, log.failure);
    failure.map_or(Ok(()), Err)?;
    if tally.understood_count == 0 {
        bail!(
            "{} describes no container: it should be what `docker inspect $(docker ps -aq)` prints",
            path.display()
        );
    }
    Ok(tally)
}

const fn kind(format: Format) -> Option<SourceKind> {
    match format {
        Format::DockerEvents | Format::DockerInspect | Format::Inspections => {
            Some(SourceKind::RuntimeEvents)
        }
        // A recording holds what its own witnesses said of themselves.
        _ => None,
    }
}

struct Log<'l> {
    source: SourceId,
    witnesses: &'l mut Witnesses,
    order: u64,
    tally: Tally,
    latest: Time,
    failure: Option<anyhow::Error>,
    out: &'l mut dyn FnMut(&Observation<'_>) -> anyhow::Result<()>,
}

impl Log<'_> {
    fn line(&mut self, format: Format, line: &[u8]) {
        match format {
            Format::DockerEvents => {
                let parsed = docker_events::parse(line, self.source, &mut |seen| self.say(seen));
                self.tally.add(parsed);
            }
            Format::Inspections => {
                let tally = recording::parse_inspect(line, self.source, &mut |seen| self.say(seen));
                self.tally.join(tally);
            }
            Format::Observations => {
                let parsed = recording::parse_observation(line, &mut |seen| self.replay(seen));
                self.tally.add(parsed);
            }
            _ => self.tally.add(Parsed::Unused),
        }
    }

    fn document(&mut self, document: &[u8], at: Option<Time>) {
        let tally = docker_inspect::parse(document, at, self.source, &mut |seen| self.say(seen));
        self.tally.join(tally);
    }

    /// Numbers an Observation among all of this witness.
    fn say(&mut self, mut observation: Observation<'_>) {
        observation.order = self.order;
        self.order += 1;
        self.hand_on(&observation);
    }

    /// Gives a recorded Observation's witness its number here, wherever the fact names it.
    fn replay(&mut self, mut observation: Observation<'_>) {
        let recording = self.source;
        let mut renumber = |witness: &mut SourceId| {
            *witness = self.witnesses.recorded(recording, *witness);
        };
        renumber(&mut observation.witness);
        match &mut observation.fact {
            Fact::SourceStatus(status) => renumber(&mut status.source),
            Fact::Gap(gap) => renumber(&mut gap.source),
            _ => {}
        }
        self.hand_on(&observation);
    }

    fn hand_on(&mut self, observation: &Observation<'_>) {
        self.latest = self.latest.max(observation.at);
        if let Err(error) = (self.out)(observation) {
            self.failure.get_or_insert(error);
        }
    }
}
