//! The spool: what belongs to an alert, taken the moment it opens, so that `respond` can seal it
//! also when the container is gone.
//!
//! ```text
//! STORE/spool/ALERT/packets.pcapng          what its ports had carried, and carry for a while
//! STORE/spool/ALERT/inspect-CONTAINER.json  the runtime's last description of the accused
//! STORE/spool/ALERT/meta.json               what was taken, and when
//! ```

mod folder;
mod frame;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use engine::{Alert, AlertId, AlertUpdate, Level};
use observation::{ContainerId, IpAddress, PortId, Span, Time};
use sensor::Packet;
use serde::Serialize;

use crate::sources::live::held::HeldPackets;
use crate::sources::live::runtime::hex;
use crate::sources::live::snapshots::Snapshots;
use crate::timestamp;
use folder::{AlertFolder, make_room};

/// From this level on an alert's evidence is taken.
const LEVEL_MIN: Level = Level::Low;
/// How long after its last revision an alert's ports are followed.
const FOLLOW: Span = Span::from_secs(60);
/// Packets of one alert, in bytes.
const ALERT_BYTES_MAX: u64 = 32 << 20;
/// The whole spool. Beyond, the oldest of the lowest level makes room.
const SPOOL_BYTES_MAX: u64 = 2 << 30;
/// Alerts that are followed at the same time; beyond, the one that is due first is let go.
const OPEN_COUNT_MAX: usize = 64;
/// Updates that wait for the disk.
const WAITING_COUNT_MAX: usize = 1024;
const TICK: Duration = Duration::from_millis(500);

/// The spool's own thread, so that a slow disk keeps no packet waiting.
pub(crate) struct Spool {
    jobs: SyncSender<Box<Alert>>,
    thread: JoinHandle<SpoolCounts>,
    refused_count: u64,
}

/// What became of the evidence.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SpoolCounts {
    /// Alerts with a folder.
    pub(crate) alert_count: u64,
    /// Updates for which there was no room or the disk failed.
    pub(crate) failed_count: u64,
}

impl Spool {
    /// Starts it for the store in `store`.
    pub(crate) fn start(
        store: &Path,
        held: Arc<Mutex<HeldPackets>>,
        snapshots: Arc<Snapshots>,
    ) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel(WAITING_COUNT_MAX);
        let root = store.join("spool");
        let open = BTreeMap::new();
        let mut writer = Writer { root, held, snapshots, open, counts: SpoolCounts::default() };
        let thread =
            thread::Builder::new().name("spool".into()).spawn(move || writer.work(&waiting))?;
        Ok(Self { jobs, thread, refused_count: 0 })
    }

    /// Takes the evidence of what has just been committed.
    pub(crate) fn take(&mut self, updates: &[AlertUpdate]) {
        for update in updates {
            let (AlertUpdate::Opened(alert)
            | AlertUpdate::Revised(alert)
            | AlertUpdate::Adopted(alert, _)) = update
            else {
                continue;
            };
            if alert.level >= LEVEL_MIN && self.jobs.try_send(Box::new(alert.clone())).is_err() {
                self.refused_count += 1;
            }
        }
    }

    /// Writes what is left and ends.
    pub(crate) fn finish(self) -> SpoolCounts {
        drop(self.jobs);
        let mut counts = self.thread.join().unwrap_or_default();
        counts.failed_count += self.refused_count;
        counts
    }
}

struct Writer {
    root: std::path::PathBuf,
    held: Arc<Mutex<HeldPackets>>,
    snapshots: Arc<Snapshots>,
    open: BTreeMap<AlertId, Followed>,
    counts: SpoolCounts,
}

/// An alert whose ports are followed.
struct Followed {
    folder: AlertFolder,
    level: Level,
    /// Until when each port has been written.
    ports: BTreeMap<PortId, Time>,
    /// Far ends, which alone matter on the host's own interfaces.
    peers: BTreeSet<IpAddress>,
    /// When the runtime described each one, where it did.
    containers: BTreeMap<ContainerId, Option<Time>>,
    until: Time,
    packet_count: u64,
}

/// What `meta.json` says.
#[derive(Serialize)]
struct Meta {
    alert: String,
    level: &'static str,
    taken_at: String,
    ports: Vec<u32>,
    /// Each accused container, and when the runtime described it, where it did.
    containers: BTreeMap<String, Option<String>>,
    packet_count: u64,
    packet_bytes: u64,
    /// Whether `ALERT_BYTES_MAX` ended it.
    full: bool,
}

