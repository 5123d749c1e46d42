//! Hashes of addresses: symmetric ones to find a flow and its shard, an ordered one to name it.
//!
//! A multiplication folded to 64 bits, as in wyhash. The seed of a table is secret and never
//! reaches the output; shards and ids use a fixed key, so that every run gives the same ones.

use core::hash::{Hash, Hasher};

use observation::{Endpoint, FlowId, FlowKey, IpAddress, PortId, Time, Transport};

const K0: u64 = 0xa076_1d64_78bd_642f;
const K1: u64 = 0xe703_7ed1_a0b4_28db;
const K2: u64 = 0x8ebc_6af0_9c88_c6e3;

const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

fn address(address: &IpAddress, seed: u64) -> u64 {
    match address {
        IpAddress::V4(v4) => fold(u64::from(v4.to_bits()) ^ seed ^ K0, K1),
        IpAddress::V6(v6) => {
            let bits = v6.to_bits();
            let high = fold((bits >> 64) as u64 ^ seed ^ K1, K2);
            fold(bits as u64 ^ high, K0 ^ seed)
        }
    }
}

const fn transport(transport: Transport) -> u64 {
    match transport {
        Transport::Tcp => 6,
        Transport::Udp => 17,
        Transport::Icmp => 1,
        Transport::Other(number) => 0x100 | number as u64,
    }
}

/// The same for both directions of a pair of addresses.
pub(crate) fn of_pair(from: &IpAddress, to: &IpAddress) -> u64 {
    fold(address(from, 0).wrapping_add(address(to, 0)) ^ K2, K1)
}

/// The same for both directions of a flow.
pub(crate) fn of_ends(
    seed: u64,
    port: PortId,
    carried_by: Transport,
    from: &Endpoint,
    to: &Endpoint,
) -> u64 {
    let end = |end: &Endpoint| fold(address(&end.address, seed) ^ u64::from(end.port), K2 ^ seed);
    let both = end(from).wrapping_add(end(to));
    fold(both ^ (u64::from(port.0) << 16) ^ transport(carried_by), K0 ^ seed)
}

/// The same ends in another network of an overlay are another flow. 0 stands for no overlay.
pub(crate) const fn in_network(hash: u64, network: u32) -> u64 {
    if network == 0 { hash } else { fold(hash ^ network as u64, K1) }
}

/// The flow's name. Never `FlowId(0)`, which stands for no flow.
pub(crate) fn flow_id(key: &FlowKey, start: Time) -> FlowId {
    let mut hash = fold(transport(key.transport) ^ K0, u64::from(key.port.0) ^ K1);
    for end in [&key.originator, &key.responder] {
        hash = fold(hash ^ address(&end.address, 0), K1);
        hash = fold(hash ^ u64::from(end.port), K2);
    }
    FlowId(fold(hash ^ start.0, K0).max(1))
}

/// The seeded hash of a small key, for tables other than the flows'.
pub(crate) fn of<T: Hash>(seed: u64, key: &T) -> u64 {
    let mut hasher = Folding(seed ^ K0);
    key.hash(&mut hasher);
    hasher.finish()
}

struct Folding(u64);

impl Hasher for Folding {
    fn finish(&self) -> u64 {
        fold(self.0, K2)
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = fold(self.0 ^ word, K1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_have_the_same_hash_and_other_ports_another() {
        let a = Endpoint { address: IpAddress::from([10, 0, 0, 1]), port: 40000 };
        let b = Endpoint { address: IpAddress::from([10, 0, 0, 2]), port: 80 };
        let hash = |from, to| of_ends(7, PortId(1), Transport::Tcp, from, to);
        assert_eq!(hash(&a, &b), hash(&b, &a));
        assert_ne!(hash(&a, &b), hash(&a, &Endpoint { port: 81, ..b }));
        assert_eq!(of_pair(&a.address, &b.address), of_pair(&b.address, &a.address));
    }

    #[test]
    fn a_later_flow_of_the_same_ends_has_another_name() {
        let end = |last, port| Endpoint { address: IpAddress::from([10, 0, 0, last]), port };
        let key = FlowKey {
            port: PortId(1),
            transport: Transport::Tcp,
            originator: end(1, 40000),
            responder: end(2, 80),
        };
        assert_eq!(flow_id(&key, Time(5)), flow_id(&key, Time(5)));
        assert_ne!(flow_id(&key, Time(5)), flow_id(&key, Time(6)));
    }
}
