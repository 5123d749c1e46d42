//! The order in which Observations reach the engine: log facts by time, then flow, then their own
//! order; what packets tell as one lane alone would tell it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use anyhow::Context;
use observation::{FlowId, Observation, SourceId, Time};
use sensor::Rank;

/// What log facts are sorted by. The witness comes last: two logs may number alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) at: Time,
    pub(super) flow: FlowId,
    pub(super) order: u64,
    pub(super) witness: SourceId,
}

impl Key {
    /// The place of an Observation.
    pub(super) const fn of(observation: &Observation<'_>) -> Self {
        let flow = observation.flow();
        Self { at: observation.at, flow, order: observation.order, witness: observation.witness }
    }
}

/// Where what a lane tells stands in what all lanes tell of one block: its packet, then its rank.
pub(super) type Turn = (u32, Rank);

/// Pieces of bytes with the place of each. Observations borrow from what they were made of, so what
/// crosses a thread or waits its turn is encoded.
#[derive(Debug)]
pub(super) struct Batch<K> {
    pub(super) entries: Vec<(K, Range<u32>)>,
    pub(super) bytes: Vec<u8>,
}

impl<K> Default for Batch<K> {
    fn default() -> Self {
        Self { entries: Vec::new(), bytes: Vec::new() }
    }
}

impl<K> Batch<K> {
    /// Appends what `write` writes. Nothing is no piece; what would not fit is refused.
    pub(super) fn put(
        &mut self,
        key: K,
        write: impl FnOnce(&mut Vec<u8>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let start = u32::try_from(self.bytes.len()).context(FULL)?;
        write(&mut self.bytes)?;
        let end = u32::try_from(self.bytes.len()).context(FULL)?;
        if start < end {
            self.entries.push((key, start..end));
        }
        Ok(())
    }

    /// The piece at a place of this batch.
    pub(super) fn get(&self, range: &Range<u32>) -> &[u8] {
        self.bytes.get(range.start as usize..range.end as usize).unwrap_or_default()
    }

    /// Makes it empty and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
    }
}

const FULL: &str = "a batch of observations is full";

/// Encodes an Observation.
pub(super) fn encode(observation: &Observation<'_>, bytes: &mut Vec<u8>) -> anyhow::Result<()> {
    let before = std::mem::take(bytes);
    *bytes = postcard::to_extend(observation, before).context("encoding an observation")?;
    Ok(())
}

/// Decodes what [`encode`] wrote.
pub(super) fn decoded(bytes: &[u8]) -> anyhow::Result<Observation<'_>> {
    postcard::from_bytes(bytes).context("decoding an observation")
}

/// Hands on what the lanes told about one block, each in its order, as one lane would have told it.
pub(super) fn in_turn(
    batches: &[Batch<Turn>],
    mut out: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut rest: Vec<_> = batches.iter().map(|batch| batch.entries.iter()).collect();
    let mut due = BinaryHeap::new();
    for (lane, rest) in rest.iter_mut().enumerate() {
        due.extend(rest.next().map(|(turn, range)| Reverse((*turn, lane, range.start, range.end))));
    }
    while let Some(Reverse((_, lane, start, end))) = due.pop() {
        let (Some(batch), Some(rest)) = (batches.get(lane), rest.get_mut(lane)) else { continue };
        out(batch.get(&(start..end)))?;
        let limit = due.peek().map(|Reverse((turn, lane, ..))| (*turn, *lane));
        // Mostly the same lane goes on for a while.
        for (turn, range) in rest.by_ref() {
            if limit.is_some_and(|limit| limit < (*turn, lane)) {
                due.push(Reverse((*turn, lane, range.start, range.end)));
                break;
            }
            out(batch.get(range))?;
        }
    }
    Ok(())
}
