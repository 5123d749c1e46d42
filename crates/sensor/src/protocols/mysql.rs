//! MySQL, by the server's handshake and the client's response: MySQL client/server protocol.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::Fit;
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "mysql",
    first_bytes: FirstBytes::ANY,
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Originator) {
        return Verdict::Never;
    }
    match (responds(heads.opener), greets(heads.answerer)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Could, Fit::Yes) => Verdict::Proposed(Side::Responder),
        _ => Verdict::Unsure,
    }
}

/// Packet 0 with protocol version 10 and a printable server version.
fn greets(head: &[u8]) -> Fit {
    let header = [None, None, Some(0), Some(0), Some(10)];
    let fits = header.iter().zip(head).all(|(want, byte)| want.is_none_or(|want| want == *byte))
        && head.first().is_none_or(|length| *length >= GREETING_BYTES_MIN)
        && head.get(1).is_none_or(|high| *high <= 1);
    let version = head.get(5..).unwrap_or_default();
    let end = version.iter().position(|byte| *byte == 0);
    let text = version.get(..end.unwrap_or(version.len())).unwrap_or_default();
    let digit = text.first().is_none_or(u8::is_ascii_digit);
    let printable = text.iter().all(|byte| (b' '..=b'~').contains(byte));
    match (fits && digit && printable && text.len() <= VERSION_BYTES_MAX, end) {
        (false, _) | (_, Some(0)) => Fit::No,
        (true, None) => Fit::Could,
        (true, Some(_)) => Fit::Yes,
    }
}

/// Packet 1, with capabilities that say protocol 4.1, and the zeros of its filler.
fn responds(head: &[u8]) -> Fit {
    let fits = head.get(2).is_none_or(|high| *high == 0)
        && head.get(3).is_none_or(|number| *number == 1)
        && head.get(5).is_none_or(|capabilities| capabilities & 2 != 0);
    match (fits, head.len()) {
        (false, _) => Fit::No,
        (true, 0..6) => Fit::Could,
        (true, _) => Fit::Yes,
    }
}

const GREETING_BYTES_MIN: u8 = 40;
const VERSION_BYTES_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_handshake_is_mysql() {
        let story = Story::of(&[
            server(b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0"),
            client(b"\x20\0\0\x01\x05\xae\xff\x01"),
        ]);
        story.is_confirmed("mysql");
    }

    #[test]
    fn mysql_cut_short_is_unsure() {
        assert!(Story::of(&[server(b"\x4a\0\0\0\x0a8.0")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_the_greeting_leaves() {
        let story = Story::of(&[server(b"\x4a\0\0\0\x0a8.0.36\0\x08"), client(b"uid=0(root)\n")]);
        story.is_only_proposed("mysql");
        story.is_left_by_client();
    }
}
