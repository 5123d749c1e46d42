//! Which capture port leads to which container: through the other end of its veth.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use observation::{ContainerId, Fact, NetworkAttached, PortId, Time};
use sys::link::{Link, Links};
use sys::netns::PinnedNetns;
use sys::process::Process;

use super::packets::Ports;
use super::{Voice, be_on_time};
use crate::timestamp;

/// Interfaces of one container that are looked at.
const INTERFACE_COUNT_MAX: usize = 64;
const WAITING_COUNT_MAX: usize = 1024;
/// Containers whose ports are remembered.
const HELD_COUNT_MAX: usize = 16_384;

/// One of a container's interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// Its link-layer address as the container's side has it, in lower case with colons.
    pub(crate) mac: String,
    /// The host's end of the veth.
    pub(crate) port: PortId,
}

/// The host's ends of the veths that lead into a namespace, by the kernel's own numbering of
/// namespaces: nothing that a container could write is asked.
pub(crate) fn attachments(netns: &PinnedNetns, links: &mut Links) -> Vec<Attachment> {
    let Ok(Some(number)) = links.number_of(netns) else { return Vec::new() };
    let Ok(all) = links.all() else { return Vec::new() };
    // Which network each one belongs to is told by the inner end's address; without CAP_SYS_ADMIN
    // nobody enters the namespace, and a container on one network needs it not.
    let inside = netns.links().and_then(|mut links| links.all()).unwrap_or_default();
    let leads_inside = |link: &&Link| link.kind == "veth" && link.peer_netnsid == Some(number);
    let ends = all.iter().filter(leads_inside).take(INTERFACE_COUNT_MAX);
    ends.map(|end| {
        let inner = inside.iter().find(|inner| Some(inner.ifindex) == end.peer);
        Attachment { mac: inner.map(written).unwrap_or_default(), port: PortId(end.ifindex) }
    })
    .collect()
}

fn written(link: &Link) -> String {
    let bytes: Vec<_> = link.address.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(":")
}

/// Which container owns which network namespace: the first one that was seen in it, unless the
/// runtime says that it borrows another one's.
#[derive(Debug, Default)]
pub(crate) struct NamespaceOwners {
    inner: Mutex<Owners>,
}

#[derive(Debug, Default)]
struct Owners {
    owner: BTreeMap<u64, ContainerId>,
    borrowers: BTreeSet<ContainerId>,
}

impl NamespaceOwners {
    /// Whether `id` now owns `netns` and nobody did before.
    pub(crate) fn claim(&self, netns: u64, id: ContainerId) -> bool {
        let mut inner = self.lock();
        if netns == 0 || inner.borrowers.contains(&id) || inner.owner.contains_key(&netns) {
            return false;
        }
        inner.owner.insert(netns, id);
        true
    }

    /// The claim led to nothing; the next one may try.
    pub(crate) fn unclaim(&self, netns: u64) {
        self.lock().owner.remove(&netns);
    }

    /// `id` lives in another one's namespace.
    pub(crate) fn borrows(&self, id: ContainerId) {
        let mut inner = self.lock();
        inner.owner.retain(|_, owner| *owner != id);
        inner.borrowers.insert(id);
    }

