//! OpenVPN, by the reset of both sides, where the server repeats the client's session id: OpenVPN's
//! protocol, `ssl_pkt.h`.

use observation::Transport;

use super::registry::{FirstBytes, Protocol, Transports};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "openvpn",
    first_bytes: FirstBytes::range(0x38, 0x3f)
        .or(FirstBytes::range(0x50, 0x57))
        .or(FirstBytes::of(&[0])),
    transports: Transports::Both,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(observation::Side::Responder) {
        return Verdict::Never;
    }
    let (client, server) = match heads.transport {
        Transport::Udp => (Packet::of(heads.opener), Packet::of(heads.answerer)),
        _ => (Packet::framed(heads.opener), Packet::framed(heads.answerer)),
    };
    match (client, server) {
        (Packet::Part, _) => Verdict::Unsure,
        // One byte and an id prove nothing alone.
        (Packet::Reset([7 | 10, ..], _), Packet::Part) => Verdict::Unsure,
        (Packet::Reset([7 | 10, id @ ..], _), Packet::Reset([8, ..], rest)) => {
            if rest.windows(ID_BYTES).any(|part| part == id) {
                Verdict::Confirmed
            } else {
                Verdict::Never
            }
        }
        _ => Verdict::Never,
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
    fn another_session_is_not_openvpn() {
        let answer = server(b"\x40ijklmnop\x01\0\0\0\0abcdefgi\0\0\0\0");
        assert!(Story::of_datagrams(&[client(b"\x38abcdefgh\0\0\0\0\0"), answer]).names.is_empty());
    }
}
