//! Whether a frame goes to or comes from one of some addresses, by its outermost IP header.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use observation::IpAddress;

const ETHERNET_BYTES: usize = 14;

/// Looks at the frame behind its Ethernet header.
pub(super) fn mentions(frame: &[u8], addresses: &BTreeSet<IpAddress>) -> bool {
    let Some(packet) = frame.get(ETHERNET_BYTES..) else { return false };
    let either = |first: Option<IpAddress>, second: Option<IpAddress>| {
        [first, second].into_iter().flatten().any(|address| addresses.contains(&address))
    };
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => either(ipv4_at(packet, 12), ipv4_at(packet, 16)),
        Some(6) => either(ipv6_at(packet, 8), ipv6_at(packet, 24)),
        _ => false,
    }
}

fn ipv4_at(packet: &[u8], at: usize) -> Option<IpAddress> {
    let bytes: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
    Some(Ipv4Addr::from(bytes).into())
}

fn ipv6_at(packet: &[u8], at: usize) -> Option<IpAddress> {
    let bytes: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
    Some(Ipv6Addr::from(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_frames_are_told_from_the_others() {
        let mut frame = vec![0; ETHERNET_BYTES];
        frame.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 198, 51, 100, 10]);
        let peers = |text: &str| BTreeSet::from([text.parse::<IpAddress>().unwrap()]);
        assert!(mentions(&frame, &peers("198.51.100.10")));
        assert!(!mentions(&frame, &peers("198.51.100.11")));
        assert!(!mentions(&frame[..20], &peers("198.51.100.10")));
    }
}
