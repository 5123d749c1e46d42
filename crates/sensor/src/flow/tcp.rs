//! TCP's handshake and end, and Zeek's `conn_state` (scripts/base/protocols/conn/main.zeek).

use observation::{ConnState, Flaws, Side, Time, Transport};

use super::reorder::ahead;
use super::stream::Piece;
use super::{Flow, Half, Out, Pools};
use crate::decode::{Kind, Segment, TcpFlags};

/// A RST further off the expected number than the largest usual window is ignored.
const RESET_BYTES_MAX: u32 = 16 << 20;

/// Where one side stands: Zeek's endpoint states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing was seen of it.
    #[default]
    Inactive,
    /// It was under way when first seen.
    Partial,
    /// It sent a SYN.
    SynSent,
    /// It sent a SYN-ACK to a SYN that was not seen.
    SynAckSent,
    /// The handshake is done as far as it is concerned.
    Established,
    /// It sent a FIN.
    Closed,
    /// It sent a RST.
    Reset,
}

impl Stage {
    pub(super) const fn has_ended(self) -> bool {
        matches!(self, Self::Closed | Self::Reset)
    }

    const fn is_unopened(self) -> bool {
        matches!(self, Self::Inactive | Self::Partial)
    }
}

/// A TCP header that has arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub side: Side,
    pub seq: u32,
    pub ack: u32,
    pub flags: TcpFlags,
    pub at: Time,
}

impl Flow {
    pub(super) fn tcp(
        &mut self,
        arrival: &Arrival,
        segment: &Segment<'_>,
        pools: &mut Pools,
        out: &mut Out<'_>,
    ) {
        let &Arrival { side, seq, ack, flags, at } = arrival;
        self.synchronise(arrival, segment.payload_len);
        self.step(side, flags);
        if self.is_agreed(side, flags) {
            self.establish(at, out);
        }
        if flags.has(TcpFlags::ACK) && self.early.is_some() {
            self.acknowledged(side.other(), ack, at);
        }
        let first = seq.wrapping_add(u32::from(flags.has(TcpFlags::SYN)));
        // A RST may carry a reason for people; it is no part of the stream.
        if segment.payload_len > 0 && !flags.has(TcpFlags::RST) {
            self.revive(side, first);
            let (len, bytes) = (segment.payload_len, segment.payload);
            self.piece(Piece { side, seq: first, len, bytes, at }, pools, out);
        }
        self.end_side(arrival, first.wrapping_add(segment.payload_len));
    }

    /// Learns where each side's stream begins.
    fn synchronise(&mut self, arrival: &Arrival, payload_len: u32) {
        let &Arrival { side, seq, ack, flags, .. } = arrival;
        let half = self.half_mut(side);
        let is_silent = half.counts.payload_bytes == 0;
        if flags.has(TcpFlags::SYN) && is_silent {
            (half.knows.initial, half.initial) = (true, seq);
            (half.knows.next, half.next) = (true, seq.wrapping_add(1));
        } else if !half.knows.next && (payload_len > 0 || !flags.has(TcpFlags::RST)) {
            (half.knows.next, half.next) = (true, seq);
        }
        let other = self.half_mut(side.other());
        if flags.has(TcpFlags::ACK) && !flags.has(TcpFlags::RST) {
            other.acked = ack;
            if !other.knows.next {
                (other.knows.next, other.next) = (true, ack);
            }
        }
    }

    fn step(&mut self, side: Side, flags: TcpFlags) {
        let peer = self.half(side.other()).stage;
        let half = self.half_mut(side);
        half.stage = match (half.stage, flags.has(TcpFlags::SYN), flags.has(TcpFlags::ACK)) {
            (Stage::Inactive, true, false) => Stage::SynSent,
            (Stage::Inactive, true, true) if peer == Stage::Inactive => Stage::SynAckSent,
            (Stage::Inactive | Stage::SynSent, true, true) => Stage::Established,
            (Stage::Inactive, false, _) if peer == Stage::SynAckSent => Stage::Established,
            (Stage::Inactive, false, _) => Stage::Partial,
            (Stage::SynSent, false, true) if peer == Stage::Partial => Stage::Established,
            (stage, _, _) => stage,
        };
        // Each side's step may complete the other's.
        if self.half(side).stage == Stage::Established {
            let peer = self.half_mut(side.other());
            if matches!(peer.stage, Stage::SynSent | Stage::SynAckSent | Stage::Partial) {
                peer.stage = Stage::Established;
            }
        }
    }

