//! GTP, by version, message type and length: 3GPP TS 29.060 and 29.281 (version 1), TS 29.274
//! (version 2).

use super::frames::be16_at;
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{datagram, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "gtp",
    first_bytes: FirstBytes::range(0x30, 0x37).or(FirstBytes::of(&[0x40, 0x48, 0x50, 0x58])),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(datagram(heads.opener, is_gtp), datagram(heads.answerer, is_gtp))
}

fn is_gtp(bytes: &[u8]) -> bool {
    let (Some([first, kind]), Some(length)) = (bytes.first_chunk::<2>(), be16_at(bytes, 2)) else {
        return false;
    };
    let length = usize::from(length);
    match first {
        // Flags say whether four optional bytes follow the tunnel's id.
        0x30..=0x37 => {
            let options = if first & 7 == 0 { 0 } else { 4 };
            length + V1_HEADER_BYTES == bytes.len() && length >= options && is_v1(*kind, bytes)
        }
        // Two messages may be sent as one; the tunnel's id is optional.
        0x40 | 0x48 | 0x50 | 0x58 => {
            let header = if first & 8 == 0 { 4 } else { 8 };
            let whole = bytes.len() - 4;
            let fits = if first & 16 == 0 { length == whole } else { length < whole };
            fits && length >= header && bytes.get(4 + header - 1) == Some(&0) && is_v2(*kind)
        }
        _ => false,
    }
}

/// The messages of either plane; a packet of the user's is IP.
fn is_v1(kind: u8, bytes: &[u8]) -> bool {
    match kind {
        1..=7 | 16..=31 | 48..=60 | 96..=128 | 254 => true,
        255 => bytes.get(V1_HEADER_BYTES..).is_some_and(|payload| {
            payload.iter().take(5).any(|byte| *byte == 0x45 || byte >> 4 == 6)
        }),
        _ => false,
    }
}

const fn is_v2(kind: u8) -> bool {
    let of_sessions = matches!(kind, 1..=3 | 25..=40 | 64..=73 | 95..=103 | 128..=179);
    of_sessions || matches!(kind, 200 | 201 | 211 | 212 | 231..=236)
}

const V1_HEADER_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const ASKS: &[u8; 12] = b"\x48\x22\0\x08\0\0\0\0\0\x4b\x54\0";
    const ANSWERS: &[u8; 18] = b"\x48\x23\0\x0e\0\0\0\x01\0\x4b\x54\0\x02\0\x02\0\x10\0";

    #[test]
    fn a_request_and_its_answer_are_gtp() {
        Story::of_datagrams(&[client(ASKS), server(ANSWERS)]).is_confirmed("gtp");
        Story::of_datagrams(&[client(b"\x32\x01\0\x04\0\0\0\0\0\x01\0\0")]).is_only_proposed("gtp");
    }

    #[test]
    fn gtp_cut_short_is_not_gtp() {
        Story::of_datagrams(&[(observation::Side::Originator, &ANSWERS[..17])]).is_nothing();
    }

    #[test]
    fn text_of_the_same_length_is_not_gtp() {
        Story::of_datagrams(&[client(b"0123456789ab")]).is_nothing();
        Story::of_datagrams(&[client(ASKS), server(b"id\n")]).is_left_by_server();
    }

    #[test]
    fn an_answer_with_another_version_is_not_gtp() {
        let answers = server(b"\x12\x01\0\x04\0\0\x01\0\0");
        Story::of_datagrams(&[client(ASKS), answers]).is_left_by_server();
    }
}
