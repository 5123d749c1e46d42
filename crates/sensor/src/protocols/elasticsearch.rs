//! Elasticsearch's transport between nodes, by the marker and header of a message: Elasticsearch,
//! `TcpHeader.java`.

use super::frames::{be32, be32_at};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, literal, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "elasticsearch",
    first_bytes: FirstBytes::of(b"E"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(message(heads.opener), message(heads.answerer))
}

/// A ping, or a length, a number, a status and a version.
fn message(head: &[u8]) -> Fit {
    let rest = head.get(MARKER.len()..).unwrap_or_default();
    match (literal(head, MARKER), be32(rest), rest.get(12), be32_at(rest, 13)) {
        (Fit::No, ..) => Fit::No,
        (_, Some(PING), ..) => Fit::Yes,
        (_, Some(length), ..) if !(13..=LENGTH_MAX).contains(&length) => Fit::No,
        (_, _, Some(STATUS_END..), _) => Fit::No,
        (_, _, _, Some(version)) => {
            if (1..=VERSION_MAX).contains(&version) {
                Fit::Yes
            } else {
                Fit::No
            }
        }
        _ => Fit::Could,
    }
}

const MARKER: &[u8] = b"ES";
const PING: usize = 0xffff_ffff;
const LENGTH_MAX: usize = i32::MAX as usize;
/// Four flags.
const STATUS_END: u8 = 16;
/// Major, minor, revision and build, two decimal digits each; OpenSearch flips a bit above them.
const VERSION_MAX: u32 = 0x0fff_ffff;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const ASKS: &[u8; 23] = b"ES\0\0\0\x34\0\0\0\0\0\0\0\x01\x08\0\x5c\xc6\x63\0\0\0\0";
    const ANSWERS: &[u8; 23] = b"ES\0\0\0\x13\0\0\0\0\0\0\0\x01\x09\0\x5c\xc6\x63\0\0\0\0";

    #[test]
    fn two_messages_are_elasticsearch() {
        Story::of(&[client(ASKS), server(ANSWERS)]).is_confirmed("elasticsearch");
    }

    #[test]
    fn elasticsearch_cut_short_is_unsure() {
        Story::of(&[client(b"ES\0\0\0\x34\0\0\0\0\0\0\0\x01\x08\0\x5c")]).is_nothing();
    }

    #[test]
    fn text_that_begins_alike_is_not_elasticsearch() {
        Story::of(&[client(b"ESTABLISHED 10.0.0.1:22")]).is_nothing();
        Story::of(&[client(ASKS), server(b"id\n")]).is_left_by_server();
    }
}
