//! What one subject's calls to one far end have in common.

use alloc::string::String;

use observation::{ConnState, Endpoint, FlowId, FlowKey, LocalSide, Side, Span, Time};
use serde::{Deserialize, Serialize};

use super::rhythm::{Rhythm, Timer, Took};
use crate::flows::{Flow, Protocols, Pulse};
use crate::ledger::{Place, near_side};

/// One call, as far as an alert shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Call {
    pub flow: FlowId,
    pub key: FlowKey,
    pub local: LocalSide,
    pub opened: Time,
    pub ended: Time,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub state: Option<ConnState>,
    pub protocols: Protocols,
    pub community_id: String,
}

impl Call {
    pub(crate) fn of(flow: &Flow, id: FlowId) -> Self {
        Self {
            flow: id,
            key: flow.key,
            local: flow.local,
            opened: flow.opened,
            ended: flow.last,
            sent_bytes: flow.near_bytes,
            received_bytes: flow.far_bytes,
            state: flow.closed,
            protocols: flow.protocols,
            community_id: flow.community_id.clone(),
        }
    }

    /// Calls in the order of time.
    const fn order(&self) -> (Time, FlowId) {
        (self.opened, self.flow)
    }

    pub(crate) const fn place(&self) -> Place {
        Place::of(&self.key, self.local)
    }

    pub(crate) const fn near(&self) -> Endpoint {
        match near_side(self.local) {
            Side::Originator => self.key.originator,
            Side::Responder => self.key.responder,
        }
    }

    pub(crate) const fn far(&self) -> Endpoint {
        match near_side(self.local) {
            Side::Originator => self.key.responder,
            Side::Responder => self.key.originator,
        }
    }
}

/// Sizes, as the sum of their logarithms: whole numbers, so that it does not depend on the order in
/// which they are added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sizes {
    count: u32,
    sum: u64,
}

/// Logarithms are to the base 2, in so many parts.
const PARTS: f64 = 256.0;

impl Sizes {
    pub(crate) fn add(&mut self, bytes: u64) {
        let log = log2_parts(bytes.saturating_add(1));
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(log);
    }

    /// The base-2 logarithm of the usual size.
    pub(crate) fn mean_bits(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / f64::from(self.count) / PARTS }
    }
}

/// The base-2 logarithm in 256ths, linear between powers of two: no floats where rows come fast.
fn log2_parts(value: u64) -> u64 {
    let whole = value.max(1).ilog2();
    let rest = if whole >= 8 { value >> (whole - 8) } else { value << (8 - whole) };
    u64::from(whole) * 256 + (rest & 255)
}

/// All calls of one subject to one far end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Calls {
    /// Calls that were accepted.
    pub count: u32,
    /// Calls that were refused or not answered.
    pub failed_count: u32,
    /// The first of all, for whoever wants to see one.
    pub first: Call,
    pub last_opened: Time,
    pub last_ended: Time,
    pub rhythm: Rhythm,
    pub sent: Sizes,
    pub received: Sizes,
    /// The hours of the day (UTC) in which it was active, a bit each.
    hours: u32,
    /// Calls of which a protocol is known.
    pub identified_count: u32,
    /// What explained the calls when they were looked at last.
    pub timer: Option<Timer>,
    /// With whose calls they were looked at.
    pub together: Together,
}

/// Whose calls make a rhythm together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Together {
    /// One subject's to one far end.
    #[default]
    Alone,
    /// Those of a workload's containers that call once or twice each.
    Workload,
    /// One subject's to all addresses of a name.
    Name(String),
}

/// Whether a channel should be looked at now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ripe {
    Yes,
    No,
}

/// A channel is looked at after so many calls, and after each block of its rhythm.
const LOOKS: [u32; 13] = [1, 5, 6, 7, 8, 10, 12, 16, 24, 32, 48, 64, 96];
/// And after so many failures.
const FAILED_LOOKS: [u32; 3] = [FAILED_COUNT_MIN, 32, 256];
/// A call or two may fail anywhere.
const FAILED_COUNT_MIN: u32 = 10;

impl Calls {
    pub(crate) fn new(flow: &Flow, id: FlowId) -> Self {
        Self {
            count: 0,
            failed_count: 0,
            first: Call::of(flow, id),
            last_opened: flow.opened,
            last_ended: flow.last,
            rhythm: Rhythm::default(),
            sent: Sizes::default(),
            received: Sizes::default(),
            hours: 0,
            identified_count: 0,
            timer: None,
            together: Together::Alone,
        }
    }

    /// Takes one more call inside a connection in.
    pub(crate) fn take_pulse(&mut self, flow: &Flow, id: FlowId, pulse: Pulse) -> Ripe {
        if (flow.opened, id) < self.first.order() {
            self.first = Call::of(flow, id);
        }
        self.last_ended = self.last_ended.max(flow.last);
        self.accept(flow, pulse.at, (pulse.sent_bytes, pulse.received_bytes))
    }

    /// Takes one more call in.
    pub(crate) fn take(&mut self, flow: &Flow, id: FlowId) -> Ripe {
        if (flow.opened, id) < self.first.order() {
            self.first = Call::of(flow, id);
        }
        self.last_ended = self.last_ended.max(flow.last);
        if flow.has_failed() {
            self.last_opened = self.last_opened.max(flow.opened);
            self.failed_count = self.failed_count.saturating_add(1);
            return if FAILED_LOOKS.contains(&self.failed_count) { Ripe::Yes } else { Ripe::No };
        }
        self.accept(flow, flow.opened, (flow.near_bytes, flow.far_bytes))
    }

    fn accept(&mut self, flow: &Flow, start: Time, (sent, received): (u64, u64)) -> Ripe {
        self.last_opened = self.last_opened.max(start);
        self.count = self.count.saturating_add(1);
        let is_identified = u32::from(!flow.protocols.is_empty());
        self.identified_count = self.identified_count.saturating_add(is_identified);
        self.sent.add(sent);
        self.received.add(received);
        const HOUR_MS: u64 = 3_600_000;
        self.hours |= 1 << (start.as_millis() / HOUR_MS % 24);
        let took = self.rhythm.call(start);
        if took == Took::Block || LOOKS.contains(&self.count) { Ripe::Yes } else { Ripe::No }
    }

    pub(crate) fn span(&self) -> Span {
        self.last_opened.since(self.first.opened)
    }

    /// In how many different hours of the day it was active.
    pub(crate) const fn hour_count(&self) -> u32 {
        self.hours.count_ones()
    }

    /// Hardly any call is accepted, and yet it calls on.
    pub(crate) const fn mostly_fails(&self) -> bool {
        self.failed_count >= FAILED_COUNT_MIN && self.failed_count as u64 > 9 * self.count as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_by_their_logarithm() {
        let mut sizes = Sizes::default();
        [1023, 1023, 4095, 4095].iter().for_each(|bytes| sizes.add(*bytes));
        assert!((sizes.mean_bits() - 11.0).abs() < 0.01, "{}", sizes.mean_bits());
    }

    #[test]
    fn the_order_of_sizes_does_not_matter() {
        let of = |all: &[u64]| {
            let mut sizes = Sizes::default();
            all.iter().for_each(|bytes| sizes.add(*bytes));
            sizes
        };
        assert_eq!(of(&[0, 7, u64::MAX, 300]), of(&[300, u64::MAX, 7, 0]));
    }
}
