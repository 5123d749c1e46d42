//! BitTorrent, by the handshake of both peers (BEP 3), or by a query of its hash table (BEP 5).

use observation::Transport;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, datagram, literal, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "bittorrent",
    first_bytes: FirstBytes::of(b"\x13d"),
    transports: Transports::Both,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let sides = [heads.opener, heads.answerer].map(|head| match heads.transport {
        Transport::Udp => datagram(head, is_table_message),
        _ => literal(head, HANDSHAKE),
    });
    let [opener, answerer] = sides;
    two_sided(opener, answerer)
}

/// A bencoded dictionary with a query, a response or an error, and the key that says which.
fn is_table_message(bytes: &[u8]) -> bool {
    let begins = [&b"d1:ad2:id20:"[..], b"d1:rd2:id20:", b"d1:eli2", b"d2:ip6:"];
    let kinds = [&b"1:y1:q"[..], b"1:y1:r", b"1:y1:e"];
    begins.iter().any(|begin| literal(bytes, begin) == Fit::Yes)
        && kinds.iter().any(|kind| bytes.windows(kind.len()).any(|part| part == *kind))
        && bytes.ends_with(b"e")
}

const HANDSHAKE: &[u8] = b"\x13BitTorrent protocol";

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn two_handshakes_are_bittorrent() {
        let hello = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0";
        Story::of(&[client(hello), server(hello)]).is_confirmed("bittorrent");
    }

    #[test]
    fn bittorrent_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"\x13BitTorrent prot")]).names.is_empty());
    }

    #[test]
    fn another_handshake_is_not_bittorrent() {
        assert!(Story::of(&[client(b"\x13BitTorrent protests")]).names.is_empty());
        assert!(Story::of_datagrams(&[client(b"d1:ad2:id20:e")]).names.is_empty());
    }
}
