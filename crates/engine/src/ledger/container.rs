//! One container, and what runtimes said of it, also after it is gone.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::IpAddr;

use observation::{
    ContainerFact, ContainerId, ContainerState, ExecStarted, ImageId, Network, NetworkAttached,
    Privilege, Runtime, Time, Transport,
};
use serde::{Deserialize, Serialize};

use super::places::Life;
use super::workload::Workload;
use crate::alert::ContainerView;
use crate::clients::RawClient;
use crate::intel::Listed;

/// Programs started through the runtime that one container remembers.
const EXEC_COUNT_MAX: usize = 16;
const ALIAS_COUNT_MAX: usize = 32;
const GATEWAY_COUNT_MAX: usize = 16;
/// A restarted container has another cgroup; late word may still be about the one before.
const CGROUP_COUNT_MAX: usize = 4;
/// What a runtime says is taken up to here: more than any container that works has.
const WORD_COUNT_MAX: usize = 1024;
const WORD_BYTES_MAX: usize = 4096;

/// What was said last, by the time of what was said and not of when we heard it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Latest<T> {
    at: Time,
    value: T,
}

impl<T: PartialOrd> Latest<T> {
    fn say(&mut self, at: Time, value: T) {
        // Two sources that contradict each other about the same instant: any rule will do.
        if at > self.at || (at == self.at && value > self.value) {
            *self = Self { at, value };
        }
    }
}

/// One container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Container {
    id: ContainerId,
    runtime: Runtime,
    state: Latest<u8>,
    exit_code: Latest<Option<i32>>,
    name: Latest<String>,
    image: Latest<String>,
    image_id: Latest<Option<ImageId>>,
    registry_digests: Latest<Vec<String>>,
    command: Latest<Vec<String>>,
    environment: Latest<Vec<String>>,
    labels: Latest<Vec<String>>,
    extra_hosts: Latest<Vec<String>>,
    aliases: BTreeSet<String>,
    gateways: BTreeSet<IpAddr>,
    privilege: Option<(Time, Privilege)>,
    pid: Latest<u32>,
    cgroups: VecDeque<(Time, u64)>,
    network: Option<(Time, NetworkMode)>,
    created: Option<Time>,
    started: Option<Time>,
    ended: Option<Time>,
    removed: Option<Time>,
    /// A witness has seen it run, or end.
    ran: bool,
    execs: VecDeque<Exec>,
    client: Option<RawClient>,
    workload: Workload,
    /// The first program that ran in it and that a feed lists.
    listed: Option<Box<Listed>>,
}

/// A program started through the runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exec {
    pub at: Time,
    pub client: Option<RawClient>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum NetworkMode {
    Own,
    Host,
    None,
    Container(ContainerId),
    Macvlan(String),
}

// States in the order in which a container goes through them: at one instant the later one holds.
const UNSAID: u8 = 0;
const CREATED: u8 = 1;
const RUNNING: u8 = 2;
const PAUSED: u8 = 3;
const EXITED: u8 = 4;
const REMOVED: u8 = 5;

impl Container {
    pub(super) fn new(id: ContainerId) -> Self {
        Self {
            id,
            runtime: Runtime::Unknown,
            state: Latest::default(),
            exit_code: Latest::default(),
            name: Latest::default(),
            image: Latest::default(),
            image_id: Latest::default(),
            registry_digests: Latest::default(),
            command: Latest::default(),
            environment: Latest::default(),
            labels: Latest::default(),
            extra_hosts: Latest::default(),
            aliases: BTreeSet::new(),
            gateways: BTreeSet::new(),
            privilege: None,
            pid: Latest::default(),
            cgroups: VecDeque::new(),
            network: None,
            created: None,
            started: None,
            ended: None,
            removed: None,
            ran: false,
            execs: VecDeque::new(),
            client: None,
            workload: Workload::default(),
            listed: None,
        }
    }

    pub(crate) const fn id(&self) -> ContainerId {
        self.id
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.pid.value
    }

    /// Its cgroup now.
    pub(crate) fn cgroup(&self) -> u64 {
        self.cgroups.iter().max().map_or(0, |(_, cgroup)| *cgroup)
    }

    pub(super) fn cgroups(&self) -> impl Iterator<Item = u64> {
        self.cgroups.iter().map(|(_, cgroup)| *cgroup)
    }

    pub(crate) const fn created(&self) -> Option<Time> {
        self.created
    }

    pub(crate) fn privilege(&self) -> Option<Privilege> {
        self.privilege.map(|(_, privilege)| privilege)
    }

    /// How its first process ended, where it has.
    pub(crate) const fn exit_code(&self) -> Option<i32> {
        self.exit_code.value
    }

    /// When it ended; a restarted container is back.
    pub(crate) fn gone(&self) -> Option<Time> {
        let ended = self.ended.filter(|ended| self.started.is_none_or(|started| started <= *ended));
        match (ended, self.removed) {
            (Some(ended), Some(removed)) => Some(ended.min(removed)),
            (ended, removed) => ended.or(removed),
        }
    }

