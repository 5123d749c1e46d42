//! TCP segments that came before an earlier one: kept until the hole is filled, or given up.

use alloc::vec::Vec;

use observation::{Span, Time};

/// How long a hole stays open that nobody has acknowledged: a sender repeats after some 200 ms and
/// then after ever longer.
const HOLE_WAIT: Span = Span::from_secs(3);
/// How long it stays open once the receiver has acknowledged it: then the capture lost it, or is
/// out of order by less than this.
const HOLE_WAIT_ACKED: Span = Span::from_millis(100);
/// Segments that wait in one direction of one flow.
const WAITING_COUNT_MAX: usize = 256;

/// What waits in one direction of a flow, by sequence number, apart from each other.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Vec<Waiting>,
    bytes: u32,
    deadline: Time,
}

/// A segment that waits for an earlier one.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub seq: u32,
    /// Its length on the wire; fewer bytes may have been captured.
    pub len: u32,
    pub bytes: Vec<u8>,
}

/// What became of a segment that came too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    /// It waits.
    Kept,
    /// It waits, and where it overlaps another that waits the bytes differ.
    KeptDiffers,
    /// There is no room for it.
    Full,
}

/// How far `seq` is ahead of `base`; below zero where it is behind.
pub(crate) const fn ahead(seq: u32, base: u32) -> i32 {
    seq.wrapping_sub(base) as i32
}

impl Queue {
    /// An empty queue for a hole that opened at this time.
    pub(crate) fn new(at: Time) -> Self {
        Self { waiting: Vec::new(), bytes: 0, deadline: at + HOLE_WAIT }
    }

    /// When the hole is given up.
    pub(crate) const fn deadline(&self) -> Time {
        self.deadline
    }

    /// The bytes that wait.
    pub(crate) const fn bytes(&self) -> u32 {
        self.bytes
    }

    /// Takes a segment that is ahead of `next`; of what overlaps, the first one counts.
    pub(crate) fn add(&mut self, next: u32, seq: u32, len: u32, bytes: &[u8], room: u32) -> Queued {
        if self.waiting.len() >= WAITING_COUNT_MAX || bytes.len() as u64 > u64::from(room) {
            return Queued::Full;
        }
        let (mut from, end) = (ahead(seq, next), ahead(seq.wrapping_add(len), next));
        let mut queued = Queued::Kept;
        let mut place = 0;
        while from < end {
            let Some(other) = self.waiting.get(place) else {
                self.insert(place, next, (from, end), (seq, bytes));
                break;
            };
            let (other_from, other_end) = (ahead(other.seq, next), other.end_ahead(next));
            if from < other_from {
                let piece_end = end.min(other_from);
                self.insert(place, next, (from, piece_end), (seq, bytes));
                from = piece_end;
            } else if from < other_end {
                let both_end = end.min(other_end);
                let mine = cut(bytes, seq, next, (from, both_end));
                let theirs = cut(&other.bytes, other.seq, next, (from, both_end));
                if mine.iter().zip(theirs).any(|(mine, theirs)| mine != theirs) {
                    queued = Queued::KeptDiffers;
                }
                from = both_end;
            }
            place += 1;
        }
        queued
    }

    fn insert(&mut self, place: usize, next: u32, range: (i32, i32), whole: (u32, &[u8])) {
        let bytes = Vec::from(cut(whole.1, whole.0, next, range));
        self.bytes += bytes.len() as u32;
        let seq = next.wrapping_add_signed(range.0);
        self.waiting.insert(place, Waiting { seq, len: range.1.abs_diff(range.0), bytes });
    }

    /// Whether these bytes say something else than what waits at their place.
    pub(crate) fn differs(&self, seq: u32, bytes: &[u8]) -> bool {
        let end = bytes.len() as i32;
        self.waiting.iter().any(|other| {
            let from = ahead(other.seq, seq).max(0);
            let to = ahead(other.seq.wrapping_add(other.len), seq).min(end);
            from < to
                && cut(bytes, seq, seq, (from, to))
                    .iter()
                    .zip(cut(&other.bytes, other.seq, seq, (from, to)))
                    .any(|(mine, theirs)| mine != theirs)
        })
    }

