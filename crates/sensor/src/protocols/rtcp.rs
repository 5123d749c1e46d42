//! RTCP, by compound packets whose lengths add up: RFC 3550, section 6.1; with SRTCP's trailer, RFC
//! 3711, section 3.4.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{datagram, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "rtcp",
    first_bytes: FirstBytes::range(0x80, 0xbf),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(datagram(heads.opener, is_rtcp), datagram(heads.answerer, is_rtcp))
}

/// A report first, then descriptions and the rest, to the end.
pub(super) fn is_rtcp(bytes: &[u8]) -> bool {
    let (mut rest, mut count) = (bytes, 0);
    while let Some(([first, kind, high, low], _)) = rest.split_first_chunk::<4>() {
        let length = 4 + 4 * usize::from(u16::from_be_bytes([*high, *low]));
        let fits = first >> 6 == 2
            && (200..=207).contains(kind)
            && (count > 0 || has_room(*kind, first & 31, length));
        match rest.get(length..) {
            Some(after) if fits => rest = after,
            // What follows an encrypted packet is no header.
            _ => break,
        }
        count += 1;
    }
    count > 0 && (rest.is_empty() || matches!(rest.len(), 14 | 8))
}

/// Whether the first packet is long enough for its reports or feedback.
fn has_room(kind: u8, count: u8, length: usize) -> bool {
    match kind {
        200 => length >= 28 + 24 * usize::from(count),
        201 => length >= 8 + 24 * usize::from(count),
        205 | 206 => length >= 12,
        _ => length >= 8,
    }
}

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    /// An empty report and a description.
    const REPORT: &[u8; 28] = b"\x80\xc9\0\x01abcd\x81\xca\0\x04abcd\x01\x05a@b.c\0\0\0\0\0";

    #[test]
    fn reports_of_both_are_rtcp() {
        Story::of_datagrams(&[client(REPORT), server(REPORT)]).is_confirmed("rtcp");
    }

    #[test]
    fn rtcp_cut_short_is_not_rtcp() {
        let cut = (observation::Side::Originator, &REPORT[..27]);
        Story::of_datagrams(&[cut]).is_nothing();
    }

    #[test]
    fn text_in_the_answer_leaves() {
        Story::of_datagrams(&[client(REPORT), server(b"id\n")]).is_left_by_server();
    }
}
