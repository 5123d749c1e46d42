//! HTTP/2 without TLS, by the client's preface and the server's SETTINGS: RFC 9113, section 3.4;
//! then frame by frame, section 4.1, and stream by stream.

use alloc::boxed::Box;

use observation::Side;

use super::follow::{Both, Context, Follower, Step};
use super::framed::{Frame, Framed, Framing, Head};
use super::http2_exchange::{
    BLOCK_BYTES_MAX, BODY_BYTES_MAX, CONTINUATION, DATA, END_HEADERS, HEADERS, PUSH_PROMISE,
    RST_STREAM, Streams,
};
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
    streams: Box<Streams>,
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

    fn look_bytes(&self, head: &[u8]) -> usize {
        match head.get(3) {
            Some(&(HEADERS | PUSH_PROMISE | CONTINUATION)) if head.len() == 9 => BLOCK_BYTES_MAX,
            Some(&DATA) if head.len() == 9 => BODY_BYTES_MAX,
            _ => Self::LOOK_BYTES_MAX,
        }
    }

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

    fn frame(&mut self, side: Side, frame: &Frame<'_>, context: &mut Context<'_>) -> Step {
        if frame.head.len() == 9 {
            self.streams.frame(side, frame, context)
        } else {
            // The preface.
            Step::Obeys
        }
    }

    fn lose(&mut self) {
        self.streams.lose();
    }

    fn held(&self) -> usize {
        self.streams.held()
    }

    fn end(&mut self, context: &mut Context<'_>) {
        self.streams.close(context);
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

const PRIORITY: u8 = 2;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
/// PRIORITY_UPDATE, RFC 9218.
const KIND_MAX: u8 = 0x10;
const ACK: u8 = 1;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use observation::Side;

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

    /// A block that a client of gRPC sends: `POST`, a path, an authority, a type.
    fn asks(path: &str) -> Vec<u8> {
        let mut block = b"\x83\x86\x44".to_vec();
        block.push(path.len() as u8);
        block.extend(path.as_bytes());
        block.extend(b"\x41\x06db:502\x5f\x10application/grpc");
        let mut frame = [0, 0, block.len() as u8, 1, 4, 0, 0, 0, 1].to_vec();
        frame.extend(block);
        frame
    }

    #[test]
    fn a_call_of_grpc_is_told_when_it_has_been_answered() {
        let ask = asks("/etcdserverpb.KV/Range");
        let story = Story::of(&[
            client(PREFACE),
            server(SETTINGS),
            (Side::Originator, &*ask),
            client(b"\0\0\x05\0\x01\0\0\0\x01\0\0\0\0\0"),
            server(b"\0\0\x14\x01\x04\0\0\0\x01\x88\x5f\x10application/grpc\xbe"),
            server(b"\0\0\x07\0\0\0\0\0\x01\0\0\0\0\x02ok"),
            server(b"\0\0\x0f\x01\x05\0\0\0\x01\x40\x0bgrpc-status\x010"),
        ]);
        assert_eq!(story.names, ["http2", "grpc", "etcd"]);
        story.is_obeyed_after(0);
        let [fact] = story.facts.as_slice() else { panic!("{:?}", story.facts) };
        for part in [
            "method: \"POST\"",
            "target: \"/etcdserverpb.KV/Range\"",
            "host: \"db:502\"",
            "status: 200",
            "version: 20",
            "header_names: \":method,:scheme,:path,:authority,content-type\"",
            "request_body_bytes: 5",
            "response_body_bytes: 7",
            "response_type: \"application/grpc\"",
        ] {
            assert!(fact.contains(part), "{part} is missing: {fact}");
        }
    }

    #[test]
    fn an_exchange_without_an_end_is_told_at_the_end() {
        let ask = client(b"\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84");
        let story = Story::of(&[client(PREFACE), server(SETTINGS), ask]);
        assert!(story.facts[0].contains("method: \"GET\"") && story.facts.len() == 1);
        let reset = client(b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08");
        let story = Story::of(&[client(PREFACE), server(SETTINGS), ask, reset]);
        assert!(story.facts[0].contains("status: 0") && story.facts.len() == 1);
    }

    #[test]
    fn a_block_that_no_encoder_writes_leaves() {
        let wrong = client(b"\0\0\x01\x01\x05\0\0\0\x01\xbe");
        Story::of(&[client(PREFACE), server(SETTINGS), wrong]).is_left_by_client();
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
