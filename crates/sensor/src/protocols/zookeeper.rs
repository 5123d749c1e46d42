//! ZooKeeper's four-letter words and their replies: ZooKeeper administrator's guide.

use observation::Side;

use super::follow::{Context, Follower, Step};
use super::lines::{Lines, Talk};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, is_text, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "zookeeper",
    first_bytes: FirstBytes::of(b"cdeghikmrsw"),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Zookeeper(Lines::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    let Some((word, replies)) = asked(heads.opener) else {
        let begins = WORDS.iter().any(|(word, _)| word.starts_with(heads.opener));
        return if begins && heads.answerer.is_empty() { Verdict::Unsure } else { Verdict::Never };
    };
    match answers(heads.answerer, word, replies) {
        Fit::Yes => Verdict::Confirmed,
        Fit::Could => Verdict::Unsure,
        Fit::No => Verdict::Never,
    }
}

type Word = (&'static [u8], &'static [&'static [u8]]);

/// A word, perhaps with the line end that `nc` adds, and nothing else.
fn asked(head: &[u8]) -> Option<Word> {
    let word = head.strip_suffix(b"\n").unwrap_or(head);
    let word = word.strip_suffix(b"\r").unwrap_or(word);
    WORDS.iter().copied().find(|(known, _)| *known == word)
}

fn answers(head: &[u8], word: &[u8], replies: &[&[u8]]) -> Fit {
    let known =
        replies.iter().chain(ANY_REPLY).fold(Fit::No, |fit, reply| fit.or(literal(head, reply)));
    let refusal =
        head.strip_prefix(word).map_or(literal(word, head), |rest| literal(rest, REFUSED));
    known.or(match refusal {
        Fit::Yes if head.len() < word.len() + REFUSED.len() => Fit::Could,
        fit => fit,
    })
}

/// One word, one reply.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    asked: Option<Word>,
    lines: u32,
}

impl Talk for Exchange {
    fn line(&mut self, side: Side, line: &[u8], _: &mut Context<'_>) -> Step {
        let fits = match (side, self.asked) {
            (Side::Originator, None) => {
                self.asked = asked(line);
                self.asked.is_some()
            }
            (Side::Originator, Some(_)) => false,
            (Side::Responder, _) => self.is_reply_line(line),
        };
        self.lines += u32::from(side == Side::Responder);
        if fits && self.lines <= LINE_COUNT_MAX { Step::Obeys } else { Step::Left }
    }

    fn begun(&self, side: Side, part: &[u8]) -> Step {
        let fits = match (side, self.asked) {
            // The word has no line end, so what comes behind it shows here.
            (Side::Originator, None) => WORDS.iter().any(|(word, _)| word.starts_with(part)),
            (Side::Originator, Some(_)) => false,
            (Side::Responder, _) => is_text(part),
        };
        if fits { Step::Obeys } else { Step::Left }
    }
}

impl Exchange {
    /// `key\tvalue`, `key=value`, `Key: value`, an indented line, or the only line of a reply.
    fn is_reply_line(&self, line: &[u8]) -> bool {
        let paired = line.iter().any(|byte| matches!(byte, b'\t' | b'=' | b':'));
        let starts = matches!(line, [] | [b' ' | b'\t' | b'/', ..]);
        let first = self.lines == 0
            && WORDS.iter().any(|(word, replies)| answers(line, word, replies) == Fit::Yes);
        is_text(line) && (paired || starts || first)
    }
}

/// Every word with the beginnings of its replies.
const WORDS: &[Word] = &[
    (b"ruok", &[b"imok"]),
    (b"isro", &[b"rw", b"ro", b"null"]),
    (b"mntr", &[b"zk_"]),
    (b"stat", &[b"Zookeeper version:"]),
    (b"srvr", &[b"Zookeeper version:"]),
    (b"conf", &[b"clientPort="]),
    (b"envi", &[b"Environment:"]),
    (b"dump", &[b"SessionTracker dump:"]),
    (b"cons", &[b" /", b"\n"]),
    (b"reqs", &[b"Requests:"]),
    (b"wchs", &[b"0 connections", b"1 connections"]),
    (b"wchc", &[b"0x"]),
    (b"wchp", &[b"/"]),
    (b"dirs", &[b"datadir_size:"]),
    (b"hash", &[b"Latest digests:"]),
    (b"srst", &[b"Server stats reset."]),
    (b"crst", &[b"Connection stats reset."]),
    (b"gtmk", &[b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9"]),
    (b"icfg", &[b"server."]),
    (b"kill", &[]),
];
const ANY_REPLY: &[&[u8]] = &[b"This ZooKeeper instance is not currently serving requests"];
const REFUSED: &[u8] = b" is not executed because it is not in the whitelist";
const LINE_COUNT_MAX: u32 = 100_000;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn are_you_ok_is_zookeeper() {
        Story::of(&[client(b"ruok"), server(b"imok")]).is_confirmed("zookeeper");
        let story =
            Story::of(&[client(b"mntr\n"), server(b"zk_version\t3.8\nzk_server_state\tleader\n")]);
        story.is_confirmed("zookeeper");
        story.is_obeyed_after(1);
    }

    #[test]
    fn a_word_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"ruok"), server(b"im")]).names.is_empty());
    }

    #[test]
    fn what_comes_behind_the_reply_leaves() {
        assert!(Story::of(&[client(b"stat\n"), server(b"id\n")]).names.is_empty());
        Story::of(&[client(b"ruok"), server(b"imok\n"), server(b"id\n")]).is_left_by_server();
        Story::of(&[client(b"ruok"), server(b"imok"), client(b"uid=0\n")]).is_left_by_client();
    }
}