impl Writer {
    fn work(&mut self, waiting: &Receiver<Box<Alert>>) -> SpoolCounts {
        loop {
            match waiting.recv_timeout(TICK) {
                Ok(alert) => self.update(&alert),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.tick(timestamp::now());
        }
        self.tick(Time::NEVER);
        self.counts
    }

    fn update(&mut self, alert: &Alert) {
        let now = timestamp::now();
        if !self.open.contains_key(&alert.id) {
            make_room(&self.root, SPOOL_BYTES_MAX);
            let Ok(folder) = AlertFolder::open(&self.root, &alert.id.to_string()) else {
                self.counts.failed_count += 1;
                return;
            };
            self.counts.alert_count += 1;
            self.open.insert(alert.id, Followed::new(folder));
            self.let_go();
        }
        let Some(followed) = self.open.get_mut(&alert.id) else { return };
        followed.level = alert.level;
        followed.until = now + FOLLOW;
        followed.peers.extend(alert.peer.endpoint.map(|endpoint| endpoint.address));
        for subject in &alert.subjects {
            if subject.port != PortId::UNKNOWN {
                followed.ports.entry(subject.port).or_insert(Time(0));
            }
            let Some(container) = &subject.container else { continue };
            if followed.containers.get(&container.id).is_some_and(Option::is_some) {
                continue;
            }
            let snapshot = self.snapshots.get(container.id);
            followed.containers.insert(container.id, snapshot.as_ref().map(|s| s.at));
            if let Some(snapshot) = snapshot {
                let id = hex(container.id);
                let name = format!("inspect-{}.json", id.get(..12).unwrap_or(&id));
                if followed.folder.put(&name, &snapshot.json).is_err() {
                    self.counts.failed_count += 1;
                }
            }
        }
    }

    /// Appends what the followed ports have carried since, and lets go of those whose time is over.
    fn tick(&mut self, now: Time) {
        for (id, followed) in &mut self.open {
            let written = followed.append(&self.held);
            let told = written.and_then(|fresh| match fresh {
                Fresh::Nothing if followed.folder.has_meta() => Ok(()),
                _ => followed.tell(*id),
            });
            if told.is_err() {
                self.counts.failed_count += 1;
            }
        }
        self.open.retain(|_, followed| followed.until > now);
    }

    fn let_go(&mut self) {
        while self.open.len() > OPEN_COUNT_MAX {
            let Some(id) = self.open.iter().min_by_key(|(_, f)| f.until).map(|(id, _)| *id) else {
                return;
            };
            if let Some(mut followed) = self.open.remove(&id) {
                let _ = followed.append(&self.held).and_then(|_| followed.tell(id));
            }
        }
    }
}

/// Whether an append had something to write.
enum Fresh {
    Nothing,
    Packets,
}

impl Followed {
    const fn new(folder: AlertFolder) -> Self {
        Self {
            folder,
            level: Level::Info,
            ports: BTreeMap::new(),
            peers: BTreeSet::new(),
            containers: BTreeMap::new(),
            until: Time(0),
            packet_count: 0,
        }
    }

    fn append(&mut self, held: &Mutex<HeldPackets>) -> std::io::Result<Fresh> {
        if self.folder.packet_bytes >= ALERT_BYTES_MAX {
            return Ok(Fresh::Nothing);
        }
        let snapshots: Vec<_> = {
            let held = held.lock().unwrap_or_else(PoisonError::into_inner);
            self.ports.iter().map(|(port, since)| held.snapshot(*port, *since)).collect()
        };
        let mut fresh: Vec<Packet<'_>> = snapshots
            .iter()
            .zip(self.ports.values())
            .flat_map(|(snapshot, since)| snapshot.packets().filter(|p| p.at > *since))
            .filter(|packet| {
                !packet.port.is_of_host() || frame::mentions(packet.bytes, &self.peers)
            })
            .collect();
        fresh.sort_by_key(|packet| packet.at);
        let last: Vec<(PortId, Time)> = fresh.iter().map(|p| (p.port, p.at)).collect();
        let count = self.folder.packets(&fresh, ALERT_BYTES_MAX)?;
        self.packet_count += count;
        for (port, at) in last {
            self.ports.insert(port, at);
        }
        Ok(if count > 0 { Fresh::Packets } else { Fresh::Nothing })
    }

    fn tell(&mut self, id: AlertId) -> std::io::Result<()> {
        let meta = Meta {
            alert: id.to_string(),
            level: self.level.name(),
            taken_at: timestamp::rfc3339(timestamp::now()),
            ports: self.ports.keys().map(|port| port.0).collect(),
            containers: self
                .containers
                .iter()
                .map(|(id, at)| (hex(*id), at.map(timestamp::rfc3339)))
                .collect(),
            packet_count: self.packet_count,
            packet_bytes: self.folder.packet_bytes,
            full: self.folder.packet_bytes >= ALERT_BYTES_MAX,
        };
        self.folder.meta(&serde_json::to_vec_pretty(&meta)?)
    }
}
