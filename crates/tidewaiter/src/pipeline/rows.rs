//! Rows of flow logs on their way to the engine: put in order within a bounded buffer, and each
//! row once.
//!
//! Zeek writes a conversation when it has ended, and not at once: what is out of order by fewer
//! rows than three quarters of what the buffer holds comes out in order. What is later still is
//! counted and handed on late.

use std::collections::VecDeque;

use formats::zeek::Seen;
use observation::{DnsData, Fact, Observation, Span, Time};

use super::order::Key;
use crate::sources::rows::{RowFiles, RowReading};

/// Observations that are held to be put in order.
const HELD_COUNT_MAX: usize = 1 << 15;
/// One in so many of them, the earliest, is handed on before others are read: sorting them again by
/// the thousand costs a fraction of finding the earliest each time.
const DUE_PART: usize = 4;
/// Rows are nearly in order: one that belongs before fewer than so many of the latest is put where
/// it belongs at once, and nothing has to be sorted.
const STEP_COUNT_MAX: usize = 32;
/// The most that their text may take.
const HELD_BYTES_MAX: usize = 32 << 20;
/// Rows that are remembered to know them again.
const REMEMBERED_COUNT: usize = 1 << 17;
/// What comes later than this is out of order for the engine too.
const LATE: Span = Span::from_secs(10);

/// The rows of all logs, in order.
pub(crate) struct Rows {
    files: RowFiles,
    buffer: Buffer,
    is_at_end: bool,
}

/// What came of them.
#[derive(Debug, Default)]
pub(crate) struct RowTotals {
    pub(crate) reading: RowReading,
    /// Rows that had been read before.
    pub(crate) duplicate_count: u64,
    /// Observations that were out of order by more than could be held.
    pub(crate) late_count: u64,
}

impl Rows {
    pub(crate) fn new(files: RowFiles) -> Self {
        Self { files, buffer: Buffer::default(), is_at_end: false }
    }

    /// The place of the next Observation.
    pub(super) fn first(&mut self) -> Option<Key> {
        if self.buffer.due_count == 0 {
            self.fill();
        }
        self.buffer.held.front().map(|(key, _)| *key)
    }

    /// Reads until the buffer is full, and puts what it holds in order.
    fn fill(&mut self) {
        while !self.is_at_end && !self.buffer.is_full() {
            let (files, buffer) = (&mut self.files, &mut self.buffer);
            buffer.verdict = None;
            self.is_at_end = !files.next(&mut |seen| buffer.put(seen));
        }
        self.buffer.sort();
        let count = self.buffer.held.len();
        self.buffer.due_count = if self.is_at_end { count } else { (count / DUE_PART).max(1) };
    }

    /// The next Observation.
    pub(super) fn take(&mut self) -> Option<Observation<'static>> {
        self.buffer.take()
    }

    /// What came of it, once all were taken.
    pub(super) fn finish(self) -> RowTotals {
        RowTotals {
            reading: self.files.finish(),
            duplicate_count: self.buffer.duplicate_count,
            late_count: self.buffer.late_count,
        }
    }
}

struct Buffer {
    /// The earliest first.
    held: VecDeque<(Key, u32)>,
    /// So many of them are in order; then come others.
    sorted_count: usize,
    /// So many of the earliest are handed on before more is read.
    due_count: usize,
    slots: Vec<Option<Observation<'static>>>,
    free: Vec<u32>,
    held_bytes: usize,
    remembered: Vec<u64>,
    /// The row that is being read, and whether it is new.
    verdict: Option<(u64, bool)>,
    latest: Time,
    duplicate_count: u64,
    late_count: u64,
}

impl Default for Buffer {
    fn default() -> Self {
        Self {
            held: VecDeque::with_capacity(HELD_COUNT_MAX),
            sorted_count: 0,
            due_count: 0,
            slots: Vec::with_capacity(HELD_COUNT_MAX),
            free: Vec::new(),
            held_bytes: 0,
            remembered: vec![0; REMEMBERED_COUNT],
            verdict: None,
            latest: Time(0),
            duplicate_count: 0,
            late_count: 0,
        }
    }
}

impl Buffer {
    fn is_full(&self) -> bool {
        self.held.len() >= HELD_COUNT_MAX || self.held_bytes >= HELD_BYTES_MAX
    }

