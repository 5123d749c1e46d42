//! HTTP/2 without TLS, by the client's preface and the server's SETTINGS: RFC 9113, section 3.4;
//! then frame by frame, section 4.1.
//!
//! Header blocks are compressed (RFC 7541) and not read: no implementation of it does without
//! `std`.

use observation::Side;

use super::follow::{Both, Context, Follower, Step};
use super::framed::{Frame, Framed, Framing, Head};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "http2",
    first_bytes: FirstBytes::of(b"P").or(FirstBytes::of(&[0])),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Http2(Framed::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    match (literal(heads.opener, PREFACE), settings(heads.answerer)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, Fit::Could) => Verdict::Proposed(Side::Originator),
        (Fit::Could, _) => Verdict::Unsure,
    }
}

/// The header of a SETTINGS frame on stream 0; its length is a multiple of six.
fn settings(head: &[u8]) -> Fit {
    let want = [Some(0), None, None, Some(4), Some(0), Some(0), Some(0), Some(0), Some(0)];
    let fits = want.iter().zip(head).all(|(want, byte)| want.is_none_or(|want| want == *byte));
    match (fits, head) {
        (false, _) => Fit::No,
        (true, [_, high, low, _, _, _, _, _, _, ..]) => {
            let length = u16::from_be_bytes([*high, *low]);
            if length % 6 == 0 { Fit::Yes } else { Fit::No }
        }
        (true, _) => Fit::Could,
    }
}

/// Frames of both sides.
#[derive(Debug, Default)]
pub(super) struct Frames {
    sides: Both<Expects>,
}

/// What a side has to send next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expects {
    /// The preface of a client, the first SETTINGS of a server.
    #[default]
    Opening,
    Settings,
    Anything,
    /// The rest of a header block.
    Continuation,
}

impl Framing for Frames {
    const LOOK_BYTES_MAX: usize = 0;

    fn head(&mut self, side: Side, head: &[u8]) -> Head {
        let expects = self.sides.of_mut(side);
        if *expects == Expects::Opening && side == Side::Originator {
            return match literal(head, PREFACE) {
                Fit::No => Head::Wrong,
                Fit::Could => Head::More,
                Fit::Yes => {
                    *expects = Expects::Settings;
                    Head::Body(0)
                }
            };
        }
        // No setting in use allows a frame of a mebibyte.
        let [high, middle, low, kind, flags, s3, s2, s1, s0] = match head {
            [high, ..] if *high >= 0x10 => return Head::Wrong,
            [_, _, _, kind, ..] if !may_come(*expects, *kind) => return Head::Wrong,
            [_, _, _, _, _, reserved, ..] if reserved & 0x80 != 0 => return Head::Wrong,
            _ => match head.first_chunk::<9>() {
                Some(whole) => *whole,
                None => return Head::More,
            },
        };
        let length = u32::from_be_bytes([0, high, middle, low]);
        if !fits(kind, flags, length, u32::from_be_bytes([s3, s2, s1, s0])) {
            return Head::Wrong;
        }
        let ends = flags & END_HEADERS != 0;
        *expects = match kind {
            HEADERS | PUSH_PROMISE | CONTINUATION if !ends => Expects::Continuation,
            _ => Expects::Anything,
        };
        Head::Body(length.into())
    }

    fn frame(&mut self, _: Side, _: &Frame<'_>, _: &mut Context<'_>) -> Step {
        Step::Obeys
    }
}

fn may_come(expects: Expects, kind: u8) -> bool {
    match expects {
        Expects::Opening | Expects::Settings => kind == SETTINGS,
        Expects::Continuation => kind == CONTINUATION,
        // What is unknown is to be ignored, and only a few types were ever added.
        Expects::Anything => kind <= KIND_MAX && kind != CONTINUATION,
    }
}

/// RFC 9113, sections 6.1 to 6.10: which frames are of the connection, and how long they are.
const fn fits(kind: u8, flags: u8, length: u32, stream: u32) -> bool {
    match kind {
        DATA | HEADERS | CONTINUATION => stream != 0,
        PRIORITY => stream != 0 && length == 5,
        RST_STREAM => stream != 0 && length == 4,
        SETTINGS => stream == 0 && length.is_multiple_of(6) && (flags & ACK == 0 || length == 0),
        PUSH_PROMISE => stream != 0 && length >= 4,
        PING => stream == 0 && length == 8,
        GOAWAY => stream == 0 && length >= 8,
        WINDOW_UPDATE => length == 4,
        _ => true,
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
/// PRIORITY_UPDATE, RFC 9218.
const KIND_MAX: u8 = 0x10;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_preface_and_settings_are_http2() {
        let preface = client(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
        Story::of(&[preface, server(b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64")])
            .is_confirmed("http2");
    }

    const PREFACE: &[u8; 33] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    const SETTINGS: &[u8; 9] = b"\0\0\0\x04\0\0\0\0\0";

    #[test]
    fn a_call_is_followed_frame_by_frame() {
        let story = Story::of(&[
            client(PREFACE),
            server(SETTINGS),
            client(b"\0\0\0\x04\x01\0\0\0\0\0\0\x01\x01\x04\0\0\0\x01\x82"),
            server(b"\0\0\x01\x01\0\0\0\0\x01\x88\0\0\0\x09\x04\0\0\0\x01"),
            server(b"\0\0\x03\0\x01\0\0\0\x01id\n"),
        ]);
        story.is_confirmed("http2");
        story.is_obeyed_after(0);
    }

    #[test]
    fn settings_and_then_a_shell_leaves() {
        let opening = [client(PREFACE), server(SETTINGS)];
        Story::of(&[&opening[..], &[server(b"id\n")]].concat()).is_left_by_server();
        Story::of(&[&opening[..], &[client(b"uid=0(root)\n")]].concat()).is_left_by_client();
        // A header block that something else interrupts.
        let cut = server(b"\0\0\x01\x01\0\0\0\0\x01\x88\0\0\0\0\x01\0\0\0\x01");
        Story::of(&[&opening[..], &[cut]].concat()).is_left_by_server();
        // A client that never sent its settings.
        Story::of(&[client(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x06\0\0\0\0\0")])
            .is_left_by_client();
    }

    #[test]
    fn a_flood_of_continuations_keeps_nothing() {
        let mut turns = [client(PREFACE), server(SETTINGS)].to_vec();
        turns.push(client(b"\0\0\x01\x01\0\0\0\0\x01\x82"));
        turns.extend([client(b"\0\0\x01\x09\0\0\0\0\x01\x82"); 10_000]);
        let story = Story::cut(&turns, usize::MAX);
        story.is_confirmed("http2");
        assert_eq!((story.left, story.facts.len()), (None, 0));
    }

    #[test]
    fn a_preface_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"PRI * HTTP/2.0\r\n")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_the_preface_leaves() {
        Story::of(&[client(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), server(b"id\n")])
            .is_left_by_server();
    }
}
