//! SIP, by a request line or a status line of either side: RFC 3261, section 7.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{start_line, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "sip",
    first_bytes: FirstBytes::range(b'A', b'Z'),
    transports: Transports::Both,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(
        start_line(heads.opener, METHODS, b"SIP/2.0"),
        start_line(heads.answerer, METHODS, b"SIP/2.0"),
    )
}

const METHODS: &[&[u8]] = &[
    b"INVITE",
    b"ACK",
    b"BYE",
    b"CANCEL",
    b"REGISTER",
    b"OPTIONS",
    b"SUBSCRIBE",
    b"NOTIFY",
    b"PUBLISH",
    b"INFO",
    b"MESSAGE",
    b"REFER",
    b"PRACK",
    b"UPDATE",
];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_call_is_sip() {
        Story::of_datagrams(&[
            client(b"INVITE sip:a@b SIP/2.0\r\n\r\n"),
            server(b"SIP/2.0 100 Trying\r\n"),
        ])
        .is_confirmed("sip");
    }

    #[test]
    fn sip_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"INVITE sip:a@b SI")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_an_invitation_leaves() {
        assert!(Story::of(&[client(b"INVITE me\r\n")]).names.is_empty());
        Story::of(&[client(b"INVITE sip:a SIP/2.0\r\n"), server(b"id\n")]).is_left_by_server();
    }
}
