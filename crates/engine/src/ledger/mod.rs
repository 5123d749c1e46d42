//! Who had this veth, address, cgroup, pid at this instant.
//!
//! Everything is an interval: it survives `--rm`, reused addresses and late metadata.
//! *Architecture invariant:* the ledger answers `None` rather than guess.

mod actors;
mod container;
mod containers;
mod names;
mod places;
mod processes;
mod sockets;
mod workload;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use observation::{
    ContainerId, ContainerState, Endpoint, Fact, FlowKey, GapCause, LocalSide, Observation, PortId,
    Side, SourceId, SourceKind, SourceState, Time, Transport,
};
use serde::{Deserialize, Serialize};

use crate::index::Seed;
use crate::intel::Feeds;
use crate::limits::Limits;

pub(crate) use actors::Client;
pub(crate) use container::{Container, Exec, has_word};
pub(crate) use names::{ADDRESS_COUNT_MAX, Asked, HasAsked, Outcome, Place};
pub(crate) use places::Thing;
pub(crate) use processes::{Process, STAMP_MS_MAX};
pub(crate) use sockets::{SocketOwner, Tuple};
pub(crate) use workload::{OWNERS, Workload};

use actors::Actors;
use containers::Containers;
use names::Names;
use places::{Life, Places};
use processes::{Descent, Processes};
use sockets::Sockets;

/// Events of a runtime may reach us this long after what they tell of.
pub(crate) const LATE_MS_MAX: u64 = 10_000;
/// The runtime's word that a program is started, and its execution, are at most this far apart.
const EXEC_APART_MS_MAX: u64 = 5_000;

/// Whose flow it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// This container, and all that it holds.
    Container(ContainerId),
    /// A program of this container.
    Program(ContainerId, ByHand),
    /// Connections of this container to one destination.
    Call(ContainerId, Transport, Endpoint, ByHand),
}

/// Whether somebody has started a program by hand: only then do flows without words matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByHand {
    Yes,
    No,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ledger {
    containers: Containers,
    places: Places,
    processes: Processes,
    sockets: Sockets,
    names: Names,
    actors: Actors,
    /// A raw client was seen somewhere: most hosts never see one.
    client_seen: bool,
    /// Whoever loads a saved state names them again.
    #[serde(skip)]
    pub feeds: Feeds,
    /// Runtimes that deliver: without one, a cgroup of no container means nothing.
    runtimes: BTreeSet<SourceId>,
}

impl Ledger {
    pub(crate) fn new(limits: &Limits, seed: Seed) -> Self {
        Self {
            containers: Containers::new(limits),
            places: Places::default(),
            processes: Processes::new(limits, seed),
            sockets: Sockets::new(limits, seed),
            names: Names::new(limits, seed),
            actors: Actors::new(limits),
            client_seen: false,
            feeds: Feeds::default(),
            runtimes: BTreeSet::new(),
        }
    }

    /// Takes in what tells of containers, processes and sockets. Flow facts are the engine's.
    pub(crate) fn observe(&mut self, observation: &Observation<'_>) -> Touched {
        let touched = self.take(observation);
        if let Touched::Container(id) = touched {
            self.client_seen |= self.has_client(&id);
        }
        touched
    }

