//! Builds the alert that an analyst reads out of what the engine knows now.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use observation::{Endpoint, PortId, SourceKind, Time, Transport};

use super::Channels;
use crate::alert::{
    Alert, AlertId, Blind, Level, Peer, PeerName, PeerRole, Prevalence, Status, Subject,
};
use crate::channel::{Channel, ChannelKey, Far, Verdict};
use crate::flows::{Flow, Flows};
use crate::health::{Destinations, Health};
use crate::ledger::{Container, Ledger, Owner, Place};
use crate::profiles::{Calls, Manner, ProfileKey, Profiles};

/// A caller who appears as the host's own address on the container's network.
const HIDDEN_CALLER: &str = "the caller is hidden: the host's own address on the container's \
     network stands for it, as docker-proxy and source NAT put it there (or it is the host)";
const NAME_COUNT_MAX: usize = 4;
const FLOW_COUNT_MAX: usize = 4;

/// What an alert is built from.
pub(crate) struct Surroundings<'a> {
    pub ledger: &'a Ledger,
    pub flows: &'a Flows,
    pub channels: &'a Channels,
    pub profiles: &'a Profiles,
    pub callers: &'a Profiles,
    pub health: &'a Health,
    pub destinations: &'a Destinations,
    pub clock: Time,
}

