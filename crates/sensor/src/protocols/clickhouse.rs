//! ClickHouse's native protocol, by the names in the hellos of both sides: ClickHouse, "Native
//! protocol".

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, client_first, confirmed_only, is_text, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "clickhouse",
    first_bytes: FirstBytes::of(&[0]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let answers = literal(heads.answerer, b"\0\x0aClickHouse");
    confirmed_only(client_first(&heads, hello(heads.opener), answers))
}

/// Packet 0, and a client's name behind its length.
fn hello(head: &[u8]) -> Fit {
    let name = head.get(2..).unwrap_or_default();
    match *head {
        [] | [0] => Fit::Could,
        [0, length @ 1..=NAME_BYTES_MAX, ..] => {
            let seen = name.get(..length.into()).unwrap_or(name);
            match is_text(seen) {
                false => Fit::No,
                true if seen.len() < length.into() => Fit::Could,
                true => Fit::Yes,
            }
        }
        _ => Fit::No,
    }
}

const NAME_BYTES_MAX: u8 = 100;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const HELLO: &[u8; 25] = b"\0\x11ClickHouse client\x18\x03\xa6\xa9\x03\0";

    #[test]
    fn two_hellos_are_clickhouse() {
        let answers = server(b"\0\x0aClickHouse\x18\x03\xa6\xa9\x03");
        Story::of(&[client(HELLO), answers]).is_confirmed("clickhouse");
    }

    #[test]
    fn a_hello_that_is_not_answered_is_unsure() {
        Story::of(&[client(HELLO)]).is_nothing();
    }

    #[test]
    fn another_server_is_not_clickhouse() {
        Story::of(&[client(HELLO), server(b"\0\x0aClickMouse")]).is_nothing();
    }
}