    /// Whether both sides have now shown that they are there.
    fn is_agreed(&self, side: Side, flags: TcpFlags) -> bool {
        let [originator, responder] = &self.halves;
        let both_seen = originator.counts.packets > 0 && responder.counts.packets > 0;
        if !both_seen || flags.has(TcpFlags::RST) || flags.has(TcpFlags::SYN) {
            return false;
        }
        let is_answer = side == Side::Originator && flags.has(TcpFlags::ACK);
        match (originator.stage, responder.stage) {
            (Stage::Reset, _) | (_, Stage::Reset) => false,
            (Stage::Partial, _) | (_, Stage::Partial) => true,
            (Stage::Established, Stage::Established) => is_answer,
            _ => false,
        }
    }

    /// Data at the expected place from a side that had reset: the RST was forged or ignored.
    fn revive(&mut self, side: Side, seq: u32) {
        let half = self.half_mut(side);
        if half.stage == Stage::Reset && half.next == seq {
            half.stage = Stage::Established;
            self.flaws = self.flaws.with(Flaws::DATA_AFTER_CLOSE);
        }
    }

    fn end_side(&mut self, arrival: &Arrival, end: u32) {
        let half = self.half_mut(arrival.side);
        if arrival.flags.has(TcpFlags::RST) {
            let distance = ahead(arrival.seq, half.next).unsigned_abs();
            if half.knows.next && distance > RESET_BYTES_MAX {
                // No receiver would believe it.
                self.flaws = self.flaws.with(Flaws::BAD_HEADER);
                return;
            }
            half.stage = Stage::Reset;
        } else if arrival.flags.has(TcpFlags::FIN) {
            if half.stage != Stage::Reset {
                half.stage = Stage::Closed;
            }
            (half.knows.fin, half.fin) = (true, end);
        }
    }

    /// Whether nothing is expected any more.
    pub(super) fn is_closed(&self) -> bool {
        let [originator, responder] = &self.halves;
        let is_reset = originator.stage == Stage::Reset || responder.stage == Stage::Reset;
        is_reset || (originator.stage == Stage::Closed && responder.stage == Stage::Closed)
    }

    /// Whether one side's packets are missing that the other's answer.
    pub(super) fn is_one_sided(&self) -> bool {
        let [originator, responder] = &self.halves;
        let is_lone = |seen: &Half, missing: &Half| {
            missing.counts.packets == 0
                && (matches!(seen.stage, Stage::SynAckSent | Stage::Partial)
                    || (seen.stage != Stage::Reset && seen.counts.payload_bytes > 0))
        };
        self.key.transport == Transport::Tcp
            && (is_lone(originator, responder) || is_lone(responder, originator))
    }

    /// Whether this segment begins another flow between the same ends.
    pub(crate) fn is_succeeded_by(&self, segment: &Segment<'_>) -> bool {
        let Kind::Tcp { seq, flags, .. } = segment.kind else {
            return false;
        };
        if !flags.has(TcpFlags::SYN) || flags.has(TcpFlags::RST) {
            return false;
        }
        let side = self.side_of(segment);
        let half = self.half(side);
        let is_repeated = half.knows.initial && half.initial == seq;
        if flags.has(TcpFlags::ACK) {
            // A far end that accepts anew has forgotten the conversation before. One that opened
            // cannot accept: believing it would turn the roles round.
            return side == Side::Responder && !is_repeated && half.counts.payload_bytes > 0;
        }
        self.is_closed() && !is_repeated
    }
}

/// How it went, by where both sides stand at the end.
pub(super) fn conn_state(originator: &Half, responder: &Half) -> ConnState {
    let said_nothing = originator.counts.payload_bytes + responder.counts.payload_bytes == 0;
    match (originator.stage, responder.stage) {
        (Stage::SynSent | Stage::SynAckSent, Stage::Reset) => ConnState::Rej,
        (Stage::Reset, Stage::Reset) if said_nothing => ConnState::Rej,
        (stage, Stage::Reset) if stage.is_unopened() => ConnState::RstRH,
        (_, Stage::Reset) => ConnState::RstR,
        (Stage::Reset, stage) if stage.is_unopened() => ConnState::RstOS0,
        (Stage::Reset, _) => ConnState::RstO,
        (Stage::Closed, Stage::Closed) => ConnState::SF,
        (Stage::Closed, stage) if stage.is_unopened() => ConnState::SH,
        (Stage::Closed, _) => ConnState::S2,
        (stage, Stage::Closed) if stage.is_unopened() => ConnState::SHR,
        (_, Stage::Closed) => ConnState::S3,
        (Stage::SynSent, Stage::Inactive) => ConnState::S0,
        (Stage::Established, Stage::Established) => ConnState::S1,
        _ => ConnState::Oth,
    }
}
