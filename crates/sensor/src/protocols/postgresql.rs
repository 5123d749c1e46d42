//! PostgreSQL, by the startup message and the server's first answer: the frontend/backend protocol,
//! version 3; then message by message.

use observation::Side;

use super::follow::{Both, Context, Follow, Follower, Next, Step};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::Fit;
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "postgresql",
    first_bytes: FirstBytes::of(&[0]),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Postgresql(Messages::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    match (starts(heads.opener), answers(heads.answerer)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, Fit::Could) => Verdict::Proposed(Side::Originator),
        (Fit::Could, _) => Verdict::Unsure,
    }
}

/// A length, then version 3 or one of the requests that stand in its place.
fn starts(head: &[u8]) -> Fit {
    let Some(([a, b, c, d, code @ ..], rest)) = head.split_first_chunk::<8>() else {
        let fits = head.iter().take(2).all(|byte| *byte == 0)
            && head.get(4).is_none_or(|byte| *byte == 0 || *byte == 4);
        return if fits { Fit::Could } else { Fit::No };
    };
    let length = u32::from_be_bytes([*a, *b, *c, *d]);
    let fits = match u32::from_be_bytes(*code) {
        // Kafka's first request begins in the same way; here the name of a parameter follows.
        0x0003_0000..=0x0003_0002 => {
            let name = match rest.first() {
                None => true,
                Some(0) => length == 9,
                Some(first) => matches!(first, b'a'..=b'z' | b'_'),
            };
            (9..=STARTUP_BYTES_MAX).contains(&length) && name
        }
        SSL_REQUEST | GSS_REQUEST => length == 8,
        CANCEL_REQUEST => length == 16,
        _ => false,
    };
    if fits { Fit::Yes } else { Fit::No }
}

fn answers(head: &[u8]) -> Fit {
    match head {
        [] | [b'S' | b'G' | b'N'] => {
            if head.is_empty() {
                Fit::Could
            } else {
                Fit::Yes
            }
        }
        // A typed message: authentication, an error, a notice, or version negotiation.
        [b'R' | b'E' | b'N' | b'v', 0, 0, ..] => Fit::Yes,
        [b'R' | b'E' | b'v'] | [b'R' | b'E' | b'v', 0] => Fit::Could,
        [b'S' | b'G', 0x16, ..] | [b'N', 0, ..] => Fit::Yes,
        _ => Fit::No,
    }
}

/// Both directions' messages.
#[derive(Debug, Default)]
pub(super) struct Messages {
    client: Client,
    header: Both<Header>,
}

/// How the client's next message begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Client {
    /// With its length.
    #[default]
    Startup,
    /// It asked for encryption; the server answers with one byte.
    AwaitsEncryption,
    Typed,
    Lost,
}

#[derive(Clone, Copy, Debug, Default)]
struct Header {
    kind: u8,
    length: u32,
    count: u8,
    left: u32,
}

impl Follow for Messages {
    fn feed(&mut self, side: Side, mut bytes: &[u8], _: &mut Context<'_>) -> Step {
        while let [byte, rest @ ..] = bytes {
            if self.client == Client::Lost {
                return Step::Unchecked;
            }
            if side == Side::Responder && self.client == Client::AwaitsEncryption {
                self.client = Client::Startup;
                bytes = rest;
                match byte {
                    b'S' => return Step::Becomes(Next::Tls, rest.len()),
                    b'N' => continue,
                    b'G' => return Step::Becomes(Next::Tunnel, rest.len()),
                    b'E' => {}
                    _ => return Step::Left,
                }
            }
            let header = self.header.of_mut(side);
            if header.left > 0 {
                let taken = bytes.len().min(header.left as usize);
                header.left -= u32::try_from(taken).unwrap_or(header.left);
                bytes = bytes.get(taken..).unwrap_or_default();
                continue;
            }
            bytes = rest;
            if self.header_byte(side, *byte) == Step::Left {
                return Step::Left;
            }
        }
        Step::Obeys
    }

    fn gap(&mut self, _: Side) {
        self.client = Client::Lost;
    }
}

impl Messages {
    fn header_byte(&mut self, side: Side, byte: u8) -> Step {
        let untyped = side == Side::Originator && self.client == Client::Startup;
        let header = self.header.of_mut(side);
        header.count += 1;
        if header.count == 1 && !untyped {
            header.kind = byte;
            let known = match side {
                Side::Originator => b"QPBEDSCHFfdcpX".contains(&byte),
                Side::Responder => b"RKSZTDCEINnt123AGHWVvdcs".contains(&byte),
            };
            return if known { Step::Obeys } else { Step::Left };
        }
        header.length = header.length << 8 | u32::from(byte);
        if header.count < if untyped { 4 } else { 5 } {
            return Step::Obeys;
        }
        let length = header.length;
        *header = Header { left: length.saturating_sub(4), ..Header::default() };
        if untyped {
            self.client = if length == 8 { Client::AwaitsEncryption } else { Client::Typed };
            return if !(8..=STARTUP_BYTES_MAX).contains(&length) {
                Step::Left
            } else {
                Step::Obeys
            };
        }
        if (4..=MESSAGE_BYTES_MAX).contains(&length) { Step::Obeys } else { Step::Left }
    }
}

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
const STARTUP_BYTES_MAX: u32 = 10_000;
const MESSAGE_BYTES_MAX: u32 = 1 << 30;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_query_is_postgresql() {
        let story = Story::of(&[
            client(b"\0\0\0\x08\x04\xd2\x16\x2f"),
            server(b"N"),
            client(b"\0\0\0\x10\0\x03\0\0user\0a\0\0"),
            server(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"),
            client(b"Q\0\0\0\x08id\n\0"),
        ]);
        story.is_confirmed("postgresql");
        story.is_obeyed_after(0);
    }

    #[test]
    fn postgresql_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"\0\0\0\x08\x04\xd2")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_the_startup_leaves() {
        let startup = client(b"\0\0\0\x10\0\x03\0\0user\0a\0\0");
        Story::of(&[startup, server(b"id\n")]).is_left_by_server();
        let ready = server(b"R\0\0\0\x08\0\0\0\0");
        Story::of(&[startup, ready, client(b"uid=0(root)\n")]).is_left_by_client();
    }
}
