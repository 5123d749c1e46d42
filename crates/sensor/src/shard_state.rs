//! One shard: its clock, its timers, its fragments and the index of its flows.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use hashbrown::HashTable;
use observation::{Endpoint, Flaws, FlowId, FlowKey, LocalSide, PortId, SourceId, Time};

use crate::clock::{Clock, Dated};
use crate::decode::{self, Fragments, Ip, Kind, Outer, Segment, TcpFlags};
use crate::flow::{Birth, Expected, Fate, Flow, Opener, Out, Pools, Slot, Table, opening};
use crate::timers::{Timer, Timers};
use crate::{Direction, LinkType, Packet, hash};

/// Conversations whose roles are remembered after they went idle, or pretended to end.
const ROLE_COUNT_MAX: usize = 128;

/// What the shards of a lane share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub seed: u64,
    pub table: Table,
    pub pools: Pools,
}

/// One shard.
#[derive(Debug)]
pub(crate) struct ShardState {
    pub clock: Clock,
    pub held: Option<Held>,
    number: u8,
    timers: Timers,
    fragments: Fragments,
    index: HashTable<Entry>,
    roles: VecDeque<Role>,
    expected: Expected,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    slot: Slot,
}

/// Who opened a conversation that no protocol claims and that has been closed here. Its ends may
/// go on, and then the one that speaks next has opened nothing.
#[derive(Clone, Copy, Debug)]
struct Role {
    ends: u64,
    originator: Endpoint,
}

/// Where a packet was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Where {
    source: SourceId,
    port: PortId,
    direction: Direction,
}

impl Where {
    pub(crate) const fn of(packet: &Packet<'_>) -> Self {
        Self { source: packet.source, port: packet.port, direction: packet.direction }
    }
}

/// A packet whose time has to be confirmed.
#[derive(Debug)]
pub(crate) struct Held {
    pub at: Time,
    seen: Where,
    link: LinkType,
    wire_len: u32,
    bytes: Vec<u8>,
}

impl Held {
    pub(crate) fn of(packet: &Packet<'_>) -> Self {
        Self {
            at: packet.at,
            seen: Where::of(packet),
            link: packet.link,
            wire_len: packet.wire_len,
            bytes: Vec::from(packet.bytes),
        }
    }

    fn packet(&self) -> Packet<'_> {
        Packet {
            at: self.at,
            source: self.seen.source,
            link: self.link,
            port: self.seen.port,
            direction: self.seen.direction,
            wire_len: self.wire_len,
            bytes: &self.bytes,
        }
    }
}

impl ShardState {
    pub(crate) fn new(number: u8) -> Self {
        Self {
            clock: Clock::default(),
            held: None,
            number,
            timers: Timers::default(),
            fragments: Fragments::default(),
            index: HashTable::new(),
            roles: VecDeque::new(),
            expected: Expected::default(),
        }
    }

    /// Takes a packet that was held.
    pub(crate) fn release(
        &mut self,
        held: &Held,
        dated: Dated,
        shared: &mut Shared,
        out: &mut Out<'_>,
    ) {
        match decode::frame(&held.packet()) {
            Ok(ip) => self.take(&held.seen, &ip, dated, shared, out),
            Err(why) => shared.pools.tally.refuse(why),
        }
    }

    /// Takes a packet at its time.
    pub(crate) fn take(
        &mut self,
        seen: &Where,
        ip: &Ip<'_>,
        dated: Dated,
        shared: &mut Shared,
        out: &mut Out<'_>,
    ) {
        self.fire(dated.at, shared, out);
        let pools = &mut shared.pools;
        if dated.flaws != Flaws::NONE {
            pools.tally.time_jumps += 1;
        }
        let Some(fragment) = ip.fragment else {
            self.whole(seen, ip, dated, shared, out);
            return;
        };
        let (limits, tally) = (pools.limits, &mut pools.tally);
        let assembled = self.fragments.add(ip, fragment, seen.port, dated.at, &limits, tally);
        match assembled {
            Some(assembled) => {
                let ip = decode::innermost(assembled.ip());
                self.whole(seen, &ip, dated, shared, out);
            }
            None => tally.fragments += 1,
        }
    }

