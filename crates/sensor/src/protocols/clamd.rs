//! clamd, by a command with its terminator and the reply: clamd(8). `z` ends with NUL, `n` with a
//! line end, and INSTREAM carries counted chunks.

use alloc::vec::Vec;

use observation::Side;

use super::follow::{Context, Follow, Follower, Step};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, is_text, literal, word};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "clamd",
    first_bytes: FirstBytes::of(b"znPVRSCMI"),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Clamd(Session::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    match (command(heads.opener), reply(heads.answerer)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, Fit::Could) if matches!(heads.opener.first(), Some(b'z' | b'n')) => {
            Verdict::Proposed(Side::Originator)
        }
        _ => Verdict::Unsure,
    }
}

/// The first command with its terminator.
fn command(head: &[u8]) -> Fit {
    match head.iter().position(|byte| matches!(byte, 0 | b'\n')) {
        Some(end) if is_command(head.get(..=end).unwrap_or_default()) => Fit::Yes,
        Some(_) => Fit::No,
        None if begins_command(head) => Fit::Could,
        None => Fit::No,
    }
}

fn is_command(command: &[u8]) -> bool {
    let (body, terminator) = match command {
        [b'z', body @ .., 0] => (body, 0),
        [b'n', body @ .., b'\n'] => (body, b'\n'),
        [body @ .., b'\n'] => (body, b'\n'),
        _ => return false,
    };
    let body = if terminator == b'\n' { body.strip_suffix(b"\r").unwrap_or(body) } else { body };
    is_text(body) && COMMANDS.contains(&word(body))
}

fn begins_command(head: &[u8]) -> bool {
    let body = match head {
        [b'z' | b'n', body @ ..] => body,
        body => body,
    };
    let name = word(body);
    let whole = name.len() < body.len();
    COMMANDS.iter().any(|known| if whole { *known == name } else { known.starts_with(trim(name)) })
        && is_text(trim(head))
}

fn trim(part: &[u8]) -> &[u8] {
    part.strip_suffix(b"\r").unwrap_or(part)
}

/// The first reply; paths in it can be anything, so only its end says what it is.
fn reply(head: &[u8]) -> Fit {
    let fixed = REPLIES.iter().fold(Fit::No, |fit, reply| fit.or(literal(head, reply)));
    match head.iter().position(|byte| matches!(byte, 0 | b'\n')) {
        Some(end) if is_reply(head.get(..end).unwrap_or_default()) => Fit::Yes,
        Some(_) => Fit::No,
        None if fixed.possible() || is_text(head) && head.len() < REPLY_BYTES_MAX => Fit::Could,
        None => Fit::No,
    }
}

fn is_reply(line: &[u8]) -> bool {
    let verdict = [&b": OK"[..], b" FOUND", b" ERROR"].iter().any(|end| line.ends_with(end));
    is_text(line)
        && (REPLIES.iter().any(|reply| line.starts_with(reply)) || verdict && line.contains(&b':'))
}

/// Both directions.
#[derive(Debug, Default)]
pub(super) struct Session {
    client: Client,
    command: Vec<u8>,
    line: Vec<u8>,
    server: Server,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Client {
    #[default]
    Command,
    /// Bytes of a chunk's length so far, and its value.
    ChunkLength(u8, u32),
    Chunk(u32),
    Lost,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Server {
    #[default]
    Verdicts,
    /// Statistics go on up to END.
    Statistics,
}

impl Follow for Session {
    fn feed(&mut self, side: Side, bytes: &[u8], _: &mut Context<'_>) -> Step {
        for byte in bytes {
            let fits = match side {
                Side::Originator => self.sent(*byte),
                Side::Responder => self.answered(*byte),
            };
            if !fits {
                return Step::Left;
            }
        }
        if self.client == Client::Lost { Step::Unchecked } else { Step::Obeys }
    }

    fn held(&self) -> usize {
        self.command.capacity() + self.line.capacity()
    }

    fn gap(&mut self, _: Side) {
        self.client = Client::Lost;
    }
}

impl Session {
    fn sent(&mut self, byte: u8) -> bool {
        match self.client {
            Client::Lost => {}
            Client::Chunk(1) => self.client = Client::ChunkLength(0, 0),
            Client::Chunk(left) => self.client = Client::Chunk(left - 1),
            Client::ChunkLength(3, value) => {
                self.client = match value << 8 | u32::from(byte) {
                    0 => Client::Command,
                    length => Client::Chunk(length),
                };
            }
            Client::ChunkLength(count, value) => {
                self.client = Client::ChunkLength(count + 1, value << 8 | u32::from(byte));
            }
            Client::Command => {
                self.command.push(byte);
                if !matches!(byte, 0 | b'\n') {
                    return self.command.len() < COMMAND_BYTES_MAX && begins_command(&self.command);
                }
                let command = core::mem::take(&mut self.command);
                if command.windows(8).any(|part| part == b"INSTREAM") {
                    self.client = Client::ChunkLength(0, 0);
                }
                return is_command(&command);
            }
        }
        true
    }

    fn answered(&mut self, byte: u8) -> bool {
        if !matches!(byte, 0 | b'\n') {
            if self.line.len() < REPLY_BYTES_MAX {
                self.line.push(byte);
            }
            return self.client == Client::Lost || is_text(&[byte]) || byte == b'\r';
        }
        let mut line = core::mem::take(&mut self.line);
        let line_end = trim(&line).len();
        line.truncate(line_end);
        if line.starts_with(b"POOLS:") {
            self.server = Server::Statistics;
        }
        let statistics = self.server == Server::Statistics;
        if line == b"END" {
            self.server = Server::Verdicts;
        }
        let measured = line.is_empty() || line.iter().any(|each| matches!(each, b':' | b'\t'));
        line.is_empty() || is_reply(&line) || statistics && (measured || line == b"END")
    }
}

const COMMANDS: &[&[u8]] = &[
    b"PING",
    b"VERSION",
    b"RELOAD",
    b"SHUTDOWN",
    b"SCAN",
    b"CONTSCAN",
    b"MULTISCAN",
    b"ALLMATCHSCAN",
    b"INSTREAM",
    b"FILDES",
    b"STATS",
    b"IDSESSION",
    b"END",
    b"VERSIONCOMMANDS",
    b"DETSTATS",
    b"DETSTATSCLEAR",
    b"SESSION",
    b"RAWSCAN",
];
const REPLIES: &[&[u8]] =
    &[b"PONG", b"ClamAV ", b"RELOADING", b"UNKNOWN COMMAND", b"POOLS:", b"COMMAND READ TIMED OUT"];
const COMMAND_BYTES_MAX: usize = 1024;
const REPLY_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn scanning_a_stream_is_clamd() {
        let story =
            Story::of(&[client(b"zINSTREAM\0\0\0\0\x03id\n\0\0\0\0"), server(b"stream: OK\0")]);
        story.is_confirmed("clamd");
        story.is_obeyed_after(0);
        Story::of(&[client(b"PING\n"), server(b"PONG\n")]).is_confirmed("clamd");
    }

    #[test]
    fn clamd_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"PING\n"), server(b"PO")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_a_ping_leaves() {
        Story::of(&[client(b"nPING\n"), server(b"id\n")]).is_left_by_server();
        let story = Story::of(&[client(b"nPING\n"), server(b"PONG\n"), client(b"uid=0(root)\n")]);
        story.is_left_by_client();
    }
}