    /// When it ended, if that was at or after this time.
    pub(crate) fn ended_since(&self, at: Time) -> Option<Time> {
        [self.ended, self.removed].into_iter().flatten().filter(|end| *end >= at).min()
    }

    /// It was removed, and nobody has ever seen it run: its start failed.
    pub(crate) const fn never_ran(&self) -> bool {
        self.removed.is_some() && self.pid.value == 0 && !self.ran
    }

    pub(super) fn life(&self) -> Life {
        Life { created: self.created, gone: self.gone(), removed: self.removed }
    }

    pub(crate) fn image(&self) -> &str {
        &self.image.value
    }

    pub(crate) fn name(&self) -> &str {
        &self.name.value
    }

    pub(crate) fn command(&self) -> &[String] {
        &self.command.value
    }

    pub(super) fn ran_listed(&mut self, listed: Listed) {
        if self.listed.as_ref().is_none_or(|known| listed.at < known.at) {
            self.listed = Some(Box::new(listed));
        }
    }

    /// What feeds list of the programs that ran in it.
    pub(crate) fn listed(&self) -> Option<&Listed> {
        self.listed.as_deref()
    }

    /// The raw client that its command is, or calls.
    pub(crate) const fn client(&self) -> Option<&RawClient> {
        self.client.as_ref()
    }

    pub(crate) fn aliases(&self) -> impl Iterator<Item = &str> {
        self.aliases.iter().map(String::as_str).chain(core::iter::once(self.name()))
    }

    /// Whether this is the host's own address on one of its networks.
    pub(crate) fn has_gateway(&self, address: IpAddr) -> bool {
        self.gateways.contains(&address)
    }

    /// Whether a port of its own is exposed, published or named in what the operator wrote down.
    pub(crate) fn declares_port(&self, transport: Transport, port: u16) -> bool {
        let protocol = if transport == Transport::Udp { "udp" } else { "tcp" };
        let is_this = |spec: &String| {
            let inner = spec.rsplit("->").next().unwrap_or_default();
            let named = inner.split_once('/');
            named.is_some_and(|(number, over)| over == protocol && number.parse() == Ok(port))
        };
        let digits = alloc::format!("{port}");
        let mut written = self.environment.value.iter().chain(&self.labels.value);
        self.extra_hosts.value.iter().any(is_this) || written.any(|text| has_word(text, &digits))
    }

    pub(crate) fn execs(&self) -> impl Iterator<Item = &Exec> {
        self.execs.iter()
    }

