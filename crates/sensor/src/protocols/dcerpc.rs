//! DCE/RPC over TCP, by a bind and its answer: DCE 1.1, C706, chapter 12.6.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, client_first};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "dcerpc",
    first_bytes: FirstBytes::of(&[5]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    client_first(&heads, unit(heads.opener, &[BIND]), unit(heads.answerer, &[BIND_ACK, BIND_NAK]))
}

/// Version 5.0 or 5.1, a kind, flags, and how numbers and text are written.
fn unit(head: &[u8], kinds: &[u8]) -> Fit {
    let fits = head.iter().take(8).enumerate().all(|(at, byte)| match at {
        0 => *byte == 5,
        1 => *byte <= 1,
        2 => kinds.contains(byte),
        // One fragment is the first and the last.
        3 => byte & 3 == 3,
        // Both byte orders; ASCII.
        4 => matches!(byte, 0 | 0x10),
        5 => *byte <= 3,
        _ => *byte == 0,
    });
    match (fits, head.len()) {
        (false, _) => Fit::No,
        (true, 0..8) => Fit::Could,
        (true, _) => Fit::Yes,
    }
}

const BIND: u8 = 11;
const BIND_ACK: u8 = 12;
const BIND_NAK: u8 = 13;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_bind_and_its_answer_are_dcerpc() {
        let asks = client(b"\x05\0\x0b\x03\x10\0\0\0\x48\0\0\0\x01\0\0\0");
        Story::of(&[asks]).is_only_proposed("dcerpc");
        Story::of(&[asks, server(b"\x05\0\x0c\x03\x10\0\0\0\x3c\0\0\0")]).is_confirmed("dcerpc");
    }

    #[test]
    fn dcerpc_cut_short_is_unsure() {
        Story::of(&[client(b"\x05\0\x0b\x03\x10")]).is_nothing();
    }

    #[test]
    fn a_greeting_of_socks_is_not_dcerpc() {
        Story::of(&[client(b"\x05\x01\0"), server(b"\x05\0")]).is_confirmed("socks");
        Story::of(&[client(b"\x05\0\x0b\x03\x20\0\0\0")]).is_nothing();
    }
}
