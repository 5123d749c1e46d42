//! TLS, by the record and handshake headers of both hellos: RFC 8446, section 5.1; then record by
//! record. Readable bytes in records of application data are no TLS.

use alloc::vec::Vec;

use observation::Side;

use super::client_hello::{Carrier, ClientHello, EarlyData, Fields, SUPPORTED_VERSIONS};
use super::follow::{Both, Context, Follow, Follower, Step};
use super::registry::{FirstBytes, Protocol, Transports};
use super::ssh::Ciphertext;
use super::words::Fit;
use super::{Heads, Heard, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "tls",
    first_bytes: FirstBytes::of(&[HANDSHAKE]),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Tls(Records::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    match (hello(heads.opener, CLIENT_HELLO), answer(heads.answerer)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, Fit::Could) => Verdict::Proposed(Side::Originator),
        (Fit::Could, _) => Verdict::Unsure,
    }
}

fn answer(head: &[u8]) -> Fit {
    let alert = [ALERT, 3].iter().zip(head).all(|(a, b)| a == b)
        && head.get(2).is_none_or(|minor| *minor <= MINOR_MAX)
        && [0, 2].iter().zip(head.get(3..).unwrap_or_default()).all(|(a, b)| a == b);
    let alert = match (alert, head.len()) {
        (false, _) => Fit::No,
        (true, 0..5) => Fit::Could,
        (true, _) => Fit::Yes,
    };
    hello(head, SERVER_HELLO).or(alert)
}

/// A record of at most 16 KiB that holds the beginning of this hello.
fn hello(head: &[u8], message: u8) -> Fit {
    let fits = head.iter().enumerate().take(7).all(|(index, byte)| match index {
        0 => *byte == HANDSHAKE,
        1 => *byte == 3,
        2 => *byte <= MINOR_MAX,
        3 => *byte <= 0x48,
        5 => *byte == message,
        6 => *byte == 0,
        _ => true,
    });
    match (fits, head.len()) {
        (false, _) => Fit::No,
        (true, 0..7) => Fit::Could,
        (true, _) => Fit::Yes,
    }
}

