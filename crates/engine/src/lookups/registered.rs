//! The part of a name that somebody has registered, by the Public Suffix List: whoever answers for
//! it can be told things by names below it.
//!
//! The list's private part counts too: below `cloudfront.net` each customer is another one, and
//! none of them can answer lookups himself.

use psl::{List, Psl as _};

use super::labels::Piece;

/// A name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Registered<'a> {
    /// What is registered; empty where the name ends in no domain at all.
    pub domain: &'a str,
    /// The labels below it, without the last dot.
    pub below: &'a str,
    /// It ends in a top-level domain.
    pub is_public: bool,
}

/// A name that ends in something that is no top-level domain is somebody's own; one like this may
/// be the name of his network.
const OWN_DOMAIN_BYTES_MAX: usize = 15;

/// Takes a name apart. `None` where nobody could be told anything: it has one label, is a public
/// suffix itself, or asks whose an address is.
pub(super) fn registered(name: &str) -> Option<Registered<'_>> {
    if !name.contains('.') || is_address(name) {
        return None;
    }
    let suffix = List.suffix(name.as_bytes())?;
    let domain_bytes = if suffix.is_known() {
        List.domain(name.as_bytes())?.as_bytes().len()
    } else {
        own_domain(name).len()
    };
    let (below, domain) = name.split_at_checked(name.len() - domain_bytes)?;
    Some(Registered {
        domain,
        below: below.strip_suffix('.').unwrap_or(below),
        is_public: suffix.is_known(),
    })
}

/// The part of a name in somebody's own network that may be the network's: `cluster.local`, `lan`.
fn own_domain(name: &str) -> &str {
    let is_word = |label: &str| {
        let only = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        label.len() <= OWN_DOMAIN_BYTES_MAX && label.bytes().all(only)
    };
    let ends = |count: usize| {
        let dot = name.rmatch_indices('.').nth(count - 1);
        dot.and_then(|(dot, _)| name.get(dot + 1..))
    };
    let Some(last) = ends(1).filter(|last| is_word(last) && !Piece::of(last).has_digits()) else {
        return "";
    };
    let two = ends(2).and_then(|two| Some((two, two.split('.').next()?)));
    match two {
        Some((two, label)) if is_word(label) && !Piece::of(label).is_opaque() => two,
        _ => last,
    }
}

/// Whether these labels are a public name themselves: a resolver's search list has been appended.
pub(super) fn is_public_name(labels: &str) -> bool {
    labels.contains('.') && List.suffix(labels.as_bytes()).is_some_and(|suffix| suffix.is_known())
}

/// An address backwards: RFC 1035, section 3.5, RFC 3596, section 2.5, and the ranges of RFC 2317.
fn is_address(name: &str) -> bool {
    let parts = |suffix| name.strip_suffix(suffix).map(|labels: &str| labels.split('.'));
    let is_number = |label: &str| {
        label.len() <= 7
            && label.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b'\\')
    };
    let is_nibble =
        |label: &str| label.len() == 1 && label.bytes().all(|byte| byte.is_ascii_hexdigit());
    let ipv4 = parts(".in-addr.arpa").is_some_and(|mut labels| labels.all(is_number));
    ipv4 || parts(".ip6.arpa").is_some_and(|mut labels| labels.all(is_nibble))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Option<(&str, &str)> {
        registered(name).map(|found| (found.domain, found.below))
    }

    #[test]
    fn a_name_is_taken_apart_at_what_is_registered() {
        assert_eq!(of("a.b.example.com"), Some(("example.com", "a.b")));
        assert_eq!(of("a.b.example.co.uk"), Some(("example.co.uk", "a.b")));
        assert_eq!(of("example.com"), Some(("example.com", "")));
    }

    #[test]
    fn a_customer_of_a_cloud_is_a_domain_of_his_own() {
        assert_eq!(
            of("d111111abcdef8.cloudfront.net"),
            Some(("d111111abcdef8.cloudfront.net", ""))
        );
        assert_eq!(of("img.me.github.io"), Some(("me.github.io", "img")));
    }

    #[test]
    fn names_of_ones_own_network_belong_to_it() {
        assert_eq!(of("db.shop.svc.cluster.local"), Some(("cluster.local", "db.shop.svc")));
        assert_eq!(of("printer.lan"), Some(("lan", "printer")));
        assert_eq!(of("0e2f44b1c09d.4be0a2c1.lan"), Some(("lan", "0e2f44b1c09d.4be0a2c1")));
        assert_eq!(of("dnscat.4a1b00de"), Some(("", "dnscat.4a1b00de")));
    }

    #[test]
    fn addresses_and_single_labels_tell_nobody_anything() {
        assert_eq!(of("4.3.2.1.in-addr.arpa"), None);
        assert_eq!(of("b.a.9.8.ip6.arpa"), None);
        assert_eq!(of("localhost"), None);
        assert_eq!(of("co.uk"), None);
    }

    #[test]
    fn words_below_in_addr_arpa_are_no_address() {
        assert!(of("aGVsbG8.1.in-addr.arpa").is_some());
    }
}
