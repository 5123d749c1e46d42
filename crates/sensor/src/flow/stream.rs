//! Payload in order: TCP's by sequence number, a datagram's as it comes. It feeds burst and
//! recognizer.

use alloc::boxed::Box;

use observation::{Flaws, Side, Time, Transport};

use super::heads::{HEAD_BYTES_MAX, Kept};
use super::reorder::{Queue, Queued, ahead};
use super::{Flow, Out, Pools, Voice, heads_of, kept_heads, start_of, voice};
use crate::protocols::Interest;

/// A sequence number further off than this is astray, until a second segment follows the first.
const ASTRAY_BYTES_MIN: i32 = 64 << 20;

/// A segment's payload and where it belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub side: Side,
    pub seq: u32,
    /// Its length on the wire.
    pub len: u32,
    /// What was captured of it.
    pub bytes: &'a [u8],
    pub at: Time,
}

impl<'a> Piece<'a> {
    /// Without its first bytes.
    fn after(self, skipped: u32) -> Self {
        Self {
            seq: self.seq.wrapping_add(skipped),
            len: self.len.saturating_sub(skipped),
            bytes: self.bytes.get(skipped as usize..).unwrap_or_default(),
            ..self
        }
    }

    /// Only its first bytes.
    fn upto(self, len: u32) -> Self {
        let bytes = self.bytes.get(..len as usize).unwrap_or(self.bytes);
        Self { len: self.len.min(len), bytes, ..self }
    }

    /// Whether it says something else where it overlaps `kept`, which starts at `from`.
    fn differs(&self, from: u32, kept: &[u8]) -> bool {
        let offset = ahead(self.seq, from);
        let skipped = usize::try_from(offset.saturating_neg()).unwrap_or(0);
        let fresh = self.bytes.get(skipped..).unwrap_or_default();
        let kept = kept.get(usize::try_from(offset).unwrap_or(0)..).unwrap_or_default();
        fresh.iter().zip(kept).any(|(again, before)| again != before)
    }

    const fn end(&self) -> u32 {
        self.seq.wrapping_add(self.len)
    }
}

impl Flow {
    /// A TCP segment's payload, wherever it belongs.
    pub(super) fn piece(&mut self, piece: Piece<'_>, pools: &mut Pools, out: &mut Out<'_>) {
        let next = self.half(piece.side).next;
        let distance = ahead(piece.seq, next);
        if distance == 0 && self.early.is_none() {
            self.advance_by(piece, pools, out);
            return;
        }
        if distance.unsigned_abs() > ASTRAY_BYTES_MIN.unsigned_abs() {
            self.astray(piece, pools, out);
        } else if distance > 0 {
            self.too_early(piece, pools, out);
        } else {
            self.at_or_before(piece, pools, out);
        }
    }

    /// In order, or repeating what was there: only what is new counts.
    fn at_or_before(&mut self, piece: Piece<'_>, pools: &mut Pools, out: &mut Out<'_>) {
        let behind = ahead(self.half(piece.side).next, piece.seq).unsigned_abs();
        if behind > 0 {
            self.fill_given_up(piece, pools, out);
            self.compare(piece, pools);
        }
        if behind < piece.len {
            if self.queue_mut(piece.side).is_some_and(|queue| queue.differs(piece.seq, piece.bytes))
            {
                self.flaws = self.flaws.with(Flaws::OVERLAP_DIFFERS);
            }
            if behind > 0 && ahead(piece.seq, self.half(piece.side).acked) >= 0 {
                self.burst.waited_for_the_network(piece.at);
            }
            self.advance_by(piece.after(behind), pools, out);
            self.drain(piece.side, piece.at, pools, out);
        }
    }

    fn advance_by(&mut self, piece: Piece<'_>, pools: &mut Pools, out: &mut Out<'_>) {
        let half = self.half_mut(piece.side);
        half.next = piece.end();
        if half.knows.fin && ahead(half.next, half.fin) > 0 {
            self.flaws = self.flaws.with(Flaws::DATA_AFTER_CLOSE);
        }
        self.deliver(piece.side, piece.bytes, piece.len, piece.at, pools, out);
    }

    fn too_early(&mut self, piece: Piece<'_>, pools: &mut Pools, out: &mut Out<'_>) {
        if self.enqueue(piece, pools) != Queued::Full {
            return;
        }
        // Out of room: the hole is given up, and if that does not help so is this one's.
        self.give_up_hole(piece.side, piece.at, pools, out);
        let distance = ahead(piece.seq, self.half(piece.side).next);
        if distance <= 0 {
            self.at_or_before(piece, pools, out);
        } else if self.enqueue(piece, pools) == Queued::Full {
            pools.tally.segments_dropped += 1;
            self.skip_to(piece.side, piece.seq, pools);
            self.advance_by(piece, pools, out);
            self.drain(piece.side, piece.at, pools, out);
        }
    }

