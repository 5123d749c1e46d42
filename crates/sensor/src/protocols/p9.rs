//! 9P, by the version that the client asks for and the server grants: the Plan 9 manual, intro(5).

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, client_first, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "9p",
    first_bytes: FirstBytes::range(19, 24),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    client_first(&heads, version(heads.opener, T_VERSION), version(heads.answerer, R_VERSION))
}

/// A size, a type, no tag, the longest message, and a version behind its length.
fn version(head: &[u8], kind: u8) -> Fit {
    let begins = head.get(4..).unwrap_or_default();
    let text = head.get(TEXT_AT..).unwrap_or_default();
    let begins = match begins.len() {
        0..=2 => literal(begins, &[kind, 0xff, 0xff]),
        _ if begins.starts_with(&[kind, 0xff, 0xff]) => Fit::Yes,
        _ => Fit::No,
    };
    let is_small = head.iter().take(4).enumerate().all(|(at, byte)| match at {
        0 => (19..=24).contains(byte),
        _ => *byte == 0,
    });
    match (begins, literal(text, b"9P2000").or(literal(text, b"unknown"))) {
        (Fit::No, _) | (_, Fit::No) => Fit::No,
        _ if !is_small => Fit::No,
        (_, fit) => fit,
    }
}

const T_VERSION: u8 = 100;
const R_VERSION: u8 = 101;
const TEXT_AT: usize = 13;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const ASKS: &[u8; 21] = b"\x15\0\0\0\x64\xff\xff\0\0\x02\0\x08\x009P2000.L";

    #[test]
    fn two_versions_are_9p() {
        let answers = server(b"\x15\0\0\0\x65\xff\xff\0\0\x02\0\x08\x009P2000.L");
        Story::of(&[client(ASKS), answers]).is_confirmed("9p");
        Story::of(&[client(ASKS)]).is_only_proposed("9p");
    }

    #[test]
    fn a_version_cut_short_is_unsure() {
        Story::of(&[client(b"\x15\0\0\0\x64\xff\xff\0\0\x02\0\x08\x009P2")]).is_nothing();
    }

    #[test]
    fn another_version_or_a_shell_is_not_9p() {
        Story::of(&[client(b"\x15\0\0\0\x64\xff\xff\0\0\x02\0\x08\x009P1999.L")]).is_nothing();
        Story::of(&[client(ASKS), server(b"id; uname -a\n")]).is_left_by_server();
    }
}
