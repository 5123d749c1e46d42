//! X11, by byte order and version of the connection's setup: X Window System Protocol, "Connection
//! Setup" and appendix B.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{client_first, pattern};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "x11",
    first_bytes: FirstBytes::of(b"lB"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let asks = pattern(heads.opener, &LITTLE).or(pattern(heads.opener, &BIG));
    // Failed, accepted, or asked for more; the version follows all but the last.
    let answers = [0, 1].map(|status| {
        pattern(heads.answerer, &[Some(status), None, Some(11), Some(0)])
            .or(pattern(heads.answerer, &[Some(status), None, Some(0), Some(11)]))
    });
    let more = pattern(heads.answerer, &[Some(2), None, None, None]);
    client_first(&heads, asks, answers.into_iter().fold(more, super::words::Fit::or))
}

/// Order, unused, version 11.0, then the lengths of authorization.
const LITTLE: [Option<u8>; 12] = [
    Some(b'l'),
    None,
    Some(11),
    Some(0),
    Some(0),
    Some(0),
    None,
    Some(0),
    None,
    Some(0),
    None,
    None,
];
const BIG: [Option<u8>; 12] = [
    Some(b'B'),
    None,
    Some(0),
    Some(11),
    Some(0),
    Some(0),
    Some(0),
    None,
    Some(0),
    None,
    None,
    None,
];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_setup_and_its_answer_are_x11() {
        let asks = client(b"l\0\x0b\0\0\0\x12\0\x10\0\0\0MIT-MAGIC-COOKIE-1\0\0");
        Story::of(&[asks]).is_only_proposed("x11");
        Story::of(&[asks, server(b"\x01\0\x0b\0\0\0\x0a\x05")]).is_confirmed("x11");
    }

    #[test]
    fn x11_cut_short_is_unsure() {
        Story::of(&[client(b"B\0\0\x0b\0\0")]).is_nothing();
    }

    #[test]
    fn another_version_is_not_x11() {
        Story::of(&[client(b"l\0\x0c\0\0\0\x12\0\x10\0\0\0")]).is_nothing();
        let asks = client(b"l\0\x0b\0\0\0\0\0\0\0\0\0");
        Story::of(&[asks, server(b"id\n")]).is_left_by_server();
    }
}
