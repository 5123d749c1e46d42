//! Feeds of threat intelligence: plain lists, CSV as abuse.ch writes it, STIX 2.1 bundles, MISP
//! events. What a file is is told by its content.
//!
//! Each entry says what it lists and what is known about it; what is too broad to accuse anybody is
//! refused and counted.

mod breadth;
mod list;
mod misp;
mod stix;
mod table;
mod value;

use std::io::Read;

use observation::Time;

use crate::lines::{LineLimits, Lines};

pub use breadth::Refusal;
pub use misp::{MANIFEST, events_of_manifest};
pub use value::{Value, read_value};

/// A JSON document is read whole: so much of one at most.
const DOCUMENT_BYTES_MAX: u64 = 512 << 20;
/// Looks like JSON or not: the first byte that is no space decides.
const LINE_BYTES_MAX: usize = 64 << 10;

/// What a feed lists, and what it says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What is listed.
    pub value: Value<'a>,
    /// In percent.
    pub confidence: Option<u8>,
    /// When it was seen last.
    pub seen: Option<Time>,
    /// Until when the feed stands to it.
    pub expires: Option<Time>,
    /// Innocent traffic goes there too.
    pub shared: Shared,
}

/// Whether innocent traffic goes there too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// It does.
    Yes,
    /// As far as anybody knows, it does not.
    No,
}

/// What came of reading a feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedTally {
    /// Indicators that were given on.
    pub taken_count: u64,
    /// Of no kind that a sensor could meet (mail addresses, MD5 …), revoked, or not meant to alert.
    pub unused_count: u64,
    /// What no one understood.
    pub not_understood_count: u64,
    /// Too broad, by reason, in the order of [`Refusal::ALL`].
    pub refused: [u64; Refusal::ALL.len()],
}

impl FeedTally {
    /// Adds another file's.
    pub fn join(&mut self, other: Self) {
        self.taken_count += other.taken_count;
        self.unused_count += other.unused_count;
        self.not_understood_count += other.not_understood_count;
        for (mine, others) in self.refused.iter_mut().zip(other.refused) {
            *mine += others;
        }
    }

    /// All that was refused.
    #[must_use]
    pub fn refused_count(&self) -> u64 {
        self.refused.iter().sum()
    }

    fn refuse(&mut self, why: Refusal) {
        for (count, known) in self.refused.iter_mut().zip(Refusal::ALL) {
            *count += u64::from(known == why);
        }
    }
}

/// Where entries go.
pub type Take<'a> = dyn FnMut(&Entry<'_>) + 'a;

/// Reads one feed's file, plain or compressed. The error says what is broken; what came before it
/// was given on.
///
/// # Errors
///
/// A file that could not be read to its end, or a JSON document that is none.
pub fn read_feed(
    reader: impl Read + Send + 'static,
    take: &mut Take<'_>,
) -> Result<FeedTally, String> {
    let limits = LineLimits { line_bytes_max: LINE_BYTES_MAX, ..LineLimits::default() };
    let mut head = [0_u8; 64];
    let mut reader = reader;
    let mut length = 0;
    while length < head.len() {
        let rest = head.get_mut(length..).unwrap_or_default();
        match reader.read(rest).map_err(|error| error.to_string())? {
            0 => break,
            read => length += read,
        }
    }
    let head = head.get(..length).unwrap_or_default().to_vec();
    let first = head.iter().find(|byte| !byte.is_ascii_whitespace());
    let is_json = matches!(first, Some(b'{' | b'['));
    let whole = std::io::Cursor::new(head).chain(reader);
    if is_json {
        let mut text = Vec::new();
        whole.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut text).map_err(|e| e.to_string())?;
        if text.len() as u64 > DOCUMENT_BYTES_MAX {
            return Err(format!("it is larger than {DOCUMENT_BYTES_MAX} bytes"));
        }
        return read_document(&text, take);
    }
    read_lines(Lines::open(whole, limits), take)
}

fn read_document(text: &[u8], take: &mut Take<'_>) -> Result<FeedTally, String> {
    let misp = misp::read(text, take);
    if let Some(tally) = misp.map_err(|error| format!("no JSON: {error}"))? {
        return Ok(tally);
    }
    match stix::read(text, take).map_err(|error| format!("no JSON: {error}"))? {
        Some(tally) => Ok(tally),
        None => Err("neither a STIX 2.1 bundle nor a MISP event".to_owned()),
    }
}

fn read_lines(mut lines: Lines, take: &mut Take<'_>) -> Result<FeedTally, String> {
    let mut tally = FeedTally::default();
    let mut table = table::Table::default();
    while let Some(line) = lines.next() {
        let line = line.map_err(|error| error.to_string())?;
        let Ok(line) = std::str::from_utf8(line) else {
            tally.not_understood_count += 1;
            continue;
        };
        table.line(line.trim_start_matches('\u{feff}').trim(), &mut tally, take);
    }
    tally.not_understood_count += lines.long_line_count();
    Ok(tally)
}

/// Gives an entry on, unless it is too broad.
fn give(mut entry: Entry<'_>, tally: &mut FeedTally, take: &mut Take<'_>) {
    match breadth::judge(&entry.value) {
        Ok(shared) => {
            if shared == Shared::Yes {
                entry.shared = Shared::Yes;
            }
            tally.taken_count += 1;
            take(&entry);
        }
        Err(refusal) => tally.refuse(refusal),
    }
}
