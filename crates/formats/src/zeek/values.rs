//! The values of a log's fields: JSON's own, or the text that stands in a TSV column.
//!
//! What is `null` is absent. What is of another type makes the row one that is not understood.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use observation::{Span, Time};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::rfc3339;

/// Seconds since the epoch beyond this (the year 5138) are milliseconds: Zeek's `JSON::TS_MILLIS`.
const SECONDS_MAX: f64 = 1e11;
const MICROS_PER_SECOND: f64 = 1e6;

/// A point in time; Zeek's are whole microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct When(pub(super) Option<Time>);

/// A length of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lasted(pub(super) Option<Span>);

/// A number that counts or numbers something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count(pub(super) Option<u64>);

/// Text; empty where absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

/// An address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Address(pub(super) Option<IpAddr>);

/// Yes or no; `None` where absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flag(pub(super) Option<bool>);

/// A set or vector, at most [`ELEMENT_COUNT_MAX`] of its elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct List<T>(pub(super) Vec<T>);

/// So many elements of a set or vector are kept, as of a DNS answer on the wire.
pub(super) const ELEMENT_COUNT_MAX: usize = 32;

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl Count {
    /// The number, 0 where there is none.
    pub(super) fn or_zero(self) -> u64 {
        self.0.unwrap_or_default()
    }

    /// The number as one of 16 bits, the largest where it is larger.
    pub(super) fn as_u16(self) -> u16 {
        u16::try_from(self.or_zero()).unwrap_or(u16::MAX)
    }
}

/// Nanoseconds of a number of seconds, to the microsecond; `None` for what is no length of time.
fn nanos(seconds: f64) -> Option<u64> {
    if !(seconds.is_finite() && seconds >= 0.0) {
        return None;
    }
    // The cast saturates.
    let micros = (seconds * MICROS_PER_SECOND).round() as u64;
    micros.checked_mul(1000)
}

/// Nanoseconds of decimal text, exactly; other notations by way of a double.
fn nanos_of_text(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_decimal = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_decimal(whole) || !is_decimal(decimals) || decimals.len() > 9 {
        return nanos(text.parse().ok()?);
    }
    let scale = 10_u64.pow(9 - u32::try_from(decimals.len()).ok()?);
    let fraction = if decimals.is_empty() { 0 } else { decimals.parse::<u64>().ok()? * scale };
    whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(fraction)
}

macro_rules! any {
    ($type:ty, $visitor:expr, $borrow:lifetime) => {
        fn deserialize<D: Deserializer<$borrow>>(deserializer: D) -> Result<$type, D::Error> {
            deserializer.deserialize_any($visitor)
        }
    };
}

