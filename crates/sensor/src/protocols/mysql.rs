//! MySQL, by the server's handshake and the client's response: MySQL client/server protocol; then
//! packet by packet, whose numbers both sides continue.

use observation::{DetailKind, Side};

use super::follow::{Context, Follower, Next, Step};
use super::framed::{Frame, Framed, Framing, Head};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::Fit;
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "mysql",
    first_bytes: FirstBytes::ANY,
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Mysql(Framed::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Originator) {
        return Verdict::Never;
    }
    match (responds(heads.opener), greets(heads.answerer)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Could, Fit::Yes) => Verdict::Proposed(Side::Responder),
        _ => Verdict::Unsure,
    }
}

/// Packet 0 with protocol version 10 and a printable server version.
fn greets(head: &[u8]) -> Fit {
    let header = [None, None, Some(0), Some(0), Some(10)];
    let fits = header.iter().zip(head).all(|(want, byte)| want.is_none_or(|want| want == *byte))
        && head.first().is_none_or(|length| *length >= GREETING_BYTES_MIN)
        && head.get(1).is_none_or(|high| *high <= 1);
    let version = head.get(5..).unwrap_or_default();
    let end = version.iter().position(|byte| *byte == 0);
    let text = version.get(..end.unwrap_or(version.len())).unwrap_or_default();
    let digit = text.first().is_none_or(u8::is_ascii_digit);
    let printable = text.iter().all(|byte| (b' '..=b'~').contains(byte));
    match (fits && digit && printable && text.len() <= VERSION_BYTES_MAX, end) {
        (false, _) | (_, Some(0)) => Fit::No,
        (true, None) => Fit::Could,
        (true, Some(_)) => Fit::Yes,
    }
}

/// Packet 1, with capabilities that say protocol 4.1, and the zeros of its filler.
fn responds(head: &[u8]) -> Fit {
    let fits = head.get(2).is_none_or(|high| *high == 0)
        && head.get(3).is_none_or(|number| *number == 1)
        && head.get(5).is_none_or(|capabilities| capabilities & 2 != 0);
    match (fits, head.len()) {
        (false, _) => Fit::No,
        (true, 0..6) => Fit::Could,
        (true, _) => Fit::Yes,
    }
}

/// Where the packets' numbers stand, and what was agreed.
#[derive(Debug, Default)]
pub(super) struct Packets {
    phase: Phase,
    /// The number that continues the exchange.
    next: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Greeting,
    Response,
    /// Authentication, then commands.
    Session,
    /// Packets are compressed, or some were not captured.
    Opaque,
}

impl Framing for Packets {
    const LOOK_BYTES_MAX: usize = 128;

    fn head(&mut self, side: Side, head: &[u8]) -> Head {
        if self.phase == Phase::Opaque {
            return Head::Unchecked;
        }
        let &[low, middle, high, number] = head else { return Head::More };
        if self.phase == Phase::Response && side == Side::Responder && number == 2 {
            // The response was not captured.
            return Head::Unchecked;
        }
        let fits = match (self.phase, side) {
            (Phase::Greeting, _) => number == 0,
            (Phase::Response, Side::Originator) => number == 1,
            // A refusal follows the greeting at once.
            (Phase::Response, Side::Responder) => number <= 1,
            // A command begins anew, and what is sent ahead is answered one by one.
            (_, Side::Originator) => number == 0 || number == self.next,
            (_, Side::Responder) => number == 1 || number == self.next,
        };
        if fits {
            Head::Body(u32::from_le_bytes([low, middle, high, 0]).into())
        } else {
            Head::Wrong
        }
    }

    fn lose(&mut self) {
        self.phase = Phase::Opaque;
    }

    fn frame(&mut self, side: Side, frame: &Frame<'_>, context: &mut Context<'_>) -> Step {
        let number = frame.head.last().copied().unwrap_or(0);
        self.next = number.wrapping_add(1);
        match (self.phase, side) {
            (Phase::Greeting, Side::Responder) => {
                let version = frame.body.get(1..).unwrap_or_default();
                let version = version.split(|byte| *byte == 0).next().unwrap_or_default();
                context.detail("mysql", DetailKind::Software, side, version);
                self.phase = Phase::Response;
            }
            (Phase::Response, Side::Originator) => return self.response(frame.body, context),
            (Phase::Session, Side::Originator) if number == 0 => {
                let command = frame.body.first().copied().unwrap_or(0);
                return if command <= COMMAND_MAX { Step::Obeys } else { Step::Left };
            }
            _ => {}
        }
        Step::Obeys
    }
}

