//! Memcached's binary protocol (Couchbase too), by a request and the response that repeats its
//! operation: memcached, "BinaryProtocolRevamped".

use super::frames::{be16_at, be32_at};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, client_first, confirmed_only};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "memcached_binary",
    first_bytes: FirstBytes::of(&[0x80]),
    transports: Transports::Both,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    // A datagram has a header of its own before it, which is not looked behind.
    let [asks, answers] = [header(heads.opener, REQUEST), header(heads.answerer, RESPONSE)];
    let is_other = heads.opener.get(1).zip(heads.answerer.get(1)).is_some_and(|(a, b)| a != b);
    confirmed_only(if is_other { Verdict::Never } else { client_first(&heads, asks, answers) })
}

/// A magic number, an operation, lengths that add up, no data type.
fn header(head: &[u8], magic: u8) -> Fit {
    let lengths = (be16_at(head, 2), head.get(4), be32_at(head, 8));
    match (head.first(), head.get(5), lengths) {
        (Some(first), ..) if *first != magic => Fit::No,
        (_, Some(1..), _) => Fit::No,
        (_, _, (Some(key), Some(extras), Some(body))) => {
            let fits = body >= u32::from(key) + u32::from(*extras)
                && body <= BODY_BYTES_MAX
                && *extras <= EXTRAS_BYTES_MAX;
            match fits {
                false => Fit::No,
                true if head.len() < HEADER_BYTES => Fit::Could,
                true => Fit::Yes,
            }
        }
        _ => Fit::Could,
    }
}

const REQUEST: u8 = 0x80;
const RESPONSE: u8 = 0x81;
const HEADER_BYTES: usize = 24;
const EXTRAS_BYTES_MAX: u8 = 32;
const BODY_BYTES_MAX: u32 = 20 << 20;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const GET: &[u8; 25] = b"\x80\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x07\0\0\0\0\0\0\0\0a";

    #[test]
    fn a_request_and_its_response_are_memcached() {
        let found = server(b"\x81\0\0\0\x04\0\0\0\0\0\0\x06\0\0\0\x07\0\0\0\0\0\0\0\x01\0\0\0\0ok");
        Story::of(&[client(GET), found]).is_confirmed("memcached_binary");
    }

    #[test]
    fn a_request_that_is_not_answered_is_unsure() {
        Story::of(&[client(GET)]).is_nothing();
    }

    #[test]
    fn another_operation_is_not_memcached() {
        let other = server(b"\x81\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x01");
        Story::of(&[client(GET), other]).is_nothing();
    }
}