impl<'de> Deserialize<'de> for When {
    any!(Self, WhenVisitor, 'de);
}

struct WhenVisitor;

impl Visitor<'_> for WhenVisitor {
    type Value = When;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a time")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<When, E> {
        let seconds = if number > SECONDS_MAX { number / 1e3 } else { number };
        Ok(When(nanos(seconds).map(Time)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<When, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<When, E> {
        self.visit_f64(number as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<When, E> {
        let time = rfc3339::parse(text).or_else(|| nanos_of_text(text).map(Time));
        Ok(When(time))
    }

    fn visit_unit<E: Error>(self) -> Result<When, E> {
        Ok(When(None))
    }
}

impl<'de> Deserialize<'de> for Lasted {
    any!(Self, LastedVisitor, 'de);
}

struct LastedVisitor;

impl Visitor<'_> for LastedVisitor {
    type Value = Lasted;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a length of time")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Lasted, E> {
        Ok(Lasted(nanos(number).map(Span)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Lasted, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Lasted, E> {
        self.visit_f64(number as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Lasted, E> {
        Ok(Lasted(nanos_of_text(text).map(Span)))
    }

    fn visit_unit<E: Error>(self) -> Result<Lasted, E> {
        Ok(Lasted(None))
    }
}

impl<'de> Deserialize<'de> for Count {
    any!(Self, CountVisitor, 'de);
}

struct CountVisitor;

impl Visitor<'_> for CountVisitor {
    type Value = Count;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a number that counts")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Count, E> {
        Ok(Count(Some(number)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Count, E> {
        Ok(Count(u64::try_from(number).ok()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Count, E> {
        // The cast saturates.
        Ok(Count((number >= 0.0).then_some(number as u64)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Count, E> {
        text.parse().map(|number| Count(Some(number))).map_err(|_| E::custom("no number"))
    }

    fn visit_unit<E: Error>(self) -> Result<Count, E> {
        Ok(Count(None))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    any!(Self, TextVisitor, 'de);
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }
}

impl<'de> Deserialize<'de> for Address {
    any!(Self, AddressVisitor, 'de);
}

struct AddressVisitor;

impl Visitor<'_> for AddressVisitor {
    type Value = Address;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an address")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Address, E> {
        text.parse().map(|address| Address(Some(address))).map_err(|_| E::custom("no address"))
    }

    fn visit_unit<E: Error>(self) -> Result<Address, E> {
        Ok(Address(None))
    }
}

impl<'de> Deserialize<'de> for Flag {
    any!(Self, FlagVisitor, 'de);
}

struct FlagVisitor;

impl Visitor<'_> for FlagVisitor {
    type Value = Flag;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("yes or no")
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<Flag, E> {
        Ok(Flag(Some(yes)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Flag, E> {
        match text {
            "T" | "true" => Ok(Flag(Some(true))),
            "F" | "false" => Ok(Flag(Some(false))),
            _ => Err(E::custom("neither yes nor no")),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<Flag, E> {
        Ok(Flag(None))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    any!(Self, ListVisitor(std::marker::PhantomData), 'de);
}

struct ListVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<List<T>, A::Error> {
        let mut kept = Vec::new();
        while let Some(element) = elements.next_element()? {
            if kept.len() < ELEMENT_COUNT_MAX {
                kept.push(element);
            }
        }
        Ok(List(kept))
    }

    fn visit_unit<E: Error>(self) -> Result<List<T>, E> {
        Ok(List::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn a_time_is_the_same_as_number_and_as_text() {
        let time = When(Some(Time(1_591_367_999_305_988_000)));
        for json in [
            "1591367999.305988",
            "\"1591367999.305988\"",
            "1591367999305.988",
            "\"2020-06-05T14:39:59.305988Z\"",
        ] {
            assert_eq!(read::<When>(json), Some(time), "{json}");
        }
        assert_eq!(read::<When>("22.335172"), Some(When(Some(Time(22_335_172_000)))), "of 1970");
        assert_eq!(read::<When>("4102444800"), Some(When(Some(Time(4_102_444_800_000_000_000)))));
    }

    #[test]
    fn what_is_no_time_is_absent() {
        for json in ["-1.5", "1e300", "\"yesterday\"", "null", "\"-\"", "\"\""] {
            assert_eq!(read::<When>(json), Some(When(None)), "{json}");
        }
        assert_eq!(read::<When>("[]"), None);
    }

    #[test]
    fn a_length_of_time_keeps_its_microseconds() {
        assert_eq!(read::<Lasted>("0.09628199999999865"), Some(Lasted(Some(Span(96_282_000)))));
        assert_eq!(read::<Lasted>("\"0.096282\""), Some(Lasted(Some(Span(96_282_000)))));
    }

    #[test]
    fn counts_are_numbers_from_zero_on() {
        assert_eq!(read::<Count>("18446744073709551615"), Some(Count(Some(u64::MAX))));
        assert_eq!(read::<Count>("\"53\""), Some(Count(Some(53))));
        assert_eq!(read::<Count>("-1"), Some(Count(None)));
        assert_eq!(read::<Count>("{}"), None);
        assert_eq!(read::<Count>("true"), None);
    }

    #[test]
    fn a_list_is_cut_and_an_address_is_one() {
        let many = format!("[{}]", vec!["\"a\""; 100].join(","));
        assert_eq!(read::<List<Text<'_>>>(&many).map(|list| list.0.len()), Some(ELEMENT_COUNT_MAX));
        assert_eq!(read::<Address>("\"2001:db8::1\""), Some(Address("2001:db8::1".parse().ok())));
        assert_eq!(read::<Address>("\"10.0.0.256\""), None);
    }
}
