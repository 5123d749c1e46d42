//! LLMNR, by a question for one label without any of DNS's flags: RFC 4795, sections 2.1 and 2.4.

use observation::Side;

use super::dns::Exchange;
use super::dns_message::{Kind, Message, Read};
use super::follow::Follower;
use super::registry::{FirstBytes, Protocol, Transports};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "llmnr",
    first_bytes: FirstBytes::ANY,
    transports: Transports::Udp,
    probe,
    follow: Some(|| Follower::Dns(Exchange::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    let first = heads.first.unwrap_or(Side::Originator);
    match heads.of(first) {
        [] => Verdict::Unsure,
        // The question goes to a group, and the answer comes from an address of its own.
        datagram if is_llmnr(datagram) => Verdict::Confirmed,
        _ => Verdict::Never,
    }
}

fn is_llmnr(datagram: &[u8]) -> bool {
    // A resolver's question asks for recursion, and a name server's answer is authoritative.
    let [_, _, 0 | 0x80, 0, ..] = datagram else { return false };
    let Read::Whole(message) = Message::read(datagram) else { return false };
    let counts = message.counts();
    let fits = match message.kind {
        Kind::Query => counts.answers == 0 && counts.authorities == 0 && counts.additional == 0,
        Kind::Response => counts.answers > 0,
    };
    let mut labels = message.first_labels();
    let is_one_label = labels.next().is_some_and(|label| !label.is_empty())
        && labels.next().is_none_or(<[u8]>::is_empty);
    let is_host = matches!(message.query_type, A | AAAA | ANY);
    fits && counts.questions == 1 && is_one_label && is_host && message.query_class == 1
}

const A: u16 = 1;
const AAAA: u16 = 28;
const ANY: u16 = 255;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client};

    #[test]
    fn a_question_for_one_label_is_llmnr() {
        let asks = client(b"\x4a\x4b\0\0\0\x01\0\0\0\0\0\0\x07printer\0\0\x01\0\x01");
        let story = Story::of_datagrams(&[asks]);
        story.is_confirmed("llmnr");
        assert!(story.facts[0].contains("printer"));
    }

    #[test]
    fn llmnr_cut_short_is_not_llmnr() {
        let asks = client(b"\x4a\x4b\0\0\0\x01\0\0\0\0\0\0\x07prin");
        assert!(Story::of_datagrams(&[asks]).names.is_empty());
    }

    #[test]
    fn a_question_that_asks_for_recursion_or_a_whole_name_is_dns() {
        let asks = client(b"\x4a\x4b\x01\0\0\x01\0\0\0\0\0\0\x07printer\0\0\x01\0\x01");
        Story::of_datagrams(&[asks]).is_only_proposed("dns");
        let whole = client(b"\x4a\x4b\0\0\0\x01\0\0\0\0\0\0\x01a\x03com\0\0\x01\0\x01");
        Story::of_datagrams(&[whole]).is_only_proposed("dns");
    }
}
