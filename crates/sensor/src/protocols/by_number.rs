//! Protocols that the IP header names by a number: there is nothing to look for inside. IANA,
//! "Assigned Internet Protocol Numbers".

use observation::Transport;

/// The name of what carries a flow, where that is all there is to say of it.
pub(crate) const fn name(transport: Transport) -> Option<&'static str> {
    match transport {
        Transport::Icmp => Some("icmp"),
        Transport::Tcp | Transport::Udp => None,
        Transport::Other(number) => match number {
            2 => Some("igmp"),
            // What carries no IP packet: PPP for one, as PPTP does it.
            47 => Some("gre"),
            50 | 51 => Some("ipsec"),
            88 => Some("eigrp"),
            89 => Some("ospf"),
            103 => Some("pim"),
            112 => Some("vrrp"),
            115 => Some("l2tp"),
            132 => Some("sctp"),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_names_and_ports_have_none() {
        assert_eq!(name(Transport::Icmp), Some("icmp"));
        assert_eq!(name(Transport::Other(50)), Some("ipsec"));
        assert_eq!(name(Transport::Other(253)), None);
        assert_eq!(name(Transport::Tcp), None);
    }
}
