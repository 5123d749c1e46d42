//! Containers and what runtimes said of them, also after they are gone.

use alloc::borrow::ToOwned as _;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use observation::{
    ContainerFact, ContainerId, ContainerState, ExecStarted, ImageId, Network, NetworkAttached,
    Privilege, Runtime, Time,
};
use serde::{Deserialize, Serialize};

use super::joins;
use crate::alert::ContainerView;
use crate::bounded::Bounded;
use crate::limits::Limits;

/// Programs started through the runtime that one container remembers.
const EXEC_COUNT_MAX: usize = 16;
const ALIAS_COUNT_MAX: usize = 32;

/// One container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Container {
    id: ContainerId,
    runtime: Runtime,
    state: ContainerState,
    state_at: Time,
    name: String,
    image: String,
    image_id: Option<ImageId>,
    registry_digests: Vec<String>,
    command: Vec<String>,
    environment: Vec<String>,
    labels: Vec<String>,
    extra_hosts: Vec<String>,
    aliases: BTreeSet<String>,
    privilege: Option<Privilege>,
    pid: u32,
    cgroup: u64,
    network: NetworkMode,
    created: Option<Time>,
    gone: Option<Time>,
    exit_code: Option<i32>,
    /// A witness has seen it run, or end.
    ran: bool,
    execs: VecDeque<Exec>,
}

/// A program started through the runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exec {
    pub at: Time,
    pub command: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum NetworkMode {
    Unsaid,
    Own,
    Host,
    None,
    Container(ContainerId),
    Macvlan(String),
}

impl Container {
    fn new(id: ContainerId) -> Self {
        Self {
            id,
            runtime: Runtime::Unknown,
            state: ContainerState::Unsaid,
            state_at: Time(0),
            name: String::new(),
            image: String::new(),
            image_id: None,
            registry_digests: Vec::new(),
            command: Vec::new(),
            environment: Vec::new(),
            labels: Vec::new(),
            extra_hosts: Vec::new(),
            aliases: BTreeSet::new(),
            privilege: None,
            pid: 0,
            cgroup: 0,
            network: NetworkMode::Unsaid,
            created: None,
            gone: None,
            exit_code: None,
            ran: false,
            execs: VecDeque::new(),
        }
    }

    pub(crate) const fn id(&self) -> ContainerId {
        self.id
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) const fn cgroup(&self) -> u64 {
        self.cgroup
    }

    pub(crate) const fn created(&self) -> Option<Time> {
        self.created
    }

    pub(crate) const fn privilege(&self) -> Option<Privilege> {
        self.privilege
    }

    pub(crate) const fn exit_code(&self) -> Option<i32> {
        self.exit_code
    }

    /// It was removed, and nobody has ever seen it run: its start failed.
    pub(crate) fn never_ran(&self) -> bool {
        self.state == ContainerState::Removed && !self.ran && self.pid == 0
    }

    pub(crate) const fn gone(&self) -> Option<Time> {
        self.gone
    }

    pub(crate) fn image(&self) -> &str {
        &self.image
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn command(&self) -> &[String] {
        &self.command
    }

    pub(crate) fn aliases(&self) -> impl Iterator<Item = &str> {
        self.aliases.iter().map(String::as_str).chain(core::iter::once(self.name.as_str()))
    }

    pub(crate) fn execs(&self) -> impl Iterator<Item = &Exec> {
        self.execs.iter()
    }

    /// What the operator wrote down about it, apart from its command.
    pub(crate) fn written(&self) -> impl Iterator<Item = &str> {
        let lists = [&self.environment, &self.labels, &self.extra_hosts];
        lists.into_iter().flatten().map(String::as_str)
    }

    pub(crate) fn lived_at(&self, at: Time) -> bool {
        self.created.is_none_or(|created| created <= at) && self.gone.is_none_or(|gone| gone >= at)
    }

    /// Image, command and owner: what its replicas have in common.
    pub(crate) fn workload(&self) -> Workload {
        const OWNERS: [&str; 3] = [
            "com.docker.compose.project=",
            "com.docker.swarm.service.name=",
            "io.kubernetes.pod.namespace=",
        ];
        let owner = self
            .labels
            .iter()
            .find(|label| OWNERS.iter().any(|owner| label.starts_with(owner)))
            .cloned()
            .unwrap_or_default();
        let image = if self.image_id.is_some() { String::new() } else { self.image.clone() };
        Workload { image_id: self.image_id, image, command: self.command.clone(), owner }
    }

    /// The runtime has described it, so that what is undeclared can be called so.
    pub(crate) const fn is_described(&self) -> bool {
        self.privilege.is_some()
    }

    pub(crate) fn view(&self) -> ContainerView {
        ContainerView {
            id: self.id,
            name: self.name.clone(),
            image: self.image.clone(),
            image_id: self.image_id,
            registry_digests: self.registry_digests.clone(),
            command: self.command.clone(),
            privilege: self.privilege,
            network: match &self.network {
                NetworkMode::Unsaid => String::new(),
                NetworkMode::Own => "own".to_owned(),
                NetworkMode::Host => "host".to_owned(),
                NetworkMode::None => "none".to_owned(),
                NetworkMode::Container(id) => alloc::format!("container:{}", short(id)),
                NetworkMode::Macvlan(parent) => alloc::format!("macvlan on {parent}"),
            },
            state: self.state,
            runtime: self.runtime,
        }
    }

    fn learn(&mut self, at: Time, fact: &ContainerFact<'_>) {
        if fact.runtime != Runtime::Unknown {
            self.runtime = fact.runtime;
        }
        // A description taken earlier may arrive later than the event that overtook it.
        let newer = at >= self.state_at && self.state != ContainerState::Removed;
        if fact.state != ContainerState::Unsaid && newer {
            self.state = fact.state;
            self.state_at = at;
        }
        self.ran |= matches!(
            fact.state,
            ContainerState::Running | ContainerState::Paused | ContainerState::Exited(_)
        );
        match fact.state {
            ContainerState::Exited(code) => {
                self.exit_code = code.or(self.exit_code);
                self.gone = Some(self.gone.map_or(at, |gone| gone.max(at)));
            }
            ContainerState::Removed => self.gone = Some(self.gone.map_or(at, |gone| gone.min(at))),
            // A restarted container is back.
            ContainerState::Running if self.gone.is_some_and(|gone| gone < at) => self.gone = None,
            _ => {}
        }
        say(&mut self.name, &fact.name);
        say(&mut self.image, &fact.image);
        self.image_id = fact.image_id.or(self.image_id);
        say_all(&mut self.registry_digests, &fact.registry_digests);
        say_all(&mut self.command, &fact.command);
        say_all(&mut self.environment, &fact.environment);
        say_all(&mut self.labels, &fact.labels);
        say_all(&mut self.extra_hosts, &fact.extra_hosts);
        self.privilege = fact.privilege.or(self.privilege);
        if fact.pid != 0 {
            self.pid = fact.pid;
        }
        if fact.cgroup != 0 {
            self.cgroup = fact.cgroup;
        }
        if let Some(created) = fact.created {
            self.created = Some(created);
        } else if fact.state == ContainerState::Created && self.created.is_none() {
            self.created = Some(at);
        }
        match &fact.network {
            Network::Unsaid => {}
            Network::Own => self.network = NetworkMode::Own,
            Network::Host => self.network = NetworkMode::Host,
            Network::None => self.network = NetworkMode::None,
            Network::Container(id) => self.network = NetworkMode::Container(*id),
            Network::Macvlan(parent) => {
                self.network = NetworkMode::Macvlan(parent.clone().into_owned());
            }
        }
    }
}

fn say(mine: &mut String, said: &str) {
    if !said.is_empty() && mine != said {
        said.clone_into(mine);
    }
}

fn say_all(mine: &mut Vec<String>, said: &[alloc::borrow::Cow<'_, str>]) {
    if !said.is_empty() {
        *mine = said.iter().map(|item| item.clone().into_owned()).collect();
    }
}

/// The first twelve digits of an id, as runtimes show it.
pub(crate) fn short(id: &ContainerId) -> String {
    id.0.iter().take(6).map(|byte| alloc::format!("{byte:02x}")).collect()
}

/// What replicas have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Workload {
    image_id: Option<ImageId>,
    image: String,
    command: Vec<String>,
    owner: String,
}

/// How many containers each workload has had.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Workloads {
    seen: BTreeSet<Workload>,
}

