//! SIP, by a request line or a status line of either side: RFC 3261, section 7; then message by
//! message.

use observation::{Side, Transport};

use super::follow::{Context, Follow, Follower, Skipped, Step};
use super::lines::Lines;
use super::messages::{Dialect, Messages};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, start_line, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "sip",
    first_bytes: FirstBytes::range(b'A', b'Z'),
    transports: Transports::Both,
    probe,
    follow: Some(|| Follower::Sip(Conversation::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(
        start_line(heads.opener, METHODS, b"SIP/2.0"),
        start_line(heads.answerer, METHODS, b"SIP/2.0"),
    )
}

/// Messages over TCP; of a datagram only the first line is sure to have been captured.
#[derive(Debug, Default)]
pub(super) struct Conversation(Lines<Messages<Sip>>);

/// SIP's words.
#[derive(Debug, Default)]
pub(super) struct Sip;

impl Dialect for Sip {
    const METHODS: &[&[u8]] = METHODS;
    const VERSION: &[u8] = b"SIP/2.0";
}

impl Follow for Conversation {
    fn feed(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Step {
        if context.transport != Transport::Udp {
            return self.0.feed(side, bytes, context);
        }
        // What keeps an address translation alive: blank lines, or nothing that is anything.
        if bytes.iter().all(|byte| matches!(byte, 0 | b'\r' | b'\n' | b' ')) {
            return Step::Unchecked;
        }
        match start_line(bytes, METHODS, Sip::VERSION) {
            Fit::No => Step::Left,
            Fit::Could => Step::Unchecked,
            Fit::Yes => Step::Obeys,
        }
    }

    fn skip(&mut self, side: Side, count: u64) -> Skipped {
        self.0.skip(side, count)
    }

    fn gap(&mut self, side: Side) {
        self.0.gap(side);
    }
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
    fn messages_are_followed_over_both_transports() {
        let opening = [
            client(b"INVITE sip:a@b SIP/2.0\r\nl: 4\r\n\r\nv=0\n\r\n\r\n"),
            server(b"SIP/2.0 100 Trying\r\nContent-Length: 0\r\n\r\nBYE sip:b SIP/2.0\r\n\r\n"),
        ];
        let shell = client(b"uid=0(root) gid=0(root)\n");
        Story::of(&opening).is_obeyed_after(0);
        Story::of(&[&opening[..], &[shell]].concat()).is_left_by_client();
        Story::of_datagrams(&[&opening[..], &[client(b"\0\0\0\0")]].concat()).is_obeyed_until(2);
        Story::of_datagrams(&[&opening[..], &[shell]].concat()).is_left_by_client();
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
