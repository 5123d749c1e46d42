//! Teredo, by the IPv6 packet that fills the datagram behind its own headers: RFC 4380, section
//! 5.1.1.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{datagram, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "teredo",
    first_bytes: FirstBytes::range(0x60, 0x6f).or(FirstBytes::of(&[0])),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(datagram(heads.opener, is_teredo), datagram(heads.answerer, is_teredo))
}

fn is_teredo(bytes: &[u8]) -> bool {
    packet(bytes).is_some_and(is_ipv6)
}

/// What follows authentication and origin, where they are there.
fn packet(bytes: &[u8]) -> Option<&[u8]> {
    let bytes = match bytes {
        [0, 1, id, authentication, rest @ ..] => {
            let fields = usize::from(*id) + usize::from(*authentication) + NONCE_BYTES;
            rest.get(fields..)?
        }
        _ => bytes,
    };
    match bytes {
        [0, 0, rest @ ..] => rest.get(ORIGIN_BYTES..),
        _ => Some(bytes),
    }
}

/// A whole IPv6 packet, of a Teredo address or between a client and its server.
fn is_ipv6(packet: &[u8]) -> bool {
    let Some(([first, _, _, _, high, low, next, _, source @ ..], payload)) =
        packet.split_first_chunk::<24>()
    else {
        return false;
    };
    let Some(target) = payload.first_chunk::<16>() else { return false };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let is_ours = |address: &[u8; 16]| {
        address.starts_with(b"\x20\x01\0\0") || address.starts_with(b"\xfe\x80\0\0\0\0\0\0")
    };
    first >> 4 == 6
        && matches!(next, 0 | 6 | 17 | 43 | 44 | 58 | 59)
        && payload.len() == length + 16
        && (is_ours(source) || is_ours(target))
}

/// The nonce and the confirmation.
const NONCE_BYTES: usize = 9;
const ORIGIN_BYTES: usize = 6;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use observation::Side;

    use crate::protocols::story::Story;

    fn solicitation() -> Vec<u8> {
        let mut datagram = Vec::from(*b"\0\x01\0\0nonceonc\0\x60\0\0\0\0\x08\x3a\xff\xfe\x80");
        datagram.extend([0; 6]);
        datagram.extend(b"\0\0\xff\xff\xff\xff\xff\xfe\xff\x02");
        datagram.extend([0; 13]);
        datagram.extend(b"\x02\x85\0\x7d\x38\0\0\0\0");
        datagram
    }

    #[test]
    fn a_solicitation_is_teredo() {
        let asks = solicitation();
        Story::of_datagrams(&[(Side::Originator, &asks)]).is_only_proposed("teredo");
        let both = [(Side::Originator, &*asks), (Side::Responder, &asks[13..])];
        Story::of_datagrams(&both).is_confirmed("teredo");
    }

    #[test]
    fn teredo_cut_short_is_not_teredo() {
        let asks = solicitation();
        Story::of_datagrams(&[(Side::Originator, &asks[..asks.len() - 1])]).is_nothing();
    }

    #[test]
    fn a_packet_of_other_addresses_is_not_teredo() {
        let mut asks = solicitation();
        asks[21] = 0xfd;
        Story::of_datagrams(&[(Side::Originator, &asks)]).is_nothing();
    }
}
