//! SOCKS, by the client's greeting and the server's choice: RFC 1928, RFC 1929, SOCKS 4 and 4a;
//! then up to the point where the tunnel begins.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use observation::{DetailKind, Side};

use super::client_hello::Fields;
use super::details::shown;
use super::follow::{Context, Follow, Follower, Next, Step};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "socks",
    first_bytes: FirstBytes::of(&[4, 5]),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Socks(Handshake::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    let verdict = match heads.opener.first() {
        Some(5) => two_sided(greets(heads.opener, heads.answerer), chooses(heads.answerer)),
        Some(4) => two_sided(asks(heads.opener), grants(heads.answerer)),
        Some(_) => Verdict::Never,
        None => Verdict::Unsure,
    };
    match verdict {
        // Few bytes prove little: both sides must have spoken.
        Verdict::Proposed(_) => Verdict::Unsure,
        verdict => verdict,
    }
}

/// Version 5 and its methods. Before the server has chosen, nothing follows them.
fn greets(head: &[u8], answer: &[u8]) -> Fit {
    let [5, count, methods @ ..] = head else {
        return if matches!(head, [] | [5]) { Fit::Could } else { Fit::No };
    };
    let whole = methods.len() >= usize::from(*count);
    let known = methods.iter().take((*count).into()).all(|method| *method <= 9 || *method >= 0x80);
    match (1..=METHOD_COUNT_MAX).contains(count) && known {
        false => Fit::No,
        true if !whole => Fit::Could,
        true if answer.is_empty() && methods.len() > usize::from(*count) => Fit::No,
        true => Fit::Yes,
    }
}

fn chooses(head: &[u8]) -> Fit {
    match head {
        [] | [5] => Fit::Could,
        [5, 0..=9 | 0x80..=0xff, ..] => Fit::Yes,
        _ => Fit::No,
    }
}

/// Version 4: command, port, address, user.
fn asks(head: &[u8]) -> Fit {
    match head {
        [] | [4] => Fit::Could,
        [4, 1 | 2, rest @ ..] => {
            match rest.get(6..).map(|user| user.iter().position(|b| *b == 0)) {
                Some(Some(_)) => Fit::Yes,
                Some(None) if head.len() > USER_BYTES_MAX => Fit::No,
                Some(None) | None => Fit::Could,
            }
        }
        _ => Fit::No,
    }
}

fn grants(head: &[u8]) -> Fit {
    match head {
        [] | [0] => Fit::Could,
        [0, 0x5a..=0x5d, ..] => {
            if head.len() < 8 {
                Fit::Could
            } else {
                Fit::Yes
            }
        }
        _ => Fit::No,
    }
}

/// The messages of both sides up to the tunnel, kept until they can be read.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    sent: Vec<u8>,
    /// How much of `sent` has been read, and how many of the server's messages.
    stage: Stage,
    received: Vec<u8>,
    login: Login,
}

/// Whether the client has sent a name and a password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Login {
    #[default]
    None,
    Password,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Greeting,
    Password,
    Request,
    Lost,
}

impl Follow for Handshake {
    fn feed(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Step {
        if self.stage == Stage::Lost {
            return Step::Unchecked;
        }
        if side == Side::Originator {
            let fits = self.sent.len() + bytes.len() <= HANDSHAKE_BYTES_MAX;
            if fits {
                self.sent.extend_from_slice(bytes);
            }
            return if fits { Step::Obeys } else { Step::Left };
        }
        for (index, byte) in bytes.iter().enumerate() {
            self.received.push(*byte);
            match self.answered() {
                Answer::Open => {}
                Answer::Done => self.received.clear(),
                Answer::Tunnel => {
                    if let Some(target) = self.target() {
                        let side = side.other();
                        context.detail("socks", DetailKind::Target, side, target.as_bytes());
                    }
                    return Step::Becomes(Next::Tunnel, bytes.len() - index - 1);
                }
                Answer::Wrong => return Step::Left,
            }
        }
        Step::Obeys
    }

    fn held(&self) -> usize {
        self.sent.capacity() + self.received.capacity()
    }

    fn gap(&mut self, _: Side) {
        self.stage = Stage::Lost;
    }
}

enum Answer {
    Open,
    Done,
    Tunnel,
    Wrong,
}

impl Handshake {
    fn answered(&mut self) -> Answer {
        let four = self.sent.first() == Some(&4);
        match (self.stage, self.received.as_slice()) {
            _ if four => match grants(&self.received) {
                Fit::Yes if self.received.get(1) == Some(&0x5a) => Answer::Tunnel,
                Fit::Yes => Answer::Done,
                Fit::Could => Answer::Open,
                Fit::No => Answer::Wrong,
            },
            (Stage::Greeting, [5]) | (Stage::Password, [1]) => Answer::Open,
            (Stage::Greeting, [5, 0]) => self.next(Stage::Request),
            (Stage::Greeting, [5, 2]) => {
                self.login = Login::Password;
                self.next(Stage::Password)
            }
            (Stage::Greeting, [5, _]) => self.next(Stage::Lost),
            (Stage::Password, [1, _]) => self.next(Stage::Request),
            (Stage::Request, [5] | [5, 0..=8] | [5, 0..=8, 0]) => Answer::Open,
            (Stage::Request, [5, status, 0, kind, address @ ..]) => {
                let length = match (kind, address.first()) {
                    (1, _) => 4 + 2,
                    (4, _) => 16 + 2,
                    (3, Some(length)) => 1 + usize::from(*length) + 2,
                    (3, None) => return Answer::Open,
                    _ => return Answer::Wrong,
                };
                match (address.len() < length, status) {
                    (true, _) => Answer::Open,
                    (false, 0) => Answer::Tunnel,
                    (false, _) => Answer::Done,
                }
            }
            _ => Answer::Wrong,
        }
    }

