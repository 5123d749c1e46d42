//! What one subject's calls to one far end have in common.

use alloc::boxed::Box;
use alloc::string::String;

use observation::{ConnState, Endpoint, FlowId, FlowKey, LocalSide, Side, Span, Time};
use serde::{Deserialize, Serialize};

use super::rhythm::{Rhythm, Timer, Took};
use crate::flows::{Flow, Protocols, Pulse, has_failed};
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
    pub community_id: Box<str>,
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

    const fn has_failed(&self) -> bool {
        has_failed(self.state)
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

/// All calls of one subject to one far end. Mostly it is one: that takes little room.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Calls {
    /// The first of all, for whoever wants to see one.
    pub first: Call,
    /// Whether the first was taken in as a call, and not for what was said in it.
    taken: Taken,
    /// From the second call on.
    series: Option<Box<Series>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Taken {
    No,
    Yes,
}

/// What many calls have in common.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Series {
    count: u32,
    failed_count: u32,
    /// The hours of the day (UTC) in which it was active, a bit each.
    hours: u32,
    last_opened: Time,
    last_ended: Time,
    rhythm: Rhythm,
    sent: Sizes,
    received: Sizes,
    /// What explained the calls when they were looked at last.
    timer: Option<Timer>,
    /// With whose calls they were looked at.
    together: Together,
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
        Self { first: Call::of(flow, id), taken: Taken::No, series: None }
    }

    /// Takes one more call in.
    pub(crate) fn take(&mut self, flow: &Flow, id: FlowId) -> Ripe {
        if self.series.is_none() && self.taken == Taken::No {
            self.taken = Taken::Yes;
            return if LOOKS.contains(&self.count()) { Ripe::Yes } else { Ripe::No };
        }
        let bytes = (flow.near_bytes, flow.far_bytes);
        let ripe = self.series().take((flow.opened, flow.last), flow.closed, bytes);
        self.lead(flow, id);
        ripe
    }

    /// Takes one more call inside a connection in.
    pub(crate) fn take_pulse(&mut self, flow: &Flow, id: FlowId, pulse: Pulse) -> Ripe {
        let series = self.series();
        series.last_ended = series.last_ended.max(flow.last);
        let ripe = series.accept(pulse.at, (pulse.sent_bytes, pulse.received_bytes));
        self.lead(flow, id);
        ripe
    }

    /// The earliest call leads.
    fn lead(&mut self, flow: &Flow, id: FlowId) {
        if (flow.opened, id) < self.first.order() {
            self.first = Call::of(flow, id);
        }
    }

    /// What many calls have in common, also where there was one so far.
    fn series(&mut self) -> &mut Series {
        let first = (self.taken == Taken::Yes).then_some(&self.first);
        self.series.get_or_insert_with(|| {
            let mut series = Box::<Series>::default();
            if let Some(first) = first {
                let bytes = (first.sent_bytes, first.received_bytes);
                series.take((first.opened, first.ended), first.state, bytes);
            }
            series
        })
    }

    /// Calls that were accepted.
    pub(crate) fn count(&self) -> u32 {
        match &self.series {
            Some(series) => series.count,
            None => u32::from(self.taken == Taken::Yes && !self.first.has_failed()),
        }
    }

    /// Calls that were refused or not answered.
    pub(crate) fn failed_count(&self) -> u32 {
        match &self.series {
            Some(series) => series.failed_count,
            None => u32::from(self.taken == Taken::Yes && self.first.has_failed()),
        }
    }

    pub(crate) fn last_opened(&self) -> Time {
        self.series.as_ref().map_or(self.first.opened, |series| series.last_opened)
    }

    pub(crate) fn last_ended(&self) -> Time {
        self.series.as_ref().map_or(self.first.ended, |series| series.last_ended)
    }

    pub(crate) fn span(&self) -> Span {
        self.last_opened().since(self.first.opened)
    }

    /// When the latest calls began, in order.
    pub(crate) fn starts(&self) -> &[Time] {
        match &self.series {
            Some(series) => series.rhythm.starts(),
            None if self.count() > 0 => core::slice::from_ref(&self.first.opened),
            None => &[],
        }
    }

    /// A timer of its own that explains the calls so far, with so much evidence.
    pub(crate) fn own_timer(&self, least_db: i32) -> Option<Timer> {
        self.series.as_ref()?.rhythm.timer(least_db)
    }

    /// The usual size of what was sent, in bits of its logarithm.
    pub(crate) fn sent_bits(&self) -> f64 {
        match &self.series {
            Some(series) => series.sent.mean_bits(),
            None => self.size_of_one(self.first.sent_bytes),
        }
    }

    /// The same of what was received.
    pub(crate) fn received_bits(&self) -> f64 {
        match &self.series {
            Some(series) => series.received.mean_bits(),
            None => self.size_of_one(self.first.received_bytes),
        }
    }

    fn size_of_one(&self, bytes: u64) -> f64 {
        let mut sizes = Sizes::default();
        (0..self.count()).for_each(|_| sizes.add(bytes));
        sizes.mean_bits()
    }

    /// In how many different hours of the day it was active.
    pub(crate) fn hour_count(&self) -> u32 {
        self.series.as_ref().map_or(1, |series| series.hours.count_ones())
    }

    /// What explained the calls when they were looked at last.
    pub(crate) fn timer(&self) -> Option<Timer> {
        self.series.as_ref()?.timer
    }

    /// With whose calls they were looked at.
    pub(crate) fn together(&self) -> &Together {
        self.series.as_ref().map_or(&Together::Alone, |series| &series.together)
    }

    /// They were looked at. True where that is told of, or was before.
    pub(crate) fn explain(&mut self, timer: Option<Timer>, together: Together) -> bool {
        let is_news = timer.is_some() || together != Together::Alone;
        if !is_news && self.series.is_none() {
            return false;
        }
        let series = self.series();
        let had = core::mem::replace(&mut series.timer, timer).is_some();
        series.together = together;
        had || timer.is_some()
    }

    /// Hardly any call is accepted, and yet it calls on.
    pub(crate) fn mostly_fails(&self) -> bool {
        let (failed, accepted) = (self.failed_count(), self.count());
        failed >= FAILED_COUNT_MIN && u64::from(failed) > 9 * u64::from(accepted)
    }
}

impl Series {
    fn take(
        &mut self,
        (opened, ended): (Time, Time),
        state: Option<ConnState>,
        bytes: (u64, u64),
    ) -> Ripe {
        self.last_ended = self.last_ended.max(ended);
        if has_failed(state) {
            self.last_opened = self.last_opened.max(opened);
            self.failed_count = self.failed_count.saturating_add(1);
            return if FAILED_LOOKS.contains(&self.failed_count) { Ripe::Yes } else { Ripe::No };
        }
        self.accept(opened, bytes)
    }

    fn accept(&mut self, start: Time, (sent, received): (u64, u64)) -> Ripe {
        self.last_opened = self.last_opened.max(start);
        self.count = self.count.saturating_add(1);
        self.sent.add(sent);
        self.received.add(received);
        const HOUR_MS: u64 = 3_600_000;
        self.hours |= 1 << (start.as_millis() / HOUR_MS % 24);
        let took = self.rhythm.call(start);
        if took == Took::Block || LOOKS.contains(&self.count) { Ripe::Yes } else { Ripe::No }
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
