//! Who calls a subject by a timer: several clients that check in at one of its ports.

use alloc::vec::Vec;

use observation::{Time, Transport};

use super::judge::{CALL_COUNT_MIN, TELLING_DB_MIN};
use super::{Calls, ProfileKey, Timer, Together};
use crate::channel::{ChannelKey, Far, Opening, Verdict};
use crate::context::Context;
use crate::engine::Engine;
use crate::flows::Flow;
use crate::judge::{Keys, id_of, verdict};
use crate::ledger::{Ledger, Owner};
use crate::strategies;

/// What a strategy may ask about those who call one port of a subject.
pub(crate) struct FanIn<'a> {
    pub port: u16,
    /// Callers that were seen again and again.
    pub caller_count: u32,
    /// Those of them that call by a timer of their own.
    pub timer_count: u32,
    /// Those of these that are containers on this machine.
    pub neighbour_count: u32,
    /// The timer that is shown best.
    pub timer: Timer,
    /// Their usual call, in powers of two bytes: asked and answered.
    pub asked_bits: f64,
    pub answered_bits: f64,
    /// Their protocol, where one is known.
    pub protocol: Option<&'a str>,
}

/// Who was called with this flow and has answered.
pub(super) fn called(ledger: &Ledger, flow: &Flow) -> Option<Owner> {
    let has_answered = !flow.is_outgoing()
        && flow.established.is_some()
        && flow.near_bytes > 0
        && flow.far_bytes > 0
        && !flow.asks_names
        && !flow.speech.is_of_names()
        && flow.transport() == Transport::Tcp;
    if !has_answered {
        return None;
    }
    match ledger.owner(&flow.key, flow.local, flow.opened) {
        owner @ Owner::Container(_) => Some(owner),
        Owner::Unnamed(_) | Owner::Host => None,
    }
}

impl Engine {
    /// Looks at the callers that have become ripe.
    pub(super) fn look_at_callers(&mut self, keys: &mut Keys) {
        for key in self.callers.take_ripe() {
            self.look_at_caller(&key, keys);
        }
    }

    /// The input has ended.
    pub(super) fn look_at_all_callers(&mut self, keys: &mut Keys) {
        drop(self.callers.take_ripe());
        for key in self.callers.keys() {
            self.look_at_caller(&key, keys);
        }
    }

    fn look_at_caller(&mut self, key: &ProfileKey, keys: &mut Keys) {
        let Some(calls) = self.callers.get_mut(key) else { return };
        let has_enough = calls.count() >= CALL_COUNT_MIN;
        let timer = if has_enough { calls.own_timer(TELLING_DB_MIN) } else { None };
        if calls.explain(timer, Together::Alone) {
            let far = Far::Callers(key.transport, key.far.port);
            keys.insert(ChannelKey { owner: key.owner, far });
        }
    }

    /// Those who call this port of the subject, by their addresses.
    fn callers_at(&self, key: &ChannelKey) -> Vec<(&ProfileKey, &Calls)> {
        let Far::Callers(transport, port) = key.far else { return Vec::new() };
        let of_owner = self.callers.of_owner(key.owner);
        let mut all: Vec<_> =
            of_owner.filter(|(of, _)| (of.transport, of.far.port) == (transport, port)).collect();
        all.sort_unstable_by_key(|(of, _)| **of);
        all
    }

    /// What the strategies say of all callers of a port together.
    pub(crate) fn judge_callers(&self, key: &ChannelKey) -> Option<(Verdict, Opening)> {
        let Far::Callers(_, port) = key.far else { return None };
        let all = self.callers_at(key);
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let caller_count = count(all.iter().filter(|(_, calls)| calls.count() > 1).count());
        let by_timer = || all.iter().filter(|(_, calls)| calls.timer().is_some());
        let timers = by_timer().filter_map(|(_, calls)| calls.timer());
        let timer = timers.max_by_key(|timer| (timer.evidence_db, timer.period_ms))?;
        let (_, first) = by_timer().min_by_key(|(of, calls)| (calls.first.opened, **of))?;
        let is_neighbour =
            |of: &ProfileKey, at: Time| self.ledger.aliases_at(of.far.address, at).is_some();
        let neighbours = by_timer().filter(|(of, calls)| is_neighbour(of, calls.last_opened()));
        let usual = |bits: fn(&Calls) -> f64| {
            let each = by_timer().map(|(_, calls)| bits(calls));
            each.sum::<f64>() / by_timer().count().max(1) as f64
        };
        let protocols =
            by_timer().filter_map(|(_, calls)| self.flows.protocol_of(calls.first.protocols));
        let fan_in = FanIn {
            port,
            caller_count,
            timer_count: count(by_timer().count()),
            neighbour_count: count(neighbours.count()),
            timer,
            asked_bits: usual(Calls::received_bits),
            answered_bits: usual(Calls::sent_bits),
            protocol: protocols.min(),
        };
        let context = Context::of_accepted_call(&self.ledger, &first.first, key.owner);
        let findings = strategies::judge_callers(&fan_in, &context);
        let opened = first.first.opened;
        let id = id_of(&(first.first.near(), opened), &key.far);
        (!findings.is_empty())
            .then(|| (verdict(findings, context.origin), Opening { at: opened, id }))
    }
}
