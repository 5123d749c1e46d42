//! Watches what no follower checks: whether both sides of a binary conversation have turned to
//! talking in lines, as a shell behind somebody else's handshake does.
//!
//! Every turn of a binary protocol begins with a header, and what is encrypted looks like no text.
//! A file that is carried may be text, and its segments may begin anywhere; but then the other
//! side's turns still begin with headers. So one side's text tells nothing, and a short line of one
//! side next to text of the other tells all.

use observation::{Side, Span, Time, Transport};

use super::follow::Both;
use super::registry::Protocol;
use super::words::any_literal;

/// What is read of a segment: enough that it is no text by chance.
const LOOK_BYTES_MAX: usize = 64;
/// Random bytes are text by 38 %, so that this many together are not.
const TEXT_BYTES_MIN: u32 = 16;
/// Whoever goes on after such a pause has something new to say; the flow's bursts end by it too.
const TURN_IDLE: Span = Span::from_millis(250);
/// What one types is no longer than this.
const COMMAND_BYTES_MAX: u32 = 256;

/// How a protocol's turns begin, where they are not binary, and how much talk belongs to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Whether a turn of the protocol may begin so although it is text.
    begins: fn(&[u8]) -> bool,
    /// How many turns of each side in a row have to be foreign.
    turn_count_min: u32,
}

/// The latest turns of both sides.
#[derive(Debug)]
pub(super) struct Turns {
    manner: Option<Manner>,
    speaker: Option<Side>,
    /// When it last spoke.
    spoke_at: Time,
    runs: Both<Run>,
    line: Line,
}

const _: () = assert!(size_of::<Turns>() < 64);

/// The turns of one side that were text, since something was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Run {
    turn_count: u32,
    bytes: u32,
    /// Of the latest turn.
    turn_bytes: u32,
}

/// Whether a line has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Open,
    Ended,
}

/// What the watch says of the bytes that it was just shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Talk {
    /// They may be the protocol's.
    Fits,
    /// Both sides talk in lines.
    Turned,
}

impl Turns {
    pub(super) fn of(protocol: &Protocol) -> Self {
        let manner = manner(protocol);
        let runs = Both::default();
        Self { manner, speaker: None, spoke_at: Time::default(), runs, line: Line::Open }
    }

    /// What `side` is saying belongs to the opening, which may be text.
    pub(super) fn opens(&mut self, side: Side, at: Time) {
        self.gap();
        (self.speaker, self.spoke_at) = (Some(side), at);
    }

    /// Whether there is anything to watch for.
    pub(super) const fn is_watching(&self) -> bool {
        self.manner.is_some()
    }

    /// The next bytes of `side`, or one datagram. Reads `LOOK_BYTES_MAX` of them.
    pub(super) fn feed(
        &mut self,
        side: Side,
        bytes: &[u8],
        at: Time,
        transport: Transport,
    ) -> Talk {
        let Some(manner) = self.manner else { return Talk::Fits };
        let goes_on = transport == Transport::Tcp
            && self.speaker == Some(side)
            && at.since(self.spoke_at) <= TURN_IDLE;
        (self.speaker, self.spoke_at) = (Some(side), at);
        if !reads_as_text(bytes) || (!goes_on && (manner.begins)(bytes)) {
            (self.runs, self.line) = (Both::default(), Line::Open);
            return Talk::Fits;
        }
        let run = self.runs.of_mut(side);
        match (goes_on, run.turn_count) {
            // The rest of a turn that began as the protocol's own is its content.
            (true, 0) => return Talk::Fits,
            (true, _) => {}
            (false, _) => run.begin_turn(),
        }
        run.add(bytes.len());
        if bytes.iter().rev().take(LOOK_BYTES_MAX).any(|byte| matches!(byte, b'\n' | b'\r')) {
            self.line = Line::Ended;
        }
        if self.has_turned(manner) { Talk::Turned } else { Talk::Fits }
    }

    /// Bytes were lost: what comes next may begin anywhere.
    pub(super) fn gap(&mut self) {
        (self.runs, self.line, self.speaker) = (Both::default(), Line::Open, None);
    }

