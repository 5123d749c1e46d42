//! Follows protocols that are made of lines: splits them whatever the segments, keeps a bounded
//! unfinished line of each side, and skips counted payload.

use alloc::vec::Vec;

use observation::{Side, Transport};

use super::follow::{Both, Context, Follow, Skipped, Step};

/// How much of a line is kept; a grammar sees no more of it.
pub(super) const LINE_BYTES_MAX: usize = 1024;

/// What a grammar expects next from a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// A line.
    Line,
    /// So many bytes of payload.
    Payload(u64),
    /// Bytes about which the protocol says nothing.
    Anything,
}

/// The grammar of a conversation in lines.
pub(super) trait Talk {
    /// What `side` has to send next.
    fn expects(&self, _side: Side) -> Expect {
        Expect::Line
    }
    /// `side` sent this line (its first `LINE_BYTES_MAX` bytes, without its end).
    fn line(&mut self, side: Side, line: &[u8], context: &mut Context<'_>) -> Step;
    /// Whether what `side` has begun can still become a line that it may send.
    fn begun(&self, side: Side, part: &[u8]) -> Step;
    /// These bytes of the expected payload came; `payload` follows.
    fn body(&mut self, _side: Side, _bytes: &[u8]) {}
    /// So many bytes of the expected payload came.
    fn payload(&mut self, _side: Side, _count: u64) -> Step {
        Step::Obeys
    }
    /// Called after each `payload`: what has become complete by it is told here.
    fn paid(&mut self, _context: &mut Context<'_>) {}
    /// See [`Follow::skip`].
    fn skip(&mut self, _side: Side, _count: u64) -> Skipped {
        Skipped::No
    }
    /// Bytes of `side` were lost.
    fn gap(&mut self, _side: Side) {}
    /// See [`Follow::held`].
    fn held(&self) -> usize {
        0
    }
    /// The flow has ended.
    fn end(&mut self, _context: &mut Context<'_>) {}
}

/// How many replies a server owes: none comes unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owed(Option<u32>);

impl Default for Owed {
    /// The greeting.
    fn default() -> Self {
        Self(Some(1))
    }
}

impl Owed {
    /// Nothing is owed before the client has asked.
    pub(super) const NOTHING: Self = Self(Some(0));

    /// A command came.
    pub(super) fn ask(&mut self) {
        self.0 = self.0.map(|count| count.saturating_add(1));
    }

    /// A reply came; whether it was owed.
    pub(super) fn answer(&mut self) -> bool {
        let owed = self.is_owed();
        self.0 = self.0.map(|count| count.saturating_sub(1));
        owed
    }

    /// Whether a reply is owed.
    pub(super) fn is_owed(self) -> bool {
        self.0 != Some(0)
    }

    /// After a gap nobody knows.
    pub(super) fn lose_count(&mut self) {
        self.0 = None;
    }
}

/// A grammar with the unfinished line of each side.
#[derive(Debug, Default)]
pub(super) struct Lines<T> {
    talk: T,
    partial: Both<Partial>,
}

#[derive(Debug, Default)]
struct Partial {
    bytes: Vec<u8>,
    state: PartialState,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum PartialState {
    #[default]
    InOrder,
    /// After a gap: what comes up to the next line end is the rest of an unknown line.
    AfterGap,
}

impl<T: Talk> Follow for Lines<T> {
    fn feed(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Step {
        let step = self.split(side, bytes, context);
        // The end of a datagram ends a line.
        if context.transport != Transport::Udp || self.partial.of(side).bytes.is_empty() {
            return step;
        }
        match (step, self.complete(side, b"", context)) {
            (Step::Obeys, last) => last,
            (step, _) => step,
        }
    }

    fn skip(&mut self, side: Side, count: u64) -> Skipped {
        if self.partial.of(side).state == PartialState::AfterGap {
            return Skipped::No;
        }
        self.talk.skip(side, count)
    }

    fn gap(&mut self, side: Side) {
        let partial = self.partial.of_mut(side);
        partial.bytes = Vec::new();
        partial.state = PartialState::AfterGap;
        self.talk.gap(side);
    }

    fn held(&self) -> usize {
        self.partial.sum(|partial| partial.bytes.capacity()) + self.talk.held()
    }

    fn end(&mut self, context: &mut Context<'_>) {
        self.talk.end(context);
    }
}

impl<T: Talk> Lines<T> {
    fn split(&mut self, side: Side, mut bytes: &[u8], context: &mut Context<'_>) -> Step {
        let mut step = Step::Obeys;
        while !bytes.is_empty() {
            match self.talk.expects(side) {
                Expect::Anything => return Step::Unchecked,
                Expect::Payload(count) => {
                    let taken = usize::try_from(count).unwrap_or(usize::MAX).clamp(1, bytes.len());
                    self.talk.body(side, bytes.get(..taken).unwrap_or(bytes));
                    let paid = self.talk.payload(side, taken as u64);
                    self.talk.paid(context);
                    match paid {
                        Step::Obeys => {}
                        Step::Unchecked => step = Step::Unchecked,
                        other => return other,
                    }
                    bytes = bytes.get(taken..).unwrap_or_default();
                }
                Expect::Line => {
                    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                        return match self.begin(side, bytes) {
                            Step::Obeys => step,
                            other => other,
                        };
                    };
                    let (line, rest) = bytes.split_at_checked(end + 1).unwrap_or((bytes, &[]));
                    bytes = rest;
                    match self.complete(side, line, context) {
                        Step::Obeys => {}
                        Step::Unchecked => step = Step::Unchecked,
                        Step::Left => return Step::Left,
                        Step::Becomes(next, _) => return Step::Becomes(next, bytes.len()),
                    }
                }
            }
        }
        step
    }

    fn begin(&mut self, side: Side, bytes: &[u8]) -> Step {
        let partial = self.partial.of_mut(side);
        if partial.state == PartialState::AfterGap {
            return Step::Unchecked;
        }
        extend(&mut partial.bytes, bytes);
        // The line end itself may still be cut in two.
        let part = partial.bytes.strip_suffix(b"\r").unwrap_or(&partial.bytes);
        if part.is_empty() { Step::Obeys } else { self.talk.begun(side, part) }
    }

    fn complete(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Step {
        let partial = self.partial.of_mut(side);
        if partial.state == PartialState::AfterGap {
            partial.state = PartialState::InOrder;
            return Step::Unchecked;
        }
        if partial.bytes.is_empty() {
            let kept = bytes.get(..LINE_BYTES_MAX).unwrap_or(bytes);
            return self.talk.line(side, without_end(kept), context);
        }
        let mut whole = core::mem::take(&mut partial.bytes);
        extend(&mut whole, bytes);
        let step = self.talk.line(side, without_end(&whole), context);
        // The buffer is kept for the next unfinished line, so that one-byte segments stay cheap.
        whole.clear();
        self.partial.of_mut(side).bytes = whole;
        step
    }
}

fn extend(kept: &mut Vec<u8>, bytes: &[u8]) {
    let room = LINE_BYTES_MAX.saturating_sub(kept.len());
    kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
