//! LDAP, over TCP and, for the directory's location, UDP, by message id and operation in BER: RFC
//! 4511, section 4; MS-ADTS, section 6.3.3.

use observation::Transport;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, datagram, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "ldap",
    first_bytes: FirstBytes::of(&[SEQUENCE]),
    transports: Transports::Both,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    match heads.transport {
        Transport::Udp => two_sided(
            datagram(heads.opener, |bytes| message(bytes, ASKS) == Fit::Yes),
            datagram(heads.answerer, |bytes| message(bytes, ANSWERS) == Fit::Yes),
        ),
        _ => two_sided(message(heads.opener, ASKS), message(heads.answerer, ANSWERS)),
    }
}

/// A sequence of a positive number and one of these operations.
fn message(head: &[u8], operations: &[(u8, u8)]) -> Fit {
    let Some((tag, rest)) = head.split_first() else { return Fit::Could };
    if *tag != SEQUENCE {
        return Fit::No;
    }
    let Some(rest) = after_length(rest) else { return Fit::Could };
    let Some((number, rest)) = rest.split_first() else { return Fit::Could };
    if *number != INTEGER {
        return Fit::No;
    }
    let Some((count, rest)) = rest.split_first() else { return Fit::Could };
    if !(1..=4).contains(count) {
        return Fit::No;
    }
    let Some((operation, rest)) = rest.get(usize::from(*count)..).and_then(<[u8]>::split_first)
    else {
        return Fit::Could;
    };
    let known = operations.iter().find(|(known, _)| known == operation);
    let Some((_, within)) = known else { return Fit::No };
    match after_length(rest).and_then(<[u8]>::first) {
        None => Fit::Could,
        Some(tag) if tag == within => Fit::Yes,
        Some(_) => Fit::No,
    }
}

/// What follows a length, in one byte or up to four more.
fn after_length(bytes: &[u8]) -> Option<&[u8]> {
    let (first, rest) = bytes.split_first()?;
    match first {
        0x81..=0x84 => rest.get(usize::from(first & 7)..),
        _ => Some(rest),
    }
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 2;
/// Bind, search, extended; and the tag of what each begins with.
const ASKS: &[(u8, u8)] = &[(0x60, INTEGER), (0x63, 4), (0x77, 0x80)];
/// The answers to them; a search has entries, references and an end.
const ANSWERS: &[(u8, u8)] = &[(0x61, 10), (0x64, 4), (0x65, 10), (0x73, 4), (0x78, 10)];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const BIND: &[u8; 14] = b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0";

    #[test]
    fn a_bind_and_its_answer_are_ldap() {
        let done = b"\x30\x84\0\0\0\x10\x02\x01\x01\x61\x84\0\0\0\x07\x0a\x01\0\x04\0\x04\0";
        Story::of(&[client(BIND)]).is_only_proposed("ldap");
        Story::of(&[client(BIND), server(done)]).is_confirmed("ldap");
        Story::of_datagrams(&[client(BIND), server(done)]).is_confirmed("ldap");
    }

    #[test]
    fn ldap_cut_short_is_unsure() {
        Story::of(&[client(b"\x30\x0c\x02\x01\x01\x60\x07")]).is_nothing();
    }

    #[test]
    fn another_operation_is_not_ldap() {
        Story::of(&[client(b"\x30\x0c\x02\x01\x01\x62\x07\x02\x01\x03")]).is_nothing();
        Story::of(&[client(BIND), server(b"id\n")]).is_left_by_server();
    }
}
