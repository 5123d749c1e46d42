//! Tor, by its link cells where they are seen in clear, and by how it uses TLS: tor-spec, "Cells"
//! and "Negotiating and initializing channels"; Tor's source (`tor_tls_new` and
//! `tor_tls_context_init_certificates`) for the names that it makes up.
//!
//! Before TLS 1.3 a relay shows a certificate for one name of chance that another one has signed.
//! TLS 1.3 hides it, and what is left is the client's word: that is never more than a proposal.

use observation::Certificate;

use super::client_hello::ClientHello;
use super::registry::{FirstBytes, Protocol, Transports};
use super::tls_habits::{Asks, Habit};
use super::words::{Fit, client_first, confirmed_only, pattern};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "tor",
    first_bytes: FirstBytes::of(&[0]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

pub(super) static HABIT: Habit = Habit { name: "tor", asks, shows };

fn probe(heads: Heads<'_>) -> Verdict {
    confirmed_only(client_first(&heads, versions(heads.opener), versions(heads.answerer)))
}

/// A VERSIONS cell: circuit 0 in two bytes, the command, a length, and the versions that are
/// spoken. What follows it belongs to no circuit either.
fn versions(head: &[u8]) -> Fit {
    let Some(([_, _, _, _, length], rest)) = head.split_first_chunk::<5>() else {
        return pattern(head, CELL);
    };
    let length = usize::from(*length);
    let (list, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
    let is_version = |pair: &[u8]| match *pair {
        [high, low] => high == 0 && (1..=VERSION_MAX).contains(&low),
        _ => pair == [0],
    };
    let fits = length % 2 == 0
        && (1..=VERSION_COUNT_MAX).contains(&(length / 2))
        && list.chunks(2).all(is_version)
        && after.iter().take(2).all(|byte| *byte == 0);
    match pattern(head, CELL) {
        Fit::Yes if fits && list.len() == length => Fit::Yes,
        Fit::Yes if fits => Fit::Could,
        _ => Fit::No,
    }
}

/// The name that a client makes up. It offers no protocol, and ciphers as a browser of old did,
/// which in turn always offers some.
fn asks(hello: &ClientHello<'_>) -> Asks {
    let name = hello.server_name_text();
    if hello.alpn.is_some() || made_up(&name, "com", 4..=25).is_none() {
        return Asks::Otherwise;
    }
    let offered = hello.ciphers().iter().filter(|cipher| !is_optional(**cipher));
    if offered.eq(&CIPHERS) { Asks::Alone } else { Asks::Alike }
}

/// The suites of TLS 1.3, the renegotiation signal, and triple DES come and go with the library.
const fn is_optional(cipher: u16) -> bool {
    matches!(cipher, 0x1300..=0x13ff | 0x00ff | 0x000a)
}

/// A certificate for one made-up name by another, and nothing else in it. Older relays ended both
/// names alike.
fn shows(certificate: &Certificate<'_>) -> bool {
    let whole_name = |name| str::strip_prefix(name, "CN=");
    let subject = whole_name(&*certificate.subject).and_then(|name| made_up(name, "net", 8..=20));
    let issuer = whole_name(&*certificate.issuer)
        .and_then(|name| made_up(name, "com", 8..=20).or_else(|| made_up(name, "net", 8..=20)));
    certificate.names.is_empty() && issuer.is_some() && subject.is_some() && subject != issuer
}

/// The middle of `www.`, base32 and a domain.
fn made_up<'a>(
    name: &'a str,
    domain: &str,
    lengths: core::ops::RangeInclusive<usize>,
) -> Option<&'a str> {
    let middle = name.strip_prefix("www.")?.strip_suffix(domain)?.strip_suffix('.')?;
    let is_base32 = middle.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
    (is_base32 && lengths.contains(&middle.len())).then_some(middle)
}

const CELL: &[Option<u8>] = &[Some(0), Some(0), Some(7), Some(0), None];
/// Five are known.
const VERSION_MAX: u8 = 15;
const VERSION_COUNT_MAX: usize = 15;
/// `ciphers.inc` of Tor's source, in its order.
const CIPHERS: [u16; 14] = [
    0xc02b, 0xc02f, 0xcca9, 0xcca8, 0xc02c, 0xc030, 0xc00a, 0xc009, 0xc013, 0xc014, 0x0033, 0x0039,
    0x002f, 0x0035,
];

#[cfg(test)]
mod tests {
    use alloc::borrow::Cow;
    use alloc::vec;
    use alloc::vec::Vec;

    use observation::{Certificate, Time};

    use super::*;
    use crate::protocols::story::{Story, client, server};

    const ASKS: &[u8; 11] = b"\0\0\x07\0\x06\0\x03\0\x04\0\x05";

