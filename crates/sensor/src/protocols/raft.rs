//! Raft as dqlite and LXD speak it, by the handshake with version, number and address of the node:
//! canonical/raft, `src/uv_encoding.c` and `uv_tcp_connect.c`. Each direction has its own
//! connection, so that nothing is answered.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{decimal, is_text};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "raft",
    first_bytes: FirstBytes::of(&[1]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    let word = |at: usize| {
        let bytes = heads.opener.get(8 * at..)?.first_chunk::<8>()?;
        Some(u64::from_le_bytes(*bytes))
    };
    let address = heads.opener.get(24..).unwrap_or_default();
    match (word(0), word(1), word(2)) {
        (Some(version), ..) if version != 1 => Verdict::Never,
        (_, _, None) => Verdict::Unsure,
        (_, Some(1..), Some(length @ 8..=ADDRESS_BYTES_MAX)) if length % 8 == 0 => {
            match usize::try_from(length).ok().and_then(|length| address.get(..length)) {
                None => Verdict::Unsure,
                Some(address) if is_address(address) => Verdict::Confirmed,
                Some(_) => Verdict::Never,
            }
        }
        _ => Verdict::Never,
    }
}

/// A host and a port, then zeros.
fn is_address(padded: &[u8]) -> bool {
    let end = padded.iter().position(|byte| *byte == 0).unwrap_or(padded.len());
    let Some((address, zeros)) = padded.split_at_checked(end) else { return false };
    let mut parts = address.rsplitn(2, |byte| *byte == b':');
    let port = parts.next().and_then(decimal);
    let host = parts.next().is_some_and(|host| !host.is_empty() && is_text(host));
    host && port.is_some_and(|port| port <= 65535) && zeros.iter().all(|byte| *byte == 0)
}

const ADDRESS_BYTES_MAX: u64 = 256;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client};

    const HELLO: &[u8; 40] =
        b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\x00127.0.0.1:9001\0\0";

    #[test]
    fn a_node_and_its_address_are_raft() {
        Story::of(&[client(HELLO)]).is_confirmed("raft");
    }

    #[test]
    fn raft_cut_short_is_unsure() {
        Story::of(&[(observation::Side::Originator, &HELLO[..39])]).is_nothing();
    }

    #[test]
    fn no_address_is_not_raft() {
        let mut other = *HELLO;
        other[33] = b'.';
        Story::of(&[client(&other)]).is_nothing();
    }
}
