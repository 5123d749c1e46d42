//! MongoDB, by the header of a request and of the reply that names it: MongoDB Wire Protocol,
//! "Standard Message Header".

use observation::Side;

use super::frames::le32_at;
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::Fit;
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "mongodb",
    first_bytes: FirstBytes::ANY,
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    let asked = le32_at(heads.opener, 4).unwrap_or_default();
    match (header(heads.opener, 0, ASKS), header(heads.answerer, asked, ANSWERS)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, Fit::Could) => Verdict::Proposed(Side::Originator),
        (Fit::Could, _) => Verdict::Unsure,
    }
}

/// Length, number, the number that it answers, operation.
fn header(head: &[u8], answers: u32, operations: &[u32]) -> Fit {
    // The longest message has 48 MB.
    let fits = head.get(3).is_none_or(|high| *high <= 2)
        && le32_at(head, 0).is_none_or(|length| (HEADER_BYTES..=LENGTH_MAX).contains(&length))
        && head.iter().skip(8).zip(answers.to_le_bytes()).all(|(byte, want)| *byte == want)
        && le32_at(head, 12).is_none_or(|operation| operations.contains(&operation));
    match (fits, head.len()) {
        (false, _) => Fit::No,
        (true, 0..16) => Fit::Could,
        (true, _) => Fit::Yes,
    }
}

const HEADER_BYTES: u32 = 16;
const LENGTH_MAX: u32 = 48_000_000;
/// `OP_UPDATE` to `OP_KILL_CURSORS`, `OP_COMPRESSED`, `OP_MSG`.
const ASKS: &[u32] = &[2001, 2002, 2004, 2005, 2006, 2007, 2012, 2013];
/// `OP_REPLY`, `OP_COMPRESSED`, `OP_MSG`.
const ANSWERS: &[u32] = &[1, 2012, 2013];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const HELLO: &[u8; 20] = b"\x14\0\0\0\x07\0\0\0\0\0\0\0\xd4\x07\0\0\0\0\0\0";

    #[test]
    fn a_query_and_its_reply_are_mongodb() {
        let reply = b"\x24\0\0\0\x09\0\0\0\x07\0\0\0\x01\0\0\0\x08\0\0\0";
        Story::of(&[client(HELLO), server(reply)]).is_confirmed("mongodb");
    }

    #[test]
    fn mongodb_cut_short_is_unsure() {
        Story::of(&[client(b"\x14\0\0\0\x07\0\0\0\0\0\0\0\xd4\x07")]).is_nothing();
    }

    #[test]
    fn a_reply_to_another_request_leaves() {
        let reply = b"\x24\0\0\0\x09\0\0\0\x08\0\0\0\x01\0\0\0\x08\0\0\0";
        Story::of(&[client(HELLO), server(reply)]).is_left_by_server();
        let mut other = *HELLO;
        other[12] = 0xd3;
        Story::of(&[client(&other)]).is_nothing();
    }
}
