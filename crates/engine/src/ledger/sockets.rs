//! Sockets with the cgroup and the process that own them, as kernel events tell them.

use alloc::vec::Vec;

use observation::{Endpoint, FlowKey, LocalSide, SocketOpened, SocketTuple, Time, Transport};
use serde::{Deserialize, Serialize};

use crate::bounded::Bounded;
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

type Tuple = (Transport, Endpoint, Endpoint);
type Call = (Transport, Endpoint, u64);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sockets {
    by_cookie: Bounded<u64, Opened>,
    by_tuple: Bounded<Tuple, Vec<Seen>>,
    by_call: Bounded<Call, Vec<Opened>>,
}

impl Sockets {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            by_cookie: Bounded::new(limits.socket_count_max),
            by_tuple: Bounded::new(limits.socket_count_max),
            by_call: Bounded::new(limits.socket_count_max),
        }
    }

    pub(super) fn opened(&mut self, at: Time, fact: &SocketOpened) {
        let opened = Opened { at, pid: fact.pid, cgroup: fact.cgroup, cookie: fact.cookie };
        *self.by_cookie.entry(fact.cookie, || opened).0 = opened;
        let call = (fact.transport, fact.remote, fact.cgroup);
        let (calls, _) = self.by_call.entry(call, Vec::new);
        if !calls.iter().any(|known| known.cookie == fact.cookie && known.at == at) {
            if calls.len() >= SAME_COUNT_MAX {
                calls.remove(0);
            }
            calls.push(opened);
        }
    }

    pub(super) fn tuple(&mut self, at: Time, fact: &SocketTuple) {
        let seen = Seen { at, cookie: fact.cookie, cgroup: fact.cgroup };
        let (all, _) = self.by_tuple.entry((fact.transport, fact.local, fact.remote), Vec::new);
        if all.len() >= SAME_COUNT_MAX {
            all.remove(0);
        }
        all.push(seen);
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
        let all = self.by_tuple.get(&(key.transport, near, far))?;
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

    /// The only process of this cgroup that called this destination at that time.
    pub(super) fn only_caller(
        &self,
        cgroup: u64,
        transport: Transport,
        far: Endpoint,
        opened: Time,
    ) -> Option<(u32, Time)> {
        if cgroup == 0 {
            return None;
        }
        let calls = self.by_call.get(&(transport, far, cgroup))?;
        let near = |call: &&Opened| apart(call.at, opened) <= APART_MS_MAX * 1_000_000;
        let mut near_calls = calls.iter().filter(near);
        let first = near_calls.next()?;
        near_calls.all(|call| call.pid == first.pid).then_some((first.pid, first.at))
    }

    pub(super) const fn evicted_count(&self) -> u64 {
        self.by_cookie.evicted_count()
            + self.by_tuple.evicted_count()
            + self.by_call.evicted_count()
    }
}

const fn apart(one: Time, other: Time) -> u64 {
    one.0.abs_diff(other.0)
}
