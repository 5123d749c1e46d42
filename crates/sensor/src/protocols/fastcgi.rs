//! FastCGI, by the record that begins a request and the record that answers it: the FastCGI
//! Specification, sections 3.3 and 5.

use super::frames::{Frame, header};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::client_first;
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "fastcgi",
    first_bytes: FirstBytes::of(&[1]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    client_first(&heads, header(heads.opener, begins), header(heads.answerer, answers))
}

/// Version, `BEGIN_REQUEST`, a number, eight bytes without padding; a role, flags, zeros.
fn begins(head: &[u8]) -> Frame {
    let fits = head.iter().take(BEGIN_BYTES).enumerate().all(|(at, byte)| match at {
        0 | 1 => *byte == 1,
        2 | 3 => true,
        5 => *byte == 8,
        9 => (1..=3).contains(byte),
        10 => *byte <= 1,
        _ => *byte == 0,
    });
    match (fits, head.get(2..4)) {
        (false, _) | (_, Some([0, 0])) => Frame::Not,
        _ if head.len() < BEGIN_BYTES => Frame::Part,
        _ => Frame::Of(BEGIN_BYTES),
    }
}

/// Output, errors or the end of a request.
fn answers(head: &[u8]) -> Frame {
    let fits = head.iter().take(HEADER_BYTES).enumerate().all(|(at, byte)| match at {
        0 => *byte == 1,
        1 => matches!(byte, 3 | 6 | 7),
        7 => *byte == 0,
        _ => true,
    });
    if fits && head.len() < HEADER_BYTES {
        Frame::Part
    } else {
        fits.then_some(HEADER_BYTES).into()
    }
}

const HEADER_BYTES: usize = 8;
const BEGIN_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const BEGINS: &[u8; 24] = b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0\x01\x04\0\x01\0\0\0\0";

    #[test]
    fn a_request_and_its_output_are_fastcgi() {
        let answers = server(b"\x01\x06\0\x01\0\x02\x06\0X\n\0\0\0\0\0\0");
        Story::of(&[client(BEGINS), answers]).is_confirmed("fastcgi");
        Story::of(&[client(BEGINS)]).is_only_proposed("fastcgi");
    }

    #[test]
    fn fastcgi_cut_short_is_unsure() {
        Story::of(&[client(b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0")]).is_nothing();
    }

    #[test]
    fn another_role_or_a_shell_is_not_fastcgi() {
        let mut other = *BEGINS;
        other[9] = 9;
        Story::of(&[client(&other)]).is_nothing();
        Story::of(&[client(BEGINS), server(b"id\n")]).is_left_by_server();
    }
}
