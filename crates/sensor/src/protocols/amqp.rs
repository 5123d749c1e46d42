//! AMQP, by its protocol header: AMQP 0-9-1, section 4.2.2; AMQP 1.0, section 2.2.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "amqp",
    first_bytes: FirstBytes::of(b"A"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    let starts = literal(heads.answerer, START).or(header(heads.answerer));
    match (header(heads.opener), starts) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, Fit::Could) => Verdict::Proposed(Side::Originator),
        (Fit::Could, _) => Verdict::Unsure,
    }
}

/// `AMQP`, a protocol id and three version bytes, which are all small.
fn header(head: &[u8]) -> Fit {
    let numbers = head.get(4..head.len().min(8)).unwrap_or_default();
    literal(head, b"AMQP").and(match (numbers.iter().all(|byte| *byte <= 10), head.len()) {
        (false, _) => Fit::No,
        (true, 0..8) => Fit::Could,
        (true, _) => Fit::Yes,
    })
}

/// A method frame on channel 0.
const START: &[u8] = b"\x01\0\0";

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_header_and_connection_start_are_amqp() {
        let header = client(b"AMQP\0\0\x09\x01");
        Story::of(&[header, server(b"\x01\0\0\0\0\x01\xc0\0\x0a\0\x0a")]).is_confirmed("amqp");
    }

    #[test]
    fn amqp_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"AMQP\0\0")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_the_header_leaves() {
        Story::of(&[client(b"AMQP\0\0\x09\x01"), server(b"id\n")]).is_left_by_server();
        assert!(Story::of(&[client(b"AMQP is\n")]).names.is_empty());
    }
}
