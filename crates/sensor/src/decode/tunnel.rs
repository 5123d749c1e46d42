//! Tunnels: VXLAN (RFC 7348), GENEVE (RFC 8926), GRE (RFC 2784, 2890), ERSPAN types I to III
//! (draft-foschiano-erspan-03), IP in IP (RFC 2003, 4213) and GTP-U (3GPP TS 29.281).
//!
//! These are the only ports that mean something to the sensor, since a tunnel's header is too short
//! to be told from chance. A packet whose inside is no IP packet is taken as it stands.

use observation::{Flaws, TunnelKind};

use super::ip::{self, Ip, Outer};
use super::{be16, be32, link};

const IP_IN_IP: u8 = 4;
const UDP: u8 = 17;
const IPV6_IN_IP: u8 = 41;
const GRE: u8 = 47;

const VXLAN_PORT: u16 = 4789;
/// Linux's own default from before the registration; Flannel and Cilium still use it.
const VXLAN_PORT_OF_LINUX: u16 = 8472;
const GENEVE_PORT: u16 = 6081;
const GTP_PORT: u16 = 2152;
const UDP_HEADER: usize = 8;
const ETHERNET_BRIDGING: u16 = 0x6558;
const ERSPAN: u16 = 0x88be;
const ERSPAN_III: u16 = 0x22eb;

/// Real packets have one, which tells the session's container.
const GTP_EXTENSION_COUNT_MAX: usize = 4;

/// A packet inside, and the network that the tunnel's header names.
type Inside<'a> = Option<(Ip<'a>, TunnelKind, u32)>;

/// The packet inside, where this packet is a tunnel's.
pub(super) fn inner<'a>(outer: &Ip<'a>) -> Option<Ip<'a>> {
    if outer.fragment.is_some() {
        return None;
    }
    let (mut inside, kind, network) = match outer.protocol {
        IP_IN_IP | IPV6_IN_IP => {
            let inside = ip::packet(outer.payload, outer.payload_len).ok()?;
            Some((inside, TunnelKind::IpInIp, 0))
        }
        GRE => gre(outer),
        UDP => match be16(outer.payload, 2)? {
            VXLAN_PORT | VXLAN_PORT_OF_LINUX => vxlan(outer),
            GENEVE_PORT => geneve(outer),
            GTP_PORT => gtp(outer),
            _ => None,
        },
        _ => None,
    }?;
    inside.flaws = inside.flaws.with(outer.flaws).with(Flaws::TUNNELLED);
    inside.outer = Some(Outer { kind, from: outer.from, to: outer.to, network });
    Some(inside)
}

fn vxlan<'a>(outer: &Ip<'a>) -> Inside<'a> {
    const HEADER: usize = 8;
    // The flag that says that the network identifier is valid.
    const HAS_NETWORK: u8 = 0x08;
    let bytes = outer.payload.get(UDP_HEADER..)?;
    if bytes.first()? & HAS_NETWORK == 0 {
        return None;
    }
    let inside = link::ethernet(bytes.get(HEADER..)?, rest(outer, UDP_HEADER + HEADER)).ok()?;
    Some((inside, TunnelKind::Vxlan, be32(bytes, 4)? >> 8))
}

fn geneve<'a>(outer: &Ip<'a>) -> Inside<'a> {
    let bytes = outer.payload.get(UDP_HEADER..)?;
    let first = *bytes.first()?;
    if first >> 6 != 0 {
        return None;
    }
    let header = 8 + usize::from(first & 0x3f) * 4;
    let inside = carried(be16(bytes, 2)?, bytes.get(header..)?, rest(outer, UDP_HEADER + header))?;
    Some((inside, TunnelKind::Geneve, be32(bytes, 4)? >> 8))
}

