//! POP3, by `+OK` and the client's first command: RFC 1939; then line by line.

use alloc::collections::VecDeque;

use observation::Side;

use super::follow::{Context, Follower, Next, Step};
use super::lines::{Lines, Talk};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, first_line, first_word, is_text, line_word, literal, split_word};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "pop3",
    first_bytes: FirstBytes::of(b"+-"),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Pop3(Lines::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Originator) {
        return Verdict::Never;
    }
    let greets = literal(heads.answerer, OK).or(literal(heads.answerer, ERR));
    let line = first_line(heads.answerer);
    match (first_word(heads.opener, COMMANDS), greets) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (_, Fit::Yes) if line.is_some_and(|line| !is_text(line)) => Verdict::Never,
        (Fit::Yes, Fit::Yes) if line.is_some() => Verdict::Confirmed,
        (Fit::Could, Fit::Yes) if line.is_some() => Verdict::Proposed(Side::Responder),
        _ => Verdict::Unsure,
    }
}

/// Where the dialogue stands.
#[derive(Debug, Default)]
pub(super) struct Dialogue {
    /// Commands without an answer, oldest first, at most `ASKED_COUNT_MAX`.
    asked: VecDeque<Asked>,
    greeting: Greeting,
    server: Server,
    client: Client,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Greeting {
    #[default]
    Awaited,
    Heard,
    /// After a gap nobody knows which command an answer belongs to.
    Lost,
}

/// What a command makes of its `+OK`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asked {
    #[default]
    OneLine,
    Listing,
    Auth,
    StartTls,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Server {
    #[default]
    Status,
    /// Up to a line with a single dot.
    Listing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Client {
    #[default]
    Command,
    Credentials,
}

impl Talk for Dialogue {
    fn line(&mut self, side: Side, line: &[u8], context: &mut Context<'_>) -> Step {
        match (side, self.client, self.server) {
            (Side::Responder, _, Server::Listing) => {
                if line == b"." {
                    self.server = Server::Status;
                }
                Step::Obeys
            }
            (Side::Responder, _, Server::Status) => self.status(line),
            (Side::Originator, Client::Credentials, _) => {
                self.client = Client::Command;
                self.asked.push_back(Asked::Auth);
                if is_base64(line) { Step::Obeys } else { Step::Left }
            }
            (Side::Originator, Client::Command, _) => {
                let step = self.command(line);
                if step == Step::Obeys {
                    context.command("pop3", line);
                }
                step
            }
        }
    }

    fn begun(&self, side: Side, part: &[u8]) -> Step {
        let fits = match (side, self.client, self.server) {
            (Side::Responder, _, Server::Listing) => true,
            (Side::Responder, _, Server::Status) => {
                literal(part, OK).or(literal(part, ERR)).or(literal(part, b"+ ")).possible()
            }
            (Side::Originator, Client::Credentials, _) => is_base64(part),
            (Side::Originator, Client::Command, _) => first_word(part, COMMANDS).possible(),
        };
        if fits { Step::Obeys } else { Step::Left }
    }

    fn gap(&mut self, _: Side) {
        self.server = Server::Status;
        self.client = Client::Command;
        self.greeting = Greeting::Lost;
    }
}

impl Dialogue {
    fn command(&mut self, line: &[u8]) -> Step {
        if line_word(line, COMMANDS) != Fit::Yes || !is_text(line) {
            return Step::Left;
        }
        let (verb, argument) = split_word(line);
        let is = |name: &[u8]| verb.eq_ignore_ascii_case(name);
        let listing = is(b"RETR") || is(b"TOP") || is(b"CAPA");
        let listing_of_all = argument.is_empty() && (is(b"LIST") || is(b"UIDL") || is(b"AUTH"));
        let asked = if listing || listing_of_all {
            Asked::Listing
        } else if is(b"AUTH") {
            Asked::Auth
        } else if is(b"STLS") {
            Asked::StartTls
        } else {
            Asked::OneLine
        };
        self.asked.push_back(asked);
        if self.asked.len() > ASKED_COUNT_MAX { Step::Left } else { Step::Obeys }
    }

    fn status(&mut self, line: &[u8]) -> Step {
        let good = is_status(line, OK);
        let asked = match self.greeting {
            _ if !is_text(line) => return Step::Left,
            Greeting::Lost => return Step::Unchecked,
            Greeting::Heard => match self.asked.pop_front() {
                Some(asked) => asked,
                // Nothing comes unasked.
                None => return Step::Left,
            },
            Greeting::Awaited => Asked::OneLine,
        };
        self.greeting = Greeting::Heard;
        if asked == Asked::Auth && literal(line, b"+ ") == Fit::Yes {
            self.client = Client::Credentials;
            return Step::Obeys;
        }
        match asked {
            _ if !good && !is_status(line, ERR) => Step::Left,
            Asked::Listing if good => {
                self.server = Server::Listing;
                Step::Obeys
            }
            Asked::StartTls if good => Step::Becomes(Next::Tls, 0),
            _ => Step::Obeys,
        }
    }
}

fn is_status(line: &[u8], status: &[u8]) -> bool {
    line.strip_prefix(status).is_some_and(|rest| matches!(rest.first(), None | Some(b' ')))
}

fn is_base64(line: &[u8]) -> bool {
    line.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=*".contains(byte))
}

const ASKED_COUNT_MAX: usize = 256;
const OK: &[u8] = b"+OK";
const ERR: &[u8] = b"-ERR";
const COMMANDS: &[&[u8]] = &[
    b"USER", b"PASS", b"APOP", b"AUTH", b"CAPA", b"STLS", b"STAT", b"LIST", b"RETR", b"DELE",
    b"NOOP", b"RSET", b"TOP", b"UIDL", b"QUIT", b"UTF8", b"LANG",
];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn fetching_mail_is_pop3() {
        let story = Story::of(&[
            server(b"+OK ready\r\n"),
            client(b"USER a\r\n"),
            server(b"+OK\r\n"),
            client(b"LIST\r\n"),
            server(b"+OK 1 message\r\n1 120\r\n.\r\n"),
            client(b"CAPA\r\nQUIT\r\n"),
            server(b"+OK list\r\nTOP\r\n.\r\n+OK bye\r\n"),
        ]);
        story.is_confirmed("pop3");
        story.is_obeyed_after(0);
    }

    #[test]
    fn pop3_cut_short_is_unsure() {
        assert!(Story::of(&[server(b"+OK rea")]).names.is_empty());
    }

    #[test]
    fn a_command_behind_the_greeting_leaves() {
        let story = Story::of(&[server(b"+OK\r\nuname -a\r\n"), client(b"Linux x\r\n")]);
        story.is_only_proposed("pop3");
        story.is_left_by_server();
        let story = Story::of(&[server(b"+OK\r\n"), client(b"Linux box 6.1\r\n")]);
        story.is_only_proposed("pop3");
        story.is_left_by_client();
    }
}
