//! eDonkey and eMule over TCP, by a hello and its answer: Kulbak and Bickson, "The eMule Protocol
//! Specification", sections 6.2 and 6.4.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, client_first};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "edonkey",
    first_bytes: FirstBytes::of(&[0xe3]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    client_first(
        &heads,
        message(heads.opener, &[0xe3], &[1]),
        message(heads.answerer, ANSWERERS, ANSWERS),
    )
}

/// A protocol, a length below 64 KiB in little endian, and what it is.
fn message(head: &[u8], protocols: &[u8], kinds: &[u8]) -> Fit {
    let fits = head.iter().take(6).enumerate().all(|(at, byte)| match at {
        0 => protocols.contains(byte),
        3 | 4 => *byte == 0,
        5 => kinds.contains(byte),
        _ => true,
    });
    match (fits, head.len()) {
        (false, _) => Fit::No,
        (true, 0..6) => Fit::Could,
        (true, _) => Fit::Yes,
    }
}

/// eDonkey, eMule, and eMule packed.
const ANSWERERS: &[u8] = &[0xe3, 0xc5, 0xd4];
/// A peer's answer or information; a server's message, id, status, list.
const ANSWERS: &[u8] = &[0x4c, 0x01, 0x02, 0x38, 0x40, 0x34, 0x32, 0x41];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_hello_and_its_answer_are_edonkey() {
        let asks = client(b"\xe3\x49\0\0\0\x01\x10abcdefghijklmnop");
        Story::of(&[asks]).is_only_proposed("edonkey");
        Story::of(&[asks, server(b"\xe3\x48\0\0\0\x4cabcd")]).is_confirmed("edonkey");
    }

    #[test]
    fn edonkey_cut_short_is_unsure() {
        Story::of(&[client(b"\xe3\x49\0\0\0")]).is_nothing();
    }

    #[test]
    fn another_kind_is_not_edonkey() {
        Story::of(&[client(b"\xe3\x49\0\0\0\x03\x10")]).is_nothing();
    }
}
