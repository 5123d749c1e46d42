//! OPC UA, by the hello and its acknowledgement: OPC 10000-6, section 7.1.2.

use super::frames::le32_at;
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, any_literal, client_first};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "opcua",
    first_bytes: FirstBytes::of(b"H"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    client_first(
        &heads,
        message(heads.opener, &[b"HELF"]),
        message(heads.answerer, &[b"ACKF", b"ERRF"]),
    )
}

/// A type, the whole message's size, a version.
fn message(head: &[u8], kinds: &[&[u8]]) -> Fit {
    match (any_literal(head, kinds), le32_at(head, 4)) {
        (Fit::Yes, Some(size)) if (16..=SIZE_MAX).contains(&size) => Fit::Yes,
        (Fit::Yes, Some(_)) => Fit::No,
        (Fit::Yes, None) => Fit::Could,
        (fit, _) => fit,
    }
}

const SIZE_MAX: u32 = 8192;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const HELLO: &[u8; 12] = b"HELF\x38\0\0\0\0\0\0\0";

    #[test]
    fn a_hello_and_its_acknowledgement_are_opcua() {
        Story::of(&[client(HELLO), server(b"ACKF\x1c\0\0\0\0\0\0\0")]).is_confirmed("opcua");
        Story::of(&[client(HELLO)]).is_only_proposed("opcua");
    }

    #[test]
    fn opcua_cut_short_is_unsure() {
        Story::of(&[client(b"HELF\x38\0")]).is_nothing();
    }

    #[test]
    fn a_word_that_begins_alike_is_not_opcua() {
        Story::of(&[client(b"HELFEN SIE")]).is_nothing();
        Story::of(&[client(HELLO), server(b"id\n")]).is_left_by_server();
    }
}
