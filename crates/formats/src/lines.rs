//! Lines of a log, bounded: a line that is longer than the limit is passed over and counted.
//!
//! [`Lines`] pulls from a reader (plain, gzip or zstd), [`LineSplitter`] is pushed what a socket
//! or a followed file brings. Both take off the line end, `\n` or `\r\n`, and leave out blank
//! lines.

use std::fmt;
use std::io::{self, Read};

use memchr::memchr;

use crate::input::{Input, InputFault};

/// What a log may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineLimits {
    /// The longest line.
    pub line_bytes_max: usize,
    /// The most that a compressed log may expand to.
    pub expanded_bytes_max: u64,
}

impl Default for LineLimits {
    fn default() -> Self {
        Self { line_bytes_max: 1024 * 1024, expanded_bytes_max: 64 * 1024 * 1024 * 1024 }
    }
}

/// The lines of a reader.
pub struct Lines {
    input: Input,
    line_bytes_max: usize,
    line_count: u64,
    long_line_count: u64,
}

impl Lines {
    /// Nothing is read before the first [`Lines::next`] but the few bytes that tell the
    /// compression.
    pub fn open(reader: impl Read + Send + 'static, limits: LineLimits) -> Self {
        let lend_bytes_max = limits.line_bytes_max.saturating_add(LINE_END_BYTES_MAX);
        Self {
            input: Input::open(reader, lend_bytes_max, limits.expanded_bytes_max),
            line_bytes_max: limits.line_bytes_max,
            line_count: 0,
            long_line_count: 0,
        }
    }

    /// The next line; `None` at the end. An error comes once, after the last line before it.
    #[allow(clippy::should_implement_trait, reason = "an iterator cannot lend its own buffer")]
    pub fn next(&mut self) -> Option<Result<&[u8], LinesError>> {
        loop {
            let (start, len) = match self.line() {
                Line::Whole { start, len } => (start, len),
                Line::TooLong => {
                    self.line_count += 1;
                    self.long_line_count += 1;
                    continue;
                }
                Line::End => {
                    let fault = self.input.fault()?;
                    return Some(Err(LinesError { after_line_count: self.line_count, fault }));
                }
            };
            self.line_count += 1;
            let line_bytes = without_end(self.input.lent(start, len)).len();
            if line_bytes > self.line_bytes_max {
                self.long_line_count += 1;
            } else if line_bytes > 0 {
                return Some(Ok(without_end(self.input.lent(start, len))));
            }
        }
    }

    /// Lines so far, with blank and overlong ones: the number of the last line.
    #[must_use]
    pub const fn line_count(&self) -> u64 {
        self.line_count
    }

    /// Lines that were passed over because they were too long.
    #[must_use]
    pub const fn long_line_count(&self) -> u64 {
        self.long_line_count
    }

    /// Takes the next line off the input.
    fn line(&mut self) -> Line {
        let mut searched = 0;
        let mut held = self.input.fill(1);
        while held > 0 {
            let fresh = self.input.bytes().get(searched..).unwrap_or_default();
            if let Some(offset) = memchr(b'\n', fresh) {
                let len = searched + offset;
                return Line::Whole { start: self.input.consume(len + 1), len };
            }
            searched = held;
            if held >= self.line_bytes_max.saturating_add(LINE_END_BYTES_MAX) {
                return self.skip_line();
            }
            held = self.input.fill(searched + 1);
            if held == searched {
                return Line::Whole { start: self.input.consume(held), len: held };
            }
        }
        Line::End
    }

    fn skip_line(&mut self) -> Line {
        loop {
            let held = self.input.fill(1);
            if held == 0 {
                return Line::TooLong;
            }
            if let Some(offset) = memchr(b'\n', self.input.bytes()) {
                self.input.consume(offset + 1);
                return Line::TooLong;
            }
            self.input.consume(held);
        }
    }
}

enum Line {
    Whole { start: usize, len: usize },
    TooLong,
    End,
}

/// Why a log could not be read on.
#[derive(Debug)]
pub struct LinesError {
    /// Lines that were read before.
    pub after_line_count: u64,
    fault: InputFault,
}

impl fmt::Display for LinesError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line_count = self.after_line_count;
        match &self.fault {
            InputFault::Unreadable(error) => write!(
                out,
                "the log cannot be read after line {line_count} ({error}); all lines before were \
                 read: copy it again"
            ),
            InputFault::Expanded(bytes_max) => write!(
                out,
                "the log expands to more than {bytes_max} bytes, stopped after line {line_count}: \
                 decompress it first if you trust it"
            ),
        }
    }
}

impl std::error::Error for LinesError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            InputFault::Unreadable(error) => Some::<&io::Error>(error).map(|error| error as _),
            InputFault::Expanded(_) => None,
        }
    }
}

