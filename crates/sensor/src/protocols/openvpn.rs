//! OpenVPN, by the reset of both sides, where the server repeats the client's session id, or both
//! are wrapped by `tls-crypt` at the same time: OpenVPN's protocol, `ssl_pkt.h`, `tls_crypt.h`.

use observation::{Side, Transport};

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::contains;
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "openvpn",
    first_bytes: FirstBytes::range(0x38, 0x47)
        .or(FirstBytes::range(0x50, 0x57))
        .or(FirstBytes::of(&[0])),
    transports: Transports::Both,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let first = heads.first.unwrap_or(Side::Originator);
    let (opening, answer) = (heads.of(first), heads.of(first.other()));
    let (opens, answers) = match heads.transport {
        Transport::Udp => (Packet::of(opening), Packet::of(answer)),
        _ => (Packet::framed(opening), Packet::framed(answer)),
    };
    match (opens, answers) {
        (Packet::Part, _) => Verdict::Unsure,
        // One byte and an id prove nothing alone; several of one session do.
        (Packet::Reset([7 | 8 | 10, id @ ..], _), Packet::Part) => session(&heads, first, &id),
        (Packet::Reset([7 | 10, id @ ..], asks), Packet::Reset([8, ..], rest)) => {
            let answers = contains(rest, &id) || are_wrapped(asks, rest);
            if answers { Verdict::Confirmed } else { Verdict::Never }
        }
        _ => Verdict::Never,
    }
}

/// One direction alone: what follows the reset is control or data of the same session.
fn session(heads: &Heads<'_>, side: Side, id: &[u8]) -> Verdict {
    if heads.transport != Transport::Udp {
        return Verdict::Unsure;
    }
    let mut same = 0;
    for datagram in heads.datagrams(side).skip(1) {
        match datagram.bytes.split_first() {
            Some((first, rest)) if matches!(first >> 3, 4..=6 | 9) && rest.starts_with(id) => {
                same += 1;
            }
            _ => break,
        }
    }
    if same >= 2 { Verdict::Proposed(side) } else { Verdict::Unsure }
}

/// `tls-crypt` hides what follows, but not the packet's number and its time.
fn are_wrapped(asks: &[u8], answers: &[u8]) -> bool {
    let stamp = |rest: &[u8]| {
        let [0, 0, 0, number @ 1..=9, t0, t1, t2, t3] = *rest.first_chunk::<8>()? else {
            return None;
        };
        (rest.len() >= WRAPPED_BYTES_MIN).then_some((number, u32::from_be_bytes([t0, t1, t2, t3])))
    };
    match (stamp(asks), stamp(answers)) {
        (Some((_, asked)), Some((_, answered))) => asked.abs_diff(answered) <= CLOCK_SKEW_S_MAX,
        _ => false,
    }
}

/// An operation code with the session id, and what follows them.
enum Packet<'a> {
    Part,
    Reset([u8; 1 + ID_BYTES], &'a [u8]),
    Other,
}

impl<'a> Packet<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let Some((header, rest)) = bytes.split_first_chunk::<{ 1 + ID_BYTES }>() else {
            return if bytes.is_empty() { Self::Part } else { Self::Other };
        };
        let mut reset = *header;
        let [first, id @ ..] = &mut reset;
        *first >>= 3;
        // A session id is random; the packet goes on for at least a count and a number.
        let plausible = id.iter().any(|byte| *byte != 0) && rest.len() >= 5;
        if plausible { Self::Reset(reset, rest) } else { Self::Other }
    }

    /// Over TCP with its length before it.
    fn framed(head: &'a [u8]) -> Self {
        let Some((length, rest)) = head.split_first_chunk::<2>() else { return Self::Part };
        let length = usize::from(u16::from_be_bytes(*length));
        match rest.get(..length) {
            _ if !(14..=PACKET_BYTES_MAX).contains(&length) => Self::Other,
            Some(packet) => Self::of(packet),
            None => Self::Part,
        }
    }
}

const ID_BYTES: usize = 8;
const PACKET_BYTES_MAX: usize = 1500;
/// Number, time and HMAC.
const WRAPPED_BYTES_MIN: usize = 4 + 4 + 32;
const CLOCK_SKEW_S_MAX: u32 = 3600;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn two_resets_are_openvpn() {
        let ask = b"\x38abcdefgh\0\0\0\0\0";
        let answer = b"\x40ijklmnop\x01\0\0\0\0abcdefgh\0\0\0\0";
        Story::of_datagrams(&[client(ask), server(answer)]).is_confirmed("openvpn");
    }

    #[test]
    fn one_reset_is_unsure() {
        assert!(Story::of_datagrams(&[client(b"\x38abcdefgh\0\0\0\0\0")]).names.is_empty());
    }

    #[test]
    fn two_wrapped_resets_are_openvpn() {
        let mut asks = [0x5a; 54];
        asks[..17].copy_from_slice(b"\x38abcdefgh\0\0\0\x01\x63\xcf\x4f\xf5");
        let mut answers = asks;
        answers[..3].copy_from_slice(b"\x40ij");
        Story::of_datagrams(&[client(&asks), server(&answers)]).is_confirmed("openvpn");
        answers[13] = 0;
        Story::of_datagrams(&[client(&asks), server(&answers)]).is_nothing();
    }

    #[test]
    fn one_direction_of_a_session_is_openvpn() {
        let reset = client(b"\x38abcdefgh\0\0\0\0\0");
        let ack = client(b"\x28abcdefgh\x01\0\0\0\0ijklmnop");
        let control = client(b"\x20abcdefgh\0\0\0\0\x01\x16\x03\x01");
        Story::of_datagrams(&[reset, ack, control]).is_only_proposed("openvpn");
        Story::of_datagrams(&[reset, ack]).is_nothing();
    }

    #[test]
    fn another_session_is_not_openvpn() {
        let answer = server(b"\x40ijklmnop\x01\0\0\0\0abcdefgi\0\0\0\0");
        assert!(Story::of_datagrams(&[client(b"\x38abcdefgh\0\0\0\0\0"), answer]).names.is_empty());
    }
}
