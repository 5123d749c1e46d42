//! Gnutella, by the greeting of both sides: The Annotated Gnutella Protocol Specification 0.4; RFC
//! Gnutella 0.6, section 2.1.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{any_literal, client_first, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "gnutella",
    first_bytes: FirstBytes::of(b"G"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let answers: &[&[u8]] = &[b"GNUTELLA/0.", b"GNUTELLA OK"];
    client_first(
        &heads,
        literal(heads.opener, b"GNUTELLA CONNECT/0."),
        any_literal(heads.answerer, answers),
    )
}

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn two_greetings_are_gnutella() {
        let asks = client(b"GNUTELLA CONNECT/0.6\r\nUser-Agent: a\r\n\r\n");
        Story::of(&[asks]).is_only_proposed("gnutella");
        Story::of(&[asks, server(b"GNUTELLA/0.6 200 OK\r\n\r\n")]).is_confirmed("gnutella");
    }

    #[test]
    fn gnutella_cut_short_is_unsure() {
        Story::of(&[client(b"GNUTELLA CONN")]).is_nothing();
    }

    #[test]
    fn another_answer_leaves() {
        let asks = client(b"GNUTELLA CONNECT/0.6\r\n\r\n");
        Story::of(&[asks, server(b"GNUTELLA id\n")]).is_left_by_server();
    }
}
