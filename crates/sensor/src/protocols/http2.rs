//! HTTP/2 without TLS, by the client's preface and the server's SETTINGS: RFC 9113, section 3.4.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "http2",
    first_bytes: FirstBytes::of(b"P").or(FirstBytes::of(&[0])),
    transports: Transports::Tcp,
    probe,
    follow: None,
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
