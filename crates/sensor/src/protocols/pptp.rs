//! PPTP, by length, magic cookie and type of a control message: RFC 2637, section 2.

use super::frames::{Frame, be16_at, be32_at, header};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "pptp",
    first_bytes: FirstBytes::of(&[0]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(message(heads.opener), message(heads.answerer))
}

fn message(head: &[u8]) -> Fit {
    header(head, |head| {
        let fits = be16_at(head, 0).is_none_or(|length| (12..=512).contains(&length))
            && be16_at(head, 2).is_none_or(|kind| matches!(kind, 1 | 2))
            && be32_at(head, 4).is_none_or(|cookie| cookie == COOKIE);
        match (be16_at(head, 8), be16_at(head, 10)) {
            _ if !fits => Frame::Not,
            (Some(1..=15), Some(0)) => Frame::Of(12),
            (Some(1..=15) | None, None) => Frame::Part,
            _ => Frame::Not,
        }
    })
}

const COOKIE: u32 = 0x1a2b_3c4d;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_request_and_its_reply_are_pptp() {
        let asks = client(b"\0\x9c\0\x01\x1a\x2b\x3c\x4d\0\x01\0\0\x01\0\0\0");
        let answers = server(b"\0\x9c\0\x01\x1a\x2b\x3c\x4d\0\x02\0\0\x01\0\x01\0");
        Story::of(&[asks, answers]).is_confirmed("pptp");
    }

    #[test]
    fn pptp_cut_short_is_unsure() {
        Story::of(&[client(b"\0\x9c\0\x01\x1a\x2b\x3c\x4d\0")]).is_nothing();
    }

    #[test]
    fn another_cookie_is_not_pptp() {
        Story::of(&[client(b"\0\x9c\0\x01\x1a\x2b\x3c\x4e\0\x01\0\0")]).is_nothing();
    }
}
