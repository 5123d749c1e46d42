//! Looking at profiles: when one is ripe, and all of them in the end.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use observation::{Endpoint, FlowId, Span, Time, Transport};

use super::callers::called;
use super::calls::Together;
use super::rhythm::{START_COUNT_MAX, explain};
use super::sharing::workload;
use super::{Calls, Manner, ProfileKey, Profiles, Shared};
use crate::alert::AlertUpdate;
use crate::baseline::Visit;
use crate::channel::{ChannelKey, Far, Opening};
use crate::context::{Context, Origin};
use crate::engine::Engine;
use crate::evidence::Finding;
use crate::flows::Flow;
use crate::judge::{Keys, id_of};
use crate::ledger::{LATE_MS_MAX, Ledger, Owner};
use crate::session::Obedience;
use crate::strategies;

/// Calls from which on a rhythm is looked for.
pub(super) const CALL_COUNT_MIN: u32 = 5;
/// With less evidence than this nobody has to hear of a rhythm.
pub(super) const TELLING_DB_MIN: i32 = 6;

const _: () = assert!(TELLING_DB_MIN > 0);

/// What a strategy may ask about a profile.
pub(crate) struct Profile<'a> {
    pub calls: &'a Calls,
    pub manner: Manner,
    pub far: Endpoint,
    pub shared: Shared,
    /// Channels of this subject to where hardly anybody else goes: each is a test.
    pub channel_count: u32,
    /// Of these, those that have a timer.
    pub timer_count: u32,
    /// Its protocol, where all its calls have shown one.
    pub protocol: Option<&'a str>,
}

/// Adds a flow to its profile once it is over, and what was said in it.
fn take(
    ledger: &Ledger,
    profiles: &mut Profiles,
    callers: &mut Profiles,
    visits: &mut Vec<Visit>,
    (id, flow): (FlowId, &mut Flow),
) {
    take_pulses(ledger, profiles, visits, (id, flow));
    let Some(flow) = flow.count() else { return };
    if let Some(owner) = caller(ledger, flow) {
        profiles.take(owner, id, flow);
        visits.extend(Visit::of(owner, flow, flow.opened));
    } else if let Some(owner) = called(ledger, flow) {
        callers.take_accepted(owner, id, flow);
    }
}

/// Adds the calls inside a connection.
fn take_pulses(
    ledger: &Ledger,
    profiles: &mut Profiles,
    visits: &mut Vec<Visit>,
    (id, flow): (FlowId, &mut Flow),
) {
    if flow.pulses.is_empty() {
        return;
    }
    let pulses = flow.pulses.take();
    let Some(owner) = caller(ledger, flow) else { return };
    for pulse in pulses {
        visits.extend(Visit::of(owner, flow, pulse.at));
        profiles.take_pulse(owner, id, flow, pulse);
    }
}

/// Who calls somebody with this flow, unless nobody in particular is called.
fn caller(ledger: &Ledger, flow: &Flow) -> Option<Owner> {
    let calls_somebody = flow.is_outgoing()
        && !flow.is_stray()
        && !flow.asks_names
        && !flow.speech.is_of_names()
        && matches!(flow.transport(), Transport::Tcp | Transport::Udp)
        && !is_for_many(flow.far().address);
    if !calls_somebody {
        return None;
    }
    match ledger.owner(&flow.key, flow.local, flow.opened) {
        Owner::Host => None,
        owner => Some(owner),
    }
}

fn is_for_many(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_multicast(),
    }
}

impl Engine {
    /// What ended so long ago that no late word about it can come is counted, and forgotten.
    pub(crate) fn fade(&mut self, out: &mut impl FnMut(AlertUpdate)) {
        let Self { flows, ledger, profiles, callers, .. } = self;
        let mut visits = Vec::new();
        flows.fade(self.clock, &mut |id, flow| {
            take(ledger, profiles, callers, &mut visits, (id, flow));
        });
        self.learn_visits(visits);
        self.look_at_ripe(out);
    }

