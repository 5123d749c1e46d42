//! DHCP, by the BOOTP header and the magic cookie: RFC 2131, section 2; RFC 2132. DHCP for IPv6, by
//! options that fill the datagram and name a client or a server: RFC 8415, section 8.

use super::registry::{FirstBytes, Protocol, Transports};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "dhcp",
    first_bytes: FirstBytes::range(1, 13),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let sides = [heads.opener, heads.answerer];
    if sides.iter().all(|side| side.is_empty()) {
        return Verdict::Unsure;
    }
    let fits = |datagram: &&[u8]| datagram.is_empty() || is_dhcp(datagram) || is_dhcp6(datagram);
    // Offers go to a broadcast address, so the two sides are rarely one flow: one is enough.
    if sides.iter().all(fits) { Verdict::Confirmed } else { Verdict::Never }
}

fn is_dhcp(datagram: &[u8]) -> bool {
    matches!(datagram.first_chunk::<4>(), Some([1 | 2, 1..=37, 0..=16, 0..=16]))
        && datagram.get(COOKIE_AT..).is_some_and(|options| options.starts_with(COOKIE))
}

fn is_dhcp6(datagram: &[u8]) -> bool {
    let Some(([1..=11, ..], mut options)) = datagram.split_first_chunk::<4>() else { return false };
    let mut named = false;
    while let Some(([k, kind, high, low], rest)) = options.split_first_chunk::<4>() {
        let kind = u16::from_be_bytes([*k, *kind]);
        let Some(after) = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..) else {
            return false;
        };
        if !(1..=OPTION_MAX).contains(&kind) {
            return false;
        }
        named |= kind <= 2;
        options = after;
    }
    named && options.is_empty()
}

/// IANA's highest option is a little below.
const OPTION_MAX: u16 = 160;
const COOKIE_AT: usize = 236;
const COOKIE: &[u8] = &[99, 130, 83, 99];

#[cfg(test)]
mod tests {
    use observation::Side;

    use crate::protocols::story::Story;

    fn discover() -> [u8; 244] {
        let mut datagram = [0; 244];
        datagram[..4].copy_from_slice(&[1, 1, 6, 0]);
        datagram[236..].copy_from_slice(&[99, 130, 83, 99, 53, 1, 1, 255]);
        datagram
    }

    #[test]
    fn a_discovery_is_dhcp() {
        Story::of_datagrams(&[(Side::Originator, &discover())]).is_confirmed("dhcp");
    }

    #[test]
    fn a_solicitation_is_dhcp() {
        let solicit = b"\x01abc\0\x01\0\x04\0\x03\0\x01\0\x08\0\x02\0\0";
        Story::of_datagrams(&[(Side::Originator, solicit)]).is_confirmed("dhcp");
    }

    #[test]
    fn dhcp_cut_short_is_not_dhcp() {
        assert!(Story::of_datagrams(&[(Side::Originator, &discover()[..236])]).names.is_empty());
    }

    #[test]
    fn another_cookie_is_not_dhcp() {
        let mut datagram = discover();
        datagram[236] = 98;
        assert!(Story::of_datagrams(&[(Side::Originator, &datagram)]).names.is_empty());
    }
}