/// Cuts what it is pushed into lines.
#[derive(Debug)]
pub struct LineSplitter {
    /// The beginning of a line whose end has not come yet.
    held: Vec<u8>,
    line_bytes_max: usize,
    long_line_count: u64,
    within: Within,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Line,
    /// A line that is passed over up to its end.
    LongLine,
}

impl LineSplitter {
    /// Holds at most `line_bytes_max` bytes.
    #[must_use]
    pub const fn new(line_bytes_max: usize) -> Self {
        Self { held: Vec::new(), line_bytes_max, long_line_count: 0, within: Within::Line }
    }

    /// Calls `out` with each line that `bytes` complete.
    pub fn push(&mut self, bytes: &[u8], out: &mut dyn FnMut(&[u8])) {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        let unfinished = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            if self.held.is_empty() && self.within == Within::Line {
                self.line(piece, out);
            } else {
                self.hold(piece);
                self.finish(out);
            }
        }
        self.hold(unfinished);
    }

    /// The source has ended, or begins anew: what is held is a line.
    pub fn finish(&mut self, out: &mut dyn FnMut(&[u8])) {
        let held = std::mem::take(&mut self.held);
        if std::mem::replace(&mut self.within, Within::Line) == Within::Line {
            self.line(&held, out);
        }
        self.held = held;
        self.held.clear();
    }

    /// Lines that were passed over because they were too long.
    #[must_use]
    pub const fn long_line_count(&self) -> u64 {
        self.long_line_count
    }

    fn line(&mut self, line: &[u8], out: &mut dyn FnMut(&[u8])) {
        let line = without_end(line);
        if line.len() > self.line_bytes_max {
            self.long_line_count += 1;
        } else if !line.is_empty() {
            out(line);
        }
    }

    fn hold(&mut self, piece: &[u8]) {
        if self.within == Within::LongLine {
            return;
        }
        // The last byte may be the beginning of the line's end.
        if self.held.len() + piece.len() > self.line_bytes_max.saturating_add(1) {
            self.held.clear();
            self.long_line_count += 1;
            self.within = Within::LongLine;
        } else {
            self.held.extend_from_slice(piece);
        }
    }
}

/// Takes off the carriage return that was before the line feed.
fn without_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

const LINE_END_BYTES_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;

    const LIMITS: LineLimits = LineLimits { line_bytes_max: 5, expanded_bytes_max: 1_000_000 };

    fn pulled(text: &[u8], limits: LineLimits) -> (Vec<String>, u64, Option<String>) {
        let mut lines = Lines::open(Cursor::new(text.to_vec()), limits);
        let (mut seen, mut error) = (Vec::new(), None);
        while let Some(line) = lines.next() {
            match line {
                Ok(line) => seen.push(String::from_utf8_lossy(line).into_owned()),
                Err(fault) => error = Some(fault.to_string()),
            }
        }
        (seen, lines.long_line_count(), error)
    }

    fn pushed(text: &[u8], piece_bytes: usize) -> (Vec<String>, u64) {
        let mut splitter = LineSplitter::new(LIMITS.line_bytes_max);
        let mut seen = Vec::new();
        let mut out = |line: &[u8]| seen.push(String::from_utf8_lossy(line).into_owned());
        for piece in text.chunks(piece_bytes) {
            splitter.push(piece, &mut out);
        }
        splitter.finish(&mut out);
        (seen, splitter.long_line_count())
    }

    #[test]
    fn lines_with_either_end_and_the_last_without_one() {
        let text = b"one\r\n\n12345\r\n123456\n\r\ntail";
        let (seen, long_count, error) = pulled(text, LIMITS);
        assert_eq!(
            (seen, long_count, error),
            (vec!["one".into(), "12345".into(), "tail".into()], 1, None)
        );
    }

    #[test]
    fn it_does_not_matter_where_a_stream_is_cut() {
        let text = b"one\n\n12345\r\n123456\nmuch longer\ntail";
        let expected = (vec!["one".to_owned(), "12345".into(), "tail".into()], 2);
        for piece_bytes in 1..=text.len() {
            assert_eq!(pushed(text, piece_bytes), expected, "{piece_bytes}");
        }
    }

    #[test]
    fn a_long_line_is_held_in_bounds_and_passed_over() {
        let limits = LineLimits { line_bytes_max: 1000, ..LIMITS };
        let text = [vec![b'x'; 3_000_000], b"\nshort\n".to_vec(), vec![b'y'; 2_000_000]].concat();
        assert_eq!(pulled(&text, limits), (vec!["short".into()], 2, None));
    }

    #[test]
    fn compressed_lines_and_a_cut_in_them() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"one\ntwo\n").unwrap();
        let gzip = gzip.finish().unwrap();
        let (seen, _, error) = pulled(&gzip, LIMITS);
        assert_eq!((seen, error), (vec!["one".into(), "two".into()], None));
        let (seen, _, error) = pulled(&gzip[..gzip.len() - 4], LIMITS);
        assert_eq!(seen, ["one", "two"]);
        assert!(error.unwrap().contains("after line 2"));
    }
}
