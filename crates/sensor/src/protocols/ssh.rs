//! SSH, by its identification string: RFC 4253, section 4.2; then by its packets, section 6.

use alloc::string::String;
use alloc::vec::Vec;

use observation::{DetailKind, Side};

use super::client_hello::Fields;

use super::follow::{Both, Context, Follow, Follower, Step};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, is_readable, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "ssh",
    first_bytes: FirstBytes::of(b"S"),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Ssh(Conversation::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    match (literal(heads.opener, BANNER), literal(heads.answerer, BANNER)) {
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, Fit::Could) => Verdict::Proposed(Side::Originator),
        (Fit::Could, Fit::Yes) => Verdict::Proposed(Side::Responder),
        (Fit::Could, Fit::Could) => Verdict::Unsure,
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
    }
}

/// Follows both directions independently: identification line, packets in the clear up to
/// NEWKEYS, then ciphertext, which must not be readable.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    sides: Both<Direction>,
}

#[derive(Debug, Default)]
struct Direction {
    stage: Stage,
    /// Bytes of the current line or header so far.
    count: u32,
    /// The current packet's header: length, padding length, message number.
    header: [u8; HEADER_BYTES],
    ciphertext: Ciphertext,
    packets: u32,
    /// The identification string, then the body of KEXINIT, as long as they are needed.
    kept: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Banner,
    Header,
    /// So many bytes of the packet's body are to come; then `NewKeys` decides the stage.
    Body(u32),
    Encrypted,
    Lost,
}

impl Follow for Conversation {
    fn feed(&mut self, side: Side, mut bytes: &[u8], context: &mut Context<'_>) -> Step {
        while let [byte, rest @ ..] = bytes {
            let direction = self.sides.of_mut(side);
            let step = match direction.stage {
                Stage::Banner => direction.banner(*byte, side, context),
                Stage::Header => direction.header(*byte),
                Stage::Body(left) => {
                    let taken = (left as usize).min(bytes.len());
                    direction.keep(bytes.get(..taken).unwrap_or_default());
                    bytes = bytes.get(taken..).unwrap_or_default();
                    direction.body(left - u32::try_from(taken).unwrap_or(left));
                    self.agree(side, context);
                    continue;
                }
                Stage::Encrypted => return direction.ciphertext.feed(bytes),
                Stage::Lost => return Step::Unchecked,
            };
            if step == Step::Left {
                return step;
            }
            bytes = rest;
        }
        Step::Obeys
    }

    fn held(&self) -> usize {
        self.sides.sum(|direction| direction.kept.capacity())
    }

    fn gap(&mut self, side: Side) {
        let direction = self.sides.of_mut(side);
        // Ciphertext has no framing that a gap could break.
        if direction.stage != Stage::Encrypted {
            direction.stage = Stage::Lost;
        }
    }
}

impl Conversation {
    /// A packet in the clear may have ended: with both KEXINITs the algorithms are known, with both
    /// NEWKEYS the handshake is done.
    fn agree(&mut self, side: Side, context: &mut Context<'_>) {
        let (client, server) = (self.sides.of(Side::Originator), self.sides.of(Side::Responder));
        if client.has_kexinit() && server.has_kexinit() {
            let agreed = agreement(&client.kept, &server.kept);
            context.detail("ssh", DetailKind::Agreement, side, agreed.as_bytes());
            self.sides.of_mut(Side::Originator).kept = Vec::new();
            self.sides.of_mut(Side::Responder).kept = Vec::new();
        } else if client.stage == Stage::Encrypted && server.stage == Stage::Encrypted {
            context.detail("ssh", DetailKind::Handshake, side, b"newkeys");
        }
    }
}

/// The first of the client's algorithms for key exchange, host key and cipher that the server has
/// too: RFC 4253, section 7.1.
fn agreement(client: &[u8], server: &[u8]) -> String {
    let (mut client, mut server) = (Fields(client), Fields(server));
    // The cookie.
    client.take(COOKIE_BYTES);
    server.take(COOKIE_BYTES);
    let mut agreed = String::new();
    for _ in 0..AGREED_COUNT {
        let (Some(wanted), Some(known)) = (names(&mut client), names(&mut server)) else { break };
        let is_comma = |byte: &u8| *byte == b',';
        let first = wanted.split(is_comma).find(|name| known.split(is_comma).any(|it| it == *name));
        if !agreed.is_empty() {
            agreed.push(',');
        }
        agreed.push_str(&String::from_utf8_lossy(first.unwrap_or_default()));
    }
    agreed
}

