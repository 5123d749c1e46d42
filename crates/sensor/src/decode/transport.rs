//! TCP (RFC 9293), UDP (RFC 768) and ICMP (RFC 792, RFC 4443) headers.

use observation::{Endpoint, Flaws, Transport};

use super::ip::Ip;
use super::{be16, be32};
use crate::NotUnderstood;

/// One transport segment or datagram, without the link it came over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    /// Who sent it.
    pub from: Endpoint,
    /// To whom.
    pub to: Endpoint,
    /// What carries it.
    pub transport: Transport,
    /// What its header says beyond that.
    pub kind: Kind,
    /// The payload as far as it was captured.
    pub payload: &'a [u8],
    /// The payload's length on the wire.
    pub payload_len: u32,
    /// The length of the whole IP packet.
    pub ip_bytes: u32,
    /// What was odd.
    pub flaws: Flaws,
}

/// What a transport's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A TCP segment.
    Tcp { seq: u32, ack: u32, flags: TcpFlags },
    /// A datagram that opens or continues a conversation.
    Datagram,
    /// A message that by its type answers another (an ICMP router advertisement).
    Answer,
    /// An ICMP echo request, by identifier and sequence number.
    Echo(u32),
    /// The reply to it.
    EchoReply(u32),
    /// A message about a conversation, whose payload is none (an ICMP error).
    Report,
}

/// The flags of a TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpFlags(pub u8);

impl TcpFlags {
    pub(crate) const FIN: Self = Self(1);
    pub(crate) const SYN: Self = Self(2);
    pub(crate) const RST: Self = Self(4);
    pub(crate) const PSH: Self = Self(8);
    pub(crate) const ACK: Self = Self(16);

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;
/// What Ethernet carries at least, with a tag (IEEE 802.1Q) and without one.
const ETHERNET_BYTES_MIN: [u32; 2] = [42, 46];

/// The segment that a whole IP packet carries.
pub(crate) fn segment<'a>(ip: &Ip<'a>) -> Result<Segment<'a>, NotUnderstood> {
    match ip.protocol {
        TCP => tcp(ip),
        UDP => udp(ip),
        ICMP => icmp(ip, counterpart_v4),
        ICMPV6 => icmp(ip, counterpart_v6),
        other => Ok(Segment {
            from: Endpoint { address: ip.from, port: sctp_port(ip, 0) },
            to: Endpoint { address: ip.to, port: sctp_port(ip, 2) },
            transport: Transport::Other(other),
            kind: Kind::Datagram,
            payload: ip.payload,
            payload_len: ip.payload_len,
            ip_bytes: ip.bytes,
            flaws: ip.flaws,
        }),
    }
}

/// SCTP (RFC 9260) is the one other transport with ports; its chunks are not read.
fn sctp_port(ip: &Ip<'_>, at: usize) -> u16 {
    if ip.protocol == SCTP { be16(ip.payload, at).unwrap_or(0) } else { 0 }
}

fn tcp<'a>(ip: &Ip<'a>) -> Result<Segment<'a>, NotUnderstood> {
    let header = ip.payload.first_chunk::<20>().ok_or(NotUnderstood::BadTransport)?;
    let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, ..] = *header;
    let header_len = usize::from(offset >> 4) * 4;
    let flags = TcpFlags(flags);
    let mut flaws = ip.flaws;
    if header_len < 20 {
        return Err(NotUnderstood::BadTransport);
    }
    let (payload, payload_len) = if header_len as u64 > u64::from(ip.payload_len) {
        flaws = flaws.with(Flaws::BAD_HEADER);
        (&[][..], 0)
    } else {
        let skipped = u32::try_from(header_len).unwrap_or(u32::MAX);
        (ip.payload.get(header_len..).unwrap_or_default(), ip.payload_len.saturating_sub(skipped))
    };
    let (payload, payload_len) = if is_padding(ip, flags, payload) {
        flaws = flaws.with(Flaws::BAD_HEADER);
        (&[][..], 0)
    } else {
        (payload, payload_len)
    };
    Ok(Segment {
        from: Endpoint { address: ip.from, port: u16::from_be_bytes([s0, s1]) },
        to: Endpoint { address: ip.to, port: u16::from_be_bytes([d0, d1]) },
        transport: Transport::Tcp,
        kind: Kind::Tcp {
            seq: u32::from_be_bytes([q0, q1, q2, q3]),
            ack: u32::from_be_bytes([a0, a1, a2, a3]),
            flags,
        },
        payload,
        payload_len,
        ip_bytes: ip.bytes,
        flaws,
    })
}

