//! Cassandra's native protocol, versions 1 to 5, by the first request and its answer: Apache
//! Cassandra, `native_protocol_v5.spec`, sections 2 and 4; and the handshake between its nodes.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, contains, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "cassandra",
    first_bytes: FirstBytes::range(1, 6).or(FirstBytes::of(b"\xca")),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    match (literal(heads.opener, NODE), request(heads.opener), response(heads.answerer)) {
        // What a node answers is its own version and a checksum: nothing to hold it against.
        (Fit::Yes, ..) => Verdict::Proposed(Side::Originator),
        (Fit::No, Fit::No, _) | (Fit::No, _, Fit::No) => Verdict::Never,
        (_, Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (_, Fit::Yes, _) => Verdict::Proposed(Side::Originator),
        _ => Verdict::Unsure,
    }
}

/// What `head` is a frame of: its operation, length and body.
fn frame(head: &[u8]) -> Option<(u8, u32, &[u8])> {
    // The stream's number became two bytes long in version 3.
    let (operation, rest) = match head {
        [version, _, _, operation, rest @ ..] if version & 0x7f < 3 => (operation, rest),
        [version, _, _, _, operation, rest @ ..] if version & 0x7f >= 3 => (operation, rest),
        _ => return None,
    };
    let (length, body) = rest.split_first_chunk::<4>()?;
    Some((*operation, u32::from_be_bytes(*length), body))
}

/// OPTIONS, which is empty, or STARTUP, which says the language's version.
fn request(head: &[u8]) -> Fit {
    let begins = matches!(head, [] | [1..=6] | [1..=6, 0..=0x1f, ..]);
    match frame(head) {
        _ if !begins => Fit::No,
        None => Fit::Could,
        Some((OPTIONS, 0, _)) => Fit::Yes,
        Some((STARTUP, length @ 2..=STARTUP_BYTES_MAX, body)) => {
            let whole = body.len() >= length as usize;
            match (contains(body, b"CQL_VERSION"), whole) {
                (true, _) => Fit::Yes,
                (false, true) => Fit::No,
                (false, false) => Fit::Could,
            }
        }
        Some(_) => Fit::No,
    }
}

/// ERROR, READY, AUTHENTICATE or SUPPORTED.
fn response(head: &[u8]) -> Fit {
    let begins = matches!(head, [] | [0x81..=0x86] | [0x81..=0x86, 0..=0x1f, ..]);
    match frame(head) {
        _ if !begins => Fit::No,
        None => Fit::Could,
        Some((0 | 2 | 3 | 6, 0..=ANSWER_BYTES_MAX, _)) => Fit::Yes,
        Some(_) => Fit::No,
    }
}

/// What a node says first to another.
const NODE: &[u8] = b"\xca\x55\x2d\xfa";
const STARTUP: u8 = 1;
const OPTIONS: u8 = 5;
/// As much of it as heads keep.
const STARTUP_BYTES_MAX: u32 = 2000;
const ANSWER_BYTES_MAX: u32 = 65536;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn options_and_what_is_supported_are_cassandra() {
        let asks = client(b"\x04\0\0\0\x05\0\0\0\0");
        let answers = server(b"\x84\0\0\0\x06\0\0\0\x02\0\0");
        Story::of(&[asks, answers]).is_confirmed("cassandra");
        Story::of(&[client(b"\x01\0\0\x05\0\0\0\0"), server(b"\x81\0\0\x06\0\0\0\x02\0\0")])
            .is_confirmed("cassandra");
    }

    #[test]
    fn cassandra_cut_short_is_unsure() {
        Story::of(&[client(b"\x04\0\0\0\x05\0\0")]).is_nothing();
    }

    #[test]
    fn another_operation_is_not_cassandra() {
        Story::of(&[client(b"\x04\0\0\0\x06\0\0\0\0")]).is_nothing();
        Story::of(&[client(b"\x04\0\0\0\x05\0\0\0\0"), server(b"id\n")]).is_left_by_server();
    }
}
