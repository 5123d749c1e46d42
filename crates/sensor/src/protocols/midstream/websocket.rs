//! WebSocket in its middle, by frames that add up, masked from one side and plain from the other:
//! RFC 6455, section 5.

use super::Part;
use crate::protocols::frames::{Frame, chain};
use crate::protocols::registry::{FirstBytes, Protocol, Transports};
use crate::protocols::words::Fit;
use crate::protocols::{Heads, Verdict};

pub(in crate::protocols) static PROTOCOL: Protocol = Protocol {
    name: "websocket",
    first_bytes: FirstBytes::of(&[0x01, 0x02, 0x81, 0x82, 0x88, 0x89, 0x8a, 0xc1, 0xc2]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let sides = [heads.opener, heads.answerer];
    let [masked, plain] = [MASK, 0].map(|mask| sides.map(|head| frames(head, mask)));
    let ([opener_masked, answerer_masked], [opener_plain, answerer_plain]) = (masked, plain);
    // Nobody knows who opened it.
    let as_told = super::verdict(&heads, opener_masked, answerer_plain);
    match (as_told, super::verdict(&heads, opener_plain, answerer_masked)) {
        (Verdict::Never, reversed) => reversed,
        (Verdict::Unsure, reversed) if reversed != Verdict::Never => reversed,
        _ => as_told,
    }
}

/// Frames of one side: text that can be read shows them, anything else only fits.
fn frames(head: &[u8], mask: u8) -> Part {
    match (chain(head, 1, |head| frame(head, mask)), head.first()) {
        (Fit::No, _) => Part::Not,
        (Fit::Could, _) => Part::Could,
        (Fit::Yes, Some(0x81)) => Part::Shows,
        (Fit::Yes, _) => Part::Fits,
    }
}

fn frame(head: &[u8], mask: u8) -> Frame {
    let Some((first, rest)) = head.split_first() else { return Frame::Part };
    // Reserved bits but for compression's, and kinds that exist.
    if first & 0x30 != 0 || !matches!(first & 15, 0..=2 | 8..=10) {
        return Frame::Not;
    }
    let Some((second, rest)) = rest.split_first() else { return Frame::Part };
    let (length, header) = match (second & 0x7f, rest) {
        _ if second & MASK != mask => return Frame::Not,
        (126, [high, low, ..]) => (usize::from(u16::from_be_bytes([*high, *low])), 4),
        (126, _) => return Frame::Part,
        // So long that no head holds it.
        (127, _) => return Frame::Not,
        (length, _) => (usize::from(length), 2),
    };
    let mask_bytes = if mask == 0 { 0 } else { 4 };
    let whole = header + mask_bytes + length;
    let payload = head.get(header + mask_bytes..whole.min(head.len())).unwrap_or_default();
    let key = head.get(header..header + mask_bytes).unwrap_or_default();
    let fits = match first {
        0x81 if mask == 0 => payload.iter().all(|byte| is_readable(*byte)),
        0x81 => payload.iter().zip(key.iter().cycle()).all(|(byte, key)| is_readable(byte ^ key)),
        0x88..=0x8a => length <= 125,
        _ => true,
    };
    fits.then_some(whole).into()
}

const fn is_readable(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0x80..)
}

const MASK: u8 = 0x80;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const WELCOME: &[u8; 9] = b"\x81\x07Welcome";
    /// `hello` under the mask `abcd`.
    const HELLO: &[u8; 11] = b"\x81\x85abcd\x09\x07\x0f\x08\x0e";

    #[test]
    fn text_from_both_is_websocket_whoever_opened_it() {
        Story::of_midstream(&[server(WELCOME), client(HELLO)]).is_confirmed("websocket");
        Story::of_midstream(&[client(WELCOME), server(HELLO)]).is_confirmed("websocket");
        Story::of_midstream(&[server(WELCOME)]).is_only_proposed("websocket");
    }

    #[test]
    fn a_frame_cut_short_is_unsure() {
        Story::of_midstream(&[server(b"\x81\x07Welc")]).is_nothing();
    }

    #[test]
    fn bytes_that_are_no_text_are_not_websocket() {
        Story::of_midstream(&[server(b"\x81\x07Wel\0ome")]).is_nothing();
        Story::of_midstream(&[client(b"\x81\x85abcd\x69\x07\x0f\x68\x6e\x00")]).is_nothing();
        Story::of(&[server(WELCOME), client(HELLO)]).is_nothing();
    }
}
