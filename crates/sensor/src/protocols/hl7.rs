//! HL7 version 2 in MLLP, by the start block and MSH: HL7 Transport Specification, MLLP release 1.

use observation::Side;

use super::follow::{Both, Context, Follow, Follower, Step};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "hl7",
    first_bytes: FirstBytes::of(&[VT]),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Hl7(Blocks::default())),
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

/// Both directions' blocks.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    sides: Both<Part>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Start,
    /// So many bytes of MSH have come.
    Header(u8),
    /// So many bytes of a segment's name have come.
    Name(u8),
    Fields,
    /// The end block's first byte.
    End,
    /// After a gap: up to the next end block.
    Seeking,
}

impl Follow for Blocks {
    fn feed(&mut self, side: Side, bytes: &[u8], _: &mut Context<'_>) -> Step {
        let part = self.sides.of_mut(side);
        let mut step = Step::Obeys;
        for byte in bytes {
            if *part == Part::Seeking {
                step = Step::Unchecked;
            }
            match part.after(*byte) {
                Some(next) => *part = next,
                None => return Step::Left,
            }
        }
        step
    }

    fn gap(&mut self, side: Side) {
        *self.sides.of_mut(side) = Part::Seeking;
    }
}

impl Part {
    /// What is expected after `byte`, or `None` where it may not stand.
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Start, VT) => Self::Header(1),
            (Self::Header(3), b'H') => Self::Name(3),
            (Self::Header(count), _) if BEGIN.get(usize::from(count)) == Some(&byte) => {
                Self::Header(count + 1)
            }
            (Self::Name(0) | Self::Fields | Self::Seeking, FS) => Self::End,
            // Some senders end a segment with a line end as well.
            (Self::Name(0), b'\n' | b'\r') => Self::Name(0),
            (Self::Name(0), b'A'..=b'Z') => Self::Name(1),
            (Self::Name(count @ 1..3), b'A'..=b'Z' | b'0'..=b'9') => Self::Name(count + 1),
            (Self::Name(3), b'|' | b'^' | b'~' | b'&' | b'#') => Self::Fields,
            (Self::Name(3) | Self::Fields, b'\r') => Self::Name(0),
            (Self::Fields, VT) => return None,
            (Self::Fields, _) => Self::Fields,
            (Self::End, b'\r') => Self::Start,
            (Self::Seeking, _) => Self::Seeking,
            _ => return None,
        })
    }
}

const VT: u8 = 0x0b;
const FS: u8 = 0x1c;
const BEGIN: &[u8] = b"\x0bMSH";

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_message_and_its_acknowledgement_are_hl7() {
        let story = Story::of(&[
            client(b"\x0bMSH|^~\\&|A|B\rPID|1||id\r\x1c\r"),
            server(b"\x0bMSH|^~\\&|B|A\rMSA|AA|1\r\x1c\r"),
        ]);
        story.is_confirmed("hl7");
        story.is_obeyed_after(0);
    }

    #[test]
    fn hl7_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"\x0bMS")]).names.is_empty());
    }

    #[test]
    fn a_shell_in_or_behind_a_block_leaves() {
        Story::of(&[client(b"\x0bMSH|^~\\&|A\ruid=0(root)\r\x1c\r")]).is_left_by_client();
        let message = client(b"\x0bMSH|^~\\&|A|B\r\x1c\r");
        Story::of(&[message, server(b"\x0bMSH|a\r\x1c\rid\n")]).is_left_by_server();
    }
}