    /// A flow goes on: what was said in it is counted once its owner is final.
    pub(crate) fn pulse(&mut self, id: FlowId) {
        let late = Span::from_millis(LATE_MS_MAX);
        let Some(flow) = self.flows.latest_mut(id) else { return };
        if !flow.pulses.is_empty() && self.clock.since(flow.opened) > late {
            let mut visits = Vec::new();
            take_pulses(&self.ledger, &mut self.profiles, &mut visits, (id, flow));
            self.learn_visits(visits);
        }
    }

    /// Looks at the profiles that have become ripe.
    pub(crate) fn look_at_ripe(&mut self, out: &mut impl FnMut(AlertUpdate)) {
        if !self.profiles.has_ripe() && !self.callers.has_ripe() {
            return;
        }
        let ripe = self.profiles.take_ripe();
        let mut keys = Keys::new();
        ripe.iter().for_each(|key| self.look_at(key, &mut keys));
        self.look_at_callers(&mut keys);
        self.judge_all(keys, out);
    }

    /// The input has ended: every profile is looked at as it is now.
    pub(crate) fn look_at_all(&mut self, out: &mut impl FnMut(AlertUpdate)) {
        let Self { flows, ledger, profiles, callers, .. } = self;
        let mut visits = Vec::new();
        flows.tell_all(&mut |id, flow| {
            take(ledger, profiles, callers, &mut visits, (id, flow));
        });
        self.learn_visits(visits);
        drop(self.profiles.take_ripe());
        let all = self.profiles.keys();
        let mut keys = Keys::new();
        for key in &all {
            self.look_alone(key, &mut keys);
        }
        let mut seen = BTreeSet::new();
        for key in &all {
            let who = workload(&self.ledger, key.owner);
            if seen.insert((who, key.transport, key.far, key.manner)) {
                self.look_at_passers_by(key, &mut keys);
            }
        }
        let owners: BTreeSet<Owner> = all.iter().map(|key| key.owner).collect();
        owners.into_iter().for_each(|owner| self.look_at_names(owner, &mut keys));
        self.look_at_all_callers(&mut keys);
        self.judge_all(keys, out);
    }

    fn look_at(&mut self, key: &ProfileKey, keys: &mut Keys) {
        let calls = self.profiles.get(key);
        let is_new = calls.is_some_and(|calls| calls.count() == 1);
        // By itself it may look like another timer, or like none.
        let was_of_name = calls.is_some_and(|calls| matches!(calls.together(), Together::Name(_)));
        self.look_alone(key, keys);
        if is_new && self.profiles.is_crowd(key.transport, key.far) {
            self.look_at_passers_by(key, keys);
        }
        if was_of_name || self.profiles.rotates(key.owner) {
            self.look_at_names(key.owner, keys);
        }
    }

    /// The rhythm of one profile by itself.
    fn look_alone(&mut self, key: &ProfileKey, keys: &mut Keys) {
        let Some(calls) = self.profiles.get_mut(key) else { return };
        let has_enough = calls.count() >= CALL_COUNT_MIN;
        let timer = if has_enough { calls.own_timer(TELLING_DB_MIN) } else { None };
        if calls.explain(timer, Together::Alone) || calls.mostly_fails() {
            keys.insert(channel(key));
        }
    }

    /// A train of containers, of which each calls once or twice, may call in a rhythm together.
    fn look_at_passers_by(&mut self, key: &ProfileKey, keys: &mut Keys) {
        let members: Vec<ProfileKey> =
            self.profiles.passers_by(&self.ledger, key).map(|(key, _)| *key).collect();
        self.look_together(&members, Together::Workload, keys);
    }

