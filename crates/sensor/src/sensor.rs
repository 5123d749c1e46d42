//! The sensor of one lane: packets in, Observations out.
//!
//! Its 64 shards are independent of each other: each has its own clock, timers and fragments.
//! So neither the number of lanes nor the order of packets of different shards can change what is
//! told, only when it is told.

use alloc::vec::Vec;

use observation::{Flaws, Observation, PortId, PortTraffic, Time};

use crate::decode::{self, Ip};
use crate::flow::{HeadPool, Out, Pools, Quota, SamplePool, Slot, Table};
use crate::ports::Ports;
use crate::shard::{SHARD_COUNT, of_pair};
use crate::shard_state::{Held, ShardState, Shared, Where};
use crate::timers::Dues;
use crate::{Lane, Limits, Packet, Shard, Tally};

/// A packet opens one flow, and may release a held one that opens another.
const FLOWS_OPENED_MAX: u32 = 2;

/// Where an Observation stands among those that all lanes tell about the same packet, or about the
/// end: one lane alone tells them in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    step: Step,
    at: Time,
    shard: Shard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// What was due before the packet.
    Due,
    /// What the packet itself told.
    Packet,
    /// Held until the end.
    GivenUp,
    /// Closed by the end.
    Closed,
}

/// One lane's sensor.
#[derive(Debug)]
pub struct Sensor {
    lane: Lane,
    shards: Vec<ShardState>,
    shared: Shared,
    ports: Ports,
    dues: Dues,
    /// The latest time that `advance` was called with.
    ticked: Option<Time>,
}

impl Sensor {
    /// An empty sensor. `seed` makes the hash tables' order unguessable and never reaches the
    /// output.
    #[must_use]
    pub fn new(limits: Limits, seed: u64, lane: Lane) -> Self {
        let lane = Lane { count: lane.count.max(1), ..lane };
        Self {
            lane,
            shards: (0..SHARD_COUNT).map(ShardState::new).collect(),
            shared: Shared {
                seed,
                table: Table::new(limits.flow_count_max),
                pools: Pools {
                    limits,
                    tally: Tally::default(),
                    heads: HeadPool::new(limits.head_count_max),
                    samples: SamplePool::new(limits.burst_count_max),
                    reorder: Quota::new(limits.reorder_bytes_max),
                    followers: Quota::new(limits.follower_bytes_max),
                },
            },
            ports: Ports::new(seed, limits.port_count_max),
            dues: Dues::new(),
            ticked: None,
        }
    }

