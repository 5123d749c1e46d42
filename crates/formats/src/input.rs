//! Bytes of a file, plain, gzip (RFC 1952) or zstd (RFC 8878) by content, through one bounded
//! window.
//!
//! The window lends out slices of itself, so that a frame or a line is never copied.
//! Reading never fails here: it stops, and [`Input::fault`] says why.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use crate::zstd::ZstdFrames;

/// Why an input stopped before its end.
#[derive(Debug)]
pub(crate) enum InputFault {
    /// It could not be read, or its compression is damaged here.
    Unreadable(io::Error),
    /// It expanded to more than this many bytes.
    Expanded(u64),
}

/// The raw bytes behind every decompressor.
pub(crate) type Raw = BufReader<Box<dyn Read + Send>>;

/// A window onto the expanded bytes of a file.
pub(crate) struct Input {
    source: Source,
    window: Vec<u8>,
    start: usize,
    end: usize,
    /// Where in the expanded input the window starts at `start`.
    position_bytes: u64,
    expanded_bytes_max: u64,
    state: State,
}

enum Source {
    Plain(Raw),
    Gzip(MultiGzDecoder<Raw>),
    Zstd(Box<ZstdFrames>),
}

enum State {
    Open,
    Ended,
    Faulty(InputFault),
}

impl Input {
    /// `lend_bytes_max` is the most that will ever be asked of [`Input::fill`].
    pub(crate) fn open(
        reader: impl Read + Send + 'static,
        lend_bytes_max: usize,
        expanded_bytes_max: u64,
    ) -> Self {
        let boxed: Box<dyn Read + Send> = Box::new(reader);
        let mut raw = BufReader::with_capacity(RAW_BYTES, boxed);
        let (source, state) = match head(&mut raw) {
            Ok(Head::Gzip) => (Source::Gzip(MultiGzDecoder::new(raw)), State::Open),
            Ok(Head::Zstd) => (Source::Zstd(Box::new(ZstdFrames::new(raw))), State::Open),
            Ok(Head::Other) => (Source::Plain(raw), State::Open),
            Err(error) => (Source::Plain(raw), State::Faulty(InputFault::Unreadable(error))),
        };
        let window_bytes = lend_bytes_max.saturating_mul(2).max(WINDOW_BYTES_MIN);
        Self {
            source,
            window: vec![0; window_bytes],
            start: 0,
            end: 0,
            position_bytes: 0,
            expanded_bytes_max,
            state,
        }
    }

    /// Reads until `wanted` bytes are in the window, and says how many are; fewer only at the end
    /// or at a fault.
    #[inline]
    pub(crate) fn fill(&mut self, wanted: usize) -> usize {
        let held = self.end - self.start;
        if held >= wanted { held } else { self.read_until(wanted) }
    }

