//! The lines of bytes that nobody understands.

use super::sample::before;

/// The lines of a burst.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines {
    count: u16,
    bytes: u16,
    bytes_max: u16,
    last: Last,
}

/// What the byte before was: CR LF is one line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Return,
    Other,
}

impl Lines {
    pub(super) const NEW: Self = Self { count: 0, bytes: 0, bytes_max: 0, last: Last::Other };

    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut lines = Self::NEW;
        lines.add(bytes);
        lines
    }

    /// Line ends are rare, so the bytes up to the next one are passed at once.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            let plain = before(rest, |byte| (byte == b'\n') | (byte == b'\r'));
            if plain > 0 {
                self.bytes += plain as u16;
                self.last = Last::Other;
                rest = rest.get(plain..).unwrap_or_default();
                continue;
            }
            if byte == b'\r' || self.last == Last::Other {
                self.count += 1;
                self.bytes_max = self.bytes_max.max(self.bytes);
                self.bytes = 0;
            }
            self.last = if byte == b'\r' { Last::Return } else { Last::Other };
            rest = after;
        }
    }

    /// How many ended.
    pub(super) const fn count(&self) -> u16 {
        self.count
    }

    /// How long the longest is, ended or not.
    pub(super) fn bytes_max(&self) -> u16 {
        self.bytes_max.max(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_once_whatever_ends_them() {
        let lines = Lines::of(b"one\r\ntwo\nthree\rfour\n\n");
        assert_eq!((lines.count(), lines.bytes_max()), (5, 5));
    }
}
