//! Follows protocols that are made of frames: a header that gives the length of a body. What is
//! kept of a body is bounded, and the rest of it is passed over.

use alloc::vec::Vec;

use observation::Side;

use super::follow::{Both, Context, Follow, Skipped, Step};

/// What a header, or the beginning of one, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// It can still become one.
    More,
    /// It is whole, and so many bytes follow that belong to its frame.
    Body(u64),
    /// It cannot be one.
    Wrong,
    /// From here on the protocol says nothing that could be checked.
    Unchecked,
}

/// The grammar of a conversation in frames.
pub(super) trait Framing {
    /// How much of a body is kept for `frame`.
    const LOOK_BYTES_MAX: usize;
    /// The same for the frame that has this header.
    fn look_bytes(&self, _head: &[u8]) -> usize {
        Self::LOOK_BYTES_MAX
    }
    /// What `side` has begun a frame with. Called anew with every byte.
    fn head(&mut self, side: Side, head: &[u8]) -> Head;
    /// A frame is complete.
    fn frame(&mut self, side: Side, frame: &Frame<'_>, context: &mut Context<'_>) -> Step;
    /// Bytes were lost: what both sides share is not known any more.
    fn lose(&mut self) {}
    /// See [`Follow::held`].
    fn held(&self) -> usize {
        0
    }
    /// The flow has ended.
    fn end(&mut self, _context: &mut Context<'_>) {}
}

/// A frame that is complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) head: &'a [u8],
    /// The first `LOOK_BYTES_MAX` bytes of its body.
    pub(super) body: &'a [u8],
    /// The last byte of the body; 0 where it has none.
    pub(super) last: u8,
}

/// A grammar with the unfinished frame of each side.
#[derive(Debug, Default)]
pub(super) struct Framed<T> {
    framing: T,
    sides: Both<Direction>,
}

#[derive(Debug, Default)]
struct Direction {
    head: [u8; HEAD_BYTES_MAX],
    head_count: usize,
    stage: Stage,
    kept: Vec<u8>,
    last: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Head,
    Body(u64),
    Lost,
}

impl<T: Framing> Follow for Framed<T> {
    fn feed(&mut self, side: Side, mut bytes: &[u8], context: &mut Context<'_>) -> Step {
        let mut whole = Step::Obeys;
        while let [byte, rest @ ..] = bytes {
            let direction = self.sides.of_mut(side);
            match direction.stage {
                Stage::Lost => return Step::Unchecked,
                Stage::Head => {
                    bytes = rest;
                    match direction.begin(&mut self.framing, side, *byte) {
                        Head::More | Head::Body(1..) => continue,
                        Head::Body(0) => {}
                        Head::Wrong => return Step::Left,
                        Head::Unchecked => {
                            direction.stage = Stage::Lost;
                            return Step::Unchecked;
                        }
                    }
                }
                Stage::Body(left) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let (part, after) = bytes.split_at_checked(taken).unwrap_or((bytes, &[]));
                    bytes = after;
                    let bytes_max = self.framing.look_bytes(direction.head());
                    direction.keep(part, bytes_max);
                    direction.stage = Stage::Body(left - taken as u64);
                    if left > taken as u64 {
                        continue;
                    }
                }
            }
            match self.complete(side, context) {
                Step::Obeys => {}
                Step::Unchecked => whole = Step::Unchecked,
                Step::Becomes(next, _) => return Step::Becomes(next, bytes.len()),
                Step::Left => return Step::Left,
            }
        }
        whole
    }

    fn skip(&mut self, side: Side, count: u64) -> Skipped {
        let direction = self.sides.of_mut(side);
        match direction.stage {
            // The last byte is looked at, and so are the first ones.
            Stage::Body(left)
                if count < left
                    && direction.kept.len() >= self.framing.look_bytes(direction.head()) =>
            {
                direction.stage = Stage::Body(left - count);
                Skipped::Yes
            }
            _ => Skipped::No,
        }
    }

    fn gap(&mut self, side: Side) {
        // Nothing marks the beginning of a frame.
        *self.sides.of_mut(side) = Direction { stage: Stage::Lost, ..Direction::default() };
        self.framing.lose();
    }

    fn held(&self) -> usize {
        self.sides.sum(|direction| direction.kept.capacity()) + self.framing.held()
    }

    fn end(&mut self, context: &mut Context<'_>) {
        self.framing.end(context);
    }
}

impl<T: Framing> Framed<T> {
    fn complete(&mut self, side: Side, context: &mut Context<'_>) -> Step {
        let direction = self.sides.of_mut(side);
        let frame = Frame { head: direction.head(), body: &direction.kept, last: direction.last };
        let step = self.framing.frame(side, &frame, context);
        direction.kept.clear();
        (direction.head_count, direction.stage, direction.last) = (0, Stage::Head, 0);
        step
    }
}

impl Direction {
    fn head(&self) -> &[u8] {
        self.head.get(..self.head_count).unwrap_or_default()
    }

    fn begin<T: Framing>(&mut self, framing: &mut T, side: Side, byte: u8) -> Head {
        let Some(place) = self.head.get_mut(self.head_count) else { return Head::Wrong };
        *place = byte;
        self.head_count += 1;
        let head = framing.head(side, self.head.get(..self.head_count).unwrap_or_default());
        if let Head::Body(length) = head {
            self.stage = Stage::Body(length);
        }
        head
    }

    fn keep(&mut self, part: &[u8], bytes_max: usize) {
        let room = bytes_max.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(part.get(..room).unwrap_or(part));
        self.last = part.last().copied().unwrap_or(self.last);
    }
}

/// The longest header is HTTP/2's preface.
const HEAD_BYTES_MAX: usize = 24;
