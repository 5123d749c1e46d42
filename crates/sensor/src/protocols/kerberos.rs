//! Kerberos 5, by the application tag, protocol version and message type in DER: RFC 4120, section
//! 5.

use observation::Transport;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, datagram, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "kerberos",
    first_bytes: FirstBytes::range(0x6a, 0x7e).or(FirstBytes::of(&[0])),
    transports: Transports::Both,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let side = |head| match heads.transport {
        Transport::Udp => datagram(head, |bytes| begins_message(bytes) == Fit::Yes),
        _ => framed(head),
    };
    two_sided(side(heads.opener), side(heads.answerer))
}

/// Over TCP with its length before it: RFC 4120, section 7.2.2.
fn framed(head: &[u8]) -> Fit {
    match head.split_first_chunk::<4>() {
        Some(([0, 0, ..], message)) => begins_message(message),
        None if head.iter().take(2).all(|byte| *byte == 0) => Fit::Could,
        _ => Fit::No,
    }
}

/// The tag, a length, a sequence, then `5` and the message type, which is the tag's number.
fn begins_message(head: &[u8]) -> Fit {
    let Some(tag) = head.first() else { return Fit::Could };
    let number = tag & 0x1f;
    if !matches!(tag, 0x6a..=0x6f | 0x7e) {
        return Fit::No;
    }
    let early = head.get(..head.len().min(FIELDS_WITHIN)).unwrap_or(head);
    let [first, second] = if number % 2 == 0 && number != 30 { [0xa1, 0xa2] } else { [0xa0, 0xa1] };
    let fields = [first, 3, 2, 1, 5, second, 3, 2, 1, number];
    if early.windows(fields.len()).any(|part| part == fields) {
        return Fit::Yes;
    }
    if head.len() < FIELDS_WITHIN { Fit::Could } else { Fit::No }
}

/// Two lengths of at most five bytes stand before the fields.
const FIELDS_WITHIN: usize = 22;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const ASKS: &[u8; 22] =
        b"\x6a\x14\x30\x12\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\x0a\xa3\x06\x30\x04\xa1\x02\x04\0";
    const REFUSES: &[u8; 22] =
        b"\x7e\x14\x30\x12\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x1e\xa4\x06\x30\x04\xa1\x02\x04\0";

    #[test]
    fn a_request_and_its_refusal_are_kerberos() {
        Story::of_datagrams(&[client(ASKS), server(REFUSES)]).is_confirmed("kerberos");
    }

    #[test]
    fn kerberos_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"\0\0\0\x16\x6a\x14\x30\x12\xa1")]).names.is_empty());
    }

    #[test]
    fn another_version_is_not_kerberos() {
        let mut four = *ASKS;
        four[8] = 4;
        assert!(Story::of_datagrams(&[client(&four)]).names.is_empty());
    }
}
