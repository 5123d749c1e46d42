//! The packet rings: one over every container port from its first frame on, and one over the
//! host's own interfaces while a container uses them.

mod ports;

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use observation::{ContainerId, GapCause, PortId, SourceId, SourceKind, SourceState, Span, Time};
use sensor::{Direction, Lane, Limits, LinkType, Packet, Sensor, Tally};
use sys::ring::{Block, Frame, InterfaceFilter, PacketType, Ring, RingConfig};

use super::feed::Feed;
use super::held::HeldPackets;
use super::{Stop, Voice};
use crate::record::Recorder;
use crate::timestamp;
pub(crate) use ports::Ports;

/// How long the ring is waited for before links and clocks are looked at.
const WAIT: Duration = Duration::from_millis(4);
/// A frame is at most so late: the ring's block timeout, and a busy machine.
const LATE: Span = Span::from_millis(12);
/// Blocks taken in a row before the clocks are looked at.
const BLOCK_COUNT_MAX: usize = 16;
const SECOND: Span = Span::from_secs(1);
const HOST_RING_BYTES: u64 = 32 << 20;

/// Which of the two rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Over every port that leads to a container, also those that are made later.
    Containers,
    /// Over the host's own interfaces, while [`HostUse`] says so. It stays open with a filter that
    /// lets nothing in, since its memory takes longer to get than a container to start.
    Host,
}

/// Containers that use the host's own interfaces: host network, macvlan.
#[derive(Debug, Default)]
pub(crate) struct HostUse {
    users: Mutex<BTreeSet<ContainerId>>,
    /// The host's network namespace.
    pub(crate) netns: u64,
}

impl HostUse {
    /// Nobody yet.
    pub(crate) fn new() -> Self {
        let netns = std::fs::metadata("/proc/self/ns/net").map_or(0, |metadata| metadata.ino());
        Self { users: Mutex::default(), netns }
    }

    /// `id` uses them.
    pub(crate) fn begin(&self, id: ContainerId) {
        self.lock().insert(id);
    }

    /// `id` has ended.
    pub(crate) fn end(&self, id: ContainerId) {
        self.lock().remove(&id);
    }

    /// Whether anybody does.
    pub(crate) fn is_needed(&self) -> bool {
        !self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<ContainerId>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts of one ring, for the last line and `coverage`.
#[derive(Debug, Default)]
pub(crate) struct RingCounts {
    tally: Mutex<Tally>,
    /// Dropped by the kernel for want of room.
    pub(crate) dropped: AtomicU64,
}

impl RingCounts {
    /// What became of the packets.
    pub(crate) fn tally(&self) -> Tally {
        *lock(&self.tally)
    }
}

/// What both rings share.
#[derive(Clone)]
pub(crate) struct Shared {
    /// Interfaces and the manifest check.
    pub(crate) ports: Arc<Mutex<Ports>>,
    /// The last packets of each port.
    pub(crate) held: Arc<Mutex<HeldPackets>>,
    /// Where a recording is made.
    pub(crate) recorder: Option<Arc<Recorder>>,
    /// Who needs the host's ring.
    pub(crate) host_use: Arc<HostUse>,
    /// When the run is over.
    pub(crate) stop: Stop,
}

impl Shared {
    /// What the ring's filter lists.
    fn listed(&self, side: Side) -> Vec<u32> {
        match side {
            Side::Host if !self.host_use.is_needed() => Vec::new(),
            side => lock(&self.ports).listed(side),
        }
    }
}

/// One ring, its sensor and its voice.
pub(crate) struct PacketSource {
    side: Side,
    ring: Ring,
    sensor: Sensor,
    feed: Feed,
    voice: Voice,
    shared: Shared,
    counts: Arc<RingCounts>,
    /// The list of interfaces that the ring's filter was built from.
    filtered: Vec<u32>,
    second_at: Time,
    checked_at: Time,
}

impl PacketSource {
    /// Opens the ring. `seed` seeds the sensor's tables.
    pub(crate) fn open(
        side: Side,
        feed: Feed,
        shared: Shared,
        counts: Arc<RingCounts>,
        seed: u64,
    ) -> sys::Result<Self> {
        let filtered = shared.listed(side);
        let size = match side {
            Side::Containers => RingConfig::default(),
            Side::Host => RingConfig::default().with_size(HOST_RING_BYTES),
        };
        let config = RingConfig { block_timeout_ms: 2, ..size };
        let ring = Ring::open(&config, &filter(side, &filtered))?;
        let sensor = Sensor::new(Limits::default(), seed, Lane::ONLY);
        let voice = Voice::new(feed.clone());
        let now = timestamp::now();
        if side == Side::Containers {
            voice.stand(SourceKind::Packets, SourceState::Open, "packets of container ports");
        }
        Ok(Self {
            side,
            ring,
            sensor,
            feed,
            voice,
            shared,
            counts,
            filtered,
            second_at: now,
            checked_at: now,
        })
    }

    /// Reads until the stop.
    pub(crate) fn follow(mut self) {
        while !self.shared.stop.is_set() {
            if let Err(error) = self.round() {
                self.voice.stand(SourceKind::Packets, SourceState::Closed, &error.to_string());
                break;
            }
        }
        // What is in the ring was sent before the end.
        let _ = self.drain();
        let feed = &self.feed;
        self.sensor.finish(&mut |observation| feed.send(observation));
        self.count();
        if self.side == Side::Containers {
            let dropped = self.counts.dropped.load(Ordering::Relaxed);
            lock(&self.shared.ports).finish(timestamp::now(), dropped, &self.sensor, &self.voice);
        }
    }

    fn round(&mut self) -> sys::Result<()> {
        self.ring.wait(WAIT)?;
        let before = timestamp::now();
        if self.drain() < BLOCK_COUNT_MAX {
            // Everything that was captured until `before` has been read, but for the latest block.
            let feed = &self.feed;
            self.sensor.advance(before - LATE, &mut |observation| feed.send(observation));
        }
        if self.side == Side::Containers {
            lock(&self.shared.ports).follow_links(before);
        }
        let listed = self.shared.listed(self.side);
        if listed != self.filtered {
            self.tell_use(&listed);
            self.ring.set_filter(&filter(self.side, &listed))?;
            self.filtered = listed;
        }
        if before.since(self.second_at) >= SECOND {
            self.each_second(before)?;
            self.second_at = before;
        }
        Ok(())
    }

    /// Says when the host's own interfaces begin to be watched, and when that ends.
    fn tell_use(&self, listed: &[u32]) {
        let detail = match (self.side, self.filtered.is_empty(), listed.is_empty()) {
            (Side::Host, true, false) => {
                "packets of the host's own interfaces, for a container that uses them"
            }
            (Side::Host, false, true) => "packets of the host's own interfaces: nobody uses them",
            _ => return,
        };
        self.voice.stand(SourceKind::Packets, SourceState::Open, detail);
    }

    fn drain(&mut self) -> usize {
        for count in 0..BLOCK_COUNT_MAX {
            let Some(block) = self.ring.next_block() else { return count };
            self.block(&block);
        }
        BLOCK_COUNT_MAX
    }

    /// Holds the packets first and judges them then, so that nobody who wants what is held waits
    /// for the engine.
    fn block(&mut self, block: &Block) {
        let packets = |frames: &mut dyn FnMut(Packet<'_>)| {
            for frame in block.frames() {
                if let Some(packet) = self.packet_of(&frame) {
                    frames(packet);
                }
            }
        };
        {
            let mut held = lock(&self.shared.held);
            packets(&mut |packet| held.hold(&packet));
        }
        if let Some(recorder) = &self.shared.recorder {
            let ports = lock(&self.shared.ports);
            let mut names: Vec<(PortId, String)> = Vec::new();
            packets(&mut |packet| {
                if !names.iter().any(|(port, _)| *port == packet.port) {
                    names.push((packet.port, ports.name(packet.port)));
                }
            });
            drop(ports);
            match self.side {
                Side::Containers => recorder.packets(&names, &packets),
                Side::Host => recorder.host_packets(&names, &packets),
            }
        }
        let (sensor, feed) = (&mut self.sensor, &self.feed);
        for frame in block.frames() {
            if let Some(packet) = packet_of(self.side, feed.source(), &frame) {
                sensor.packet(packet, &mut |observation| feed.send(observation));
            }
        }
    }

    fn packet_of<'a>(&self, frame: &Frame<'a>) -> Option<Packet<'a>> {
        packet_of(self.side, self.feed.source(), frame)
    }

