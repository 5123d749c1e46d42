//! IRC, by the client's registration and the server's prefixed replies: RFC 2812; then by message.

use observation::{DetailKind, Side};

use super::follow::{Context, Follower, Step};
use super::lines::{Lines, Talk};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{
    Fit, after_first_line, first_line, first_word, is_one_of, is_text, literal, split_word, word,
};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "irc",
    first_bytes: FirstBytes::of(b":NnUuPpCcEe"),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Irc(Lines::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    match (registers(heads.opener), serves(heads.answerer)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, Fit::Could) => Verdict::Proposed(Side::Originator),
        (Fit::Could, Fit::Yes) if names_itself(heads.answerer) => {
            Verdict::Proposed(Side::Responder)
        }
        (Fit::Could, _) => Verdict::Unsure,
    }
}

/// NICK and USER, in either order, perhaps behind PASS and CAP. One of them alone is too little:
/// FTP and POP3 have a USER too.
fn registers(head: &[u8]) -> Fit {
    let mut rest = head;
    for _ in 0..OPENING_LINE_COUNT_MAX {
        let Some(line) = first_line(rest) else {
            return if first_word(rest, OPENINGS).possible() { Fit::Could } else { Fit::No };
        };
        let (verb, parameters) = split_word(line);
        if !is_one_of(verb, OPENINGS) || parameters.is_empty() || !is_text(line) {
            return Fit::No;
        }
        let is = |name: &[u8]| verb.eq_ignore_ascii_case(name);
        // User, host, server and real name; FTP's USER has one parameter.
        let blanks = parameters.iter().filter(|byte| **byte == b' ').count();
        if is(b"NICK") || is(b"CAP") && word(parameters).eq_ignore_ascii_case(b"LS") {
            return Fit::Yes;
        }
        if is(b"USER") {
            return if blanks >= 3 { Fit::Yes } else { Fit::No };
        }
        rest = after_first_line(rest);
    }
    Fit::No
}

/// `:server NOTICE`, `:server 001`, or an unprefixed NOTICE, PING or ERROR.
fn serves(head: &[u8]) -> Fit {
    let Some(line) = first_line(head) else {
        let prefixed = head.first().is_none_or(|byte| *byte == b':');
        return if (prefixed || first_word(head, SERVER_OPENINGS).possible())
            && is_text(head.strip_suffix(b"\r").unwrap_or(head))
        {
            Fit::Could
        } else {
            Fit::No
        };
    };
    let command = without_prefix(line).map(word).unwrap_or_default();
    let numeric = command.len() == 3 && command.iter().all(u8::is_ascii_digit);
    let fits =
        is_text(line) && (line.starts_with(b":") && numeric || is_one_of(command, SERVER_OPENINGS));
    if fits { Fit::Yes } else { Fit::No }
}

/// `:server NOTICE AUTH :…` names IRC by itself.
fn names_itself(head: &[u8]) -> bool {
    first_line(head).is_some_and(|line| {
        without_prefix(line).is_some_and(|rest| literal(rest, b"NOTICE ") == Fit::Yes)
            && line.windows(2).any(|pair| pair == b" :")
    })
}

/// What follows the prefix, where there is one.
fn without_prefix(line: &[u8]) -> Option<&[u8]> {
    let line = match line {
        // IRCv3 message tags.
        [b'@', ..] => split_word(line).1,
        _ => line,
    };
    match line {
        [b':', ..] => Some(split_word(line).1.trim_ascii_start()).filter(|rest| !rest.is_empty()),
        _ => Some(line),
    }
}

/// IRC needs no memory: every line says what it is.
#[derive(Debug, Default)]
pub(super) struct Dialogue;

impl Talk for Dialogue {
    fn line(&mut self, side: Side, line: &[u8], context: &mut Context<'_>) -> Step {
        if line.is_empty() {
            return Step::Obeys;
        }
        let command = without_prefix(line).map(word).unwrap_or_default();
        let numeric = command.len() == 3 && command.iter().all(u8::is_ascii_digit);
        let fits = is_one_of(command, COMMANDS)
            || side == Side::Responder && (numeric || is_one_of(command, SERVER_COMMANDS));
        if fits && side == Side::Originator {
            tell(line, context);
        }
        if fits { Step::Obeys } else { Step::Left }
    }