    fn whole(
        &mut self,
        seen: &Where,
        ip: &Ip<'_>,
        dated: Dated,
        shared: &mut Shared,
        out: &mut Out<'_>,
    ) {
        let segment = match decode::segment(ip) {
            Ok(segment) => segment,
            Err(why) => {
                shared.pools.tally.refuse(why);
                return;
            }
        };
        shared.pools.tally.understood += 1;
        let overlay = ip.outer.map_or(0, |outer| outer.overlay());
        let ends =
            hash::of_ends(shared.seed, seen.port, segment.transport, &segment.from, &segment.to);
        let hash = hash::in_network(ends, overlay);
        let mut found = self.find(hash, (seen.port, overlay), &segment, &shared.table);
        if let Some(slot) = found
            && shared.table.get(slot).is_some_and(|flow| flow.is_succeeded_by(&segment))
        {
            self.close(slot, dated.at, Flaws::NONE, shared, out);
            found = None;
        }
        let slot = match found {
            Some(slot) => slot,
            None => self.open(hash, seen, (&segment, ip.outer), dated.at, shared, out),
        };
        let Shared { table, pools, .. } = shared;
        if let Some(flow) = table.get_mut(slot) {
            flow.segment(&segment, dated.flaws, dated.at, pools, out);
            if let Some(announcement) = flow.announces.take() {
                self.expected.add(&flow.key, announcement);
            }
            self.arm(slot, flow, pools);
        }
    }

    fn find(
        &self,
        hash: u64,
        (port, overlay): (PortId, u32),
        segment: &Segment<'_>,
        table: &Table,
    ) -> Option<Slot> {
        let is_it = |entry: &Entry| {
            entry.hash == hash
                && table.get(entry.slot).is_some_and(|flow| {
                    let key = &flow.key;
                    let ends = (key.originator, key.responder);
                    key.port == port
                        && flow.overlay == overlay
                        && key.transport == segment.transport
                        && (ends == (segment.from, segment.to)
                            || ends == (segment.to, segment.from))
                })
        };
        self.index.find(hash, is_it).map(|entry| entry.slot)
    }