/// A name-list: RFC 4251, section 5.
fn names<'a>(fields: &mut Fields<'a>) -> Option<&'a [u8]> {
    let length = u32::from_be_bytes(*fields.take(4)?.first_chunk()?);
    fields.take(length as usize)
}

impl Direction {
    /// Whether its KEXINIT has come, and is still here.
    fn has_kexinit(&self) -> bool {
        let begun = matches!(self.stage, Stage::Header | Stage::Body(_) | Stage::Encrypted);
        begun && self.packets > 0 && self.kexinit_left() == 0 && !self.kept.is_empty()
    }

    const fn kexinit_left(&self) -> u32 {
        match self.stage {
            Stage::Body(left) if self.packets == 1 => left,
            _ => 0,
        }
    }

    /// Keeps the body of the first packet, as far as it is needed.
    fn keep(&mut self, body: &[u8]) {
        if self.packets == 1 {
            let room = KEXINIT_BYTES_MAX.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(body.get(..room).unwrap_or(body));
        }
    }

    fn banner(&mut self, byte: u8, side: Side, context: &mut Context<'_>) -> Step {
        let at = self.count as usize;
        self.count += 1;
        if BANNER.get(at).is_some_and(|expected| *expected != byte)
            || self.count > BANNER_BYTES_MAX
            || !matches!(byte, b' '..=b'~' | b'\r' | b'\n' | 0x80..)
        {
            return Step::Left;
        }
        if byte == b'\n' {
            self.stage = Stage::Header;
            self.count = 0;
            context.detail("ssh", DetailKind::Software, side, self.kept.trim_ascii_end());
            self.kept.clear();
        } else {
            self.kept.push(byte);
        }
        Step::Obeys
    }

    fn header(&mut self, byte: u8) -> Step {
        if let Some(place) = self.header.get_mut(self.count as usize) {
            *place = byte;
        }
        self.count += 1;
        if (self.count as usize) < HEADER_BYTES {
            return if self.length() > PACKET_BYTES_MAX { Step::Left } else { Step::Obeys };
        }
        let [.., padding, message] = self.header;
        let length = self.length();
        // The first packet of each side is KEXINIT; only transport messages may come in the clear.
        let allowed = if self.packets == 0 { message == KEXINIT } else { message < USERAUTH };
        if !allowed || padding < 4 || length < u32::from(padding) + 2 || length > PACKET_BYTES_MAX {
            return Step::Left;
        }
        self.packets = self.packets.saturating_add(1);
        self.count = 0;
        self.body(length - 2);
        Step::Obeys
    }

    fn body(&mut self, left: u32) {
        let [.., message] = self.header;
        self.stage = match left {
            0 if message == NEWKEYS => Stage::Encrypted,
            0 => Stage::Header,
            _ => Stage::Body(left),
        };
    }

    fn length(&self) -> u32 {
        let [a, b, c, d, ..] = self.header;
        match self.count {
            0..4 => u32::from_be_bytes([a, if self.count > 1 { b } else { 0 }, 0, 0]),
            _ => u32::from_be_bytes([a, b, c, d]),
        }
    }
}

/// What claims to be ciphertext: a long run of printable bytes in it is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ciphertext {
    printable_run: u32,
}

impl Ciphertext {
    /// Looks at the beginning of `bytes`. Of random bytes 98 in 256 are printable, so a run of
    /// `PRINTABLE_RUN_MAX` comes by chance once in 10^13 tries.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Step {
        let mut rest = bytes.get(..CIPHERTEXT_LOOK_BYTES).unwrap_or(bytes);
        // From behind, what would make the run too long is mostly passed at its last byte.
        loop {
            let missing = (PRINTABLE_RUN_MAX + 1).saturating_sub(self.printable_run) as usize;
            let next = rest.get(..missing).unwrap_or(rest);
            match next.iter().rposition(|byte| !is_readable(*byte)) {
                Some(place) => {
                    self.printable_run = 0;
                    rest = rest.get(place + 1..).unwrap_or_default();
                }
                None if next.len() == missing => return Step::Left,
                None => {
                    self.printable_run += next.len() as u32;
                    return Step::Obeys;
                }
            }
        }
    }
}

