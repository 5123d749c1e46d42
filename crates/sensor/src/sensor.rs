//! The sensor of one lane: packets in, Observations out.
//!
//! Its 64 shards are independent of each other: each has its own clock, timers and fragments.
//! So neither the number of lanes nor the order of packets of different shards can change what is
//! told, only when it is told.

use alloc::vec::Vec;

use observation::{Flaws, Observation, PortId, PortTraffic, Time};

use crate::clock;
use crate::decode::{self, Ip};
use crate::flow::{HeadPool, Out, Pools, Quota, SamplePool, Table};
use crate::ports::Ports;
use crate::shard::{SHARD_COUNT, of_pair};
use crate::shard_state::{Held, ShardState, Shared, Where};
use crate::{Lane, Limits, Packet, Shard, Tally};

/// A packet opens one flow, and may release a held one that opens another.
const FLOWS_OPENED_MAX: u32 = 2;

/// One lane's sensor.
#[derive(Debug)]
pub struct Sensor {
    lane: Lane,
    shards: Vec<ShardState>,
    shared: Shared,
    ports: Ports,
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
                },
            },
            ports: Ports::new(seed, limits.port_count_max),
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
            }
        }
    }

    /// Nothing before `to` will come any more: due timers of all shards fire, in the order of
    /// their deadlines.
    pub fn advance(&mut self, to: Time, out: &mut impl FnMut(&Observation<'_>)) {
        self.ticked = self.ticked.max(Some(to));
        for state in &mut self.shards {
            if let Some(held) = state.held.take_if(|held| held.at <= to) {
                let dated = state.clock.believe(held.at);
                state.release(&held, dated, &mut self.shared, out);
            }
        }
        while let Some((next, until)) = self.next_shard(to) {
            if let Some(state) = self.shards.get_mut(next) {
                state.fire(until, &mut self.shared, out);
            }
        }
    }

    /// The shard whose timer is due first, and until when it stays the first.
    fn next_shard(&self, to: Time) -> Option<(usize, Time)> {
        let (mut first, mut second) = ((Time::NEVER, 0), Time::NEVER);
        for (at, state) in self.shards.iter().enumerate() {
            let due = state.next_due();
            if due < first.0 {
                second = first.0;
                first = (due, at);
            } else {
                second = second.min(due);
            }
        }
        (first.0 <= to && first.0 < Time::NEVER).then_some((first.1, second.min(to)))
    }

    /// Nothing will come any more: every flow is closed at the latest time that its shard knows,
    /// by its packets or by `advance`. Several lanes are advanced to the same time before.
    pub fn finish(&mut self, out: &mut impl FnMut(&Observation<'_>)) {
        for state in &mut self.shards {
            let known = state.clock.running().max(self.ticked);
            if let Some(held) = state.held.take() {
                let dated = state.clock.give_up(held.at, known);
                state.release(&held, dated, &mut self.shared, out);
            }
        }
        for slot in self.shared.table.slots() {
            let Some(shard) = self.shared.table.get(slot).map(|flow| flow.shard) else {
                continue;
            };
            if let Some(state) = self.shards.get_mut(usize::from(shard)) {
                let at = state.clock.running().max(self.ticked).unwrap_or_default();
                state.close(slot, at, Flaws::NONE, &mut self.shared, out);
            }
        }
    }

    /// What became of every packet so far.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.shared.pools.tally
    }

    /// The latest packet time that this lane believes. With packets in order, nothing earlier
    /// follows: a dispatcher takes the `watermark` of its lanes for the next `advance`.
    #[must_use]
    pub fn now(&self) -> Time {
        clock::watermark(self.shards.iter().filter_map(|state| state.clock.running()))
    }

    /// Frames and bytes that this lane saw at `port`; those of all lanes add up to the port's.
    #[must_use]
    pub fn port_traffic(&self, port: PortId) -> PortTraffic {
        self.ports.traffic(port)
    }
}
