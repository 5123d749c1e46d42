//! Redis, by RESP or an inline command and a RESP reply: the Redis serialization protocol, 2 and 3.
//!
//! The client commands and the server answers: replies are counted against commands, so that a far
//! end that speaks unasked leaves the protocol.

use observation::Side;

use super::follow::{Both, Context, Follower, Step};
use super::lines::{Expect, Lines, Owed, Talk};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{
    Fit, after_first_line, decimal, first_line, first_word, is_one_of, is_text, word,
};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "redis",
    first_bytes: FirstBytes::of(b"*")
        .or(FirstBytes::range(b'A', b'Z'))
        .or(FirstBytes::range(b'a', b'z')),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Redis(Lines::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    match (array(heads.opener), inline(heads.opener), reply(heads.answerer)) {
        (Fit::No, Fit::No, _) | (_, _, Fit::No) => Verdict::Never,
        (Fit::Yes, _, Fit::Yes) | (_, Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, _, Fit::Could) => Verdict::Proposed(Side::Originator),
        // Other protocols have a PING and a QUIT too.
        _ => Verdict::Unsure,
    }
}

/// `*N`, then `$N` and as many bytes of a command's name.
fn array(head: &[u8]) -> Fit {
    let count = numbered_line(head, b'*');
    if count != Fit::Yes {
        return count;
    }
    let bulk = after_first_line(head);
    match numbered_line(bulk, b'$') {
        Fit::Yes => {
            let name = after_first_line(bulk);
            let name = name.split(|byte| *byte == b'\r').next().unwrap_or(name);
            if name.is_empty() {
                Fit::Could
            } else if name.iter().all(is_name_byte) {
                Fit::Yes
            } else {
                Fit::No
            }
        }
        fit => fit,
    }
}

fn inline(head: &[u8]) -> Fit {
    match (first_word(head, COMMANDS), first_line(head)) {
        (Fit::Yes, Some(line)) if is_text(line) => Fit::Yes,
        (Fit::Yes, Some(_)) => Fit::No,
        (Fit::Yes, None) => Fit::Could,
        (fit, _) => fit,
    }
}

fn reply(head: &[u8]) -> Fit {
    match (head.first(), first_line(head)) {
        (None, _) => Fit::Could,
        (Some(b'+' | b'-'), Some(line)) if is_text(line) => Fit::Yes,
        (Some(b'+' | b'-'), None) if is_text(without_cr(head)) => Fit::Could,
        (Some(b':'), _) => numbered_line(head, b':'),
        (Some(b'$'), _) => numbered_line(head, b'$'),
        (Some(b'*'), _) => numbered_line(head, b'*'),
        (Some(b'%'), _) => numbered_line(head, b'%'),
        (Some(b'_'), _) => numbered_line(head, b'_'),
        _ => Fit::No,
    }
}

/// A type byte and a number that may be negative, to the end of the line.
fn numbered_line(head: &[u8], kind: u8) -> Fit {
    let Some((first, rest)) = head.split_first() else { return Fit::Could };
    let digits = first_line(rest).unwrap_or_else(|| without_cr(rest));
    let digits = digits.strip_prefix(b"-").unwrap_or(digits);
    let fits = *first == kind
        && digits.len() <= NUMBER_DIGITS_MAX
        && digits.iter().all(u8::is_ascii_digit);
    match (fits, first_line(rest)) {
        (false, _) => Fit::No,
        (true, None) => Fit::Could,
        (true, Some([])) if kind != b'_' => Fit::No,
        (true, Some(_)) => Fit::Yes,
    }
}

/// What each side is in the middle of.
#[derive(Debug)]
pub(super) struct Dialogue {
    sides: Both<Value>,
    owed: Owed,
    mode: Mode,
}

impl Default for Dialogue {
    fn default() -> Self {
        Self { sides: Both::default(), owed: Owed::NOTHING, mode: Mode::Asked }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// One reply for each command.
    Asked,
    /// Subscribed or monitoring: messages come unasked.
    Pushed,
    /// A replica's link: it carries commands from the server.
    Replica,
}

/// A value whose elements are still coming.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Value {
    /// Elements that are still to come; nesting only ever adds to it.
    elements: u64,
    /// Bytes of a bulk string that are still to come, its line end included.
    bulk: u64,
    /// Whether the next bulk string is a command's name.
    name: Name,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Name {
    #[default]
    Past,
    Next,
    Here,
}

impl Talk for Dialogue {
    fn expects(&self, side: Side) -> Expect {
        let value = self.sides.of(side);
        match self.mode {
            Mode::Replica => Expect::Anything,
            // A command's name is short and worth reading.
            _ if value.name == Name::Here => Expect::Line,
            _ if value.bulk > 0 => Expect::Payload(value.bulk),
            _ => Expect::Line,
        }
    }

