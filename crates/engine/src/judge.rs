//! Judging: whose flow it is, which channel it belongs to, and what the strategies say of it.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use observation::{ContainerId, Endpoint, FlowId, Time};
use sha2::{Digest as _, Sha256};

use crate::alert::{AlertId, AlertUpdate};
use crate::alerts::surroundings;
use crate::channel::{ChannelKey, FailedLookup, Far, Opening, Own, Session, Verdict};
use crate::context::Context;
use crate::engine::Engine;
use crate::evidence::{Finding, Sum};
use crate::flows::{Flow, Handle, Keep};
use crate::ledger::{Container, Owner};
use crate::strategies::judge as judge_by_all;

/// What has to be judged anew: flows by time, and a container that may not have run at all.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    flows: BTreeSet<(Time, FlowId, Handle)>,
    pub not_run: Option<ContainerId>,
}

impl Dirty {
    pub(crate) fn insert(&mut self, flow: (Time, FlowId, Handle)) {
        self.flows.insert(flow);
    }
}

type Keys = BTreeSet<ChannelKey>;

impl Engine {
    /// Resolves, judges and tells.
    pub(crate) fn settle(&mut self, dirty: Dirty, out: &mut impl FnMut(AlertUpdate)) {
        if dirty.flows.is_empty() && dirty.not_run.is_none() {
            return;
        }
        let mut keys = Keys::new();
        for (_, _, handle) in dirty.flows {
            self.resolve(handle, &mut keys);
        }
        dirty.not_run.into_iter().for_each(|id| self.look_whether_run(id, &mut keys));
        for key in keys {
            self.judge(&key);
        }
        for gone in self.alerts.settle(&surroundings!(self), out) {
            self.drop_channel(&gone);
        }
        self.alerts.tell(self.clock, &surroundings!(self), out);
    }

    /// Finds the owner of a flow and puts the flow into the channel where it belongs, if the
    /// strategies say anything of it alone: whether they do decides what is remembered, and must
    /// not
    /// depend on what happens to be remembered.
    fn resolve(&mut self, handle: Handle, keys: &mut Keys) {
        let Some(flow) = self.flows.get(handle) else { return };
        let owner = self.ledger.owner(&flow.key, flow.local, flow.opened);
        let own = self.judge_alone(flow, owner);
        let far = Far::Endpoint(flow.transport(), flow.far());
        let (before, keep, opened) = (flow.owner, flow.keep, flow.opened);
        let (asks_names, id) = (flow.asks_names, self.flows.id(handle));
        if keep != Keep::Loose && (before != owner || own.is_none()) {
            let key = ChannelKey { owner: before, far: far.clone() };
            if let Some(channel) = self.channels.get_mut(&key) {
                channel.remove(opened, id, handle);
            }
            self.flows.set_keep(handle, Keep::Loose, self.clock);
            keys.insert(key);
        }
        if let Some(flow) = self.flows.get_mut(handle) {
            flow.owner = owner;
            flow.own = own;
        }
        if asks_names {
            self.look_for_failed_names(handle, before, keys);
        }
        if own.is_none() {
            return;
        }
        let key = ChannelKey { owner, far };
        if self.flows.get(handle).is_some_and(|flow| flow.keep == Keep::Loose) {
            self.make_room_for(&key);
            let channel = self.channels.entry(key.clone()).or_default();
            let count_max = self.limits.flow_per_channel_count_max;
            let evicted = channel.add(opened, id, handle, count_max);
            self.flows.set_keep(handle, Keep::Held, self.clock);
            if let Some(evicted) = evicted {
                self.flows.set_keep(evicted, Keep::Counted, self.clock);
                self.channel_evicted_count = self.channel_evicted_count.saturating_add(1);
            }
        }
        keys.insert(key);
    }

