//! SMTP, by its greeting and the client's first command: RFC 5321; then line by line.
//!
//! FTP greets with the same code, so a greeting that does not name SMTP proposes nothing.

use observation::Side;

use super::follow::{Context, Follower, Next, Step};
use super::lines::{Expect, Lines, Owed, Talk};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{
    Fit, decimal, first_line, first_word, is_reply_line, is_text, line_word, reply_code,
    split_word, word,
};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "smtp",
    first_bytes: FirstBytes::of(b"245EeHhLl"),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Smtp(Lines::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    match (first_word(heads.opener, OPENINGS), greets(heads.answerer)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, Fit::Could) if heads.first == Some(Side::Originator) => {
            Verdict::Proposed(Side::Originator)
        }
        (Fit::Could, Fit::Yes) if names_smtp(heads.answerer) => Verdict::Proposed(Side::Responder),
        (Fit::Yes | Fit::Could, _) => Verdict::Unsure,
    }
}

/// 220, or a refusal: RFC 5321, section 3.1.
fn greets(head: &[u8]) -> Fit {
    match (reply_code(head), head.get(..3), first_line(head)) {
        (Fit::Yes, Some(b"220" | b"554" | b"421"), Some(line)) if is_text(line) => Fit::Yes,
        (Fit::Yes, Some(b"220" | b"554" | b"421"), None) => Fit::Could,
        (Fit::Could, ..) => Fit::Could,
        _ => Fit::No,
    }
}

fn names_smtp(head: &[u8]) -> bool {
    let line = first_line(head).unwrap_or_default();
    line.windows(4).any(|part| part.eq_ignore_ascii_case(b"smtp"))
}

