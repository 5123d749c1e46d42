//! Memcached's text protocol, by a command and its reply: doc/protocol.txt of memcached.

use observation::Side;

use super::follow::{Both, Context, Follower, Step};
use super::lines::{Expect, Lines, Owed, Talk};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, decimal, exact_word, first_line, is_text, word};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "memcached",
    first_bytes: FirstBytes::range(b'a', b'z'),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Memcached(Lines::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    match (command(heads.opener), exact_word(heads.answerer, REPLIES).or(number(heads.answerer))) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        // Redis has a `get` too; what carries a length speaks for itself.
        (Fit::Yes, Fit::Could) if stored(first_line(heads.opener)).is_some() => {
            Verdict::Proposed(Side::Originator)
        }
        _ => Verdict::Unsure,
    }
}

fn command(head: &[u8]) -> Fit {
    match (exact_word(head, COMMANDS), first_line(head)) {
        (Fit::Yes, Some(line)) if is_text(line) => Fit::Yes,
        (Fit::Yes, Some(_)) => Fit::No,
        (Fit::Yes, None) => Fit::Could,
        (fit, _) => fit,
    }
}

/// What `incr` and `decr` are answered with.
fn number(head: &[u8]) -> Fit {
    let digits = first_line(head).unwrap_or(head);
    let digits = digits.strip_suffix(b"\r").unwrap_or(digits);
    match (digits.len() <= 20 && digits.iter().all(u8::is_ascii_digit), first_line(head)) {
        (true, Some([_, ..])) => Fit::Yes,
        (true, None) => Fit::Could,
        _ => Fit::No,
    }
}

/// How many bytes of data follow a storage command.
fn stored(line: Option<&[u8]>) -> Option<u64> {
    let mut words = line?.split(|byte| *byte == b' ');
    match words.next()? {
        b"set" | b"add" | b"replace" | b"append" | b"prepend" | b"cas" => {
            let [_, flags, expiry, count] =
                [words.next()?, words.next()?, words.next()?, words.next()?];
            decimal(flags)?;
            decimal(expiry.strip_prefix(b"-").unwrap_or(expiry))?;
            decimal(count)
        }
        b"ms" => decimal(words.nth(1)?),
        _ => None,
    }
}

/// Payload of both sides, and the replies that are owed.
#[derive(Debug)]
pub(super) struct Dialogue {
    data: Both<u64>,
    owed: Owed,
}

impl Default for Dialogue {
    fn default() -> Self {
        Self { data: Both::default(), owed: Owed::NOTHING }
    }
}

impl Talk for Dialogue {
    fn expects(&self, side: Side) -> Expect {
        match self.data.of(side) {
            0 => Expect::Line,
            left => Expect::Payload(*left),
        }
    }

    fn line(&mut self, side: Side, line: &[u8], _: &mut Context<'_>) -> Step {
        let fits = is_text(line)
            && match side {
                Side::Originator => self.command(line),
                Side::Responder => self.reply(line),
            };
        if fits { Step::Obeys } else { Step::Left }
    }

    fn begun(&self, side: Side, part: &[u8]) -> Step {
        let fits = match side {
            Side::Originator => exact_word(part, COMMANDS),
            Side::Responder => exact_word(part, REPLIES).or(number(part)),
        };
        if fits.possible() { Step::Obeys } else { Step::Left }
    }

    fn payload(&mut self, side: Side, count: u64) -> Step {
        let left = self.data.of_mut(side);
        *left = left.saturating_sub(count);
        Step::Obeys
    }

    fn gap(&mut self, side: Side) {
        *self.data.of_mut(side) = 0;
        self.owed.lose_count();
    }
}

impl Dialogue {
    fn command(&mut self, line: &[u8]) -> bool {
        let verb = word(line);
        if let Some(count) = stored(Some(line)) {
            *self.data.of_mut(Side::Originator) = count.saturating_add(2);
        }
        match verb {
            b"quit" => {}
            _ if line.ends_with(b" noreply") => {}
            // Meta commands may ask for silence, and a watcher is told without end.
            b"mg" | b"ms" | b"md" | b"ma" | b"mn" | b"me" | b"watch" => self.owed.lose_count(),
            _ => self.owed.ask(),
        }
        COMMANDS.contains(&verb)
    }

    fn reply(&mut self, line: &[u8]) -> bool {
        let mut words = line.split(|byte| *byte == b' ');
        let kind = words.next().unwrap_or_default();
        match kind {
            b"VALUE" => {
                let Some(count) = words.nth(2).and_then(decimal) else { return false };
                *self.data.of_mut(Side::Responder) = count.saturating_add(2);
                self.owed.is_owed()
            }
            b"VA" => {
                let Some(count) = words.next().and_then(decimal) else { return false };
                *self.data.of_mut(Side::Responder) = count.saturating_add(2);
                self.owed.is_owed()
            }
            b"STAT" => self.owed.is_owed(),
            _ => {
                (REPLIES.contains(&kind) || number(kind).possible() && !kind.is_empty())
                    && self.owed.answer()
            }
        }
    }
}

const COMMANDS: &[&[u8]] = &[
    b"get",
    b"gets",
    b"gat",
    b"gats",
    b"set",
    b"add",
    b"replace",
    b"append",
    b"prepend",
    b"cas",
    b"delete",
    b"incr",
    b"decr",
    b"touch",
    b"stats",
    b"flush_all",
    b"version",
    b"verbosity",
    b"quit",
    b"mg",
    b"ms",
    b"md",
    b"ma",
    b"mn",
    b"me",
    b"cache_memlimit",
    b"slabs",
    b"lru",
    b"lru_crawler",
    b"watch",
    b"shutdown",
];
const REPLIES: &[&[u8]] = &[
    b"VALUE",
    b"END",
    b"STORED",
    b"NOT_STORED",
    b"EXISTS",
    b"NOT_FOUND",
    b"DELETED",
    b"TOUCHED",
    b"OK",
    b"STAT",
    b"VERSION",
    b"ERROR",
    b"CLIENT_ERROR",
    b"SERVER_ERROR",
    b"HD",
    b"VA",
    b"EN",
    b"NS",
    b"EX",
    b"NF",
    b"MN",
    b"ME",
    b"RESET",
    b"BUSY",
    b"BADCLASS",
    b"NOSPARE",
    b"NOTFULL",
    b"UNSAFE",
    b"SAME",
];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn stats_and_a_store_are_memcached() {
        let story = Story::of(&[
            client(b"stats\r\n"),
            server(b"STAT pid 1\r\nEND\r\n"),
            client(b"set a 0 0 3\r\nid\n\r\nget a\r\n"),
            server(b"STORED\r\nVALUE a 0 3\r\nid\n\r\nEND\r\n"),
            client(b"incr n 1\r\n"),
            server(b"2\r\n"),
        ]);
        story.is_confirmed("memcached");
        story.is_obeyed_after(1);
    }

    #[test]
    fn memcached_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"stats\r\n"), server(b"STA")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_stats_leaves() {
        let stats = client(b"stats\r\n");
        Story::of(&[stats, server(b"END\r\nid\r\n")]).is_left_by_server();
        Story::of(&[stats, server(b"END\r\nOK\r\n")]).is_left_by_server();
        Story::of(&[stats, server(b"END\r\n"), client(b"uid=0(root)\r\n")]).is_left_by_client();
    }
}