    /// What the strategies say of this flow alone, if it is this owner's.
    fn judge_alone(&self, flow: &Flow, owner: Owner) -> Option<Own> {
        let excused = match owner {
            Owner::Host => true,
            Owner::Container(id) => flow.is_explained() && !self.ledger.has_client(&id),
            Owner::Unnamed(_) => flow.is_explained(),
        };
        if excused || !flow.is_interesting() {
            return None;
        }
        let context = Context::of_flow(&self.ledger, flow, owner);
        let gone = self.gone_since(flow, owner);
        let key = ChannelKey { owner, far: Far::Endpoint(flow.transport(), flow.far()) };
        let findings = judge_by_all(&key, &Session::of(flow, gone), &context);
        if findings.is_empty() {
            return None;
        }
        let sum = Sum::of(&findings, context.origin.prior());
        // A silence accuses only what somebody has started by hand.
        let gone = gone.filter(|_| flow.is_silent());
        let quiet_at = [flow.quiet_at, gone].into_iter().flatten().min();
        let quiet = quiet_at.filter(|_| flow.spoke_at.is_none() || context.is_by_hand());
        let at = match (flow.spoke_at, quiet) {
            (Some(spoke), Some(quiet)) => spoke.min(quiet),
            (spoke, quiet) => spoke.or(quiet).unwrap_or(flow.opened),
        };
        let id = id_of(&(flow.near(), flow.opened), &key.far);
        Some(Own { sum_db: sum.sum_db, origin: context.origin, opening: Opening { at, id } })
    }

    /// When the owner of a flow ended, if it was after the flow began.
    fn gone_since(&self, flow: &Flow, owner: Owner) -> Option<Time> {
        match owner {
            Owner::Container(id) => self.ledger.container(&id)?.ended_since(flow.opened),
            Owner::Unnamed(_) | Owner::Host => None,
        }
    }

    /// Lookups that led nowhere, by a container that was told to go there with a raw client.
    fn look_for_failed_names(&mut self, handle: Handle, before: Owner, keys: &mut Keys) {
        let Some(flow) = self.flows.get(handle) else { return };
        let (place, owner) = (flow.place(), flow.owner);
        for owner in [before, owner] {
            let of_owner = self.channels.range(ChannelKey::lowest(owner)..);
            let names = of_owner
                .take_while(|(key, _)| key.owner == owner)
                .filter(|(key, _)| matches!(key.far, Far::Name(_)));
            keys.extend(names.map(|(key, _)| key.clone()));
        }
        let Owner::Container(id) = owner else { return };
        let Some(container) = self.ledger.container(&id) else { return };
        if !self.ledger.has_client(&id) {
            return;
        }
        let failed: Vec<(String, Time)> = self
            .ledger
            .failed_names(place)
            .filter(|asked| {
                let name = Some(asked.name.as_str());
                Context::of_container(&self.ledger, container, name, asked.first).client.is_some()
            })
            .map(|asked| (asked.name.clone(), asked.first))
            .collect();
        for (name, at) in failed {
            let key = ChannelKey { owner, far: Far::Name(name) };
            self.make_room_for(&key);
            let channel = self.channels.entry(key.clone()).or_default();
            let asked = FailedLookup { at, place, flow: handle };
            channel.asked = Some(channel.asked.map_or(asked, |known| known.min(asked)));
            keys.insert(key);
        }
    }

    /// A container that ended with 127 or never came to run: its image has no such program.
    fn look_whether_run(&mut self, id: ContainerId, keys: &mut Keys) {
        if self.ledger.container(&id).is_some_and(had_no_program) {
            let key = ChannelKey { owner: Owner::Container(id), far: Far::Nobody };
            self.channels.entry(key.clone()).or_default();
            keys.insert(key);
        }
    }

    fn judge(&mut self, key: &ChannelKey) {
        let judged = match &key.far {
            Far::Endpoint(..) => self.judge_flows(key),
            Far::Name(name) => self.judge_name(key, name),
            Far::Nobody => self.judge_nobody(key),
        };
        match judged {
            Some((verdict, opening)) if !verdict.findings.is_empty() => {
                if let Some(channel) = self.channels.get_mut(key) {
                    channel.verdict = Some(verdict);
                    channel.opening = Some(opening);
                }
                self.alerts.accuse(key, opening, &surroundings!(self));
            }
            _ => {
                // Flows that were evicted acquit nobody.
                let lost = self.channels.get(key).is_some_and(|known| !known.is_empty());
                self.drop_channel(key);
                if lost { self.alerts.give_up(key) } else { self.alerts.acquit(key) }
            }
        }
    }

