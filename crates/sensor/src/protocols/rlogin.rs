//! rlogin, by a zero byte, two names and a terminal with its speed; answered by a zero byte: RFC
//! 1282.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::rsh::fields;
use super::words::{Fit, decimal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "rlogin",
    first_bytes: FirstBytes::of(&[0]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    match (fields(heads.opener, 4, <[u8]>::is_empty), heads.answerer) {
        (Fit::Yes, _) if !has_terminal(heads.opener) => Verdict::Never,
        (Fit::No, _) => Verdict::Never,
        (Fit::Could, [] | [0, ..]) => Verdict::Unsure,
        (Fit::Yes, []) => Verdict::Proposed(Side::Originator),
        (Fit::Yes, [0, ..]) => Verdict::Confirmed,
        _ => Verdict::Never,
    }
}

/// The fourth field is a terminal's name, a slash and its speed.
fn has_terminal(head: &[u8]) -> bool {
    let terminal = head.split(|byte| *byte == 0).nth(3).unwrap_or_default();
    let mut parts = terminal.split(|byte| *byte == b'/');
    parts.next().is_some_and(|name| !name.is_empty()) && parts.next().and_then(decimal).is_some()
}

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn names_and_a_terminal_are_rlogin() {
        Story::of(&[client(b"\0bostic\0kbostic\0vt100/9600\0"), server(b"\0")])
            .is_confirmed("rlogin");
    }

    #[test]
    fn rlogin_cut_short_is_unsure() {
        Story::of(&[client(b"\0bostic\0kbostic\0vt100/96")]).is_nothing();
    }

    #[test]
    fn a_command_for_a_terminal_is_rsh() {
        Story::of(&[client(b"\0root\0root\0uname -a\0")]).is_only_proposed("rsh");
        Story::of(&[client(b"\0a\0b\0vt100/9600\0"), server(b"id\n")]).is_left_by_server();
    }
}
