//! Judging: whose flow it is, which channel it belongs to, and what the strategies say of it.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use observation::{ContainerId, Endpoint, Time};
use sha2::{Digest as _, Sha256};

use crate::alert::{AlertId, AlertUpdate};
use crate::alerts::surroundings;
use crate::channel::{Channel, ChannelKey, FailedLookup, Far, Opening, Own, Verdict, weight};
use crate::context::{Context, Origin};
use crate::dirty::Dirty;
use crate::engine::Engine;
use crate::evidence::{Finding, Sum, joined};
use crate::flows::{Flow, Handle, Keep};
use crate::ledger::{Container, Owner};
use crate::profiles::Told;
use crate::session::{Obedience, Session};
use crate::strategies::{judge as judge_by_all, judge_listed as listed_findings};

/// Channels that have to be judged.
pub(crate) type Keys = BTreeSet<ChannelKey>;

impl Engine {
    /// Judges at once where somebody looks on; else what was said in flows is gathered first.
    pub(crate) fn settle_in_time(&mut self, mut dirty: Dirty, out: &mut impl FnMut(AlertUpdate)) {
        if !self.alerts.are_followed_live() {
            self.gathered.gather(&mut dirty, self.clock);
        }
        self.settle(dirty, out);
        if self.gathered.due() <= self.clock {
            self.settle_gathered(out);
        }
    }

    /// Judges what was gathered.
    pub(crate) fn settle_gathered(&mut self, out: &mut impl FnMut(AlertUpdate)) {
        let gathered = core::mem::take(&mut self.gathered);
        self.settle(gathered, out);
    }

    /// Resolves, judges and tells.
    pub(crate) fn settle(&mut self, dirty: Dirty, out: &mut impl FnMut(AlertUpdate)) {
        if dirty.is_empty() {
            return;
        }
        let dirty = dirty.in_order();
        let mut keys = Keys::new();
        for (_, _, handle) in dirty.flows {
            self.resolve(handle, &mut keys);
        }
        dirty.domains.into_iter().for_each(|key| self.look_at_domain(key, &mut keys));
        dirty.surveys.into_iter().for_each(|place| self.look_at_survey(place, &mut keys));
        for id in dirty.containers {
            self.look_at_domains_of(id, &mut keys);
            let things = self.ledger.things_of(id);
            self.look_at_surveys_of(&things, &mut keys);
            self.look_whether_run(id, &mut keys);
        }
        self.judge_all(keys, out);
    }

    pub(crate) fn judge_all(&mut self, keys: Keys, out: &mut impl FnMut(AlertUpdate)) {
        for key in keys {
            self.judge(&key);
        }
        for gone in self.alerts.settle(&surroundings!(self), out) {
            self.drop_channel(&gone);
            self.give_up_domain(&gone);
        }
        self.follow_fewer(out);
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
        let far = Far::of(flow);
        let (before, keep, opened) = (flow.owner, flow.keep, flow.opened);
        let (asks_names, id) = (flow.asks_names, self.flows.id(handle));
        if keep != Keep::Loose && (before != owner || own.is_none()) {
            let key = ChannelKey { owner: before, far: far.clone() };
            if let Some(channel) = self.channels.get_mut(&key) {
                channel.remove(&(opened, id, handle));
            }
            self.flows.set_keep(handle, Keep::Loose, self.clock);
            keys.insert(key);
        }
        if let Some(flow) = self.flows.get_mut(handle) {
            flow.owner = owner;
            flow.own = own.map(Box::new);
        }
        if asks_names {
            self.move_listings(handle, before, owner, keys);
            self.look_for_failed_names(handle, before, keys);
        }
        let Some(own) = own else { return };
        let key = ChannelKey { owner, far };
        self.hold(&key, (opened, id, handle), own.weight);
        keys.insert(key);
    }

