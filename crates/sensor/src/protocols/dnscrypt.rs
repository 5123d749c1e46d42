//! DNSCrypt, by the query for a resolver's certificate, or by the resolver's magic number before
//! what it encrypted: the DNSCrypt protocol, version 2, sections 4 and 7
//! (draft-denis-dprive-dnscrypt).

use observation::Side;

use super::dns::{self, Exchange};
use super::dns_message::{Message, Read};
use super::follow::{Context, Follow, Follower, Step};
use super::registry::{FirstBytes, Protocol, Transports};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "dnscrypt",
    first_bytes: FirstBytes::ANY,
    transports: Transports::Udp,
    probe,
    follow: Some(|| Follower::Dnscrypt(Session::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    let first = heads.first.unwrap_or(Side::Originator);
    let (asks, answers) = (heads.of(first), heads.of(first.other()));
    match (asks_for_certificate(asks), answers.starts_with(RESOLVER)) {
        _ if asks.is_empty() => Verdict::Unsure,
        (true, _) => (dns::PROTOCOL.probe)(heads),
        (false, true) => Verdict::Confirmed,
        // A query is a key, a nonce and noise: only its answer tells.
        (false, false) if answers.is_empty() && asks.len() >= QUERY_BYTES_MIN => Verdict::Unsure,
        (false, false) => Verdict::Never,
    }
}

/// A question in plain DNS, or noise about which the protocol says nothing.
#[derive(Debug, Default)]
pub(super) struct Session {
    question: Option<Exchange>,
}

impl Follow for Session {
    fn feed(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Step {
        if self.question.is_none() && asks_for_certificate(bytes) {
            self.question = Some(Exchange::default());
        }
        match &mut self.question {
            Some(question) => question.feed(side, bytes, context),
            None => Step::Unchecked,
        }
    }

    fn gap(&mut self, side: Side) {
        if let Some(question) = &mut self.question {
            question.gap(side);
        }
    }

    fn end(&mut self, context: &mut Context<'_>) {
        if let Some(question) = &mut self.question {
            question.end(context);
        }
    }
}

fn asks_for_certificate(datagram: &[u8]) -> bool {
    // Most datagrams are told from it by one comparison.
    datagram.get(NAME_AT..).is_some_and(|name| name.starts_with(NAME))
        && matches!(Message::read(datagram), Read::Whole(message) if message.query_type == TXT)
}

const NAME_AT: usize = 12;
const NAME: &[u8] = b"\x012\x0ddnscrypt-cert";
const TXT: u16 = 16;
const RESOLVER: &[u8] = b"r6fnvWj8";
/// The client's magic number, its key, half a nonce and a tag before the padded question.
const QUERY_BYTES_MIN: usize = 8 + 32 + 12 + 16;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn asking_for_a_certificate_is_dnscrypt() {
        let story = Story::of_datagrams(&[client(
            b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x012\x0ddnscrypt-cert\x01a\0\0\x10\0\x01",
        )]);
        story.is_only_proposed("dnscrypt");
        assert!(story.facts[0].contains("2.dnscrypt-cert.a"));
    }

    #[test]
    fn the_resolvers_magic_number_is_dnscrypt() {
        let answer = server(b"r6fnvWj8abcdefghijklmnopqrstuvwx");
        let story = Story::of_datagrams(&[client(&[0x5a; 256]), answer]);
        story.is_confirmed("dnscrypt");
        assert_eq!(story.left, None);
        Story::of_datagrams(&[client(&[0x5a; 256]), server(b"r6fnvWj9abcdefgh")]).is_nothing();
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
