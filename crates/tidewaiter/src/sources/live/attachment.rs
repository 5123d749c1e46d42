//! Which capture port leads to which container: through the other end of its veth.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use observation::{ContainerId, Fact, NetworkAttached, PortId, Time};
use sys::link::{Link, Links};
use sys::netns::PinnedNetns;
use sys::process::Process;

use super::{Voice, be_on_time};

/// Interfaces of one container that are looked at.
const INTERFACE_COUNT_MAX: usize = 64;
const FILE_BYTES_MAX: u64 = 256;
const WAITING_COUNT_MAX: usize = 1024;

/// One of a container's interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// Its link-layer address as the container's side has it, in lower case with colons.
    pub(crate) mac: String,
    /// The host's end of the veth.
    pub(crate) port: PortId,
}

/// The veths of the pinned namespace, each with its end on the host; where we may not enter it,
/// those of the namespace that process `pid` lives in.
///
/// The host's end has to agree that its peer is the interface that claims it.
pub(crate) fn attachments(
    netns: Option<&PinnedNetns>,
    pid: u32,
    links: &mut Links,
) -> Vec<Attachment> {
    let inside = netns.and_then(|netns| netns.links().ok()?.all().ok());
    // Without CAP_SYS_ADMIN nobody enters a namespace; its own /sys says the same, as long as the
    // container may not mount something else there.
    let inner = inside.map_or_else(|| told_by_sysfs(pid), |all| veths(&all));
    let agrees = |inner: &Inner, links: &mut Links| {
        let link = links.link(inner.outer).ok().flatten()?;
        let veth = link.kind == "veth" && link.peer_netnsid.is_some();
        (veth && link.peer == Some(inner.ifindex)).then_some(PortId(inner.outer))
    };
    inner
        .into_iter()
        .filter_map(|inner| Some(Attachment { port: agrees(&inner, links)?, mac: inner.mac }))
        .collect()
}

/// An interface as its own namespace knows it.
struct Inner {
    ifindex: u32,
    /// Its peer's number in the peer's namespace.
    outer: u32,
    mac: String,
}

fn veths(all: &[Link]) -> Vec<Inner> {
    let veth = all.iter().filter(|link| link.kind == "veth" && link.peer_netnsid.is_some());
    veth.take(INTERFACE_COUNT_MAX)
        .filter_map(|link| {
            let mac: Vec<_> = link.address.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(Inner { ifindex: link.ifindex, outer: link.peer?, mac: mac.join(":") })
        })
        .collect()
}

fn told_by_sysfs(pid: u32) -> Vec<Inner> {
    let folder = format!("/proc/{pid}/root/sys/class/net");
    let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
    let entries = entries.flatten().take(INTERFACE_COUNT_MAX);
    let inner = entries.filter_map(|entry| {
        let path = entry.path();
        let number = |name: &str| small_file(&path.join(name))?.parse::<u32>().ok();
        let (ifindex, outer) = (number("ifindex")?, number("iflink")?);
        let mac = small_file(&path.join("address")).unwrap_or_default();
        // Loopback and the like are their own other end.
        (ifindex != outer).then_some(Inner { ifindex, outer, mac })
    });
    inner.collect()
}

/// Opened so that nothing which a container may have mounted there makes us wait.
fn small_file(path: &Path) -> Option<String> {
    const NONBLOCK: i32 = 0o4000;
    let mut text = String::new();
    let file = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path).ok()?;
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned())
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
struct Job {
    id: ContainerId,
    pid: u32,
    netns: Option<PinnedNetns>,
    inode: u64,
    at: Time,
}

impl Attacher {
    /// Starts the thread; it ends with this.
    pub(crate) fn start(voice: Arc<Voice>) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel::<Job>(WAITING_COUNT_MAX);
        let owners = Arc::<NamespaceOwners>::default();
        let shared = Arc::clone(&owners);
        let host_netns = fs::metadata("/proc/self/ns/net").map_or(0, |metadata| metadata.ino());
        thread::Builder::new().name("attach".into()).spawn(move || {
            be_on_time();
            let Ok(mut links) = Links::open() else { return };
            while let Ok(Job { id, pid, netns, inode, at }) = waiting.recv() {
                let found = attachments(netns.as_ref(), pid, &mut links);
                if found.is_empty() {
                    shared.unclaim(inode);
                }
                for Attachment { port, .. } in found {
                    let attached = NetworkAttached {
                        id,
                        network: "".into(),
                        addresses: Vec::new(),
                        aliases: Vec::new(),
                        port: Some(port),
                        netns: inode,
                        detached: None,
                    };
                    voice.say(at, Fact::NetworkAttached(attached));
                }
            }
        })?;
        Ok(Self { jobs, owners, host_netns })
    }

    /// A program of the container runs in the namespace of this inode.
    pub(crate) fn see(&self, id: ContainerId, process: &Process, inode: u64, at: Time) {
        if inode == self.host_netns || !self.owners.claim(inode, id) {
            return;
        }
        let netns = PinnedNetns::of_process(process).ok().filter(|netns| netns.inode() == inode);
        let job = Job { id, pid: process.pid(), netns, inode, at };
        if self.jobs.try_send(job).is_err() {
            self.owners.unclaim(inode);
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
        let netns = PinnedNetns::own().ok();
        assert!(attachments(netns.as_ref(), std::process::id(), &mut links).is_empty());
    }
}
