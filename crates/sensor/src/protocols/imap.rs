//! IMAP, by the untagged greeting and the client's tagged command: RFC 9051; then line by line.

use observation::Side;

use super::follow::{Both, Context, Follower, Next, Step};
use super::lines::{Expect, LINE_BYTES_MAX, Lines, Talk};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, decimal, first_line, first_word, is_one_of, is_text, literal_any_case};
use super::words::{split_word, word};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "imap",
    first_bytes: FirstBytes::of(b"*"),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Imap(Lines::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Originator) {
        return Verdict::Never;
    }
    let greets = GREETINGS
        .iter()
        .fold(Fit::No, |fit, greeting| fit.or(literal_any_case(heads.answerer, greeting)));
    let whole = first_line(heads.answerer);
    match (tagged(heads.opener), greets) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (_, Fit::Yes) if whole.is_some_and(|line| !is_text(line)) => Verdict::Never,
        (Fit::Yes, Fit::Yes) if whole.is_some() => Verdict::Confirmed,
        (Fit::Could, Fit::Yes) if whole.is_some() => Verdict::Proposed(Side::Responder),
        _ => Verdict::Unsure,
    }
}

/// A tag and a command.
fn tagged(head: &[u8]) -> Fit {
    let tag = word(head);
    if tag.len() > TAG_BYTES_MAX || !tag.iter().all(is_tag_byte) {
        return Fit::No;
    }
    if tag.len() == head.len() {
        return Fit::Could;
    }
    let rest = split_word(head).1;
    if tag.is_empty() { Fit::No } else { first_word(rest, COMMANDS) }
}

