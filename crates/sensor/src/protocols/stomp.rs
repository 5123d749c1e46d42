//! STOMP, by the client's CONNECT frame and the server's CONNECTED: STOMP 1.2; then frame by frame.

use alloc::vec::Vec;

use observation::Side;

use super::follow::{Both, Context, Follow, Follower, Step};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, after_first_line, decimal, first_line, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "stomp",
    first_bytes: FirstBytes::of(b"CS"),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Stomp(Frames::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    let answers = literal(heads.answerer, b"CONNECTED").or(literal(heads.answerer, b"ERROR"));
    match (connects(heads.opener), answers) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, Fit::Could) => Verdict::Proposed(Side::Originator),
        _ => Verdict::Unsure,
    }
}

/// The command alone in its line, then a header.
fn connects(head: &[u8]) -> Fit {
    match first_line(head) {
        Some(b"CONNECT" | b"STOMP") => match after_first_line(head) {
            [] => Fit::Could,
            rest => match rest.iter().position(|byte| matches!(byte, b':' | b'\n')) {
                Some(at) if rest.get(at) == Some(&b':') && at > 0 => Fit::Yes,
                Some(0) => Fit::Yes,
                Some(1) if rest.first() == Some(&b'\r') => Fit::Yes,
                Some(_) => Fit::No,
                None => Fit::Could,
            },
        },
        Some(_) => Fit::No,
        None => {
            let head = head.strip_suffix(b"\r").unwrap_or(head);
            let fits = [&b"CONNECT"[..], b"STOMP"].iter().any(|each| each.starts_with(head));
            if fits { Fit::Could } else { Fit::No }
        }
    }
}

/// Both directions' frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    sides: Both<Direction>,
}

#[derive(Debug, Default)]
struct Direction {
    part: Part,
    line: Vec<u8>,
    body_bytes: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Command,
    Header,
    Body,
    /// So many bytes, then the NUL.
    CountedBody(u64),
    /// After a gap: up to the next NUL.
    Seeking,
}

impl Follow for Frames {
    fn feed(&mut self, side: Side, bytes: &[u8], _: &mut Context<'_>) -> Step {
        let direction = self.sides.of_mut(side);
        let mut step = Step::Obeys;
        for byte in bytes {
            match direction.byte(side, *byte) {
                Step::Obeys => {}
                Step::Left => return Step::Left,
                other => step = other,
            }
        }
        step
    }

    fn held(&self) -> usize {
        self.sides.sum(|direction| direction.line.capacity())
    }

    fn gap(&mut self, side: Side) {
        *self.sides.of_mut(side) = Direction { part: Part::Seeking, ..Direction::default() };
    }
}

impl Direction {
    fn byte(&mut self, side: Side, byte: u8) -> Step {
        match (self.part, byte) {
            // Line ends between frames are heartbeats.
            (Part::Command, b'\r' | b'\n') if self.line.is_empty() => {}
            (Part::Command, b'\n') => {
                let command = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
                if !commands(side).contains(&command) {
                    return Step::Left;
                }
                *self = Self { part: Part::Header, ..Self::default() };
            }
            (Part::Command, _) => {
                self.line.push(byte);
                let begun = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
                if !commands(side).iter().any(|command| command.starts_with(begun)) {
                    return Step::Left;
                }
            }
            (Part::Header, b'\n') => return self.header_line(),
            (Part::Header, 0) => return Step::Left,
            (Part::Header, _) if self.line.len() < HEADER_BYTES_MAX => self.line.push(byte),
            (Part::Header, _) => {}
            (Part::Body | Part::Seeking | Part::CountedBody(0), 0) => *self = Self::default(),
            (Part::CountedBody(0), _) => return Step::Left,
            (Part::CountedBody(left), _) => self.part = Part::CountedBody(left - 1),
            (Part::Body, _) => {}
            (Part::Seeking, _) => return Step::Unchecked,
        }
        Step::Obeys
    }

    fn header_line(&mut self) -> Step {
        let line = core::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.is_empty() {
            self.part = self.body_bytes.map_or(Part::Body, Part::CountedBody);
            return Step::Obeys;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Step::Left };
        let (name, value) = line.split_at_checked(colon).unwrap_or_default();
        if name == b"content-length" {
            self.body_bytes = value.get(1..).and_then(|value| decimal(value.trim_ascii()));
        }
        Step::Obeys
    }
}

fn commands(side: Side) -> &'static [&'static [u8]] {
    match side {
        Side::Originator => &[
            b"CONNECT",
            b"STOMP",
            b"SEND",
            b"SUBSCRIBE",
            b"UNSUBSCRIBE",
            b"ACK",
            b"NACK",
            b"BEGIN",
            b"COMMIT",
            b"ABORT",
            b"DISCONNECT",
        ],
        Side::Responder => &[b"CONNECTED", b"MESSAGE", b"RECEIPT", b"ERROR"],
    }
}

const HEADER_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn frames_are_stomp() {
        let story = Story::of(&[
            client(b"CONNECT\naccept-version:1.2\nhost:a\n\n\0"),
            server(b"CONNECTED\nversion:1.2\n\n\0\n"),
            client(
                b"SEND\ndestination:/a\ncontent-length:3\n\nid\0\0\nSEND\ndestination:/a\n\nid\0",
            ),
        ]);
        story.is_confirmed("stomp");
        story.is_obeyed_after(0);
    }

    #[test]
    fn stomp_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"CONNECT\naccept")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_connect_leaves() {
        let connect = client(b"CONNECT\nhost:a\n\n\0");
        Story::of(&[connect, server(b"id\n")]).is_left_by_server();
        let connected = server(b"CONNECTED\nversion:1.2\n\n\0");
        Story::of(&[connect, connected, client(b"uid=0(root)\n")]).is_left_by_client();
    }
}