    fn take(&mut self, observation: &Observation<'_>) -> Touched {
        let at = observation.at;
        match &observation.fact {
            Fact::Container(fact) => {
                let evicted = self.containers.observe(at, fact);
                self.forget(evicted);
                if let ContainerState::Exited(_) | ContainerState::Removed = fact.state {
                    self.places.leave(fact.id, at);
                }
                Touched::Container(fact.id)
            }
            Fact::NetworkAttached(fact) => {
                let evicted = self.containers.attached(fact);
                self.forget(evicted);
                self.places.attach(at, fact, self.life(&fact.id));
                Touched::Container(fact.id)
            }
            Fact::ExecStarted(fact) => {
                let evicted = self.containers.exec(at, fact);
                self.forget(evicted);
                Touched::Container(fact.id)
            }
            Fact::ProcessStarted(fact) => {
                self.actors.observe(at, fact);
                let listed = fact.sha256.and_then(|hash| self.feeds.program(&hash, at));
                self.client_seen |= self.processes.started(at, fact, listed.as_ref());
                let by_cgroup = || self.containers.by_cgroup(fact.cgroup, at);
                let Some(id) = fact.container.or_else(by_cgroup) else { return Touched::Nothing };
                if let Some(listed) = listed {
                    let evicted = self.containers.ran_listed(id, listed);
                    self.forget(evicted);
                    return Touched::Container(id);
                }
                Touched::Program(id, self.is_by_hand(id, fact.process.pid, at))
            }
            Fact::ProcessEnded(fact) => {
                self.actors.ended(at, fact.pid);
                self.processes.ended(at, fact.pid);
                Touched::Nothing
            }
            Fact::SocketOpened(fact) => {
                self.sockets.opened(at, fact);
                let Some(id) = self.containers.by_cgroup(fact.cgroup, at) else {
                    return Touched::Nothing;
                };
                let by_hand = self.is_by_hand(id, fact.pid, at);
                Touched::Call(id, fact.transport, fact.remote, by_hand)
            }
            Fact::SocketTuple(fact) => {
                self.sockets.tuple(at, fact);
                Touched::Nothing
            }
            Fact::Gap(gap) if gap.cause == GapCause::Silent => {
                self.actors.lost_sight(gap.from);
                Touched::Nothing
            }
            Fact::SourceStatus(fact) if fact.kind == SourceKind::RuntimeEvents => {
                if fact.state == SourceState::Closed {
                    self.runtimes.remove(&fact.source);
                } else {
                    self.runtimes.insert(fact.source);
                }
                Touched::Nothing
            }
            _ => Touched::Nothing,
        }
    }

    fn forget(&mut self, evicted: Option<ContainerId>) {
        if let Some(id) = evicted {
            self.places.forget(id);
        }
    }

    /// Whether a raw client was ever seen anywhere or asked for.
    pub(crate) const fn has_any_client(&self) -> bool {
        self.client_seen
    }

    /// Whether a raw client was ever seen in it or asked for.
    pub(crate) fn has_client(&self, id: &ContainerId) -> bool {
        let Some(container) = self.containers.get(id) else { return false };
        container.client().is_some()
            || container.execs().any(|exec| exec.client.is_some())
            || self.processes.had_client(container)
    }

    fn life(&self, id: &ContainerId) -> Life {
        self.containers.get(id).map(Container::life).unwrap_or_default()
    }

    fn is_by_hand(&self, id: ContainerId, pid: u32, at: Time) -> ByHand {
        let process = self.processes.at(pid, at);
        let container = self.containers.get(&id);
        let (Some(process), Some(container)) = (process, container) else { return ByHand::No };
        if process.client().is_some() || self.is_exec(process, container) {
            ByHand::Yes
        } else {
            ByHand::No
        }
    }

    /// A name was asked for by whoever is at `place`.
    pub(crate) fn asked(&mut self, place: Place, asked: Asked) {
        self.names.asked(place, asked);
    }

