//! SNMP, by version, community or header, and PDU type in BER: RFC 1157, RFC 3416, RFC 3412.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{datagram, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "snmp",
    first_bytes: FirstBytes::of(&[0x30]),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(datagram(heads.opener, is_snmp), datagram(heads.answerer, is_snmp))
}

fn is_snmp(datagram: &[u8]) -> bool {
    let Some((0x30, message, [])) = element(datagram) else { return false };
    let Some((0x02, [version], rest)) = element(message) else { return false };
    match (version, element(rest)) {
        // The community, then a PDU that fills the rest.
        (0 | 1, Some((0x04, _, pdu))) => matches!(element(pdu), Some((0xa0..=0xa8, _, []))),
        (3, Some((0x30, global, _))) => matches!(element(global), Some((0x02, _, _))),
        _ => false,
    }
}

/// One BER element: its tag, its content and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 7))?;
            (digits.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_get_and_its_response_are_snmp() {
        let get = b"\x30\x13\x02\x01\x01\x04\x06public\xa0\x06\x02\x01\x01\x02\x01\0";
        let answer = b"\x30\x13\x02\x01\x01\x04\x06public\xa2\x06\x02\x01\x01\x02\x01\0";
        Story::of_datagrams(&[client(get), server(answer)]).is_confirmed("snmp");
    }

    #[test]
    fn snmp_cut_short_is_not_snmp() {
        assert!(
            Story::of_datagrams(&[client(b"\x30\x13\x02\x01\x01\x04\x06pub")]).names.is_empty()
        );
    }

    #[test]
    fn another_version_is_not_snmp() {
        let get = b"\x30\x13\x02\x01\x02\x04\x06public\xa0\x06\x02\x01\x01\x02\x01\0";
        assert!(Story::of_datagrams(&[client(get)]).names.is_empty());
    }
}
