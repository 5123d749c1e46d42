//! Who had this veth, address, cgroup, pid at this instant.
//!
//! Everything is an interval: it survives `--rm`, reused addresses and late metadata.
//! *Architecture invariant:* the ledger answers `None` rather than guess.

mod actors;
mod containers;
mod names;
mod places;
mod processes;
mod sockets;

use observation::{
    ContainerId, ContainerState, Fact, FlowKey, LocalSide, Network, Observation, PortId, Side, Time,
};
use serde::{Deserialize, Serialize};

use crate::limits::Limits;

pub(crate) use actors::Client;
pub(crate) use containers::{Container, Exec, Workload};
pub(crate) use names::{Asked, Outcome, Place};
pub(crate) use processes::Process;
pub(crate) use sockets::SocketOwner;

use actors::Actors;
use containers::Containers;
use names::Names;
use places::Places;
use processes::Processes;
use sockets::Sockets;

/// Events of a runtime may reach us this long after what they tell of.
pub(crate) const LATE_MS_MAX: u64 = 10_000;

/// Whose flow it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Owner {
    /// This container's.
    Container(ContainerId),
    /// Nobody claims the place yet: an unnamed workload.
    Unnamed(Place),
    /// A process outside of any container, by its cgroup.
    Host,
}

/// What the engine has to judge anew after an Observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touched {
    /// Nothing that a verdict depends on.
    Nothing,
    /// This container, and the places that it holds.
    Container(ContainerId),
    /// What this place did.
    Place(Place),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ledger {
    containers: Containers,
    places: Places,
    processes: Processes,
    sockets: Sockets,
    names: Names,
    actors: Actors,
}

