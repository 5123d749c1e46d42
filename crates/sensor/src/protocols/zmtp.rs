//! ZeroMQ, by the greeting of both sides: RFC 23 and 37 of ZeroMQ, "ZMTP 3.0" and "3.1".

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "zmtp",
    first_bytes: FirstBytes::of(&[0xff]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(greeting(heads.opener), greeting(heads.answerer))
}

/// A signature of ten bytes, a version, and for version 3 the name of a mechanism.
fn greeting(head: &[u8]) -> Fit {
    let fits = head.iter().take(GREETING_BYTES).enumerate().all(|(at, byte)| match at {
        0 => *byte == 0xff,
        // A length of older versions, which libzmq still fills in.
        1..=8 => at == 8 || *byte == 0,
        9 => *byte == 0x7f,
        10 => (1..=3).contains(byte),
        11 => *byte <= 3,
        12 => byte.is_ascii_uppercase(),
        _ => byte.is_ascii_uppercase() || *byte == 0,
    });
    match fits {
        false => Fit::No,
        true if head.len() < GREETING_BYTES => Fit::Could,
        true => Fit::Yes,
    }
}

const GREETING_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const GREETING: &[u8; 16] = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL";

    #[test]
    fn two_greetings_are_zmtp() {
        Story::of(&[client(GREETING), server(GREETING)]).is_confirmed("zmtp");
        Story::of(&[server(GREETING)]).is_only_proposed("zmtp");
    }

    #[test]
    fn a_greeting_cut_short_is_unsure() {
        Story::of(&[client(b"\xff\0\0\0\0\0\0\0\x01\x7f")]).is_nothing();
    }

    #[test]
    fn another_signature_or_a_shell_is_not_zmtp() {
        Story::of(&[client(b"\xff\0\0\0\0\0\0\0\x01\x7e\x03\x01NULL")]).is_nothing();
        Story::of(&[client(GREETING), server(b"id\n")]).is_left_by_server();
    }
}