impl Surroundings<'_> {
    fn first_flow(&self, key: &ChannelKey) -> Option<&Flow> {
        self.channels.get(key)?.flows(self.flows).next()
    }

    /// The highest level of these channels.
    pub(crate) fn level<'k>(&self, channels: impl Iterator<Item = &'k ChannelKey>) -> Level {
        let verdicts = channels.filter_map(|key| self.verdict(key));
        verdicts.map(|verdict| verdict.sum.level()).max().unwrap_or(Level::Info)
    }

    fn verdict(&self, key: &ChannelKey) -> Option<&Verdict> {
        self.channels.get(key)?.verdict.as_ref()
    }

    /// The alert about these channels; the strongest of them speaks.
    pub(crate) fn build<'k>(
        &self,
        id: AlertId,
        channels: impl Iterator<Item = &'k ChannelKey>,
    ) -> Option<Alert> {
        let mut order: Vec<&ChannelKey> = channels.collect();
        order.sort_by_key(|key| (self.began(key), *key));
        let strongest = order.iter().copied().max_by(|left, right| {
            let sum = |key: &ChannelKey| self.verdict(key).map(|verdict| verdict.sum.sum_db);
            // Of equals the first stays.
            sum(left).cmp(&sum(right)).then_with(|| self.began(right).cmp(&self.began(left)))
        })?;
        let verdict = self.verdict(strongest)?;
        let leading = verdict.findings.first()?;
        let first_seen = order.first().map_or(self.clock, |key| self.began(key));
        let last_seen = order.iter().map(|key| self.ended(key)).max().unwrap_or(first_seen);
        let subjects: Vec<Subject> = order.iter().map(|key| self.subject(key)).collect();
        let mut techniques: Vec<Cow<'static, str>> = Vec::new();
        for technique in verdict.findings.iter().flat_map(|finding| &finding.techniques) {
            if !techniques.contains(technique) {
                techniques.push(technique.clone());
            }
        }
        Some(Alert {
            id,
            revision: 0,
            status: Status::New,
            level: verdict.sum.level(),
            strategy: leading.strategy.clone(),
            techniques,
            summary: leading.summary.clone(),
            first_seen,
            last_seen,
            opened_at: self.clock,
            witnesses: self.witnesses(&subjects),
            subjects,
            subject_count: u32::try_from(order.len()).unwrap_or(u32::MAX),
            peer: self.peer(strongest),
            evidence: verdict.sum.evidence.clone(),
            sum_db: verdict.sum.sum_db,
            blind: self.blind(strongest),
            lost_count: self.health.lost(first_seen, last_seen),
            low_if: leading.low_if.clone(),
            prevalence: self.prevalence(strongest),
        })
    }

    /// What could not be seen of it.
    fn blind(&self, key: &ChannelKey) -> Vec<Blind> {
        let mut blind = self.health.blind();
        if let (Far::Caller(_, address, _), Owner::Container(id)) = (&key.far, key.owner)
            && self.ledger.container(&id).is_some_and(|accused| accused.has_gateway(*address))
        {
            let why = String::from(HIDDEN_CALLER);
            blind.push(Blind { kind: SourceKind::Packets, why });
        }
        blind
    }

    fn began(&self, key: &ChannelKey) -> Time {
        let opening = || self.channels.get(key)?.opening;
        let noted = || opening().map_or(Time(0), |opening| opening.at);
        let called = || self.calls(key).map_or_else(noted, |calls| calls.first.opened);
        self.first_flow(key).map_or_else(called, |flow| flow.opened)
    }

    fn ended(&self, key: &ChannelKey) -> Time {
        let flows =
            self.channels.get(key).into_iter().flat_map(|channel| channel.flows(self.flows));
        let last = flows.map(|flow| flow.last).max();
        let called = || self.calls(key).map(|calls| calls.last_ended());
        let asked = || self.channels.get(key)?.looked_up.map(|looked_up| looked_up.last);
        last.or_else(called).or_else(asked).unwrap_or_else(|| self.began(key))
    }

    /// The calls behind a channel of which no flow is remembered.
    fn calls(&self, key: &ChannelKey) -> Option<&Calls> {
        let (transport, far) = match key.far {
            Far::Endpoint(transport, far) => (transport, far),
            Far::Callers(transport, port) => {
                let of_owner = self.callers.of_owner(key.owner);
                let at_port =
                    of_owner.filter(|(of, _)| (of.transport, of.far.port) == (transport, port));
                let by_timer = at_port.filter(|(_, calls)| calls.timer().is_some());
                let first = by_timer.min_by_key(|(of, calls)| (calls.first.opened, **of));
                return first.map(|(_, calls)| calls);
            }
            _ => return None,
        };
        let manners = [Manner::Connection, Manner::Burst];
        manners.into_iter().find_map(|manner| {
            self.profiles.get(&ProfileKey { owner: key.owner, transport, far, manner })
        })
    }

    fn subject(&self, key: &ChannelKey) -> Subject {
        let channel = self.channels.get(key);
        let flows: Vec<&Flow> =
            channel.into_iter().flat_map(|channel| channel.flows(self.flows)).collect();
        let container = match key.owner {
            Owner::Container(id) => self.ledger.container(&id),
            Owner::Unnamed(_) | Owner::Host => None,
        };
        if let (true, Some(calls)) = (flows.is_empty(), self.calls(key)) {
            return self.caller(container, calls);
        }
        let first = flows.first().copied();
        let looked_up = channel.and_then(|channel| channel.looked_up);
        let place = first.map(Flow::place).or(looked_up.map(|looked_up| looked_up.place));
        let asked_count = looked_up.map_or(0, |looked_up| looked_up.count);
        let process = flows
            .iter()
            .find_map(|flow| self.ledger.process(&flow.key, flow.local, flow.opened, container));
        Subject {
            port: place.map_or(PortId::UNKNOWN, |place| place.port),
            address: place.map(|place| place.address),
            container: container.map(Container::view),
            process: process.map(crate::ledger::Process::view),
            started_by: container
                .and_then(|container| self.ledger.started_by(container))
                .map(crate::ledger::Client::view),
            flows: flows.iter().take(FLOW_COUNT_MAX).map(|flow| self.flows.view(flow)).collect(),
            flow_count: channel
                .map_or(asked_count, |channel: &Channel| channel.flow_count.max(asked_count)),
        }
    }

    /// A subject by its calls.
    fn caller(&self, container: Option<&Container>, calls: &Calls) -> Subject {
        let first = &calls.first;
        let process = self.ledger.process(&first.key, first.local, first.opened, container);
        Subject {
            port: first.key.port,
            address: Some(first.near().address),
            container: container.map(Container::view),
            process: process.map(crate::ledger::Process::view),
            started_by: container
                .and_then(|container| self.ledger.started_by(container))
                .map(crate::ledger::Client::view),
            flows: alloc::vec![self.flows.view_of_call(first)],
            flow_count: calls.count().saturating_add(calls.failed_count()),
        }
    }

    fn peer(&self, key: &ChannelKey) -> Peer {
        let (transport, endpoint) = match &key.far {
            Far::Endpoint(transport, endpoint) => (*transport, Some(*endpoint)),
            Far::Caller(transport, address, _) => {
                let port = self.first_flow(key).map_or(0, |flow| flow.far().port);
                (*transport, Some(Endpoint { address: *address, port }))
            }
            // Of many, the first that has a timer.
            Far::Callers(transport, _) => {
                (*transport, self.calls(key).map(|calls| calls.first.far()))
            }
            Far::Domain(_) => (Transport::Udp, None),
            Far::Name(_) | Far::Nobody | Far::Many => (Transport::Tcp, None),
        };
        let mut names = Vec::new();
        if let Far::Name(name) = &key.far {
            names.push(PeerName { name: name.clone(), asked_before: None, answered_by: None });
        }
        if let Far::Domain(name) = &key.far {
            let looked_up = self.channels.get(key).and_then(|channel| channel.looked_up);
            let answered_by = looked_up.map(|looked_up| looked_up.server);
            // Below no top-level domain there is only the root.
            let name = if name.is_empty() { String::from(".") } else { name.clone() };
            names.push(PeerName { name, asked_before: None, answered_by });
        }
        if let (Some(flow), Some(endpoint)) = (self.first_flow(key), endpoint) {
            self.names((flow.place(), flow.opened), endpoint, &mut names);
        } else if let (Some(calls), Some(endpoint)) = (self.calls(key), endpoint) {
            self.names((calls.first.place(), calls.last_opened()), endpoint, &mut names);
        }
        let is_caller = matches!(key.far, Far::Caller(..) | Far::Callers(..));
        let role = if is_caller { PeerRole::Caller } else { PeerRole::Called };
        Peer { endpoint, transport, names, role }
    }

    fn names(&self, (place, at): (Place, Time), far: Endpoint, names: &mut Vec<PeerName>) {
        for asked in self.ledger.names_to(place, &far.address, at) {
            if names.len() < NAME_COUNT_MAX && !names.iter().any(|known| known.name == asked.name) {
                names.push(PeerName {
                    name: asked.name.clone(),
                    asked_before: Some(at.since(asked.before(at))),
                    answered_by: Some(asked.server),
                });
            }
        }
        // A neighbour is found by the names that the runtime gave it.
        if names.is_empty()
            && let Some(neighbour) = self.ledger.aliases_at(far.address, at)
            && !neighbour.name().is_empty()
        {
            let name = String::from(neighbour.name());
            names.push(PeerName { name, asked_before: None, answered_by: None });
        }
    }

    fn witnesses(&self, subjects: &[Subject]) -> Vec<SourceKind> {
        let has = |there: fn(&Subject) -> bool| subjects.iter().any(there);
        let mut kinds = Vec::new();
        if has(|subject| subject.flow_count > 0) {
            kinds.push(SourceKind::Packets);
        }
        if has(|subject| subject.container.is_some()) {
            kinds.push(SourceKind::RuntimeEvents);
        }
        if has(|subject| subject.process.is_some()) {
            kinds.push(SourceKind::ProcessEvents);
        }
        kinds
    }

    fn prevalence(&self, key: &ChannelKey) -> Prevalence {
        // Without a runtime source the places are all that can be counted.
        let subject_total = match self.ledger.container_total() {
            0 => self.destinations.place_total(),
            containers => containers,
        };
        let workload_total = self.ledger.workload_total().max(1);
        let Far::Endpoint(transport, endpoint) = key.far else {
            return Prevalence {
                subject_count: 1,
                subject_total,
                workload_count: 1,
                workload_total,
            };
        };
        let mut workloads = BTreeSet::new();
        let mut subjects = BTreeSet::new();
        for place in self.destinations.to(transport, endpoint) {
            let owner = self.ledger.last_owner_of(place);
            subjects.insert((owner, place));
            workloads
                .insert(owner.and_then(|id| self.ledger.container(&id)).map(Container::workload));
        }
        let count = |length: usize| u32::try_from(length.max(1)).unwrap_or(u32::MAX);
        Prevalence {
            subject_count: count(subjects.len()),
            subject_total,
            workload_count: count(workloads.len()),
            workload_total,
        }
    }
}