    /// Whose flow this is: the owner of its local side.
    pub(crate) fn owner(&self, key: &FlowKey, local: LocalSide, opened: Time) -> Owner {
        let place = Place::of(key, local);
        let life = |id: &ContainerId| self.life(id);
        let by_port = self.places.at_port(place.port, opened, life);
        if let Some(socket) = self.sockets.of_flow(key, local, opened) {
            if let Some(id) = self.containers.by_cgroup(socket.cgroup, opened) {
                return Owner::Container(id);
            }
            // The owner of a socket on the container's own veth is in its namespace: a helper of
            // the
            // runtime (Docker's resolver) at most. Anywhere else it is a process of the host, if
            // there
            // is a runtime that could have said otherwise.
            let is_known = !self.runtimes.is_empty() || place.port.is_of_host();
            if socket.cgroup != 0 && by_port.is_none() && is_known {
                return Owner::Host;
            }
        }
        let claimed = by_port.or_else(|| self.places.at_address(place, opened, life));
        match claimed {
            Some(id) if self.shares_its_network(id, opened) => Owner::Unnamed(place),
            Some(id) => Owner::Container(id),
            // What passes the host's own interfaces is the host's, unless a socket or an address
            // says otherwise.
            None if place.port.is_of_host() => Owner::Host,
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
        if local == LocalSide::Responder {
            let listener = self.processes.listener_of(container, key.responder.port, opened);
            return listener.or_else(|| self.processes.only_one_of(container, opened));
        }
        let cgroup = container.cgroup();
        let callers = self.sockets.callers(cgroup, key.transport, key.responder, opened);
        if let Some((pid, at)) = callers {
            return pid.and_then(|pid| self.processes.at(pid, at));
        }
        self.processes.only_one_of(container, opened)
    }

    /// The first program that is not its image's and that began to run in a container between.
    pub(crate) fn brought_in(
        &self,
        container: &Container,
        from: Time,
        to: Time,
    ) -> Option<&Process> {
        self.processes.brought_in(container, from, to)
    }

    /// Whether a process was started inside the running container from without.
    pub(crate) fn is_exec(&self, process: &Process, container: &Container) -> bool {
        if container.pid() == 0 {
            return false;
        }
        match self.processes.descent(process, container) {
            Descent::Reaches => false,
            Descent::Leaves => true,
            // Nobody saw its parents. The runtime may have said that it starts a program then.
            Descent::Lost(from) => container
                .execs()
                .any(|exec| exec.at.0.abs_diff(from.0) <= EXEC_APART_MS_MAX * 1_000_000),
        }
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

    /// Whether `place` has asked for a name that `is_it`.
    pub(crate) fn has_asked(&self, place: Place, is_it: impl Fn(&str) -> bool) -> HasAsked {
        self.names.has_asked(place, is_it)
    }

    /// The lookups of `place` that led nowhere.
    pub(crate) fn failed_names(&self, place: Place) -> impl Iterator<Item = &Asked> {
        self.names.failed(place)
    }

    /// The names under which the container at this address is found by its neighbours.
    pub(crate) fn aliases_at(&self, address: core::net::IpAddr, at: Time) -> Option<&Container> {
        let place = Place { port: PortId::UNKNOWN, address };
        let id = self.places.at_address(place, at, |id| self.life(id))?;
        self.containers.get(&id)
    }

    /// Whoever held a place last.
    pub(crate) fn last_owner_of(&self, place: Place) -> Option<ContainerId> {
        let latest = Time(u64::MAX - 1);
        let life = |id: &ContainerId| self.life(id);
        let by_port = self.places.at_port(place.port, latest, life);
        by_port.or_else(|| self.places.at_address(place, latest, life))
    }

    /// The ports and addresses at which flows of this container may have been seen.
    pub(crate) fn things_of(&self, id: ContainerId) -> Vec<Thing> {
        let sandbox = self.containers.get(&id).and_then(Container::sandbox);
        let own = self.places.of_container(id);
        own.chain(sandbox.into_iter().flat_map(|id| self.places.of_container(id))).collect()
    }

    /// The latest sockets of this container's cgroups.
    pub(crate) fn tuples_of(&self, id: ContainerId) -> Vec<Tuple> {
        let container = self.containers.get(&id).into_iter();
        let cgroups = container.flat_map(Container::cgroups);
        cgroups.flat_map(|cgroup| self.sockets.tuples_of(cgroup)).collect()
    }

    pub(crate) fn workload_total(&self) -> u32 {
        u32::try_from(self.containers.workload_total()).unwrap_or(u32::MAX)
    }

    /// Containers of this workload, running or gone.
    pub(crate) fn replica_count(&self, workload: Workload) -> u32 {
        self.containers.replica_count(workload)
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
