//! When flows have to be looked at again, in ticks: many flows share one.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use observation::Time;
use serde::{Deserialize, Serialize};

use crate::flows::Handle;

/// A timer fires at the first multiple of this at or after its time, so that the time at which it
/// fires follows from the time that was asked for and from nothing else.
const TICK_MS: u64 = 100;
const TICK: u64 = TICK_MS * 1_000_000;

/// Timers of flows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Timers {
    /// By tick, and within it in the order in which they were set. No tick is without any.
    ticks: BTreeMap<u64, VecDeque<Handle>>,
    count: usize,
    /// From this many on, those of flows that are gone are thrown out.
    sweep_at: usize,
}

/// Sweeping fewer is not worth the walk.
const SWEEP_COUNT_MIN: usize = 4096;

impl Timers {
    /// Sets a timer. `is_alive` says which flows there still are: timers are not taken back, so
    /// that those of evicted flows have to be thrown out when they are many.
    pub(crate) fn set(&mut self, at: Time, handle: Handle, is_alive: impl Fn(Handle) -> bool) {
        self.ticks.entry(at.0.div_ceil(TICK)).or_default().push_back(handle);
        self.count += 1;
        if self.count < self.sweep_at.max(SWEEP_COUNT_MIN) {
            return;
        }
        self.ticks.retain(|_, handles| {
            handles.retain(|handle| is_alive(*handle));
            !handles.is_empty()
        });
        self.count = self.ticks.values().map(VecDeque::len).sum();
        self.sweep_at = self.count.saturating_mul(2);
    }

    /// When the next one fires.
    pub(crate) fn next(&self) -> Time {
        let first = self.ticks.first_key_value();
        first.map_or(Time::NEVER, |(tick, _)| Time(tick.saturating_mul(TICK)))
    }

    /// Those that fire by `clock`.
    pub(crate) fn due(&mut self, clock: Time) -> Vec<Handle> {
        let mut due = Vec::new();
        while self.next() <= clock
            && let Some((_, handles)) = self.ticks.pop_first()
        {
            self.count -= handles.len();
            due.extend(handles);
        }
        due
    }

    /// Takes one out that is set for the earliest tick.
    pub(crate) fn take_first(&mut self) -> Option<Handle> {
        let mut first = self.ticks.first_entry()?;
        let handle = first.get_mut().pop_front();
        if first.get().is_empty() {
            first.remove();
        }
        self.count -= usize::from(handle.is_some());
        handle
    }
}
