//! The order in which Observations reach the engine: by time, then flow, then their own order.

use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

use anyhow::Context;
use observation::{FlowId, Observation, SourceId, Time};

/// What Observations are sorted by. The witness comes last: two logs may number alike.
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

/// Observations in their encoded form, with the place of each. They borrow from what they were
/// made of, so what crosses a thread or waits its turn is encoded.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<(Key, Range<u32>)>,
    pub(super) bytes: Vec<u8>,
}

impl Batch {
    /// Appends one Observation. What cannot be encoded, or would not fit, is refused.
    pub(super) fn put(&mut self, observation: &Observation<'_>) -> anyhow::Result<()> {
        let start = u32::try_from(self.bytes.len()).context("a batch of observations is full")?;
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(observation, bytes).context("encoding an observation")?;
        let end = u32::try_from(self.bytes.len()).context("a batch of observations is full")?;
        self.entries.push((Key::of(observation), start..end));
        Ok(())
    }

    /// The encoded Observation at a place of this batch.
    pub(super) fn get(&self, range: &Range<u32>) -> &[u8] {
        self.bytes.get(range.start as usize..range.end as usize).unwrap_or_default()
    }
}

/// Decodes what a batch holds.
pub(super) fn decoded(bytes: &[u8]) -> anyhow::Result<Observation<'_>> {
    postcard::from_bytes(bytes).context("decoding an observation")
}

/// Observations from the lanes that still wait for slower ones.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<(Key, Rc<Batch>, Range<u32>)>,
}

impl Queue {
    /// Lines up what the lanes told about one block.
    pub(super) fn put(&mut self, batches: impl IntoIterator<Item = Batch>) {
        for batch in batches {
            let batch = Rc::new(batch);
            let entries = batch.entries.iter();
            self.waiting
                .extend(entries.map(|(key, range)| (*key, Rc::clone(&batch), range.clone())));
        }
        // Nearly sorted already, which the standard sort takes advantage of; it is stable, and
        // equal keys can only come from one lane.
        self.waiting.make_contiguous().sort_by_key(|(key, _, _)| *key);
    }

    /// How many wait, and the time of the last.
    pub(super) fn extent(&self) -> (usize, Option<Time>) {
        (self.waiting.len(), self.waiting.back().map(|(key, _, _)| key.at))
    }

    /// The place of the first that waits.
    pub(super) fn first(&self) -> Option<Key> {
        self.waiting.front().map(|(key, _, _)| *key)
    }

    /// Takes the first that waits.
    pub(super) fn take(&mut self) -> Option<(Rc<Batch>, Range<u32>)> {
        self.waiting.pop_front().map(|(_, batch, range)| (batch, range))
    }
}