    fn open(
        &mut self,
        hash: u64,
        seen: &Where,
        (segment, outer): (&Segment<'_>, Option<Outer>),
        at: Time,
        shared: &mut Shared,
        out: &mut Out<'_>,
    ) -> Slot {
        let overlay = outer.map_or(0, |outer| outer.overlay());
        let birth = self.birth(seen, (segment, overlay), at);
        let mut flow = Flow::open(&birth, outer, &mut shared.pools, out);
        flow.announced = self.expected.claim(&flow.key);
        let slot = shared.table.insert(flow);
        self.index.insert_unique(hash, Entry { hash, slot }, |entry| entry.hash);
        slot
    }

    fn birth(&mut self, seen: &Where, (segment, overlay): (&Segment<'_>, u32), at: Time) -> Birth {
        let mut opening = opening(segment);
        if let Some(role) = self.recall(seen.port, segment) {
            let is_sender = role.originator == segment.from;
            opening.opener = if is_sender { Opener::Sender } else { Opener::Receiver };
        }
        let (originator, responder) = match opening.opener {
            Opener::Sender => (segment.from, segment.to),
            Opener::Receiver => (segment.to, segment.from),
        };
        let local = match (seen.direction, opening.opener) {
            (Direction::Unknown, _) => LocalSide::Unknown,
            (Direction::Outward, Opener::Sender) | (Direction::Inward, Opener::Receiver) => {
                LocalSide::Originator
            }
            _ => LocalSide::Responder,
        };
        let key = FlowKey { port: seen.port, transport: segment.transport, originator, responder };
        let id = FlowId(hash::in_network(hash::flow_id(&key, at).0, overlay).max(1));
        let flaws = opening.flaws;
        Birth { key, id, overlay, shard: self.number, at, witness: seen.source, local, flaws }
    }

    fn recall(&mut self, port: PortId, segment: &Segment<'_>) -> Option<Role> {
        // A SYN says itself who opens.
        let is_syn = matches!(segment.kind, Kind::Tcp { flags, .. } if flags.has(TcpFlags::SYN));
        if is_syn || self.roles.is_empty() {
            return None;
        }
        let ends = hash::of_ends(0, port, segment.transport, &segment.from, &segment.to);
        let place = self.roles.iter().position(|role| role.ends == ends)?;
        self.roles.remove(place)
    }

    fn remember(&mut self, flow: &Flow) {
        let FlowKey { port, transport, originator, responder } = flow.key;
        if !flow.is_unclaimed() {
            return;
        }
        if self.roles.len() >= ROLE_COUNT_MAX {
            self.roles.pop_front();
        }
        let ends = hash::of_ends(0, port, transport, &originator, &responder);
        self.roles.push_back(Role { ends, originator });
    }

    /// When something of this shard may be due: a timer, or the packet that is held.
    pub(crate) fn next_due(&self) -> Time {
        let held = self.held.as_ref().map_or(Time::NEVER, |held| held.at);
        self.timers.next().min(held)
    }

    /// Whatever is due until then.
    pub(crate) fn advance(&mut self, to: Time, shared: &mut Shared, out: &mut Out<'_>) {
        if let Some(held) = self.held.take_if(|held| held.at <= to) {
            let dated = self.clock.believe(held.at);
            self.release(&held, dated, shared, out);
        }
        self.fire(to, shared, out);
    }

    /// Fires all timers until then, in the order of their deadlines.
    pub(crate) fn fire(&mut self, to: Time, shared: &mut Shared, out: &mut Out<'_>) {
        while let Some(timer) = self.timers.due(to) {
            let Shared { table, pools, .. } = shared;
            let Some(flow) = table.get_mut(timer.slot).filter(|flow| is_of(&timer, flow)) else {
                continue;
            };
            flow.timer_at = Time::NEVER;
            // The deadline may have moved since the timer was set.
            let due = flow.deadline(&pools.limits) <= timer.at;
            if due && flow.expire(timer.at, pools, out) == Fate::Ends {
                self.close(timer.slot, timer.at, Flaws::NONE, shared, out);
            } else {
                self.arm(timer.slot, flow, pools);
            }
        }
    }

    /// Sets the flow's timer, unless an earlier one is set already.
    fn arm(&mut self, slot: Slot, flow: &mut Flow, pools: &Pools) {
        let at = flow.deadline(&pools.limits);
        if at < flow.timer_at {
            flow.timer_at = at;
            self.timers.push(Timer { at, serial: flow.serial, slot });
        }
    }

    /// Closes a flow and forgets it.
    pub(crate) fn close(
        &mut self,
        slot: Slot,
        at: Time,
        flaws: Flaws,
        shared: &mut Shared,
        out: &mut Out<'_>,
    ) {
        let Some(mut flow) = shared.table.remove(slot) else {
            return;
        };
        flow.close(at, flaws, &mut shared.pools, out);
        self.remember(&flow);
        let key = &flow.key;
        let ends =
            hash::of_ends(shared.seed, key.port, key.transport, &key.originator, &key.responder);
        let hash = hash::in_network(ends, flow.overlay);
        if let Ok(entry) = self.index.find_entry(hash, |entry| entry.slot == slot) {
            entry.remove();
        }
        self.timers
            .sweep(|timer| shared.table.get(timer.slot).is_some_and(|flow| is_of(timer, flow)));
    }
}

fn is_of(timer: &Timer, flow: &Flow) -> bool {
    flow.serial == timer.serial && flow.timer_at == timer.at
}
