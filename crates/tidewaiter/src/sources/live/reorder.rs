//! Merges what the sources say into one order by (time, flow, order), for a moment's delay.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use observation::{FlowId, Span, Time};

use super::feed::Parcel;

/// How long an Observation may still be overtaken. A packet is up to 3 ms late (the ring's block
/// timeout), a process event up to 7 ms, an inspect as long as it takes.
pub(crate) const REORDER_MS: u64 = 40;
/// Parcels held at most; beyond, the earliest goes on at once. Nothing is lost.
const PARCEL_COUNT_MAX: usize = 1 << 17;
/// A witness whose clock is ahead by more than this is not waited for.
const AHEAD_MAX: Span = Span::from_secs(2);

/// The buffer.
#[derive(Debug, Default)]
pub(crate) struct Reorder {
    heap: BinaryHeap<Reverse<Waiting>>,
    arrival: u64,
}

#[derive(Debug)]
struct Waiting {
    /// Time, flow, order; then arrival, so that equals keep theirs.
    key: (Time, FlowId, u64, u64),
    parcel: Parcel,
}

impl Reorder {
    /// Takes one in; `now` is the wall clock.
    pub(crate) fn push(&mut self, parcel: Parcel, now: Time) {
        self.arrival += 1;
        let due = if parcel.at > now + AHEAD_MAX { now } else { parcel.at };
        let key = (due, parcel.flow, parcel.order, self.arrival);
        self.heap.push(Reverse(Waiting { key, parcel }));
    }

    /// The earliest one that nothing overtakes any more.
    pub(crate) fn pop(&mut self, now: Time) -> Option<Parcel> {
        let due = now - Span::from_millis(REORDER_MS);
        let earliest = self.heap.peek()?;
        if earliest.0.key.0 > due && self.heap.len() <= PARCEL_COUNT_MAX {
            return None;
        }
        self.pop_any()
    }

    /// The earliest one, whatever the time: the sources have ended.
    pub(crate) fn pop_any(&mut self) -> Option<Parcel> {
        self.heap.pop().map(|waiting| waiting.0.parcel)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(at_ms: u64, flow: u64, order: u64) -> Parcel {
        Parcel { at: ms(at_ms), flow: FlowId(flow), order, bytes: Vec::new() }
    }

    fn ms(millis: u64) -> Time {
        Time(millis * 1_000_000)
    }

    #[test]
    fn a_late_witness_is_put_where_it_belongs() {
        let mut reorder = Reorder::default();
        for parcel in [parcel(100, 1, 1), parcel(90, 0, 5), parcel(100, 1, 0)] {
            reorder.push(parcel, ms(101));
        }
        assert!(reorder.pop(ms(101)).is_none());
        let out: Vec<_> = std::iter::from_fn(|| reorder.pop(ms(200))).collect();
        assert_eq!(out, [parcel(90, 0, 5), parcel(100, 1, 0), parcel(100, 1, 1)]);
    }

    #[test]
    fn an_observation_of_the_year_2100_blocks_nobody_and_does_not_stay() {
        let mut reorder = Reorder::default();
        reorder.push(parcel(4_102_444_800_000, 0, 0), ms(100));
        reorder.push(parcel(100, 1, 0), ms(100));
        assert!(reorder.pop(ms(150)).is_some());
        assert!(reorder.pop(ms(150)).is_some());
    }
}
