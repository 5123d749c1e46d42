//! TLS, by the record and handshake headers of both hellos: RFC 8446, section 5.1; then record by
//! record. Readable bytes in records of application data are no TLS.

use alloc::boxed::Box;
use alloc::vec::Vec;

use observation::{Handshake, Side};

use super::client_hello::{Carrier, ClientHello, EarlyData};
use super::follow::{Both, Context, Follow, Follower, Skipped, Step};
use super::registry::{FirstBytes, Protocol, Transports};
use super::ssh::Ciphertext;
use super::tls_habits::Habits;
use super::tls_session::{Client, Negotiated, ServerHello, Story};
use super::words::Fit;
use super::{Heads, Heard, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "tls",
    first_bytes: FirstBytes::of(&[HANDSHAKE]),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Tls(Box::<Records>::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        // Only its own side was captured, or it speaks something else.
        return match (heads.opener, hello(heads.answerer, SERVER_HELLO)) {
            ([], Fit::Yes) => Verdict::Proposed(Side::Responder),
            ([], Fit::Could) => Verdict::Unsure,
            _ => Verdict::Never,
        };
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
    story: Story,
    habits: Habits,
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
    sealed: Sealed,
    /// The level of an alert in clear, once it has come.
    alert: Option<u8>,
}

/// Whether this side has sent a record that only the negotiated keys open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sealed {
    #[default]
    NotYet,
    Yes,
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
                    (taken, if whole { self.begin(side, context) } else { self.doubt(side) })
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

    fn skip(&mut self, side: Side, count: u64) -> Skipped {
        let direction = self.sides.of_mut(side);
        let [kind, ..] = direction.header;
        match (direction.stage, usize::try_from(count)) {
            // What is lost of a handshake in clear may have been its hello.
            (Stage::Body(left), Ok(count))
                if count <= left
                    && (direction.cipher == Cipher::On || kind == APPLICATION_DATA) =>
            {
                direction.stage = match left - count {
                    0 => Stage::Header,
                    left => Stage::Body(left),
                };
                Skipped::Yes
            }
            _ => Skipped::No,
        }
    }

    fn held(&self) -> usize {
        self.sides.sum(|direction| direction.message.kept.capacity()) + self.story.held()
    }

    fn gap(&mut self, side: Side) {
        // Nothing marks the beginning of a record; a hello may have been lost with the rest.
        let direction = self.sides.of_mut(side);
        direction.stage = Stage::Lost;
        direction.greeted = Greeted::Yes;
        self.story.lose_sight();
    }

    fn end(&mut self, context: &mut Context<'_>) {
        let is_silent = self.sides.of(Side::Originator).is_silent();
        self.story.end(if is_silent { Client::Silent } else { Client::Heard }, context);
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
    fn begin(&mut self, side: Side, context: &mut Context<'_>) -> Step {
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
        if direction.sealed == Sealed::NotYet {
            self.note_sealed(side, kind, length, context);
        }
        if unanswered { Step::Unchecked } else { Step::Obeys }
    }

    /// Notes a side's first record under the negotiated keys. With one of each side the handshake
    /// is completed.
    fn note_sealed(&mut self, side: Side, kind: u8, length: usize, context: &mut Context<'_>) {
        let direction = self.sides.of_mut(side);
        let sealed = match self.negotiated {
            Negotiated::Unknown => false,
            Negotiated::BeforeTls13 => direction.cipher == Cipher::On && kind != ALERT,
            // A client that refuses sends a sealed alert, which is shorter than any Finished.
            Negotiated::Tls13 => kind == APPLICATION_DATA && length > SEALED_ALERT_BYTES_MAX,
        };
        if sealed {
            direction.sealed = Sealed::Yes;
            if self.sides.of(side.other()).sealed == Sealed::Yes {
                self.story.tell(Handshake::Completed, context);
            }
        }
    }

    /// An alert in clear ends the handshake, unless it only warns.
    fn alert(&mut self, side: Side, body: &[u8], context: &mut Context<'_>) {
        for byte in body {
            let direction = self.sides.of_mut(side);
            match direction.alert.take() {
                None => direction.alert = Some(*byte),
                Some(level) if level == FATAL || *byte == CLOSE_NOTIFY => {
                    self.story.tell(Handshake::Refused(side, *byte), context);
                }
                Some(_) => {}
            }
        }
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
            (ALERT, Cipher::Off) => {
                self.alert(side, body, context);
                Step::Obeys
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
                if !self.understand(side, &message, context) {
                    return Step::Left;
                }
            }
        }
        Step::Obeys
    }

    fn understand(&mut self, side: Side, message: &Message, context: &mut Context<'_>) -> bool {
        let [kind, ..] = message.header;
        let is_whole = message.length() == message.kept.len();
        match kind {
            CLIENT_HELLO if is_whole => {
                let Some(hello) = ClientHello::parse(&message.kept) else { return false };
                self.early_data = hello.early_data;
                self.habits.asked(&hello, context);
                if let Some(session) = self.story.session() {
                    session.asked(&hello);
                }
                if context.ja4.is_none() {
                    let ja4 = hello.ja4(Carrier::Tcp);
                    (context.heard)(Heard::Tls(hello.fact(&ja4)));
                    *context.ja4 = Some(ja4.into_boxed_str());
                }
                true
            }
            SERVER_HELLO => {
                let Some(hello) = ServerHello::parse(&message.kept) else { return false };
                self.negotiated = hello.negotiated;
                if let Some(session) = self.story.session() {
                    session.agreed(&hello);
                }
                true
            }
            CERTIFICATE => {
                if let Some(session) = self.story.session() {
                    self.habits.chain(side, &message.kept, session, context);
                }
                true
            }
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

    /// Only hellos and the beginning of a certificate chain are looked into.
    fn keep(&mut self, bytes: &[u8]) {
        let [kind, ..] = self.header;
        if matches!(kind, CLIENT_HELLO | SERVER_HELLO | CERTIFICATE) {
            let room = HELLO_BYTES_MAX.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
    }
}

const CHANGE_CIPHER: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const HEARTBEAT: u8 = 24;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const FATAL: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;
/// Level, description, content type and the longest tag; the shortest Finished has 32 bytes more.
const SEALED_ALERT_BYTES_MAX: usize = 2 + 1 + 16;
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
    use alloc::string::String;
    use alloc::vec::Vec;

    use observation::{Grammar, Side, Transport};

    use crate::protocols::story::{Story, Teller};

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
            (S, record(23, &[0x91; 60])),
            (C, record(23, &[0x91; 60])),
        ]);
        story.is_confirmed("tls");
        story.is_obeyed_after(0);
        assert_eq!(
            story.facts,
            [
                r#"Tls(TlsHello { flow: FlowId(0), server_name: "a.bcd", alpn: "h2", ja4: "t13d0203h2_62ed6f6ca7ad_b9a491fefe05", alpn_offered: "h2", version: 772, encrypted_hello: Absent, resumption: None })"#,
                r#"TlsSession(TlsSession { flow: FlowId(0), outcome: Completed, version: 772, cipher: 4865, alpn: "", resumption: None, certificate: None })"#
            ]
        );
        assert_eq!(story.ja4.as_deref(), Some("t13d0203h2_62ed6f6ca7ad_b9a491fefe05"));
    }

    fn outcome(turns: &[(Side, Vec<u8>)]) -> String {
        let story = of(turns);
        let told = story.facts.iter().filter(|fact| fact.starts_with("TlsSession"));
        let told: Vec<_> = told.collect();
        assert_eq!(told.len(), 1, "{story:?}");
        told[0].split("outcome: ").nth(1).unwrap().split(", version").next().unwrap().into()
    }

    #[test]
    fn a_handshake_is_told_with_how_it_went() {
        let ask = (C, client_hello(NAME_AND_ALPN));
        let answer = (S, server_hello(CHOOSES_13));
        assert_eq!(outcome(core::slice::from_ref(&ask)), "Unanswered");
        assert_eq!(outcome(&[ask.clone(), (S, b"id\n".to_vec())]), "Unanswered");
        assert_eq!(outcome(&[ask.clone(), answer.clone()]), "Unfinished");
        let refusal = (S, record(21, &[2, 40]));
        assert_eq!(outcome(&[ask.clone(), refusal.clone()]), "Refused(Responder, 40)");
        let warned = [ask.clone(), (S, record(21, &[1, 112])), answer.clone()];
        assert_eq!(outcome(&warned), "Unfinished");
        // A client that does not believe the certificate says so under the new keys.
        let sealed = (S, record(23, &[0x91; 60]));
        let doubts = [ask.clone(), answer.clone(), sealed, (C, record(23, &[0x91; 19]))];
        assert_eq!(outcome(&doubts), "Unfinished");
        assert_eq!(outcome(&[answer]), "Unseen");
    }

    /// O=Tide,CN=c2.example; signed by itself.
    const CERTIFICATE: &str = "308201bb30820160a0030201020214579e8748efe0f6a2a7a79e966b3c34701e205dfc300a06082a8648ce3d\
        04030230243113301106035504030c0a63322e6578616d706c65310d300b060355040a0c0454696465301e17\
        0d3236313132383134303435375a170d3336313132353134303435375a30243113301106035504030c0a6332\
        2e6578616d706c65310d300b060355040a0c04546964653059301306072a8648ce3d020106082a8648ce3d03\
        0107034200046639f9c767a0b27f2b0e3f9698586a7aff069dbbb75a98d51afd742f61ba583374d1d2e1ce0e\
        b2c18ce8fbfa9175da627d037b45e23fa5a66d13dc6e299f813ba370306e301d0603551d0e04160414565482\
        6df1c503b5426431f835b26e23a382a97f301f0603551d230418301680145654826df1c503b5426431f835b2\
        6e23a382a97f300f0603551d130101ff040530030101ff301b0603551d1104143012820a63322e6578616d70\
        6c658704c633640a300a06082a8648ce3d0403020349003046022100aa7d526a8f5f2fe85b3eec04091d9004\
        3bb24366e986c042cec5efb2a52b72c0022100fffde4a2f0e6cbae6dece04fb5093834097425c88b110aba8e\
        67819b146b8952";

    #[test]
    fn tls_1_2_shows_a_certificate_and_a_resumed_session_none() {
        let digits = CERTIFICATE.as_bytes();
        let hex = |at: usize| char::from(digits[at]).to_digit(16).unwrap() as u8;
        let der: Vec<u8> =
            (0..digits.len()).step_by(2).map(|at| hex(at) << 4 | hex(at + 1)).collect();
        let length = [0, (der.len() >> 8) as u8, der.len() as u8];
        let list = [0, ((der.len() + 3) >> 8) as u8, (der.len() + 3) as u8];
        let message = handshake(11, &[&list[..], &length, &der].concat());
        let (change, finished) = (record(20, &[1]), record(22, &[0x91; 40]));
        let story = of(&[
            (C, client_hello(b"\0\x10\0\x05\0\x03\x02h2")),
            (S, server_hello(b"\0\x10\0\x05\0\x03\x02h2")),
            (S, message),
            (S, handshake(14, b"")),
            (C, handshake(16, &[0x91; 66])),
            (C, change.clone()),
            (C, finished.clone()),
            (S, change),
            (S, finished),
        ]);
        story.is_obeyed_after(0);
        assert_eq!(
            story.facts[1],
            r#"TlsSession(TlsSession { flow: FlowId(0), outcome: Completed, version: 771, cipher: 4865, alpn: "h2", resumption: None, certificate: Some(Certificate { subject: "O=Tide,CN=c2.example", issuer: "O=Tide,CN=c2.example", not_before: Time(1795874697000000000), not_after: Time(2111234697000000000), names: ["c2.example", "198.51.100.10"], chain_count: 1 }) })"#
        );
    }

    #[test]
    fn a_session_id_that_comes_back_is_a_resumption() {
        let mut ask = client_hello(b"");
        let mut answer = server_hello(b"");
        for hello in [&mut ask, &mut answer] {
            // The session id stands behind version and random.
            hello.splice(43..44, [4, 1, 2, 3, 4]);
            hello[4] += 4;
            hello[8] += 4;
        }
        let resumed = of(&[(C, ask.clone()), (S, answer)]);
        assert!(resumed.facts[0].contains("resumption: Asked"), "{resumed:?}");
        assert!(resumed.facts[1].contains("resumption: Agreed"), "{resumed:?}");
        let refused = of(&[(C, ask), (S, server_hello(b""))]);
        assert!(refused.facts[1].contains("resumption: None"), "{refused:?}");
    }

    #[test]
    fn a_hello_that_hides_another_says_so() {
        let story = of(&[(C, client_hello(b"\xfe\x0d\0\x01\0"))]);
        assert!(story.facts[0].contains("encrypted_hello: Present"), "{story:?}");
    }

    #[test]
    fn records_that_were_lost_within_their_bodies_do_not_break_the_framing() {
        let mut teller = Teller::new(Transport::Tcp);
        teller.turn(C, &client_hello(NAME_AND_ALPN), usize::MAX);
        teller.turn(S, &server_hello(CHOOSES_13), usize::MAX);
        teller.turn(S, &record(23, &[0x91; 900])[..100], usize::MAX);
        teller.lose(S, 805);
        teller.turn(S, &record(23, &[0x91; 9]), usize::MAX);
        teller.turn(S, b"id\n", usize::MAX);
        teller.end().is_left_by_server();
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
