//! Executions, each read from `/proc` at once, with the hash of what was executed.

mod hashes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use observation::{
    ContainerFact, ContainerId, ContainerState, Fact, GapCause, InImage, Network, ProcessEnded,
    ProcessKey, ProcessStarted, Runtime, SourceKind, SourceState, Time,
};
use sys::process::{
    Cgroups, ConnectorItem, ContainerRef, ContainerRuntime, Interest, Process, ProcessConnector,
    ProcessEvent, ProcessEventKind, ProcessRecord,
};

use super::attachment::Attacher;
use super::bundle::{self, BundleNetwork, Order};
use super::packets::HostUse;
use super::runtime::{Asking, Inspector, hex};
use super::{RecordCounts, Stop, Voice, be_on_time};
use crate::timestamp;
use hashes::{Hasher, Pinned};

/// How long the connector is waited for before the stop flag is looked at.
const QUIET: Duration = Duration::from_millis(250);
/// Processes of which it is remembered that they have been read.
const READ_COUNT_MAX: usize = 1 << 16;

/// Reads processes and tells of them; shared by the sources that learn of a process.
#[derive(Debug)]
pub(crate) struct ProcessReader {
    voice: Arc<Voice>,
    cgroups: Option<Cgroups>,
    hasher: Hasher,
    attacher: Arc<Attacher>,
    host_use: Arc<HostUse>,
    read: Mutex<ReadPids>,
    /// Who is asked about a container as soon as an engine has it made.
    inspectors: Mutex<Vec<Weak<Inspector>>>,
    /// How its records fared; not understood are those that were gone before they could be read.
    pub(crate) counts: RecordCounts,
}

/// Whose a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The host's own, in the host's network namespace.
    Host,
    /// A container's, or that of somebody who hides in a namespace.
    Other,
}

/// The processes that have been read.
#[derive(Debug, Default)]
struct ReadPids {
    pids: BTreeMap<u32, (Time, Whose)>,
    order: VecDeque<(u32, Time)>,
    /// Cgroups whose container has been told.
    cgroups: BTreeSet<u64>,
    /// The first process of each container, with which it ends.
    first: BTreeMap<u32, ContainerId>,
}

impl ProcessReader {
    /// Reads with this voice. The hashing thread lives as long as the reader.
    pub(crate) fn new(
        voice: Arc<Voice>,
        attacher: Arc<Attacher>,
        host_use: Arc<HostUse>,
    ) -> std::io::Result<Self> {
        let hasher = Hasher::start(Arc::clone(&voice))?;
        let (cgroups, counts) = (Cgroups::probe(), RecordCounts::default());
        let (read, inspectors) = (Mutex::default(), Mutex::default());
        Ok(Self { voice, cgroups, hasher, attacher, host_use, read, inspectors, counts })
    }

    /// Lets it ask about each container that is made, before the engine's own event comes: Podman's
    /// service looks for its events four times a second, and a container may be gone by then.
    pub(crate) fn ask_through(&self, inspector: &Arc<Inspector>) {
        let mut inspectors = self.inspectors.lock().unwrap_or_else(PoisonError::into_inner);
        inspectors.push(Arc::downgrade(inspector));
    }

    /// Whether kernel events name cgroups here.
    pub(crate) const fn cgroups(&self) -> Option<&Cgroups> {
        self.cgroups.as_ref()
    }

