//! Syncthing, by the magic numbers of its local discovery (version 4, and 3 before it) and of its
//! relay protocol: Syncthing's specifications `localdisco-v4`, `relay-v1`.

use observation::Transport;

use super::frames::{Frame, be32_at, header};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, datagram, literal, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "syncthing",
    first_bytes: FirstBytes::of(&[0x2e, 0x7d, 0x9e]),
    transports: Transports::Both,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.transport == Transport::Udp {
        // An announcement goes to everyone and is answered by nobody.
        return match datagram(heads.opener, is_announcement) {
            Fit::Yes => Verdict::Confirmed,
            Fit::Could if heads.answerer.is_empty() => Verdict::Unsure,
            _ => Verdict::Never,
        };
    }
    two_sided(relayed(heads.opener), relayed(heads.answerer))
}

/// A device's id in a field of 32 bytes, or the older format.
fn is_announcement(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x2e\xa7\xd9\x0b\x0a\x20") && bytes.len() >= 38
        || bytes.starts_with(b"\x7d\x79\xbc\x40\0\0\0") && bytes.len() >= 44
}

/// Magic, one of the types of messages, a length.
fn relayed(head: &[u8]) -> Fit {
    header(head, |head| {
        let fits = literal(head, b"\x9e\x79\xbc\x40").possible()
            && be32_at(head, 4).is_none_or(|kind| kind <= 9);
        match be32_at(head, 8) {
            _ if !fits => Frame::Not,
            None => Frame::Part,
            Some(length) => (length <= LENGTH_MAX).then_some(12).into(),
        }
    })
}

const LENGTH_MAX: u32 = 1024;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn an_announcement_is_syncthing() {
        let says = b"\x2e\xa7\xd9\x0b\x0a\x20abcdefghijklmnopqrstuvwxyz012345\x12\x04tcp:";
        Story::of_datagrams(&[client(says)]).is_confirmed("syncthing");
    }

    #[test]
    fn a_relay_is_syncthing() {
        let join = client(b"\x9e\x79\xbc\x40\0\0\0\x02\0\0\0\0");
        let response = server(b"\x9e\x79\xbc\x40\0\0\0\x04\0\0\0\x04\0\0\0\0");
        Story::of(&[join, response]).is_confirmed("syncthing");
    }

    #[test]
    fn syncthing_cut_short_is_unsure() {
        Story::of(&[client(b"\x9e\x79\xbc\x40\0\0\0\x02")]).is_nothing();
        Story::of_datagrams(&[client(b"\x2e\xa7\xd9\x0b\x0a")]).is_nothing();
    }

    #[test]
    fn another_field_behind_the_magic_is_not_syncthing() {
        let says = b"\x2e\xa7\xd9\x0b\x12\x20abcdefghijklmnopqrstuvwxyz012345";
        Story::of_datagrams(&[client(says)]).is_nothing();
    }
}
