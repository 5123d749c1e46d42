//! What became of a line or document, and the count of it over a whole source.

use std::fmt;

/// What became of one line or document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// It gave Observations.
    Understood,
    /// It is what it should be, and says nothing that a strategy could use.
    Unused,
    /// It is not what the format says.
    NotUnderstood(Reason),
}

/// Why a line or document was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It is no JSON, or no JSON object.
    NotJson,
    /// It is no UTF-8, which JSON must be.
    NotUtf8,
    /// A member that the format needs is not there, or is of another type.
    Missing(&'static str),
    /// No container id of 64 hexadecimal digits.
    BadId,
    /// No time.
    BadTime,
    /// It was written by a version that this one does not know.
    Version,
    /// It is longer than the limit.
    TooLong,
    /// It has more or fewer columns than its header says.
    Columns,
    /// One of its values is of another type than the format says.
    BadValue,
}

impl Reason {
    /// Why bytes that should be JSON are none.
    pub(crate) fn no_json(bytes: &[u8]) -> Self {
        if std::str::from_utf8(bytes).is_ok() { Self::NotJson } else { Self::NotUtf8 }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => out.write_str("no JSON object"),
            Self::NotUtf8 => out.write_str("no UTF-8"),
            Self::Missing(member) => write!(out, "no usable member {member}"),
            Self::BadId => out.write_str("no container id of 64 hexadecimal digits"),
            Self::BadTime => out.write_str("no usable time"),
            Self::Version => out.write_str("written by another version of tidewaiter"),
            Self::TooLong => out.write_str("longer than the limit"),
            Self::Columns => out.write_str("other columns than the header says"),
            Self::BadValue => out.write_str("a value of another type"),
        }
    }
}

/// How a source's lines or documents fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// They gave Observations.
    pub understood_count: u64,
    /// They were in order and of no use.
    pub unused_count: u64,
    /// They were not what the format says.
    pub not_understood_count: u64,
    /// Why the first of these was not.
    pub first_reason: Option<Reason>,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, parsed: Parsed) {
        match parsed {
            Parsed::Understood => self.understood_count += 1,
            Parsed::Unused => self.unused_count += 1,
            Parsed::NotUnderstood(reason) => {
                self.not_understood_count += 1;
                self.first_reason.get_or_insert(reason);
            }
        }
    }

    /// Counts those of another source, or of another part of this one.
    pub fn join(&mut self, other: Self) {
        self.understood_count += other.understood_count;
        self.unused_count += other.unused_count;
        self.not_understood_count += other.not_understood_count;
        self.first_reason = self.first_reason.or(other.first_reason);
    }
}
