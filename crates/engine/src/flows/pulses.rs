//! Calls inside a connection that stays open: what its opener says after a silence.

use alloc::vec::Vec;

use observation::{Burst, Side, Span, Time};
use serde::{Deserialize, Serialize};

/// Whoever speaks after so long a silence has something new to say.
const SILENCE_MS_MIN: u64 = 1_000;
/// Until it is known whose they are, so many wait: more than fit into that time.
const WAITING_COUNT_MAX: usize = 32;

/// One call inside a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pulse {
    pub at: Time,
    pub sent_bytes: u64,
    /// What had come in since the call before.
    pub received_bytes: u64,
}

/// The calls inside one connection that no profile has taken in yet.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Pulses {
    waiting: Vec<Pulse>,
    received_bytes: u64,
}

impl Pulses {
    /// Notes a burst if it breaks a silence.
    pub(super) fn observe(&mut self, burst: &Burst<'_>, near: Side) {
        if burst.side != near {
            self.received_bytes = self.received_bytes.saturating_add(burst.bytes);
            return;
        }
        let is_call = burst.index > 0 && burst.pause_before >= Span::from_millis(SILENCE_MS_MIN);
        if is_call && self.waiting.len() < WAITING_COUNT_MAX {
            let received_bytes = core::mem::take(&mut self.received_bytes);
            self.waiting.push(Pulse { at: burst.start, sent_bytes: burst.bytes, received_bytes });
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Pulse> {
        core::mem::take(&mut self.waiting)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
