//! What a text lists: an address, a network, a name, a URL, a fingerprint, a hash.

use std::net::IpAddr;

use crate::hex::bytes32;

/// Names are this long at most: RFC 1035.
const NAME_BYTES_MAX: usize = 253;
const URL_BYTES_MAX: usize = 2048;

/// What is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// An address, and a port where only that one is meant.
    Address(IpAddr, Option<u16>),
    /// A network by its prefix.
    Network(IpAddr, u8),
    /// A name.
    Domain(&'a str),
    /// A URL.
    Url(&'a str),
    /// A JA4 fingerprint.
    Ja4(&'a str),
    /// A file's SHA-256.
    Sha256([u8; 32]),
}

/// Reads a value of which nobody says what it is.
#[must_use]
pub fn read_value(text: &str) -> Option<Value<'_>> {
    url(text)
        .or_else(|| address(text))
        .or_else(|| network(text))
        .or_else(|| bytes32(text).map(Value::Sha256))
        .or_else(|| ja4(text))
        .or_else(|| domain(text))
}

/// `198.51.100.10`, `198.51.100.10:443`, `[2001:db8::1]:443`.
pub(super) fn address(text: &str) -> Option<Value<'_>> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(Value::Address(address, None));
    }
    let (address, port) = text.rsplit_once(':')?;
    let address = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    let address = address.or_else(|| text.rsplit_once(':').map(|(address, _)| address))?;
    let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
    address.parse::<IpAddr>().ok().map(|address| Value::Address(address, Some(port)))
}

/// `198.51.100.0/24`
pub(super) fn network(text: &str) -> Option<Value<'_>> {
    let (address, bits) = text.split_once('/')?;
    let (address, bits) = (address.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?);
    match address {
        IpAddr::V4(_) if bits == 32 => Some(Value::Address(address, None)),
        IpAddr::V6(_) if bits == 128 => Some(Value::Address(address, None)),
        IpAddr::V4(_) if bits < 32 => Some(Value::Network(address, bits)),
        IpAddr::V6(_) if bits < 128 => Some(Value::Network(address, bits)),
        _ => None,
    }
}

pub(super) fn url(text: &str) -> Option<Value<'_>> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_whole = is_scheme && !rest.is_empty() && text.len() <= URL_BYTES_MAX;
    (is_whole && !text.contains(char::is_whitespace)).then_some(Value::Url(text))
}

/// `t13d1516h2_8daaf6152771_b186095e22b6`
pub(super) fn ja4(text: &str) -> Option<Value<'_>> {
    let mut parts = text.split('_');
    let (head, rest) = (parts.next()?, [parts.next()?, parts.next()?]);
    let is_hash =
        |part: &&str| part.len() == 12 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_head = head.len() == 10 && head.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_ja4 = is_head && rest.iter().all(is_hash) && parts.next().is_none();
    is_ja4.then_some(Value::Ja4(text))
}

/// A name, also as `*.example.com`, `.example.com` and `example.com.`.
pub(super) fn domain(text: &str) -> Option<Value<'_>> {
    let name = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')).unwrap_or(text);
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.len() <= 63 && label.bytes().all(is_letter)
    };
    let is_number = name.rsplit('.').next()?.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = name.len() <= NAME_BYTES_MAX && !is_number && name.split('.').all(is_label);
    is_name.then_some(Value::Domain(name))
}

/// By the name that a column or attribute gives it. `Err` for a kind that no sensor meets.
pub(super) fn of_kind<'a>(kind: &str, text: &'a str) -> Result<Option<Value<'a>>, Unused> {
    let first = || text.split('|').next().unwrap_or_default();
    let last = || text.rsplit('|').next().unwrap_or_default();
    Ok(match kind {
        "ip" | "ip-dst" | "ipv4-addr" | "ipv6-addr" | "ipv4" | "ipv6" | "dst_ip" | "ip:port" => {
            address(text).or_else(|| network(text))
        }
        "cidr" => network(text).or_else(|| address(text)),
        "ip-dst|port" => {
            let port = last().parse::<u16>().ok();
            first().parse::<IpAddr>().ok().map(|address| Value::Address(address, port))
        }
        "domain" | "hostname" | "domain-name" | "host" => domain(text),
        "domain|ip" | "hostname|port" => domain(first()),
        "url" | "uri" => url(text),
        "sha256" | "sha256_hash" => bytes32(text).map(Value::Sha256),
        "filename|sha256" => bytes32(last()).map(Value::Sha256),
        "ja4" | "ja4-fingerprint" => ja4(text),
        _ => return Err(Unused),
    })
}

/// A kind of indicator that no sensor meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unused;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_says_what_it_is() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for (text, expected) in [
            ("198.51.100.10", Value::Address(address("198.51.100.10"), None)),
            ("198.51.100.10:443", Value::Address(address("198.51.100.10"), Some(443))),
            ("[2001:db8::1]:443", Value::Address(address("2001:db8::1"), Some(443))),
            ("2001:db8::1", Value::Address(address("2001:db8::1"), None)),
            ("198.51.100.0/24", Value::Network(address("198.51.100.0"), 24)),
            ("198.51.100.10/32", Value::Address(address("198.51.100.10"), None)),
            ("*.evil.example.", Value::Domain("evil.example")),
            ("http://198.51.100.10/x", Value::Url("http://198.51.100.10/x")),
            (
                "t13d1516h2_8daaf6152771_b186095e22b6",
                Value::Ja4("t13d1516h2_8daaf6152771_b186095e22b6"),
            ),
        ] {
            assert_eq!(read_value(text), Some(expected), "{text}");
        }
        assert_eq!(read_value(&"7f".repeat(32)), Some(Value::Sha256([0x7f; 32])));
        for wrong in
            ["", "300.1.1.1", "a b", "http://", "x..y", "198.51.100.0/33", "ex\u{e4}mple.de"]
        {
            assert_eq!(read_value(wrong), None, "{wrong}");
        }
    }
}
