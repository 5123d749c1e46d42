//! Modbus over TCP, by header, function and lengths of a request and its response: Modbus Messaging
//! on TCP/IP Implementation Guide 1.0b, section 3.1; Modbus Application Protocol 1.1b3, section 6.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::Fit;
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "modbus",
    first_bytes: FirstBytes::ANY,
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let first = heads.first.unwrap_or(Side::Originator);
    let (asks, answers) = (heads.of(first), heads.of(first.other()));
    match (request(asks), response(answers, asks)) {
        (Fit::No, _) | (Fit::Yes, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, Fit::Could) => Verdict::Proposed(first),
        (Fit::Could, _) => Verdict::Unsure,
    }
}

/// Number, zero, length, unit, then a function whose length is known.
fn request(head: &[u8]) -> Fit {
    let fits = head.iter().enumerate().take(8).all(|(at, byte)| match at {
        2..=4 => *byte == 0,
        5 => (2..=254).contains(byte),
        7 => (1..=0x2b).contains(byte),
        _ => true,
    });
    let Some([_, _, _, _, _, length, _, function]) = head.first_chunk::<8>() else {
        return if fits { Fit::Could } else { Fit::No };
    };
    let length = usize::from(*length);
    let expected = match (function, head.get(12)) {
        (1..=6 | 8, _) => 6,
        (7 | 11 | 12 | 17, _) => 2,
        (15 | 16, Some(count)) => 7 + usize::from(*count),
        (15 | 16, None) if fits => return Fit::Could,
        (0x2b, _) => 5,
        _ => return Fit::No,
    };
    match (fits && length == expected, head.len() >= 6 + length) {
        (false, _) => Fit::No,
        (true, false) => Fit::Could,
        (true, true) => Fit::Yes,
    }
}

/// The request's number, unit and function, the last perhaps with the bit that says exception.
fn response(head: &[u8], request: &[u8]) -> Fit {
    let fits = head.iter().zip(request).enumerate().take(8).all(|(at, (byte, asked))| match at {
        5 => (2..=254).contains(byte),
        7 => byte & 0x7f == *asked,
        _ => byte == asked,
    });
    match (fits, head.len()) {
        (false, _) => Fit::No,
        (true, 0..8) => Fit::Could,
        (true, _) => Fit::Yes,
    }
}

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const ASKS: &[u8; 12] = b"\0\xd1\0\0\0\x06\x01\x03\0\x01\0\x01";

    #[test]
    fn a_request_and_its_response_are_modbus() {
        Story::of(&[client(ASKS), server(b"\0\xd1\0\0\0\x05\x01\x03\x02\0\0")])
            .is_confirmed("modbus");
    }

    #[test]
    fn modbus_cut_short_is_unsure() {
        Story::of(&[client(b"\0\xd1\0\0\0\x06\x01\x03\0\x01\0")]).is_nothing();
    }

    #[test]
    fn another_length_or_number_is_not_modbus() {
        Story::of(&[client(b"\0\xd1\0\0\0\x07\x01\x03\0\x01\0\x01")]).is_nothing();
        Story::of(&[client(ASKS), server(b"\0\xd2\0\0\0\x05\x01\x03\x02\0\0")]).is_left_by_server();
    }
}
