//! Tunnels: VXLAN (RFC 7348), GENEVE (RFC 8926), GRE (RFC 2784, 2890) and IP in IP (RFC 2003,
//! 4213).
//!
//! These are the only ports that mean something to the sensor, since a tunnel's header is too short
//! to be told from chance. A packet whose inside is no IP packet is taken as it stands.

use super::ip::{self, Ip};
use super::{be16, link};

const IP_IN_IP: u8 = 4;
const UDP: u8 = 17;
const IPV6_IN_IP: u8 = 41;
const GRE: u8 = 47;

const VXLAN_PORT: u16 = 4789;
const GENEVE_PORT: u16 = 6081;
const UDP_HEADER: usize = 8;
const ETHERNET_BRIDGING: u16 = 0x6558;

/// The packet inside, where this packet is a tunnel's.
pub(super) fn inner<'a>(outer: &Ip<'a>) -> Option<Ip<'a>> {
    if outer.fragment.is_some() {
        return None;
    }
    let mut inside = match outer.protocol {
        IP_IN_IP | IPV6_IN_IP => ip::packet(outer.payload, outer.payload_len).ok(),
        GRE => gre(outer),
        UDP => match be16(outer.payload, 2)? {
            VXLAN_PORT => vxlan(outer),
            GENEVE_PORT => geneve(outer),
            _ => None,
        },
        _ => None,
    }?;
    inside.flaws = inside.flaws.with(outer.flaws);
    Some(inside)
}

fn vxlan<'a>(outer: &Ip<'a>) -> Option<Ip<'a>> {
    const HEADER: usize = 8;
    // The flag that says that the network identifier is valid.
    const HAS_NETWORK: u8 = 0x08;
    let bytes = outer.payload.get(UDP_HEADER..)?;
    if bytes.first()? & HAS_NETWORK == 0 {
        return None;
    }
    link::ethernet(bytes.get(HEADER..)?, rest(outer, UDP_HEADER + HEADER)).ok()
}

fn geneve<'a>(outer: &Ip<'a>) -> Option<Ip<'a>> {
    let bytes = outer.payload.get(UDP_HEADER..)?;
    let first = *bytes.first()?;
    if first >> 6 != 0 {
        return None;
    }
    let header = 8 + usize::from(first & 0x3f) * 4;
    carried(be16(bytes, 2)?, bytes.get(header..)?, rest(outer, UDP_HEADER + header))
}

fn gre<'a>(outer: &Ip<'a>) -> Option<Ip<'a>> {
    let flags = be16(outer.payload, 0)?;
    // Version 1 carries PPP, and source routes have been forbidden since RFC 2784.
    if flags & 0x4007 != 0 {
        return None;
    }
    let options = [0x8000, 0x2000, 0x1000].iter().filter(|&&option| flags & option != 0).count();
    let header = 4 + 4 * options;
    carried(be16(outer.payload, 2)?, outer.payload.get(header..)?, rest(outer, header))
}

fn carried(protocol: u16, bytes: &[u8], wire_len: u32) -> Option<Ip<'_>> {
    match protocol {
        ETHERNET_BRIDGING => link::ethernet(bytes, wire_len).ok(),
        _ => link::carried(protocol, bytes, 0, wire_len).ok(),
    }
}

fn rest(outer: &Ip<'_>, skipped: usize) -> u32 {
    outer.payload_len.saturating_sub(u32::try_from(skipped).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use observation::{Flaws, IpAddress};

    const PING: [u8; 28] =
        [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 9, 9, 1, 10, 9, 9, 2, 8, 0, 0, 0, 0, 1, 0, 1];

    fn outer(protocol: u8, payload: &[u8]) -> Ip<'_> {
        Ip {
            from: IpAddress::from([192, 168, 0, 1]),
            to: IpAddress::from([192, 168, 0, 2]),
            protocol,
            bytes: 20 + u32::try_from(payload.len()).unwrap(),
            payload,
            payload_len: u32::try_from(payload.len()).unwrap(),
            fragment: None,
            flaws: Flaws::NONE,
        }
    }

    fn udp(port: u16, head: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::from([0xc0, 0]);
        bytes.extend(port.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(head);
        bytes.extend(PING);
        bytes
    }

    #[test]
    fn every_tunnel_leads_to_the_packet_inside() {
        let ethernet = [&[2u8; 12][..], &[8, 0]].concat();
        let cases: [(u8, Vec<u8>); 6] = [
            (UDP, udp(4789, &[&[8, 0, 0, 0, 0, 0, 5, 0], &ethernet[..]].concat())),
            (
                UDP,
                udp(6081, &[&[1, 0, 0x65, 0x58, 0, 0, 5, 0, 9, 9, 9, 9], &ethernet[..]].concat()),
            ),
            (UDP, udp(6081, &[0, 0, 8, 0, 0, 0, 5, 0])),
            (GRE, [&[0x20, 0, 8, 0, 0, 0, 0, 7], &PING[..]].concat()),
            (GRE, [&[0, 0, 0x65, 0x58], &ethernet[..], &PING].concat()),
            (IP_IN_IP, Vec::from(PING)),
        ];
        for (protocol, payload) in cases {
            let inside = inner(&outer(protocol, &payload)).unwrap();
            assert_eq!(inside.from, IpAddress::from([10, 9, 9, 1]), "{payload:02x?}");
            assert_eq!((inside.protocol, inside.payload.len()), (1, 8));
        }
    }

    #[test]
    fn a_datagram_to_a_tunnels_port_that_carries_no_packet_is_itself() {
        assert!(inner(&outer(UDP, b"\xc0\x00\x12\xb5\x00\x00\x00\x00id; uname -a\n")).is_none());
        assert!(inner(&outer(UDP, &udp(4790, &[8, 0, 0, 0, 0, 0, 5, 0]))).is_none());
        assert!(inner(&outer(GRE, &[0x30, 1, 0x88, 0x0b, 0, 0, 0, 0])).is_none());
    }
}
