//! MQTT in its middle, by packets whose lengths add up: MQTT 3.1.1 and 5, section 2.

use super::Part;
use crate::protocols::frames::{Frame, be16_at, chain};
use crate::protocols::registry::{FirstBytes, Protocol, Transports};
use crate::protocols::words::{Fit, is_text};
use crate::protocols::{Heads, Verdict};

pub(in crate::protocols) static PROTOCOL: Protocol = Protocol {
    name: "mqtt",
    first_bytes: FirstBytes::range(0x30, 0x3d)
        .or(FirstBytes::of(&[0x40, 0x50, 0x62, 0x70, 0x82, 0x90, 0xa2, 0xb0, 0xc0, 0xd0])),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let [opener, answerer] = [heads.opener, heads.answerer].map(packets);
    super::verdict(&heads, opener, answerer)
}

/// A topic that can be read shows it; two packets in a row do too.
fn packets(head: &[u8]) -> Part {
    match (chain(head, 1, packet), head.first()) {
        (Fit::No, _) => Part::Not,
        (Fit::Could, _) => Part::Could,
        (Fit::Yes, Some(first)) if first >> 4 == PUBLISH => Part::Shows,
        (Fit::Yes, _) => Part::Fits,
    }
}

/// Type and flags, the length in one to four bytes, then what the type begins with.
fn packet(head: &[u8]) -> Frame {
    let Some((first, rest)) = head.split_first() else { return Frame::Part };
    let (mut length, mut header) = (0_usize, 1);
    for (at, byte) in rest.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        header += 1;
        if byte & 0x80 == 0 {
            let body = head.get(header..).unwrap_or_default();
            return begins(*first, length, body).then_some(header + length).into();
        }
    }
    // No more than four bytes make a length.
    if rest.len() < 4 && PROTOCOL.first_bytes.has(*first) { Frame::Part } else { Frame::Not }
}

fn begins(first: u8, length: usize, body: &[u8]) -> bool {
    match (first >> 4, first & 15) {
        (PUBLISH, flags) => {
            let name = be16_at(body, 0).map(usize::from);
            let topic = body.get(2..).unwrap_or_default();
            let topic = name.and_then(|name| topic.get(..name)).unwrap_or(topic);
            flags & 6 != 6
                && length > 2
                && name.is_none_or(|name| (1..length - 1).contains(&name))
                && (name.is_none() || is_text(topic))
        }
        // PUBACK, PUBREC, PUBREL, PUBCOMP and UNSUBACK, with a reason since version 5.
        (4 | 5 | 7 | 11, 0) | (6, 2) => (2..=4).contains(&length),
        (8, 2) | (10, 2) => length >= 5,
        (9, 0) => length >= 3,
        (12 | 13, 0) => length == 0,
        _ => false,
    }
}

const PUBLISH: u8 = 3;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_ping_and_its_answer_are_mqtt() {
        Story::of_midstream(&[client(b"\xc0\0"), server(b"\xd0\0")]).is_confirmed("mqtt");
        Story::of_midstream(&[client(b"\x30\x06\0\x03a/bx")]).is_only_proposed("mqtt");
    }

    #[test]
    fn a_packet_cut_short_is_unsure() {
        Story::of_midstream(&[client(b"\x30\x06\0\x03a/b")]).is_nothing();
    }

    #[test]
    fn a_topic_that_is_no_text_is_not_mqtt() {
        Story::of_midstream(&[client(b"\x30\x06\0\x03a\x01bx")]).is_nothing();
        Story::of(&[client(b"\xc0\0"), server(b"\xd0\0")]).is_nothing();
    }
}
