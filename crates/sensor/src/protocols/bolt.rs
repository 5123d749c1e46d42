//! Bolt, by the client's preamble with four versions and the one that the server takes: Neo4j,
//! "Bolt Protocol handshake specification".

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, client_first, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "bolt",
    first_bytes: FirstBytes::of(&[0x60]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    client_first(&heads, proposes(heads.opener), takes(heads.answerer))
}

/// The preamble, then versions of four bytes that begin with a zero.
fn proposes(head: &[u8]) -> Fit {
    let versions = head.get(PREAMBLE.len()..).unwrap_or_default();
    match literal(head, PREAMBLE) {
        Fit::Yes if versions.iter().step_by(4).take(4).any(|byte| *byte != 0) => Fit::No,
        Fit::Yes if versions.len() < 16 => Fit::Could,
        fit => fit,
    }
}

/// One version; zeros for none of them.
fn takes(head: &[u8]) -> Fit {
    match head {
        [] | [0] | [0, 0] | [0, 0, 0..=MINOR_MAX] => Fit::Could,
        [0, 0, 0..=MINOR_MAX, 0..=MAJOR_MAX, ..] => Fit::Yes,
        _ => Fit::No,
    }
}

const PREAMBLE: &[u8] = b"\x60\x60\xb0\x17";
const MINOR_MAX: u8 = 32;
const MAJOR_MAX: u8 = 16;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const PROPOSES: &[u8; 20] =
        b"\x60\x60\xb0\x17\0\x08\x08\x05\0\x02\x04\x04\0\0\x01\x04\0\0\0\x03";

    #[test]
    fn versions_and_one_of_them_are_bolt() {
        Story::of(&[client(PROPOSES), server(b"\0\0\x08\x05")]).is_confirmed("bolt");
        Story::of(&[client(PROPOSES)]).is_only_proposed("bolt");
    }

    #[test]
    fn bolt_cut_short_is_unsure() {
        Story::of(&[client(b"\x60\x60\xb0\x17\0\x08\x08\x05")]).is_nothing();
    }

    #[test]
    fn another_preamble_or_a_shell_is_not_bolt() {
        Story::of(&[client(b"\x60\x60\xb0\x17\x05\x08\x08\x05\0\0\0\0\0\0\0\0\0\0\0\0")])
            .is_nothing();
        Story::of(&[client(PROPOSES), server(b"id\n")]).is_left_by_server();
    }
}
