//! DHCP, by the BOOTP header and the magic cookie: RFC 2131, section 2; RFC 2132.

use super::registry::{FirstBytes, Protocol, Transports};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "dhcp",
    first_bytes: FirstBytes::of(&[1, 2]),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let sides = [heads.opener, heads.answerer];
    if sides.iter().all(|side| side.is_empty()) {
        return Verdict::Unsure;
    }
    let fits = |datagram: &&[u8]| datagram.is_empty() || is_dhcp(datagram);
    // Offers go to a broadcast address, so the two sides are rarely one flow: one is enough.
    if sides.iter().all(fits) { Verdict::Confirmed } else { Verdict::Never }
}

fn is_dhcp(datagram: &[u8]) -> bool {
    matches!(datagram.first_chunk::<4>(), Some([1 | 2, 1..=37, 0..=16, 0..=16]))
        && datagram.get(COOKIE_AT..).is_some_and(|options| options.starts_with(COOKIE))
}

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
