//! The last packets of each container port, in memory, so that evidence begins before its alert.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use observation::{PortId, SourceId, Span, Time};
use sensor::{Direction, LinkType, Packet};
use serde::{Deserialize, Serialize};

/// How much is held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldLimits {
    /// Bytes of one port.
    pub(crate) port_bytes_max: usize,
    /// Bytes of all ports. The port that holds most gives first, so that a neighbour's flood takes
    /// nothing from a quiet container.
    pub(crate) total_bytes_max: usize,
    /// How much of whole frames a port may hold a second; the rest is cut to `CUT_BYTES`.
    pub(crate) whole_bytes_per_s_max: usize,
    /// How long a port without packets is remembered.
    pub(crate) idle: Span,
}

impl Default for HeldLimits {
    fn default() -> Self {
        Self {
            port_bytes_max: 8 << 20,
            total_bytes_max: 128 << 20,
            whole_bytes_per_s_max: 2 << 20,
            idle: Span::from_secs(3600),
        }
    }
}

/// Headers and the beginning of the payload.
const CUT_BYTES: usize = 256;
/// A chunk is closed, and then shared with readers, from this size on.
const CHUNK_BYTES: usize = 64 << 10;
const RECORD_HEADER_BYTES: usize = 24;

/// What is held of all ports.
#[derive(Debug)]
pub(crate) struct HeldPackets {
    limits: HeldLimits,
    ports: BTreeMap<PortId, HeldPort>,
    total_bytes: usize,
    /// What did not fit.
    pub(crate) counts: HeldCounts,
}

/// What the limits did to what is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldCounts {
    /// Packets that made room for newer ones.
    pub(crate) evicted_count: u64,
    /// Packets of which only the beginning is held.
    pub(crate) cut_count: u64,
}

impl fmt::Display for HeldCounts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HeldCounts { cut_count, evicted_count } = self;
        write!(
            out,
            "{cut_count} packets cut to {CUT_BYTES} bytes, {evicted_count} let go for later ones"
        )
    }
}

#[derive(Debug, Default)]
struct HeldPort {
    closed: VecDeque<Arc<Chunk>>,
    open: Chunk,
    bytes: usize,
    /// The second that `whole_bytes` counts.
    second: u64,
    whole_bytes: usize,
}

/// Packets in a row: (time, wire length, held length, link type, direction) and the bytes.
#[derive(Clone, Debug, Default)]
struct Chunk {
    last: Time,
    count: u64,
    bytes: Vec<u8>,
}

/// Packets of one port as they were held at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    port: PortId,
    chunks: Vec<Arc<Chunk>>,
}

impl HeldPackets {
    pub(crate) const fn new(limits: HeldLimits) -> Self {
        let counts = HeldCounts { evicted_count: 0, cut_count: 0 };
        Self { limits, ports: BTreeMap::new(), total_bytes: 0, counts }
    }

    /// Holds one more.
    pub(crate) fn hold(&mut self, packet: &Packet<'_>) {
        let port = self.ports.entry(packet.port).or_default();
        let second = packet.at.as_millis() / 1000;
        if port.second != second {
            (port.second, port.whole_bytes) = (second, 0);
        }
        let mut bytes = packet.bytes;
        if port.whole_bytes.saturating_add(bytes.len()) > self.limits.whole_bytes_per_s_max {
            if bytes.len() > CUT_BYTES {
                self.counts.cut_count += 1;
            }
            bytes = bytes.get(..CUT_BYTES).unwrap_or(bytes);
        } else {
            port.whole_bytes += bytes.len();
        }
        let before = port.open.bytes.len();
        port.open.put(packet, bytes);
        let added = port.open.bytes.len() - before;
        port.bytes += added;
        self.total_bytes += added;
        if port.open.bytes.len() >= CHUNK_BYTES {
            port.closed.push_back(Arc::new(std::mem::take(&mut port.open)));
        }
        while port.bytes > self.limits.port_bytes_max {
            let Some(freed) = port.evict() else { break };
            self.total_bytes -= freed.0;
            self.counts.evicted_count += freed.1;
        }
        if self.total_bytes > self.limits.total_bytes_max {
            self.make_room();
        }
    }

    /// Forgets ports that have been quiet for long.
    pub(crate) fn expire(&mut self, now: Time) {
        let idle = self.limits.idle;
        let total_bytes = &mut self.total_bytes;
        self.ports.retain(|_, port| {
            let keep = now.since(port.last()) <= idle;
            if !keep {
                *total_bytes -= port.bytes;
            }
            keep
        });
    }

    /// What is held of `port` from `since` on; packets before it may be among them.
    pub(crate) fn snapshot(&self, port: PortId, since: Time) -> Snapshot {
        let mut chunks: Vec<_> = Vec::new();
        if let Some(held) = self.ports.get(&port) {
            chunks.extend(held.closed.iter().filter(|chunk| chunk.last >= since).cloned());
            if held.open.count > 0 && held.open.last >= since {
                chunks.push(Arc::new(held.open.clone()));
            }
        }
        Snapshot { port, chunks }
    }

    fn make_room(&mut self) {
        while self.total_bytes > self.limits.total_bytes_max {
            let largest = self.ports.values_mut().max_by_key(|port| port.bytes);
            let Some(freed) = largest.and_then(HeldPort::evict) else { return };
            self.total_bytes -= freed.0;
            self.counts.evicted_count += freed.1;
        }
    }
}

impl HeldPort {
    fn last(&self) -> Time {
        let closed = self.closed.back().map_or(Time(0), |chunk| chunk.last);
        closed.max(self.open.last)
    }