impl Ledger {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            containers: Containers::new(limits),
            places: Places::new(limits),
            processes: Processes::new(limits),
            sockets: Sockets::new(limits),
            names: Names::new(limits),
            actors: Actors::new(limits),
        }
    }

    /// Takes in what tells of containers, processes and sockets. Flow facts are the engine's.
    pub(crate) fn observe(&mut self, observation: &Observation<'_>) -> Touched {
        let at = observation.at;
        match &observation.fact {
            Fact::Container(fact) => {
                self.containers.observe(at, fact);
                if let ContainerState::Exited(_) | ContainerState::Removed = fact.state {
                    self.places.leave(fact.id, at);
                }
                Touched::Container(fact.id)
            }
            Fact::NetworkAttached(fact) => {
                let created = self.containers.get(&fact.id).and_then(Container::created);
                self.places.attach(at, fact, created);
                self.containers.attached(fact);
                Touched::Container(fact.id)
            }
            Fact::ExecStarted(fact) => {
                self.containers.exec(at, fact);
                Touched::Container(fact.id)
            }
            Fact::ProcessStarted(fact) => {
                self.actors.observe(at, fact);
                self.processes.started(at, fact);
                let container = fact.container.or_else(|| self.containers.by_cgroup(fact.cgroup));
                container.map_or(Touched::Nothing, Touched::Container)
            }
            Fact::ProcessEnded(fact) => {
                self.actors.ended(at, fact.pid);
                self.processes.ended(at, fact.pid);
                Touched::Nothing
            }
            Fact::SocketOpened(fact) => {
                self.sockets.opened(at, fact);
                self.touched_by_cgroup(fact.cgroup)
            }
            Fact::SocketTuple(fact) => {
                self.sockets.tuple(at, fact);
                self.touched_by_cgroup(fact.cgroup)
            }
            _ => Touched::Nothing,
        }
    }

    fn touched_by_cgroup(&self, cgroup: u64) -> Touched {
        self.containers.by_cgroup(cgroup).map_or(Touched::Nothing, Touched::Container)
    }

    /// A name was asked for by whoever is at `place`.
    pub(crate) fn asked(&mut self, place: Place, asked: Asked) -> Touched {
        self.names.asked(place, asked);
        Touched::Place(place)
    }

    /// Whose flow this is: the owner of its local side.
    pub(crate) fn owner(&self, key: &FlowKey, local: LocalSide, opened: Time) -> Owner {
        let place = Place::of(key, local);
        if let Some(socket) = self.sockets.of_flow(key, local, opened) {
            if let Some(id) = self.containers.by_cgroup(socket.cgroup) {
                return Owner::Container(id);
            }
            // The owner of a socket on the container's own veth is in its namespace: a helper of the
            // runtime (Docker's resolver) at most. Anywhere else it is a process of the host.
            if socket.cgroup != 0 && self.places.at_port(place.port, opened).is_none() {
                return Owner::Host;
            }
        }
        let by_port = self.places.at_port(place.port, opened);
        let claimed = by_port.or_else(|| self.places.at_address(place, opened));
        match claimed {
            Some(id) if self.shares_its_network(id, opened) => Owner::Unnamed(place),
            Some(id) => Owner::Container(id),
            None => Owner::Unnamed(place),
        }
    }

    /// The veth names the sandbox; with `--network container:X` only the socket's cgroup says which
    /// of its containers it was.
    fn shares_its_network(&self, sandbox: ContainerId, at: Time) -> bool {
        self.containers.joined(sandbox).any(|container| container.lived_at(at))
    }

    pub(crate) fn container(&self, id: &ContainerId) -> Option<&Container> {
        self.containers.get(id)
    }

    /// The process behind a flow, where the kernel said so or only one could be.
    pub(crate) fn process(
        &self,
        key: &FlowKey,
        local: LocalSide,
        opened: Time,
        container: Option<&Container>,
    ) -> Option<&Process> {
        if let Some(SocketOwner { pid: Some(pid), at, .. }) =
            self.sockets.of_flow(key, local, opened)
        {
            return self.processes.at(pid, at);
        }
        let container = container?;
        let far = match local {
            LocalSide::Responder => key.originator,
            LocalSide::Originator | LocalSide::Unknown => key.responder,
        };
        match self.sockets.only_caller(container.cgroup(), key.transport, far, opened) {
            Some((pid, at)) => self.processes.at(pid, at),
            None => self.processes.only_one_of(container.id(), opened),
        }
    }

    /// Whether a process descends from the container's first process.
    pub(crate) fn is_exec(&self, process: &Process, container: &Container) -> bool {
        container.pid() != 0 && !self.processes.descends(process, container.pid())
    }

    /// Who ran the runtime's client that made the container, where only one can have.
    pub(crate) fn started_by(&self, container: &Container) -> Option<&Client> {
        self.actors.of(container)
    }

    /// The names that led from `place` to the far end's address, latest first.
    pub(crate) fn names_to(
        &self,
        place: Place,
        far: &core::net::IpAddr,
        before: Time,
    ) -> impl Iterator<Item = &Asked> {
        self.names.leading_to(place, *far, before)
    }

    /// The lookups of `place` that led nowhere.
    pub(crate) fn failed_names(&self, place: Place) -> impl Iterator<Item = &Asked> {
        self.names.failed(place)
    }

    /// The names under which the container at this address is found by its neighbours.
    pub(crate) fn aliases_at(&self, address: core::net::IpAddr, at: Time) -> Option<&Container> {
        let place = Place { port: PortId::UNKNOWN, address };
        self.containers.get(&self.places.at_address(place, at)?)
    }

    /// Whoever held a place last.
    pub(crate) fn last_owner_of(&self, place: Place) -> Option<ContainerId> {
        let latest = Time(u64::MAX - 1);
        self.places.at_port(place.port, latest).or_else(|| self.places.at_address(place, latest))
    }

    /// The places that a container has held.
    pub(crate) fn places_of(&self, id: ContainerId) -> impl Iterator<Item = Place> + '_ {
        self.places.of_container(id)
    }

    pub(crate) fn workload_total(&self) -> u32 {
        self.containers.workloads().total()
    }

    pub(crate) fn container_total(&self) -> u32 {
        u32::try_from(self.containers.len()).unwrap_or(u32::MAX)
    }

    pub(crate) const fn evicted_count(&self) -> u64 {
        self.containers.evicted_count()
            + self.places.evicted_count()
            + self.processes.evicted_count()
            + self.sockets.evicted_count()
            + self.names.evicted_count()
            + self.actors.evicted_count()
    }
}

/// The side of a flow that is at its place: the opener, where the source does not say.
pub(crate) const fn near_side(local: LocalSide) -> Side {
    match local {
        LocalSide::Responder => Side::Responder,
        LocalSide::Originator | LocalSide::Unknown => Side::Originator,
    }
}

/// The container whose namespace this one uses, if any.
pub(crate) const fn joins(network: &Network<'_>) -> Option<ContainerId> {
    match network {
        Network::Container(id) => Some(*id),
        _ => None,
    }
}
