//! IPsec's key exchange, by the header of ISAKMP and IKEv2 and its length: RFC 2408, section 3.1;
//! RFC 7296, section 3.1; behind four zeros where addresses are translated: RFC 3948, section 2.2.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "ipsec",
    first_bytes: FirstBytes::ANY,
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let first = heads.first.unwrap_or(Side::Originator);
    let (asks, answers) = (heads.of(first), heads.of(first.other()));
    match (initiator(asks), initiator(answers)) {
        _ if asks.is_empty() => Verdict::Unsure,
        (Some(asked), Some(answered)) if asked == answered => Verdict::Confirmed,
        (Some(_), None) if answers.is_empty() => Verdict::Proposed(first),
        _ => Verdict::Never,
    }
}

/// The initiator's index of a whole message.
fn initiator(datagram: &[u8]) -> Option<&[u8]> {
    let bytes = datagram.strip_prefix(&[0; 4]).unwrap_or(datagram);
    let [.., next, version, kind, flags, _, _, _, _, l0, l1, l2, l3] =
        bytes.first_chunk::<HEADER_BYTES>()?;
    let length = u32::from_be_bytes([*l0, *l1, *l2, *l3]) as usize;
    // Payload types, exchange types and flags as IANA has registered them.
    let fits = match version {
        0x10 => {
            matches!(next, 0..=16 | 20 | 21 | 128..=138)
                && matches!(kind, 1..=6 | 32..=34)
                && *flags <= 7
        }
        0x20 => matches!(next, 0 | 33..=54) && matches!(kind, 34..=44) && flags & 0xc7 == 0,
        _ => false,
    };
    let index = bytes.get(..8)?;
    (fits && length == bytes.len() && index != [0; 8]).then_some(index)
}

const HEADER_BYTES: usize = 28;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const ASKS: &[u8; 32] = b"abcdefgh\0\0\0\0\0\0\0\0\x21\x20\x22\x08\0\0\0\0\0\0\0\x20\0\0\0\x04";
    const ANSWERS: &[u8; 32] = b"abcdefghijklmnop\x21\x20\x22\x20\0\0\0\0\0\0\0\x20\0\0\0\x04";

    #[test]
    fn two_messages_of_one_initiator_are_ipsec() {
        Story::of_datagrams(&[client(ASKS), server(ANSWERS)]).is_confirmed("ipsec");
        Story::of_datagrams(&[client(ASKS)]).is_only_proposed("ipsec");
    }

    #[test]
    fn ipsec_cut_short_is_not_ipsec() {
        Story::of_datagrams(&[(observation::Side::Originator, &ASKS[..31])]).is_nothing();
    }

    #[test]
    fn another_exchange_or_initiator_is_not_ipsec() {
        let mut other = *ASKS;
        other[18] = 0x50;
        Story::of_datagrams(&[client(&other)]).is_nothing();
        let mut stranger = *ANSWERS;
        stranger[0] = b'x';
        Story::of_datagrams(&[client(ASKS), server(&stranger)]).is_left_by_server();
    }
}