    /// What the client asks to be connected to.
    fn target(&self) -> Option<String> {
        let mut fields = Fields(&self.sent);
        if fields.byte()? == 4 {
            fields.byte()?;
            let port = fields.short()?;
            let address = *fields.take(4)?.first_chunk::<4>()?;
            let mut texts = fields.0.split(|byte| *byte == 0);
            texts.next()?;
            // 4a: an address that cannot be stands for a name behind the user's.
            return match (address, texts.next()) {
                ([0, 0, 0, last], Some(name)) if last != 0 => {
                    Some(format!("{}:{port}", shown(name)))
                }
                ([a, b, c, d], _) => Some(format!("{a}.{b}.{c}.{d}:{port}")),
            };
        }
        fields.sized_by_byte()?;
        if self.login == Login::Password {
            fields.byte()?;
            fields.sized_by_byte()?;
            fields.sized_by_byte()?;
        }
        fields.take(3)?;
        let host = match fields.byte()? {
            1 => Ipv4Addr::from(*fields.take(4)?.first_chunk::<4>()?).to_string(),
            4 => format!("[{}]", Ipv6Addr::from(*fields.take(16)?.first_chunk::<16>()?)),
            _ => shown(fields.sized_by_byte()?),
        };
        Some(format!("{host}:{}", fields.short()?))
    }

    fn next(&mut self, stage: Stage) -> Answer {
        self.stage = stage;
        Answer::Done
    }
}

const METHOD_COUNT_MAX: u8 = 16;
const USER_BYTES_MAX: usize = 512;
const HANDSHAKE_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use observation::Grammar;

    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_connection_through_socks_is_socks_and_then_a_tunnel() {
        let story = Story::of(&[
            client(b"\x05\x01\0"),
            server(b"\x05\0"),
            client(b"\x05\x01\0\x01\x0a\0\0\x05\0\x50"),
            server(b"\x05\0\0\x01\0\0\0\0\0\0"),
            client(b"GET /\n"),
        ]);
        story.is_confirmed("socks");
        assert_eq!(story.left, None);
        // A bare line is no HTTP, and nothing else claims it.
        assert_eq!(story.grammars[4], Grammar::None);
        Story::of(&[client(b"\x04\x01\0\x50\x0a\0\0\x05\0"), server(b"\0\x5a\0\0\0\0\0\0")])
            .is_confirmed("socks");
    }

    #[test]
    fn the_target_is_told_and_the_stream_inside_identified() {
        let inside = [client(b"GET / HTTP/1.0\r\n\r\n"), server(b"HTTP/1.0 200 OK\r\n\r\n")];
        let opening = [
            client(b"\x05\x02\0\x02"),
            server(b"\x05\x02"),
            client(b"\x01\x01u\x02pw"),
            server(b"\x01\0"),
            client(b"\x05\x01\0\x03\x06c2.exa\0\x50"),
            server(b"\x05\0\0\x01\0\0\0\0\0\0"),
        ];
        let story = Story::of(&[&opening[..], &inside].concat());
        assert_eq!(story.names, ["socks", "http"]);
        assert!(story.facts[0].contains(r#"Target, side: Originator, value: "c2.exa:80""#));
        assert_eq!(story.grammars[7], Grammar::Obeyed);
        Story::of(&[&opening[..], &inside, &[client(b"uid=0(root)\n")]].concat())
            .is_left_by_client();

        let four = [client(b"\x04\x01\0\x50\0\0\0\x01u\0c2.exa\0"), server(b"\0\x5a\0\0\0\0\0\0")];
        assert!(Story::of(&four).facts[0].contains("\"c2.exa:80\""));
        let four = [client(b"\x04\x01\0\x50\x0a\0\0\x05u\0"), server(b"\0\x5a\0\0\0\0\0\0")];
        assert!(Story::of(&four).facts[0].contains("\"10.0.0.5:80\""));
    }

    #[test]
    fn socks_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"\x05\x01\0")]).names.is_empty());
    }

    #[test]
    fn a_shell_instead_of_a_reply_leaves() {
        let story = Story::of(&[client(b"\x05\x01\0"), server(b"\x05\0"), server(b"id\n")]);
        story.is_left_by_server();
    }
}
