//! RTSP, by a request line and a status line: RFC 2326, RFC 7826.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{start_line, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "rtsp",
    first_bytes: FirstBytes::range(b'A', b'Z'),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(
        start_line(heads.opener, METHODS, b"RTSP/"),
        start_line(heads.answerer, METHODS, b"RTSP/"),
    )
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
    fn rtsp_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"OPTIONS rtsp://a/ RT")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_options_leaves() {
        Story::of(&[client(b"OPTIONS * RTSP/1.0\r\n"), server(b"id\n")]).is_left_by_server();
    }
}
