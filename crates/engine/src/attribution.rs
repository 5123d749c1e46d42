//! Whose a flow is, for those who judge by rules of their own: what an alert would say of it.

use alloc::string::String;
use alloc::vec::Vec;

use observation::{ContainerId, FlowId};

use crate::alert::{Blind, ContainerView, Peer, PeerName, PeerRole, Subject};
use crate::engine::Engine;
use crate::flows::Flow;
use crate::ledger::{Client, Container, Owner, Process};

const NAME_COUNT_MAX: usize = 4;

/// A flow, and whose it is.
#[derive(Clone, Debug)]
pub struct Attributed {
    /// Who is at its local side.
    pub subject: Subject,
    /// The far end.
    pub peer: Peer,
}

impl Engine {
    /// Whose a flow is, as far as is known now. `None` for the host's own, and for one that is
    /// forgotten.
    #[must_use]
    pub fn attributed(&self, id: FlowId) -> Option<Attributed> {
        let flow = self.flows.get(self.flows.find(id)?)?;
        let container = match self.ledger.owner(&flow.key, flow.local, flow.opened) {
            Owner::Host => return None,
            Owner::Container(id) => self.ledger.container(&id),
            Owner::Unnamed(_) => None,
        };
        let process = self.ledger.process(&flow.key, flow.local, flow.opened, container);
        let place = flow.place();
        let subject = Subject {
            port: place.port,
            address: Some(place.address),
            container: container.map(Container::view),
            process: process.map(Process::view),
            started_by: container
                .and_then(|container| self.ledger.started_by(container))
                .map(Client::view),
            flows: alloc::vec![self.flows.view(flow)],
            flow_count: 1,
        };
        Some(Attributed { subject, peer: self.far_end_of(flow) })
    }

    /// What is known of a container.
    #[must_use]
    pub fn container(&self, id: &ContainerId) -> Option<ContainerView> {
        self.ledger.container(id).map(Container::view)
    }

    /// What cannot be seen now, and why.
    #[must_use]
    pub fn blind(&self) -> Vec<Blind> {
        self.health.blind()
    }

    fn far_end_of(&self, flow: &Flow) -> Peer {
        let far = flow.far();
        let mut names: Vec<PeerName> = Vec::new();
        for asked in self.ledger.names_to(flow.place(), &far.address, flow.opened) {
            if names.len() < NAME_COUNT_MAX && !names.iter().any(|known| known.name == asked.name) {
                names.push(PeerName {
                    name: String::clone(&asked.name),
                    asked_before: Some(flow.opened.since(asked.before(flow.opened))),
                    answered_by: Some(asked.server),
                });
            }
        }
        let role = if flow.is_outgoing() { PeerRole::Called } else { PeerRole::Caller };
        Peer { endpoint: Some(far), transport: flow.transport(), names, role }
    }
}
