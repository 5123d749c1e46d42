//! IPv4 (RFC 791) and IPv6 with its extension headers (RFC 8200).

use core::net::{Ipv4Addr, Ipv6Addr};

use observation::{Flaws, IpAddress, TunnelKind};

use super::{be16, be32};
use crate::NotUnderstood;

/// Extension headers that are skipped; real packets have at most three or four.
const EXTENSION_COUNT_MAX: usize = 12;
const IPV4_HEADER_MIN: usize = 20;
const IPV6_HEADER: usize = 40;

/// One IP packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ip<'a> {
    /// Its sender.
    pub from: IpAddress,
    /// Its receiver.
    pub to: IpAddress,
    /// IANA's number of what it carries.
    pub protocol: u8,
    /// Its whole length, header included.
    pub bytes: u32,
    /// What was captured behind its headers.
    pub payload: &'a [u8],
    /// How long that was on the wire.
    pub payload_len: u32,
    /// Where it is only a part of a datagram.
    pub fragment: Option<Fragment>,
    /// The innermost tunnel that it came through.
    pub outer: Option<Outer>,
    /// What was odd.
    pub flaws: Flaws,
}

/// The packet around a tunnelled one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outer {
    pub kind: TunnelKind,
    pub from: IpAddress,
    pub to: IpAddress,
    /// The network that its header names; 0 where it names none.
    pub network: u32,
}

impl Outer {
    /// The overlay's network, in which addresses mean something of their own; 0 for none. What GRE,
    /// ERSPAN and GTP name may be another for each direction.
    pub(crate) const fn overlay(&self) -> u32 {
        match self.kind {
            TunnelKind::Vxlan | TunnelKind::Geneve => self.network,
            TunnelKind::Gre | TunnelKind::Erspan | TunnelKind::IpInIp | TunnelKind::Gtp => 0,
        }
    }
}

/// Which part of which datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// The sender's number for the datagram.
    pub id: u32,
    /// Where the part belongs, in bytes.
    pub offset: u32,
    /// Whether it is the datagram's end.
    pub last: Last,
}

/// Whether a fragment is the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// It is.
    Yes,
    /// More follow.
    No,
}

/// An IP packet of either version, in a frame that had `wire_len` bytes left for it.
pub(super) fn packet(bytes: &[u8], wire_len: u32) -> Result<Ip<'_>, NotUnderstood> {
    match bytes.first().ok_or(NotUnderstood::Short)? >> 4 {
        4 => v4(bytes, wire_len),
        6 => v6(bytes, wire_len),
        _ => Err(NotUnderstood::BadIp),
    }
}

fn v4(bytes: &[u8], wire_len: u32) -> Result<Ip<'_>, NotUnderstood> {
    let header = bytes.first_chunk::<IPV4_HEADER_MIN>().ok_or(NotUnderstood::Short)?;
    let [first, _, l0, l1, i0, i1, f0, f1, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] =
        *header;
    let header_len = u32::from(first & 15) * 4;
    let stated = u32::from(u16::from_be_bytes([l0, l1]));
    // A total length of 0 is segmentation offload: the packet goes to the end of the frame.
    let total = if stated == 0 { wire_len } else { stated };
    if header_len < 20 || total < header_len {
        return Err(NotUnderstood::BadIp);
    }
    let (payload, payload_len, flaws) = payload(bytes, header_len, total, wire_len)?;
    let offset = u16::from_be_bytes([f0 & 0x1f, f1]);
    let more = f0 & 0x20 != 0;
    let fragment = (more || offset != 0).then(|| Fragment {
        id: u32::from(u16::from_be_bytes([i0, i1])),
        offset: u32::from(offset) * 8,
        last: if more { Last::No } else { Last::Yes },
    });
    Ok(Ip {
        from: IpAddress::V4(Ipv4Addr::new(s0, s1, s2, s3)),
        to: IpAddress::V4(Ipv4Addr::new(d0, d1, d2, d3)),
        protocol,
        bytes: total,
        payload,
        payload_len,
        fragment,
        outer: None,
        flaws,
    })
}

fn v6(bytes: &[u8], wire_len: u32) -> Result<Ip<'_>, NotUnderstood> {
    let header = bytes.first_chunk::<IPV6_HEADER>().ok_or(NotUnderstood::Short)?;
    let stated = be16(header, 4).map(u32::from).unwrap_or_default();
    // 0 is a jumbogram or segmentation offload: to the end of the frame.
    let total = if stated == 0 { wire_len.max(40) } else { stated + 40 };
    let address = |at: usize| {
        let octets: Option<&[u8; 16]> = header.get(at..).and_then(|rest| rest.first_chunk());
        IpAddress::V6(Ipv6Addr::from(octets.copied().unwrap_or_default()))
    };
    let (mut payload, mut payload_len, flaws) = payload(bytes, 40, total, wire_len)?;
    let mut ip = Ip {
        from: address(8),
        to: address(24),
        protocol: header.get(6).copied().unwrap_or(59),
        bytes: total,
        payload,
        payload_len,
        fragment: None,
        outer: None,
        flaws,
    };
    for _ in 0..EXTENSION_COUNT_MAX {
        let Some(length) = extension_len(ip.protocol, payload)? else {
            ip.payload = payload;
            ip.payload_len = payload_len;
            return Ok(ip);
        };
        if ip.protocol == FRAGMENT {
            ip.fragment = fragment_v6(payload);
        }
        ip.protocol = payload.first().copied().ok_or(NotUnderstood::Short)?;
        payload = payload.get(length as usize..).ok_or(NotUnderstood::Short)?;
        payload_len = payload_len.saturating_sub(length);
        // What follows in a fragment is data of the datagram, headers included.
        if ip.fragment.is_some() {
            ip.payload = payload;
            ip.payload_len = payload_len;
            return Ok(ip);
        }
    }
    Err(NotUnderstood::TooDeep)
}

