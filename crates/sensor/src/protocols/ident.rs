//! Ident, by a pair of ports and a reply that repeats it: RFC 1413.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, first_line, is_text, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "ident",
    first_bytes: FirstBytes::range(b'1', b'9'),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    match two_sided(asks(heads.opener), replies(heads.answerer)) {
        // A pair of numbers alone can be anything.
        Verdict::Proposed(_) => Verdict::Unsure,
        verdict => verdict,
    }
}

fn asks(head: &[u8]) -> Fit {
    let line = first_line(head);
    let pair = line.unwrap_or_else(|| head.strip_suffix(b"\r").unwrap_or(head));
    let commas = pair.iter().filter(|byte| **byte == b',').count();
    let fits = pair.len() <= 20
        && commas <= 1
        && pair.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b' '));
    match (fits, line) {
        (false, _) => Fit::No,
        (true, None) => Fit::Could,
        (true, Some(_)) if commas == 1 => Fit::Yes,
        (true, Some(_)) => Fit::No,
    }
}

fn replies(head: &[u8]) -> Fit {
    let Some(line) = first_line(head) else {
        let begins = head.first().is_none_or(u8::is_ascii_digit) && head.len() < 512;
        return if begins { Fit::Could } else { Fit::No };
    };
    let mut fields = line.split(|byte| *byte == b':');
    let pair = fields.next().is_some_and(|pair| asks(pair).possible());
    let kind = fields.next().is_some_and(|kind| matches!(kind.trim_ascii(), b"USERID" | b"ERROR"));
    if pair && kind && is_text(line) { Fit::Yes } else { Fit::No }
}

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_pair_and_its_reply_are_ident() {
        Story::of(&[client(b"6193, 23\r\n"), server(b"6193, 23 : USERID : UNIX : a\r\n")])
            .is_confirmed("ident");
    }

    #[test]
    fn ident_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"6193, 23\r\n"), server(b"6193, 23 : USE")]).names.is_empty());
    }

    #[test]
    fn a_shell_is_not_ident() {
        assert!(Story::of(&[client(b"6193, 23\r\n"), server(b"id\n")]).names.is_empty());
    }
}