    fn has_turned(&self, manner: Manner) -> bool {
        let runs = [self.runs.of(Side::Originator), self.runs.of(Side::Responder)];
        self.line == Line::Ended
            && runs.iter().all(|run| run.turn_count >= manner.turn_count_min)
            && runs.iter().any(|run| run.is_command())
            && runs.iter().map(|run| run.bytes).fold(0, u32::saturating_add) >= TEXT_BYTES_MIN
    }
}

impl Run {
    fn begin_turn(&mut self) {
        self.turn_count = self.turn_count.saturating_add(1);
        self.turn_bytes = 0;
    }

    fn add(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.turn_bytes = self.turn_bytes.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Whether its latest turn is short enough to have been typed.
    const fn is_command(self) -> bool {
        self.turn_count > 0 && self.turn_bytes <= COMMAND_BYTES_MAX
    }
}

/// Whether a segment's first bytes are what a terminal shows.
fn reads_as_text(bytes: &[u8]) -> bool {
    let look = bytes.get(..LOOK_BYTES_MAX).unwrap_or(bytes);
    let is_shown = |byte: &u8| match *byte {
        BELL | BACKSPACE | ESCAPE | b'\t' | b'\n' | b'\r' => true,
        byte => matches!(byte, b' '..=b'~' | 0x80..),
    };
    look.iter().all(is_shown)
        && match core::str::from_utf8(look) {
            Ok(_) => true,
            // The look may end within a character.
            Err(error) => error.error_len().is_none(),
        }
}

const BELL: u8 = 0x07;
const BACKSPACE: u8 = 0x08;
const ESCAPE: u8 = 0x1b;

/// What to watch for in `protocol`, where there is something.
fn manner(protocol: &Protocol) -> Option<Manner> {
    let binary = Manner { begins: |_| false, turn_count_min: 1 };
    Some(match protocol.name {
        // They are what a shell speaks.
        "rlogin" | "rsh" => return None,
        // Their followers vouch for nothing that is encrypted or another's.
        "dnscrypt" | "quic" | "stun" => binary,
        // Two bodies at once. A server that reports on an upload says more than one line.
        "http" => Manner { begins: begins_http, turn_count_min: 2 },
        _ if protocol.follow.is_some() => return None,
        "git" => Manner { begins: begins_packet_line, ..binary },
        "gnutella" | "ssdp" => Manner { begins: begins_http, ..binary },
        "ident" | "tinc" => Manner { begins: begins_number, ..binary },
        // The message of the day, a module's name.
        "rsync" => Manner { begins: begins_rsync, turn_count_min: 2 },
        "stratum" => Manner { begins: |turn| matches!(turn, [b'{' | b'[', ..]), ..binary },
        "svn" => Manner { begins: |turn| matches!(turn, [b'(' | b' ', ..]), ..binary },
        "xmpp" => Manner { begins: |turn| matches!(turn, [b'<' | b' ', ..]), ..binary },
        _ => binary,
    })
}

/// gitprotocol-common(5): four hexadecimal digits.
fn begins_packet_line(turn: &[u8]) -> bool {
    turn.iter().take(4).all(u8::is_ascii_hexdigit)
}

fn begins_number(turn: &[u8]) -> bool {
    turn.first().is_some_and(u8::is_ascii_digit)
}

fn begins_rsync(turn: &[u8]) -> bool {
    any_literal(turn, &[b"@RSYNCD: ", b"@ERROR", b"--"]).possible()
}

/// A start line: a method in capitals and a target, or a version.
fn begins_http(turn: &[u8]) -> bool {
    let is_capital = |byte: &&u8| byte.is_ascii_uppercase() || **byte == b'-';
    let letters = turn.iter().take_while(is_capital).count();
    match turn.get(letters) {
        None => true,
        Some(end) => letters >= 3 && matches!(end, b' ' | b'/'),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use observation::{Grammar, Side};

    use crate::protocols::story::{Story, Turn, client, server};

    const SHELL: [Turn<'_>; 4] = [
        (Side::Responder, b"id\n"),
        (Side::Originator, b"uid=0(root) gid=0(root) groups=0(root)\n"),
        (Side::Responder, b"uname -a\n"),
        (Side::Originator, b"Linux a 6.1.0-18-amd64 #1 SMP x86_64 GNU/Linux\n"),
    ];

    fn behind<'a>(opening: &[Turn<'a>]) -> Vec<Turn<'a>> {
        opening.iter().copied().chain(SHELL).collect()
    }

    const RFB: [Turn<'_>; 4] = [
        (Side::Responder, b"RFB 003.008\n"),
        (Side::Originator, b"RFB 003.008\n"),
        (Side::Responder, b"\x01\x01"),
        (Side::Originator, b"\x01"),
    ];

    #[test]
    fn a_shell_behind_a_screen_leaves_with_its_first_answer() {
        let story = Story::of(&behind(&RFB));
        story.is_left_by_client();
        assert_eq!(
            story.grammars[4..],
            [Grammar::Unchecked, Grammar::Left, Grammar::Left, Grammar::Left]
        );
    }

    #[test]
    fn a_screen_goes_on() {
        let mut turns = RFB.to_vec();
        turns.extend([
            server(b"\0\0\0\0"),
            client(b"\x01"),
            server(b"\x04\0\x03\0 \x18\0\x01\0\xff\0\xff\0\xff\x10\x08\0\0\0\0\0\0\0\x04desk"),
        ]);
        assert_eq!(Story::of(&turns).left, None);
    }

    #[test]
    fn a_text_file_is_content() {
        let piece = [b'a'; 300];
        let asks = b"\0\0\0\x0d\x06\0\0\0\0\0\0\0\0\0\0\x40\0";
        let mut turns = vec![
            client(
                b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            ),
            server(
                b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb",
            ),
        ];
        // The other side asks on while the piece is under way.
        turns.extend([client(asks), server(&piece), client(asks), server(b"one line\n")]);
        assert_eq!(Story::of(&turns).left, None);
    }

    #[test]
    fn rsync_has_something_to_say() {
        let opening = [server(b"@RSYNCD: 31.0\n"), client(b"@RSYNCD: 31.0\n")];
        let mut turns = opening.to_vec();
        turns.extend([
            server(b"Welcome to the mirror\n\n"),
            client(b"debian\n"),
            server(b"@RSYNCD: OK\n"),
            client(b"--server\n--sender\n-lr\n.\ndebian/\n\n"),
            server(b"\x01\0\0\x09abcd"),
        ]);
        assert_eq!(Story::of(&turns).left, None);
        Story::of(&behind(&opening)).is_left_by_client();
    }

    #[test]
    fn miners_talk_in_objects_and_shells_do_not() {
        let opening = [
            client(b"{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": []}\n"),
            server(b"{\"id\":1,\"result\":[[],\"08\",4],\"error\":null}\n"),
        ];
        let mut turns = opening.to_vec();
        turns.extend(opening);
        turns.extend(opening);
        assert_eq!(Story::of(&turns).left, None);
        let greeted = [server(b"{}\n"), client(b"{}\n")];
        let opening: Vec<_> = opening.into_iter().chain(greeted).collect();
        Story::of(&behind(&opening)).is_left_by_client();
    }

    #[test]
    fn a_shell_behind_datagrams_of_quic_leaves() {
        let mut initial = [0x5a; 1200];
        initial[..6].copy_from_slice(b"\xc3\0\0\0\x01\x08");
        initial[14..18].copy_from_slice(b"\0\0\x44\x9e");
        let mut answer = [0xa5; 1200];
        answer[..6].copy_from_slice(b"\xc1\0\0\0\x01\0");
        answer[6..7].copy_from_slice(b"\x08");
        answer[15..18].copy_from_slice(b"\0\x44\x9e");
        let opening = [client(&initial), server(&answer)];
        let story = Story::of_datagrams(&behind(&opening));
        assert_eq!(story.names, ["quic"], "{story:?}");
        story.is_left_by_client();
        let sealed = Story::of_datagrams(&[
            opening[0],
            opening[1],
            client(b"Abc\x80\x02"),
            server(b"Axyz12\xff"),
        ]);
        assert_eq!((&*sealed.names, sealed.left), (&["quic"][..], None));
    }

    #[test]
    fn two_bodies_at_once_are_a_terminal() {
        let opening = [
            client(b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
            server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ];
        let mut turns = opening.to_vec();
        for _ in 0..3 {
            turns.extend([server(b"3\r\nid\n\r\n"), client(b"6\r\nuid=0\n\r\n")]);
        }
        Story::cut(&turns, usize::MAX).is_left_by_server();
        let one = [opening[0], opening[1], turns[2], turns[3]];
        assert_eq!(Story::cut(&one, usize::MAX).left, None);
    }
}