    fn each_second(&mut self, now: Time) -> sys::Result<()> {
        let dropped = self.ring.statistics()?.drop_count;
        let fresh = dropped.saturating_sub(self.counts.dropped.swap(dropped, Ordering::Relaxed));
        if fresh > 0 {
            self.voice.gap(self.checked_at, fresh, GapCause::KernelDrop);
        }
        self.checked_at = now;
        self.count();
        if self.side == Side::Containers {
            let dropped = self.counts.dropped.load(Ordering::Relaxed);
            lock(&self.shared.ports).check(now, dropped, &self.sensor, &self.voice);
            lock(&self.shared.held).expire(now);
        }
        Ok(())
    }

    fn count(&self) {
        *lock(&self.counts.tally) = *self.sensor.tally();
    }
}

fn filter(side: Side, listed: &[u32]) -> InterfaceFilter {
    match side {
        Side::Containers => InterfaceFilter::Drop(listed.to_vec()),
        Side::Host => InterfaceFilter::Only(listed.to_vec()),
    }
}

/// On a host's veth, out of the interface is into the container. On the host's own interfaces the
/// host's processes are behind the port, and out is out. Loopback shows each frame twice, once
/// either way, and both ends are local.
fn packet_of<'a>(side: Side, source: SourceId, frame: &Frame<'a>) -> Option<Packet<'a>> {
    const LOOPBACK: u16 = 772;
    let outgoing = frame.pkttype == PacketType::Outgoing;
    let (port, direction) = match (side, outgoing) {
        (Side::Containers, true) => (PortId(frame.ifindex), Direction::Inward),
        (Side::Containers, false) => (PortId(frame.ifindex), Direction::Outward),
        (Side::Host, true) if frame.hardware_type == LOOPBACK => {
            (PortId::of_host(frame.ifindex), Direction::Unknown)
        }
        (Side::Host, false) if frame.hardware_type == LOOPBACK => return None,
        (Side::Host, true) => (PortId::of_host(frame.ifindex), Direction::Outward),
        (Side::Host, false) => (PortId::of_host(frame.ifindex), Direction::Inward),
    };
    Some(Packet {
        at: Time(frame.at_ns),
        source,
        link: link_type(frame.hardware_type),
        port,
        direction,
        wire_len: frame.wire_len,
        bytes: frame.bytes,
    })
}

/// `ARPHRD_…`.
fn link_type(hardware_type: u16) -> LinkType {
    match hardware_type {
        1 | 772 => LinkType::Ethernet,
        65_534 | 768 | 776 | 778 => LinkType::RawIp,
        other => LinkType::Other(u32::from(other)),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
