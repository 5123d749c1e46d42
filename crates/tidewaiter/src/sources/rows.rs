//! Zeek's logs as one stream of rows, merged by time: logs of several kinds, rotated ones too.
//!
//! A file is opened when its first row is due, so that a thousand rotated files cost one window at
//! a time and not a thousand.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use formats::zeek::{Kind, Reader, Seen, Writing};
use formats::{LineLimits, Lines, Tally};
use observation::{Fact, Observation, SourceId, SourceKind, SourceState, SourceStatus, Time};

use super::captures::Broken;
use super::files::Counted;
use super::logs::Witnesses;

/// A log of rows that is to be read.
#[derive(Clone, Debug)]
pub(crate) struct RowFile {
    pub(crate) path: PathBuf,
    pub(crate) writing: Writing,
}

/// Zeek's rows are shorter by far; ten of a megabyte each would fill the window of one file.
const LINE_BYTES_MAX: usize = 256 * 1024;
/// Logs that are read at one time. More that begin at once are read when others have ended.
const OPEN_COUNT_MAX: usize = 64;
/// A file stands at the earliest of its last rows, so that a few that are dated far ahead do not
/// keep it back.
const RECENT_COUNT: usize = 8;
/// A file's first row is looked for in its first lines.
const FIRST_LINE_COUNT_MAX: usize = 64;

/// What came of reading.
#[derive(Debug, Default)]
pub(crate) struct RowReading {
    /// By kind, in the order of [`Kind::ALL`].
    pub(crate) tallies: [Tally; Kind::ALL.len()],
    /// Lines of which not even the kind is known.
    pub(crate) tally: Tally,
    pub(crate) long_line_count: u64,
    pub(crate) broken: Vec<Broken>,
}

/// All logs of rows.
pub(crate) struct RowFiles {
    files: Vec<RowFile>,
    witnesses: [Option<SourceId>; Kind::ALL.len()],
    /// Files that are not open and when their first row is due.
    due: BinaryHeap<Reverse<(Time, usize)>>,
    open: BinaryHeap<Reverse<(Time, usize)>>,
    logs: Vec<Option<OpenLog>>,
    /// Due files that wait for others to end.
    waiting: VecDeque<usize>,
    current: Option<usize>,
    read_bytes: Arc<AtomicU64>,
    reading: RowReading,
}

struct OpenLog {
    lines: Lines,
    reader: Reader,
    recent: [Time; RECENT_COUNT],
    row_count: usize,
    latest: Time,
}

impl RowFiles {
    /// Looks at the first rows of all files; each kind of log becomes one witness.
    pub(crate) fn new(
        files: &[RowFile],
        witnesses: &mut Witnesses,
        read_bytes: &Arc<AtomicU64>,
    ) -> Self {
        let mut rows = Self {
            files: files.to_vec(),
            witnesses: [None; Kind::ALL.len()],
            due: BinaryHeap::new(),
            open: BinaryHeap::new(),
            logs: files.iter().map(|_| None).collect(),
            waiting: VecDeque::new(),
            current: None,
            read_bytes: Arc::clone(read_bytes),
            reading: RowReading::default(),
        };
        let mut present = Vec::new();
        for index in 0..rows.files.len() {
            let (first, kind) = rows.look(index);
            rows.due.push(Reverse((first, index)));
            present.extend(kind);
        }
        for (kind, place) in Kind::ALL.into_iter().zip(&mut rows.witnesses) {
            if present.contains(&kind) {
                *place = Some(witnesses.next());
            }
        }
        // Kinds that first appear in the middle of a file share a number.
        if !present.is_empty()
            && let Some(other) = rows.witnesses.last_mut()
        {
            other.get_or_insert_with(|| witnesses.next());
        }
        rows
    }