    fn put(&mut self, seen: Seen) {
        if !self.is_new(seen.row) {
            return;
        }
        let key = Key::of(&seen.observation);
        self.held_bytes += text_bytes(&seen.observation.fact);
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(seen.observation);
        }
        self.held.push_back((key, slot));
        self.sort_latest();
    }

    /// Puts the latest where it belongs, if that is near.
    fn sort_latest(&mut self) {
        let last = self.held.len() - 1;
        if self.sorted_count < last {
            return;
        }
        let is_later = |place: usize| {
            let (before, own) = (self.held.get(place), self.held.get(last));
            before.zip(own).is_some_and(|((before, _), (own, _))| before > own)
        };
        let earlier = (last.saturating_sub(STEP_COUNT_MAX)..last).rev();
        let step_count = earlier.take_while(|place| is_later(*place)).count();
        if step_count < STEP_COUNT_MAX {
            (last - step_count..last).rev().for_each(|place| self.held.swap(place, place + 1));
            self.sorted_count += 1;
        }
    }

    /// Puts all in order. A stable sort merges the runs that it finds, and there are two: what was
    /// in order, and what has come since, nearly so.
    fn sort(&mut self) {
        if self.sorted_count < self.held.len() {
            self.held.make_contiguous().sort_by_key(|(key, _)| *key);
            self.sorted_count = self.held.len();
        }
    }

    /// Whether a row was not read before. A row may give several Observations. Two rows that share
    /// a place in the table only make each other forgotten, which costs a duplicate and no row.
    fn is_new(&mut self, row: u64) -> bool {
        if let Some((known, is_new)) = self.verdict
            && known == row
        {
            return is_new;
        }
        let index = row as usize % REMEMBERED_COUNT;
        let is_new = self.remembered.get(index) != Some(&row);
        if let Some(place) = self.remembered.get_mut(index) {
            *place = row;
        }
        self.duplicate_count += u64::from(!is_new);
        self.verdict = Some((row, is_new));
        is_new
    }

    fn take(&mut self) -> Option<Observation<'static>> {
        let (key, slot) = self.held.pop_front()?;
        self.sorted_count = self.sorted_count.saturating_sub(1);
        self.due_count = self.due_count.saturating_sub(1);
        self.free.push(slot);
        let observation = self.slots.get_mut(slot as usize).and_then(Option::take)?;
        self.held_bytes = self.held_bytes.saturating_sub(text_bytes(&observation.fact));
        self.late_count += u64::from(key.at + LATE < self.latest);
        self.latest = self.latest.max(key.at);
        Some(observation)
    }
}

/// About how much the text of a fact takes in memory.
fn text_bytes(fact: &Fact<'_>) -> usize {
    const ANSWER_BYTES: usize = 64;
    match fact {
        Fact::FlowClosed(fact) => fact.community_id.len(),
        Fact::Dns(fact) => {
            let answers = fact.answers.iter().map(|answer| match &answer.data {
                DnsData::Name(name) => ANSWER_BYTES + name.len(),
                _ => ANSWER_BYTES,
            });
            fact.name.len() + answers.sum::<usize>()
        }
        Fact::Http(fact) => {
            let parts = [&fact.host, &fact.target, &fact.user_agent, &fact.header_names];
            parts.into_iter().map(|part| part.len()).sum()
        }
        Fact::TlsHello(fact) => fact.server_name.len() + fact.alpn.len() + fact.ja4.len(),
        Fact::TlsSession(fact) => fact
            .certificate
            .as_ref()
            .map_or(0, |certificate| certificate.subject.len() + certificate.issuer.len()),
        Fact::Detail(fact) => fact.value.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use formats::zeek::Kind;
    use observation::{FlowEstablished, FlowId, SourceId};

    use super::*;

    fn ordered(seconds: &[u64]) -> Vec<u64> {
        let mut buffer = Buffer::default();
        for (row, second) in (1..).zip(seconds) {
            let fact = Fact::FlowEstablished(FlowEstablished { flow: FlowId(1) });
            let (at, witness) = (Time(0) + Span::from_secs(*second), SourceId(1));
            let observation = Observation { at, witness, order: 0, fact };
            buffer.verdict = None;
            buffer.put(Seen { kind: Kind::Conn, row, observation });
        }
        buffer.sort();
        let taken = std::iter::from_fn(|| buffer.take());
        taken.map(|observation| observation.at.as_millis() / 1000).collect()
    }

    #[test]
    fn rows_that_are_a_little_out_of_order_come_in_order() {
        assert_eq!(ordered(&[2, 1, 3, 5, 4, 4, 6, 3]), [1, 2, 3, 3, 4, 4, 5, 6]);
    }

    #[test]
    fn rows_that_come_backwards_come_in_order() {
        let backwards: Vec<u64> = (0..200).rev().collect();
        assert_eq!(ordered(&backwards), (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn a_row_that_is_far_too_late_comes_where_it_belongs_and_so_do_those_after_it() {
        let mut rows: Vec<u64> = (10..100).collect();
        rows.extend([1, 101, 100, 102]);
        let mut wanted = rows.clone();
        wanted.sort_unstable();
        assert_eq!(ordered(&rows), wanted);
    }
}