/// Where the dialogue stands.
#[derive(Debug, Default)]
pub(super) struct Dialogue {
    sides: Both<Literal>,
    /// The client may send a line that is no command: after `+`, or while idle.
    invited: Invited,
    /// The last command, where it changes what may follow.
    asked: Asked,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Literal {
    #[default]
    None,
    /// So many bytes, then the rest of the line.
    Bytes(u64),
    RestOfLine,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Invited {
    #[default]
    No,
    Yes,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asked {
    #[default]
    Other,
    StartTls,
    /// The server invites lines that are no commands.
    Invitation,
}

impl Talk for Dialogue {
    fn expects(&self, side: Side) -> Expect {
        match self.sides.of(side) {
            Literal::Bytes(left) if *left > 0 => Expect::Payload(*left),
            _ => Expect::Line,
        }
    }

    fn line(&mut self, side: Side, line: &[u8], context: &mut Context<'_>) -> Step {
        let continues = *self.sides.of(side) != Literal::None;
        *self.sides.of_mut(side) = literal_at_end(line);
        let step = match side {
            _ if continues => Step::Obeys,
            Side::Originator => {
                let step = self.command(line);
                let command = word(split_word(line).1);
                if step == Step::Obeys && is_one_of(command, COMMANDS) {
                    context.command("imap", command);
                }
                step
            }
            Side::Responder => self.response(line),
        };
        // Nothing can be counted behind a line that was too long to keep.
        if line.len() + 2 >= LINE_BYTES_MAX && step == Step::Obeys { Step::Unchecked } else { step }
    }

    fn begun(&self, side: Side, part: &[u8]) -> Step {
        if *self.sides.of(side) != Literal::None {
            return Step::Obeys;
        }
        let fits = match side {
            Side::Originator => self.invited == Invited::Yes || tagged(part).possible(),
            Side::Responder => match part {
                [b'*' | b'+'] | [b'*' | b'+', b' ', ..] => true,
                _ => status(part).possible(),
            },
        };
        if fits { Step::Obeys } else { Step::Left }
    }

    fn payload(&mut self, side: Side, count: u64) -> Step {
        if let Literal::Bytes(left) = self.sides.of_mut(side) {
            *self.sides.of_mut(side) = match left.saturating_sub(count) {
                0 => Literal::RestOfLine,
                left => Literal::Bytes(left),
            };
        }
        Step::Obeys
    }

    fn gap(&mut self, side: Side) {
        // The lost bytes may have begun a literal.
        *self.sides.of_mut(side) = Literal::Bytes(u64::MAX);
    }
}

impl Dialogue {
    fn command(&mut self, line: &[u8]) -> Step {
        if core::mem::take(&mut self.invited) == Invited::Yes && tagged(line) != Fit::Yes {
            let answer = line.iter().all(|b| b.is_ascii_alphanumeric() || b"+/=*".contains(b));
            return if answer { Step::Obeys } else { Step::Left };
        }
        let command = word(split_word(line).1);
        if !tagged(line).possible() || !is_one_of(command, COMMANDS) {
            return Step::Left;
        }
        self.asked = if is_one_of(command, &[b"STARTTLS"]) {
            Asked::StartTls
        } else if is_one_of(command, &[b"AUTHENTICATE", b"IDLE"]) {
            Asked::Invitation
        } else {
            Asked::Other
        };
        Step::Obeys
    }

    fn response(&mut self, line: &[u8]) -> Step {
        match line {
            [b'+', b' ', ..] | [b'+'] if self.asked == Asked::Invitation => {
                self.invited = Invited::Yes;
                Step::Obeys
            }
            // It waits for a literal.
            [b'+', b' ', ..] | [b'+'] if *self.sides.of(Side::Originator) != Literal::None => {
                Step::Obeys
            }
            [b'*', b' ', ..] => Step::Obeys,
            _ if status(line) != Fit::Yes => Step::Left,
            _ if self.asked == Asked::StartTls && is_one_of(word(split_word(line).1), &[b"OK"]) => {
                Step::Becomes(Next::Tls, 0)
            }
            _ => Step::Obeys,
        }
    }
}

/// A tagged status response.
fn status(line: &[u8]) -> Fit {
    let (tag, rest) = split_word(line);
    if tag.is_empty() || tag.len() > TAG_BYTES_MAX || !tag.iter().all(is_tag_byte) {
        return Fit::No;
    }
    if tag.len() == line.len() {
        return Fit::Could;
    }
    first_word(rest, &[b"OK", b"NO", b"BAD"]).or(if is_one_of(rest, &[b"OK", b"NO", b"BAD"]) {
        Fit::Yes
    } else {
        Fit::No
    })
}

/// `{12}` or `{12+}` at the end of a line.
fn literal_at_end(line: &[u8]) -> Literal {
    let count = line
        .strip_suffix(b"}")
        .and_then(|line| line.rsplit(|byte| *byte == b'{').next().filter(|l| l.len() < line.len()))
        .map(|count| count.strip_suffix(b"+").unwrap_or(count))
        .and_then(decimal);
    match count {
        Some(0) => Literal::RestOfLine,
        Some(count) => Literal::Bytes(count),
        None => Literal::None,
    }
}

fn is_tag_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_/:$&".contains(byte)
}

const TAG_BYTES_MAX: usize = 32;
const GREETINGS: &[&[u8]] = &[b"* OK", b"* PREAUTH", b"* BYE"];
const COMMANDS: &[&[u8]] = &[
    b"CAPABILITY",
    b"NOOP",
    b"LOGOUT",
    b"STARTTLS",
    b"AUTHENTICATE",
    b"LOGIN",
    b"ENABLE",
    b"SELECT",
    b"EXAMINE",
    b"CREATE",
    b"DELETE",
    b"RENAME",
    b"SUBSCRIBE",
    b"UNSUBSCRIBE",
    b"LIST",
    b"LSUB",
    b"XLIST",
    b"NAMESPACE",
    b"STATUS",
    b"APPEND",
    b"IDLE",
    b"CLOSE",
    b"UNSELECT",
    b"EXPUNGE",
    b"SEARCH",
    b"FETCH",
    b"STORE",
    b"COPY",
    b"MOVE",
    b"UID",
    b"CHECK",
    b"ID",
    b"GETQUOTA",
    b"GETQUOTAROOT",
    b"SETQUOTA",
    b"GETACL",
    b"SETACL",
    b"MYRIGHTS",
    b"COMPRESS",
    b"SORT",
    b"THREAD",
    b"NOTIFY",
    b"GETMETADATA",
    b"SETMETADATA",
    b"XAPPLEPUSHSERVICE",
];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn reading_mail_is_imap() {
        let story = Story::of(&[
            server(b"* OK ready\r\n"),
            client(b"a1 LOGIN {1}\r\n"),
            server(b"+ go on\r\n"),
            client(b"u p\r\n"),
            server(b"a1 OK in\r\n"),
            client(b"a2 FETCH 1 BODY[]\r\n"),
            server(b"* 1 FETCH (BODY[] {3}\r\nid\n)\r\na2 OK done\r\n"),
            client(b"a3 IDLE\r\n"),
            server(b"+ idling\r\n"),
            client(b"DONE\r\n"),
        ]);
        story.is_confirmed("imap");
        story.is_obeyed_after(0);
    }

    #[test]
    fn imap_cut_short_is_unsure() {
        assert!(Story::of(&[server(b"* OK rea")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_the_greeting_leaves() {
        let story = Story::of(&[server(b"* OK\r\nid\r\n")]);
        story.is_only_proposed("imap");
        story.is_left_by_server();
        let greeting = server(b"* OK ready\r\n");
        Story::of(&[greeting, client(b"uid=0(root) gid=0\n")]).is_left_by_client();
        let story = Story::of(&[greeting, client(b"a NOOP\r\n"), server(b"uname -a\r\n")]);
        story.is_left_by_server();
    }
}
