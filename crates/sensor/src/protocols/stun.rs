//! STUN, by the magic cookie and a length that fits: RFC 8489, section 5; RFC 3489 before it. What
//! shares the port with it is told apart by its first byte: RFC 7983.

use observation::{Side, Transport};

use super::follow::{Context, Follow, Follower, Next, Step};
use super::frames::{Frame, be16_at, chain};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "stun",
    first_bytes: FirstBytes::range(0, KIND_MAX),
    transports: Transports::Both,
    probe,
    follow: Some(|| Follower::Stun(Share)),
};

fn probe(heads: Heads<'_>) -> Verdict {
    let verdict =
        two_sided(message(heads.opener, heads.transport), message(heads.answerer, heads.transport));
    match verdict {
        Verdict::Never if heads.transport == Transport::Udp => classic(&heads),
        verdict => verdict,
    }
}

/// Before RFC 5389 there was no cookie: attributes have to add up, and the answer to repeat all of
/// the transaction's id.
fn classic(heads: &Heads<'_>) -> Verdict {
    let first = heads.first.unwrap_or(Side::Originator);
    let (asks, answers) = (heads.of(first), heads.of(first.other()));
    let Some((id, attributes)) = classic_message(asks) else { return Verdict::Never };
    match classic_message(answers) {
        Some((answered, _)) if answered == id => Verdict::Confirmed,
        None if answers.is_empty() && attributes.is_empty() => Verdict::Unsure,
        None if answers.is_empty() => Verdict::Proposed(first),
        _ => Verdict::Never,
    }
}

/// The transaction's id, and the attributes.
fn classic_message(datagram: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([kind, method, high, low], rest) = datagram.split_first_chunk::<4>()?;
    let (id, attributes) = rest.split_at_checked(HEADER_BYTES - 4)?;
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    // Binding and shared secret, each asked, answered or refused.
    let fits = matches!((kind, method), (0, 1 | 2) | (1, 1 | 2 | 0x11 | 0x12))
        && length == attributes.len()
        && id.iter().any(|byte| *byte != 0)
        && chain(attributes, 0, attribute) == Fit::Yes
        && attributes.len().is_multiple_of(4);
    fits.then_some((id, attributes))
}

/// One of RFC 3489's attributes, or one that nobody has to understand, and a length within it all.
fn attribute(head: &[u8]) -> Frame {
    match (be16_at(head, 0), be16_at(head, 2)) {
        (Some(1..=0x0fff | 0x8000..), Some(length)) => {
            let padded = usize::from(length).next_multiple_of(4);
            (4 + padded <= head.len()).then_some(4 + padded).into()
        }
        _ => Frame::Not,
    }
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

/// The port, which STUN only looks after until somebody else speaks there: RFC 7983, section 7.
#[derive(Debug)]
pub(super) struct Share;

impl Follow for Share {
    fn feed(&mut self, _: Side, bytes: &[u8], context: &mut Context<'_>) -> Step {
        match bytes {
            _ if context.transport != Transport::Udp => Step::Unchecked,
            bytes if is_own(bytes) => Step::Obeys,
            // DTLS records, RTP and RTCP.
            [20..=25 | 128..=191, ..] => Step::Becomes(Next::BesideStun, bytes.len()),
            _ => Step::Unchecked,
        }
    }

    fn gap(&mut self, _: Side) {}
}

/// Whether a datagram is STUN's or TURN's, whatever else uses the port.
pub(super) fn is_own(datagram: &[u8]) -> bool {
    let fits = |length: &[u8; 2], header_bytes: usize, most: usize| {
        let whole = usize::from(u16::from_be_bytes(*length)) + header_bytes;
        (whole..=whole + most).contains(&datagram.len())
    };
    match datagram {
        [0..=3, _, high, low, ..] => fits(&[*high, *low], HEADER_BYTES, 0),
        // ChannelData, which may be padded: RFC 8656, section 12.5.
        [0x40..=0x4f, _, high, low, ..] => fits(&[*high, *low], 4, 3),
        _ => false,
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
    fn a_binding_without_the_cookie_is_stun() {
        let ask = b"\0\x01\0\x08abcdefghijklmnop\0\x03\0\x04\0\0\0\0";
        Story::of_datagrams(&[client(ask)]).is_only_proposed("stun");
        let bare = b"\0\x01\0\0abcdefghijklmnop";
        let answer = b"\x01\x01\0\x08abcdefghijklmnop\0\x01\0\x04\0\x01\xd7\x0a";
        Story::of_datagrams(&[client(bare), server(answer)]).is_confirmed("stun");
        Story::of_datagrams(&[client(bare)]).is_nothing();
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

    const ASK: &[u8; 20] = b"\0\x01\0\0\x21\x12\xa4\x42abcdefghijkl";
    const ANSWER: &[u8; 24] = b"\x01\x01\0\x04\x21\x12\xa4\x42abcdefghijkl\0\x01\0\0";

    #[test]
    fn what_comes_on_the_same_port_is_known_too() {
        let record = b"\x17\xfe\xfd\0\x01\0\0\0\0\0\x09\0\x08abcdefgh";
        let shared = [client(ASK), server(ANSWER), client(record), server(ANSWER), server(record)];
        let story = Story::of_datagrams(&shared);
        assert_eq!((&*story.names, story.left), (&["stun", "dtls"][..], None));
        let packet = |number| [0x80, 111, 0, number, 0, 0, 0, number, 1, 2, 3, 4, 9, 9];
        let packets = [packet(1), packet(2), packet(3)];
        let mut turns = alloc::vec![client(ASK), server(ANSWER)];
        for packet in &packets {
            turns.extend([client(packet), server(ANSWER)]);
        }
        assert_eq!(Story::of_datagrams(&turns).names, ["stun", "rtp"]);
    }

    #[test]
    fn a_shell_on_the_same_port_leaves() {
        let output = b"Linux a 6.1.0-18-amd64 x86_64 GNU/Linux\n";
        let turns = [client(ASK), server(ANSWER), server(b"uname -a\n"), client(output)];
        Story::of_datagrams(&turns).is_left_by_client();
    }
}