impl Packets {
    fn response(&mut self, body: &[u8], context: &mut Context<'_>) -> Step {
        let capabilities = body.first_chunk::<4>().map_or(0, |four| u32::from_le_bytes(*four));
        if capabilities & SECURE != 0 && body.len() <= RESPONSE_BYTES_MIN {
            return Step::Becomes(Next::Tls, 0);
        }
        self.phase = if capabilities & COMPRESSES != 0 { Phase::Opaque } else { Phase::Session };
        let user = body.get(RESPONSE_BYTES_MIN..).unwrap_or_default();
        let user = user.split(|byte| *byte == 0).next().unwrap_or_default();
        context.detail("mysql", DetailKind::User, Side::Originator, user);
        Step::Obeys
    }
}

/// CLIENT_SSL: a response that ends before the user's name asks for TLS.
const SECURE: u32 = 0x0800;
/// CLIENT_COMPRESS and CLIENT_ZSTD_COMPRESSION_ALGORITHM.
const COMPRESSES: u32 = 0x20 | 0x0400_0000;
/// Capabilities, packet size, character set and filler.
const RESPONSE_BYTES_MIN: usize = 32;
/// COM_RESET_CONNECTION and what MariaDB and clones have added.
const COMMAND_MAX: u8 = 0x24;
const GREETING_BYTES_MIN: u8 = 40;
const VERSION_BYTES_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use observation::{Grammar, Side, Transport};

    use crate::protocols::story::{Story, Teller, client, server};

    fn greeting() -> alloc::vec::Vec<u8> {
        let mut greeting = b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0".to_vec();
        greeting.resize(0x4e, 7);
        greeting
    }

    fn response(capabilities: [u8; 4]) -> alloc::vec::Vec<u8> {
        let mut response = [&b"\x26\0\0\x01"[..], &capabilities].concat();
        response.resize(36, 0);
        response.extend_from_slice(b"root\0\0");
        response
    }

    const OK: &[u8; 11] = b"\x07\0\0\x02\0\0\0\x02\0\0\0";

    #[test]
    fn queries_and_results_keep_their_numbers() {
        let (greeting, response) = (greeting(), response([5, 0xa2, 0xff, 1]));
        let story = Story::of(&[
            (Side::Responder, &greeting),
            (Side::Originator, &response),
            server(OK),
            client(b"\x09\0\0\0\x03SELECT 1"),
            server(b"\x01\0\0\x01\x01\x05\0\0\x02\xfe\0\0\x02\0"),
            client(b"\x01\0\0\0\x0e\x01\0\0\0\x0e"),
            server(b"\x01\0\0\x01\0\x01\0\0\x01\0"),
        ]);
        story.is_confirmed("mysql");
        story.is_obeyed_after(1);
        assert!(story.facts[0].contains(r#"Software, side: Responder, value: "8.0.36""#));
        assert!(story.facts[1].contains(r#"User, side: Originator, value: "root""#), "{story:?}");
    }

    #[test]
    fn a_login_and_then_a_shell_leaves() {
        let (greeting, response) = (greeting(), response([5, 0xa2, 0xff, 1]));
        let login = [(Side::Responder, &*greeting), (Side::Originator, &*response), server(OK)];
        Story::of(&[&login[..], &[server(b"uname -a\n")]].concat()).is_left_by_server();
        Story::of(&[&login[..], &[client(b"uid=0(root)\n")]].concat()).is_left_by_client();
        // A frame around a line of text is no command.
        Story::of(&[&login[..], &[client(b"\x03\0\0\0id\n")]].concat()).is_left_by_client();
    }

    #[test]
    fn tls_and_compression_end_the_packets() {
        let greeting = greeting();
        let asks =
            b"\x20\0\0\x01\x05\xae\xff\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let story = Story::of(&[(Side::Responder, &greeting), client(asks), client(b"id\n")]);
        story.is_left_by_client();
        let response = response([0x25, 0xa2, 0xff, 1]);
        let story = Story::of(&[
            (Side::Responder, &greeting),
            (Side::Originator, &response),
            server(b"anything"),
        ]);
        assert_eq!((story.left, story.grammars[2]), (None, Grammar::Unchecked));
    }

    #[test]
    fn mysql_cut_short_is_unsure() {
        assert!(Story::of(&[server(b"\x4a\0\0\0\x0a8.0")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_the_greeting_leaves() {
        let greeting = greeting();
        let story = Story::of(&[(Side::Responder, &greeting), client(b"uid=0(root)\n")]);
        story.is_only_proposed("mysql");
        story.is_left_by_client();
    }

    #[test]
    fn what_was_not_captured_is_not_held_against_anybody() {
        let (greeting, response) = (greeting(), response([5, 0xa2, 0xff, 1]));
        let story = Story::of(&[(Side::Responder, &greeting), server(OK)]);
        assert_eq!((story.left, story.grammars[1]), (None, Grammar::Unchecked));
        let mut teller = Teller::new(Transport::Tcp);
        teller.turn(Side::Responder, &greeting, usize::MAX);
        teller.turn(Side::Originator, &response, usize::MAX);
        teller.lose(Side::Responder, 11);
        teller.turn(Side::Originator, b"\x01\0\0\0\x0e", usize::MAX);
        assert_eq!(teller.end().left, None);
    }
}
