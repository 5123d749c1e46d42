//! Learning from calls, and what is made of it in a verdict.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use observation::{Endpoint, FlowKey, LocalSide, Time, Transport};

use super::{
    Approval, Approved, Baseline, Decision, Destination, Expectations, Host, LEARNED_DB_MAX,
    Lineage, bounded,
};
use crate::alert::{Alert, AlertUpdate, Evidence, Family, Level};
use crate::channel::{ChannelKey, Far, Verdict};
use crate::context::{Origin, origin_of};
use crate::engine::Engine;
use crate::evidence::{Term, recount};
use crate::flows::{Flow, Protocols};
use crate::judge::Keys;
use crate::ledger::{Container, Owner, Place};
use crate::marks;
use crate::profiles::{Manner, ProfileKey};

// A High by what was seen on the wire stays Medium at least, whatever was taught and labelled.
const _: () = assert!(
    crate::alert::HIGH_DB_MIN - LEARNED_DB_MAX + marks::MARK_DB >= crate::alert::MEDIUM_DB_MIN
);

/// Names under which a destination may be known.
const NAME_COUNT_MAX: usize = 8;

/// A call that was accepted, as far as a baseline learns from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    owner: Owner,
    key: FlowKey,
    local: LocalSide,
    /// When its flow was opened, for whose it is.
    opened: Time,
    at: Time,
    far: Endpoint,
    protocols: Protocols,
}

impl Visit {
    /// A call of a container. Nobody else is known well enough to have a baseline.
    pub(crate) fn of(owner: Owner, flow: &Flow, at: Time) -> Option<Self> {
        let Flow { key, local, opened, protocols, .. } = *flow;
        let is_visit = matches!(owner, Owner::Container(_)) && !flow.has_failed();
        is_visit.then(|| Self { owner, key, local, opened, at, far: flow.far(), protocols })
    }
}

impl Engine {
    /// Sets what is expected; a saved state does not hold it.
    pub fn expect(&mut self, mut expectations: Expectations) {
        expectations.marks.retain(|word| !word.is_empty());
        self.baselines.expectations = expectations;
    }

    /// What an earlier run has learned.
    pub fn recall(&mut self, baseline: Baseline) {
        self.baselines.recall(baseline);
    }

    /// Replaces what people have decided before, and judges anew whom it concerns. A saved state
    /// does not hold it.
    pub fn decide(&mut self, decisions: Vec<Decision>, out: &mut impl FnMut(AlertUpdate)) {
        let changed = self.baselines.decide(decisions);
        let concerns = |key: &&ChannelKey| match key.owner {
            Owner::Container(id) => {
                let container = self.ledger.container(&id);
                container.is_some_and(|container| changed.contains(&container.workload()))
            }
            Owner::Unnamed(_) | Owner::Host => false,
        };
        let keys: Keys = self.channels.keys().filter(concerns).cloned().collect();
        self.judge_all(keys, out);
    }

    /// All that was learned.
    pub fn baselines(&self) -> impl Iterator<Item = Baseline> {
        self.baselines.all()
    }

    /// What was learned since this was asked last.
    pub fn take_learned(&mut self) -> Vec<Baseline> {
        self.baselines.take_changed()
    }

    /// Learns from what workloads have done by themselves.
    pub(crate) fn learn_visits(&mut self, visits: Vec<Visit>) {
        for visit in visits {
            let Owner::Container(id) = visit.owner else { continue };
            let Some(container) = self.ledger.container(&id) else { continue };
            let Visit { key, local, opened, .. } = visit;
            if origin_of(&self.ledger, (&key, local), opened, container) != Origin::Workload {
                continue;
            }
            let place = Place::of(&key, local);
            let asked = self.ledger.names_to(place, &visit.far.address, opened).next();
            let host = asked.map_or_else(
                || self.unasked_host(visit.far, opened),
                |asked| Host::Name(bounded(&asked.name)),
            );
            let ends = (key.transport, visit.far.port);
            let to = self.destination(host, ends, visit.protocols);
            let who = (place.port, container.workload());
            self.baselines.learn(who, || Lineage::of(container), to, visit.at);
        }
    }

    /// What speaks against an accusation whatever a strategy says: that the workload was approved
    /// to go there, and marks of development and test.
    pub(crate) fn weigh(&self, key: &ChannelKey, verdict: &mut Verdict) {
        let Owner::Container(id) = key.owner else { return };
        let Some(container) = self.ledger.container(&id) else { return };
        verdict.sum.weigh(self.expected(key, verdict.origin, container));
        let words = &self.baselines.expectations.marks;
        verdict.sum.weigh(marks::term(container, words, verdict.sum.sum_db));
    }

