//! When flows have to be looked at again, in ticks: many flows share one.

use alloc::collections::BTreeMap;
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
    /// By tick, and within it in the order in which they were set.
    ticks: BTreeMap<(u64, u64), Handle>,
    set_count: u64,
    /// From this many on, those of flows that are gone are thrown out.
    sweep_at: usize,
}

/// Sweeping fewer is not worth the walk.
const SWEEP_COUNT_MIN: usize = 4096;

impl Timers {
    /// Sets a timer. `is_alive` says which flows there still are: timers are not taken back, so
    /// that those of evicted flows have to be thrown out when they are many.
    pub(crate) fn set(&mut self, at: Time, handle: Handle, is_alive: impl Fn(Handle) -> bool) {
        self.ticks.insert((at.0.div_ceil(TICK), self.set_count), handle);
        self.set_count = self.set_count.wrapping_add(1);
        if self.ticks.len() < self.sweep_at.max(SWEEP_COUNT_MIN) {
            return;
        }
        self.ticks.retain(|_, handle| is_alive(*handle));
        self.sweep_at = self.ticks.len().saturating_mul(2);
    }

    /// When the next one fires.
    pub(crate) fn next(&self) -> Time {
        let first = self.ticks.first_key_value();
        first.map_or(Time::NEVER, |((tick, _), _)| Time(tick.saturating_mul(TICK)))
    }

    /// Those that fire by `clock`.
    pub(crate) fn due(&mut self, clock: Time) -> Vec<Handle> {
        let mut due = Vec::new();
        while self.next() <= clock
            && let Some((_, handle)) = self.ticks.pop_first()
        {
            due.push(handle);
        }
        due
    }

    /// Takes one out that is set for the earliest tick.
    pub(crate) fn take_first(&mut self) -> Option<Handle> {
        self.ticks.pop_first().map(|(_, handle)| handle)
    }
}
