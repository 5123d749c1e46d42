//! Community id, version 1, seed 0: <https://github.com/corelight/community-id-spec>.

use alloc::string::String;

use observation::{Endpoint, FlowKey, IpAddress, Transport};
use sha1::{Digest, Sha1};

/// The id that every tool gives to this flow, whichever side it saw first.
pub(crate) fn id(key: &FlowKey) -> String {
    let number = protocol_number(key);
    let (mut first, mut second) = (&key.originator, &key.responder);
    if is_two_way(key) && (second.address, second.port) < (first.address, first.port) {
        (first, second) = (second, first);
    }
    let mut hash = Sha1::new();
    hash.update([0, 0]);
    update_address(&mut hash, first);
    update_address(&mut hash, second);
    hash.update([number, 0]);
    if !matches!(key.transport, Transport::Other(other) if other != SCTP) {
        hash.update(first.port.to_be_bytes());
        hash.update(second.port.to_be_bytes());
    }
    let digest: [u8; 20] = hash.finalize().into();
    let mut text = String::with_capacity(30);
    text.push_str("1:");
    push_base64(&digest, &mut text);
    text
}

const SCTP: u8 = 132;

fn protocol_number(key: &FlowKey) -> u8 {
    match (key.transport, key.originator.address) {
        (Transport::Tcp, _) => 6,
        (Transport::Udp, _) => 17,
        (Transport::Icmp, IpAddress::V4(_)) => 1,
        (Transport::Icmp, IpAddress::V6(_)) => 58,
        (Transport::Other(number), _) => number,
    }
}

/// An ICMP message that no other answers keeps its direction.
fn is_two_way(key: &FlowKey) -> bool {
    let kind = key.originator.port;
    match (key.transport, key.originator.address) {
        (Transport::Icmp, IpAddress::V4(_)) => matches!(kind, 0 | 8..=10 | 13..=18),
        (Transport::Icmp, IpAddress::V6(_)) => {
            matches!(kind, 128..=131 | 133..=136 | 139 | 140 | 144 | 145)
        }
        _ => true,
    }
}

fn update_address(hash: &mut Sha1, end: &Endpoint) {
    match end.address {
        IpAddress::V4(v4) => hash.update(v4.octets()),
        IpAddress::V6(v6) => hash.update(v6.octets()),
    }
}

fn push_base64(bytes: &[u8], text: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let byte = |at: usize| group.get(at).copied().map_or(0, u32::from);
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            let digit = DIGITS.get(digit as usize).copied().unwrap_or(b'=');
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use observation::PortId;

    fn id_of(transport: Transport, from: (&str, u16), to: (&str, u16)) -> String {
        let end =
            |(address, port): (&str, u16)| Endpoint { address: address.parse().unwrap(), port };
        id(&FlowKey { port: PortId(9), transport, originator: end(from), responder: end(to) })
    }

    // The specification's own baselines (baseline/baseline_deflt.json).
    #[test]
    fn published_vectors() {
        let tcp = id_of(Transport::Tcp, ("128.232.110.120", 34855), ("66.35.250.204", 80));
        assert_eq!(tcp, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        let back = id_of(Transport::Tcp, ("66.35.250.204", 80), ("128.232.110.120", 34855));
        assert_eq!(back, tcp);
        let udp = id_of(Transport::Udp, ("192.168.1.52", 54585), ("8.8.8.8", 53));
        assert_eq!(udp, "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
        let icmp = id_of(Transport::Icmp, ("192.168.0.89", 8), ("192.168.0.1", 0));
        assert_eq!(icmp, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
        let alone = id_of(Transport::Icmp, ("192.168.0.89", 20), ("192.168.0.1", 1));
        assert_eq!(alone, "1:tz/fHIDUHs19NkixVVoOZywde+I=");
        let (asker, asked) = ("fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea");
        let icmp6 = id_of(Transport::Icmp, (asker, 135), (asked, 136));
        assert_eq!(icmp6, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=");
        let rsvp = id_of(Transport::Other(46), ("1.2.3.4", 0), ("5.6.7.8", 0));
        assert_eq!(rsvp, "1:ikv3kmf89luf73WPz1jOs49S768=");
        let sctp = id_of(Transport::Other(132), ("192.168.170.8", 7), ("192.168.170.56", 7));
        assert_eq!(sctp, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs=");
    }
}