/// Both directions' records.
#[derive(Debug, Default)]
pub(super) struct Records {
    sides: Both<Direction>,
    early_data: EarlyData,
    negotiated: Negotiated,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Negotiated {
    #[default]
    Unknown,
    BeforeTls13,
    Tls13,
}

#[derive(Debug, Default)]
struct Direction {
    stage: Stage,
    header: [u8; RECORD_HEADER_BYTES],
    header_count: usize,
    greeted: Greeted,
    cipher: Cipher,
    message: Message,
    ciphertext: Ciphertext,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Header,
    Body(usize),
    Lost,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Greeted {
    #[default]
    No,
    Yes,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Cipher {
    #[default]
    Off,
    On,
}

/// The handshake message that is being put together.
#[derive(Debug, Default)]
struct Message {
    header: [u8; 4],
    header_count: usize,
    left: usize,
    kept: Vec<u8>,
}

impl Follow for Records {
    fn feed(&mut self, side: Side, mut bytes: &[u8], context: &mut Context<'_>) -> Step {
        let mut whole = Step::Obeys;
        while !bytes.is_empty() {
            let direction = self.sides.of_mut(side);
            let (taken, step) = match direction.stage {
                Stage::Header => {
                    let taken = direction.take_header(bytes);
                    let whole = direction.header_count == RECORD_HEADER_BYTES;
                    (taken, if whole { self.begin(side) } else { self.doubt(side) })
                }
                Stage::Body(left) => {
                    let taken = left.min(bytes.len());
                    let body = bytes.get(..taken).unwrap_or_default();
                    direction.stage = match left - taken {
                        0 => Stage::Header,
                        left => Stage::Body(left),
                    };
                    (taken, self.body(side, body, context))
                }
                Stage::Lost => return Step::Unchecked,
            };
            match step {
                Step::Obeys => {}
                Step::Unchecked => whole = Step::Unchecked,
                step => return step,
            }
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        whole
    }

    fn gap(&mut self, side: Side) {
        // Nothing marks the beginning of a record; a hello may have been lost with the rest.
        let direction = self.sides.of_mut(side);
        direction.stage = Stage::Lost;
        direction.greeted = Greeted::Yes;
    }
}

impl Direction {
    /// Whether nothing at all has come from this side.
    fn is_silent(&self) -> bool {
        self.stage == Stage::Header && self.header_count == 0 && self.header == [0; 5]
    }

    fn take_header(&mut self, bytes: &[u8]) -> usize {
        let room = self.header.get_mut(self.header_count..).unwrap_or_default();
        let taken = room.len().min(bytes.len());
        for (place, byte) in room.iter_mut().zip(bytes) {
            *place = *byte;
        }
        self.header_count += taken;
        taken
    }
}

impl Records {
    /// Whether a header that is still incomplete can become one.
    fn doubt(&self, side: Side) -> Step {
        let direction = self.sides.of(side);
        let [kind, major, minor, ..] = direction.header;
        let fits = (CHANGE_CIPHER..=HEARTBEAT).contains(&kind)
            && (direction.header_count < 2 || major == 3)
            && (direction.header_count < 3 || minor <= MINOR_MAX);
        if fits { Step::Obeys } else { Step::Left }
    }

    /// A whole record header came.
    fn begin(&mut self, side: Side) -> Step {
        if self.doubt(side) == Step::Left {
            return Step::Left;
        }
        let peer = self.sides.of(side.other());
        let (peer_greeted, peer_silent) = (peer.greeted, peer.is_silent());
        let direction = self.sides.of_mut(side);
        let [kind, _, _, high, low] = direction.header;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let clear = direction.cipher == Cipher::Off;
        let allowed = match kind {
            HANDSHAKE => length > 0,
            // The server may refuse without a hello.
            ALERT if clear && self.negotiated != Negotiated::Tls13 => length == 2,
            ALERT => true,
            CHANGE_CIPHER => direction.greeted == Greeted::Yes && length == 1,
            HEARTBEAT => !clear,
            _ if self.negotiated == Negotiated::BeforeTls13 => !clear,
            _ => {
                let early = self.early_data == EarlyData::Offered || peer_silent;
                direction.greeted == Greeted::Yes && (peer_greeted == Greeted::Yes || early)
            }
        };
        // Where only one side was captured, nothing can be said of its data.
        let unanswered = kind == APPLICATION_DATA && peer_silent;
        if !allowed || length > RECORD_BYTES_MAX {
            return Step::Left;
        }
        direction.header_count = 0;
        direction.stage = if length == 0 { Stage::Header } else { Stage::Body(length) };
        if unanswered { Step::Unchecked } else { Step::Obeys }
    }

    fn body(&mut self, side: Side, body: &[u8], context: &mut Context<'_>) -> Step {
        let direction = self.sides.of_mut(side);
        let [kind, ..] = direction.header;
        match (kind, direction.cipher) {
            (HANDSHAKE, Cipher::Off) => self.handshake(side, body, context),
            (APPLICATION_DATA, _) | (_, Cipher::On) => direction.ciphertext.feed(body),
            (CHANGE_CIPHER, Cipher::Off) => {
                // In TLS 1.3 it means nothing, and hellos may still follow a HelloRetryRequest.
                if self.negotiated != Negotiated::Tls13 {
                    direction.cipher = Cipher::On;
                }
                if body == [1] { Step::Obeys } else { Step::Left }
            }
            _ => Step::Obeys,
        }
    }

    fn handshake(&mut self, side: Side, mut body: &[u8], context: &mut Context<'_>) -> Step {
        while let [byte, rest @ ..] = body {
            let direction = self.sides.of_mut(side);
            let message = &mut direction.message;
            if message.header_count < message.header.len() {
                if let Some(place) = message.header.get_mut(message.header_count) {
                    *place = *byte;
                }
                message.header_count += 1;
                body = rest;
                if message.header_count == message.header.len() && !direction.begin_message(side) {
                    return Step::Left;
                }
            } else {
                let taken = message.left.min(body.len());
                message.keep(body.get(..taken).unwrap_or_default());
                message.left -= taken;
                body = body.get(taken..).unwrap_or_default();
            }
            let message = &self.sides.of(side).message;
            if message.header_count == message.header.len() && message.left == 0 {
                let message = core::mem::take(&mut self.sides.of_mut(side).message);
                if !self.understand(&message, context) {
                    return Step::Left;
                }
            }
        }
        Step::Obeys
    }

    fn understand(&mut self, message: &Message, context: &mut Context<'_>) -> bool {
        let [kind, ..] = message.header;
        match kind {
            CLIENT_HELLO if message.length() <= HELLO_BYTES_MAX => {
                let Some(hello) = ClientHello::parse(&message.kept) else { return false };
                self.early_data = hello.early_data;
                if context.ja4.is_none() {
                    let ja4 = hello.ja4(Carrier::Tcp);
                    (context.heard)(Heard::Tls {
                        server_name: &hello.server_name_text(),
                        alpn: &hello.alpn_text(),
                        ja4: &ja4,
                    });
                    *context.ja4 = Some(ja4.into_boxed_str());
                }
                true
            }
            SERVER_HELLO => match server_version(&message.kept) {
                Some(negotiated) => {
                    self.negotiated = negotiated;
                    true
                }
                None => false,
            },
            _ => true,
        }
    }
}

impl Direction {
    /// Whether a message of this kind may come here.
    fn begin_message(&mut self, side: Side) -> bool {
        let hello = match side {
            Side::Originator => CLIENT_HELLO,
            Side::Responder => SERVER_HELLO,
        };
        let [kind, ..] = self.message.header;
        let length = self.message.length();
        let first = self.greeted == Greeted::No;
        // HelloRequest is the one message that is older than the hello, and may be repeated.
        let allowed = if first { kind == hello } else { HANDSHAKE_KINDS.contains(&kind) };
        self.greeted = Greeted::Yes;
        self.message.left = length;
        allowed && length <= MESSAGE_BYTES_MAX
    }
}

impl Message {
    const fn length(&self) -> usize {
        let [_, a, b, c] = self.header;
        u32::from_be_bytes([0, a, b, c]) as usize
    }

    /// Only hellos are looked into.
    fn keep(&mut self, bytes: &[u8]) {
        let [kind, ..] = self.header;
        if matches!(kind, CLIENT_HELLO | SERVER_HELLO) {
            let room = HELLO_BYTES_MAX.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
    }
}

fn server_version(body: &[u8]) -> Option<Negotiated> {
    let mut fields = Fields(body);
    let [3, _] = fields.take(2)? else { return None };
    fields.take(32)?;
    fields.sized_by_byte()?;
    fields.take(3)?;
    let mut extensions = Fields(fields.sized_by_short().unwrap_or_default());
    while let (Some(kind), Some(_)) = (extensions.short(), extensions.sized_by_short()) {
        if kind == SUPPORTED_VERSIONS {
            // It is only ever sent to choose 1.3 or one of its drafts.
            return Some(Negotiated::Tls13);
        }
    }
    Some(Negotiated::BeforeTls13)
}

const CHANGE_CIPHER: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const HEARTBEAT: u8 = 24;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
/// RFC 8446 section 4, RFC 5246 section 7.4, and what has been registered since.
const HANDSHAKE_KINDS: &[u8] =
    &[0, 1, 2, 4, 5, 6, 8, 11, 12, 13, 14, 15, 16, 20, 21, 22, 23, 24, 25, 67, 254];
const MINOR_MAX: u8 = 4;
const RECORD_HEADER_BYTES: usize = 5;
/// 2^14 and what compression and encryption may add.
const RECORD_BYTES_MAX: usize = (1 << 14) + 2048;
/// Certificates can be long; nothing else is.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// A larger ClientHello is followed and not fingerprinted.
const HELLO_BYTES_MAX: usize = 1 << 14;
const _: () = assert!(HELLO_BYTES_MAX <= MESSAGE_BYTES_MAX);

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use observation::{Grammar, Side};

    use crate::protocols::story::Story;

    /// A handshake record with one message.
    fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap();
        let mut bytes = [&[22, 3, 3][..], &(length + 4).to_be_bytes(), &[kind, 0]].concat();
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap();
        [&[kind, 3, 3][..], &length.to_be_bytes(), body].concat()
    }

    fn client_hello(extensions: &[u8]) -> Vec<u8> {
        let length = u16::try_from(extensions.len()).unwrap();
        let ciphers = b"\0\x06\x13\x01\x13\x02\x0a\x0a\x01\0";
        let fixed = [&[3, 3][..], &[7; 32], &[0], ciphers, &length.to_be_bytes()].concat();
        handshake(1, &[&fixed, extensions].concat())
    }

    fn server_hello(extensions: &[u8]) -> Vec<u8> {
        let length = u16::try_from(extensions.len()).unwrap();
        let fixed = [&[3, 3][..], &[8; 32], &[0], &[0x13, 1, 0], &length.to_be_bytes()].concat();
        handshake(2, &[&fixed, extensions].concat())
    }

    const NAME_AND_ALPN: &[u8] =
        b"\0\0\0\x0a\0\x08\0\0\x05a.bcd\0\x10\0\x05\0\x03\x02h2\0\x2b\0\x03\x02\x03\x04";
    const CHOOSES_13: &[u8] = b"\0\x2b\0\x02\x03\x04";
    const SHELL: &[u8] = b"cat /etc/passwd; uname -a; ls -la /root\n";

    fn of(turns: &[(Side, Vec<u8>)]) -> Story {
        let turns: Vec<_> = turns.iter().map(|(side, bytes)| (*side, &**bytes)).collect();
        Story::of(&turns)
    }

    use Side::{Originator as C, Responder as S};

    #[test]
    fn two_hellos_are_tls_with_name_and_fingerprint() {
        let story = of(&[
            (C, client_hello(NAME_AND_ALPN)),
            (S, server_hello(CHOOSES_13)),
            (S, record(20, &[1])),
            (S, record(23, &[0x91, 0xf2, 0x03, 0xc4])),
            (C, record(23, &[0x91, 0xf2, 0x03, 0xc4])),
        ]);
        story.is_confirmed("tls");
        story.is_obeyed_after(0);
        assert_eq!(
            story.facts,
            [
                r#"Tls { server_name: "a.bcd", alpn: "h2", ja4: "t13d0203h2_62ed6f6ca7ad_b9a491fefe05" }"#
            ]
        );
        assert_eq!(story.ja4.as_deref(), Some("t13d0203h2_62ed6f6ca7ad_b9a491fefe05"));
    }

    #[test]
    fn tls_cut_short_is_unsure() {
        assert!(Story::of(&[(C, b"\x16\x03\x01\x02\0\x01")]).names.is_empty());
    }

    #[test]
    fn application_data_without_handshake_is_not_tls() {
        assert!(of(&[(C, record(23, SHELL)), (S, record(23, SHELL))]).names.is_empty());
    }

    #[test]
    fn a_client_hello_and_then_a_shell_leaves() {
        let hello = (C, client_hello(NAME_AND_ALPN));
        of(&[hello.clone(), (S, b"id\n".to_vec())]).is_left_by_server();
        // No ServerHello before the data.
        of(&[hello.clone(), (S, record(23, &[0x91; 40]))]).is_left_by_server();
        // What a client sends to a server that was not captured cannot be judged, unless it is
        // readable.
        let story = of(&[hello.clone(), (C, record(23, &[0x91; 40]))]);
        assert_eq!((story.left, story.grammars[1]), (None, Grammar::Unchecked));
        of(&[hello.clone(), (C, record(23, SHELL))]).is_left_by_client();
        // A refusal is an answer.
        let story = of(&[hello, (S, record(21, &[2, 40]))]);
        story.is_confirmed("tls");
        story.is_obeyed_after(0);
    }

    #[test]
    fn readable_application_data_leaves() {
        let story = of(&[
            (C, client_hello(NAME_AND_ALPN)),
            (S, server_hello(CHOOSES_13)),
            (S, record(23, SHELL)),
        ]);
        story.is_left_by_server();
    }

    #[test]
    fn data_before_the_cipher_is_changed_leaves_tls_1_2() {
        let story =
            of(&[(C, client_hello(b"")), (S, server_hello(b"")), (C, record(23, &[0x91; 40]))]);
        story.is_left_by_client();
    }

    #[test]
    fn a_hello_in_many_records_has_the_same_fingerprint() {
        let whole = client_hello(NAME_AND_ALPN);
        let split = [record(22, &whole[5..9]), record(22, &whole[9..])].concat();
        // The probe wants to see the message's type in the first record.
        assert_eq!(of(&[(C, split)]).ja4, of(&[(C, whole)]).ja4);
    }
}
