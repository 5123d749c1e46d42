//! Lumberjack, from Beats to Logstash, by a window and the acknowledgement of it: Elastic,
//! `go-lumber` and `logstash-input-beats`, "PROTOCOL".

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, client_first, confirmed_only};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "lumberjack",
    first_bytes: FirstBytes::of(b"12"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    confirmed_only(client_first(&heads, window(heads.opener), acknowledges(heads.answerer)))
}

/// A version, `W`, how many events will come; then a frame of the same version.
fn window(head: &[u8]) -> Fit {
    match head {
        [] | [b'1' | b'2'] | [b'1' | b'2', b'W'] => Fit::Could,
        [b'1' | b'2', b'W', size @ ..] => match size {
            [0, 0, high, low] | [0, 0, high, low, ..] if (*high, *low) == (0, 0) => Fit::No,
            [0, 0, _, _, version, ..] if Some(version) != head.first() => Fit::No,
            [0, 0, _, _, _, kind, ..] if !matches!(kind, b'C' | b'J' | b'D') => Fit::No,
            [0, 0, _, _, ..] => Fit::Yes,
            [] | [0] | [0, 0] | [0, 0, _] => Fit::Could,
            _ => Fit::No,
        },
        _ => Fit::No,
    }
}

fn acknowledges(head: &[u8]) -> Fit {
    match head {
        [] | [b'1' | b'2'] | [b'1' | b'2', b'A'] | [b'1' | b'2', b'A', 0] => Fit::Could,
        [b'1' | b'2', b'A', 0, 0, ..] => Fit::Yes,
        _ => Fit::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const WINDOW: &[u8; 12] = b"2W\0\0\0\x012C\0\0\0\x10";

    #[test]
    fn a_window_and_its_acknowledgement_are_lumberjack() {
        Story::of(&[client(WINDOW), server(b"2A\0\0\0\x01")]).is_confirmed("lumberjack");
    }

    #[test]
    fn a_window_that_nobody_acknowledges_is_unsure() {
        Story::of(&[client(WINDOW)]).is_nothing();
    }

    #[test]
    fn text_that_begins_alike_is_not_lumberjack() {
        Story::of(&[client(b"2Weeks later"), server(b"2A\0\0\0\x01")]).is_nothing();
        Story::of(&[client(WINDOW), server(b"id\n")]).is_nothing();
    }
}