impl Workloads {
    pub(crate) fn total(&self) -> u32 {
        u32::try_from(self.seen.len()).unwrap_or(u32::MAX)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Containers {
    known: Bounded<ContainerId, Container>,
    by_cgroup: BTreeMap<u64, ContainerId>,
    joined: BTreeMap<ContainerId, BTreeSet<ContainerId>>,
    workloads: Workloads,
    workload_count_max: usize,
}

impl Containers {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            known: Bounded::new(limits.container_count_max),
            by_cgroup: BTreeMap::new(),
            joined: BTreeMap::new(),
            workloads: Workloads::default(),
            workload_count_max: limits.container_count_max,
        }
    }

    pub(super) fn observe(&mut self, at: Time, fact: &ContainerFact<'_>) {
        let container = self.known(fact.id);
        container.learn(at, fact);
        let workload = container.is_described().then(|| container.workload());
        if let Some(workload) = workload
            && self.workloads.seen.len() < self.workload_count_max
        {
            self.workloads.seen.insert(workload);
        }
        if fact.cgroup != 0 {
            self.by_cgroup.insert(fact.cgroup, fact.id);
        }
        if let Some(sandbox) = joins(&fact.network) {
            self.joined.entry(sandbox).or_default().insert(fact.id);
        }
    }

    pub(super) fn attached(&mut self, fact: &NetworkAttached<'_>) {
        let container = self.known(fact.id);
        for alias in &fact.aliases {
            if container.aliases.len() < ALIAS_COUNT_MAX {
                container.aliases.insert(alias.clone().into_owned());
            }
        }
    }

    pub(super) fn exec(&mut self, at: Time, fact: &ExecStarted<'_>) {
        let container = self.known(fact.id);
        if container.execs.len() >= EXEC_COUNT_MAX {
            container.execs.pop_front();
        }
        container.execs.push_back(Exec { at, command: fact.command.clone().into_owned() });
    }

    pub(super) fn get(&self, id: &ContainerId) -> Option<&Container> {
        self.known.get(id)
    }

    pub(super) fn by_cgroup(&self, cgroup: u64) -> Option<ContainerId> {
        if cgroup == 0 { None } else { self.by_cgroup.get(&cgroup).copied() }
    }

    pub(super) fn joined(&self, sandbox: ContainerId) -> impl Iterator<Item = &Container> {
        self.joined.get(&sandbox).into_iter().flatten().filter_map(|id| self.known.get(id))
    }

    pub(super) const fn workloads(&self) -> &Workloads {
        &self.workloads
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) const fn evicted_count(&self) -> u64 {
        self.known.evicted_count()
    }

    fn known(&mut self, id: ContainerId) -> &mut Container {
        let (_, evicted) = self.known.entry(id, || Container::new(id));
        if let Some((gone, container)) = evicted {
            self.by_cgroup.remove(&container.cgroup);
            self.joined.remove(&gone);
            for others in self.joined.values_mut() {
                others.remove(&gone);
            }
        }
        self.known.entry(id, || Container::new(id)).0
    }
}
