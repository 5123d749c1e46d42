//! L2TP over UDP, versions 2 and 3, by control messages that begin with their type: RFC 2661,
//! sections 3.1 and 4.4; RFC 3931.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{datagram, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "l2tp",
    first_bytes: FirstBytes::of(&[CONTROL]),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(
        datagram(heads.opener, is_typed),
        datagram(heads.answerer, |bytes| is_typed(bytes) || is_acknowledgement(bytes)),
    )
}

/// The first attribute is mandatory, eight bytes long, nobody's extension, and gives the type.
fn is_typed(bytes: &[u8]) -> bool {
    let Some(attributes) = attributes(bytes) else { return false };
    matches!(attributes.first_chunk::<8>(), Some([0x80, 8, 0, 0, 0, 0, 0, 1..=29]))
}

fn is_acknowledgement(bytes: &[u8]) -> bool {
    attributes(bytes).is_some_and(<[u8]>::is_empty)
}

/// What follows the header of a control message that fills the datagram.
fn attributes(bytes: &[u8]) -> Option<&[u8]> {
    let ([CONTROL, 2 | 3, high, low, ..], attributes) = bytes.split_first_chunk::<12>()? else {
        return None;
    };
    (usize::from(u16::from_be_bytes([*high, *low])) == bytes.len()).then_some(attributes)
}

/// A control message with a length and sequence numbers, as all of them are.
const CONTROL: u8 = 0xc8;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const START: &[u8; 20] = b"\xc8\x02\0\x14\0\0\0\0\0\0\0\0\x80\x08\0\0\0\0\0\x01";

    #[test]
    fn a_start_and_its_reply_are_l2tp() {
        Story::of_datagrams(&[client(START)]).is_only_proposed("l2tp");
        let reply = server(b"\xc8\x02\0\x14\0\x05\0\0\0\0\0\x01\x80\x08\0\0\0\0\0\x02");
        Story::of_datagrams(&[client(START), reply]).is_confirmed("l2tp");
    }

    #[test]
    fn l2tp_cut_short_is_not_l2tp() {
        Story::of_datagrams(&[client(b"\xc8\x02\0\x14\0\0\0\0\0\0\0\0\x80\x08")]).is_nothing();
    }

    #[test]
    fn another_version_is_not_l2tp() {
        let mut other = *START;
        other[1] = 4;
        Story::of_datagrams(&[client(&other)]).is_nothing();
    }
}