    /// What the strategies say of this flow alone, if it is this owner's.
    fn judge_alone(&self, flow: &Flow, owner: Owner) -> Option<Own> {
        let is_plain = flow.is_explained() && !flow.is_odd();
        let excused = match owner {
            Owner::Host => true,
            Owner::Container(id) => is_plain && !self.ledger.has_client(&id),
            Owner::Unnamed(_) => is_plain,
        };
        if excused || flow.is_stray() || !flow.is_interesting() {
            return None;
        }
        let context = Context::of_flow(&self.ledger, flow, owner).listing(flow.listed.as_deref());
        let gone = self.gone_since(flow, owner);
        let key = ChannelKey { owner, far: Far::of(flow) };
        let session = Session::of(flow, gone);
        let findings = judge_by_all(&key, &session, &context.heeding(session.obedience()));
        if findings.is_empty() {
            return None;
        }
        let (findings, sum_db) = joined(in_order(findings));
        let weight = weight(&findings, sum_db);
        // A silence accuses only what somebody has started by hand.
        let gone = gone.filter(|_| flow.is_silent());
        let quiet_at = [flow.quiet_at, gone].into_iter().flatten().min();
        let quiet = quiet_at.filter(|_| flow.spoke_at.is_none() || context.is_by_hand());
        let times = [flow.spoke_at, flow.odd_at, quiet];
        let at = times.into_iter().flatten().min().unwrap_or(flow.opened);
        let id = id_of(&(flow.near(), flow.opened), &key.far);
        let origin = context.origin;
        Some(Own { sum_db, weight, origin, opening: Opening { at, id } })
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
        let has_word = |it: &Container| had_no_program(it) || it.listed().is_some();
        if self.ledger.container(&id).is_some_and(has_word) {
            let key = ChannelKey { owner: Owner::Container(id), far: Far::Nobody };
            self.channels.entry(key.clone()).or_default();
            keys.insert(key);
        }
    }

    fn judge(&mut self, key: &ChannelKey) {
        let judged = match &key.far {
            Far::Endpoint(..) | Far::Caller(..) => self.judge_calls(key),
            Far::Name(name) => self.judge_name(key, name),
            Far::Callers(..) => self.judge_callers(key),
            Far::Nobody => self.judge_nobody(key),
            Far::Domain(name) => self.judge_domain(key, name).map(|(verdict, opening, seen)| {
                self.channel_of_domain(key).looked_up = Some(seen);
                (verdict, opening)
            }),
            Far::Many => self.judge_survey(key).map(|(verdict, opening, seen)| {
                self.channel_of_domain(key).looked_up = Some(seen);
                (verdict, opening)
            }),
        };
        let is_quiet = judged
            .as_ref()
            .is_some_and(|(verdict, _)| verdict.is_faint() || self.is_part_of_survey(key, verdict));
        match judged {
            Some((mut verdict, opening)) if !is_quiet => {
                self.weigh(key, &mut verdict);
                self.make_room_for(key);
                self.channels.entry(key.clone()).or_default();
                if let Some(channel) = self.channels.get_mut(key) {
                    channel.verdict = Some(verdict);
                    channel.opening = Some(opening);
                }
                self.alerts.accuse(key, opening, &surroundings!(self));
            }
            // It is remembered for what may come to it.
            _ if is_quiet && self.channels.get(key).is_some_and(|known| !known.is_empty()) => {
                self.keep_quiet(key);
            }
            _ => {
                // Flows that were evicted acquit nobody.
                let lost = match &key.far {
                    Far::Domain(name) => self.lookups.of_owner(key.owner, name).next().is_none(),
                    Far::Many => self.surveys.of_owner(key.owner).next().is_none(),
                    _ => self.channels.get(key).is_some_and(|known| !known.is_empty()),
                };
                self.drop_channel(key);
                if lost { self.alerts.give_up(key) } else { self.alerts.acquit(key) }
            }
        }
        if let Some(channel) = self.channels.get_mut(key) {
            channel.judged_at = self.clock;
        }
    }

    fn channel_of_domain(&mut self, key: &ChannelKey) -> &mut Channel {
        self.make_room_for(key);
        self.channels.entry(key.clone()).or_default()
    }

    /// What its conversations say, and what all its calls say together.
    fn judge_calls(&self, key: &ChannelKey) -> Option<(Verdict, Opening)> {
        let (heard, obedience) = self.judge_flows(key).unzip();
        let profile = self.judge_profile(key, obedience.unwrap_or(Obedience::Unseen));
        let Told { findings, origin, opening } =
            heard.into_iter().chain(profile).reduce(Told::and)?;
        Some((verdict(findings, origin), opening))
    }

    fn judge_flows(&self, key: &ChannelKey) -> Option<(Told, Obedience)> {
        let channel = self.channels.get(key)?;
        let (leading, own) = channel.leading(&self.flows)?;
        let opening = channel.earliest(&self.flows)?;
        let listed = channel.flows(&self.flows).filter_map(|flow| flow.listed.as_deref());
        let strongest = listed.reduce(|best, next| if next.outweighs(best) { next } else { best });
        let context = Context::of_flow(&self.ledger, leading, key.owner).listing(strongest);
        let gone = |flow: &Flow| self.gone_since(flow, key.owner);
        let session = channel.session(&self.flows, own.origin, gone);
        let obedience = session.obedience();
        let findings = judge_by_all(key, &session, &context.heeding(obedience));
        let told = Told { findings, origin: context.origin, opening };
        (!told.findings.is_empty()).then_some((told, obedience))
    }

