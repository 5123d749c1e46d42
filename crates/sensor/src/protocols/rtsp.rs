//! RTSP, by a request line and a status line: RFC 2326, RFC 7826; then message by message.

use super::follow::Follower;
use super::lines::Lines;
use super::messages::Dialect;
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{start_line, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "rtsp",
    first_bytes: FirstBytes::range(b'A', b'Z'),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Rtsp(Lines::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(
        start_line(heads.opener, METHODS, b"RTSP/"),
        start_line(heads.answerer, METHODS, b"RTSP/"),
    )
}

/// RTSP's words.
#[derive(Debug, Default)]
pub(super) struct Rtsp;

impl Dialect for Rtsp {
    const METHODS: &[&[u8]] = METHODS;
    const VERSION: &[u8] = b"RTSP/";
}

const METHODS: &[&[u8]] = &[
    b"OPTIONS",
    b"DESCRIBE",
    b"ANNOUNCE",
    b"SETUP",
    b"PLAY",
    b"PAUSE",
    b"TEARDOWN",
    b"GET_PARAMETER",
    b"SET_PARAMETER",
    b"REDIRECT",
    b"RECORD",
    b"PLAY_NOTIFY",
];

#[cfg(test)]
mod tests {
    use observation::Grammar;

    use crate::protocols::story::{Story, client, server};

    #[test]
    fn options_are_rtsp() {
        Story::of(&[
            client(b"OPTIONS rtsp://a/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
            server(b"RTSP/1.0 200 OK\r\n"),
        ])
        .is_confirmed("rtsp");
    }

    #[test]
    fn messages_are_followed_until_media_comes_between_them() {
        let opening = [
            client(b"DESCRIBE rtsp://a/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
            server(b"RTSP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nv=0\n"),
        ];
        let story = Story::of(&opening);
        story.is_obeyed_after(0);
        Story::of(&[&opening[..], &[client(b"uid=0(root)\n")]].concat()).is_left_by_client();
        let setup =
            client(b"SETUP rtsp://a/ RTSP/1.0\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n");
        let story = Story::of(&[&opening[..], &[setup, server(b"$\0\0\x04abcd")]].concat());
        assert_eq!((story.left, story.grammars[3]), (None, Grammar::Unchecked));
    }

    #[test]
    fn rtsp_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"OPTIONS rtsp://a/ RT")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_options_leaves() {
        Story::of(&[client(b"OPTIONS * RTSP/1.0\r\n"), server(b"id\n")]).is_left_by_server();
    }
}
