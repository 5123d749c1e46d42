//! When flows have to be looked at again, were no packet to come.
//!
//! A flow has one valid entry, the one at its `timer_at`. A later deadline leaves it alone: the
//! entry is re-checked when it comes up, so that packets do not touch the heap. An earlier one
//! adds an entry and makes the old one void. Void entries are swept before they are the majority.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use observation::Time;

use crate::flow::Slot;

/// Sweeping is not worth it below this many entries.
const SWEEP_COUNT_MIN: usize = 1024;

/// The deadlines of one shard.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<Timer>>,
    swept: usize,
}

/// An entry; valid while the flow in the slot has this serial and this `timer_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer {
    pub at: Time,
    pub slot: Slot,
    pub serial: u32,
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
