//! DTLS, by the record and handshake headers of both hellos: RFC 6347, RFC 9147.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{datagram, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "dtls",
    first_bytes: FirstBytes::of(&[22]),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(
        datagram(heads.opener, |bytes| is_hello(bytes, &[1])),
        // A hello, a request to verify, or a refusal.
        datagram(heads.answerer, |bytes| is_hello(bytes, &[2, 3]) || bytes.starts_with(&[21, 254])),
    )
}

/// A handshake record of epoch 0 that holds the beginning of one of these messages.
fn is_hello(bytes: &[u8], kinds: &[u8]) -> bool {
    let Some([22, version @ .., high, low, kind]) = bytes.first_chunk::<14>() else { return false };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    matches!(version, [254, 253 | 255, 0, 0, ..] | [1, 0, 0, 0, ..])
        && kinds.contains(kind)
        && (12..=bytes.len()).contains(&length)
}

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn two_hellos_are_dtls() {
        let mut hello = *b"\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x0c\x01\0\0\0\0\0\0\0\0\0\0\0";
        let first = hello;
        hello[13] = 3;
        Story::of_datagrams(&[client(&first), server(&hello)]).is_confirmed("dtls");
    }

    #[test]
    fn dtls_cut_short_is_not_dtls() {
        assert!(Story::of_datagrams(&[client(b"\x16\xfe\xfd\0\0")]).names.is_empty());
    }

    #[test]
    fn text_in_the_answer_leaves() {
        let hello = b"\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x0c\x01\0\0\0\0\0\0\0\0\0\0\0";
        Story::of_datagrams(&[client(hello), server(b"id\n")]).is_left_by_server();
    }
}