    /// A name may lead to another address each time.
    fn look_at_names(&mut self, owner: Owner, keys: &mut Keys) {
        let mut by_name: BTreeMap<(String, Transport, u16), Vec<ProfileKey>> = BTreeMap::new();
        let all = self.profiles.of_owner(owner);
        for (key, calls) in all.filter(|(key, _)| key.manner == Manner::Connection) {
            let place = calls.first.place();
            let before = calls.last_opened();
            if let Some(asked) = self.ledger.names_to(place, &key.far.address, before).next() {
                let name = (asked.name.clone(), key.transport, key.far.port);
                by_name.entry(name).or_default().push(*key);
            }
        }
        for ((name, ..), members) in by_name {
            self.look_together(&members, Together::Name(name), keys);
        }
    }

    /// Calls of several profiles, as if they were one's.
    fn look_together(&mut self, members: &[ProfileKey], together: Together, keys: &mut Keys) {
        if members.len() < 2 {
            return;
        }
        let all = members.iter().filter_map(|key| self.profiles.get(key));
        let mut starts: Vec<Time> = all.flat_map(|calls| calls.starts().iter().copied()).collect();
        if starts.len() < CALL_COUNT_MIN as usize {
            return;
        }
        starts.sort_unstable();
        let latest = starts.len().saturating_sub(START_COUNT_MAX);
        let latest = starts.get(latest..).unwrap_or_default();
        let Some(timer) = explain(latest, f64::from(TELLING_DB_MIN)) else { return };
        for key in members {
            let Some(calls) = self.profiles.get_mut(key) else { continue };
            let stronger = calls.timer().filter(|own| own.evidence_db >= timer.evidence_db);
            // Addresses that are called in turn have a timer each, which is the name's.
            if stronger.is_none() || matches!(together, Together::Name(_)) {
                calls.explain(stronger.or(Some(timer)), together.clone());
                keys.insert(channel(key));
            }
        }
    }

    /// What the strategies say of the profile behind a channel.
    pub(crate) fn judge_profile(&self, key: &ChannelKey, obedience: Obedience) -> Option<Told> {
        let Far::Endpoint(transport, far) = key.far else { return None };
        let manners = [Manner::Connection, Manner::Burst];
        let told = manners.into_iter().filter_map(|manner| {
            let key = ProfileKey { owner: key.owner, transport, far, manner };
            self.judge_manner(&key, obedience)
        });
        told.reduce(Told::and)
    }

    fn judge_manner(&self, key: &ProfileKey, obedience: Obedience) -> Option<Told> {
        let calls = self.profiles.get(key)?;
        if calls.timer().is_none() && !calls.mostly_fails() {
            return None;
        }
        let context = Context::of_calls(&self.ledger, &calls.first, calls.last_opened(), key.owner)
            .heeding(obedience);
        let (channel_count, timer_count) = self.profiles.own_counts(key.owner);
        let profile = Profile {
            calls,
            manner: key.manner,
            far: key.far,
            shared: self.profiles.shared(&self.ledger, key),
            channel_count,
            timer_count,
            protocol: self.flows.protocol_of(calls.first.protocols),
        };
        let findings = strategies::judge_profile(&profile, &context);
        let id = id_of(&(calls.first.near(), calls.first.opened), &channel(key).far);
        let opening = Opening { at: calls.first.opened, id };
        (!findings.is_empty()).then_some(Told { findings, origin: context.origin, opening })
    }
}

/// What strategies say of a profile or of conversations, and since when.
pub(crate) struct Told {
    pub findings: Vec<Finding>,
    pub origin: Origin,
    pub opening: Opening,
}

impl Told {
    /// Both together; how it came to run is what the first says.
    pub(crate) fn and(mut self, more: Self) -> Self {
        self.findings.extend(more.findings);
        Self { opening: self.opening.min(more.opening), ..self }
    }
}

const fn channel(key: &ProfileKey) -> ChannelKey {
    ChannelKey { owner: key.owner, far: Far::Endpoint(key.transport, key.far) }
}
