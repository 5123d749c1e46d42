//! AnyDesk, by the four bytes with which its programs look for each other in a network, and inside
//! TLS by its relays' names and by the certificates of its clients and relays. The protocol is not
//! published.

use observation::Certificate;

use super::client_hello::ClientHello;
use super::registry::{FirstBytes, Protocol, Transports};
use super::tls_habits::{Asks, Habit};
use super::words::{datagram, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "anydesk",
    first_bytes: FirstBytes::of(&[0x3e]),
    transports: Transports::Udp,
    probe,
    follow: None,
};

pub(super) static HABIT: Habit = Habit { name: "anydesk", asks, shows };

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(datagram(heads.opener, is_discovery), datagram(heads.answerer, is_discovery))
}

/// Something follows the magic bytes: who asks.
fn is_discovery(bytes: &[u8]) -> bool {
    bytes.len() > DISCOVERY.len() && bytes.starts_with(DISCOVERY)
}

/// Whoever asks for a relay says so; whether it is one, its certificate says.
fn asks(hello: &ClientHello<'_>) -> Asks {
    let name = hello.server_name_text();
    let host = name.strip_suffix(RELAYS).unwrap_or_default();
    if host.is_empty() { Asks::Otherwise } else { Asks::Alone }
}

/// Clients sign their own, relays have an authority of their own.
fn shows(certificate: &Certificate<'_>) -> bool {
    let [subject, issuer] = [&certificate.subject, &certificate.issuer].map(|name| common(name));
    match subject {
        "AnyDesk Client" => issuer == subject,
        "AnyNet Relay" => issuer == "AnyNet Root CA",
        _ => false,
    }
}

/// The common name.
fn common(name: &str) -> &str {
    name.split(',').find_map(|part| part.strip_prefix("CN=")).unwrap_or_default()
}

const DISCOVERY: &[u8] = b"\x3e\xd1\x03\x01";
const RELAYS: &str = ".net.anydesk.com";

#[cfg(test)]
mod tests {
    use alloc::borrow::Cow;
    use alloc::vec::Vec;

    use observation::Time;

    use super::*;
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn programs_that_look_for_each_other_are_anydesk() {
        let asks = client(b"\x3e\xd1\x03\x01\0\0\0\x09123456789");
        Story::of_datagrams(&[asks]).is_only_proposed("anydesk");
        let answers = server(b"\x3e\xd1\x03\x01\0\0\0\x09987654321");
        Story::of_datagrams(&[asks, answers]).is_confirmed("anydesk");
    }

    #[test]
    fn another_or_an_empty_message_is_not_anydesk() {
        Story::of_datagrams(&[client(b"\x3e\xd1\x03\x01")]).is_nothing();
        Story::of_datagrams(&[client(b"\x3e\xd1\x03\x02\0\0\0\x09123456789")]).is_nothing();
        Story::of_datagrams(&[client(b"\x3e\xd1\x03\x01\0"), server(b"uid=0(root)\n")])
            .is_left_by_server();
    }

    fn is_shown(subject: &'static str, issuer: &'static str) -> bool {
        shows(&Certificate {
            subject: Cow::Borrowed(subject),
            issuer: Cow::Borrowed(issuer),
            not_before: Time(0),
            not_after: Time(0),
            names: Vec::new(),
            chain_count: 1,
        })
    }

    #[test]
    fn its_certificates_are_known() {
        assert!(is_shown("CN=AnyDesk Client", "CN=AnyDesk Client"));
        let authority = "CN=AnyNet Root CA,O=philandro Software GmbH,C=DE";
        assert!(is_shown("CN=AnyNet Relay", authority));
    }

    #[test]
    fn others_certificates_are_not_its_own() {
        let authority = "CN=R11,O=Let's Encrypt,C=US";
        assert!(!is_shown("CN=anydesk.com", authority));
        assert!(!is_shown("CN=AnyDesk Client", authority));
        assert!(!is_shown("CN=AnyNet Relay", authority));
        assert!(!is_shown("O=AnyDesk Client", "O=AnyDesk Client"));
        assert!(!is_shown("", ""));
    }
}
