//! Multicast DNS, by a message without an id about the `local` domain: RFC 6762.

use observation::Side;

use super::dns::Exchange;
use super::dns_message::{Message, Read};
use super::follow::Follower;
use super::registry::{FirstBytes, Protocol, Transports};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "mdns",
    first_bytes: FirstBytes::of(&[0]),
    transports: Transports::Udp,
    probe,
    follow: Some(|| Follower::Dns(Exchange::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    let first = heads.first.unwrap_or(Side::Originator);
    match heads.of(first) {
        [] => Verdict::Unsure,
        // Who asks and who answers both send to the group: one side is all there is.
        datagram if is_mdns(datagram) => Verdict::Confirmed,
        _ => Verdict::Never,
    }
}

fn is_mdns(datagram: &[u8]) -> bool {
    let [0, 0, ..] = datagram else { return false };
    let Read::Whole(message) = Message::read(datagram) else { return false };
    // A response repeats no question; its first record's name stands where the question would.
    matches!(message.first_labels().last(), Some(b"local" | b"arpa"))
}

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client};

    #[test]
    fn a_question_about_local_is_mdns() {
        let story = Story::of_datagrams(&[client(
            b"\0\0\0\0\0\x01\0\0\0\0\0\0\x04_ipp\x04_tcp\x05local\0\0\x0c\0\x01",
        )]);
        story.is_confirmed("mdns");
        assert!(story.facts[0].contains("_ipp._tcp.local"));
    }

    #[test]
    fn mdns_cut_short_is_not_mdns() {
        let cut = client(b"\0\0\0\0\0\x01\0\0\0\0\0\0\x04_ipp\x04_tcp\x05loc");
        assert!(Story::of_datagrams(&[cut]).names.is_empty());
    }

    #[test]
    fn a_question_with_an_id_is_plain_dns() {
        let story = Story::of_datagrams(&[client(
            b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x04_ipp\x04_tcp\x05local\0\0\x0c\0\x01",
        )]);
        story.is_only_proposed("dns");
    }
}
