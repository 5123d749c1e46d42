//! RADIUS, by attributes that fill the packet and an answer of the same number: RFC 2865, section
//! 3; RFC 2866; RFC 5176.

use observation::Side;

use super::frames::{Frame, chain};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::Fit;
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "radius",
    first_bytes: FirstBytes::of(&[1, 4, 12, 40, 43]),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let first = heads.first.unwrap_or(Side::Originator);
    let (asks, answers) = (heads.of(first), heads.of(first.other()));
    if asks.is_empty() {
        return Verdict::Unsure;
    }
    let Some((code @ (1 | 4 | 12 | 40 | 43), id)) = packet(asks) else { return Verdict::Never };
    // Section 4.1: who asks for access or accounts for it has to say from where.
    if code <= 4 && !names_its_server(asks) {
        return Verdict::Never;
    }
    match packet(answers) {
        _ if answers.is_empty() => Verdict::Proposed(first),
        Some((2 | 3 | 5 | 11 | 41 | 42 | 44 | 45, answered)) if answered == id => {
            Verdict::Confirmed
        }
        _ => Verdict::Never,
    }
}

/// Code and number of a packet that is as long as it says and made of attributes.
fn packet(bytes: &[u8]) -> Option<(u8, u8)> {
    let ([code, id, high, low, ..], attributes) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let fits = length == bytes.len() && chain(attributes, 0, attribute) == Fit::Yes;
    fits.then_some((*code, *id))
}

fn attribute(head: &[u8]) -> Frame {
    match head {
        [0, ..] => Frame::Not,
        [_, length, ..] if *length >= 2 => {
            (usize::from(*length) <= head.len()).then_some(usize::from(*length)).into()
        }
        _ => Frame::Not,
    }
}

/// `NAS-IP-Address`, `NAS-Identifier` or `NAS-IPv6-Address`.
fn names_its_server(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(HEADER_BYTES..).unwrap_or_default();
    while let [kind, length, ..] = rest {
        if matches!(kind, 4 | 32 | 95) {
            return true;
        }
        rest = rest.get(usize::from(*length).max(2)..).unwrap_or_default();
    }
    false
}

const HEADER_BYTES: usize = 20;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const ASKS: &[u8; 31] = b"\x01\x07\0\x1fabcdefghijklmnop\x01\x05bob\x04\x06\x0a\0\0\x01";

    #[test]
    fn a_request_and_the_answer_of_its_number_are_radius() {
        Story::of_datagrams(&[client(ASKS)]).is_only_proposed("radius");
        let accepts = server(b"\x02\x07\0\x14abcdefghijklmnop");
        Story::of_datagrams(&[client(ASKS), accepts]).is_confirmed("radius");
    }

    #[test]
    fn radius_cut_short_is_not_radius() {
        Story::of_datagrams(&[client(b"\x01\x07\0\x1fabcdefghijklmnop\x01\x05bob")]).is_nothing();
    }

    #[test]
    fn an_answer_of_another_number_leaves() {
        let other = server(b"\x02\x08\0\x14abcdefghijklmnop");
        Story::of_datagrams(&[client(ASKS), other]).is_left_by_server();
        // Nobody is named.
        Story::of_datagrams(&[client(b"\x01\x07\0\x19abcdefghijklmnop\x01\x05bob")]).is_nothing();
    }
}
