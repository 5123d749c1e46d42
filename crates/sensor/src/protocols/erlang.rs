//! Erlang's nodes among themselves (RabbitMQ, CouchDB, ejabberd): the mapper of their ports and the
//! handshake of a connection, Erlang/OTP, "Distribution Protocol".

use super::frames::be16_at;
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, client_first, confirmed_only, is_text, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "erlang",
    first_bytes: FirstBytes::of(&[0]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let mapped = client_first(&heads, asks_mapper(heads.opener), mapper_answers(heads.answerer));
    let joined = client_first(&heads, names_itself(heads.opener), accepts(heads.answerer));
    match (mapped, joined) {
        (Verdict::Never, verdict) | (verdict, Verdict::Never) => confirmed_only(verdict),
        (Verdict::Confirmed, _) | (_, Verdict::Confirmed) => Verdict::Confirmed,
        _ => Verdict::Unsure,
    }
}

/// A length, then a node's name to look up, a node that registers, or the list of names.
fn asks_mapper(head: &[u8]) -> Fit {
    let length = be16_at(head, 0).map(usize::from);
    let name = head.get(3..).unwrap_or_default();
    match (length, head.get(2)) {
        (Some(length), _) if !(1..=NAME_BYTES_MAX).contains(&length) => Fit::No,
        (Some(1), Some(b'n')) => whole(head, 3),
        (Some(length), Some(b'z')) if is_text(name) => whole(head, length + 2),
        // A port, the kind of node, the protocol, two versions.
        (Some(length @ 14..), Some(b'x')) => match name {
            [] | [_] | [_, _] | [_, _, 72 | 77 | 104 | 109 | 110] => Fit::Could,
            [_, _, 72 | 77 | 104 | 109 | 110, 0, ..] => whole(head, length + 2),
            _ => Fit::No,
        },
        (_, None) => Fit::Could,
        _ => Fit::No,
    }
}

/// The mapper's port, which is its own; or a result that is good, or not.
fn mapper_answers(head: &[u8]) -> Fit {
    let names = literal(head, &[0, 0, 0x11, 0x11]);
    let looked_up = match head {
        [] | [b'w' | b'v' | b'y'] => Fit::Could,
        [b'w' | b'v' | b'y', 0 | 1, ..] => Fit::Yes,
        _ => Fit::No,
    };
    names.or(looked_up)
}

/// A length, `n` with version 5 or `N`, flags, and a name with an `@`.
fn names_itself(head: &[u8]) -> Fit {
    let length = be16_at(head, 0).map(usize::from);
    let name_at = match head.get(2) {
        None if length.is_none_or(|length| (8..=NAME_BYTES_MAX).contains(&length)) => {
            return Fit::Could;
        }
        Some(b'n') if matches!(head.get(3..), Some([] | [0] | [0, 5, ..])) => 9,
        Some(b'N') => 17,
        _ => return Fit::No,
    };
    let Some(length @ 8..=NAME_BYTES_MAX) = length else { return Fit::No };
    let end = head.get(..length + 2);
    let name = end.unwrap_or(head).get(name_at..).unwrap_or_default();
    match (is_text(name), end) {
        (false, _) => Fit::No,
        (true, None) => Fit::Could,
        (true, Some(_)) if name.contains(&b'@') => Fit::Yes,
        (true, Some(_)) => Fit::No,
    }
}

/// A status.
fn accepts(head: &[u8]) -> Fit {
    let length = be16_at(head, 0);
    let status = head.get(2..).unwrap_or_default();
    match length {
        Some(3..=21) | None => literal(status, b"sok")
            .or(literal(status, b"salive"))
            .or(literal(status, b"snok"))
            .or(literal(status, b"snot_allowed")),
        Some(_) => Fit::No,
    }
}

const fn whole(head: &[u8], length: usize) -> Fit {
    if head.len() < length { Fit::Could } else { Fit::Yes }
}

const NAME_BYTES_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn the_mapper_and_a_handshake_are_erlang() {
        Story::of(&[client(b"\0\x07zrabbit"), server(b"w\0\x62\xa4M\0\0\x06\0\x05")])
            .is_confirmed("erlang");
        Story::of(&[client(b"\0\x01n"), server(b"\0\0\x11\x11name a at port 1\n")])
            .is_confirmed("erlang");
        let names = client(b"\0\x0an\0\x05\0\x03\x7f\xffa@b");
        Story::of(&[names, server(b"\0\x03sok")]).is_confirmed("erlang");
    }

    #[test]
    fn a_node_that_nobody_answers_is_unsure() {
        Story::of(&[client(b"\0\x07zrabbit")]).is_nothing();
        Story::of(&[client(b"\0\x07zrab")]).is_nothing();
    }

    #[test]
    fn another_answer_is_not_erlang() {
        Story::of(&[client(b"\0\x07zrabbit"), server(b"id\n")]).is_nothing();
        Story::of(&[client(b"\0\x0an\0\x05\0\x03\x7f\xffaab"), server(b"\0\x03sok")]).is_nothing();
    }
}
