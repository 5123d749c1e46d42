//! uwsgi, by a block of CGI variables and the answer in HTTP: uWSGI's documentation, "The uwsgi
//! Protocol".

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, client_first, confirmed_only, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "uwsgi",
    first_bytes: FirstBytes::of(&[0]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let verdict =
        client_first(&heads, variables(heads.opener), literal(heads.answerer, b"HTTP/1."));
    confirmed_only(verdict)
}

/// A modifier of zero, the block's length, another zero; a name behind its length.
fn variables(head: &[u8]) -> Fit {
    let name = head.get(NAME_AT..).unwrap_or_default();
    match head {
        [] | [0] | [0, _] | [0, _, _] | [0, _, _, 0] | [0, _, _, 0, _] => Fit::Could,
        [0, low, high, 0, name_low, 0, ..] => {
            let block = u16::from_le_bytes([*low, *high]);
            let length = usize::from(*name_low);
            let seen = name.get(..length).unwrap_or(name);
            let fits = (2..=NAME_BYTES_MAX).contains(&length)
                && usize::from(block) > length + 4
                && seen.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
            match fits {
                false => Fit::No,
                true if seen.len() < length => Fit::Could,
                true => Fit::Yes,
            }
        }
        _ => Fit::No,
    }
}

const NAME_AT: usize = 6;
const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const ASKS: &[u8; 30] = b"\0\x1a\0\0\x0e\0REQUEST_METHOD\x03\0GET\x03\0A_B";

    #[test]
    fn variables_and_an_answer_in_http_are_uwsgi() {
        Story::of(&[client(ASKS), server(b"HTTP/1.1 200 OK\r\n")]).is_confirmed("uwsgi");
    }

    #[test]
    fn uwsgi_that_is_not_answered_is_unsure() {
        Story::of(&[client(ASKS)]).is_nothing();
        Story::of(&[client(b"\0\x18\0\0\x0e\0REQUEST_")]).is_nothing();
    }

    #[test]
    fn another_name_is_not_uwsgi() {
        let other = client(b"\0\x18\0\0\x0e\0request method\x03\0GET");
        Story::of(&[other, server(b"HTTP/1.1 200 OK\r\n")]).is_nothing();
    }
}