    /// `id` has ended; its namespace's number may be given to another.
    pub(crate) fn release(&self, id: ContainerId) {
        let mut inner = self.lock();
        inner.owner.retain(|_, owner| *owner != id);
        inner.borrowers.remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, Owners> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Maps a container's ports at its first execution, which may be all that it lives for.
#[derive(Debug)]
pub(crate) struct Attacher {
    jobs: SyncSender<Job>,
    /// Who owns which namespace.
    pub(crate) owners: Arc<NamespaceOwners>,
    /// The host's own network namespace.
    pub(crate) host_netns: u64,
}

/// A namespace whose ports are asked for. It is held open, since its process may live no longer
/// than a few milliseconds.
#[derive(Debug)]
struct Seen {
    id: ContainerId,
    netns: PinnedNetns,
    inode: u64,
    at: Time,
}

#[derive(Debug)]
enum Job {
    Attach(Seen),
    /// Its first process has ended: its ports' counters vanish soon.
    Count(ContainerId),
}

impl Attacher {
    /// Starts the thread; it ends with this.
    pub(crate) fn start(voice: Arc<Voice>, ports: Arc<Mutex<Ports>>) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel::<Job>(WAITING_COUNT_MAX);
        let owners = Arc::<NamespaceOwners>::default();
        let host_netns = fs::metadata("/proc/self/ns/net").map_or(0, |metadata| metadata.ino());
        let shared = Arc::clone(&owners);
        thread::Builder::new().name("attach".into()).spawn(move || {
            be_on_time();
            let Ok(links) = Links::open() else { return };
            let (owners, held) = (shared, BTreeMap::new());
            let mut desk = Desk { voice, ports, owners, links, held };
            while let Ok(job) = waiting.recv() {
                match job {
                    Job::Attach(seen) => desk.attach(&seen),
                    Job::Count(id) => desk.count(id),
                }
            }
        })?;
        Ok(Self { jobs, owners, host_netns })
    }

    /// The container's first process has ended.
    pub(crate) fn ended(&self, id: ContainerId) {
        // Without room its ports are compared by what they counted before.
        let _ = self.jobs.try_send(Job::Count(id));
    }

    /// A program of the container runs in the namespace of this inode.
    pub(crate) fn see(&self, id: ContainerId, process: &Process, inode: u64, at: Time) {
        if inode == self.host_netns || !self.owners.claim(inode, id) {
            return;
        }
        let netns = PinnedNetns::of_process(process).ok().filter(|netns| netns.inode() == inode);
        let job = netns.map(|netns| Job::Attach(Seen { id, netns, inode, at }));
        if job.is_none_or(|job| self.jobs.try_send(job).is_err()) {
            self.owners.unclaim(inode);
        }
    }
}

/// The thread's side.
struct Desk {
    voice: Arc<Voice>,
    ports: Arc<Mutex<Ports>>,
    owners: Arc<NamespaceOwners>,
    links: Links,
    /// Each container's ports.
    held: BTreeMap<ContainerId, Vec<PortId>>,
}

impl Desk {
    fn attach(&mut self, seen: &Seen) {
        let Seen { id, netns, inode, at } = seen;
        let found = attachments(netns, &mut self.links);
        if found.is_empty() {
            self.owners.unclaim(*inode);
            return;
        }
        if self.held.len() >= HELD_COUNT_MAX {
            self.held.clear();
        }
        self.held.insert(*id, found.iter().map(|found| found.port).collect());
        for Attachment { port, .. } in found {
            let attached = NetworkAttached {
                id: *id,
                network: "".into(),
                addresses: Vec::new(),
                aliases: Vec::new(),
                gateways: Vec::new(),
                port: Some(port),
                netns: *inode,
                detached: None,
            };
            self.voice.say(*at, Fact::NetworkAttached(attached));
        }
    }

    fn count(&mut self, id: ContainerId) {
        for port in self.held.remove(&id).unwrap_or_default() {
            let Ok(Some(counters)) = self.links.counters(port.ifindex()) else { continue };
            let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
            ports.counted(port, counters, timestamp::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_belongs_to_the_first_and_never_to_a_borrower() {
        let (a, b) = (ContainerId([1; 32]), ContainerId([2; 32]));
        let owners = NamespaceOwners::default();
        owners.borrows(b);
        assert!(!owners.claim(7, b));
        assert!(owners.claim(7, a));
        assert!(!owners.claim(7, a), "once");
        owners.release(a);
        owners.release(b);
        assert!(owners.claim(7, b), "the number was given to another");
    }

    #[test]
    fn this_process_has_no_veth_of_its_own() {
        let mut links = Links::open().unwrap();
        assert!(attachments(&PinnedNetns::own().unwrap(), &mut links).is_empty());
    }
}