    /// What the operator wrote down about it, apart from its command.
    pub(crate) fn written(&self) -> impl Iterator<Item = &str> {
        let lists = [&self.environment.value, &self.labels.value, &self.extra_hosts.value];
        lists.into_iter().flatten().map(String::as_str)
    }

    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        self.labels.value.iter().map(String::as_str)
    }

    /// What a label says.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.labels().find_map(|label| label.strip_prefix(key)?.strip_prefix('='))
    }

    pub(crate) fn lived_at(&self, at: Time) -> bool {
        self.created.is_none_or(|created| created <= at)
            && self.gone().is_none_or(|gone| gone >= at)
    }

    pub(crate) const fn workload(&self) -> Workload {
        self.workload
    }

    /// The runtime has described it, so that what is undeclared can be called so.
    pub(crate) const fn is_described(&self) -> bool {
        self.privilege.is_some()
    }

    /// The container whose network it uses.
    pub(super) fn sandbox(&self) -> Option<ContainerId> {
        match self.network {
            Some((_, NetworkMode::Container(id))) => Some(id),
            _ => None,
        }
    }

    pub(crate) fn view(&self) -> ContainerView {
        ContainerView {
            id: self.id,
            name: self.name.value.clone(),
            image: self.image.value.clone(),
            image_id: self.image_id.value,
            registry_digests: self.registry_digests.value.clone(),
            command: self.command.value.clone(),
            workload: if self.is_described() { self.workload.to_string() } else { String::new() },
            privilege: self.privilege(),
            network: match self.network.as_ref().map(|(_, mode)| mode) {
                None => String::new(),
                Some(NetworkMode::Own) => "own".to_owned(),
                Some(NetworkMode::Host) => "host".to_owned(),
                Some(NetworkMode::None) => "none".to_owned(),
                Some(NetworkMode::Container(id)) => alloc::format!("container:{}", short(id)),
                Some(NetworkMode::Macvlan(parent)) => alloc::format!("macvlan on {parent}"),
            },
            state: match self.state.value {
                CREATED => ContainerState::Created,
                RUNNING => ContainerState::Running,
                PAUSED => ContainerState::Paused,
                EXITED => ContainerState::Exited(self.exit_code()),
                REMOVED => ContainerState::Removed,
                _ => ContainerState::Unsaid,
            },
            runtime: self.runtime,
        }
    }

    pub(super) fn learn(&mut self, at: Time, fact: &ContainerFact<'_>) {
        if fact.runtime != Runtime::Unknown {
            self.runtime = fact.runtime;
        }
        self.learn_state(at, fact.state);
        say(&mut self.name, at, &fact.name);
        say(&mut self.image, at, &fact.image);
        if let Some(id) = fact.image_id {
            self.image_id.say(at, Some(id));
        }
        say_all(&mut self.registry_digests, at, &fact.registry_digests);
        say_all(&mut self.command, at, &fact.command);
        say_all(&mut self.environment, at, &fact.environment);
        say_all(&mut self.labels, at, &fact.labels);
        say_all(&mut self.extra_hosts, at, &fact.extra_hosts);
        if let Some(privilege) = fact.privilege
            && self.privilege.is_none_or(|(said, _)| said <= at)
        {
            self.privilege = Some((at, privilege));
        }
        if fact.pid != 0 {
            self.pid.say(at, fact.pid);
        }
        if fact.cgroup != 0 && !self.cgroups().any(|known| known == fact.cgroup) {
            if self.cgroups.len() >= CGROUP_COUNT_MAX {
                self.cgroups.pop_front();
            }
            self.cgroups.push_back((at, fact.cgroup));
        }
        // The runtime's own word counts before our guess by the event's time.
        if fact.created.is_some() {
            self.created = fact.created;
        } else if fact.state == ContainerState::Created && self.created.is_none() {
            self.created = Some(at);
        }
        let mode = match &fact.network {
            Network::Unsaid => None,
            Network::Own => Some(NetworkMode::Own),
            Network::Host => Some(NetworkMode::Host),
            Network::None => Some(NetworkMode::None),
            Network::Container(id) => Some(NetworkMode::Container(*id)),
            Network::Macvlan(parent) => Some(NetworkMode::Macvlan(bounded(parent))),
        };
        if let Some(mode) = mode
            && self.network.as_ref().is_none_or(|(said, _)| *said <= at)
        {
            self.network = Some((at, mode));
        }
        self.client = RawClient::find(self.command().iter().map(String::as_str));
        self.workload = self.hash_of_workload();
    }

    fn learn_state(&mut self, at: Time, state: ContainerState) {
        let later =
            |known: &mut Option<Time>| *known = Some(known.map_or(at, |known| known.max(at)));
        let rank = match state {
            ContainerState::Unsaid => UNSAID,
            ContainerState::Created => CREATED,
            ContainerState::Running => RUNNING,
            ContainerState::Paused => PAUSED,
            ContainerState::Exited(_) => EXITED,
            ContainerState::Removed => REMOVED,
        };
        if rank != UNSAID && self.state.value != REMOVED {
            self.state.say(if rank == REMOVED { Time::NEVER } else { at }, rank);
        }
        self.ran |= matches!(rank, RUNNING | PAUSED | EXITED);
        match state {
            ContainerState::Running => later(&mut self.started),
            ContainerState::Exited(code) => {
                later(&mut self.ended);
                if code.is_some() {
                    self.exit_code.say(at, code);
                }
            }
            ContainerState::Removed => {
                self.removed = Some(self.removed.map_or(at, |known| known.min(at)));
            }
            _ => {}
        }
    }

    pub(super) fn attached(&mut self, fact: &NetworkAttached<'_>) {
        for alias in &fact.aliases {
            if self.aliases.len() < ALIAS_COUNT_MAX {
                self.aliases.insert(bounded(alias));
            }
        }
        for gateway in &fact.gateways {
            if self.gateways.len() < GATEWAY_COUNT_MAX {
                self.gateways.insert(*gateway);
            }
        }
    }

    pub(super) fn exec(&mut self, at: Time, fact: &ExecStarted<'_>) {
        if self.execs.len() >= EXEC_COUNT_MAX {
            self.execs.pop_front();
        }
        let client = RawClient::find(bounded(&fact.command).split(' '));
        self.execs.push_back(Exec { at, client });
    }

    fn hash_of_workload(&self) -> Workload {
        Workload::of(self.image_id.value, self.image(), self.command(), &self.labels.value)
    }
}

/// Whether these digits stand in a text by themselves: 80 is no part of 8080, of 1.80 or of 80.1.
pub(crate) fn has_word(text: &str, digits: &str) -> bool {
    let other = |letter: char| !letter.is_ascii_alphanumeric() && letter != '.';
    text.split(other).any(|word| word == digits)
}

fn bounded(said: &str) -> String {
    let end = said.floor_char_boundary(WORD_BYTES_MAX);
    String::from(said.get(..end).unwrap_or_default())
}

fn say(mine: &mut Latest<String>, at: Time, said: &str) {
    if !said.is_empty() {
        mine.say(at, bounded(said));
    }
}

fn say_all(mine: &mut Latest<Vec<String>>, at: Time, said: &[Cow<'_, str>]) {
    if !said.is_empty() {
        mine.say(at, said.iter().take(WORD_COUNT_MAX).map(|item| bounded(item)).collect());
    }
}

/// The first twelve digits of an id, as runtimes show it.
fn short(id: &ContainerId) -> String {
    id.0.iter().take(6).map(|byte| alloc::format!("{byte:02x}")).collect()
}