    fn enqueue(&mut self, piece: Piece<'_>, pools: &mut Pools) -> Queued {
        let (next, port) = (self.half(piece.side).next, self.key.port);
        let [originator, responder] = &mut **self.early.get_or_insert_with(Box::default);
        let place = match piece.side {
            Side::Originator => originator,
            Side::Responder => responder,
        };
        let queue = place.get_or_insert_with(|| Queue::new(piece.at));
        let before = queue.bytes();
        let room_flow = pools.limits.reorder_flow_bytes_max.saturating_sub(before);
        let room = room_flow.min(pools.reorder.room(port));
        let queued = queue.add(next, piece.seq, piece.len, piece.bytes, room);
        pools.reorder.take(port, queue.bytes() - before);
        if queue.first_seq().is_none() {
            *place = None;
        }
        if queued == Queued::KeptDiffers {
            self.flaws = self.flaws.with(Flaws::OVERLAP_DIFFERS);
        }
        queued
    }

    /// Delivers what no longer has to wait.
    fn drain(&mut self, side: Side, at: Time, pools: &mut Pools, out: &mut Out<'_>) {
        loop {
            let next = self.half(side).next;
            let Some(queue) = self.queue_mut(side) else {
                return;
            };
            let Some(ready) = queue.ready(next) else {
                if queue.first_seq().is_some() {
                    queue.renew(at);
                    return;
                }
                self.drop_queue(side);
                return;
            };
            pools.reorder.give_back(self.key.port, ready.bytes.len() as u32);
            self.flaws = self.flaws.with(Flaws::REORDERED);
            let piece = Piece { side, seq: ready.seq, len: ready.len, bytes: &ready.bytes, at };
            let behind = ahead(next, piece.seq).unsigned_abs();
            if behind < piece.len {
                self.advance_by(piece.after(behind), pools, out);
            }
        }
    }

    pub(super) fn hole_deadline(&self, side: Side) -> Time {
        let queue = self.early.as_ref().and_then(|early| early.get(side as usize));
        queue.and_then(Option::as_ref).map_or(Time::NEVER, Queue::deadline)
    }

    /// The receiver has acknowledged what this side sent.
    pub(super) fn acknowledged(&mut self, side: Side, ack: u32, at: Time) {
        if let Some(queue) = self.queue_mut(side) {
            queue.acknowledged(ack, at);
        }
    }

    /// Goes on behind a hole.
    pub(super) fn give_up_hole(
        &mut self,
        side: Side,
        at: Time,
        pools: &mut Pools,
        out: &mut Out<'_>,
    ) {
        match self.queue_mut(side).and_then(|queue| queue.first_seq()) {
            Some(seq) => {
                let was = self.flaws;
                self.skip_to(side, seq, pools);
                self.drain(side, at, pools, out);
                // What waited behind a hole that never filled was lost before, not out of order.
                let reordered = was.0 & Flaws::REORDERED.0;
                self.flaws = Flaws(self.flaws.0 & !Flaws::REORDERED.0 | reordered);
            }
            None => self.drop_queue(side),
        }
    }

    fn skip_to(&mut self, side: Side, seq: u32, pools: &mut Pools) {
        let half = self.half_mut(side);
        let lost = ahead(seq, half.next);
        half.hole = (half.next, seq);
        half.next = seq;
        if let Ok(lost) = u32::try_from(lost) {
            half.counts.payload_bytes += u64::from(lost);
            self.lose(side, lost, pools);
        }
    }

    fn lose(&mut self, side: Side, lost: u32, pools: &mut Pools) {
        self.flaws = self.flaws.with(Flaws::GAP);
        pools.tally.bytes_lost += u64::from(lost);
        if self.interest != Interest::Done {
            self.recognizer.gap(side, lost);
        }
    }

    /// A segment out of all proportion is forged or damaged; a second one that follows it shows
    /// that the capture lost more than `ASTRAY_BYTES_MIN`.
    fn astray(&mut self, piece: Piece<'_>, pools: &mut Pools, out: &mut Out<'_>) {
        let half = self.half_mut(piece.side);
        let follows = half.knows.astray && half.astray == piece.seq;
        (half.knows.astray, half.astray) = (!follows, piece.end());
        if !follows {
            self.flaws = self.flaws.with(Flaws::BAD_HEADER);
            return;
        }
        half.next = piece.seq;
        self.drop_waiting(piece.side, pools);
        self.lose(piece.side, 0, pools);
        self.advance_by(piece, pools, out);
    }

    /// A hole that was given up fills after all: late, and better than never.
    fn fill_given_up(&mut self, piece: Piece<'_>, pools: &mut Pools, out: &mut Out<'_>) {
        let (from, to) = self.half(piece.side).hole;
        if from == to || ahead(piece.end(), from) <= 0 || ahead(piece.seq, to) >= 0 {
            return;
        }
        let skipped = u32::try_from(ahead(from, piece.seq)).unwrap_or(0);
        let late = piece.after(skipped);
        let late = late.upto(ahead(to, late.seq).unsigned_abs());
        let half = self.half_mut(piece.side);
        half.hole.0 = late.end();
        // Its bytes were counted with the hole.
        half.counts.payload_bytes -= u64::from(late.len).min(half.counts.payload_bytes);
        self.flaws = self.flaws.with(Flaws::REORDERED);
        // They do not follow what was said last, and what comes next does not follow them.
        self.recognizer.gap(late.side, 0);
        self.deliver(late.side, late.bytes, late.len, late.at, pools, out);
        self.recognizer.gap(late.side, 0);
    }

