//! NNTP, by the greeting's code and the client's first command: RFC 3977; then line by line.

use observation::Side;

use super::follow::{Context, Follower, Next, Step};
use super::lines::{Lines, Owed, Talk};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, first_line, first_word, is_reply_line, is_text, line_word, reply_code};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "nntp",
    first_bytes: FirstBytes::of(b"24"),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Nntp(Lines::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Originator) {
        return Verdict::Never;
    }
    match (first_word(heads.opener, COMMANDS), greets(heads.answerer)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        // Other servers have codes too: the greeting alone proposes nothing.
        _ => Verdict::Unsure,
    }
}

/// 200, 201, 400 or 480: RFC 3977, section 5.1.
fn greets(head: &[u8]) -> Fit {
    match (reply_code(head), head.get(..3), first_line(head)) {
        (Fit::Yes, Some(b"200" | b"201" | b"400" | b"480"), Some(line)) if is_text(line) => {
            Fit::Yes
        }
        (Fit::Yes, Some(b"200" | b"201" | b"400" | b"480"), None) => Fit::Could,
        (Fit::Could, ..) => Fit::Could,
        _ => Fit::No,
    }
}

/// Where the dialogue stands.
#[derive(Debug, Default)]
pub(super) struct Dialogue {
    owed: Owed,
    text: Text,
}

/// Whose text runs up to a line with a single dot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Text {
    #[default]
    Nobody,
    Of(Side),
}

impl Talk for Dialogue {
    fn line(&mut self, side: Side, line: &[u8], _: &mut Context<'_>) -> Step {
        if self.text == Text::Of(side) {
            if line == b"." {
                self.text = Text::Nobody;
                if side == Side::Originator {
                    self.owed.ask();
                }
            }
            return Step::Obeys;
        }
        match side {
            Side::Originator if line_word(line, COMMANDS) == Fit::Yes && is_text(line) => {
                self.owed.ask();
                Step::Obeys
            }
            Side::Responder if is_reply_line(line) && is_text(line) && self.owed.answer() => {
                match line.get(..3) {
                    Some(
                        b"100" | b"101" | b"215" | b"220" | b"221" | b"222" | b"224" | b"225"
                        | b"230" | b"231" | b"282",
                    ) => self.text = Text::Of(Side::Responder),
                    Some(b"340" | b"335") => self.text = Text::Of(Side::Originator),
                    Some(b"382") => return Step::Becomes(Next::Tls, 0),
                    _ => {}
                }
                Step::Obeys
            }
            _ => Step::Left,
        }
    }

    fn begun(&self, side: Side, part: &[u8]) -> Step {
        let fits = match side {
            _ if self.text == Text::Of(side) => true,
            Side::Originator => first_word(part, COMMANDS).possible(),
            Side::Responder => reply_code(part).possible() && is_text(part),
        };
        if fits { Step::Obeys } else { Step::Left }
    }

    fn gap(&mut self, _: Side) {
        self.text = Text::Nobody;
        self.owed.lose_count();
    }
}

const COMMANDS: &[&[u8]] = &[
    b"CAPABILITIES",
    b"MODE",
    b"GROUP",
    b"ARTICLE",
    b"HEAD",
    b"BODY",
    b"STAT",
    b"NEXT",
    b"LAST",
    b"LIST",
    b"LISTGROUP",
    b"NEWGROUPS",
    b"NEWNEWS",
    b"POST",
    b"IHAVE",
    b"OVER",
    b"XOVER",
    b"HDR",
    b"XHDR",
    b"DATE",
    b"AUTHINFO",
    b"STARTTLS",
    b"CHECK",
    b"TAKETHIS",
    b"XGTITLE",
    b"XPAT",
];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn reading_news_is_nntp() {
        let story = Story::of(&[
            server(b"200 news ready\r\n"),
            client(b"MODE READER\r\nGROUP a.b\r\n"),
            server(b"200 ok\r\n211 1 1 1 a.b\r\n"),
            client(b"BODY 1\r\n"),
            server(b"222 1 <a@b>\r\nid\r\n.\r\n"),
        ]);
        story.is_confirmed("nntp");
        story.is_obeyed_after(1);
    }

    #[test]
    fn nntp_cut_short_is_unsure() {
        assert!(Story::of(&[server(b"200 news ready\r\n"), client(b"MOD")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_the_greeting_leaves() {
        assert!(Story::of(&[server(b"200 x\r\n"), client(b"uid=0(root)\n")]).names.is_empty());
        let greeting = server(b"200 x\r\n");
        let story = Story::of(&[greeting, client(b"DATE\r\n"), server(b"id\n")]);
        story.is_left_by_server();
    }
}
