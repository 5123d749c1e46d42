//! What the first certificate of a TLS Certificate message says: RFC 5246, section 7.4.2; RFC 5280.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use core::net::Ipv6Addr;

use observation::{Certificate, Time};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::certificate::{CertificateInner, Raw, TbsCertificateInner};
use x509_cert::der::{Decode, Tag, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use super::client_hello::Fields;
use super::details::shown;

/// Reads the body of the message, whose end may be missing. `None` where the first certificate is
/// not whole, or none.
pub(super) fn first(message: &[u8]) -> Option<Certificate<'static>> {
    let mut fields = Fields(message);
    fields.take(LENGTH_BYTES)?;
    let first = sized(&mut fields)?;
    let mut chain_count = 1_u8;
    while sized(&mut fields).is_some() {
        chain_count = chain_count.saturating_add(1);
    }
    // Whoever signs his own certificates keeps no rules: nothing is asked that is not needed.
    let certificate = CertificateInner::<Raw>::from_der(first).ok()?;
    let certificate = certificate.tbs_certificate();
    let validity = certificate.validity();
    Some(Certificate {
        subject: Cow::Owned(name(certificate.subject())),
        issuer: Cow::Owned(name(certificate.issuer())),
        not_before: time(validity.not_before),
        not_after: time(validity.not_after),
        names: names(certificate),
        chain_count,
    })
}

/// A field behind its length in three bytes.
fn sized<'a>(fields: &mut Fields<'a>) -> Option<&'a [u8]> {
    let [a, b, c] = *fields.take(LENGTH_BYTES)?.first_chunk()?;
    fields.take(u32::from_be_bytes([0, a, b, c]) as usize)
}

fn time(time: x509_cert::time::Time) -> Time {
    Time(time.to_unix_duration().as_secs().saturating_mul(1_000_000_000))
}

fn name(name: &Name) -> String {
    let mut text = Bounded(String::new());
    // Writing fails where the bound is reached; what was written stands.
    let _ = write_name(&mut text, name);
    shown(text.0.as_bytes())
}

/// RFC 4514, last part first.
fn write_name(text: &mut Bounded, name: &Name) -> core::fmt::Result {
    let mut separator = "";
    for part in name.as_ref().as_ref().iter().rev() {
        for attribute in part.as_ref().iter() {
            text.write_str(separator)?;
            match plain(attribute) {
                Some((key, value)) => {
                    text.write_str(key)?;
                    text.write_str(value)?;
                }
                None => write!(text, "{attribute}")?,
            }
            separator = "+";
        }
        separator = ",";
    }
    Ok(())
}

/// An attribute that needs no escapes and whose key everybody knows, as nearly all are: looking for
/// the keys of others takes longer than everything else that a certificate is asked.
fn plain(attribute: &AttributeTypeAndValue) -> Option<(&'static str, &str)> {
    let (_, key) = KEYS.iter().find(|(oid, _)| *oid == attribute.oid.as_bytes())?;
    let is_allowed: fn(u8) -> bool = match attribute.value.tag() {
        Tag::PrintableString => is_bare,
        Tag::Utf8String => |byte| is_bare(byte) || b"!$%&*@[]^_`{|}~".contains(&byte),
        _ => return None,
    };
    let value = core::str::from_utf8(attribute.value.value()).ok()?;
    let inner = value.bytes().all(|byte| is_allowed(byte) || byte == b' ');
    let ends_bare = !value.starts_with(' ') && !value.ends_with(' ');
    (inner && ends_bare).then_some((*key, value))
}

/// What a PrintableString may hold (X.680, section 41.4) and RFC 4514 lets stand as it is.
const fn is_bare(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
        || matches!(byte, b'\'' | b'(' | b')' | b'-' | b'.' | b'/' | b':' | b'=' | b'?')
}

/// RFC 4519, section 2.
const KEYS: [(&[u8], &str); 6] = [
    (b"\x55\x04\x03", "CN="),
    (b"\x55\x04\x06", "C="),
    (b"\x55\x04\x07", "L="),
    (b"\x55\x04\x08", "ST="),
    (b"\x55\x04\x0a", "O="),
    (b"\x55\x04\x0b", "OU="),
];

fn names(certificate: &TbsCertificateInner<Raw>) -> Vec<Cow<'static, str>> {
    let Ok(Some((_, SubjectAltName(names)))) = certificate.get_extension::<SubjectAltName>() else {
        return Vec::new();
    };
    names.iter().filter_map(alternative).take(NAME_COUNT_MAX).map(Cow::Owned).collect()
}

fn alternative(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(shown(name.as_bytes())),
        GeneralName::UniformResourceIdentifier(name) => Some(shown(name.as_bytes())),
        GeneralName::IpAddress(octets) => match octets.as_bytes() {
            [a, b, c, d] => Some(format!("{a}.{b}.{c}.{d}")),
            octets => octets.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets).to_string()),
        },
        _ => None,
    }
}

/// Text that takes no more than its bound.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        if self.0.len() + text.len() > TEXT_BYTES_MAX {
            return Err(core::fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

const LENGTH_BYTES: usize = 3;
const NAME_COUNT_MAX: usize = 16;
const TEXT_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use x509_cert::der::asn1::{Any, ObjectIdentifier};

    use super::*;

    #[test]
    fn what_is_plain_reads_as_in_rfc_4514() {
        let values = [
            "Let's Encrypt",
            "a@b.example",
            "*.example",
            "#1",
            " x",
            "x ",
            "a, b",
            "(c) 1999/2",
            "x=y",
            "naïve",
            "",
        ];
        for (value, tag) in values
            .iter()
            .flat_map(|value| [Tag::PrintableString, Tag::Utf8String].map(|tag| (value, tag)))
        {
            let oid = ObjectIdentifier::new_unwrap("2.5.4.10");
            let value = Any::new(tag, value.as_bytes()).unwrap();
            let attribute = AttributeTypeAndValue { oid, value };
            if let Some((key, value)) = plain(&attribute) {
                assert_eq!(format!("{key}{value}"), attribute.to_string());
            }
        }
        let oid = ObjectIdentifier::new_unwrap("2.5.4.3");
        let value = Any::new(Tag::PrintableString, &b"Let's Encrypt (R3)"[..]).unwrap();
        assert!(plain(&AttributeTypeAndValue { oid, value }).is_some());
    }
}