    /// The receiver has acknowledged everything before `ack`.
    pub(crate) fn acknowledged(&mut self, ack: u32, at: Time) {
        if self.first_seq().is_some_and(|first| ahead(ack, first) >= 0) {
            self.deadline = self.deadline.min(at + HOLE_WAIT_ACKED);
        }
    }

    /// Where the hole ends.
    pub(crate) fn first_seq(&self) -> Option<u32> {
        self.waiting.first().map(|first| first.seq)
    }

    /// The first segment, where it no longer has to wait.
    pub(crate) fn ready(&mut self, next: u32) -> Option<Waiting> {
        if ahead(self.first_seq()?, next) > 0 {
            return None;
        }
        let first = self.waiting.remove(0);
        self.bytes -= first.bytes.len() as u32;
        Some(first)
    }

    /// A hole was closed and another one is open: it has its own time.
    pub(crate) fn renew(&mut self, at: Time) {
        self.deadline = at + HOLE_WAIT;
    }
}

impl Waiting {
    const fn end_ahead(&self, next: u32) -> i32 {
        ahead(self.seq.wrapping_add(self.len), next)
    }
}

/// The captured bytes of `whole`, which starts at `seq`, in a range relative to `next`.
fn cut(whole: &[u8], seq: u32, next: u32, range: (i32, i32)) -> &[u8] {
    let start = ahead(seq, next);
    let from = usize::try_from(range.0 - start).unwrap_or(0).min(whole.len());
    let to = usize::try_from(range.1 - start).unwrap_or(0).min(whole.len());
    whole.get(from..to).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: u32 = u32::MAX - 3;

    fn add(queue: &mut Queue, offset: u32, bytes: &[u8]) -> Queued {
        queue.add(NEXT, NEXT.wrapping_add(offset), bytes.len() as u32, bytes, 1000)
    }

    fn drain(queue: &mut Queue, offset: u32) -> Vec<u8> {
        let (mut next, mut all) = (NEXT.wrapping_add(offset), Vec::new());
        while let Some(segment) = queue.ready(next) {
            next = segment.seq.wrapping_add(segment.len);
            all.extend(segment.bytes);
        }
        all
    }

    #[test]
    fn segments_come_out_in_order_across_the_wrap() {
        let mut queue = Queue::new(Time(0));
        assert_eq!(add(&mut queue, 6, b"ef"), Queued::Kept);
        assert_eq!(add(&mut queue, 2, b"ab"), Queued::Kept);
        assert_eq!(add(&mut queue, 4, b"cd"), Queued::Kept);
        assert!(queue.ready(NEXT).is_none());
        assert_eq!(drain(&mut queue, 2), b"abcdef");
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn the_first_bytes_win_and_a_difference_is_seen() {
        let mut queue = Queue::new(Time(0));
        add(&mut queue, 4, b"cd");
        assert_eq!(add(&mut queue, 2, b"abcdef"), Queued::Kept);
        assert_eq!(add(&mut queue, 3, b"bXd"), Queued::KeptDiffers);
        assert_eq!(drain(&mut queue, 2), b"abcdef");
    }

    #[test]
    fn a_full_queue_says_so() {
        let mut queue = Queue::new(Time(0));
        assert_eq!(queue.add(0, 5, 2, b"ab", 1), Queued::Full);
    }

    #[test]
    fn an_acknowledged_hole_is_given_up_sooner() {
        let mut queue = Queue::new(Time(0));
        add(&mut queue, 4, b"cd");
        queue.acknowledged(NEXT.wrapping_add(3), Time(5));
        assert_eq!(queue.deadline(), Time(0) + HOLE_WAIT);
        queue.acknowledged(NEXT.wrapping_add(6), Time(5));
        assert_eq!(queue.deadline(), Time(5) + HOLE_WAIT_ACKED);
    }
}
