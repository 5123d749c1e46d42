//! What passed each capture port, for the manifest check: the sensor's count beside the
//! interface's own.

use hashbrown::HashTable;
use observation::{PortId, PortTraffic};

use crate::{Direction, Packet, Tally, hash};

/// Frames and bytes by port.
#[derive(Debug)]
pub(crate) struct Ports {
    table: HashTable<(PortId, PortTraffic)>,
    seed: u64,
    count_max: u32,
}

impl Ports {
    pub(crate) const fn new(seed: u64, count_max: u32) -> Self {
        Self { table: HashTable::new(), seed, count_max }
    }

    /// Counts a packet. One without a port or a direction cannot be compared with a counter.
    pub(crate) fn count(&mut self, packet: &Packet<'_>, tally: &mut Tally) {
        if packet.port == PortId::UNKNOWN || packet.direction == Direction::Unknown {
            return;
        }
        let hash = hash::of(self.seed, &packet.port.0);
        let is_known = self.table.find(hash, |entry| entry.0 == packet.port).is_some();
        if !is_known && self.table.len() as u64 >= u64::from(self.count_max) {
            tally.packets_uncounted_port += 1;
            return;
        }
        let seed = self.seed;
        let entry = self
            .table
            .entry(hash, |entry| entry.0 == packet.port, |entry| hash::of(seed, &entry.0.0))
            .or_insert_with(|| (packet.port, PortTraffic::default()));
        let traffic = &mut entry.into_mut().1;
        let bytes = u64::from(packet.wire_len);
        match packet.direction {
            Direction::Inward => {
                traffic.frames_in += 1;
                traffic.bytes_in += bytes;
            }
            Direction::Outward => {
                traffic.frames_out += 1;
                traffic.bytes_out += bytes;
            }
            Direction::Unknown => {}
        }
    }

    pub(crate) fn traffic(&self, port: PortId) -> PortTraffic {
        let hash = hash::of(self.seed, &port.0);
        self.table.find(hash, |entry| entry.0 == port).map(|entry| entry.1).unwrap_or_default()
    }
}