/// Some middle boxes count the zeros by which Ethernet fills up an empty segment as its payload;
/// what the sender sends afterwards has the same number.
fn is_padding(ip: &Ip<'_>, flags: TcpFlags, payload: &[u8]) -> bool {
    // Exactly as many as fill it: others are what a sender says, cut into small segments.
    ETHERNET_BYTES_MIN.contains(&ip.bytes)
        && !flags.has(TcpFlags::PSH)
        && !payload.is_empty()
        && payload.iter().all(|byte| *byte == 0)
}

fn udp<'a>(ip: &Ip<'a>) -> Result<Segment<'a>, NotUnderstood> {
    const HEADER: u32 = 8;
    let ports = be32(ip.payload, 0).ok_or(NotUnderstood::BadTransport)?;
    let stated = be16(ip.payload, 4).map(u32::from).ok_or(NotUnderstood::BadTransport)?;
    let payload = ip.payload.get(HEADER as usize..).ok_or(NotUnderstood::BadTransport)?;
    let room = ip.payload_len.saturating_sub(HEADER);
    let mut flaws = ip.flaws;
    // A length of 0 is a jumbogram or offload: to the end of the packet.
    let payload_len = if stated == 0 { room } else { stated.saturating_sub(HEADER).min(room) };
    if stated != 0 && !(HEADER..=ip.payload_len).contains(&stated) {
        flaws = flaws.with(Flaws::BAD_HEADER);
    }
    Ok(Segment {
        from: Endpoint { address: ip.from, port: (ports >> 16) as u16 },
        to: Endpoint { address: ip.to, port: (ports & 0xffff) as u16 },
        transport: Transport::Udp,
        kind: Kind::Datagram,
        payload: payload.get(..payload_len as usize).unwrap_or(payload),
        payload_len,
        ip_bytes: ip.bytes,
        flaws,
    })
}

/// How a type of ICMP message pairs with another, as Zeek and the community id define it.
enum Pairing {
    /// It asks, and this type answers.
    AskedBy(u8),
    /// It answers this type.
    Answers(u8),
    /// It reports.
    Alone,
}

fn icmp<'a>(ip: &Ip<'a>, counterpart: fn(u8) -> Pairing) -> Result<Segment<'a>, NotUnderstood> {
    const HEADER: u32 = 8;
    let &[kind, code, ..] = ip.payload else {
        return Err(NotUnderstood::BadTransport);
    };
    // The asking side's port is the type that asks, the answering side's the type that answers.
    let (from_port, to_port, role) = match counterpart(kind) {
        Pairing::AskedBy(answer) => (kind, answer, asking(kind, ip)),
        Pairing::Answers(question) => (kind, question, answering(kind, ip)),
        Pairing::Alone => (kind, code, Kind::Report),
    };
    Ok(Segment {
        from: Endpoint { address: ip.from, port: u16::from(from_port) },
        to: Endpoint { address: ip.to, port: u16::from(to_port) },
        transport: Transport::Icmp,
        kind: role,
        payload: ip.payload.get(HEADER as usize..).unwrap_or_default(),
        payload_len: ip.payload_len.saturating_sub(HEADER),
        ip_bytes: ip.bytes,
        flaws: ip.flaws,
    })
}

fn asking(kind: u8, ip: &Ip<'_>) -> Kind {
    match (kind, be32(ip.payload, 4)) {
        (8 | 128, Some(number)) => Kind::Echo(number),
        _ => Kind::Datagram,
    }
}

fn answering(kind: u8, ip: &Ip<'_>) -> Kind {
    match (kind, be32(ip.payload, 4)) {
        (0 | 129, Some(number)) => Kind::EchoReply(number),
        _ => Kind::Answer,
    }
}

