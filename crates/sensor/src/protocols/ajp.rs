//! AJP 1.3 between a web server and a servlet container, by the two magic numbers and the codes
//! behind them: Apache Tomcat Connectors, "AJP Protocol Reference".

use super::frames::{Frame, header};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::client_first;
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "ajp",
    first_bytes: FirstBytes::of(&[0x12]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    client_first(&heads, header(heads.opener, asks), header(heads.answerer, answers))
}

fn asks(head: &[u8]) -> Frame {
    packet(head, [0x12, 0x34], &[FORWARD, SHUTDOWN, PING, CPING])
}

fn answers(head: &[u8]) -> Frame {
    packet(head, *b"AB", &[BODY_CHUNK, HEADERS, END, MORE, CPONG])
}

/// A magic number, a length, a code.
fn packet(head: &[u8], magic: [u8; 2], codes: &[u8]) -> Frame {
    let begins = magic.iter().zip(head).all(|(want, byte)| want == byte);
    match *head {
        _ if !begins => Frame::Not,
        [_, _, high, low, code, ..] => {
            let length = usize::from(u16::from_be_bytes([high, low]));
            let fits = (1..=LENGTH_MAX).contains(&length) && codes.contains(&code);
            fits.then_some(length + 4).into()
        }
        _ => Frame::Part,
    }
}

const FORWARD: u8 = 2;
const BODY_CHUNK: u8 = 3;
const HEADERS: u8 = 4;
const END: u8 = 5;
const MORE: u8 = 6;
const SHUTDOWN: u8 = 7;
const PING: u8 = 8;
const CPONG: u8 = 9;
const CPING: u8 = 10;
const LENGTH_MAX: usize = 65_532;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_ping_and_a_pong_are_ajp() {
        Story::of(&[client(b"\x12\x34\0\x01\x0a"), server(b"AB\0\x01\x09")]).is_confirmed("ajp");
        Story::of(&[client(b"\x12\x34\0\x10\x02\x02\0\x08HTTP/1.1")]).is_only_proposed("ajp");
    }

    #[test]
    fn ajp_cut_short_is_unsure() {
        Story::of(&[client(b"\x12\x34\0\x01")]).is_nothing();
    }

    #[test]
    fn another_code_is_not_ajp() {
        Story::of(&[client(b"\x12\x34\0\x01\x55")]).is_nothing();
        Story::of(&[client(b"\x12\x34\0\x01\x0a"), server(b"id\n")]).is_left_by_server();
    }
}
