//! Zeek's own form of logs: columns, described by header lines that may change in mid-file.
//!
//! <https://docs.zeek.org/en/master/log-formats.html>

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::parsed::Reason;

type Error = serde::de::value::Error;

/// What the header lines so far say.
#[derive(Clone, Debug)]
pub(super) struct Header {
    separator: Vec<u8>,
    set_separator: Vec<u8>,
    unset_field: Vec<u8>,
    empty_field: Vec<u8>,
    /// The log's kind, in Zeek's word.
    pub(super) path: String,
    columns: Vec<Column>,
}

#[derive(Clone, Debug)]
struct Column {
    name: String,
    holds: Holds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    One,
    Several,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            separator: b"\t".to_vec(),
            set_separator: b",".to_vec(),
            unset_field: b"-".to_vec(),
            empty_field: b"(empty)".to_vec(),
            path: String::new(),
            columns: Vec::new(),
        }
    }
}

/// Columns of one log; Zeek's own have at most 40.
const COLUMN_COUNT_MAX: usize = 256;
const WORD_BYTES_MAX: usize = 64;

impl Header {
    /// Takes in a line that begins with `#`.
    pub(super) fn line(&mut self, line: &[u8]) {
        // Only this one is never separated by what it says.
        if let Some(separator) = line.strip_prefix(b"#separator ") {
            *self = Self::default();
            let separator = unescaped(separator.trim_ascii_end());
            if !separator.is_empty() {
                self.separator = short(&separator);
            }
            return;
        }
        let mut words = split(line, &self.separator);
        let Some(name) = words.next() else { return };
        match name {
            b"#set_separator" => self.set_separator = words.next().map(short).unwrap_or_default(),
            b"#unset_field" => self.unset_field = words.next().map(short).unwrap_or_default(),
            b"#empty_field" => self.empty_field = words.next().map(short).unwrap_or_default(),
            b"#path" => {
                self.path = words.next().map(short).map(lossy).unwrap_or_default();
            }
            b"#fields" => {
                let names = words.take(COLUMN_COUNT_MAX).map(|name| lossy(name.to_vec()));
                self.columns = names.map(|name| Column { name, holds: Holds::One }).collect();
            }
            b"#types" => {
                for (column, kind) in self.columns.iter_mut().zip(words) {
                    let several = kind.starts_with(b"set[") || kind.starts_with(b"vector[");
                    column.holds = if several { Holds::Several } else { Holds::One };
                }
            }
            // When it was opened and closed.
            _ => {}
        }
    }

    /// Reads a row.
    pub(super) fn row<'a, T: Deserialize<'a>>(&'a self, line: &'a [u8]) -> Result<T, Reason> {
        if self.columns.is_empty() {
            return Err(Reason::Missing("#fields"));
        }
        let found = split(line, &self.separator).count();
        if found != self.columns.len() {
            return Err(Reason::Columns);
        }
        let columns = self.columns.iter();
        let row = Row { header: self, columns, values: split(line, &self.separator), value: None };
        T::deserialize(row).map_err(|_| Reason::BadValue)
    }

    fn is_unset(&self, value: &[u8]) -> bool {
        value == self.unset_field
    }
}

fn short(word: &[u8]) -> Vec<u8> {
    word.get(..WORD_BYTES_MAX).unwrap_or(word).to_vec()
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The parts between separators; the whole where there is none to look for.
fn split<'a>(line: &'a [u8], separator: &'a [u8]) -> Split<'a> {
    Split { rest: Some(line), separator }
}

struct Split<'a> {
    rest: Option<&'a [u8]>,
    separator: &'a [u8],
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let found = match self.separator {
            [] => None,
            [byte] => memchr::memchr(*byte, rest),
            several => rest.windows(several.len()).position(|window| window == several),
        };
        let Some(at) = found else {
            self.rest = None;
            return Some(rest);
        };
        let (part, after) = rest.split_at_checked(at)?;
        self.rest = after.get(self.separator.len()..);
        Some(part)
    }
}

/// Zeek writes the bytes that would be mistaken as `\xHH`. A backslash stays one: it never escapes
/// it.
fn unescaped(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let digit = |digit: &u8| char::from(*digit).to_digit(16);
        if let (b'\\', [b'x', high, low, after @ ..]) = (first, after)
            && let (Some(high), Some(low)) = (digit(high), digit(low))
        {
            bytes.extend(u8::try_from(high << 4 | low).ok());
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    Cow::Owned(bytes)
}

/// A row as a map from the columns' names to their values.
struct Row<'a, I> {
    header: &'a Header,
    columns: I,
    values: Split<'a>,
    value: Option<(&'a [u8], Holds)>,
}

impl<'a, I: Iterator<Item = &'a Column>> Deserializer<'a> for Row<'a, I> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(self)
    }

    forward_to_deserialize_any! {
        <W: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

impl<'a, I: Iterator<Item = &'a Column>> MapAccess<'a> for Row<'a, I> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        for (column, value) in self.columns.by_ref().zip(self.values.by_ref()) {
            if self.header.is_unset(value) {
                continue;
            }
            self.value = Some((value, column.holds));
            return seed.deserialize(BorrowedStrDeserializer::new(&column.name)).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (value, holds) = self.value.take().unwrap_or((b"", Holds::One));
        seed.deserialize(Value { header: self.header, value, holds })
    }
}

/// One value. Lists are told by their type; all else is text and finds its meaning itself.
struct Value<'a> {
    header: &'a Header,
    value: &'a [u8],
    holds: Holds,
}

impl<'a> Deserializer<'a> for Value<'a> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.holds == Holds::Several {
            return visitor.visit_seq(Elements::of(&self));
        }
        if self.value == self.header.empty_field {
            return visitor.visit_borrowed_str("");
        }
        match unescaped(self.value) {
            Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => visitor.visit_borrowed_str(text),
                Err(_) => visitor.visit_str(&String::from_utf8_lossy(bytes)),
            },
            // What is text only with its escapes keeps them.
            Cow::Owned(bytes) => match String::from_utf8(bytes) {
                Ok(text) => visitor.visit_string(text),
                Err(_) => visitor.visit_str(&String::from_utf8_lossy(self.value)),
            },
        }
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        <W: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

struct Elements<'a> {
    header: &'a Header,
    values: Split<'a>,
}

impl<'a> Elements<'a> {
    fn of(value: &Value<'a>) -> Self {
        let is_empty = value.value == value.header.empty_field || value.value.is_empty();
        let rest = (!is_empty).then_some(value.value);
        let separator = value.header.set_separator.as_slice();
        Self { header: value.header, values: Split { rest, separator } }
    }
}

impl<'a> SeqAccess<'a> for Elements<'a> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(value) = self.values.by_ref().find(|value| !self.header.is_unset(value)) else {
            return Ok(None);
        };
        match unescaped(value) {
            Cow::Borrowed(bytes) if std::str::from_utf8(bytes).is_ok() => {
                let text = std::str::from_utf8(bytes).unwrap_or_default();
                seed.deserialize(BorrowedStrDeserializer::new(text)).map(Some)
            }
            bytes => {
                let text = String::from_utf8(bytes.into_owned());
                let text = text.unwrap_or_else(|_| lossy(value.to_vec()));
                seed.deserialize(StringDeserializer::new(text)).map(Some)
            }
        }
    }
}