/// A packet of the user's (type 255) behind the header of version 1 and its extensions.
fn gtp<'a>(outer: &Ip<'a>) -> Inside<'a> {
    const USERS_PACKET: u8 = 255;
    const HEADER: usize = 8;
    const OPTIONS: usize = 4;
    const EXTENDED: u8 = 4;
    let bytes = outer.payload.get(UDP_HEADER..)?;
    let [first @ 0x30..=0x37, USERS_PACKET, ..] = *bytes else { return None };
    let mut header = if first & 7 == 0 { HEADER } else { HEADER + OPTIONS };
    let mut next = if first & EXTENDED == 0 { 0 } else { *bytes.get(header - 1)? };
    for _ in 0..GTP_EXTENSION_COUNT_MAX {
        if next == 0 {
            break;
        }
        // Its length in words, itself included; the last byte names what follows it.
        let words = usize::from(*bytes.get(header)?);
        header += 4 * words;
        next = if words == 0 { return None } else { *bytes.get(header - 1)? };
    }
    let inside = ip::packet(bytes.get(header..)?, rest(outer, UDP_HEADER + header)).ok()?;
    (next == 0).then_some((inside, TunnelKind::Gtp, be32(bytes, 4)?))
}

fn gre<'a>(outer: &Ip<'a>) -> Inside<'a> {
    const CHECKSUM: u16 = 0x8000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    let flags = be16(outer.payload, 0)?;
    // Version 1 carries PPP, and source routes have been forbidden since RFC 2784.
    if flags & 0x4007 != 0 {
        return None;
    }
    let has = |option: u16| usize::from(flags & option != 0);
    let header = 4 + 4 * (has(CHECKSUM) + has(KEY) + has(SEQUENCE));
    let protocol = be16(outer.payload, 2)?;
    match (protocol, has(SEQUENCE)) {
        // Type I is a bare frame, and is told from type II by its lack of sequence numbers.
        (ERSPAN, 0) => mirrored(outer, header, 0),
        (ERSPAN, _) => erspan(outer, header, 1),
        (ERSPAN_III, _) => erspan(outer, header, 2),
        _ => {
            let inside = carried(protocol, outer.payload.get(header..)?, rest(outer, header))?;
            let key = be32(outer.payload, 4 + 4 * has(CHECKSUM)).filter(|_| has(KEY) > 0);
            Some((inside, TunnelKind::Gre, key.unwrap_or(0)))
        }
    }
}

/// Types II and III, which give their version first and a session in the low bits of their first
/// word.
fn erspan<'a>(outer: &Ip<'a>, at: usize, version: u32) -> Inside<'a> {
    const HEADER_II: usize = 8;
    const HEADER_III: usize = 12;
    /// What follows the header of type III where its last bit is set.
    const SUBHEADER: usize = 8;
    const FRAME_IP: u16 = 2;
    let first = be32(outer.payload, at)?;
    if first >> 28 != version {
        return None;
    }
    let session = first & 0x3ff;
    if version == 1 {
        return mirrored(outer, at + HEADER_II, session);
    }
    let last = be16(outer.payload, at + HEADER_III - 2)?;
    let header = at + HEADER_III + if last & 1 == 1 { SUBHEADER } else { 0 };
    if last >> 10 & 0x1f == FRAME_IP {
        let inside = ip::packet(outer.payload.get(header..)?, rest(outer, header)).ok()?;
        return Some((inside, TunnelKind::Erspan, session));
    }
    mirrored(outer, header, session)
}

