//! Log facts, sorted by time however the logs were written: Zeek writes a conversation when it
//! ends, `docker inspect` tells what began long ago.
//!
//! Logs are read before packets into a buffer of [`FACT_BYTES_MAX`]; what exceeds it is spilled
//! as sorted runs into an unnamed file and merged back, so memory stays bounded.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use anyhow::Context;
use observation::{FlowId, Observation, SourceId, Time};

use super::order::{Batch, Key, encode};

/// How many bytes of encoded log facts are held in memory.
pub(crate) const FACT_BYTES_MAX: usize = 64 << 20;

/// Facts on their way in.
pub(crate) struct Facts {
    bytes_max: usize,
    batch: Batch<Key>,
    runs: Vec<Run>,
    spilled_count: u64,
}

impl Facts {
    /// No facts yet; more than `bytes_max` of them go to disk.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, batch: Batch::default(), runs: Vec::new(), spilled_count: 0 }
    }

    /// Takes one in.
    pub(crate) fn put(&mut self, observation: &Observation<'_>) -> anyhow::Result<()> {
        self.batch.put(Key::of(observation), |bytes| encode(observation, bytes))?;
        if self.batch.bytes.len() > self.bytes_max {
            self.spill()?;
        }
        Ok(())
    }

    /// How many had to go to disk.
    pub(crate) const fn spilled_count(&self) -> u64 {
        self.spilled_count
    }

    /// All of them, in order.
    pub(crate) fn sorted(mut self) -> anyhow::Result<SortedFacts> {
        let mut batch = std::mem::take(&mut self.batch);
        batch.entries.sort_by_key(|(key, _)| *key);
        self.runs.push(Run::Memory { batch, next: 0 });
        let mut sorted = SortedFacts { runs: self.runs, due: BinaryHeap::new(), taken: Vec::new() };
        for index in 0..sorted.runs.len() {
            sorted.line_up(index)?;
        }
        Ok(sorted)
    }

    fn spill(&mut self) -> anyhow::Result<()> {
        let mut batch = std::mem::take(&mut self.batch);
        batch.entries.sort_by_key(|(key, _)| *key);
        self.spilled_count += batch.entries.len() as u64;
        let file = tempfile::tempfile().context(
            "making a temporary file for sorted log facts: is TMPDIR writable and not full?",
        )?;
        let mut out = BufWriter::new(file);
        for (key, range) in &batch.entries {
            write_record(&mut out, *key, batch.get(range)).context("writing log facts to disk")?;
        }
        let mut file = out.into_inner().context("writing log facts to disk")?;
        file.seek(SeekFrom::Start(0))?;
        self.runs.push(Run::Disk { file: BufReader::new(file), next: None });
        Ok(())
    }
}

/// A sorted part of the facts.
enum Run {
    Memory { batch: Batch<Key>, next: usize },
    Disk { file: BufReader<File>, next: Option<(Key, Vec<u8>)> },
}

/// Facts on their way out, in order.
pub(crate) struct SortedFacts {
    runs: Vec<Run>,
    due: BinaryHeap<Reverse<(Key, usize)>>,
    taken: Vec<u8>,
}

impl SortedFacts {
    /// The place of the next one.
    pub(super) fn first(&self) -> Option<Key> {
        self.due.peek().map(|Reverse((key, _))| *key)
    }

    /// The next one, encoded.
    pub(super) fn take(&mut self) -> anyhow::Result<Option<&[u8]>> {
        let Some(Reverse((_, index))) = self.due.pop() else { return Ok(None) };
        self.taken.clear();
        match self.runs.get_mut(index) {
            Some(Run::Memory { batch, next }) => {
                if let Some((_, range)) = batch.entries.get(*next) {
                    self.taken.extend_from_slice(batch.get(range));
                }
                *next += 1;
            }
            Some(Run::Disk { next, .. }) => {
                self.taken.extend(next.take().map(|(_, bytes)| bytes).unwrap_or_default());
            }
            None => {}
        }
        self.line_up(index)?;
        Ok(Some(&self.taken))
    }

    fn line_up(&mut self, index: usize) -> anyhow::Result<()> {
        let key = match self.runs.get_mut(index) {
            Some(Run::Memory { batch, next }) => batch.entries.get(*next).map(|(key, _)| *key),
            Some(Run::Disk { file, next }) => {
                *next = read_record(file).context("reading log facts back from disk")?;
                next.as_ref().map(|(key, _)| *key)
            }
            None => None,
        };
        self.due.extend(key.map(|key| Reverse((key, index))));
        Ok(())
    }
}

const RECORD_HEAD_BYTES: usize = 30;

fn write_record(out: &mut impl Write, key: Key, bytes: &[u8]) -> std::io::Result<()> {
    out.write_all(&key.at.0.to_le_bytes())?;
    out.write_all(&key.flow.0.to_le_bytes())?;
    out.write_all(&key.order.to_le_bytes())?;
    out.write_all(&key.witness.0.to_le_bytes())?;
    // A batch never holds four gigabytes.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.write_all(&length.to_le_bytes())?;
    out.write_all(bytes)
}

fn read_record(file: &mut impl Read) -> std::io::Result<Option<(Key, Vec<u8>)>> {
    let mut head = [0; RECORD_HEAD_BYTES];
    match file.read_exact(&mut head) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let mut rest = head.as_slice();
    let mut number = |bytes: usize| {
        let (digits, after) = rest.split_at(bytes.min(rest.len()));
        rest = after;
        digits.iter().rev().fold(0_u64, |number, digit| number << 8 | u64::from(*digit))
    };
    let (at, flow, order) = (Time(number(8)), FlowId(number(8)), number(8));
    let witness = SourceId(u16::try_from(number(2)).unwrap_or_default());
    let mut bytes = vec![0; usize::try_from(number(4)).unwrap_or_default()];
    file.read_exact(&mut bytes)?;
    Ok(Some((Key { at, flow, order, witness }, bytes)))
}

#[cfg(test)]
mod tests {
    use observation::{Fact, ProcessEnded};

    use super::super::order::decoded;
    use super::*;

    fn ended(at: u64, order: u64) -> Observation<'static> {
        let pid = u32::try_from(at).unwrap();
        let fact = Fact::ProcessEnded(ProcessEnded { pid, exit_code: None });
        Observation { at: Time(at), witness: SourceId(3), order, fact }
    }

    fn times(bytes_max: usize) -> (Vec<u64>, u64) {
        let mut facts = Facts::new(bytes_max);
        for (order, at) in (0..).zip([5, 3, 9, 1, 7, 3]) {
            facts.put(&ended(at, order)).unwrap();
        }
        let spilled = facts.spilled_count();
        let mut sorted = facts.sorted().unwrap();
        let mut times = Vec::new();
        while let Some(bytes) = sorted.take().unwrap() {
            times.push(decoded(bytes).unwrap().at.0);
        }
        (times, spilled)
    }

    #[test]
    fn facts_come_out_by_time_from_memory_and_from_disk() {
        let expected = vec![1, 3, 3, 5, 7, 9];
        assert_eq!(times(1 << 20), (expected.clone(), 0));
        let (from_disk, spilled) = times(12);
        assert_eq!(from_disk, expected);
        assert!(spilled >= 4, "{spilled}");
    }
}