    fn line(&mut self, side: Side, line: &[u8], _: &mut Context<'_>) -> Step {
        match (side, self.sides.of(side).name) {
            (Side::Originator, Name::Here) => self.command_name(line),
            (Side::Originator, _) => self.request(line),
            (Side::Responder, _) => self.reply(line),
        }
    }

    fn begun(&self, side: Side, part: &[u8]) -> Step {
        let value = self.sides.of(side);
        let numbered = |kind: u8| numbered_line(part, kind).possible();
        let fits = match side {
            Side::Originator if value.name == Name::Here => part.iter().all(is_name_byte),
            Side::Originator if value.elements > 0 => numbered(b'$'),
            Side::Originator => numbered(b'*') || first_word(part, COMMANDS).possible(),
            Side::Responder => begins_reply(part),
        };
        if fits { Step::Obeys } else { Step::Left }
    }

    fn payload(&mut self, side: Side, count: u64) -> Step {
        let value = self.sides.of_mut(side);
        value.bulk = value.bulk.saturating_sub(count);
        if value.bulk == 0 {
            self.element_done(side);
        }
        Step::Obeys
    }

    fn gap(&mut self, side: Side) {
        // Lines after a gap may be part of a bulk string; nothing can be said of them.
        *self.sides.of_mut(side) = Value::default();
        self.mode = Mode::Replica;
        self.owed.lose_count();
    }
}

impl Dialogue {
    fn request(&mut self, line: &[u8]) -> Step {
        let value = self.sides.of_mut(Side::Originator);
        if value.elements > 0 {
            let Some(length) = line.strip_prefix(b"$").and_then(decimal) else { return Step::Left };
            if value.name == Name::Next {
                value.name = Name::Here;
                value.bulk = length;
                return if length <= NAME_BYTES_MAX { Step::Obeys } else { Step::Left };
            }
            value.bulk = length.saturating_add(2);
            return Step::Obeys;
        }
        if let Some(count) = line.strip_prefix(b"*").and_then(decimal) {
            if count > 0 {
                *value = Value { elements: count, bulk: 0, name: Name::Next };
            }
            return Step::Obeys;
        }
        if line.is_empty() {
            return Step::Obeys;
        }
        if !is_one_of(word(line), COMMANDS) || !is_text(line) {
            return Step::Left;
        }
        self.command(word(line));
        Step::Obeys
    }

    fn command_name(&mut self, line: &[u8]) -> Step {
        let value = self.sides.of_mut(Side::Originator);
        let whole = line.len() as u64 == value.bulk && line.iter().all(is_name_byte);
        value.name = Name::Past;
        value.bulk = 0;
        if !whole {
            return Step::Left;
        }
        self.command(line);
        self.element_done(Side::Originator);
        Step::Obeys
    }

    fn command(&mut self, name: &[u8]) {
        self.owed.ask();
        if is_one_of(name, PUSHING) {
            self.mode = Mode::Pushed;
        } else if is_one_of(name, &[b"PSYNC", b"SYNC"]) {
            self.mode = Mode::Replica;
        }
    }

    fn reply(&mut self, line: &[u8]) -> Step {
        let Some((kind, rest)) = line.split_first() else { return Step::Left };
        let value = self.sides.of_mut(Side::Responder);
        let number = decimal(rest.strip_prefix(b"-").unwrap_or(rest));
        if value.elements == 0 {
            // RESP3 pushes and what was subscribed to come unasked.
            let asked = *kind == b'>' || self.owed.answer() || self.mode == Mode::Pushed;
            if !asked {
                return Step::Left;
            }
            value.elements = 1;
        }
        match (kind, number) {
            (b'*' | b'~' | b'>', Some(count)) => {
                let count = if rest.starts_with(b"-") { 0 } else { count };
                value.elements = value.elements.saturating_add(count);
            }
            (b'%' | b'|', Some(count)) => {
                value.elements = value.elements.saturating_add(count.saturating_mul(2));
            }
            (b'$' | b'=' | b'!', Some(length)) if !rest.starts_with(b"-") => {
                value.bulk = length.saturating_add(2);
                return Step::Obeys;
            }
            (b'$' | b':', Some(_)) => {}
            (b'+' | b'-', _) if is_text(rest) => {}
            (b'_', _) if rest.is_empty() => {}
            (b'#', _) if rest == b"t" || rest == b"f" => {}
            (b',' | b'(', _) if is_text(rest) => {}
            _ => return Step::Left,
        }
        self.element_done(Side::Responder);
        Step::Obeys
    }

    fn element_done(&mut self, side: Side) {
        let value = self.sides.of_mut(side);
        value.elements = value.elements.saturating_sub(1);
    }
}

fn begins_reply(part: &[u8]) -> bool {
    match part.split_first() {
        Some((b'+' | b'-' | b',' | b'(', rest)) => is_text(rest),
        Some((b'#', rest)) => matches!(rest, [] | [b't' | b'f']),
        Some((kind, _)) => b":$*%~>|=!_".contains(kind) && numbered_line(part, *kind).possible(),
        None => true,
    }
}

fn is_name_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-|".contains(byte)
}

