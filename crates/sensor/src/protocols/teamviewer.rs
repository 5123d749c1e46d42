//! TeamViewer, by the two bytes with which both sides begin a message. The protocol is not
//! published; one side alone proves nothing.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, confirmed_only, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "teamviewer",
    first_bytes: FirstBytes::of(&[0x17]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    confirmed_only(two_sided(message(heads.opener), message(heads.answerer)))
}

/// Two magic bytes, a command, a zero or a flag.
fn message(head: &[u8]) -> Fit {
    match head {
        [] | [0x17] | [0x17, 0x24] | [0x17, 0x24, 1..=0x7f] => Fit::Could,
        [0x17, 0x24, 1..=0x7f, 0 | 0x20, ..] => Fit::Yes,
        _ => Fit::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn magic_bytes_of_both_are_teamviewer() {
        let opens = client(b"\x17\x24\x0a\x20\0\x12\0\0");
        Story::of(&[opens, server(b"\x17\x24\x0b\0\0\x04\0\0")]).is_confirmed("teamviewer");
    }

    #[test]
    fn one_side_alone_is_unsure() {
        Story::of(&[client(b"\x17\x24\x0a\x20\0\x12\0\0")]).is_nothing();
    }

    #[test]
    fn a_record_of_tls_is_not_teamviewer() {
        Story::of(&[client(b"\x17\x24\x0a\x20"), server(b"\x17\x03\x03\0")]).is_nothing();
    }
}
