//! Asks a runtime about a container, in threads of their own: at `network connect` the answer
//! comes only when the container's process is there, about 160 ms later.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use formats::docker_inspect;
use observation::{
    ContainerFact, ContainerId, ContainerState, Fact, Network, NetworkAttached, Time,
};
use serde_json::Value;
use sys::link::Links;
use sys::netns::PinnedNetns;
use sys::process::{Cgroups, Process};

use crate::record::Recorder;
use crate::sources::live::attachment::{Attachment, NamespaceOwners, attachments};
use crate::sources::live::packets::HostUse;
use crate::sources::live::processes::ProcessReader;
use crate::sources::live::snapshots::Snapshots;
use crate::sources::live::{RecordCounts, Voice};
use crate::sources::runtime_api::{ApiError, RuntimeApi};
use crate::timestamp;

/// Questions asked at the same time.
const WORKER_COUNT: usize = 16;
/// Questions that wait. Beyond, one is lost and counted; the next event asks again.
const WAITING_COUNT_MAX: usize = 4096;
const RETRY: Duration = Duration::from_millis(300);
/// Images and networks remembered.
const REMEMBERED_COUNT_MAX: usize = 1024;

/// How long the answer may take, which is part of what tells one question from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asking {
    /// The runtime answers at once.
    Quick,
    /// The runtime answers once the container's process is there.
    Slow,
    /// About a program that was started in a container, by the runtime's id for it.
    Exec,
}

/// What the inspector tells, keeps and asks.
pub(crate) struct Surroundings {
    /// Its own voice.
    pub(crate) voice: Arc<Voice>,
    /// Where descriptions are kept.
    pub(crate) snapshots: Arc<Snapshots>,
    /// Where a recording is made.
    pub(crate) recorder: Option<Arc<Recorder>>,
    /// Who needs the ring on the host's own interfaces.
    pub(crate) host_use: Arc<HostUse>,
    /// Who owns which namespace.
    pub(crate) owners: Arc<NamespaceOwners>,
    /// Reads a process that an exec started.
    pub(crate) reader: Arc<ProcessReader>,
}

/// The door to the workers.
pub(crate) struct Inspector {
    jobs: SyncSender<Job>,
    around: Arc<Surroundings>,
    waiting: Arc<Mutex<BTreeSet<(String, Asking)>>>,
    /// How the questions fared: lost are those for which there was no room.
    pub(crate) counts: Arc<RecordCounts>,
}

struct Job {
    id: String,
    at: Time,
    asking: Asking,
}

struct Worker {
    api: RuntimeApi,
    around: Arc<Surroundings>,
    counts: Arc<RecordCounts>,
    known: Arc<Mutex<Known>>,
}

/// What does not change while it exists.
#[derive(Default)]
struct Known {
    registry_digests: BTreeMap<String, Vec<String>>,
    /// The parent interface of a macvlan network; `None` for other networks.
    macvlan_parents: BTreeMap<String, Option<String>>,
}

