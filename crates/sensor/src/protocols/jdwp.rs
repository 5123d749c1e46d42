//! JDWP, the debugger's way into a Java process, by the handshake that both sides say: Java Debug
//! Wire Protocol, "JDWP Start-up".

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{client_first, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "jdwp",
    first_bytes: FirstBytes::of(b"J"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    client_first(&heads, literal(heads.opener, HANDSHAKE), literal(heads.answerer, HANDSHAKE))
}

const HANDSHAKE: &[u8] = b"JDWP-Handshake";

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn the_same_handshake_from_both_sides_is_jdwp() {
        Story::of(&[client(b"JDWP-Handshake")]).is_only_proposed("jdwp");
        Story::of(&[client(b"JDWP-Handshake"), server(b"JDWP-Handshake")]).is_confirmed("jdwp");
    }

    #[test]
    fn jdwp_cut_short_is_unsure() {
        Story::of(&[client(b"JDWP-Hand")]).is_nothing();
    }

    #[test]
    fn another_answer_leaves() {
        Story::of(&[client(b"JDWP-Handshake"), server(b"id\n")]).is_left_by_server();
    }
}
