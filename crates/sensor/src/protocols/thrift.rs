//! Thrift's binary protocol, by a call and the reply that repeats its name: Apache Thrift, "Thrift
//! Binary protocol encoding".

use super::frames::be32_at;
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, client_first, confirmed_only, is_text};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "thrift",
    first_bytes: FirstBytes::of(&[0, 0x80]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let (asked, asks) = message(heads.opener, &[CALL, ONE_WAY]);
    let (answered, answers) = message(heads.answerer, &[REPLY, EXCEPTION]);
    let differs = asks == Fit::Yes && answers == Fit::Yes && asked != answered;
    confirmed_only(if differs { Verdict::Never } else { client_first(&heads, asks, answers) })
}

/// A version, a type, a name behind its length; a frame's length may come before it.
fn message<'a>(head: &'a [u8], kinds: &[u8]) -> (&'a [u8], Fit) {
    let bytes = match head.first() {
        Some(0x80) | None => head,
        Some(0) => head.get(FRAME_BYTES..).unwrap_or_default(),
        Some(_) => return (&[], Fit::No),
    };
    let fits = bytes.iter().take(4).enumerate().all(|(at, byte)| match at {
        0 => *byte == 0x80,
        1 => *byte == 1,
        2 => *byte == 0,
        _ => kinds.contains(byte),
    });
    let rest = bytes.get(NAME_AT..).unwrap_or_default();
    match be32_at(bytes, 4).map(|length| length as usize) {
        _ if !fits => (&[], Fit::No),
        None => (&[], Fit::Could),
        Some(length @ 1..=NAME_BYTES_MAX) => match rest.get(..length) {
            Some(name) if is_text(name) => (name, Fit::Yes),
            None if is_text(rest) => (&[], Fit::Could),
            _ => (&[], Fit::No),
        },
        Some(_) => (&[], Fit::No),
    }
}

const CALL: u8 = 1;
const REPLY: u8 = 2;
const EXCEPTION: u8 = 3;
const ONE_WAY: u8 = 4;
const FRAME_BYTES: usize = 4;
const NAME_AT: usize = 8;
const NAME_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const CALL: &[u8; 18] = b"\0\0\0\x0e\x80\x01\0\x01\0\0\0\x01a\0\0\0\x01\0";

    #[test]
    fn a_call_and_its_reply_are_thrift() {
        let reply = server(b"\0\0\0\x0e\x80\x01\0\x02\0\0\0\x01a\0\0\0\x01\0");
        Story::of(&[client(CALL), reply]).is_confirmed("thrift");
    }

    #[test]
    fn a_call_that_is_not_answered_is_unsure() {
        Story::of(&[client(CALL)]).is_nothing();
    }

    #[test]
    fn a_reply_to_another_call_is_not_thrift() {
        let reply = server(b"\0\0\0\x0e\x80\x01\0\x02\0\0\0\x01b\0\0\0\x01\0");
        Story::of(&[client(CALL), reply]).is_nothing();
    }
}
