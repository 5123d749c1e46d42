//! DNSCrypt, by the query for a resolver's certificate: the DNSCrypt protocol, version 2, section
//! 4.
//! What is encrypted afterwards has no shape of its own.

use observation::{Side, Transport};

use super::dns::{self, Exchange};
use super::dns_message::{Message, Read};
use super::follow::Follower;
use super::registry::{FirstBytes, Protocol, Transports};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "dnscrypt",
    first_bytes: FirstBytes::ANY,
    transports: Transports::Udp,
    probe,
    follow: Some(|| Follower::Dns(Exchange::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    let first = heads.of(heads.first.unwrap_or(Side::Originator));
    if !first.is_empty() && (heads.transport != Transport::Udp || !asks_for_certificate(first)) {
        return Verdict::Never;
    }
    (dns::PROTOCOL.probe)(heads)
}

fn asks_for_certificate(datagram: &[u8]) -> bool {
    // Most datagrams are told from it by one comparison.
    datagram.get(NAME_AT..).is_some_and(|name| name.starts_with(NAME))
        && matches!(Message::read(datagram), Read::Whole(message) if message.query_type == TXT)
}

const NAME_AT: usize = 12;
const NAME: &[u8] = b"\x012\x0ddnscrypt-cert";
const TXT: u16 = 16;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client};

    #[test]
    fn asking_for_a_certificate_is_dnscrypt() {
        let story = Story::of_datagrams(&[client(
            b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x012\x0ddnscrypt-cert\x01a\0\0\x10\0\x01",
        )]);
        story.is_only_proposed("dnscrypt");
        assert!(story.facts[0].contains("2.dnscrypt-cert.a"));
    }

    #[test]
    fn dnscrypt_cut_short_is_not_dnscrypt() {
        let cut = client(b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x012\x0ddnscrypt-c");
        assert!(Story::of_datagrams(&[cut]).names.is_empty());
    }

    #[test]
    fn another_type_is_plain_dns() {
        let story = Story::of_datagrams(&[client(
            b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x012\x0ddnscrypt-cert\x01a\0\0\x01\0\x01",
        )]);
        story.is_only_proposed("dns");
    }
}
