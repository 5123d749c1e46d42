//! FIX, by `8=FIX` of both sides: FIX session layer; then message by message, checksums included.

use observation::Side;

use super::follow::{Both, Context, Follow, Follower, Step};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "fix",
    first_bytes: FirstBytes::of(b"8"),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Fix(Messages::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    match (literal(heads.opener, BEGIN), literal(heads.answerer, BEGIN)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, Fit::Could) => Verdict::Proposed(Side::Originator),
        (Fit::Could, Fit::Yes) => Verdict::Proposed(Side::Responder),
        (Fit::Could, Fit::Could) => Verdict::Unsure,
    }
}

/// Both directions' messages.
#[derive(Debug, Default)]
pub(super) struct Messages {
    sides: Both<Direction>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Direction {
    part: Part,
    /// Sum of the message's bytes, modulo 256.
    sum: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Start,
    /// So many bytes of `8=FIX…` have come.
    Begin(u8),
    /// `9=`, then the digits so far.
    Length(u8, u32),
    Body(u32),
    /// `10=ddd`, by bytes so far; the digits' value.
    Checksum(u8, u16),
    /// After a gap: up to a checksum's end is too far to know.
    Lost,
}

impl Follow for Messages {
    fn feed(&mut self, side: Side, bytes: &[u8], _: &mut Context<'_>) -> Step {
        let direction = self.sides.of_mut(side);
        for byte in bytes {
            match direction.byte(*byte) {
                Some(Part::Lost) => {
                    direction.part = Part::Lost;
                    self.sides.of_mut(side.other()).part = Part::Lost;
                    return Step::Unchecked;
                }
                Some(part) => direction.part = part,
                None => return Step::Left,
            }
        }
        Step::Obeys
    }

    fn gap(&mut self, side: Side) {
        self.sides.of_mut(side).part = Part::Lost;
    }
}

impl Direction {
    /// What is expected after `byte`, or `None` where it may not stand.
    fn byte(&mut self, byte: u8) -> Option<Part> {
        if self.part == Part::Start {
            self.sum = 0;
        }
        if !matches!(self.part, Part::Checksum(..)) {
            self.sum = self.sum.wrapping_add(byte);
        }
        Some(match (self.part, byte) {
            (Part::Start, b'8') => Part::Begin(1),
            (Part::Begin(count @ 1..5), _) if BEGIN.get(usize::from(count)) == Some(&byte) => {
                Part::Begin(count + 1)
            }
            // Compressed FIX carries neither lengths nor checksums that we could hold it to.
            (Part::Begin(5), b'C') => Part::Lost,
            (Part::Begin(5..), SOH) => Part::Length(0, 0),
            (Part::Begin(count @ 5..16), b'.' | b'T' | b'0'..=b'9') => Part::Begin(count + 1),
            (Part::Length(0, _), b'9') => Part::Length(1, 0),
            (Part::Length(1, _), b'=') => Part::Length(2, 0),
            (Part::Length(count @ 2..9, length), b'0'..=b'9') => {
                Part::Length(count + 1, length * 10 + u32::from(byte - b'0'))
            }
            (Part::Length(3.., length @ 1..), SOH) => Part::Body(length),
            (Part::Body(1), SOH) => Part::Checksum(0, 0),
            (Part::Body(left @ 2..), _) => Part::Body(left - 1),
            (Part::Checksum(0, _), b'1') => Part::Checksum(1, 0),
            (Part::Checksum(1, _), b'0') => Part::Checksum(2, 0),
            (Part::Checksum(2, _), b'=') => Part::Checksum(3, 0),
            (Part::Checksum(count @ 3..6, value), b'0'..=b'9') => {
                Part::Checksum(count + 1, value * 10 + u16::from(byte - b'0'))
            }
            (Part::Checksum(6, value), SOH) if value == u16::from(self.sum) => Part::Start,
            (Part::Lost, _) => Part::Lost,
            _ => return None,
        })
    }
}

const BEGIN: &[u8] = b"8=FIX";
const SOH: u8 = 1;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn heartbeats_are_fix() {
        let beat = b"8=FIX.4.2\x019=5\x0135=0\x0110=161\x01";
        let story = Story::of(&[client(beat), server(beat), client(beat)]);
        story.is_confirmed("fix");
        story.is_obeyed_after(0);
    }

    #[test]
    fn fix_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"8=FI")]).names.is_empty());
    }

    #[test]
    fn a_wrong_checksum_or_a_shell_leaves() {
        Story::of(&[client(b"8=FIX.4.2\x019=5\x0135=0\x0110=162\x01")]).is_left_by_client();
        let beat = client(b"8=FIX.4.2\x019=5\x0135=0\x0110=161\x01");
        Story::of(&[beat, server(b"8=FIX id\n")]).is_left_by_server();
        Story::of(&[beat, client(b"uid=0(root)\n")]).is_left_by_client();
    }
}
