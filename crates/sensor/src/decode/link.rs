//! Link layers: Ethernet with 802.1Q and 802.1ad tags, BSD loopback, PPP and Cisco's HDLC,
//! Linux cooked capture (LINKTYPE 0, 1, 9, 50, 104, 108, 113, 276 of the tcpdump registry) and
//! raw IP.

use super::ip::{self, Ip};
use super::{be16, be32};
use crate::{LinkType, NotUnderstood};

const ETHERNET_HEADER: usize = 14;
const TAG: usize = 4;
/// Two tags are usual (QinQ); more than this is an attempt to hide.
const TAG_COUNT_MAX: usize = 8;
const SLL_HEADER: usize = 16;
const SLL2_HEADER: usize = 20;
const LOOPBACK_HEADER: usize = 4;

/// LINKTYPE_PPP, LINKTYPE_PPP_HDLC and LINKTYPE_C_HDLC.
const PPP: u32 = 9;
const PPP_HDLC: u32 = 50;
const CISCO_HDLC: u32 = 104;

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const QINQ: u16 = 0x88a8;
const QINQ_OLD: u16 = 0x9100;

/// The IP packet in a frame of `wire_len` bytes, of which `bytes` were captured.
pub(super) fn frame(link: LinkType, bytes: &[u8], wire_len: u32) -> Result<Ip<'_>, NotUnderstood> {
    match link {
        LinkType::Ethernet => ethernet(bytes, wire_len),
        LinkType::RawIp | LinkType::Ipv4 | LinkType::Ipv6 => ip::packet(bytes, wire_len),
        LinkType::LinuxSll => {
            let protocol = be16(bytes, 14).ok_or(NotUnderstood::Short)?;
            carried(protocol, bytes, SLL_HEADER, wire_len)
        }
        LinkType::LinuxSll2 => {
            let protocol = be16(bytes, 0).ok_or(NotUnderstood::Short)?;
            carried(protocol, bytes, SLL2_HEADER, wire_len)
        }
        LinkType::Null | LinkType::Loop => loopback(bytes, wire_len),
        LinkType::Other(CISCO_HDLC | PPP_HDLC | PPP) => serial(bytes, wire_len),
        LinkType::Other(_) => Err(NotUnderstood::LinkType),
    }
}

/// The IP packet in an Ethernet frame.
pub(super) fn ethernet(bytes: &[u8], wire_len: u32) -> Result<Ip<'_>, NotUnderstood> {
    let protocol = be16(bytes, 12).ok_or(NotUnderstood::Short)?;
    carried(protocol, bytes, ETHERNET_HEADER, wire_len)
}

/// The IP packet at `offset`, which an EtherType announces; tags before it are skipped.
pub(super) fn carried(
    mut protocol: u16,
    bytes: &[u8],
    mut offset: usize,
    wire_len: u32,
) -> Result<Ip<'_>, NotUnderstood> {
    for _ in 0..=TAG_COUNT_MAX {
        match protocol {
            IPV4 | IPV6 => {
                let inner = bytes.get(offset..).ok_or(NotUnderstood::Short)?;
                let skipped = u32::try_from(offset).unwrap_or(u32::MAX);
                return ip::packet(inner, wire_len.saturating_sub(skipped));
            }
            VLAN | QINQ | QINQ_OLD => {
                protocol = be16(bytes, offset + 2).ok_or(NotUnderstood::Short)?;
                offset += TAG;
            }
            ARP => return Err(NotUnderstood::Arp),
            _ => return Err(NotUnderstood::NotIp),
        }
    }
    Err(NotUnderstood::TooDeep)
}

/// PPP (RFC 1661, RFC 1662), or Cisco's HDLC, which has EtherTypes behind an address of its own.
fn serial(bytes: &[u8], wire_len: u32) -> Result<Ip<'_>, NotUnderstood> {
    let (protocol, offset) = match bytes {
        [0x0f | 0x8f, _, high, low, ..] => (u16::from_be_bytes([*high, *low]), 4),
        [0xff, 0x03, high, low, ..] => (of_ppp(u16::from_be_bytes([*high, *low])), 4),
        [high, low, ..] => (of_ppp(u16::from_be_bytes([*high, *low])), 2),
        _ => return Err(NotUnderstood::Short),
    };
    carried(protocol, bytes, offset, wire_len)
}

