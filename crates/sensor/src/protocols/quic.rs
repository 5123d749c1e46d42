//! QUIC, by the long header of a version that exists: RFC 8999, RFC 9000, section 17.2, RFC 9369,
//! and
//! Google's QUIC before them. A short header alone says nothing.

use observation::Side;

use super::follow::Follower;
use super::quic_initial::Initials;
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::contains;
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "quic",
    first_bytes: FirstBytes::range(0xc0, 0xff).or(FirstBytes::range(0x08, 0x0f)),
    transports: Transports::Udp,
    probe,
    follow: Some(|| Follower::Quic(Initials::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    let first = heads.first.unwrap_or(Side::Originator);
    let (opening, answer) = (heads.of(first), heads.of(first.other()));
    let google = is_google(opening);
    if !google && answer.is_empty() && rejects(opening) {
        return Verdict::Proposed(first);
    }
    match (is_initial(opening) || google, answer) {
        _ if opening.is_empty() => Verdict::Unsure,
        (false, _) => Verdict::Never,
        (true, []) => Verdict::Proposed(first),
        // A long header of some version or version negotiation; Google's answers have neither.
        (true, _) if is_long(answer) || google && answer.first().is_some_and(|f| f & 0xc0 == 0) => {
            Verdict::Confirmed
        }
        (true, _) => Verdict::Proposed(first),
    }
}

/// A long header of a known version whose connection ids and length fit the datagram.
fn is_initial(datagram: &[u8]) -> bool {
    let Some(([first, v1, v2, v3, v4, id_bytes], rest)) = datagram.split_first_chunk::<6>() else {
        return false;
    };
    let version = u32::from_be_bytes([*v1, *v2, *v3, *v4]);
    if first & 0xc0 != 0xc0 || !is_version(version) || datagram.len() < DATAGRAM_BYTES_MIN {
        return false;
    }
    // Before draft 22 two nibbles gave the lengths of both connection ids.
    if matches!(version, 0xff00_0001..=0xff00_0015 | 0x5130_0000..=0x5130_ffff) {
        return true;
    }
    let source = rest.get(usize::from(*id_bytes)).copied().unwrap_or(u8::MAX);
    *id_bytes <= ID_BYTES_MAX && source <= ID_BYTES_MAX
}

fn is_long(datagram: &[u8]) -> bool {
    let Some([first, v1, v2, v3, v4, ..]) = datagram.first_chunk::<7>() else { return false };
    let version = u32::from_be_bytes([*v1, *v2, *v3, *v4]);
    first & 0x80 != 0 && (version == 0 || is_version(version))
}

/// Version 1, version 2, the drafts, Facebook's, Google's, and the reserved ones.
const fn is_version(version: u32) -> bool {
    // Versions that only ask for negotiation: RFC 9000, section 15.
    version & 0x0f0f_0f0f == 0x0a0a_0a0a
        || matches!(
            version,
            1 | 0x6b33_43cf
                | 0xff00_0010..=0xff00_0022
                | 0xface_b000..=0xface_b00f
                | 0x5130_3430..=0x5130_3539
                | 0x5430_3530..=0x5430_3539
        )
}

/// Google's public header: flags with a version, eight bytes of connection id, `Q0xx`.
fn is_google(datagram: &[u8]) -> bool {
    let Some([flags, _, _, _, _, _, _, _, _, b'Q', b'0', tens, ones, ..]) =
        datagram.first_chunk::<14>()
    else {
        return false;
    };
    flags & 0xc8 == 0x08 && flags & 1 == 1 && tens.is_ascii_digit() && ones.is_ascii_digit()
}

/// A server's first answer in Google's, where its client was not captured: the crypto stream begins
/// with a tag for a rejection or a hello.
fn rejects(datagram: &[u8]) -> bool {
    let early = datagram.get(GOOGLE_HEADER_BYTES..GOOGLE_TAG_WITHIN).unwrap_or_default();
    matches!(datagram, [0x08 | 0x0c, ..])
        && (contains(early, b"REJ\0") || contains(early, b"SHLO") || contains(early, b"SREJ"))
}

const ID_BYTES_MAX: u8 = 20;
/// Flags, connection id, number; then a hash, and a frame's header with up to 32 bytes of nonce.
const GOOGLE_HEADER_BYTES: usize = 10;
const GOOGLE_TAG_WITHIN: usize = 72;
/// A client pads its first datagram to 1200 bytes; servers' and 0-RTT datagrams may be shorter.
const DATAGRAM_BYTES_MIN: usize = 64;

#[cfg(test)]
mod tests {
    use observation::Side;

    use crate::protocols::story::Story;

    fn initial(version: [u8; 4]) -> [u8; 1200] {
        let mut datagram = [0x5a; 1200];
        datagram[0] = 0xc3;
        datagram[1..5].copy_from_slice(&version);
        datagram[5] = 8;
        datagram[14] = 0;
        datagram
    }

    #[test]
    fn two_long_headers_are_quic() {
        let both = initial([0, 0, 0, 1]);
        Story::of_datagrams(&[(Side::Originator, &both), (Side::Responder, &both)])
            .is_confirmed("quic");
    }

    #[test]
    fn quic_cut_short_is_not_quic() {
        let initial = initial([0, 0, 0, 1]);
        assert!(Story::of_datagrams(&[(Side::Originator, &initial[..20])]).names.is_empty());
    }

    #[test]
    fn a_version_that_does_not_exist_is_not_quic() {
        let initial = initial([0, 0, 0, 9]);
        assert!(Story::of_datagrams(&[(Side::Originator, &initial)]).names.is_empty());
    }
}