    /// Takes the next packet, if this lane owns its shard. Timers of the shard that are due before
    /// it fire first; those of other shards wait for `advance`.
    ///
    /// A shard's first packet, and one that is implausibly far ahead, is held until the next one of
    /// the shard or a tick agrees with its time.
    pub fn packet(&mut self, packet: Packet<'_>, out: &mut impl FnMut(&Observation<'_>)) {
        let decoded = decode::frame(&packet);
        let shard = decoded.as_ref().map_or(Shard(0), |ip| of_pair(&ip.from, &ip.to));
        if shard.0 % self.lane.count != self.lane.index {
            return;
        }
        self.shared.pools.tally.packets += 1;
        self.shared.pools.tally.bytes += u64::from(packet.wire_len);
        self.ports.count(&packet, &mut self.shared.pools.tally);
        match decoded {
            Ok(ip) => self.dated(shard, &packet, &ip, out),
            Err(why) => self.shared.pools.tally.refuse(why),
        }
    }

    fn dated(&mut self, shard: Shard, packet: &Packet<'_>, ip: &Ip<'_>, out: &mut Out<'_>) {
        self.make_room(out);
        let Some(state) = self.shards.get_mut(usize::from(shard.0)) else {
            return;
        };
        if let Some(held) = state.held.take() {
            let dated = state.clock.settle(held.at, packet.at);
            state.release(&held, dated, &mut self.shared, out);
        }
        match state.clock.date(packet.at) {
            Some(dated) => {
                state.take(&Where::of(packet), ip, dated, &mut self.shared, out);
            }
            None => state.held = Some(Held::of(packet)),
        }
        self.dues.set(shard, state.next_due());
    }

    /// Evicts the idlest flows while there is no room for those that a packet may open.
    fn make_room(&mut self, out: &mut Out<'_>) {
        while self.shared.table.room() < FLOWS_OPENED_MAX {
            let Some(slot) = self.shared.table.idlest() else {
                return;
            };
            let Some(shard) = self.shared.table.get(slot).map(|flow| flow.shard) else {
                return;
            };
            if let Some(state) = self.shards.get_mut(usize::from(shard)) {
                let at = state.clock.running().unwrap_or_default();
                self.shared.pools.tally.flows_evicted += 1;
                state.close(slot, at, Flaws::EVICTED, &mut self.shared, out);
                self.dues.set(Shard(shard), state.next_due());
            }
        }
    }

    /// Nothing before `to` will come any more: due timers of all shards fire, in the order of
    /// their deadlines.
    pub fn advance(&mut self, to: Time, out: &mut impl FnMut(&Observation<'_>)) {
        self.advance_ranked(to, &mut |_, told| out(told));
    }

    /// The same, for a lane among others: what is told comes with its rank.
    pub fn advance_ranked(&mut self, to: Time, out: &mut impl FnMut(Rank, &Observation<'_>)) {
        self.ticked = self.ticked.max(Some(to));
        while let Some((at, shard)) = self.dues.first(to) {
            let Some(state) = self.shards.get_mut(usize::from(shard.0)) else { return };
            let rank = Rank { step: Step::Due, at, shard };
            state.advance(at, &mut self.shared, &mut |told| out(rank, told));
            self.dues.set(shard, state.next_due());
        }
    }

    /// [`Self::packet`], for a lane among others.
    pub fn packet_ranked(
        &mut self,
        packet: Packet<'_>,
        out: &mut impl FnMut(Rank, &Observation<'_>),
    ) {
        // Only one lane takes it.
        let rank = Rank { step: Step::Packet, at: Time(0), shard: Shard(0) };
        self.packet(packet, &mut |told| out(rank, told));
    }

    /// Nothing will come any more: every flow is closed at the latest time that its shard knows,
    /// by its packets or by `advance`. Several lanes are advanced to the same time before.
    pub fn finish(&mut self, out: &mut impl FnMut(&Observation<'_>)) {
        self.finish_ranked(&mut |_, told| out(told));
    }

    /// The same, for a lane among others.
    pub fn finish_ranked(&mut self, out: &mut impl FnMut(Rank, &Observation<'_>)) {
        for (state, shard) in self.shards.iter_mut().zip((0..SHARD_COUNT).map(Shard)) {
            let known = state.clock.running().max(self.ticked);
            if let Some(held) = state.held.take() {
                let dated = state.clock.give_up(held.at, known);
                let rank = Rank { step: Step::GivenUp, at: Time(0), shard };
                state.release(&held, dated, &mut self.shared, &mut |told| out(rank, told));
            }
        }
        for (at, shard, _, slot) in self.open_flows() {
            let rank = Rank { step: Step::Closed, at, shard };
            if let Some(state) = self.shards.get_mut(usize::from(shard.0)) {
                let out = &mut |told: &Observation<'_>| out(rank, told);
                state.close(slot, at, Flaws::NONE, &mut self.shared, out);
            }
        }
    }

    /// All flows, by the time at which they are closed now, then by shard and age.
    fn open_flows(&self) -> Vec<(Time, Shard, u32, Slot)> {
        let table = &self.shared.table;
        let mut flows: Vec<_> = table
            .slots()
            .filter_map(|slot| {
                let flow = table.get(slot)?;
                let running = self.shards.get(usize::from(flow.shard))?.clock.running();
                let at = running.max(self.ticked).unwrap_or_default();
                Some((at, Shard(flow.shard), flow.serial, slot))
            })
            .collect();
        flows.sort_unstable();
        flows
    }

    /// What became of every packet so far.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.shared.pools.tally
    }

    /// Frames and bytes that this lane saw at `port`; those of all lanes add up to the port's.
    #[must_use]
    pub fn port_traffic(&self, port: PortId) -> PortTraffic {
        self.ports.traffic(port)
    }
}
