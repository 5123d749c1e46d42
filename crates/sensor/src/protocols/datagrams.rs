//! The datagrams by which a flow over UDP is told: each side's first as a whole, and the beginnings
//! of a few that follow it, since some protocols only show themselves in what their messages have
//! in common.

/// What is kept of the first.
pub(crate) const FIRST_BYTES_MAX: usize = 1846;
/// What is kept of each later one.
pub(crate) const LATER_BYTES_MAX: usize = 48;
/// How many of each side are kept, the first with them.
pub(crate) const DATAGRAM_COUNT_MAX: u32 = 5;

/// A datagram's length on the wire, and as much of it as was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Datagram<'a> {
    pub length: usize,
    pub bytes: &'a [u8],
}

/// Kept datagrams: each with its length before it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Datagrams<'a>(&'a [u8]);

impl<'a> Datagrams<'a> {
    /// The first of what was kept, and those after it.
    pub(crate) fn split_first(kept: &'a [u8]) -> (&'a [u8], Self) {
        match take(kept, FIRST_BYTES_MAX) {
            Some((first, rest)) => (first.bytes, Self(rest)),
            None => (&[], Self(&[])),
        }
    }

    /// Those that were kept behind the first.
    #[cfg(test)]
    pub(super) const fn later(kept: &'a [u8]) -> Self {
        Self(kept)
    }
}

impl<'a> Iterator for Datagrams<'a> {
    type Item = Datagram<'a>;

    fn next(&mut self) -> Option<Datagram<'a>> {
        let (datagram, rest) = take(self.0, LATER_BYTES_MAX)?;
        self.0 = rest;
        Some(datagram)
    }
}

fn take(kept: &[u8], bytes_max: usize) -> Option<(Datagram<'_>, &[u8])> {
    let (length, rest) = kept.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (bytes, rest) = rest.split_at_checked(length.min(bytes_max))?;
    Some((Datagram { length, bytes }, rest))
}
