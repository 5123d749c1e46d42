//! AMQP, by its protocol header: AMQP 0-9-1, section 4.2.2; AMQP 1.0, section 2.2; then frame by
//! frame.

use observation::Side;

use super::follow::{Context, Follower, Step};
use super::framed::{Frame, Framed, Framing, Head};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "amqp",
    first_bytes: FirstBytes::of(b"A"),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Amqp(Framed::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    let starts = literal(heads.answerer, START).or(header(heads.answerer));
    match (header(heads.opener), starts) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, Fit::Could) => Verdict::Proposed(Side::Originator),
        (Fit::Could, _) => Verdict::Unsure,
    }
}

/// `AMQP`, a protocol id and three version bytes, which are all small.
fn header(head: &[u8]) -> Fit {
    let numbers = head.get(4..head.len().min(8)).unwrap_or_default();
    literal(head, b"AMQP").and(match (numbers.iter().all(|byte| *byte <= 10), head.len()) {
        (false, _) => Fit::No,
        (true, 0..8) => Fit::Could,
        (true, _) => Fit::Yes,
    })
}

/// Frames of either version; the client's header says which.
#[derive(Debug, Default)]
pub(super) struct Frames {
    version: Version,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Version {
    #[default]
    Unknown,
    Zero,
    One,
}

impl Framing for Frames {
    const LOOK_BYTES_MAX: usize = 0;

    fn head(&mut self, _: Side, head: &[u8]) -> Head {
        // A header may come again: after SASL, and from a server that wants another version.
        if head.first() == Some(&b'A') {
            return match (header(head), head) {
                (Fit::No, _) => Head::Wrong,
                (Fit::Could, _) => Head::More,
                (Fit::Yes, [_, _, _, _, _, 1, 0, ..]) => self.chosen(Version::One),
                (Fit::Yes, _) => self.chosen(Version::Zero),
            };
        }
        match self.version {
            Version::Unknown => Head::Unchecked,
            Version::Zero => frame_of_zero(head),
            Version::One => frame_of_one(head),
        }
    }

    fn frame(&mut self, _: Side, frame: &Frame<'_>, _: &mut Context<'_>) -> Step {
        let is_header = frame.head.first() == Some(&b'A');
        let ends = is_header || self.version != Version::Zero || frame.last == FRAME_END;
        if ends { Step::Obeys } else { Step::Left }
    }
}

impl Frames {
    fn chosen(&mut self, version: Version) -> Head {
        self.version = version;
        Head::Body(0)
    }
}

/// Type, channel, size; the body ends with a mark of its own.
fn frame_of_zero(head: &[u8]) -> Head {
    match head {
        [kind, ..] if !matches!(kind, 1..=4 | 8) => Head::Wrong,
        [_, _, _, high, ..] if *high != 0 => Head::Wrong,
        [_, _, _, a, b, c, d] => Head::Body(u64::from(u32::from_be_bytes([*a, *b, *c, *d])) + 1),
        _ => Head::More,
    }
}

/// Size, data offset in words, type, channel.
fn frame_of_one(head: &[u8]) -> Head {
    match head {
        [high, ..] if *high != 0 => Head::Wrong,
        [_, _, _, _, offset, ..] if !(2..16).contains(offset) => Head::Wrong,
        [_, _, _, _, _, kind, ..] if *kind > 1 => Head::Wrong,
        [a, b, c, d, _, _, _, _] => {
            let size = u32::from_be_bytes([*a, *b, *c, *d]);
            size.checked_sub(8).map_or(Head::Wrong, |body| Head::Body(body.into()))
        }
        _ => Head::More,
    }
}

const FRAME_END: u8 = 0xce;
/// A method frame on channel 0.
const START: &[u8] = b"\x01\0\0";

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_header_and_connection_start_are_amqp() {
        let header = client(b"AMQP\0\0\x09\x01");
        Story::of(&[header, server(b"\x01\0\0\0\0\x01\xc0\0\x0a\0\x0a")]).is_confirmed("amqp");
    }

    const START: &[u8; 13] = b"\x01\0\0\0\0\0\x05\0\x0a\0\x0ax\xce";

    #[test]
    fn frames_are_followed_in_both_versions() {
        let header = client(b"AMQP\0\0\x09\x01");
        let story =
            Story::of(&[header, server(START), client(START), server(b"\x08\0\0\0\0\0\0\xce")]);
        story.is_confirmed("amqp");
        story.is_obeyed_after(0);
        Story::of(&[header, server(START), client(b"uid=0(root)\n")]).is_left_by_client();
        // The mark at the end of a frame is missing.
        Story::of(&[header, server(b"\x01\0\0\0\0\0\x03id\n\x0a")]).is_left_by_server();

        let (sasl, plain) = (b"AMQP\x03\x01\0\0", b"AMQP\0\x01\0\0");
        let frame = b"\0\0\0\x0a\x02\x01\0\0\0\x53";
        let turns = [client(sasl), server(sasl), server(frame), client(frame), client(plain)];
        let story = Story::of(&turns);
        story.is_obeyed_after(0);
        Story::of(&[&turns[..], &[server(b"uname -a\n")]].concat()).is_left_by_server();
    }

    #[test]
    fn amqp_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"AMQP\0\0")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_the_header_leaves() {
        Story::of(&[client(b"AMQP\0\0\x09\x01"), server(b"id\n")]).is_left_by_server();
        assert!(Story::of(&[client(b"AMQP is\n")]).names.is_empty());
    }
}
