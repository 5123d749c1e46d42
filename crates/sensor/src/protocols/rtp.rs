//! RTP, by what its packets have in common: one source, and numbers that go on: RFC
//! 3550, section 5.1 and appendix A.1. One packet alone is nothing.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::{Datagram, Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "rtp",
    first_bytes: FirstBytes::range(0x80, 0xbf),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    match [Side::Originator, Side::Responder].map(|side| stream(heads.datagrams(side))) {
        [Stream::Other, _] | [_, Stream::Other] => Verdict::Never,
        [Stream::Of(_), Stream::Of(_)] => Verdict::Confirmed,
        // A stream goes one way.
        [Stream::Of(3..), _] | [_, Stream::Of(3..)] => Verdict::Confirmed,
        [Stream::Of(_), _] => Verdict::Proposed(Side::Originator),
        [_, Stream::Of(_)] => Verdict::Proposed(Side::Responder),
        [Stream::Begun, Stream::Begun] => Verdict::Unsure,
    }
}

/// What one side's packets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// None, or too few to say.
    Begun,
    /// So many that belong together.
    Of(usize),
    Other,
}

/// Whether datagrams are one stream, with control packets between them. What ends a stream that
/// was known does not undo it.
pub(super) fn stream<'a>(datagrams: impl Iterator<Item = Datagram<'a>>) -> Stream {
    let (mut last, mut count): (Option<Header>, usize) = (None, 0);
    for datagram in datagrams.filter(|datagram| !is_control(datagram.bytes)) {
        let Some(header) = Header::of(datagram) else {
            return if count >= 2 { Stream::Of(count) } else { Stream::Other };
        };
        match last {
            Some(before) if header.repeats(&before) => continue,
            Some(before) if !header.follows(&before) => {
                return if count >= 2 { Stream::Of(count) } else { Stream::Other };
            }
            _ => count += 1,
        }
        last = Some(header);
    }
    if count >= 2 { Stream::Of(count) } else { Stream::Begun }
}

/// RTCP on the same port: RFC 5761.
const fn is_control(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80..=0xbf, 200..=207, ..])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    number: u16,
    time: u32,
    source: u32,
}

impl Header {
    fn of(datagram: Datagram<'_>) -> Option<Self> {
        let ([first, second, numbers @ ..], rest) = datagram.bytes.split_first_chunk::<12>()?;
        let [n0, n1, t0, t1, t2, t3, s0, s1, s2, s3] = *numbers;
        let kind = second & 0x7f;
        let contributors = 4 * usize::from(first & 15);
        let extension = match (first & 0x10, rest.get(contributors..)) {
            (0, _) => 0,
            (_, Some([_, _, high, low, ..])) => {
                4 + 4 * usize::from(u16::from_be_bytes([*high, *low]))
            }
            // Beyond what was kept of it.
            (_, _) => 4,
        };
        // These types are RTCP's: RFC 5761, section 4.
        let fits = first >> 6 == 2
            && !(64..=95).contains(&kind)
            && HEADER_BYTES + contributors + extension <= datagram.length;
        fits.then_some(Self {
            number: u16::from_be_bytes([n0, n1]),
            time: u32::from_be_bytes([t0, t1, t2, t3]),
            source: u32::from_be_bytes([s0, s1, s2, s3]),
        })
    }

    /// A duplicate, or one of several payloads of the same stream at the same time.
    fn repeats(&self, before: &Self) -> bool {
        self == before
    }

    fn follows(&self, before: &Self) -> bool {
        let numbers = self.number.wrapping_sub(before.number);
        let times = self.time.wrapping_sub(before.time);
        self.source == before.source && (1..=DROPOUT_MAX).contains(&numbers) && times <= TIME_MAX
    }
}

const HEADER_BYTES: usize = 12;
/// Packets that may be lost between two that belong together.
const DROPOUT_MAX: u16 = 32;
/// Ten seconds of the fastest usual clock, video's.
const TIME_MAX: u32 = 900_000;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client};

    const FIRST: &[u8; 16] = b"\x80\x80\x05\x9b\0\x02\xe0\xc0\xf6\xbf\x57\xe2abcd";
    const SECOND: &[u8; 16] = b"\x80\0\x05\x9c\0\x02\xe1\x60\xf6\xbf\x57\xe2abcd";
    const THIRD: &[u8; 16] = b"\x80\0\x05\x9d\0\x02\xe2\0\xf6\xbf\x57\xe2abcd";

    #[test]
    fn packets_of_one_source_are_rtp() {
        Story::of_datagrams(&[client(FIRST), client(SECOND)]).is_only_proposed("rtp");
        Story::of_datagrams(&[client(FIRST), client(SECOND), client(THIRD)]).is_confirmed("rtp");
    }

    #[test]
    fn one_packet_is_unsure() {
        Story::of_datagrams(&[client(FIRST), client(FIRST)]).is_nothing();
    }

    #[test]
    fn another_source_or_a_number_far_off_is_not_rtp() {
        let mut other = *SECOND;
        other[8] = 1;
        Story::of_datagrams(&[client(FIRST), client(&other), client(THIRD)]).is_nothing();
        let mut far = *SECOND;
        far[2] = 0x55;
        Story::of_datagrams(&[client(FIRST), client(&far), client(THIRD)]).is_nothing();
    }
}