    #[test]
    fn versions_of_both_sides_are_tor() {
        Story::of(&[client(ASKS)]).is_nothing();
        // Version 4 on, and the cell CERTS behind it.
        let answers = server(b"\0\0\x07\0\x04\0\x04\0\x05\0\0\0\0\x81\x02\xbd");
        let netinfo = client(b"\0\0\0\0\x08\x65\0\0\0");
        Story::of(&[client(ASKS), answers, netinfo]).is_confirmed("tor");
    }

    #[test]
    fn a_cell_cut_short_is_unsure() {
        let half = client(b"\0\0\x07\0\x06\0\x03\0\x04\0");
        Story::of(&[half, server(b"\0\0\x07\0\x02\0\x04")]).is_nothing();
    }

    #[test]
    fn what_only_looks_like_a_cell_is_not_tor() {
        let answers = server(b"\0\0\x07\0\x02\0\x04");
        // An odd length, a version that nobody has, another command, a circuit behind it.
        Story::of(&[client(b"\0\0\x07\0\x03\0\x03\0"), answers]).is_nothing();
        Story::of(&[client(b"\0\0\x07\0\x02\0\x7f"), answers]).is_nothing();
        Story::of(&[client(b"\0\0\x08\0\x02\0\x04"), answers]).is_nothing();
        Story::of(&[client(b"\0\0\x07\0\x02\0\x04\x80\0"), answers]).is_nothing();
        Story::of(&[client(ASKS), server(b"uid=0(root)\n")]).is_nothing();
    }

    fn hello(name: &str, ciphers: &[u16], extra: &[u8]) -> Vec<u8> {
        let length = u8::try_from(name.len()).unwrap();
        let ciphers: Vec<u8> = ciphers.iter().flat_map(|each| each.to_be_bytes()).collect();
        let sni =
            [&[0, 0, 0, length + 5, 0, length + 3, 0, 0, length][..], name.as_bytes()].concat();
        let extensions = [&sni, extra].concat();
        let mut body = [&[3, 3][..], &[7; 32], &[0]].concat();
        body.extend(u16::try_from(ciphers.len()).unwrap().to_be_bytes());
        body.extend(ciphers);
        body.extend([1, 0]);
        body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        body.extend(extensions);
        body
    }

    fn asks_as(name: &str, ciphers: &[u16], extra: &[u8]) -> Asks {
        asks(&ClientHello::parse(&hello(name, ciphers, extra)).unwrap())
    }

    #[test]
    fn a_hello_of_tor_is_one_sides_word() {
        let ciphers = [&[0x1302, 0x1303, 0x1301][..], &CIPHERS, &[0x00ff]].concat();
        assert_eq!(asks_as("www.xq4zk2hfd7a.com", &ciphers, b""), Asks::Alone);
    }

    #[test]
    fn an_ordinary_hello_says_nothing_of_tor() {
        let alpn = b"\0\x10\0\x05\0\x03\x02h2";
        // Every short name has this shape: it is worth nothing without a certificate.
        assert_eq!(asks_as("www.example.com", &[0x1301, 0xc02b, 0xc02f], b""), Asks::Alike);
        assert_eq!(asks_as("www.example.com", &CIPHERS, alpn), Asks::Otherwise);
        for name in ["example.com", "www.example.org", "www.a-b.com", "www.abc.com", "www.x1y0.com"]
        {
            assert_eq!(asks_as(name, &CIPHERS, b""), Asks::Otherwise, "{name}");
        }
    }

    fn certificate(subject: &'static str, issuer: &'static str) -> Certificate<'static> {
        Certificate {
            subject: Cow::Borrowed(subject),
            issuer: Cow::Borrowed(issuer),
            not_before: Time(0),
            not_after: Time(0),
            names: Vec::new(),
            chain_count: 1,
        }
    }

    #[test]
    fn one_made_up_name_that_signs_another_is_a_relays() {
        assert!(shows(&certificate("CN=www.s4ku5skci.net", "CN=www.xq4zk2hfd7a.com")));
        assert!(shows(&certificate("CN=www.s4ku5skci.net", "CN=www.xq4zk2hfd7a.net")));
    }

    #[test]
    fn an_ordinary_certificate_is_no_relays() {
        for (subject, issuer) in [
            ("CN=www.examples.net", "CN=R11,O=Let's Encrypt,C=US"),
            ("CN=www.examples.net,O=Example", "CN=www.authority.com"),
            // Signed by itself, or by the same name elsewhere.
            ("CN=www.examples.net", "CN=www.examples.net"),
            ("CN=www.examples.net", "CN=www.examples.com"),
            ("CN=www.examples.com", "CN=www.authority.com"),
            ("CN=www.short.net", "CN=www.authority.com"),
            ("", ""),
        ] {
            assert!(!shows(&certificate(subject, issuer)), "{subject} by {issuer}");
        }
        let mut named = certificate("CN=www.s4ku5skci.net", "CN=www.xq4zk2hfd7a.com");
        named.names = vec![Cow::Borrowed("www.s4ku5skci.net")];
        assert!(!shows(&named));
    }
}