fn without_cr(head: &[u8]) -> &[u8] {
    head.strip_suffix(b"\r").unwrap_or(head)
}

const NUMBER_DIGITS_MAX: usize = 19;
const NAME_BYTES_MAX: u64 = 64;
/// Commands after which the server speaks unasked.
const PUSHING: &[&[u8]] = &[b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE", b"MONITOR"];
/// What may stand inline: the commands that people and health checks type.
const COMMANDS: &[&[u8]] = &[
    b"PING",
    b"INFO",
    b"AUTH",
    b"HELLO",
    b"ECHO",
    b"QUIT",
    b"SELECT",
    b"GET",
    b"SET",
    b"DEL",
    b"EXISTS",
    b"EXPIRE",
    b"TTL",
    b"PTTL",
    b"TYPE",
    b"KEYS",
    b"SCAN",
    b"DBSIZE",
    b"INCR",
    b"DECR",
    b"INCRBY",
    b"DECRBY",
    b"MGET",
    b"MSET",
    b"SETEX",
    b"SETNX",
    b"GETSET",
    b"APPEND",
    b"STRLEN",
    b"LPUSH",
    b"RPUSH",
    b"LPOP",
    b"RPOP",
    b"LRANGE",
    b"LLEN",
    b"BLPOP",
    b"BRPOP",
    b"HGET",
    b"HSET",
    b"HDEL",
    b"HGETALL",
    b"HKEYS",
    b"HVALS",
    b"HLEN",
    b"HMGET",
    b"HMSET",
    b"SADD",
    b"SREM",
    b"SMEMBERS",
    b"SCARD",
    b"SISMEMBER",
    b"ZADD",
    b"ZREM",
    b"ZRANGE",
    b"ZCARD",
    b"ZSCORE",
    b"PUBLISH",
    b"SUBSCRIBE",
    b"PSUBSCRIBE",
    b"UNSUBSCRIBE",
    b"PUNSUBSCRIBE",
    b"MONITOR",
    b"CLIENT",
    b"CONFIG",
    b"COMMAND",
    b"CLUSTER",
    b"ROLE",
    b"SENTINEL",
    b"TIME",
    b"SAVE",
    b"BGSAVE",
    b"LASTSAVE",
    b"FLUSHALL",
    b"FLUSHDB",
    b"SLAVEOF",
    b"REPLICAOF",
    b"REPLCONF",
    b"PSYNC",
    b"SYNC",
    b"SHUTDOWN",
    b"SLOWLOG",
    b"MEMORY",
    b"LATENCY",
    b"MODULE",
    b"MULTI",
    b"EXEC",
    b"DISCARD",
    b"WATCH",
    b"UNWATCH",
    b"EVAL",
    b"EVALSHA",
    b"SCRIPT",
    b"ACL",
    b"RANDOMKEY",
    b"RENAME",
    b"PERSIST",
    b"XADD",
    b"XREAD",
    b"XLEN",
    b"XRANGE",
    b"RESET",
    b"WAIT",
    b"OBJECT",
    b"DEBUG",
    b"LOLWUT",
];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_ping_in_resp_is_redis() {
        let story = Story::of(&[
            client(b"*1\r\n$4\r\nPING\r\n"),
            server(b"+PONG\r\n"),
            client(b"*2\r\n$4\r\nMGET\r\n$1\r\na\r\n*1\r\n$4\r\nINFO\r\n"),
            server(b"*2\r\n$3\r\n\r\n\n\r\n*1\r\n:1\r\n$-1\r\n"),
        ]);
        story.is_confirmed("redis");
        story.is_obeyed_after(0);
    }

    #[test]
    fn inline_commands_are_redis() {
        let story = Story::of(&[
            client(b"PING\r\n"),
            server(b"+PONG\r\n"),
            client(b"info\n"),
            server(b"$4\r\na:1\n\r\n"),
        ]);
        story.is_confirmed("redis");
        story.is_obeyed_after(1);
    }

    #[test]
    fn redis_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"*1\r\n$4\r")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_a_ping_leaves() {
        let story = Story::of(&[client(b"*1\r\n$4\r\nPING\r\n"), server(b"+PONG\r\n+id\r\n")]);
        story.is_left_by_server();
        let story = Story::of(&[
            client(b"*1\r\n$4\r\nPING\r\n"),
            server(b"+PONG\r\n"),
            client(b"uid=0(root)\n"),
        ]);
        story.is_left_by_client();
    }

    #[test]
    fn a_far_end_that_pings_first_is_not_redis() {
        assert!(Story::of(&[server(b"PING\r\n"), client(b"+PONG\r\n")]).names.is_empty());
    }
}
