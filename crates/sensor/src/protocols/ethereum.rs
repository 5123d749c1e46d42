//! Ethereum's node discovery, version 4 (devp2p, `discv4.md`), and the handshake of its transport
//! (devp2p, `rlpx.md`, EIP-8), whose first bytes are a point of the curve secp256k1.

use observation::{Side, Transport};

use super::frames::be16_at;
use super::registry::{FirstBytes, Protocol, Transports};
use super::secp256k1::is_on_curve;
use super::words::{Fit, datagram, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "ethereum",
    first_bytes: FirstBytes::ANY,
    transports: Transports::Both,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.transport == Transport::Udp {
        return two_sided(
            datagram(heads.opener, is_discovery),
            datagram(heads.answerer, is_discovery),
        );
    }
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    match (handshake(heads.opener), heads.answerer.is_empty()) {
        (Fit::Yes, false) => two_sided(Fit::Yes, handshake(heads.answerer)),
        (fit, _) => two_sided(fit, Fit::Could),
    }
}

/// Hash, signature with its recovery bit, type, and a list that fills the rest.
fn is_discovery(bytes: &[u8]) -> bool {
    let Some([0 | 1, 1..=6, list @ ..]) = bytes.get(HASH_BYTES + SIGNATURE_BYTES..) else {
        return false;
    };
    match list {
        [short @ 0xc0..=0xf7, rest @ ..] => usize::from(short - 0xc0) == rest.len(),
        [0xf8, length, rest @ ..] => usize::from(*length) == rest.len(),
        [0xf9, high, low, rest @ ..] => {
            usize::from(u16::from_be_bytes([*high, *low])) == rest.len()
        }
        _ => false,
    }
}

/// An ephemeral public key, uncompressed; since EIP-8 with the message's length before it.
fn handshake(head: &[u8]) -> Fit {
    let sized = match be16_at(head, 0).map(usize::from) {
        Some(size) if !(MESSAGE_BYTES_MIN..=MESSAGE_BYTES_MAX).contains(&size) => Fit::No,
        _ => public_key(head.get(2..).unwrap_or_default()),
    };
    sized.or(public_key(head))
}

fn public_key(bytes: &[u8]) -> Fit {
    match bytes {
        [] => Fit::Could,
        [UNCOMPRESSED, point @ ..] => {
            let Some((x, rest)) = point.split_first_chunk::<32>() else { return Fit::Could };
            let Some(y) = rest.first_chunk::<32>() else { return Fit::Could };
            if is_on_curve(x, y) { Fit::Yes } else { Fit::No }
        }
        _ => Fit::No,
    }
}

const HASH_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
/// What the encryption adds, and the shortest body.
const MESSAGE_BYTES_MIN: usize = 113 + 97;
const MESSAGE_BYTES_MAX: usize = 2048;
const UNCOMPRESSED: u8 = 4;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use observation::Side;

    use crate::protocols::story::{Story, Turn};

    /// A handshake with the curve's base point for a key.
    fn handshake(last: u8) -> Vec<u8> {
        let mut message = Vec::from(*b"\x01\x85\x04");
        message.extend(b"\x79\xbe\x66\x7e\xf9\xdc\xbb\xac\x55\xa0\x62\x95\xce\x87\x0b\x07");
        message.extend(b"\x02\x9b\xfc\xdb\x2d\xce\x28\xd9\x59\xf2\x81\x5b\x16\xf8\x17\x98");
        message.extend(b"\x48\x3a\xda\x77\x26\xa3\xc4\x65\x5d\xa4\xfb\xfc\x0e\x11\x08\xa8");
        message.extend(b"\xfd\x17\xb4\x48\xa6\x85\x54\x19\x9c\x47\xd0\x8f\xfb\x10\xd4");
        message.push(last);
        message.resize(2 + 0x185, 0x5a);
        message
    }

    fn ping() -> Vec<u8> {
        let mut datagram = Vec::from([0x5a; 96]);
        datagram.extend(b"\x01\x01\xc4\x04\x80\x80\x80");
        datagram
    }

    #[test]
    fn two_keys_are_ethereum() {
        let message = handshake(0xb8);
        let turns: [Turn<'_>; 2] = [(Side::Originator, &message), (Side::Responder, &message)];
        Story::of(&turns).is_confirmed("ethereum");
        Story::of(&turns[..1]).is_only_proposed("ethereum");
    }

    #[test]
    fn a_ping_of_its_discovery_is_ethereum() {
        let ping = ping();
        Story::of_datagrams(&[(Side::Originator, &ping), (Side::Responder, &ping)])
            .is_confirmed("ethereum");
    }

    #[test]
    fn ethereum_cut_short_is_unsure() {
        Story::of(&[(Side::Originator, &handshake(0xb8)[..66])]).is_nothing();
        Story::of_datagrams(&[(Side::Originator, &ping()[..102])]).is_nothing();
    }

    #[test]
    fn a_point_beside_the_curve_is_not_ethereum() {
        Story::of(&[(Side::Originator, &handshake(0xb9))]).is_nothing();
        let mut ping = ping();
        ping[98] = 0xc5;
        Story::of_datagrams(&[(Side::Originator, &ping)]).is_nothing();
    }
}
