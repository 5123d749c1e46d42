//! AMQP 0-9-1 in its middle, by frames that end where their lengths say: AMQP 0-9-1, section 4.2.3.

use super::Part;
use crate::protocols::frames::{Frame, be16_at, be32_at, chain};
use crate::protocols::registry::{FirstBytes, Protocol, Transports};
use crate::protocols::{Heads, Verdict};

pub(in crate::protocols) static PROTOCOL: Protocol = Protocol {
    name: "amqp",
    first_bytes: FirstBytes::of(&[1, 2, 3, 8]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let [opener, answerer] =
        [heads.opener, heads.answerer].map(|head| Part::of(chain(head, 1, frame)));
    super::verdict(&heads, opener, answerer)
}

/// Type, channel, length, payload, end.
fn frame(head: &[u8]) -> Frame {
    let Some(kind) = head.first() else { return Frame::Part };
    let Some(length) = be32_at(head, 3) else {
        return if matches!(kind, 1..=3 | 8) { Frame::Part } else { Frame::Not };
    };
    let length = length as usize;
    let class = be16_at(head, 7);
    let fits = match kind {
        1 => length >= 4 && class.is_none_or(is_class),
        2 => length >= 14 && class.is_none_or(is_class),
        3 => length > 0,
        8 => length == 0,
        _ => false,
    };
    let ends = head.get(7 + length).is_none_or(|end| *end == FRAME_END);
    (fits && length <= FRAME_BYTES_MAX && ends).then_some(8 + length).into()
}

/// connection, channel, access, exchange, queue, basic, confirm, tx.
const fn is_class(class: u16) -> bool {
    matches!(class, 10 | 20 | 30 | 40 | 50 | 60 | 85 | 90)
}

const FRAME_END: u8 = 0xce;
/// Brokers negotiate 128 KiB.
const FRAME_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const ACK: &[u8; 21] = b"\x01\0\x01\0\0\0\x0d\0\x3c\0\x50\0\0\0\0\0\0\0\x01\0\xce";

    #[test]
    fn a_method_is_amqp() {
        Story::of_midstream(&[client(ACK)]).is_only_proposed("amqp");
        Story::of_midstream(&[client(ACK), server(b"\x08\0\0\0\0\0\0\xce")]).is_confirmed("amqp");
    }

    #[test]
    fn a_frame_cut_short_is_unsure() {
        Story::of_midstream(&[(observation::Side::Originator, &ACK[..20])]).is_nothing();
    }

    #[test]
    fn a_frame_without_its_end_is_not_amqp() {
        let mut other = *ACK;
        other[20] = 0;
        Story::of_midstream(&[client(&other)]).is_nothing();
        Story::of(&[client(ACK)]).is_nothing();
    }
}
