//! STUN, by the magic cookie and a length that fits: RFC 8489, section 5.

use observation::Transport;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "stun",
    first_bytes: FirstBytes::range(0, KIND_MAX),
    transports: Transports::Both,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(message(heads.opener, heads.transport), message(heads.answerer, heads.transport))
}

fn message(head: &[u8], transport: Transport) -> Fit {
    if head.is_empty() {
        return Fit::Could;
    }
    let Some(([kind, _, high, low], rest)) = head.split_first_chunk::<4>() else {
        return if matches!(head, [0..=KIND_MAX, ..]) && transport != Transport::Udp {
            Fit::Could
        } else {
            Fit::No
        };
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let fits = match transport {
        Transport::Udp => head.len() == length + HEADER_BYTES && rest.starts_with(COOKIE),
        _ => COOKIE.starts_with(rest) || rest.starts_with(COOKIE),
    };
    match (*kind <= KIND_MAX && fits, rest.len()) {
        (false, _) => Fit::No,
        (true, 0..4) => Fit::Could,
        (true, _) => Fit::Yes,
    }
}

const HEADER_BYTES: usize = 20;
const COOKIE: &[u8] = &[0x21, 0x12, 0xa4, 0x42];
/// The first two bits are zero.
const KIND_MAX: u8 = 0x3f;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_binding_is_stun() {
        let ask = b"\0\x01\0\0\x21\x12\xa4\x42abcdefghijkl";
        let answer = b"\x01\x01\0\x04\x21\x12\xa4\x42abcdefghijkl\0\x01\0\0";
        Story::of_datagrams(&[client(ask), server(answer)]).is_confirmed("stun");
    }

    #[test]
    fn stun_cut_short_is_not_stun() {
        assert!(Story::of_datagrams(&[client(b"\0\x01\0\0\x21\x12\xa4")]).names.is_empty());
    }

    #[test]
    fn another_cookie_is_not_stun() {
        assert!(
            Story::of_datagrams(&[client(b"\0\x01\0\0\x21\x12\xa4\x43abcdefghijkl")])
                .names
                .is_empty()
        );
    }
}
