//! WireGuard, by the type, the reserved zeros and the fixed length of handshake messages, and the
//! receiver index that the response repeats: the WireGuard whitepaper, section 5.4.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::{Datagram, Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "wireguard",
    first_bytes: FirstBytes::range(1, 4),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let first = heads.first.unwrap_or(Side::Originator);
    match (heads.of(first), heads.of(first.other())) {
        ([], _) => Verdict::Unsure,
        ([4, ..], _) => transport(&heads, first),
        (initiation, []) if initiation_index(initiation).is_some() => {
            // What is longer has been disguised, and only its answer proves it.
            let is_plain = initiation.len() == INITIATION_BYTES;
            if is_plain { Verdict::Proposed(first) } else { Verdict::Unsure }
        }
        (initiation, response) => match (initiation_index(initiation), response_index(response)) {
            (Some(sender), Some(receiver)) if sender == receiver => Verdict::Confirmed,
            // The initiation was not seen.
            (None, None)
                if response.is_empty()
                    && initiation.len() == RESPONSE_BYTES
                    && response_index(initiation).is_some() =>
            {
                Verdict::Proposed(first)
            }
            // Under load a cookie is answered first: it repeats the index too.
            _ => Verdict::Never,
        },
    }
}

/// The capture began behind the handshake: data of one side go to one index, and are counted.
fn transport(heads: &Heads<'_>, first: Side) -> Verdict {
    let mut last: Option<Data> = None;
    for datagram in heads.datagrams(first) {
        let Some(data) = Data::of(datagram) else { return Verdict::Never };
        match last {
            Some(before) if data == before => {}
            Some(before) => {
                let follows = data.index == before.index
                    && (1..=MISSING_COUNT_MAX).contains(&data.count.wrapping_sub(before.count));
                return if follows { Verdict::Proposed(first) } else { Verdict::Never };
            }
            None => last = Some(data),
        }
    }
    Verdict::Unsure
}

/// The header of transport data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Data {
    index: [u8; 4],
    count: u64,
}

impl Data {
    fn of(datagram: Datagram<'_>) -> Option<Self> {
        let ([4, 0, 0, 0, rest @ ..], _) = datagram.bytes.split_first_chunk::<16>()? else {
            return None;
        };
        let (index, count) = rest.split_first_chunk::<4>()?;
        let count = u64::from_le_bytes(*count.first_chunk::<8>()?);
        // Payload is filled up to 16 bytes, then comes a tag of 16.
        let fits = datagram.length >= 32 && datagram.length.is_multiple_of(16);
        (fits && count >> 48 == 0).then_some(Self { index: *index, count })
    }
}

fn initiation_index(datagram: &[u8]) -> Option<&[u8]> {
    let begins = datagram.starts_with(&[1, 0, 0, 0]) && datagram.len() >= INITIATION_BYTES;
    datagram.get(4..8).filter(|_| begins)
}

fn response_index(datagram: &[u8]) -> Option<&[u8]> {
    match (datagram.first_chunk::<4>(), datagram.len()) {
        (Some([2, 0, 0, 0]), RESPONSE_BYTES..) => datagram.get(8..12),
        (Some([3, 0, 0, 0]), COOKIE_BYTES) => datagram.get(4..8),
        _ => None,
    }
}

const INITIATION_BYTES: usize = 148;
const RESPONSE_BYTES: usize = 92;
const COOKIE_BYTES: usize = 64;
const MISSING_COUNT_MAX: u64 = 64;

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
    fn a_handshake_that_was_made_longer_is_wireguard_once_answered() {
        let (asks, answers) = (message(1, 204, 4), message(2, 100, 8));
        let turns = [(Side::Originator, &*asks), (Side::Responder, &*answers)];
        Story::of_datagrams(&turns).is_confirmed("wireguard");
        Story::of_datagrams(&turns[..1]).is_nothing();
    }

    #[test]
    fn wireguard_cut_short_is_not_wireguard() {
        let cut = message(1, 147, 4);
        assert!(Story::of_datagrams(&[(Side::Originator, &cut)]).names.is_empty());
    }

    #[test]
    fn data_behind_a_handshake_that_was_not_seen_are_wireguard() {
        let data = [7, 8, 0x77].map(|count| {
            let mut data = message(4, 96, 4);
            data[8..16].copy_from_slice(&[count, 0, 0, 0, 0, 0, 0, 0]);
            data
        });
        let turn = |at: usize| (Side::Responder, &*data[at]);
        Story::of_datagrams(&[turn(0), turn(1)]).is_only_proposed("wireguard");
        Story::of_datagrams(&[turn(0), turn(0)]).is_nothing();
        Story::of_datagrams(&[turn(0), turn(2)]).is_nothing();
    }

    #[test]
    fn another_index_leaves() {
        let (asks, answers) = (message(1, 148, 4), message(2, 92, 12));
        Story::of_datagrams(&[(Side::Originator, &asks), (Side::Responder, &answers)])
            .is_left_by_server();
    }
}