    fn judge_name(&self, key: &ChannelKey, name: &str) -> Option<(Verdict, Opening)> {
        self.judge_failed_name(key, name).or_else(|| self.judge_listed_name(key, name))
    }

    /// What is said of a name alone that a feed lists, wherever it leads.
    fn judge_listed_name(&self, key: &ChannelKey, name: &str) -> Option<(Verdict, Opening)> {
        let listing = self.channels.get(key)?.listing.as_deref()?;
        let (listed, lookup) = (Some(&listing.listed), &listing.lookup);
        let context = Context::of_lookup(&self.ledger, lookup, name, key.owner).listing(listed);
        let findings = listed_findings(&context);
        let near = Endpoint { port: 0, ..lookup.key.originator };
        let id = id_of(&(near, listing.listed.at), &key.far);
        Some((verdict(findings, context.origin), Opening { at: listing.listed.at, id }))
    }

    fn judge_failed_name(&self, key: &ChannelKey, name: &str) -> Option<(Verdict, Opening)> {
        let Owner::Container(id) = key.owner else { return None };
        let container = self.ledger.container(&id)?;
        let asked = self.channels.get(key)?.asked?;
        let is_others = self.flows.get(asked.flow).is_some_and(|flow| flow.owner != key.owner);
        let has_failed = self.ledger.failed_names(asked.place).any(|failed| failed.name == name);
        if is_others || !has_failed {
            return None;
        }
        let listing = self.channels.get(key)?.listing.as_deref();
        let context = Context::of_container(&self.ledger, container, Some(name), asked.at)
            .listing(listing.map(|listing| &listing.listed));
        let findings = judge_by_all(key, &Session::default(), &context);
        let near = Endpoint { address: asked.place.address, port: 0 };
        let id = id_of(&(near, asked.at), &key.far);
        Some((verdict(findings, context.origin), Opening { at: asked.at, id }))
    }

    fn judge_nobody(&self, key: &ChannelKey) -> Option<(Verdict, Opening)> {
        let Owner::Container(id) = key.owner else { return None };
        let container = self.ledger.container(&id)?;
        if !had_no_program(container) {
            return self.judge_listed_program(key, container);
        }
        let at = container.created().or(container.gone()).unwrap_or_default();
        let context = Context::of_container(&self.ledger, container, None, at);
        let findings = judge_by_all(key, &Session::default(), &context);
        let id = id_of(&(id, at), &key.far);
        Some((verdict(findings, context.origin), Opening { at, id }))
    }

    /// A program ran that a feed lists, whoever it called.
    fn judge_listed_program(
        &self,
        key: &ChannelKey,
        container: &Container,
    ) -> Option<(Verdict, Opening)> {
        let listed = container.listed()?;
        let context =
            Context::of_container(&self.ledger, container, None, listed.at).listing(Some(listed));
        let id = id_of(&(container.id(), listed.at), &key.far);
        let findings = listed_findings(&context);
        Some((verdict(findings, context.origin), Opening { at: listed.at, id }))
    }
}

fn had_no_program(container: &Container) -> bool {
    const NO_SUCH_PROGRAM: i32 = 127;
    container.exit_code() == Some(NO_SUCH_PROGRAM) || container.never_ran()
}

/// The strongest finding leads.
pub(crate) fn verdict(findings: Vec<Finding>, origin: Origin) -> Verdict {
    let (findings, _) = joined(in_order(findings));
    let sum = Sum::of(&findings, origin.prior());
    Verdict { findings, origin, sum }
}

/// Of equals the first in the registry leads.
fn in_order(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| core::cmp::Reverse(finding.sum_db()));
    findings
}

/// The id is a hash of who, whom and when: a replay gives the same one.
pub(crate) fn id_of(who_and_when: &impl serde::Serialize, far: &Far) -> AlertId {
    let parts = postcard::to_allocvec(&(who_and_when, far)).unwrap_or_default();
    let digest: [u8; 32] = Sha256::digest(parts).into();
    let mut id = [0_u8; 16];
    id.copy_from_slice(digest.get(..16).unwrap_or(&[0; 16]));
    AlertId(u128::from_be_bytes(id))
}