    /// The witnesses say that they are there, from the beginning.
    pub(crate) fn statuses(&self) -> Vec<Observation<'static>> {
        let witnesses = Kind::ALL.into_iter().zip(&self.witnesses);
        let known = witnesses.filter_map(|(kind, witness)| Some((kind, (*witness)?)));
        known
            .map(|(kind, source)| {
                let detail = format!("Zeek's {} logs", kind.name()).into();
                let (kind, state) = (SourceKind::FlowLog, SourceState::Open);
                let status = SourceStatus { source, kind, state, detail };
                let fact = Fact::SourceStatus(status);
                Observation { at: Time(0), witness: source, order: 0, fact }
            })
            .collect()
    }

    /// Reads on by one line; `false` at the end of all files.
    pub(crate) fn next(&mut self, out: &mut dyn FnMut(Seen)) -> bool {
        let Some(index) = self.current.take().or_else(|| self.choose()) else { return false };
        let Some(Some(log)) = self.logs.get_mut(index) else { return true };
        let reading = &mut self.reading;
        match log.lines.next() {
            Some(Ok(line)) => {
                let (recent, row_count) = (&mut log.recent, &mut log.row_count);
                let (latest, witnesses) = (&mut log.latest, &self.witnesses);
                let parsed = log.reader.line(line, &mut |mut seen| {
                    let at = seen.observation.at;
                    if let Some(place) = recent.get_mut(*row_count % RECENT_COUNT) {
                        *place = at;
                    }
                    *row_count += 1;
                    *latest = at;
                    sign(&mut seen, witnesses);
                    out(seen);
                });
                if let Some(parsed) = parsed {
                    let kind = log.reader.kind().map(place);
                    let known = kind.and_then(|place| reading.tallies.get_mut(place));
                    known.unwrap_or(&mut reading.tally).add(parsed);
                }
                self.stand(index);
            }
            Some(Err(error)) => {
                let source = log.reader.kind().map(place);
                let source = source.and_then(|place| self.witnesses.get(place).copied().flatten());
                let (last, why) = (log.latest, error.to_string());
                let path = self.files.get(index).map(|file| file.path.clone()).unwrap_or_default();
                let source = source.unwrap_or_default();
                reading.broken.push(Broken { path, source, last, why });
                self.current = Some(index);
            }
            None => {
                reading.long_line_count += log.lines.long_line_count();
                if let Some(place) = self.logs.get_mut(index) {
                    *place = None;
                }
                if let Some(next) = self.waiting.pop_front() {
                    self.open(next, Time(0));
                }
            }
        }
        true
    }

    /// What came of it.
    pub(crate) fn finish(self) -> RowReading {
        self.reading
    }

    /// The time of a file's first row and its kind; a broken file is due at once, and says so then.
    fn look(&self, index: usize) -> (Time, Option<Kind>) {
        let Some(file) = self.files.get(index) else { return (Time(0), None) };
        let Ok(reader) = Counted::open(&file.path, &Arc::new(AtomicU64::new(0))) else {
            return (Time(0), None);
        };
        let mut lines = Lines::open(reader, limits());
        let mut rows = Reader::new(file.writing);
        let (mut first, mut count) = (None, 0);
        while let Some(Ok(line)) = lines.next() {
            rows.line(line, &mut |seen| first = first.or(Some(seen.observation.at)));
            count += 1;
            if first.is_some() || count > FIRST_LINE_COUNT_MAX {
                break;
            }
        }
        (first.unwrap_or_default(), rows.kind())
    }

    /// The file whose turn it is: the one that stands earliest.
    fn choose(&mut self) -> Option<usize> {
        loop {
            let open = self.open.peek().map(|Reverse(standing)| *standing);
            let due = self.due.peek().map(|Reverse(standing)| *standing);
            match (open, due) {
                (None, None) => return None,
                (Some(open), due) if due.is_none_or(|due| open <= due) => {
                    self.open.pop();
                    return Some(open.1);
                }
                _ => {
                    let Reverse((at, index)) = self.due.pop()?;
                    if self.open.len() < OPEN_COUNT_MAX {
                        self.open(index, at);
                    } else {
                        self.waiting.push_back(index);
                    }
                }
            }
        }
    }

    fn open(&mut self, index: usize, at: Time) {
        let (Some(file), Some(place)) = (self.files.get(index), self.logs.get_mut(index)) else {
            return;
        };
        match Counted::open(&file.path, &self.read_bytes) {
            Ok(reader) => {
                *place = Some(OpenLog {
                    lines: Lines::open(reader, limits()),
                    reader: Reader::new(file.writing),
                    recent: [at; RECENT_COUNT],
                    row_count: 0,
                    latest: at,
                });
                self.open.push(Reverse((at, index)));
            }
            Err(error) => {
                let (path, why) = (file.path.clone(), format!("{error:#}"));
                let source = SourceId::default();
                self.reading.broken.push(Broken { path, source, last: at, why });
            }
        }
    }

    /// Stays with a file for as long as it stands before all others.
    fn stand(&mut self, index: usize) {
        let Some(Some(log)) = self.logs.get(index) else { return };
        let at = log.recent.iter().copied().min().unwrap_or_default();
        let next = [&self.open, &self.due].map(|heap| heap.peek().map(|Reverse((at, _))| *at));
        if next.into_iter().flatten().all(|next| at <= next) {
            self.current = Some(index);
        } else {
            self.open.push(Reverse((at, index)));
        }
    }
}

/// Says whose row it is.
fn sign(seen: &mut Seen, witnesses: &[Option<SourceId>]) {
    let known = witnesses.get(place(seen.kind)).copied().flatten();
    let witness = known.or_else(|| witnesses.last().copied().flatten()).unwrap_or_default();
    seen.observation.witness = witness;
    if let Fact::Gap(gap) = &mut seen.observation.fact {
        gap.source = witness;
    }
}

const fn place(kind: Kind) -> usize {
    kind as usize
}

fn limits() -> LineLimits {
    LineLimits { line_bytes_max: LINE_BYTES_MAX, ..LineLimits::default() }
}
