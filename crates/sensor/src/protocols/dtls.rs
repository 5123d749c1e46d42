//! DTLS, by the record and handshake headers of both hellos: RFC 6347, RFC 9147.

use observation::Side;

use super::frames::{Frame, chain};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, datagram, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "dtls",
    first_bytes: FirstBytes::range(21, 25),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let first = heads.first.unwrap_or(Side::Originator);
    let (opening, answer) = (heads.of(first), heads.of(first.other()));
    if !opening.is_empty() && !is_hello(opening, &[1]) {
        // The client was not captured, or the beginning was not.
        return two_sided(
            datagram(heads.opener, are_records),
            datagram(heads.answerer, are_records),
        );
    }
    match (opening, datagram(answer, |bytes| is_hello(bytes, &[2, 3]) || is_alert(bytes))) {
        ([], _) => Verdict::Unsure,
        // A hello, a request to verify, or a refusal.
        (_, Fit::Yes) => Verdict::Confirmed,
        (_, Fit::Could) => Verdict::Proposed(first),
        (_, Fit::No) => Verdict::Never,
    }
}

fn is_alert(bytes: &[u8]) -> bool {
    bytes.starts_with(&[21, 254])
}

/// Records that fill the datagram: a server's hello, or what is sealed.
fn are_records(bytes: &[u8]) -> bool {
    is_hello(bytes, &[2, 3]) || chain(bytes, 1, sealed) == Fit::Yes && ends(bytes)
}

/// A record of a later epoch: type, version, epoch, number, length.
fn sealed(head: &[u8]) -> Frame {
    let Some([kind, 254, 253 | 255, 0, epoch, 0, 0, _, _, _, _, high, low]) =
        head.first_chunk::<13>()
    else {
        return Frame::Not;
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let fits = (21..=25).contains(kind) && (1..=3).contains(epoch) && length >= SEALED_BYTES_MIN;
    fits.then_some(13 + length).into()
}

fn ends(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Frame::Of(length) = sealed(rest) {
        match rest.get(length..) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}

/// A handshake record of epoch 0 that holds the beginning of one of these messages.
fn is_hello(bytes: &[u8], kinds: &[u8]) -> bool {
    let Some([22, version @ .., high, low, kind]) = bytes.first_chunk::<14>() else { return false };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    matches!(version, [254, 253 | 255, 0, 0, ..] | [1, 0, 0, 0, ..])
        && kinds.contains(kind)
        && (12..=bytes.len()).contains(&length)
}

/// A tag.
const SEALED_BYTES_MIN: usize = 8;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn two_hellos_are_dtls() {
        let mut hello = *b"\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x0c\x01\0\0\0\0\0\0\0\0\0\0\0";
        let first = hello;
        hello[13] = 3;
        Story::of_datagrams(&[client(&first), server(&hello)]).is_confirmed("dtls");
    }

    #[test]
    fn sealed_records_are_dtls_from_either_side() {
        let record = b"\x17\xfe\xfd\0\x01\0\0\0\0\0\x09\0\x08abcdefgh";
        Story::of_datagrams(&[server(record)]).is_only_proposed("dtls");
        Story::of_datagrams(&[client(record), server(record)]).is_confirmed("dtls");
        let longer = b"\x17\xfe\xfd\0\x01\0\0\0\0\0\x09\0\x08abcdefghi";
        Story::of_datagrams(&[client(longer)]).is_nothing();
    }

    #[test]
    fn dtls_cut_short_is_not_dtls() {
        assert!(Story::of_datagrams(&[client(b"\x16\xfe\xfd\0\0")]).names.is_empty());
    }

    #[test]
    fn text_in_the_answer_leaves() {
        let hello = b"\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x0c\x01\0\0\0\0\0\0\0\0\0\0\0";
        Story::of_datagrams(&[client(hello), server(b"id\n")]).is_left_by_server();
    }
}