fn mirrored<'a>(outer: &Ip<'a>, at: usize, session: u32) -> Inside<'a> {
    let inside = link::ethernet(outer.payload.get(at..)?, rest(outer, at)).ok()?;
    Some((inside, TunnelKind::Erspan, session))
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
    use observation::IpAddress;

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
            outer: None,
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
        let genev = &[1, 0, 0x65, 0x58, 0, 0, 5, 0, 9, 9, 9, 9];
        let second = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 5, 0, 0, 0, 0];
        let third = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 5, 0, 0, 0, 0, 0, 0];
        let vxlan = [&[8, 0, 0, 0, 0, 0, 5, 0], &ethernet[..]].concat();
        let session = [0x34, 255, 0, 36, 0, 0, 0, 5, 0, 0, 0, 0x85, 1, 0, 9, 0];
        use TunnelKind::{Erspan, Geneve, Gre, Gtp, IpInIp, Vxlan};
        let cases: [(u8, Vec<u8>, TunnelKind, u32); 14] = [
            (UDP, udp(8472, &vxlan), Vxlan, 5),
            (UDP, udp(2152, &[0x30, 255, 0, 28, 0, 0, 0, 5]), Gtp, 5),
            (UDP, udp(2152, &session), Gtp, 5),
            (UDP, udp(4789, &vxlan), Vxlan, 5),
            (UDP, udp(6081, &[genev, &ethernet[..]].concat()), Geneve, 5),
            (UDP, udp(6081, &[0, 0, 8, 0, 0, 0, 5, 0]), Geneve, 5),
            (GRE, [&[0x20, 0, 8, 0, 0, 0, 0, 7], &PING[..]].concat(), Gre, 7),
            (GRE, [&[0xa0, 0, 8, 0, 1, 1, 1, 1, 0, 0, 0, 7], &PING[..]].concat(), Gre, 7),
            (GRE, [&[0, 0, 0x65, 0x58], &ethernet[..], &PING].concat(), Gre, 0),
            (IP_IN_IP, Vec::from(PING), IpInIp, 0),
            (GRE, [&[0, 0, 0x88, 0xbe], &ethernet[..], &PING].concat(), Erspan, 0),
            (GRE, [&second, &ethernet[..], &PING].concat(), Erspan, 5),
            (GRE, [&third[..], &[0, 0], &ethernet[..], &PING].concat(), Erspan, 5),
            (GRE, [&third[..], &[8, 1], &[0; 8], &PING].concat(), Erspan, 5),
        ];
        for (protocol, payload, kind, network) in cases {
            let inside = inner(&outer(protocol, &payload)).unwrap();
            assert_eq!(inside.from, IpAddress::from([10, 9, 9, 1]), "{payload:02x?}");
            assert_eq!((inside.protocol, inside.payload.len()), (1, 8));
            let from = IpAddress::from([192, 168, 0, 1]);
            let to = IpAddress::from([192, 168, 0, 2]);
            assert_eq!(inside.outer, Some(Outer { kind, from, to, network }));
            assert!(inside.flaws.has(Flaws::TUNNELLED));
        }
    }

    #[test]
    fn a_datagram_to_a_tunnels_port_that_carries_no_packet_is_itself() {
        assert!(inner(&outer(UDP, b"\xc0\x00\x12\xb5\x00\x00\x00\x00id; uname -a\n")).is_none());
        assert!(inner(&outer(UDP, &udp(4790, &[8, 0, 0, 0, 0, 0, 5, 0]))).is_none());
        assert!(inner(&outer(GRE, &[0x30, 1, 0x88, 0x0b, 0, 0, 0, 0])).is_none());
        // Another message of GTP, an extension without a length, too many of them.
        assert!(inner(&outer(UDP, &udp(2152, &[0x30, 1, 0, 28, 0, 0, 0, 5]))).is_none());
        let empty = [0x34, 255, 0, 36, 0, 0, 0, 5, 0, 0, 0, 0x85, 0, 0, 9, 0];
        assert!(inner(&outer(UDP, &udp(2152, &empty))).is_none());
        let endless = [&empty[..12], &[1, 0, 9, 0x85].repeat(5)].concat();
        assert!(inner(&outer(UDP, &udp(2152, &endless))).is_none());
        // Types II and III give each other's version, or nothing that a frame could be in.
        let wrong = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x20, 0, 0, 5, 0, 0, 0, 0];
        assert!(inner(&outer(GRE, &[&wrong[..], &[2; 12], &[8, 0], &PING].concat())).is_none());
        assert!(inner(&outer(GRE, &wrong[..12])).is_none());
    }
}