    fn begun(&self, side: Side, part: &[u8]) -> Step {
        let command = match without_prefix(part) {
            None => return Step::Obeys,
            Some(command) => command,
        };
        // A prefix alone says nothing yet.
        let open = matches!(part, [b':' | b'@', ..]) && !part.contains(&b' ');
        let numeric = word(command).len() <= 3 && word(command).iter().all(u8::is_ascii_digit);
        let fits = open
            || first_word(command, COMMANDS).possible()
            || side == Side::Responder
                && (numeric || first_word(command, SERVER_COMMANDS).possible());
        if fits { Step::Obeys } else { Step::Left }
    }
}

/// Nick, user and channels, as the client gives them.
fn tell(line: &[u8], context: &mut Context<'_>) {
    let (verb, parameters) = split_word(without_prefix(line).unwrap_or_default());
    let first = word(parameters);
    let is = |name: &[u8]| verb.eq_ignore_ascii_case(name);
    if is(b"JOIN") {
        for channel in first.split(|byte| *byte == b',') {
            context.detail("irc", DetailKind::Channel, Side::Originator, channel);
        }
    } else if is(b"NICK") || is(b"USER") {
        let kind = if is(b"NICK") { DetailKind::Nick } else { DetailKind::User };
        let name = first.strip_prefix(b":").unwrap_or(first);
        context.detail("irc", kind, Side::Originator, name);
    }
}

const OPENING_LINE_COUNT_MAX: usize = 8;
const OPENINGS: &[&[u8]] = &[b"NICK", b"USER", b"PASS", b"CAP"];
const SERVER_OPENINGS: &[&[u8]] = &[b"NOTICE", b"PING", b"ERROR", b"CAP"];
const COMMANDS: &[&[u8]] = &[
    b"NICK",
    b"USER",
    b"PASS",
    b"CAP",
    b"JOIN",
    b"PART",
    b"QUIT",
    b"MODE",
    b"TOPIC",
    b"NAMES",
    b"LIST",
    b"INVITE",
    b"KICK",
    b"PRIVMSG",
    b"NOTICE",
    b"PING",
    b"PONG",
    b"WHO",
    b"WHOIS",
    b"WHOWAS",
    b"AWAY",
    b"ISON",
    b"USERHOST",
    b"OPER",
    b"MOTD",
    b"LUSERS",
    b"VERSION",
    b"STATS",
    b"LINKS",
    b"TIME",
    b"ADMIN",
    b"INFO",
    b"KILL",
    b"REHASH",
    b"WALLOPS",
    b"SERVICE",
    b"SQUERY",
    b"AUTHENTICATE",
    b"STARTTLS",
    b"SERVER",
    b"SQUIT",
    b"MONITOR",
    b"TAGMSG",
    b"SETNAME",
    b"NICKSERV",
    b"CHANSERV",
    b"NS",
    b"CS",
    b"PROTOCTL",
    b"KNOCK",
    b"SILENCE",
    b"WATCH",
    b"HELP",
    b"BATCH",
    b"CHATHISTORY",
    b"WEBIRC",
    b"MAP",
    b"USERIP",
    b"ERROR",
];
const SERVER_COMMANDS: &[&[u8]] =
    &[b"ACCOUNT", b"CHGHOST", b"FAIL", b"WARN", b"NOTE", b"SASL", b"REDIRECT"];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn registering_is_irc() {
        let story = Story::of(&[
            client(b"NICK bot\r\nUSER bot 0 * :bot\r\n"),
            server(b":irc.example.com 001 bot :Welcome\r\nPING :1\r\n"),
            client(b"PONG :1\r\nJOIN #a,#b key\r\n"),
        ]);
        story.is_confirmed("irc");
        story.is_obeyed_after(0);
        let told = ["Nick", "User", "Channel, side: Originator, value: \"#a\"", "\"#b\""];
        assert_eq!(story.facts.len(), told.len());
        assert!(story.facts.iter().zip(told).all(|(fact, told)| fact.contains(told)), "{story:?}");
    }

    #[test]
    fn irc_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"NICK bo")]).names.is_empty());
    }

    #[test]
    fn user_and_pass_alone_are_not_irc() {
        assert!(Story::of(&[client(b"USER a\r\nPASS b\r\n")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_the_registration_leaves() {
        let story = Story::of(&[client(b"NICK a\r\n"), server(b"id\n")]);
        story.is_only_proposed("irc");
        story.is_left_by_server();
        let story = Story::of(&[
            client(b"NICK a\r\n"),
            server(b":x 001 a :hi\r\n"),
            client(b"uid=0(root)\n"),
        ]);
        story.is_left_by_client();
    }
}