/// The EtherType of one of PPP's protocols; 0 where it is not IP.
const fn of_ppp(protocol: u16) -> u16 {
    match protocol {
        0x0021 => IPV4,
        0x0057 => IPV6,
        _ => 0,
    }
}

/// BSD loopback: the address family stands in the byte order of the machine that captured.
fn loopback(bytes: &[u8], wire_len: u32) -> Result<Ip<'_>, NotUnderstood> {
    let family = be32(bytes, 0).ok_or(NotUnderstood::Short)?;
    // AF_INET is 2 everywhere; AF_INET6 is 10 on Linux and 24, 28 or 30 on the BSDs.
    let is_ip = |family: u32| matches!(family, 2 | 10 | 24 | 28 | 30);
    if !is_ip(family) && !is_ip(family.swap_bytes()) {
        return Err(NotUnderstood::NotIp);
    }
    let inner = bytes.get(LOOPBACK_HEADER..).ok_or(NotUnderstood::Short)?;
    ip::packet(inner, wire_len.saturating_sub(4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const ICMP: [u8; 28] =
        [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 8, 0, 0, 0, 0, 1, 0, 1];

    fn framed(head: &[u8]) -> Vec<u8> {
        [head, &ICMP].concat()
    }

    fn protocol_of(link: LinkType, head: &[u8]) -> Result<u8, NotUnderstood> {
        let bytes = framed(head);
        frame(link, &bytes, u32::try_from(bytes.len()).unwrap()).map(|ip| ip.protocol)
    }

    #[test]
    fn every_link_type_leads_to_the_same_packet() {
        let mac = [2u8; 12];
        let cases: [(LinkType, Vec<u8>); 12] = [
            (LinkType::Ethernet, [&mac[..], &[8, 0]].concat()),
            (LinkType::Ethernet, [&mac[..], &[0x81, 0, 0, 5, 8, 0]].concat()),
            (LinkType::Ethernet, [&mac[..], &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0]].concat()),
            (LinkType::RawIp, Vec::new()),
            (LinkType::Null, Vec::from([2, 0, 0, 0])),
            (LinkType::Loop, Vec::from([0, 0, 0, 2])),
            (LinkType::LinuxSll, [&[0u8; 14][..], &[8, 0]].concat()),
            (LinkType::LinuxSll2, [&[8u8, 0][..], &[0; 18]].concat()),
            (LinkType::Ipv4, Vec::new()),
            (LinkType::Other(104), Vec::from([0x0f, 0, 8, 0])),
            (LinkType::Other(9), Vec::from([0xff, 3, 0, 0x21])),
            (LinkType::Other(9), Vec::from([0, 0x21])),
        ];
        for (link, head) in cases {
            assert_eq!(protocol_of(link, &head), Ok(1), "{link:?}");
        }
    }

    #[test]
    fn what_is_not_ip_has_a_reason() {
        let mac = [2u8; 12];
        let tags = [0x81u8, 0, 0, 5].repeat(20);
        let cases: [(LinkType, Vec<u8>, NotUnderstood); 5] = [
            (LinkType::Ethernet, [&mac[..], &[8, 6]].concat(), NotUnderstood::Arp),
            (LinkType::Ethernet, [&mac[..], &[0x88, 0xcc]].concat(), NotUnderstood::NotIp),
            (LinkType::Ethernet, [&mac[..], &tags].concat(), NotUnderstood::TooDeep),
            (LinkType::Null, Vec::from([7, 0, 0, 0]), NotUnderstood::NotIp),
            (LinkType::Other(147), Vec::new(), NotUnderstood::LinkType),
        ];
        for (link, head, why) in cases {
            assert_eq!(protocol_of(link, &head), Err(why));
        }
        assert_eq!(frame(LinkType::Ethernet, &[1, 2], 60).map(|_| ()), Err(NotUnderstood::Short));
    }
}
