//! TDS, by the pre-login of both sides: MS-TDS, sections 2.2.3.1 and 2.2.6.5.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{client_first, pattern};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "tds",
    first_bytes: FirstBytes::of(&[0x12]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    client_first(&heads, pattern(heads.opener, &ASKS), pattern(heads.answerer, &ANSWERS))
}

/// A last packet of type 0x12, whose first option is the version, six bytes long.
const ASKS: [Option<u8>; 13] = [
    Some(0x12),
    Some(1),
    None,
    None,
    Some(0),
    Some(0),
    None,
    Some(0),
    Some(0),
    Some(0),
    None,
    Some(0),
    Some(6),
];
/// The same in a tabular result; the server names its process.
const ANSWERS: [Option<u8>; 13] = [
    Some(4),
    Some(1),
    None,
    None,
    None,
    None,
    None,
    Some(0),
    Some(0),
    Some(0),
    None,
    Some(0),
    Some(6),
];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn two_prelogins_are_tds() {
        let asks = client(b"\x12\x01\0\x2f\0\0\x01\0\0\0\x1a\0\x06\x01\0\x20");
        Story::of(&[asks]).is_only_proposed("tds");
        let answers = server(b"\x04\x01\0\x2b\0\0\x01\0\0\0\x1a\0\x06\x01\0\x20");
        Story::of(&[asks, answers]).is_confirmed("tds");
    }

    #[test]
    fn tds_cut_short_is_unsure() {
        Story::of(&[client(b"\x12\x01\0\x2f\0\0\x01\0\0\0\x1a\0")]).is_nothing();
    }

    #[test]
    fn another_first_option_is_not_tds() {
        Story::of(&[client(b"\x12\x01\0\x2f\0\0\x01\0\x01\0\x1a\0\x06")]).is_nothing();
    }
}
