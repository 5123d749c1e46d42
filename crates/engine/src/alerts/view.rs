//! Builds the alert that an analyst reads out of what the engine knows now.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use observation::{Endpoint, PortId, SourceKind, Time, Transport};

use super::Channels;
use crate::alert::{Alert, AlertId, Level, Peer, PeerName, Prevalence, Status, Subject};
use crate::channel::{Channel, ChannelKey, Far, Verdict};
use crate::flows::{Flow, Flows};
use crate::health::{Destinations, Health};
use crate::ledger::{Container, Ledger, Owner};
use crate::strategies;

const NAME_COUNT_MAX: usize = 4;
const FLOW_COUNT_MAX: usize = 4;

/// What an alert is built from.
pub(crate) struct Surroundings<'a> {
    pub ledger: &'a Ledger,
    pub flows: &'a Flows,
    pub channels: &'a Channels,
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
        for finding in &verdict.findings {
            let of = strategies::by_id(&finding.strategy).map_or(&[][..], |known| known.techniques);
            for technique in of {
                if !techniques.iter().any(|known| known == technique) {
                    techniques.push(Cow::Borrowed(technique));
                }
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
            blind: self.health.blind(),
            lost_count: self.health.lost(first_seen, last_seen),
            low_if: leading.low_if.clone(),
            prevalence: self.prevalence(strongest),
        })
    }

    fn began(&self, key: &ChannelKey) -> Time {
        let opening = || self.channels.get(key)?.opening;
        let noted = || opening().map_or(Time(0), |opening| opening.at);
        self.first_flow(key).map_or_else(noted, |flow| flow.opened)
    }

    fn ended(&self, key: &ChannelKey) -> Time {
        let flows =
            self.channels.get(key).into_iter().flat_map(|channel| channel.flows(self.flows));
        flows.map(|flow| flow.last).max().unwrap_or_else(|| self.began(key))
    }

    fn subject(&self, key: &ChannelKey) -> Subject {
        let channel = self.channels.get(key);
        let flows: Vec<&Flow> =
            channel.into_iter().flat_map(|channel| channel.flows(self.flows)).collect();
        let container = match key.owner {
            Owner::Container(id) => self.ledger.container(&id),
            Owner::Unnamed(_) | Owner::Host => None,
        };
        let first = flows.first().copied();
        let process = flows
            .iter()
            .find_map(|flow| self.ledger.process(&flow.key, flow.local, flow.opened, container));
        Subject {
            port: first.map_or(PortId::UNKNOWN, |flow| flow.key.port),
            address: first.map(|flow| flow.near().address),
            container: container.map(Container::view),
            process: process.map(crate::ledger::Process::view),
            started_by: container
                .and_then(|container| self.ledger.started_by(container))
                .map(crate::ledger::Client::view),
            flows: flows.iter().take(FLOW_COUNT_MAX).map(|flow| self.flows.view(flow)).collect(),
            flow_count: channel.map_or(0, |channel: &Channel| channel.flow_count),
        }
    }

    fn peer(&self, key: &ChannelKey) -> Peer {
        let (transport, endpoint) = match &key.far {
            Far::Endpoint(transport, endpoint) => (*transport, Some(*endpoint)),
            Far::Name(_) | Far::Nobody => (Transport::Tcp, None),
        };
        let mut names = Vec::new();
        if let Far::Name(name) = &key.far {
            names.push(PeerName { name: name.clone(), asked_before: None, answered_by: None });
        }
        if let (Some(flow), Some(endpoint)) = (self.first_flow(key), endpoint) {
            self.names(flow, endpoint, &mut names);
        }
        Peer { endpoint, transport, names }
    }

    fn names(&self, flow: &Flow, far: Endpoint, names: &mut Vec<PeerName>) {
        for asked in self.ledger.names_to(flow.place(), &far.address, flow.opened) {
            if names.len() < NAME_COUNT_MAX && !names.iter().any(|known| known.name == asked.name) {
                names.push(PeerName {
                    name: asked.name.clone(),
                    asked_before: Some(flow.opened.since(asked.before(flow.opened))),
                    answered_by: Some(asked.server),
                });
            }
        }
        // A neighbour is found by the names that the runtime gave it.
        if names.is_empty()
            && let Some(neighbour) = self.ledger.aliases_at(far.address, flow.opened)
            && !neighbour.name().is_empty()
        {
            let name = String::from(neighbour.name());
            names.push(PeerName { name, asked_before: None, answered_by: None });
        }
    }

    fn witnesses(&self, subjects: &[Subject]) -> Vec<SourceKind> {
        let has = |there: fn(&Subject) -> bool| subjects.iter().any(there);
        let mut kinds = Vec::new();
        if has(|subject| !subject.flows.is_empty()) {
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
