//! Length-prefixed frames, one after the other: whether a head is made of nothing else.

use super::words::Fit;

/// What a head begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A frame that is this long with its header, whether all of it is there or not.
    Of(usize),
    /// The beginning of a frame's header.
    Part,
    /// No frame.
    Not,
}

impl From<Option<usize>> for Frame {
    /// A frame of this length, where its header fits.
    fn from(length: Option<usize>) -> Self {
        length.map_or(Self::Not, Self::Of)
    }
}

/// Whether `head` is made of frames, and has at least `count` whole ones. Headers are looked at as
/// soon as they are there.
pub(super) fn chain(head: &[u8], count: usize, frame: impl Fn(&[u8]) -> Frame) -> Fit {
    let (mut rest, mut whole) = (head, 0);
    while !rest.is_empty() {
        match frame(rest) {
            Frame::Not | Frame::Of(0) => return Fit::No,
            Frame::Part => break,
            Frame::Of(length) => match rest.get(length..) {
                Some(after) => (rest, whole) = (after, whole + 1),
                None => break,
            },
        }
    }
    if whole >= count { Fit::Yes } else { Fit::Could }
}

/// The header of the first frame decides alone: `Yes` as soon as it is whole and right.
pub(super) fn header(head: &[u8], frame: impl Fn(&[u8]) -> Frame) -> Fit {
    match frame(head) {
        _ if head.is_empty() => Fit::Could,
        Frame::Not => Fit::No,
        Frame::Part => Fit::Could,
        Frame::Of(_) => Fit::Yes,
    }
}

/// A big-endian length of four bytes at the beginning.
pub(super) fn be32(head: &[u8]) -> Option<usize> {
    head.first_chunk::<4>().map(|length| u32::from_be_bytes(*length) as usize)
}

/// A big-endian number of two bytes at `at`.
pub(super) fn be16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk::<2>().map(|number| u16::from_be_bytes(*number))
}

/// A big-endian number of four bytes at `at`.
pub(super) fn be32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|number| u32::from_be_bytes(*number))
}

/// A little-endian number of four bytes at `at`.
pub(super) fn le32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|number| u32::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_first_byte(head: &[u8]) -> Frame {
        head.first().map_or(Frame::Part, |length| {
            (1..=4).contains(length).then_some(usize::from(*length)).into()
        })
    }

    #[test]
    fn frames_that_add_up_are_a_chain() {
        assert_eq!(chain(b"\x02a\x03bc", 2, by_first_byte), Fit::Yes);
        assert_eq!(chain(b"\x02a\x03b", 2, by_first_byte), Fit::Could);
        assert_eq!(chain(b"\x02ab\x03b", 2, by_first_byte), Fit::No);
        assert_eq!(chain(b"", 0, by_first_byte), Fit::Yes);
    }
}