    /// Repeated bytes must be the same ones, as far as they are still here: in the excerpt of the
    /// current burst, and in the head of an undecided flow.
    fn compare(&mut self, piece: Piece<'_>, pools: &Pools) {
        let half = self.half(piece.side);
        let spoken = self.burst_excerpt(piece.side, &pools.samples);
        let spoken_from = half.next.wrapping_sub(spoken.1);
        let head = self.heads.of(&pools.heads, piece.side);
        let head_from = half.initial.wrapping_add(1);
        let differs = piece.differs(spoken_from, spoken.0)
            || (half.knows.initial && piece.differs(head_from, head));
        // With a hole in it, neither is where its first byte says.
        if differs && !self.flaws.has(Flaws::GAP) {
            self.flaws = self.flaws.with(Flaws::OVERLAP_DIFFERS);
        }
    }

    fn queue_mut(&mut self, side: Side) -> Option<&mut Queue> {
        self.early.as_mut()?.get_mut(side as usize)?.as_mut()
    }

    fn drop_waiting(&mut self, side: Side, pools: &mut Pools) {
        let bytes = self.queue_mut(side).map_or(0, |queue| queue.bytes());
        pools.reorder.give_back(self.key.port, bytes);
        self.drop_queue(side);
    }

    fn drop_queue(&mut self, side: Side) {
        if let Some(early) = &mut self.early {
            if let Some(place) = early.get_mut(side as usize) {
                *place = None;
            }
            if early.iter().all(Option::is_none) {
                self.early = None;
            }
        }
    }

    /// The next payload of one side. Everything that was said before it has been delivered.
    pub(super) fn deliver(
        &mut self,
        side: Side,
        bytes: &[u8],
        len: u32,
        at: Time,
        pools: &mut Pools,
        out: &mut Out<'_>,
    ) {
        self.half_mut(side).counts.payload_bytes += u64::from(len);
        if side == Side::Responder && self.half(Side::Originator).stage.has_ended() {
            self.responder_bytes_after_close += u64::from(len);
        }
        let first = *self.first_speaker.get_or_insert(side);
        if first != side {
            self.establish(at, out);
        }
        self.add_to_burst(side, bytes, len, at, pools, out);
        if self.interest != Interest::Done && !bytes.is_empty() {
            self.feed(side, bytes, at, pools, out);
        }
        let lost = u64::from(len).saturating_sub(bytes.len() as u64);
        if lost > 0 {
            self.lose(side, u32::try_from(lost).unwrap_or(u32::MAX), pools);
        }
    }

    fn feed(&mut self, side: Side, fresh: &[u8], at: Time, pools: &mut Pools, out: &mut Out<'_>) {
        let is_first = !self.heads.is_begun(side);
        if self.interest == Interest::Heads {
            let (pool, port) = (&mut pools.heads, self.key.port);
            let kept = match self.key.transport {
                Transport::Udp => self.heads.append_datagram(pool, port, side, fresh),
                _ => self.heads.append(pool, port, side, fresh),
            };
            pools.tally.heads_denied += u64::from(kept == Kept::Denied);
        }
        let mut heads = kept_heads!(self, &pools.heads);
        // Without room for a head, the first payload stands for it while it is here.
        let head = match side {
            Side::Originator => &mut heads.opener,
            Side::Responder => &mut heads.answerer,
        };
        if is_first && head.is_empty() {
            *head = fresh.get(..HEAD_BYTES_MAX).unwrap_or(fresh);
        }
        let mut voice = Voice { at, ..voice!(self, out) };
        self.interest =
            self.recognizer.bytes(heads, side, fresh, at, &mut |heard| voice.hear(heard));
        self.weigh(at, pools, out);
        if self.interest != Interest::Heads {
            self.heads.free(&mut pools.heads, self.key.port);
        }
    }

    /// Keeps followers within their limit: the one that would pass it is given up.
    fn weigh(&mut self, at: Time, pools: &mut Pools, out: &mut Out<'_>) {
        let ([before, now], port) = (self.recognizer.weigh(), self.key.port);
        if now <= before {
            pools.followers.give_back(port, before - now);
        } else if now - before <= pools.followers.room(port) {
            pools.followers.take(port, now - before);
        } else {
            pools.followers.give_back(port, before);
            pools.tally.followers_given_up += 1;
            let heads = kept_heads!(self, &pools.heads);
            let mut voice = Voice { at, ..voice!(self, out) };
            self.recognizer.give_up(heads, &mut |heard| voice.hear(heard));
        }
    }
}
