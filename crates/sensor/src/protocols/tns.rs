//! Oracle's TNS, by the packet that connects and the one that answers: Oracle Net, as Wireshark
//! documents it.

use super::frames::be16_at;
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, client_first, contains};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "tns",
    first_bytes: FirstBytes::of(&[0, 1]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    client_first(
        &heads,
        connects(heads.opener),
        packet(heads.answerer, &[ACCEPT, REFUSE, REDIRECT, RESEND]),
    )
}

/// A packet whose data are descriptions in brackets.
fn connects(head: &[u8]) -> Fit {
    let length = be16_at(head, 0).map(usize::from);
    match (packet(head, &[CONNECT]), contains(head, b"(CONNECT_DATA=")) {
        (Fit::No, _) => Fit::No,
        (Fit::Yes, true) => Fit::Yes,
        // Long descriptions come in a packet of their own.
        (Fit::Yes, false) if length.is_some_and(|length| head.len() > length + DATA_BYTES) => {
            Fit::No
        }
        _ => Fit::Could,
    }
}

/// A length, a checksum that is not used, a type, a reserved byte, another checksum.
fn packet(head: &[u8], kinds: &[u8]) -> Fit {
    let fits = head.iter().take(HEADER_BYTES).enumerate().all(|(at, byte)| match at {
        // No description is longer.
        0 => *byte <= 1,
        1 => true,
        4 => kinds.contains(byte),
        // Flags of later versions.
        5 => *byte & 0xe0 == 0,
        _ => *byte == 0,
    });
    match (fits, be16_at(head, 0)) {
        (false, _) | (_, Some(0..=7)) => Fit::No,
        (true, Some(_)) if head.len() >= HEADER_BYTES => Fit::Yes,
        _ => Fit::Could,
    }
}

const CONNECT: u8 = 1;
const ACCEPT: u8 = 2;
const REFUSE: u8 = 4;
const REDIRECT: u8 = 5;
const RESEND: u8 = 11;
const HEADER_BYTES: usize = 8;
const DATA_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const CONNECTS: &[u8; 53] =
        b"\0\x35\0\0\x01\0\0\0\x01\x3e\x01\x2c\0\0\x20\0(CONNECT_DATA=(SERVICE_NAME=shop.xy))";

    #[test]
    fn a_connection_that_is_taken_or_refused_is_tns() {
        let refuses = server(b"\0\x0c\0\0\x04\0\0\0\x22\0\0\0");
        Story::of(&[client(CONNECTS), refuses]).is_confirmed("tns");
        Story::of(&[client(CONNECTS)]).is_only_proposed("tns");
    }

    #[test]
    fn tns_cut_short_is_unsure() {
        Story::of(&[client(b"\0\x35\0\0\x01\0\0\0\x01\x3e\x01\x2c\0\0\x20\0(CONN")]).is_nothing();
    }

    #[test]
    fn another_type_or_a_shell_is_not_tns() {
        let mut other = *CONNECTS;
        other[4] = 9;
        Story::of(&[client(&other)]).is_nothing();
        Story::of(&[client(CONNECTS), server(b"id; uname -a\n")]).is_left_by_server();
    }
}