const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;

/// The length of the extension header of this number, `None` where it is not one.
fn extension_len(protocol: u8, bytes: &[u8]) -> Result<Option<u32>, NotUnderstood> {
    let stated = || bytes.get(1).map(|&units| u32::from(units)).ok_or(NotUnderstood::Short);
    Ok(match protocol {
        // Hop-by-hop, routing, destination options, mobility, HIP, shim6.
        0 | 43 | 60 | 135 | 139 | 140 => Some((stated()? + 1) * 8),
        FRAGMENT => Some(8),
        AUTHENTICATION => Some((stated()? + 2) * 4),
        _ => None,
    })
}

/// `None` for an atomic fragment (RFC 6946), which is a whole datagram.
fn fragment_v6(header: &[u8]) -> Option<Fragment> {
    let place = be16(header, 2)?;
    let id = be32(header, 4)?;
    let more = place & 1 != 0;
    let offset = u32::from(place & !7);
    (more || offset != 0).then_some(Fragment {
        id,
        offset,
        last: if more { Last::No } else { Last::Yes },
    })
}

/// What is captured behind the header, how long it was on the wire, and whether both agree.
fn payload(
    bytes: &[u8],
    header_len: u32,
    total: u32,
    wire_len: u32,
) -> Result<(&[u8], u32, Flaws), NotUnderstood> {
    let on_wire = total.min(wire_len).max(header_len);
    let captured = bytes.len().min(on_wire as usize);
    let payload = bytes.get(header_len as usize..captured).ok_or(NotUnderstood::Short)?;
    let mut flaws = Flaws::NONE;
    if total > wire_len {
        flaws = flaws.with(Flaws::BAD_HEADER);
    }
    if (captured as u64) < u64::from(total) {
        flaws = flaws.with(Flaws::TRUNCATED);
    }
    Ok((payload, on_wire - header_len, flaws))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4_with(total: u16, place: u16) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[0] = 0x45;
        bytes[2..4].copy_from_slice(&total.to_be_bytes());
        bytes[6..8].copy_from_slice(&place.to_be_bytes());
        bytes[9] = 6;
        bytes
    }

    #[test]
    fn a_total_length_of_zero_goes_to_the_end_of_the_frame() {
        let bytes = v4_with(0, 0);
        let ip = packet(&bytes, 24).unwrap();
        assert_eq!((ip.payload.len(), ip.payload_len, ip.flaws), (4, 4, Flaws::NONE));
    }

    #[test]
    fn padding_behind_the_total_length_is_not_payload() {
        let bytes = v4_with(22, 0);
        let ip = packet(&bytes, 24).unwrap();
        assert_eq!((ip.payload.len(), ip.bytes), (2, 22));
    }

    #[test]
    fn a_cut_packet_keeps_its_length_on_the_wire() {
        let bytes = v4_with(1000, 0);
        let ip = packet(&bytes, 1000).unwrap();
        assert_eq!((ip.payload.len(), ip.payload_len), (4, 980));
        assert_eq!(ip.flaws, Flaws::TRUNCATED);
    }

    #[test]
    fn a_total_length_beyond_the_frame_is_a_flaw() {
        let bytes = v4_with(1000, 0);
        let ip = packet(&bytes, 24).unwrap();
        assert_eq!(ip.payload_len, 4);
        assert!(ip.flaws.has(Flaws::BAD_HEADER));
    }

    #[test]
    fn a_header_that_cannot_be_is_refused() {
        let mut short = v4_with(24, 0);
        short[0] = 0x44;
        assert_eq!(packet(&short, 24).map(|_| ()), Err(NotUnderstood::BadIp));
        assert_eq!(packet(&v4_with(19, 0), 24).map(|_| ()), Err(NotUnderstood::BadIp));
        assert_eq!(packet(&[0x45; 19], 19).map(|_| ()), Err(NotUnderstood::Short));
    }

    #[test]
    fn do_not_fragment_is_no_fragment() {
        assert_eq!(packet(&v4_with(24, 0x4000), 24).unwrap().fragment, None);
        let fragment = packet(&v4_with(24, 0x2001), 24).unwrap().fragment;
        assert_eq!(fragment, Some(Fragment { id: 0, offset: 8, last: Last::No }));
    }

    #[test]
    fn extension_headers_are_skipped() {
        let mut bytes = [0u8; 40 + 8 + 8 + 8];
        bytes[0] = 0x60;
        bytes[5] = 24;
        bytes[6] = 0;
        bytes[40] = 44;
        bytes[48] = 17;
        let ip = packet(&bytes, 64).unwrap();
        // The fragment header is atomic: the datagram is whole.
        assert_eq!((ip.protocol, ip.payload_len, ip.fragment), (17, 8, None));
    }

    #[test]
    fn endless_extension_headers_are_refused() {
        let mut bytes = [0u8; 40 + 8 * 40];
        bytes[0] = 0x60;
        bytes[4..6].copy_from_slice(&320u16.to_be_bytes());
        assert_eq!(packet(&bytes, 360).map(|_| ()), Err(NotUnderstood::TooDeep));
    }
}
