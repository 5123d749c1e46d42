//! Fluentd's forward protocol, as Docker's log driver speaks it, by an event in MessagePack:
//! Fluentd, "Forward Protocol Specification v1". A server says nothing, or acknowledges.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, client_first, is_text};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "fluentd",
    first_bytes: FirstBytes::of(&[0x92, 0x93, 0x94]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    match client_first(&heads, event(heads.opener), acknowledges(heads.answerer)) {
        // Most events are never answered.
        Verdict::Proposed(_) => Verdict::Confirmed,
        verdict => verdict,
    }
}

/// An array of a tag and a time, or of a tag and a packed or listed set of events.
fn event(head: &[u8]) -> Fit {
    let (tag_at, length) = match *head {
        [] | [0x92..=0x94] | [0x92..=0x94, 0xd9] => return Fit::Could,
        [0x92..=0x94, kind @ 0xa1..=0xbf, ..] => (2, usize::from(kind & 0x1f)),
        [0x92..=0x94, 0xd9, length @ 1..=127, ..] => (3, usize::from(length)),
        _ => return Fit::No,
    };
    let tag = head.get(tag_at..).unwrap_or_default();
    let Some((tag, rest)) = tag.split_at_checked(length) else {
        return if is_text(tag) { Fit::Could } else { Fit::No };
    };
    if !is_text(tag) { Fit::No } else { body(rest) }
}

fn body(bytes: &[u8]) -> Fit {
    match bytes {
        [] | [0xd7] | [0xce] | [0xc4..=0xc6] | [0xdc | 0xdd] => Fit::Could,
        // A time with nanoseconds or without, then a record with a text for its first key.
        [0xd7, 0, rest @ ..] => rest.get(8..).map_or(Fit::Could, record),
        [0xce, rest @ ..] => rest.get(4..).map_or(Fit::Could, record),
        // Packed events begin with an array of a time and a record.
        [0xc4, _, rest @ ..] | [0xc5, _, _, rest @ ..] => listed(rest),
        [0xdc, _, _, rest @ ..] | [0x91..=0x9f, rest @ ..] => listed(rest),
        [0xc5 | 0xdc, _] => Fit::Could,
        _ => Fit::No,
    }
}

fn listed(bytes: &[u8]) -> Fit {
    match bytes {
        [] | [0x92] | [0x92, 0xd7] => Fit::Could,
        [0x92, 0xd7, 0, rest @ ..] => rest.get(8..).map_or(Fit::Could, record),
        [0x92, 0xce, rest @ ..] => rest.get(4..).map_or(Fit::Could, record),
        _ => Fit::No,
    }
}

fn record(bytes: &[u8]) -> Fit {
    match bytes {
        [] | [0x81..=0x8f] | [0xde] | [0xde, _] | [0xde, _, _] => Fit::Could,
        [0x81..=0x8f, 0xa1..=0xbf, ..] | [0xde, _, _, 0xa1..=0xbf, ..] => Fit::Yes,
        _ => Fit::No,
    }
}

/// `{"ack": …}`.
fn acknowledges(head: &[u8]) -> Fit {
    match head {
        [] => Fit::Could,
        _ if head.iter().zip(b"\x81\xa3ack").all(|(byte, want)| byte == want) => Fit::Yes,
        _ => Fit::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const EVENT: &[u8; 30] =
        b"\x94\xa6docker\xd7\x00\x65\x00\x00\x00\0\0\0\0\x81\xa3log\xa2hi\x80\xc0\xc0\xc0";

    #[test]
    fn an_event_is_fluentd() {
        Story::of(&[client(EVENT)]).is_confirmed("fluentd");
        Story::of(&[client(EVENT), server(b"\x81\xa3ack\xa1x")]).is_confirmed("fluentd");
    }

    #[test]
    fn an_event_cut_short_is_unsure() {
        Story::of(&[client(b"\x94\xa6docker\xd7\x00\x65\x00\x00\x00\0\0\0\0")]).is_nothing();
    }

    #[test]
    fn another_array_is_not_fluentd() {
        Story::of(&[client(b"\x94\xa6docker\xc0\x00\x65\x00\x00\x00\0\0\0\0\x81\xa3log")])
            .is_nothing();
        Story::of(&[client(b"\x93\xa2\x01\x02\xd7\x00\x65\x00\x00\x00\0\0\0\0\x81\xa3l")])
            .is_nothing();
    }
}