/// Where the dialogue stands.
#[derive(Debug, Default)]
pub(super) struct Dialogue {
    /// What the client's next line is.
    client: Client,
    /// The last command, while its reply is awaited.
    asked: Asked,
    /// Commands that have had no reply; the greeting is owed from the start.
    owed: Owed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Client {
    #[default]
    Command,
    /// The mail, up to a line with a single dot.
    Mail,
    /// The rest of a BDAT chunk.
    Chunk(u64),
    /// One line of an authentication exchange.
    Credentials,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asked {
    #[default]
    Other,
    Data,
    Auth,
    StartTls,
}

impl Talk for Dialogue {
    fn expects(&self, side: Side) -> Expect {
        match (side, self.client) {
            (Side::Originator, Client::Chunk(left)) => Expect::Payload(left),
            _ => Expect::Line,
        }
    }

    fn line(&mut self, side: Side, line: &[u8], context: &mut Context<'_>) -> Step {
        match side {
            Side::Originator => {
                let is_command = self.client == Client::Command;
                let step = self.command(line);
                if is_command && step == Step::Obeys {
                    context.command("smtp", line);
                }
                step
            }
            Side::Responder => self.reply(line),
        }
    }

    fn begun(&self, side: Side, part: &[u8]) -> Step {
        let fits = match (side, self.client) {
            (Side::Responder, _) => reply_code(part).possible() && is_text(part),
            (Side::Originator, Client::Command) => first_word(part, COMMANDS).possible(),
            (Side::Originator, Client::Credentials) => is_base64(part),
            (Side::Originator, Client::Mail | Client::Chunk(_)) => true,
        };
        if fits { Step::Obeys } else { Step::Left }
    }

    fn payload(&mut self, _: Side, count: u64) -> Step {
        if let Client::Chunk(left) = self.client {
            self.client = match left.saturating_sub(count) {
                0 => Client::Command,
                left => Client::Chunk(left),
            };
        }
        Step::Obeys
    }

    fn gap(&mut self, _: Side) {
        self.client = Client::Command;
        self.owed.lose_count();
    }
}

impl Dialogue {
    fn command(&mut self, line: &[u8]) -> Step {
        match self.client {
            Client::Mail => {
                if line == b"." {
                    self.client = Client::Command;
                    self.owed.ask();
                }
                return Step::Obeys;
            }
            Client::Credentials => {
                self.client = Client::Command;
                self.owed.ask();
                return if is_base64(line) { Step::Obeys } else { Step::Left };
            }
            Client::Command | Client::Chunk(_) => {}
        }
        if line_word(line, COMMANDS) != Fit::Yes || !is_text(line) {
            return Step::Left;
        }
        self.owed.ask();
        let (verb, rest) = split_word(line);
        self.asked = Asked::Other;
        if verb.eq_ignore_ascii_case(b"data") {
            self.asked = Asked::Data;
        } else if verb.eq_ignore_ascii_case(b"auth") {
            self.asked = Asked::Auth;
        } else if verb.eq_ignore_ascii_case(b"starttls") {
            self.asked = Asked::StartTls;
        } else if verb.eq_ignore_ascii_case(b"bdat") {
            match decimal(word(rest)) {
                Some(0) => {}
                Some(count) => self.client = Client::Chunk(count),
                None => return Step::Left,
            }
        }
        Step::Obeys
    }

    fn reply(&mut self, line: &[u8]) -> Step {
        if !is_reply_line(line) || !is_text(line) {
            return Step::Left;
        }
        let code = line.get(..3).unwrap_or_default();
        let last = line.get(3) != Some(&b'-');
        // A server may say at any time that it closes; nothing else comes unasked.
        if last && !self.owed.answer() && code != b"421" {
            return Step::Left;
        }
        match (code, self.asked) {
            (b"354", Asked::Data) => self.client = Client::Mail,
            (b"334", Asked::Auth) => self.client = Client::Credentials,
            (b"220", Asked::StartTls) if last => return Step::Becomes(Next::Tls, 0),
            // Only DATA and AUTH ask the client for more than a command.
            ([b'3', ..], _) => return Step::Left,
            _ => {}
        }
        Step::Obeys
    }
}

/// RFC 4954: base64, `=` for nothing, `*` to give up.
fn is_base64(line: &[u8]) -> bool {
    line.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=*".contains(byte))
}

const OPENINGS: &[&[u8]] = &[b"EHLO", b"HELO", b"LHLO"];
const COMMANDS: &[&[u8]] = &[
    b"EHLO",
    b"HELO",
    b"LHLO",
    b"MAIL",
    b"RCPT",
    b"DATA",
    b"BDAT",
    b"RSET",
    b"NOOP",
    b"QUIT",
    b"VRFY",
    b"EXPN",
    b"HELP",
    b"AUTH",
    b"STARTTLS",
    b"ETRN",
    b"TURN",
    b"ATRN",
    b"XCLIENT",
    b"XFORWARD",
    b"BURL",
    b"X-EXPS",
    b"X-ANONYMOUSTLS",
    b"XEXCH50",
];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn mail_by_hand_is_smtp() {
        let story = Story::of(&[
            server(b"220 mail.example.com ready\r\n"),
            client(b"HELO box\r\n"),
            server(b"250 hello\r\n"),
            client(b"MAIL FROM:<a@example.com>\r\n"),
            server(b"250 ok\r\n"),
            client(b"DATA\r\n"),
            server(b"354 go on\r\n"),
            client(b"Subject: hi\r\n\r\nid; uname -a\r\n.\r\n"),
            server(b"250 queued\r\n"),
            client(b"QUIT\r\n"),
        ]);
        story.is_confirmed("smtp");
        story.is_obeyed_after(1);
    }

    #[test]
    fn smtp_cut_short_is_unsure() {
        assert!(Story::of(&[server(b"220 mail.exam")]).names.is_empty());
    }

    #[test]
    fn a_greeting_proposes_and_a_shell_behind_it_leaves() {
        let story = Story::of(&[
            server(b"220 mail ESMTP\r\n"),
            client(b"EHLO x\r\n"),
            server(b"id\r\n"),
            client(b"uid=0(root)\r\n"),
        ]);
        story.is_left_by_server();
        let story = Story::of(&[server(b"220 mail ESMTP\r\nid\r\n"), client(b"uid=0(root)\r\n")]);
        story.is_only_proposed("smtp");
        story.is_left_by_server();
    }

    #[test]
    fn a_prompt_without_line_end_leaves() {
        let story = Story::of(&[
            server(b"220 mail ESMTP\r\n"),
            client(b"EHLO x\r\n"),
            server(b"250 hello\r\n"),
            client(b"/ # "),
        ]);
        story.is_left_by_client();
    }

    #[test]
    fn a_greeting_that_could_be_ftp_claims_nothing() {
        assert!(Story::of(&[server(b"220 x\r\nid\r\n"), client(b"uid=0\r\n")]).names.is_empty());
    }
}