const BANNER: &[u8] = b"SSH-";
const BANNER_BYTES_MAX: u32 = 255;
const HEADER_BYTES: usize = 6;
/// RFC 4253 asks for 35,000; OpenSSH takes 256 KiB.
const PACKET_BYTES_MAX: u32 = 256 * 1024;
const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;
const COOKIE_BYTES: usize = 16;
/// Key exchange, host key, cipher towards the server.
const AGREED_COUNT: usize = 3;
/// What is longer holds what comes behind the first three lists.
const KEXINIT_BYTES_MAX: usize = 4096;
const USERAUTH: u8 = 50;
const PRINTABLE_RUN_MAX: u32 = 32;
const CIPHERTEXT_LOOK_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use observation::Side;

    use crate::protocols::story::{Story, Turn, client, server};

    const BANNERS: [Turn<'_>; 2] = [
        (Side::Responder, b"SSH-2.0-OpenSSH_9.2\r\n"),
        (Side::Originator, b"SSH-2.0-dropbear\r\n"),
    ];
    const KEXINIT: &[u8; 16] = b"\0\0\0\x0c\x04\x14abcdef\0\0\0\0";
    const NEWKEYS: &[u8; 16] = b"\0\0\0\x0c\x0a\x15\0\0\0\0\0\0\0\0\0\0";

    #[test]
    fn banners_and_key_exchange_are_ssh() {
        let [server_banner, client_banner] = BANNERS;
        let story = Story::of(&[
            server_banner,
            client_banner,
            server(KEXINIT),
            client(KEXINIT),
            server(NEWKEYS),
            client(NEWKEYS),
            server(b"\x91\x02\xf3\xc4\x05\xe6abc\x07\x98"),
        ]);
        story.is_confirmed("ssh");
        story.is_obeyed_after(0);
    }

    fn kexinit(lists: [&str; 3]) -> Vec<u8> {
        let mut body = b"\x14".to_vec();
        body.extend_from_slice(&[7; 16]);
        for list in lists {
            body.extend_from_slice(&u32::try_from(list.len()).unwrap().to_be_bytes());
            body.extend_from_slice(list.as_bytes());
        }
        body.extend_from_slice(&[0; 40]);
        let length = u32::try_from(body.len() + 1 + 4).unwrap();
        [&length.to_be_bytes()[..], &[4], &body, &[0; 4]].concat()
    }

    #[test]
    fn what_both_sides_agree_on_is_told() {
        let [server_banner, client_banner] = BANNERS;
        let asks = kexinit(["curve25519-sha256,ecdh", "ssh-ed25519", "aes128-ctr,aes256-ctr"]);
        let offers = kexinit(["ecdh", "rsa,ssh-ed25519", "aes256-ctr"]);
        let story = Story::of(&[
            server_banner,
            client_banner,
            (Side::Responder, &offers),
            (Side::Originator, &asks),
            server(NEWKEYS),
            client(NEWKEYS),
        ]);
        let told = [
            "Software, side: Responder, value: \"SSH-2.0-OpenSSH_9.2\"",
            "Software, side: Originator, value: \"SSH-2.0-dropbear\"",
            "Agreement, side: Originator, value: \"ecdh,ssh-ed25519,aes256-ctr\"",
            "Handshake, side: Originator, value: \"newkeys\"",
        ];
        assert_eq!(story.facts.len(), told.len(), "{story:?}");
        assert!(story.facts.iter().zip(told).all(|(fact, told)| fact.contains(told)), "{story:?}");
    }

    #[test]
    fn ssh_cut_short_is_unsure() {
        assert!(Story::of(&[server(b"SSH")]).names.is_empty());
    }

    #[test]
    fn banners_and_then_a_shell_leave() {
        let [server_banner, client_banner] = BANNERS;
        Story::of(&[server_banner, client_banner, server(b"id\n")]).is_left_by_server();
        let story =
            Story::of(&[server_banner, client_banner, server(KEXINIT), client(b"uid=0(root)\n")]);
        story.is_left_by_client();
        // A first packet that is no KEXINIT.
        Story::of(&[server_banner, client_banner, server(NEWKEYS)]).is_left_by_server();
    }

    #[test]
    fn a_faked_key_exchange_before_a_shell_leaves() {
        let [server_banner, client_banner] = BANNERS;
        let story = Story::of(&[
            server_banner,
            client_banner,
            server(KEXINIT),
            client(KEXINIT),
            server(NEWKEYS),
            server(b"cat /etc/passwd; uname -a; ls -la /root\n"),
        ]);
        story.is_left_by_server();
    }

    #[test]
    fn a_greeting_alone_is_only_proposed() {
        let [server_banner, _] = BANNERS;
        Story::of(&[server_banner]).is_only_proposed("ssh");
        Story::of(&[server_banner, client(b"uid=0(root)\n")]).is_left_by_client();
    }
}