    /// What the window holds now.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.window.get(self.start..self.end).unwrap_or_default()
    }

    /// Moves on by `count` bytes that the window holds, and says where they stay until the next
    /// [`Input::fill`], for [`Input::lent`].
    #[inline]
    pub(crate) fn consume(&mut self, count: usize) -> usize {
        let count = count.min(self.end - self.start);
        let was = self.start;
        self.start += count;
        self.position_bytes += count as u64;
        was
    }

    /// Bytes that were consumed and not yet overwritten.
    #[inline]
    pub(crate) fn lent(&self, start: usize, count: usize) -> &[u8] {
        self.window.get(start..).and_then(|rest| rest.get(..count)).unwrap_or_default()
    }

    /// Moves on by `count` bytes, whether the window can hold them or not; says how many there
    /// were.
    pub(crate) fn skip(&mut self, count: u64) -> u64 {
        let mut left = count;
        while left > 0 {
            let held = self.fill(1);
            if held == 0 {
                break;
            }
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(held);
            self.consume(step);
            left -= step as u64;
        }
        count - left
    }

    /// Where in the expanded input the next byte is.
    pub(crate) const fn position_bytes(&self) -> u64 {
        self.position_bytes
    }

    /// Whether positions are those of the file itself or of what it expands to.
    pub(crate) const fn is_compressed(&self) -> bool {
        !matches!(self.source, Source::Plain(_))
    }

    /// Why it stopped, once; `None` at an orderly end.
    pub(crate) fn fault(&mut self) -> Option<InputFault> {
        if let State::Faulty(_) = self.state
            && let State::Faulty(fault) = std::mem::replace(&mut self.state, State::Ended)
        {
            return Some(fault);
        }
        None
    }

    fn read_until(&mut self, wanted: usize) -> usize {
        debug_assert!(wanted <= self.window.len(), "more asked than the window can lend");
        if self.start > 0 {
            self.window.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        while self.end < wanted && matches!(self.state, State::Open) {
            self.read_once();
        }
        self.end
    }

    fn read_once(&mut self) {
        let upto = self.window.len().min(self.end + READ_BYTES_MAX);
        let Some(free) = self.window.get_mut(self.end..upto) else { return };
        let result = match &mut self.source {
            Source::Plain(raw) => raw.read(free),
            Source::Gzip(decoder) => decoder.read(free),
            Source::Zstd(frames) => frames.read(free),
        };
        match result {
            Ok(0) => self.state = State::Ended,
            Ok(count) => {
                self.end += count;
                let expanded_bytes = self.position_bytes + self.end as u64;
                if self.is_compressed() && expanded_bytes > self.expanded_bytes_max {
                    let surplus = expanded_bytes - self.expanded_bytes_max;
                    self.end -= usize::try_from(surplus).unwrap_or(count).min(count);
                    self.state = State::Faulty(InputFault::Expanded(self.expanded_bytes_max));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.state = State::Faulty(InputFault::Unreadable(error)),
        }
    }
}

enum Head {
    Gzip,
    Zstd,
    Other,
}

/// Looks at the first bytes without taking them.
fn head(raw: &mut Raw) -> io::Result<Head> {
    let bytes = loop {
        match raw.fill_buf() {
            Ok(bytes) => break bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    Ok(if bytes.starts_with(&GZIP_MAGIC) {
        Head::Gzip
    } else if bytes.starts_with(&ZSTD_MAGIC) || is_zstd_skippable(bytes) {
        Head::Zstd
    } else {
        Head::Other
    })
}

/// A zstd file may begin with a frame that is to be skipped (RFC 8878, 3.1.2).
fn is_zstd_skippable(bytes: &[u8]) -> bool {
    matches!(bytes, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// Reads from the file are this large; a plain file is read past this buffer, into the window.
const RAW_BYTES: usize = 64 * 1024;
/// What is read at once always lies at the window's beginning: small enough to stay in the
/// second-level cache, large enough that system calls do not count.
const READ_BYTES_MAX: usize = 64 * 1024;
const WINDOW_BYTES_MIN: usize = 2 * READ_BYTES_MAX;
pub(crate) const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];
pub(crate) const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: Vec<u8>, expanded_bytes_max: u64) -> (Vec<u8>, Option<InputFault>) {
        let mut input = Input::open(Cursor::new(bytes), 16, expanded_bytes_max);
        let mut expanded = Vec::new();
        while input.fill(1) > 0 {
            expanded.extend_from_slice(input.bytes());
            input.consume(input.bytes().len());
        }
        (expanded, input.fault())
    }

    #[test]
    fn members_of_gzip_one_after_the_other() {
        let (expanded, fault) = read([gzip(b"one "), gzip(b"two")].concat(), 1000);
        assert!(fault.is_none());
        assert_eq!(expanded, b"one two");
    }

    #[test]
    fn a_bomb_is_stopped_exactly_at_the_limit_and_a_plain_file_is_not() {
        let (expanded, fault) = read(gzip(&[0; 10_000_000]), 1_000_001);
        assert_eq!(expanded.len(), 1_000_001);
        assert!(matches!(fault, Some(InputFault::Expanded(1_000_001))));
        let (expanded, fault) = read(vec![7; 3_000_000], 1);
        assert_eq!((expanded.len(), fault.is_none()), (3_000_000, true));
        let (expanded, fault) = read(gzip(&[0; 1000]), 1000);
        assert_eq!((expanded.len(), fault.is_none()), (1000, true), "as much as the limit is fine");
    }

    #[test]
    fn an_unreadable_file_is_a_fault_after_what_was_read() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is gone"))
            }
        }
        let mut input = Input::open(Cursor::new(b"abc").chain(Failing), 16, 1000);
        assert_eq!((input.fill(8), input.bytes()), (3, &b"abc"[..]));
        assert!(matches!(input.fault(), Some(InputFault::Unreadable(_))));
        assert!(input.fault().is_none());
        let mut input = Input::open(Failing, 16, 1000);
        assert_eq!(input.fill(1), 0);
        assert!(input.fault().is_some());
    }

    #[test]
    fn skipping_goes_further_than_the_window() {
        let mut input = Input::open(Cursor::new(vec![1; 2_000_000]), 16, 1000);
        assert_eq!(input.skip(1_500_000), 1_500_000);
        assert_eq!(input.position_bytes(), 1_500_000);
        assert_eq!(input.skip(1_000_000), 500_000);
    }
}
