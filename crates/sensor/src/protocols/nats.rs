//! NATS, by the server's INFO and the client's CONNECT: the NATS client protocol.

use observation::Side;

use super::follow::{Both, Context, Follower, Next, Step};
use super::lines::{Expect, Lines, Talk};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, decimal, first_line, first_word, is_one_of, is_text, literal, word};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "nats",
    first_bytes: FirstBytes::of(b"Ii"),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Nats(Lines::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Originator) {
        return Verdict::Never;
    }
    match (first_word(heads.opener, OPENINGS), announces(heads.answerer)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Could, Fit::Yes) => Verdict::Proposed(Side::Responder),
        _ => Verdict::Unsure,
    }
}

/// `INFO {…}`; it may be longer than a head.
fn announces(head: &[u8]) -> Fit {
    let (upper, lower) = (literal(head, b"INFO {\""), literal(head, b"info {\""));
    match (upper.or(lower), first_line(head)) {
        (Fit::Yes, Some(line)) if is_text(line) && line.trim_ascii_end().ends_with(b"}") => {
            Fit::Yes
        }
        (Fit::Yes, Some(_)) => Fit::No,
        (Fit::Yes, None) if head.len() >= ANNOUNCEMENT_BYTES_ENOUGH => Fit::Yes,
        (Fit::Yes, None) => Fit::Could,
        (fit, _) => fit,
    }
}

/// Payload of both sides.
#[derive(Debug, Default)]
pub(super) struct Dialogue {
    payload: Both<u64>,
}

impl Talk for Dialogue {
    fn expects(&self, side: Side) -> Expect {
        match self.payload.of(side) {
            0 => Expect::Line,
            left => Expect::Payload(*left),
        }
    }

    fn line(&mut self, side: Side, line: &[u8], _: &mut Context<'_>) -> Step {
        if !is_one_of(word(line), commands(side)) || !is_text(line) {
            return Step::Left;
        }
        if is_one_of(word(line), &[b"PUB", b"HPUB", b"MSG", b"HMSG"]) {
            let last = line.split(|byte| matches!(byte, b' ' | b'\t')).next_back();
            let Some(count) = last.and_then(decimal) else { return Step::Left };
            *self.payload.of_mut(side) = count.saturating_add(2);
        }
        let secures = b"\"tls_required\":true";
        if side == Side::Responder && line.windows(secures.len()).any(|part| part == secures) {
            return Step::Becomes(Next::Tls, 0);
        }
        Step::Obeys
    }

    fn begun(&self, side: Side, part: &[u8]) -> Step {
        if first_word(part, commands(side)).possible() { Step::Obeys } else { Step::Left }
    }

    fn payload(&mut self, side: Side, count: u64) -> Step {
        let left = self.payload.of_mut(side);
        *left = left.saturating_sub(count);
        Step::Obeys
    }

    fn gap(&mut self, side: Side) {
        *self.payload.of_mut(side) = 0;
    }
}

fn commands(side: Side) -> &'static [&'static [u8]] {
    match side {
        Side::Originator => {
            &[b"CONNECT", b"PUB", b"HPUB", b"SUB", b"UNSUB", b"PING", b"PONG", b"INFO"]
        }
        Side::Responder => &[b"INFO", b"MSG", b"HMSG", b"PING", b"PONG", b"+OK", b"-ERR"],
    }
}

const OPENINGS: &[&[u8]] = &[b"CONNECT", b"PING", b"SUB", b"PUB", b"INFO"];
const ANNOUNCEMENT_BYTES_ENOUGH: usize = 512;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn publishing_is_nats() {
        let story = Story::of(&[
            server(b"INFO {\"server_id\":\"a\"} \r\n"),
            client(b"CONNECT {}\r\nPUB a 3\r\nid\n\r\nPING\r\n"),
            server(b"+OK\r\nPONG\r\nMSG a 1 3\r\nid\n\r\n"),
        ]);
        story.is_confirmed("nats");
        story.is_obeyed_after(0);
    }

    #[test]
    fn nats_cut_short_is_unsure() {
        assert!(Story::of(&[server(b"INFO {\"server")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_info_leaves() {
        let info = server(b"INFO {\"server_id\":\"a\"}\r\n");
        let story = Story::of(&[info, client(b"uid=0(root)\n")]);
        story.is_only_proposed("nats");
        story.is_left_by_client();
        Story::of(&[info, client(b"CONNECT {}\r\n"), server(b"id\n")]).is_left_by_server();
    }
}