    fn judge_flows(&self, key: &ChannelKey) -> Option<(Verdict, Opening)> {
        let channel = self.channels.get(key)?;
        let (leading, own) = channel.leading(&self.flows)?;
        let opening = channel.earliest(&self.flows)?;
        let context = Context::of_flow(&self.ledger, leading, key.owner);
        let gone = |flow: &Flow| self.gone_since(flow, key.owner);
        let session = channel.session(&self.flows, own.origin, gone);
        let findings = judge_by_all(key, &session, &context);
        Some((verdict(findings, &context), opening))
    }

    fn judge_name(&self, key: &ChannelKey, name: &str) -> Option<(Verdict, Opening)> {
        let Owner::Container(id) = key.owner else { return None };
        let container = self.ledger.container(&id)?;
        let asked = self.channels.get(key)?.asked?;
        let is_others = self.flows.get(asked.flow).is_some_and(|flow| flow.owner != key.owner);
        let has_failed = self.ledger.failed_names(asked.place).any(|failed| failed.name == name);
        if is_others || !has_failed {
            return None;
        }
        let context = Context::of_container(&self.ledger, container, Some(name), asked.at);
        let findings = judge_by_all(key, &Session::default(), &context);
        let near = Endpoint { address: asked.place.address, port: 0 };
        let id = id_of(&(near, asked.at), &key.far);
        Some((verdict(findings, &context), Opening { at: asked.at, id }))
    }

    fn judge_nobody(&self, key: &ChannelKey) -> Option<(Verdict, Opening)> {
        let Owner::Container(id) = key.owner else { return None };
        let container = self.ledger.container(&id)?;
        if !had_no_program(container) {
            return None;
        }
        let at = container.created().or(container.gone()).unwrap_or_default();
        let context = Context::of_container(&self.ledger, container, None, at);
        let findings = judge_by_all(key, &Session::default(), &context);
        let id = id_of(&(id, at), &key.far);
        Some((verdict(findings, &context), Opening { at, id }))
    }

    /// A subject that is accused of too many far ends loses the oldest of its weakest accusations.
    fn make_room_for(&mut self, key: &ChannelKey) {
        if self.channels.contains_key(key) {
            return;
        }
        let of_owner = self.channels.range(ChannelKey::lowest(key.owner)..);
        let mut count = 0;
        let mut victim = None;
        for (known, channel) in of_owner.take_while(|(known, _)| known.owner == key.owner) {
            count += 1;
            let sum_db = channel.verdict.as_ref().map_or(i16::MIN, |verdict| verdict.sum.sum_db);
            let weight = (sum_db, channel.opening);
            if victim.as_ref().is_none_or(|(least, _)| weight < *least) {
                victim = Some((weight, known.clone()));
            }
        }
        if count >= self.limits.channel_per_owner_count_max
            && let Some((_, victim)) = victim
        {
            self.channel_evicted_count = self.channel_evicted_count.saturating_add(1);
            self.drop_channel(&victim);
            self.alerts.give_up(&victim);
        }
    }

    fn drop_channel(&mut self, key: &ChannelKey) {
        let Some(channel) = self.channels.remove(key) else { return };
        for handle in channel.handles() {
            self.flows.set_keep(handle, Keep::Counted, self.clock);
        }
    }
}

fn had_no_program(container: &Container) -> bool {
    const NO_SUCH_PROGRAM: i32 = 127;
    container.exit_code() == Some(NO_SUCH_PROGRAM) || container.never_ran()
}

fn verdict(findings: Vec<Finding>, context: &Context<'_>) -> Verdict {
    let sum = Sum::of(&findings, context.origin.prior());
    Verdict { findings, sum }
}

/// The id is a hash of who, whom and when: a replay gives the same one.
fn id_of(who_and_when: &impl serde::Serialize, far: &Far) -> AlertId {
    let parts = postcard::to_allocvec(&(who_and_when, far)).unwrap_or_default();
    let digest: [u8; 32] = Sha256::digest(parts).into();
    let mut id = [0_u8; 16];
    id.copy_from_slice(digest.get(..16).unwrap_or(&[0; 16]));
    AlertId(u128::from_be_bytes(id))
}
