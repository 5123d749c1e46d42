//! Sockets with the cgroup and the process that own them, as kernel events tell them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;

use observation::{Endpoint, FlowKey, LocalSide, SocketOpened, SocketTuple, Time, Transport};
use serde::{Deserialize, Serialize};

use crate::fair::Fair;
use crate::index::Seed;
use crate::limits::Limits;

/// A socket event and the flow's first packet are at most this far apart.
const APART_MS_MAX: u64 = 5_000;
/// Sockets that one tuple or one destination remembers.
const SAME_COUNT_MAX: usize = 8;

/// Who owns a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SocketOwner {
    /// The cgroup v2 id; 0 when unknown.
    pub cgroup: u64,
    /// The process that asked for the connection.
    pub pid: Option<u32>,
    /// When it asked, or the first packet.
    pub at: Time,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Opened {
    at: Time,
    pid: u32,
    cgroup: u64,
    cookie: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Seen {
    at: Time,
    cookie: u64,
    cgroup: u64,
}

pub(crate) type Tuple = (Transport, Endpoint, Endpoint);

/// A tuple as three numbers, which are compared faster than its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct TupleKey(u64, u128, u128);

/// A cgroup and where it calls, as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct CallKey(u64, u128, u64);

impl TupleKey {
    fn of((transport, near, far): Tuple) -> Self {
        let (near_family, near_bits) = bits(near.address);
        let (far_family, far_bits) = bits(far.address);
        let ports = u64::from(near.port) << 16 | u64::from(far.port);
        let kind = number(transport) << 2 | near_family << 1 | far_family;
        Self(ports << 32 | kind, far_bits, near_bits)
    }
}

impl CallKey {
    fn of(transport: Transport, far: Endpoint, cgroup: u64) -> Self {
        let (family, far_bits) = bits(far.address);
        Self(u64::from(far.port) << 32 | number(transport) << 1 | family, far_bits, cgroup)
    }
}

fn bits(address: IpAddr) -> (u64, u128) {
    match address {
        IpAddr::V4(address) => (0, u128::from(address.to_bits())),
        IpAddr::V6(address) => (1, address.to_bits()),
    }
}

/// Tells transports apart: the known ones lie beyond what an IP protocol's number can be.
const fn number(transport: Transport) -> u64 {
    match transport {
        Transport::Other(number) => number as u64,
        Transport::Tcp => 256,
        Transport::Udp => 257,
        Transport::Icmp => 258,
    }
}

/// Tuples of one cgroup that are looked at again when it turns out to be a container's.
const PER_CGROUP_COUNT_MAX: usize = 64;

/// A neighbour that opens many sockets loses only his own: each cgroup is a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sockets {
    by_cookie: Fair<u64, u64, Opened>,
    by_tuple: Fair<u64, TupleKey, Vec<Seen>>,
    by_call: Fair<u64, CallKey, Vec<Opened>>,
    latest: Fair<(), u64, VecDeque<Tuple>>,
    evicted_count: u64,
}

impl Sockets {
    pub(super) fn new(limits: &Limits, seed: Seed) -> Self {
        Self {
            by_cookie: Fair::new(limits.socket_count_max, seed),
            by_tuple: Fair::new(limits.socket_count_max, seed),
            by_call: Fair::new(limits.socket_count_max, seed),
            latest: Fair::new(limits.container_count_max, seed),
            evicted_count: 0,
        }
    }

    pub(super) fn opened(&mut self, at: Time, fact: &SocketOpened) {
        let opened = Opened { at, pid: fact.pid, cgroup: fact.cgroup, cookie: fact.cookie };
        if let (Some(known), _) = self.by_cookie.entry(fact.cgroup, fact.cookie, || opened) {
            *known = opened;
        }
        let call = CallKey::of(fact.transport, fact.remote, fact.cgroup);
        let (Some(calls), _) = self.by_call.entry(fact.cgroup, call, Vec::new) else { return };
        if !calls.iter().any(|known| known.cookie == fact.cookie && known.at == at) {
            if calls.len() >= SAME_COUNT_MAX {
                calls.remove(0);
                self.evicted_count += 1;
            }
            calls.push(opened);
        }
    }

    pub(super) fn tuple(&mut self, at: Time, fact: &SocketTuple) {
        let seen = Seen { at, cookie: fact.cookie, cgroup: fact.cgroup };
        let tuple = (fact.transport, fact.local, fact.remote);
        if let (Some(all), _) = self.by_tuple.entry(fact.cgroup, TupleKey::of(tuple), Vec::new) {
            if all.len() >= SAME_COUNT_MAX {
                all.remove(0);
                self.evicted_count += 1;
            }
            all.push(seen);
        }
        if let (Some(latest), _) = self.latest.entry((), fact.cgroup, VecDeque::new) {
            if latest.len() >= PER_CGROUP_COUNT_MAX {
                latest.pop_front();
            }
            latest.push_back(tuple);
        }
    }

    /// The latest tuples of a cgroup.
    pub(super) fn tuples_of(&self, cgroup: u64) -> impl Iterator<Item = Tuple> {
        self.latest.get(&cgroup).into_iter().flatten().copied()
    }

    /// The socket at a flow's local side.
    pub(super) fn of_flow(
        &self,
        key: &FlowKey,
        local: LocalSide,
        opened: Time,
    ) -> Option<SocketOwner> {
        let (near, far) = match local {
            LocalSide::Responder => (key.responder, key.originator),
            LocalSide::Originator | LocalSide::Unknown => (key.originator, key.responder),
        };
        let all = self.by_tuple.get(&TupleKey::of((key.transport, near, far)))?;
        let seen = all.iter().min_by_key(|seen| apart(seen.at, opened))?;
        if apart(seen.at, opened) > APART_MS_MAX * 1_000_000 {
            return None;
        }
        let call = self.by_cookie.get(&seen.cookie).filter(|call| call.cookie == seen.cookie);
        Some(SocketOwner {
            cgroup: seen.cgroup,
            pid: call.map(|call| call.pid),
            at: call.map_or(seen.at, |call| call.at),
        })
    }

    /// Who of this cgroup called this destination at that time: the pid only where it was one.
    pub(super) fn callers(
        &self,
        cgroup: u64,
        transport: Transport,
        far: Endpoint,
        opened: Time,
    ) -> Option<(Option<u32>, Time)> {
        let key = CallKey::of(transport, far, cgroup);
        let calls = self.by_call.get(&key).filter(|_| cgroup != 0)?;
        let near = |call: &&Opened| apart(call.at, opened) <= APART_MS_MAX * 1_000_000;
        let mut near_calls = calls.iter().filter(near);
        let first = near_calls.next()?;
        let is_one = near_calls.all(|call| call.pid == first.pid);
        Some((is_one.then_some(first.pid), first.at))
    }

    pub(super) const fn evicted_count(&self) -> u64 {
        self.by_cookie.evicted_count()
            + self.by_tuple.evicted_count()
            + self.by_call.evicted_count()
            + self.latest.evicted_count()
            + self.evicted_count
    }
}

const fn apart(one: Time, other: Time) -> u64 {
    one.0.abs_diff(other.0)
}
