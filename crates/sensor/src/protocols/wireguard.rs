//! WireGuard, by the type, the reserved zeros and the fixed length of handshake messages, and the
//! receiver index that the response repeats: the WireGuard whitepaper, section 5.4.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "wireguard",
    first_bytes: FirstBytes::of(&[1]),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let first = heads.first.unwrap_or(Side::Originator);
    match (heads.of(first), heads.of(first.other())) {
        ([], _) => Verdict::Unsure,
        (initiation, []) if initiation_index(initiation).is_some() => Verdict::Proposed(first),
        (initiation, response) => match (initiation_index(initiation), response_index(response)) {
            (Some(sender), Some(receiver)) if sender == receiver => Verdict::Confirmed,
            // Under load a cookie is answered first: it repeats the index too.
            _ => Verdict::Never,
        },
    }
}

fn initiation_index(datagram: &[u8]) -> Option<&[u8]> {
    let begins = datagram.starts_with(&[1, 0, 0, 0]) && datagram.len() == INITIATION_BYTES;
    datagram.get(4..8).filter(|_| begins)
}

fn response_index(datagram: &[u8]) -> Option<&[u8]> {
    match (datagram.first_chunk::<4>(), datagram.len()) {
        (Some([2, 0, 0, 0]), RESPONSE_BYTES) => datagram.get(8..12),
        (Some([3, 0, 0, 0]), COOKIE_BYTES) => datagram.get(4..8),
        _ => None,
    }
}

const INITIATION_BYTES: usize = 148;
const RESPONSE_BYTES: usize = 92;
const COOKIE_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use observation::Side;

    use crate::protocols::story::Story;

    fn message(kind: u8, bytes: usize, index_at: usize) -> alloc::vec::Vec<u8> {
        let mut message = alloc::vec![0x5a; bytes];
        message[..4].copy_from_slice(&[kind, 0, 0, 0]);
        message[index_at..index_at + 4].copy_from_slice(b"abcd");
        message
    }

    #[test]
    fn an_initiation_and_its_response_are_wireguard() {
        let turns = [(1, 148, 4), (2, 92, 8)].map(|(kind, bytes, at)| message(kind, bytes, at));
        let [asks, answers] = &turns;
        Story::of_datagrams(&[(Side::Originator, asks), (Side::Responder, answers)])
            .is_confirmed("wireguard");
    }

    #[test]
    fn wireguard_cut_short_is_not_wireguard() {
        let cut = message(1, 147, 4);
        assert!(Story::of_datagrams(&[(Side::Originator, &cut)]).names.is_empty());
    }

    #[test]
    fn another_index_leaves() {
        let (asks, answers) = (message(1, 148, 4), message(2, 92, 12));
        Story::of_datagrams(&[(Side::Originator, &asks), (Side::Responder, &answers)])
            .is_left_by_server();
    }
}
