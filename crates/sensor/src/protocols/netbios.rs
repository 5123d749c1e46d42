//! NetBIOS over TCP/IP: name service, datagrams and sessions, by their encoded names: RFC 1001, RFC
//! 1002.

use observation::Transport;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, datagram, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "netbios",
    first_bytes: FirstBytes::ANY,
    transports: Transports::Both,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let datagrams = |bytes| datagram(bytes, |bytes| is_name_message(bytes) || is_datagram(bytes));
    match heads.transport {
        Transport::Udp => match two_sided(datagrams(heads.opener), datagrams(heads.answerer)) {
            // Names are asked for and announced by broadcast, which nobody answers in the same
            // flow.
            Verdict::Proposed(_) if is_broadcast(heads.opener) => Verdict::Confirmed,
            verdict => verdict,
        },
        _ => two_sided(session_request(heads.opener), session_response(heads.answerer)),
    }
}

/// A DNS header, then one name of 32 letters that encode 16 bytes.
fn is_name_message(bytes: &[u8]) -> bool {
    let counts = bytes.get(4..12).unwrap_or_default();
    let few = counts.iter().step_by(2).all(|high| *high == 0);
    counts.len() == 8 && few && bytes.get(12..).is_some_and(is_encoded_name)
}

/// Type, flags, id, address, port 138; then two names behind length and offset.
fn is_datagram(bytes: &[u8]) -> bool {
    matches!(bytes.first_chunk::<10>(), Some([0x10..=0x16, _, .., 0, 138]))
        && bytes.get(14..).is_some_and(is_encoded_name)
}

fn is_broadcast(bytes: &[u8]) -> bool {
    is_datagram(bytes) || bytes.get(3).is_some_and(|flags| flags & 0x10 != 0)
}

fn is_encoded_name(bytes: &[u8]) -> bool {
    let Some(([32, letters @ .., _], _)) = bytes.split_first_chunk::<34>() else { return false };
    letters.iter().all(|letter| matches!(letter, b'A'..=b'P'))
}

/// 0x81, the length of two encoded names, and the first of them.
fn session_request(head: &[u8]) -> Fit {
    let want = [0x81, 0, 0, 0x44, 32];
    let fits = want.iter().zip(head).all(|(want, byte)| want == byte)
        && head.iter().skip(5).take(32).all(|letter| matches!(letter, b'A'..=b'P'));
    match (fits, head.len()) {
        (false, _) => Fit::No,
        (true, 0..37) => Fit::Could,
        (true, _) => Fit::Yes,
    }
}

fn session_response(head: &[u8]) -> Fit {
    match head {
        [] | [0x82..=0x85] | [0x82..=0x85, 0] => Fit::Could,
        [0x82..=0x85, 0, 0, ..] => Fit::Yes,
        _ => Fit::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_name_query_by_broadcast_is_netbios() {
        let query =
            b"\x80\x01\x01\x10\0\x01\0\0\0\0\0\0 FHEPFCELEHFCEPFFFACACACACACACABL\0\0\x20\0\x01";
        Story::of_datagrams(&[client(query)]).is_confirmed("netbios");
    }

    #[test]
    fn netbios_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"\x81\0\0\x44 FHEP")]).names.is_empty());
    }

    #[test]
    fn a_plain_name_is_not_netbios() {
        let query =
            b"\x80\x01\x01\x10\0\x01\0\0\0\0\0\0 fhepfcelehfcepfffacacacacacacabl\0\0\x01\0\x01";
        Story::of_datagrams(&[client(query)]).is_only_proposed("dns");
        assert!(Story::of(&[client(b"\x81\0\0\x44 id\n"), server(b"id\n")]).names.is_empty());
    }
}
