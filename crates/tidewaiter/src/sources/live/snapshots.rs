//! The latest description of each container, kept for a while after it is gone, so that evidence
//! has it whenever its alert opens.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use observation::{ContainerId, Time};

/// Descriptions kept; about 10 KB each.
const SNAPSHOT_COUNT_MAX: usize = 2000;
/// A longer description is not kept.
const SNAPSHOT_BYTES_MAX: usize = 256 * 1024;

/// What a runtime said of a container, and when.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// When the runtime was asked.
    pub(crate) at: Time,
    /// Its answer.
    pub(crate) json: Vec<u8>,
}

/// The descriptions, shared between threads.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: BTreeMap<ContainerId, Snapshot>,
    /// In order of their first description.
    order: VecDeque<ContainerId>,
}

impl Snapshots {
    /// Keeps the latest description.
    pub(crate) fn put(&self, id: ContainerId, at: Time, json: &[u8]) {
        if json.len() > SNAPSHOT_BYTES_MAX {
            return;
        }
        let mut inner = self.lock();
        let snapshot = Snapshot { at, json: json.to_vec() };
        if inner.by_id.insert(id, snapshot).is_none() {
            inner.order.push_back(id);
        }
        while inner.order.len() > SNAPSHOT_COUNT_MAX {
            let Some(oldest) = inner.order.pop_front() else { break };
            inner.by_id.remove(&oldest);
        }
    }

    /// The latest description.
    pub(crate) fn get(&self, id: ContainerId) -> Option<Snapshot> {
        self.lock().by_id.get(&id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_description_stays_and_the_oldest_container_goes() {
        let snapshots = Snapshots::default();
        let id = |n: usize| {
            ContainerId([
                n as u8,
                (n >> 8) as u8,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
            ])
        };
        snapshots.put(id(0), Time(1), b"{}");
        snapshots.put(id(0), Time(2), b"{\"a\":1}");
        assert_eq!(snapshots.get(id(0)).unwrap().json, b"{\"a\":1}");
        for n in 1..=SNAPSHOT_COUNT_MAX {
            snapshots.put(id(n), Time(3), b"{}");
        }
        assert!(snapshots.get(id(0)).is_none());
        assert!(snapshots.get(id(1)).is_some());
    }
}
