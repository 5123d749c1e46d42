//! Graphite's plaintext lines (`path value timestamp`) and StatsD's (`name:value|type`), over TCP
//! or
//! UDP. The receiver never speaks.

use observation::{Side, Transport};

use super::follow::{Context, Follower, Step};
use super::lines::{Lines, Talk};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, first_line};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "graphite",
    first_bytes: FirstBytes::range(b'a', b'z')
        .or(FirstBytes::range(b'A', b'Z'))
        .or(FirstBytes::range(b'0', b'9'))
        .or(FirstBytes::of(b"_")),
    transports: Transports::Both,
    probe,
    follow: Some(|| Follower::Graphite(Lines::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if !heads.answerer.is_empty() {
        return Verdict::Never;
    }
    let head = heads.opener;
    match (first_line(head), heads.transport) {
        (Some(line), _) if is_sample(line) => Verdict::Confirmed,
        (None, Transport::Udp) if is_sample(head) => Verdict::Confirmed,
        (Some(_), _) => Verdict::Never,
        (None, Transport::Udp) if !head.is_empty() => Verdict::Never,
        (None, _) if begins_sample(head).possible() => Verdict::Unsure,
        (None, _) => Verdict::Never,
    }
}

fn is_sample(line: &[u8]) -> bool {
    line.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == b'\t')
        && (is_carbon(line) || is_statsd(line))
}

/// `path value timestamp`; the path may carry tags behind semicolons.
fn is_carbon(line: &[u8]) -> bool {
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    let (Some(path), Some(value), Some(time)) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    words.next().is_none()
        && path.first().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        && path.iter().all(is_path_byte)
        && is_number(value)
        && (is_time(time) || time == b"-1" || time == b"N")
}

/// Seconds since 1970, between 2001 and 2286: ten digits.
fn is_time(word: &[u8]) -> bool {
    let whole = word.split(|byte| *byte == b'.').next().unwrap_or(word);
    whole.len() == 10 && is_number(word)
}

/// `name:value|type`, perhaps with a sample rate and tags.
fn is_statsd(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
    let (name, rest) = line.split_at_checked(colon).unwrap_or_default();
    let mut parts = rest.get(1..).unwrap_or_default().split(|byte| *byte == b'|');
    let values = parts.next().unwrap_or_default();
    let kind = parts.next().unwrap_or_default();
    name.first().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        && name.iter().all(is_path_byte)
        && [&b"c"[..], b"g", b"ms", b"h", b"s", b"d", b"m"].contains(&kind)
        && (kind == b"s" || values.split(|byte| *byte == b':').all(is_number))
        && parts.all(|part| matches!(part.first(), Some(b'@' | b'#' | b'T' | b'c' | b'e')))
}

fn is_number(word: &[u8]) -> bool {
    let digits = word.iter().any(u8::is_ascii_digit);
    (digits && word.iter().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte)))
        || matches!(word, b"nan" | b"NaN" | b"inf" | b"-inf")
}

fn is_path_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-/;=%#@[]+*,".contains(byte)
}

/// Whether an unfinished line can still become a sample: a path, then numbers; or a name, then `:`.
fn begins_sample(part: &[u8]) -> Fit {
    let path = part.iter().take_while(|byte| is_path_byte(byte)).count();
    let rest = part.get(path..).unwrap_or_default();
    let first = part.first().is_none_or(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let fits = first
        && path <= PATH_BYTES_MAX
        && match rest {
            [] => true,
            [b':', values @ ..] => {
                path > 0 && values.iter().all(|byte| (b' '..=b'~').contains(byte))
            }
            [b' ' | b'\t', values @ ..] => values
                .iter()
                .all(|byte| byte.is_ascii_digit() || b"+-.eEnaNifr \t\r".contains(byte)),
            _ => false,
        };
    if fits { Fit::Could } else { Fit::No }
}

/// A stream of samples needs no memory.
#[derive(Debug, Default)]
pub(super) struct Stream;

impl Talk for Stream {
    fn line(&mut self, side: Side, line: &[u8], _: &mut Context<'_>) -> Step {
        let fits = side == Side::Originator && (line.is_empty() || is_sample(line));
        if fits { Step::Obeys } else { Step::Left }
    }

    fn begun(&self, side: Side, part: &[u8]) -> Step {
        let fits = side == Side::Originator && begins_sample(part).possible();
        if fits { Step::Obeys } else { Step::Left }
    }
}

const PATH_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn samples_are_graphite() {
        let story = Story::of(&[client(b"web.a.cpu;dc=x 0.5 1700000000\nweb.a.mem 12 -1\n")]);
        story.is_confirmed("graphite");
        story.is_obeyed_after(0);
        Story::of_datagrams(&[client(b"web.hits:1|c|@0.1|#a:b")]).is_confirmed("graphite");
    }

    #[test]
    fn graphite_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"web.cpu 0.5 17000")]).names.is_empty());
    }

    #[test]
    fn a_listing_is_not_graphite_and_a_receiver_that_answers_leaves() {
        assert!(Story::of(&[client(b"total 12 files\n")]).names.is_empty());
        Story::of(&[client(b"a.b 1 1700000000\n"), server(b"id\n")]).is_left_by_server();
        Story::of(&[client(b"a.b 1 1700000000\nroot\n")]).is_left_by_client();
    }
}
