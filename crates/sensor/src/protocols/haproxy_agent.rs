//! HAProxy's agent check: the agent answers one line of known words and closes; HAProxy may send a
//! configured line first. HAProxy configuration manual, `agent-check`.

use observation::Side;

use super::follow::{Context, Follower, Step};
use super::lines::{Lines, Talk};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, decimal, first_line, is_text};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "haproxy_agent",
    // What HAProxy sends first is configured and can be anything.
    first_bytes: FirstBytes::range(b' ', b'~').or(FirstBytes::of(b"\t")),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::HaproxyAgent(Lines::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    let asks = match first_line(heads.opener) {
        _ if heads.opener.is_empty() => Fit::Could,
        _ if heads.opener.len() > SENT_BYTES_MAX => Fit::No,
        _ if matches!(heads.opener, [b'\r' | b'\n', ..]) => Fit::No,
        Some(line) if is_plain(line) && line.len() + 2 >= heads.opener.len() => Fit::Yes,
        None if is_plain(heads.opener.strip_suffix(b"\r").unwrap_or(heads.opener)) => Fit::Could,
        _ => Fit::No,
    };
    match (asks, answer(heads.answerer)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        // HAProxy speaks before the agent or never.
        (_, Fit::Yes) if heads.first == Some(Side::Responder) && !heads.opener.is_empty() => {
            Verdict::Never
        }
        (_, Fit::Yes) => Verdict::Confirmed,
        _ => Verdict::Unsure,
    }
}

/// One whole line of the documented words.
fn answer(head: &[u8]) -> Fit {
    let Some(line) = first_line(head) else {
        return if is_answer(head.strip_suffix(b"\r").unwrap_or(head), Fit::Could) {
            Fit::Could
        } else {
            Fit::No
        };
    };
    let only = head.len() <= line.len() + 2;
    if only && !line.is_empty() && is_answer(line, Fit::Yes) { Fit::Yes } else { Fit::No }
}

/// Words up to a comment. With `Fit::Could` the last one may be unfinished.
fn is_answer(line: &[u8], last: Fit) -> bool {
    let end = line.iter().position(|byte| *byte == b'#').unwrap_or(line.len());
    let (words, comment) = line.split_at_checked(end).unwrap_or_default();
    let open = comment.is_empty() && last == Fit::Could;
    let mut words = words
        .split(|byte| matches!(byte, b' ' | b'\t' | b','))
        .filter(|word| !word.is_empty())
        .peekable();
    let mut any = false;
    while let Some(word) = words.next() {
        any = true;
        let unfinished = open && words.peek().is_none();
        let known = is_word(word) || unfinished && begins_word(word);
        if !known {
            return false;
        }
    }
    is_text(line) && line.len() <= ANSWER_BYTES_MAX && (any || last == Fit::Could)
}

fn is_word(word: &[u8]) -> bool {
    let percent = word.strip_suffix(b"%").and_then(decimal).is_some_and(|value| value <= 256);
    let connections = word.strip_prefix(b"maxconn:").and_then(decimal).is_some();
    WORDS.iter().any(|known| known.eq_ignore_ascii_case(word)) || percent || connections
}

fn begins_word(word: &[u8]) -> bool {
    let starts = |known: &&[u8]| {
        known.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    let digits = word.len() <= 3 && word.iter().all(u8::is_ascii_digit);
    let connections = word.strip_prefix(b"maxconn:");
    WORDS.iter().any(starts)
        || digits
        || b"maxconn:".starts_with(word)
        || connections.is_some_and(|rest| rest.iter().all(u8::is_ascii_digit))
}

fn is_plain(line: &[u8]) -> bool {
    is_text(line) && line.is_ascii()
}

/// One line of each side at most.
#[derive(Debug, Default)]
pub(super) struct Check {
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Silent,
    Asked,
    Answered,
}

impl Talk for Check {
    fn line(&mut self, side: Side, line: &[u8], _: &mut Context<'_>) -> Step {
        let next = match (self.stage, side) {
            (Stage::Silent, Side::Originator) => Stage::Asked,
            (Stage::Silent | Stage::Asked, Side::Responder) if is_answer(line, Fit::Yes) => {
                Stage::Answered
            }
            _ => return Step::Left,
        };
        self.stage = next;
        Step::Obeys
    }

    fn begun(&self, side: Side, part: &[u8]) -> Step {
        let fits = match (self.stage, side) {
            (Stage::Silent, Side::Originator) => true,
            (Stage::Silent | Stage::Asked, Side::Responder) => is_answer(part, Fit::Could),
            _ => false,
        };
        if fits { Step::Obeys } else { Step::Left }
    }
}

const WORDS: &[&[u8]] =
    &[b"up", b"down", b"maint", b"drain", b"ready", b"stopped", b"stop", b"fail", b"failed"];
const SENT_BYTES_MAX: usize = 128;
const ANSWER_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn one_line_of_known_words_is_an_agent() {
        let story = Story::of(&[server(b"up 75% maxconn:10 # all well\n")]);
        story.is_confirmed("haproxy_agent");
        let story = Story::of(&[client(b"web1\n"), server(b"drain\r\n")]);
        story.is_confirmed("haproxy_agent");
    }

    #[test]
    fn an_agent_cut_short_is_unsure() {
        assert!(Story::of(&[server(b"up 7")]).names.is_empty());
    }

    #[test]
    fn a_second_line_or_an_answer_to_the_agent_leaves() {
        assert!(Story::of(&[server(b"uptime\n")]).names.is_empty());
        Story::of(&[server(b"ready\n"), server(b"id\n")]).is_left_by_server();
        Story::of(&[server(b"ready\n"), client(b"uid=0(root)\n")]).is_left_by_client();
    }
}