    /// A process ran a program at `at`: reads it and tells.
    pub(crate) fn executed(&self, pid: u32, at: Time) {
        self.counts.read.fetch_add(1, Ordering::Relaxed);
        if self.tell(pid, at).is_none() {
            self.counts.not_understood.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A process did something: reads it unless that has been done since its last execution.
    /// `None` when it could not be read.
    pub(crate) fn acted(&self, pid: u32, at: Time) -> Option<Whose> {
        let known = self.lock().pids.get(&pid).map(|(_, whose)| *whose);
        known.or_else(|| self.tell(pid, at))
    }

    /// A process ended; its number may be given to another one.
    pub(crate) fn ended(&self, pid: u32, at: Time, exit_code: Option<i32>) {
        let first_of = {
            let mut read = self.lock();
            read.pids.remove(&pid);
            read.first.remove(&pid)
        };
        if let Some(container) = first_of {
            self.attacher.ended(container);
        }
        self.voice.say(at, Fact::ProcessEnded(ProcessEnded { pid, exit_code }));
    }

    /// Reads the processes of containers that run already.
    pub(crate) fn read_running(&self) {
        let Ok(entries) = std::fs::read_dir("/proc") else { return };
        for entry in entries.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let Ok(process) = Process::open(pid) else { continue };
            let record = process.read(self.cgroups.as_ref());
            if record.container.is_some() {
                let at = record.started_ns.map_or_else(timestamp::now, Time);
                self.tell_record(&process, &record, at);
            }
        }
    }

    fn tell(&self, pid: u32, at: Time) -> Option<Whose> {
        let process = Process::open(pid).ok()?;
        let record = process.read(self.cgroups.as_ref());
        self.tell_record(&process, &record, at)
    }

    fn tell_record(&self, process: &Process, record: &ProcessRecord, at: Time) -> Option<Whose> {
        if record.executable.is_none() && record.arguments.is_empty() {
            return None;
        }
        let in_host = record.netns == Some(self.attacher.host_netns);
        let whose = if record.container.is_none() && in_host { Whose::Host } else { Whose::Other };
        self.lock().remember(record.pid, at, whose);
        if let (Some(container), Some(netns)) = (record.container, record.netns) {
            self.attacher.see(ContainerId(container.id), process, netns, at);
        }
        let mut started = described(record, at);
        if let Some(container) = record.container {
            self.tell_cgroup(container, record, at);
        } else if whose == Whose::Host {
            self.note_order(&record.arguments, at);
        }
        // Host programs are told of because one of them started the container.
        let pinned = record.container.and_then(|_| {
            started.in_image = as_observed(process.in_image());
            process.executable().ok().and_then(Pinned::of)
        });
        match pinned {
            Some(pinned) => self.hasher.tell_hashed(at, started, pinned),
            None => self.voice.say(at, Fact::ProcessStarted(started)),
        }
        Some(whose)
    }

    /// The runtime says where a container's cgroup is only while its first process lives.
    fn tell_cgroup(&self, container: ContainerRef, record: &ProcessRecord, at: Time) {
        let cgroup = record.cgroup_id.unwrap_or(0);
        let id = ContainerId(container.id);
        if record.inner_pid == Some(1) {
            self.lock().first.insert(record.pid, id);
        }
        if cgroup == 0 || !self.lock().is_new_cgroup(cgroup) {
            return;
        }
        let runtime = match container.runtime {
            ContainerRuntime::Docker => Runtime::Docker,
            ContainerRuntime::Podman => Runtime::Podman,
            ContainerRuntime::Containerd => Runtime::Containerd,
            ContainerRuntime::CriO => Runtime::CriO,
            ContainerRuntime::Unknown => Runtime::Unknown,
        };
        let fact = ContainerFact { cgroup, ..unsaid(id, runtime) };
        self.voice.say(at, Fact::Container(fact));
    }

    /// A runtime makes or removes a container: its command, and whether it will use the host's
    /// interfaces, are known before its program runs, and also of engines that have no socket here.
    fn note_order(&self, arguments: &[String], at: Time) {
        let (id, folder) = match bundle::order(arguments) {
            Some(Order::Create(id, folder)) => (id, folder),
            Some(Order::Delete(id)) => return self.host_use.end(id),
            None => return,
        };
        for inspector in self.inspectors.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // An engine that has not made it says so, and that is all.
            inspector.upgrade().into_iter().for_each(|it| it.ask(&hex(id), at, Asking::Quick));
        }
        let Some(bundle) = bundle::read(&folder, self.attacher.host_netns) else { return };
        let mut fact = unsaid(id, Runtime::Unknown);
        if bundle.network == BundleNetwork::Host {
            self.host_use.begin(id);
            fact.network = Network::Host;
        }
        fact.command = bundle.command.into_iter().map(Into::into).collect();
        fact.environment = bundle.environment.into_iter().map(Into::into).collect();
        self.voice.say(at, Fact::Container(fact));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ReadPids> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadPids {
    fn is_new_cgroup(&mut self, cgroup: u64) -> bool {
        if self.cgroups.len() >= READ_COUNT_MAX {
            self.cgroups.clear();
            self.first.clear();
        }
        self.cgroups.insert(cgroup)
    }

    fn remember(&mut self, pid: u32, at: Time, whose: Whose) {
        self.pids.insert(pid, (at, whose));
        self.order.push_back((pid, at));
        while self.order.len() > READ_COUNT_MAX {
            let Some((pid, at)) = self.order.pop_front() else { break };
            // The number may have been given to a later process, which stays.
            if self.pids.get(&pid).is_some_and(|(read_at, _)| *read_at == at) {
                self.pids.remove(&pid);
            }
        }
    }
}

/// Follows the kernel's process events until the stop.
pub(crate) fn follow(reader: &ProcessReader, stop: &Stop) {
    let mut connector = match ProcessConnector::open(Interest::Executions) {
        Ok(connector) => connector,
        Err(error) => {
            let detail =
                format!("process events: {error}; processes are known by their sockets only");
            reader.voice.stand(SourceKind::ProcessEvents, SourceState::Closed, &detail);
            return;
        }
    };
    reader.voice.stand(SourceKind::ProcessEvents, SourceState::Open, "process events");
    reader.read_running();
    be_on_time();
    let mut last = timestamp::now();
    while !stop.is_set() {
        match connector.next(QUIET) {
            Ok(None) => {}
            Ok(Some(ConnectorItem::Event(event))) => {
                last = Time(event.at_ns);
                take(reader, event);
            }
            Ok(Some(ConnectorItem::Lost)) => {
                // The kernel does not say how many.
                reader.counts.lost.fetch_add(1, Ordering::Relaxed);
                reader.voice.gap(last, 1, GapCause::KernelDrop);
            }
            Err(error) => {
                let detail = format!("process events: {error}");
                reader.voice.stand(SourceKind::ProcessEvents, SourceState::Closed, &detail);
                return;
            }
        }
    }
}

fn take(reader: &ProcessReader, event: ProcessEvent) {
    let at = Time(event.at_ns);
    match event.kind {
        ProcessEventKind::Executed => reader.executed(event.pid, at),
        ProcessEventKind::Ended { exit_code, .. } => reader.ended(event.pid, at, exit_code),
        ProcessEventKind::Forked { .. } | ProcessEventKind::UserChanged { .. } => {}
    }
}

fn described(record: &ProcessRecord, at: Time) -> ProcessStarted<'static> {
    ProcessStarted {
        process: ProcessKey { pid: record.pid, started: at },
        parent_pid: record.parent_pid.unwrap_or(0),
        uid: record.real_uid,
        container: record.container.map(|container| ContainerId(container.id)),
        cgroup: record.cgroup_id.unwrap_or(0),
        executable: record.executable.clone().unwrap_or_default().into(),
        arguments: record.arguments.iter().map(|argument| argument.clone().into()).collect(),
        sha256: None,
        in_image: InImage::Unknown,
    }
}

/// A fact that says nothing yet.
fn unsaid(id: ContainerId, runtime: Runtime) -> ContainerFact<'static> {
    ContainerFact {
        id,
        runtime,
        state: ContainerState::Unsaid,
        name: "".into(),
        image: "".into(),
        image_id: None,
        registry_digests: Vec::new(),
        command: Vec::new(),
        environment: Vec::new(),
        labels: Vec::new(),
        extra_hosts: Vec::new(),
        privilege: None,
        pid: 0,
        cgroup: 0,
        network: Network::Unsaid,
        created: None,
    }
}

const fn as_observed(in_image: sys::process::InImage) -> InImage {
    match in_image {
        sys::process::InImage::Yes => InImage::Yes,
        sys::process::InImage::No => InImage::No,
        sys::process::InImage::Unknown => InImage::Unknown,
    }
}