    /// Gives up its oldest chunk: its bytes and packets.
    fn evict(&mut self) -> Option<(usize, u64)> {
        let (bytes, count) = match self.closed.pop_front() {
            Some(chunk) => (chunk.bytes.len(), chunk.count),
            None if self.open.count > 0 => {
                let chunk = std::mem::take(&mut self.open);
                (chunk.bytes.len(), chunk.count)
            }
            None => return None,
        };
        self.bytes -= bytes;
        Some((bytes, count))
    }
}

impl Chunk {
    fn put(&mut self, packet: &Packet<'_>, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let direction = match packet.direction {
            Direction::Unknown => 0_u32,
            Direction::Inward => 1,
            Direction::Outward => 2,
        };
        self.bytes.extend_from_slice(&packet.at.0.to_le_bytes());
        for word in [packet.wire_len, length, link_number(packet.link), direction] {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        self.bytes.extend_from_slice(bytes);
        self.last = self.last.max(packet.at);
        self.count += 1;
    }
}

impl Snapshot {
    /// The packets, oldest first.
    pub(crate) fn packets(&self) -> impl Iterator<Item = Packet<'_>> {
        let port = self.port;
        self.chunks.iter().flat_map(move |chunk| {
            let mut rest = chunk.bytes.as_slice();
            std::iter::from_fn(move || {
                let (header, after) = rest.split_at_checked(RECORD_HEADER_BYTES)?;
                let word = |index: usize| {
                    let bytes = header.get(index..index + 4)?;
                    bytes.try_into().ok().map(u32::from_le_bytes)
                };
                let length = usize::try_from(word(12)?).ok()?;
                let (bytes, next) = after.split_at_checked(length)?;
                rest = next;
                let at = u64::from(word(0)?) | u64::from(word(4)?) << 32;
                let direction = match word(20)? {
                    1 => Direction::Inward,
                    2 => Direction::Outward,
                    _ => Direction::Unknown,
                };
                Some(Packet {
                    at: Time(at),
                    source: SourceId(0),
                    link: link_of(word(16)?),
                    port,
                    direction,
                    wire_len: word(8)?,
                    bytes,
                })
            })
        })
    }
}

/// The two link types that a ring on Linux hands out.
const fn link_number(link: LinkType) -> u32 {
    match link {
        LinkType::RawIp => 101,
        _ => 1,
    }
}

const fn link_of(number: u32) -> LinkType {
    match number {
        101 => LinkType::RawIp,
        _ => LinkType::Ethernet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(port: u32, at_ms: u64, bytes: &[u8]) -> Packet<'_> {
        Packet {
            at: Time(at_ms * 1_000_000),
            source: SourceId(0),
            link: LinkType::Ethernet,
            port: PortId(port),
            direction: Direction::Outward,
            wire_len: bytes.len() as u32,
            bytes,
        }
    }

    fn lengths(held: &HeldPackets, port: u32) -> Vec<(u64, usize, u32)> {
        let snapshot = held.snapshot(PortId(port), Time(0));
        snapshot.packets().map(|p| (p.at.as_millis(), p.bytes.len(), p.wire_len)).collect()
    }

    #[test]
    fn what_is_held_comes_back_as_it_was() {
        let mut held = HeldPackets::new(HeldLimits::default());
        held.hold(&packet(7, 1, b"abc"));
        held.hold(&packet(8, 2, b"defgh"));
        held.hold(&packet(7, 3, b""));
        assert_eq!(lengths(&held, 7), [(1, 3, 3), (3, 0, 0)]);
        let snapshot = held.snapshot(PortId(8), Time(0));
        let first = snapshot.packets().next().unwrap();
        assert_eq!((first.bytes, first.direction), (&b"defgh"[..], Direction::Outward));
    }

    #[test]
    fn a_neighbours_flood_takes_nothing_from_a_quiet_port() {
        let limits = HeldLimits { total_bytes_max: 1 << 20, ..HeldLimits::default() };
        let mut held = HeldPackets::new(limits);
        held.hold(&packet(1, 0, b"the only packet of the attack"));
        for at in 0..2000 {
            held.hold(&packet(2, at, &[0; 1500]));
            assert!(held.total_bytes <= limits.total_bytes_max);
        }
        assert_eq!(lengths(&held, 1).len(), 1);
        assert!(held.counts.evicted_count > 0);
    }

    #[test]
    fn beyond_its_rate_a_port_keeps_beginnings_and_says_how_many() {
        let limits = HeldLimits { whole_bytes_per_s_max: 2000, ..HeldLimits::default() };
        let mut held = HeldPackets::new(limits);
        for at in [0, 1, 2, 1000] {
            held.hold(&packet(1, at, &[7; 1000]));
        }
        let expected = [(0, 1000, 1000), (1, 1000, 1000), (2, CUT_BYTES, 1000), (1000, 1000, 1000)];
        assert_eq!(lengths(&held, 1), expected);
        assert_eq!(held.counts.cut_count, 1);
    }

    #[test]
    fn a_port_keeps_to_its_bytes_and_a_quiet_one_is_forgotten() {
        let limits = HeldLimits { port_bytes_max: 200_000, ..HeldLimits::default() };
        let mut held = HeldPackets::new(limits);
        for at in 0..1000 {
            held.hold(&packet(1, at, &[7; 1000]));
        }
        assert!(held.total_bytes <= limits.port_bytes_max);
        held.expire(Time(4000 * 1_000_000_000));
        assert_eq!((held.total_bytes, held.ports.len()), (0, 0));
    }
}
