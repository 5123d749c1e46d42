//! Byte strings in `serde`: hexadecimal digits in formats that people read (JSON), bytes in others.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// `#[serde(with = "digits::bytes")]` for a borrowed byte string of any length.
pub(crate) mod bytes {
    use super::{Cow, Deserializer, Serializer, read, write};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        write(bytes, serializer)
    }

    pub(crate) fn deserialize<'de: 'a, 'a, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Cow<'a, [u8]>, D::Error> {
        read(deserializer)
    }
}

/// `#[serde(with = "digits::bytes32")]` for an id or a SHA-256.
pub(crate) mod bytes32 {
    use super::{Deserializer, Error, Serializer, read, write};

    pub(crate) fn serialize<S: Serializer>(
        bytes: &[u8; 32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        write(bytes, serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 32], D::Error> {
        let bytes = read(deserializer)?;
        <[u8; 32]>::try_from(bytes.as_ref())
            .map_err(|_| D::Error::invalid_length(bytes.len(), &"32 bytes"))
    }
}

/// `#[serde(with = "digits::bytes32_option")]` for a SHA-256 that may be unknown.
pub(crate) mod bytes32_option {
    use super::{Deserialize, Deserializer, Digest, Serialize, Serializer};

    #[allow(clippy::ref_option, reason = "the signature is serde's")]
    pub(crate) fn serialize<S: Serializer>(
        bytes: &Option<[u8; 32]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        bytes.map(Digest).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<[u8; 32]>, D::Error> {
        Ok(Option::<Digest>::deserialize(deserializer)?.map(|digest| digest.0))
    }
}

#[derive(Serialize, Deserialize)]
struct Digest(#[serde(with = "bytes32")] [u8; 32]);

fn write<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.collect_str(&Digits(bytes))
    } else {
        serializer.serialize_bytes(bytes)
    }
}

fn read<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'a, [u8]>, D::Error> {
    if deserializer.is_human_readable() {
        deserializer.deserialize_str(FromDigits)
    } else {
        deserializer.deserialize_bytes(FromBytes)
    }
}

struct Digits<'a>(&'a [u8]);

impl fmt::Display for Digits<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

struct FromDigits;

impl Visitor<'_> for FromDigits {
    type Value = Cow<'static, [u8]>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("hexadecimal digits")
    }

    fn visit_str<E: Error>(self, digits: &str) -> Result<Self::Value, E> {
        let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
        let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
        let bytes: Option<Vec<u8>> =
            pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect();
        match (bytes, rest) {
            (Some(bytes), []) => Ok(Cow::Owned(bytes)),
            _ => Err(E::custom("not pairs of hexadecimal digits")),
        }
    }
}

struct FromBytes;

impl<'de> Visitor<'de> for FromBytes {
    type Value = Cow<'de, [u8]>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("bytes")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(bytes))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(bytes.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct All<'a> {
        #[serde(borrow, with = "bytes")]
        excerpt: Cow<'a, [u8]>,
        #[serde(with = "bytes32")]
        id: [u8; 32],
        #[serde(with = "bytes32_option")]
        sha256: Option<[u8; 32]>,
    }

    fn all(sha256: Option<[u8; 32]>) -> All<'static> {
        All { excerpt: Cow::Borrowed(b"id\n\xff"), id: [0x0a; 32], sha256 }
    }

    #[test]
    fn json_has_digits_and_gives_the_same_bytes_back() {
        let text = serde_json::to_string(&all(Some([0xf0; 32]))).unwrap();
        assert!(text.starts_with(r#"{"excerpt":"69640aff","id":"0a0a"#), "{text}");
        assert_eq!(serde_json::from_str::<All<'_>>(&text).unwrap(), all(Some([0xf0; 32])));
        let text = serde_json::to_string(&all(None)).unwrap();
        assert_eq!(serde_json::from_str::<All<'_>>(&text).unwrap(), all(None));
    }

    #[test]
    fn postcard_has_bytes_and_lends_them() {
        let encoded = postcard::to_allocvec(&all(None)).unwrap();
        let decoded: All<'_> = postcard::from_bytes(&encoded).unwrap();
        assert_eq!(decoded, all(None));
        assert!(matches!(decoded.excerpt, Cow::Borrowed(_)));
    }

    #[test]
    fn digits_that_are_none_or_too_few_are_refused() {
        let text = serde_json::to_string(&all(None)).unwrap();
        for (good, bad) in [("69640aff", "69640af"), ("69640aff", "6964xaff"), ("0a0a", "0a")] {
            let text = text.replacen(good, bad, 1);
            assert!(serde_json::from_str::<All<'_>>(&text).is_err(), "{text}");
        }
    }
}
