//! Android's debug bridge, by the message that connects and the one that answers: AOSP,
//! `adb/protocol.txt`.

use super::frames::le32_at;
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, any_literal, client_first};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "adb",
    first_bytes: FirstBytes::of(b"C"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let answers = message(heads.answerer, &[b"CNXN", b"AUTH", b"STLS"]);
    client_first(&heads, message(heads.opener, &[b"CNXN"]), answers)
}

/// A command, and at the end of the header its complement.
fn message(head: &[u8], commands: &[&[u8]]) -> Fit {
    match (any_literal(head, commands), le32_at(head, 0), le32_at(head, MAGIC_AT)) {
        (Fit::Yes, Some(command), Some(magic)) if magic == !command => Fit::Yes,
        (Fit::Yes, _, Some(_)) => Fit::No,
        (Fit::Yes, _, None) => Fit::Could,
        (fit, ..) => fit,
    }
}

const MAGIC_AT: usize = 20;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const CONNECTS: &[u8; 24] = b"CNXN\x01\0\0\x01\0\0\x10\0\x07\0\0\0\x32\x02\0\0\xbc\xb1\xa7\xb1";

    #[test]
    fn a_connection_that_is_answered_is_adb() {
        let answers = b"AUTH\x01\0\0\0\0\0\0\0\x14\0\0\0\x32\x02\0\0\xbe\xaa\xab\xb7";
        Story::of(&[client(CONNECTS), server(answers)]).is_confirmed("adb");
        Story::of(&[client(CONNECTS)]).is_only_proposed("adb");
    }

    #[test]
    fn adb_cut_short_is_unsure() {
        Story::of(&[client(b"CNXN\x01\0\0\x01")]).is_nothing();
    }

    #[test]
    fn another_magic_number_is_not_adb() {
        let mut other = *CONNECTS;
        other[20] = 0;
        Story::of(&[client(&other)]).is_nothing();
        Story::of(&[client(CONNECTS), server(b"id\n")]).is_left_by_server();
    }
}