fn counterpart_v4(kind: u8) -> Pairing {
    match kind {
        8 => Pairing::AskedBy(0),
        0 => Pairing::Answers(8),
        10 => Pairing::AskedBy(9),
        9 => Pairing::Answers(10),
        13 => Pairing::AskedBy(14),
        14 => Pairing::Answers(13),
        15 => Pairing::AskedBy(16),
        16 => Pairing::Answers(15),
        17 => Pairing::AskedBy(18),
        18 => Pairing::Answers(17),
        _ => Pairing::Alone,
    }
}

fn counterpart_v6(kind: u8) -> Pairing {
    match kind {
        128 => Pairing::AskedBy(129),
        129 => Pairing::Answers(128),
        130 => Pairing::AskedBy(131),
        131 => Pairing::Answers(130),
        133 => Pairing::AskedBy(134),
        134 => Pairing::Answers(133),
        135 => Pairing::AskedBy(136),
        136 => Pairing::Answers(135),
        139 => Pairing::AskedBy(140),
        140 => Pairing::Answers(139),
        144 => Pairing::AskedBy(145),
        145 => Pairing::Answers(144),
        _ => Pairing::Alone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use observation::IpAddress;

    fn ip(protocol: u8, payload: &[u8]) -> Ip<'_> {
        Ip {
            from: IpAddress::from([10, 0, 0, 1]),
            to: IpAddress::from([10, 0, 0, 2]),
            protocol,
            bytes: 20 + u32::try_from(payload.len()).unwrap(),
            payload,
            payload_len: u32::try_from(payload.len()).unwrap(),
            fragment: None,
            outer: None,
            flaws: Flaws::NONE,
        }
    }

    #[test]
    fn tcp_options_are_not_payload() {
        let mut bytes = [0u8; 26];
        bytes[12] = 6 << 4;
        bytes[13] = 0x18;
        bytes[24..].copy_from_slice(b"id");
        let segment = segment(&ip(TCP, &bytes)).unwrap();
        assert_eq!((segment.payload, segment.payload_len), (&b"id"[..], 2));
    }

    #[test]
    fn zeros_that_fill_a_frame_are_not_payload() {
        let mut bytes = [0u8; 26];
        bytes[12] = 5 << 4;
        bytes[13] = 0x10;
        assert_eq!(segment(&ip(TCP, &bytes)).unwrap().payload_len, 0);
        bytes[13] = 0x18;
        assert_eq!(segment(&ip(TCP, &bytes)).unwrap().payload_len, 6);
        bytes[13] = 0x10;
        bytes[25] = 1;
        assert_eq!(segment(&ip(TCP, &bytes)).unwrap().payload_len, 6);
    }

    #[test]
    fn a_tcp_header_that_cannot_be_is_refused() {
        let mut bytes = [0u8; 20];
        bytes[12] = 4 << 4;
        assert!(segment(&ip(TCP, &bytes)).is_err());
        bytes[12] = 15 << 4;
        assert!(segment(&ip(TCP, &bytes)).unwrap().flaws.has(Flaws::BAD_HEADER));
    }

    #[test]
    fn a_udp_length_beyond_the_packet_is_a_flaw() {
        let good = segment(&ip(UDP, b"\x00\x35\x80\x00\x00\x0a\x00\x00hi")).unwrap();
        assert_eq!((good.payload, good.flaws), (&b"hi"[..], Flaws::NONE));
        let long = segment(&ip(UDP, b"\x00\x35\x80\x00\x00\xff\x00\x00hi")).unwrap();
        assert_eq!((long.payload, long.flaws), (&b"hi"[..], Flaws::BAD_HEADER));
    }

    #[test]
    fn an_echo_and_its_reply_share_their_ports() {
        let ask = segment(&ip(ICMP, &[8, 0, 0, 0, 0, 1, 0, 1, b'x'])).unwrap();
        let answer = segment(&ip(ICMP, &[0, 0, 0, 0, 0, 1, 0, 1, b'x'])).unwrap();
        assert_eq!((ask.from.port, ask.to.port), (8, 0));
        assert_eq!((answer.from.port, answer.to.port), (0, 8));
        assert_eq!((ask.kind, answer.kind), (Kind::Echo(0x1_0001), Kind::EchoReply(0x1_0001)));
        assert_eq!(segment(&ip(ICMP, &[3, 1])).unwrap().kind, Kind::Report);
    }
}