    fn expected(&self, key: &ChannelKey, origin: Origin, container: &Container) -> Option<Term> {
        let Far::Endpoint(transport, far) = key.far else { return None };
        if self.baselines.is_unapproved(container.workload()) || origin != Origin::Workload {
            return None;
        }
        let (place, at, protocols) = self.conversation(key, transport, far)?;
        let hosts = self.hosts(place, far, at).into_iter();
        let ends = (transport, far.port);
        let all: Vec<_> = hosts.map(|host| self.destination(host, ends, protocols)).collect();
        let (approval, approved) =
            self.baselines.approved(container.workload(), &all, self.clock)?;
        Some(term(approval, approved))
    }

    /// Where, when and in which protocol a subject talks to a far end: what accuses most, else the
    /// first call.
    fn conversation(
        &self,
        key: &ChannelKey,
        transport: Transport,
        far: Endpoint,
    ) -> Option<(Place, Time, Protocols)> {
        let leading = self.channels.get(key).and_then(|channel| channel.leading(&self.flows));
        if let Some((flow, _)) = leading {
            return Some((flow.place(), flow.opened, flow.protocols));
        }
        let manners = [Manner::Connection, Manner::Burst];
        let calls = manners.into_iter().find_map(|manner| {
            self.profiles.get(&ProfileKey { owner: key.owner, transport, far, manner })
        })?;
        Some((calls.first.place(), calls.last_opened(), calls.first.protocols))
    }

    /// The names that led to a far end, the latest first; else the neighbour's, else its address.
    fn hosts(&self, place: Place, far: Endpoint, at: Time) -> Vec<Host> {
        let asked = self.ledger.names_to(place, &far.address, at).take(NAME_COUNT_MAX);
        let mut hosts: Vec<_> = asked.map(|asked| Host::Name(bounded(&asked.name))).collect();
        if hosts.is_empty() {
            hosts.push(self.unasked_host(far, at));
        }
        hosts
    }

    /// A far end to which no name led.
    fn unasked_host(&self, far: Endpoint, at: Time) -> Host {
        let neighbour = self.ledger.aliases_at(far.address, at).map(Container::name);
        let named = neighbour.filter(|name| !name.is_empty());
        named.map_or(Host::Address(far.address), |it| Host::Name(bounded(it)))
    }

    fn destination(
        &self,
        host: Host,
        (transport, port): (Transport, u16),
        protocols: Protocols,
    ) -> Destination {
        let protocol = String::from(self.flows.protocol_of(protocols).unwrap_or_default());
        Destination { host, port, transport, protocol }
    }
}

fn term(approval: &Approval, approved: &Approved) -> Term {
    let confidence = approved.confidence_percent();
    let observed = format!(
        "approved by {}: on {} of {} days it went there, {confidence} % sure",
        approval.by, approved.day_count, approved.day_total,
    );
    Term {
        family: Family::Destination,
        witness: Cow::Borrowed("network"),
        observed,
        expected: Cow::Borrowed("where the workload goes"),
        points_db: points_db(confidence),
    }
}

/// The surer, the more, up to the cap.
fn points_db(confidence_percent: u8) -> i16 {
    let points_db = (LEARNED_DB_MAX * i16::from(confidence_percent) + 50) / 100;
    -points_db.clamp(1, LEARNED_DB_MAX)
}

/// What an alert would be if its workload were approved to go there; `None` where the approval
/// does not concern it.
#[must_use]
pub fn lowered(alert: &Alert, approval: &Approval) -> Option<(i16, Level)> {
    let subject = alert.subjects.iter().find(|subject| {
        let container = subject.container.as_ref();
        container.is_some_and(|container| container.workload == approval.workload)
    })?;
    let endpoint = alert.peer.endpoint?;
    let prior = alert.evidence.first()?;
    if prior.observed != Origin::Workload.prior() {
        return None;
    }
    let protocol = subject.flows.first().and_then(|flow| flow.protocols.last());
    let protocol = protocol.cloned().unwrap_or_default();
    let is_there = |host: &Host| match host {
        Host::Name(name) => alert.peer.names.iter().any(|known| known.name == *name),
        Host::Address(address) => *address == endpoint.address && alert.peer.names.is_empty(),
    };
    let meant = approval.destinations.iter().filter(|approved| {
        let Destination { host, port, transport, protocol: spoken } = &approved.destination;
        let ends = (*port, *transport) == (endpoint.port, alert.peer.transport);
        ends && *spoken == protocol && is_there(host)
    });
    let approved = meant.max_by_key(|approved| approved.confidence_percent())?;
    let mut evidence = alert.evidence.clone();
    evidence.push(Evidence::of(term(approval, approved), Cow::Borrowed("")));
    let sum_db = recount(&mut evidence);
    Some((sum_db, Level::of(sum_db)))
}

impl super::Baselines {
    fn is_unapproved(&self, workload: crate::ledger::Workload) -> bool {
        !self.approvals.contains_key(&workload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surer_the_more_and_never_more_than_the_cap() {
        assert_eq!(points_db(0), -1);
        assert_eq!(points_db(22), -2);
        assert_eq!(points_db(88), -7);
        assert_eq!(points_db(100), -LEARNED_DB_MAX);
        assert_eq!(points_db(255), -LEARNED_DB_MAX);
    }
}
