//! When flows have to be looked at again, were no packet to come.
//!
//! A flow has one valid entry, the one at its `timer_at`. A later deadline leaves it alone: the
//! entry is re-checked when it comes up, so that packets do not touch the heap. An earlier one
//! adds an entry and makes the old one void. Void entries are swept before they are the majority.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use observation::Time;

use crate::flow::Slot;
use crate::shard::{SHARD_COUNT, Shard};

/// Sweeping is not worth it below this many entries.
const SWEEP_COUNT_MIN: usize = 1024;

/// The deadlines of one shard.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<Timer>>,
    swept: usize,
}

/// An entry; valid while the flow in the slot has this serial and this `timer_at`. Of two at the
/// same time that of the older flow comes first: slots depend on what else the lane holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer {
    pub at: Time,
    pub serial: u32,
    pub slot: Slot,
}

impl Timers {
    pub(crate) fn push(&mut self, timer: Timer) {
        self.heap.push(Reverse(timer));
    }

    /// When the earliest entry comes up.
    pub(crate) fn next(&self) -> Time {
        self.heap.peek().map_or(Time::NEVER, |Reverse(timer)| timer.at)
    }

    /// The earliest entry, where it is due.
    pub(crate) fn due(&mut self, to: Time) -> Option<Timer> {
        if self.next() > to {
            return None;
        }
        self.heap.pop().map(|Reverse(timer)| timer)
    }

    /// Drops void entries when there may be many.
    pub(crate) fn sweep(&mut self, is_valid: impl Fn(&Timer) -> bool) {
        if self.heap.len() < SWEEP_COUNT_MIN.max(self.swept * 2) {
            return;
        }
        self.heap.retain(|Reverse(timer)| is_valid(timer));
        self.swept = self.heap.len();
    }
}

const GROUP_COUNT: usize = 8;
const GROUP_SHARD_COUNT: usize = SHARD_COUNT as usize / GROUP_COUNT;

/// When each shard has something due, and which one is first: asked for every packet.
#[derive(Debug)]
pub(crate) struct Dues {
    groups: [[Time; GROUP_SHARD_COUNT]; GROUP_COUNT],
    firsts: [Time; GROUP_COUNT],
    first: Time,
}

impl Dues {
    pub(crate) const fn new() -> Self {
        Self {
            groups: [[Time::NEVER; GROUP_SHARD_COUNT]; GROUP_COUNT],
            firsts: [Time::NEVER; GROUP_COUNT],
            first: Time::NEVER,
        }
    }

    pub(crate) fn set(&mut self, shard: Shard, at: Time) {
        let place = usize::from(shard.0);
        let Some(group) = self.groups.get_mut(place / GROUP_SHARD_COUNT) else { return };
        let Some(due) = group.get_mut(place % GROUP_SHARD_COUNT) else { return };
        if *due == at {
            return;
        }
        *due = at;
        let least = group.iter().copied().min().unwrap_or(Time::NEVER);
        if let Some(first) = self.firsts.get_mut(place / GROUP_SHARD_COUNT) {
            *first = least;
        }
        self.first = self.firsts.iter().copied().min().unwrap_or(Time::NEVER);
    }

    /// The first shard that has something due until then, and when.
    pub(crate) fn first(&self, to: Time) -> Option<(Time, Shard)> {
        if self.first > to || self.first == Time::NEVER {
            return None;
        }
        let mut shards = (0..SHARD_COUNT).zip(self.groups.as_flattened());
        let (shard, at) = shards.find(|(_, at)| **at == self.first)?;
        Some((*at, Shard(shard)))
    }
}
