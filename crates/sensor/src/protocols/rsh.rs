//! The remote shell and remote execution of 4.2BSD: a port for the error stream, two names and a
//! command, each ended by a zero byte; answered by a zero byte or by a complaint: rcmd(3),
//! rexecd(8).

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, is_text};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "rsh",
    first_bytes: FirstBytes::range(b'0', b'9').or(FirstBytes::of(&[0])),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    let is_port = |field: &[u8]| field.len() <= 5 && field.iter().all(u8::is_ascii_digit);
    match (fields(heads.opener, 4, is_port), heads.answerer) {
        (Fit::No, _) => Verdict::Never,
        (Fit::Could, [] | [0 | 1, ..]) => Verdict::Unsure,
        (Fit::Yes, []) => Verdict::Proposed(Side::Originator),
        (Fit::Yes, [0 | 1, ..]) => Verdict::Confirmed,
        _ => Verdict::Never,
    }
}

/// Whether `head` begins with `count` fields that end in zeros: the first of them is `is_first`,
/// the others are text, and not empty.
pub(super) fn fields(head: &[u8], count: usize, is_first: impl Fn(&[u8]) -> bool) -> Fit {
    let mut whole = 0;
    for field in head.splitn(count + 1, |byte| *byte == 0) {
        let is_last = head.split(|byte| *byte == 0).count() == whole + 1;
        let fits = match (whole, is_last) {
            _ if whole == count => break,
            (0, _) => is_first(field),
            (_, true) => is_text(field),
            (_, false) => is_text(field) && !field.is_empty(),
        };
        if !fits || field.len() > FIELD_BYTES_MAX {
            return Fit::No;
        }
        if !is_last {
            whole += 1;
        }
    }
    if whole >= count { Fit::Yes } else { Fit::Could }
}

const FIELD_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_command_and_a_zero_byte_are_rsh() {
        Story::of(&[client(b"1022\0"), client(b"root\0root\0uname -a\0"), server(b"\0Linux\n")])
            .is_confirmed("rsh");
    }

    #[test]
    fn rsh_cut_short_is_unsure() {
        Story::of(&[client(b"1022\0root\0root\0uname")]).is_nothing();
    }

    #[test]
    fn bytes_that_are_no_text_are_not_rsh() {
        Story::of(&[client(b"1022\0root\0\x01\x02\0uname\0")]).is_nothing();
        Story::of(&[client(b"1022\0root\0root\0uname\0"), server(b"Linux\n")]).is_left_by_server();
    }
}
