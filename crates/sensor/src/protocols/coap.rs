//! CoAP, by header, token and options of a request and of what answers it: RFC 7252, section 3, and
//! the drafts before it.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::is_text;
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "coap",
    first_bytes: FirstBytes::range(0x40, 0x58),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let first = heads.first.unwrap_or(Side::Originator);
    let (asks, answers) = (heads.of(first), heads.of(first.other()));
    match (Message::of(asks), Message::of(answers)) {
        (None, _) if asks.is_empty() => Verdict::Unsure,
        (Some(request), answer) if request.is_request() => match answer {
            None if answers.is_empty() && request.names_resource => Verdict::Proposed(first),
            None if answers.is_empty() => Verdict::Unsure,
            Some(answer) if answer.answers(&request) => Verdict::Confirmed,
            _ => Verdict::Never,
        },
        _ => Verdict::Never,
    }
}

struct Message<'a> {
    kind: u8,
    code: u8,
    number: [u8; 2],
    token: &'a [u8],
    /// Whether it has a path, a host or a query that can be read.
    names_resource: bool,
}

impl<'a> Message<'a> {
    fn of(datagram: &'a [u8]) -> Option<Self> {
        let ([first, code, number @ ..], rest) = datagram.split_first_chunk::<4>()?;
        let fits = first >> 6 == 1 && (*code != 0 || rest.is_empty());
        let count = first & 15;
        let token = rest.get(..usize::from(count)).filter(|token| token.len() <= TOKEN_BYTES_MAX);
        let as_published =
            token.and_then(|token| Some((token, read_options(rest.get(token.len()..)?, FINAL)?)));
        // Before draft 13 the header counted the options, and the token was one of them.
        let (token, names_resource) =
            as_published.or_else(|| Some((&[][..], read_counted(rest, count)?)))?;
        let (kind, code, number) = (first >> 4 & 3, *code, *number);
        fits.then_some(Self { kind, code, number, token, names_resource })
    }

    /// GET to iPATCH, confirmable or not.
    const fn is_request(&self) -> bool {
        matches!((self.kind, self.code), (0 | 1, 1..=7))
    }

    /// An acknowledgement or a reset of the same number, or a response with the same token.
    fn answers(&self, request: &Self) -> bool {
        let is_response = matches!(self.code >> 5, 2 | 4 | 5) && self.token == request.token;
        let same = self.number == request.number;
        match self.kind {
            2 => same && (self.code == 0 || is_response),
            3 => same && self.code == 0,
            _ => is_response,
        }
    }
}

/// The numbers of a version's options.
#[derive(Clone, Copy)]
struct Numbers {
    all: &'static [u16],
    /// Host, path and query.
    named: [u16; 3],
}

impl Numbers {
    /// Whether the option names a resource; nothing where it cannot be.
    fn read(self, number: u16, value: &[u8]) -> Option<bool> {
        match (self.all.contains(&number), self.named.contains(&number)) {
            (false, _) => None,
            (true, false) => Some(false),
            (true, true) => is_text(value).then_some(!value.is_empty()),
        }
    }
}

/// Whether one of the options names a resource; nothing where they are none.
fn read_options(mut bytes: &[u8], numbers: Numbers) -> Option<bool> {
    let (mut number, mut names_resource) = (0_u16, false);
    loop {
        match bytes {
            [] => return Some(names_resource),
            // The payload's marker stands before a payload.
            [0xff, rest @ ..] => return (!rest.is_empty()).then_some(names_resource),
            [head, rest @ ..] => {
                let (delta, rest) = extended(head >> 4, rest)?;
                let (length, rest) = extended(head & 15, rest)?;
                number = number.checked_add(delta)?;
                let (value, rest) = rest.split_at_checked(usize::from(length))?;
                names_resource |= numbers.read(number, value)?;
                bytes = rest;
            }
        }
    }
}

/// The same for so many options, as the drafts encoded them.
fn read_counted(mut bytes: &[u8], count: u8) -> Option<bool> {
    let (mut number, mut names_resource) = (0_u16, false);
    for _ in 0..count {
        let (head, rest) = bytes.split_first()?;
        let (length, rest) = match (head & 15, rest) {
            (15, [more, rest @ ..]) => (15 + usize::from(*more), rest),
            (length, _) => (usize::from(length), rest),
        };
        number += u16::from(head >> 4);
        let (value, rest) = rest.split_at_checked(length)?;
        names_resource |= DRAFT.read(number, value)?;
        bytes = rest;
    }
    Some(names_resource)
}

fn extended(nibble: u8, rest: &[u8]) -> Option<(u16, &[u8])> {
    match (nibble, rest) {
        (0..=12, _) => Some((u16::from(nibble), rest)),
        (13, [more, rest @ ..]) => Some((13 + u16::from(*more), rest)),
        (14, [high, low, rest @ ..]) => {
            Some((u16::from_be_bytes([*high, *low]).checked_add(269)?, rest))
        }
        _ => None,
    }
}

const TOKEN_BYTES_MAX: usize = 8;
/// Registered by RFC 7252, 7641, 7959, 7967, 8613, 8768, 8974, 9175 and 9177.
const FINAL: Numbers = Numbers {
    all: &[
        1, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 19, 20, 21, 23, 27, 28, 31, 35, 39, 60,
        252, 258, 292,
    ],
    named: [3, 11, 15],
};
/// As draft-ietf-core-coap-03 to -12 numbered them.
const DRAFT: Numbers =
    Numbers { all: &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 21], named: [5, 9, 15] };

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_request_and_its_answer_are_coap() {
        let answer = server(b"\x63\x45\x05\xcar\x16\x33\xff</a>");
        Story::of_datagrams(&[client(b"\x43\x01\x05\xcar\x16\x33\xb1a"), answer])
            .is_confirmed("coap");
    }

    #[test]
    fn a_readable_path_is_coap_until_it_is_answered() {
        let asks = b"\x43\x01\x05\xcar\x16\x33\xbb.well-known\x04core";
        let draft = b"\x43\x01\x05\xcar\x16\x33\x2b.well-known\x04core";
        Story::of_datagrams(&[client(draft)]).is_only_proposed("coap");
        Story::of_datagrams(&[client(asks)]).is_only_proposed("coap");
        Story::of_datagrams(&[client(asks), server(b"id\n")]).is_left_by_server();
    }

    #[test]
    fn coap_cut_short_is_not_coap() {
        Story::of_datagrams(&[client(b"\x43\x01\x05")]).is_nothing();
        let cut = client(b"\x43\x01\x05\xcar\x16\x33\xbb.well-kno");
        Story::of_datagrams(&[cut]).is_nothing();
    }

    #[test]
    fn an_option_that_nobody_registered_is_not_coap() {
        Story::of_datagrams(&[client(b"\x40\x01\x05\xca\x21a")]).is_nothing();
    }
}
