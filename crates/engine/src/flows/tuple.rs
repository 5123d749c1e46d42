//! A short key for transport and both ends.

use core::net::IpAddr;

use observation::{Endpoint, Transport};

/// FNV-1a over the tuple. Whoever makes collisions only lengthens a range that is bounded by the
/// flows of his own place, and every match is verified.
pub(super) fn hash_of(transport: Transport, near: Endpoint, far: Endpoint) -> u64 {
    let mix =
        |hash: u64, part: u64| (hash ^ part).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    let address = |hash: u64, address: IpAddr| match address {
        IpAddr::V4(address) => mix(hash, u64::from(address.to_bits())),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            mix(mix(hash, bits as u64), (bits >> 64) as u64)
        }
    };
    let kind = match transport {
        Transport::Tcp => 6,
        Transport::Udp => 17,
        Transport::Icmp => 1,
        Transport::Other(number) => 256 + u64::from(number),
    };
    let ports = u64::from(near.port) << 16 | u64::from(far.port);
    let hash = mix(mix(0xcbf2_9ce4_8422_2325, kind), ports);
    address(address(hash, near.address), far.address)
}