impl Inspector {
    /// Starts the workers; they end with this.
    pub(crate) fn start(api: &RuntimeApi, around: Surroundings) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel::<Job>(WAITING_COUNT_MAX);
        let queue = Arc::new(Mutex::new(queue));
        let (around, known) = (Arc::new(around), Arc::<Mutex<Known>>::default());
        let waiting = Arc::<Mutex<BTreeSet<(String, Asking)>>>::default();
        let counts = Arc::<RecordCounts>::default();
        for _ in 0..WORKER_COUNT {
            let worker = Worker {
                api: api.clone(),
                around: Arc::clone(&around),
                counts: Arc::clone(&counts),
                known: Arc::clone(&known),
            };
            let (queue, waiting) = (Arc::clone(&queue), Arc::clone(&waiting));
            thread::Builder::new()
                .name("inspect".into())
                .spawn(move || worker.work(&queue, &waiting))?;
        }
        Ok(Self { jobs, around, waiting, counts })
    }

    /// A container has ended; there may be nobody left to ask.
    pub(crate) fn ended(&self, id: ContainerId) {
        self.around.host_use.end(id);
        self.around.owners.release(id);
    }

    /// Asks about `id`; what is answered holds from `at` on. Never blocks.
    pub(crate) fn ask(&self, id: &str, at: Time, asking: Asking) {
        if !lock(&self.waiting).insert((id.to_owned(), asking)) {
            return;
        }
        if self.jobs.try_send(Job { id: id.to_owned(), at, asking }).is_err() {
            lock(&self.waiting).remove(&(id.to_owned(), asking));
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Worker {
    fn work(&self, queue: &Mutex<Receiver<Job>>, waiting: &Mutex<BTreeSet<(String, Asking)>>) {
        let mut links = Links::open().ok();
        loop {
            let Ok(job) = lock(queue).recv() else { return };
            lock(waiting).remove(&(job.id.clone(), job.asking));
            if job.asking == Asking::Exec {
                self.exec(&job);
            } else {
                self.inspect(&job, links.as_mut());
            }
        }
    }

    /// The program's own process, in case the kernel did not tell of it.
    fn exec(&self, job: &Job) {
        let Ok(exec) = self.api.exec(&job.id) else { return };
        let pid = exec.get("Pid").and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok());
        if let Some(pid) = pid.filter(|pid| *pid != 0) {
            self.around.reader.acted(pid, timestamp::now());
        }
    }

    fn inspect(&self, job: &Job, mut links: Option<&mut Links>) {
        self.counts.read.fetch_add(1, Ordering::Relaxed);
        let mut answer = self.api.inspect(&job.id);
        // While it removes a container, Podman refuses instead of knowing it no more.
        if let Err(ApiError::Refused(..)) = answer {
            thread::sleep(RETRY);
            answer = self.api.inspect(&job.id);
        }
        let json = match answer {
            Ok(json) => json,
            // It vanished between the event and the question, which is no fault of anybody's.
            Err(ApiError::NotFound) => return,
            Err(_) => {
                self.counts.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        if let Some(recorder) = &self.around.recorder {
            recorder.inspect(job.at, &json);
        }
        let details = serde_json::from_slice(&json).unwrap_or(Value::Null);
        let mut here = Here::default();
        let source = self.around.voice.source();
        let tally = docker_inspect::parse(&json, Some(job.at), source, &mut |observation| {
            let mut fact = observation.fact;
            match &mut fact {
                Fact::Container(container) => {
                    self.around.snapshots.put(container.id, job.at, &json);
                    here = Here::of(container, &details, links.as_deref_mut());
                    self.complete(container, &details, &here);
                }
                Fact::NetworkAttached(attached) => here.complete(attached, &details),
                _ => {}
            }
            self.around.voice.say(observation.at, fact);
        });
        for attached in here.unnamed() {
            self.around.voice.say(job.at, Fact::NetworkAttached(attached));
        }
        self.counts.not_understood.fetch_add(tally.not_understood_count, Ordering::Relaxed);
    }

    /// Adds what the runtime itself does not say in this answer.
    fn complete(&self, container: &mut ContainerFact<'_>, details: &Value, here: &Here) {
        container.cgroup = here.cgroup;
        if container.registry_digests.is_empty()
            && let Some(image) = details.get("Image").and_then(Value::as_str)
        {
            let digests = self.registry_digests(image);
            container.registry_digests = digests.into_iter().map(Into::into).collect();
        }
        if container.network == Network::Own
            && let Some(parent) = self.macvlan_parent(details)
        {
            container.network = Network::Macvlan(parent.into());
        }
        let on_host = here.netns != 0 && here.netns == self.around.host_use.netns;
        let shares = matches!(container.network, Network::Host | Network::Macvlan(_)) || on_host;
        if matches!(container.network, Network::Container(_)) {
            self.around.owners.borrows(container.id);
        }
        match container.state {
            ContainerState::Exited(_) | ContainerState::Removed => {
                self.around.host_use.end(container.id);
                self.around.owners.release(container.id);
            }
            _ if shares => self.around.host_use.begin(container.id),
            _ => {}
        }
    }

    fn registry_digests(&self, image: &str) -> Vec<String> {
        if let Some(known) = lock(&self.known).registry_digests.get(image) {
            return known.clone();
        }
        let Ok(answer) = self.api.image(image) else { return Vec::new() };
        let digests = answer.get("RepoDigests").and_then(Value::as_array);
        let digests: Vec<String> =
            digests.into_iter().flatten().filter_map(|d| d.as_str().map(str::to_owned)).collect();
        remember(&mut lock(&self.known).registry_digests, image, digests.clone());
        digests
    }

    /// The interface that a macvlan network lies on, where the container is on one.
    fn macvlan_parent(&self, details: &Value) -> Option<String> {
        let networks = details.pointer("/NetworkSettings/Networks")?.as_object()?;
        networks.iter().find_map(|(name, endpoint)| {
            let id = endpoint.get("NetworkID").and_then(Value::as_str).unwrap_or_default();
            if let Some(known) = lock(&self.known).macvlan_parents.get(id) {
                return known.clone();
            }
            // Before it has started, only the network's name is there, and a name may be given to
            // another network later.
            let network = self.api.network(if id.is_empty() { name } else { id }).ok()?;
            let driver = network.get("Driver").and_then(Value::as_str);
            let parent = network.pointer("/Options/parent").and_then(Value::as_str);
            let parent = (driver == Some("macvlan")).then(|| parent.unwrap_or("").to_owned());
            if !id.is_empty() {
                remember(&mut lock(&self.known).macvlan_parents, id, parent.clone());
            }
            parent
        })
    }
}

/// What the host knows of a container that runs.
#[derive(Default)]
struct Here {
    id: Option<ContainerId>,
    cgroup: u64,
    netns: u64,
    attachments: Vec<Attachment>,
    /// Ports that a network's description has claimed.
    claimed: BTreeSet<observation::PortId>,
}

impl Here {
    fn of(container: &ContainerFact<'_>, details: &Value, links: Option<&mut Links>) -> Self {
        let mut here = Self { id: Some(container.id), ..Self::default() };
        let process = Process::open(container.pid).ok();
        let record = process.as_ref().map(|p| p.read(Cgroups::probe().as_ref()));
        // The number may have gone to another process since the runtime said it.
        let record = record
            .filter(|record| record.container.is_some_and(|found| found.id == container.id.0));
        let netns = match (&process, &record) {
            (Some(process), Some(_)) => PinnedNetns::of_process(process).ok(),
            // Its process has ended and its namespace may still stand.
            _ => sandbox(details).and_then(|path| PinnedNetns::open(path).ok()),
        };
        if let Some(record) = record {
            here.cgroup = record.cgroup_id.unwrap_or(0);
            here.netns = record.netns.unwrap_or(0);
        } else if let Some(netns) = &netns {
            here.netns = netns.inode();
        }
        if let (Some(links), Network::Own | Network::Unsaid, Some(netns)) =
            (links, &container.network, &netns)
        {
            here.attachments = attachments(netns, links);
        }
        here
    }

    /// Which port leads to this network's interface: by link-layer address, or because there is
    /// one of each.
    fn complete(&mut self, attached: &mut NetworkAttached<'_>, details: &Value) {
        attached.netns = self.netns;
        let networks = details.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
        let mac = networks
            .and_then(|networks| networks.get(attached.network.as_ref()))
            .and_then(|endpoint| endpoint.get("MacAddress")?.as_str());
        let found = self.attachments.iter().find(|found| Some(found.mac.as_str()) == mac);
        let only = match self.attachments.as_slice() {
            [only] if networks.is_none_or(|networks| networks.len() <= 1) => Some(only),
            _ => None,
        };
        if let Some(found) = found.or(only) {
            attached.port = Some(found.port);
            self.claimed.insert(found.port);
        }
    }

    /// Ports that no network's description has claimed.
    fn unnamed(&self) -> impl Iterator<Item = NetworkAttached<'static>> {
        let free = self.attachments.iter().filter(|found| !self.claimed.contains(&found.port));
        free.filter_map(|found| {
            Some(NetworkAttached {
                id: self.id?,
                network: "".into(),
                addresses: Vec::new(),
                aliases: Vec::new(),
                gateways: Vec::new(),
                port: Some(found.port),
                netns: self.netns,
                detached: None,
            })
        })
    }
}

/// Where the runtime keeps the container's network namespace.
fn sandbox(details: &Value) -> Option<&Path> {
    let path = details.pointer("/NetworkSettings/SandboxKey")?.as_str();
    path.filter(|path| path.starts_with('/')).map(Path::new)
}

fn remember<T>(known: &mut BTreeMap<String, T>, key: &str, value: T) {
    if known.len() >= REMEMBERED_COUNT_MAX {
        known.clear();
    }
    known.insert(key.to_owned(), value);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
