//! Who else goes there: other workloads, and the replicas of the same one.

use alloc::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{GROWN_COUNT, ProfileKey, Profiles};
use crate::ledger::{Ledger, Owner, Workload};

/// So many callers of one far end are looked at; beyond it a destination is simply common.
const CALLER_COUNT_MAX: usize = 512;
/// So many other workloads are told apart.
const OTHER_COUNT_MAX: usize = 64;
/// Of fewer workloads each goes somewhere where no other goes.
const COMPARABLE_COUNT_MIN: u32 = 4;
/// So many replicas make a habit, if they are most of all.
const REPLICA_COUNT_MIN: u32 = 3;

/// How common a destination is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shared {
    /// Other workloads that go there; of unnamed endpoints each is one of its own.
    pub other_count: u32,
    /// All workloads that were seen to go anywhere.
    pub workload_total: u32,
    /// Replicas that go there again and again, this one included.
    pub replica_count: u32,
    /// All replicas of the workload.
    pub replica_total: u32,
}

impl Shared {
    /// Most workloads go there: it is infrastructure.
    pub(crate) const fn is_common(self) -> bool {
        self.other_count >= 2 && (self.other_count + 1) * 2 >= self.workload_total
    }

    /// No other workload goes there.
    pub(crate) const fn is_own(self) -> bool {
        self.other_count == 0
    }

    /// There are enough others for it to mean something that none of them goes there.
    pub(crate) const fn is_comparable(self) -> bool {
        self.workload_total >= COMPARABLE_COUNT_MIN
    }

    /// Hardly any other workload goes there.
    pub(crate) const fn is_rare(self) -> bool {
        self.other_count <= 2 && (self.other_count + 1) * 4 < self.workload_total
    }

    /// Most replicas of the workload do it, each by itself: it is what the workload does.
    pub(crate) const fn is_habit(self) -> bool {
        self.replica_count >= REPLICA_COUNT_MIN && self.replica_count * 4 >= self.replica_total * 3
    }

    /// Both of two replicas do it.
    pub(crate) const fn is_pair(self) -> bool {
        self.replica_count == 2 && self.replica_total == 2
    }
}

/// Who a caller is among others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Workload(Workload),
    Other(Owner),
}

fn who(ledger: &Ledger, owner: Owner) -> Who {
    let Owner::Container(id) = owner else { return Who::Other(owner) };
    match ledger.container(&id).filter(|container| container.is_described()) {
        Some(container) => Who::Workload(container.workload()),
        None => Who::Other(owner),
    }
}

/// The workload of an owner that is known well enough to have replicas.
pub(super) fn workload(ledger: &Ledger, owner: Owner) -> Option<Workload> {
    match who(ledger, owner) {
        Who::Workload(workload) => Some(workload),
        Who::Other(_) => None,
    }
}

impl Profiles {
    /// How common the far end of a profile is among all.
    pub(crate) fn shared(&self, ledger: &Ledger, key: &ProfileKey) -> Shared {
        let own = who(ledger, key.owner);
        let mut others = BTreeSet::new();
        let mut replica_count = 0;
        for (caller, calls) in self.to(key.transport, key.far).take(CALLER_COUNT_MAX) {
            let is_alike = caller.manner == key.manner;
            let caller = who(ledger, caller.owner);
            if caller == own {
                replica_count += u32::from(is_alike && calls.count() >= GROWN_COUNT);
            } else if others.len() < OTHER_COUNT_MAX {
                others.insert(caller);
            }
        }
        let (replica_total, workload_total) = match own {
            Who::Workload(workload) => (ledger.replica_count(workload), ledger.workload_total()),
            Who::Other(_) => (1, u32::try_from(self.owners.len()).unwrap_or(u32::MAX)),
        };
        Shared {
            other_count: u32::try_from(others.len()).unwrap_or(u32::MAX),
            workload_total,
            replica_count,
            replica_total: replica_total.min(u32::try_from(CALLER_COUNT_MAX).unwrap_or(u32::MAX)),
        }
    }

    /// The profiles of one workload's containers that call a far end too rarely to be told alone.
    pub(super) fn passers_by(
        &self,
        ledger: &Ledger,
        key: &ProfileKey,
    ) -> impl Iterator<Item = (&ProfileKey, &super::Calls)> {
        let own = workload(ledger, key.owner);
        let all = self.to(key.transport, key.far).take(CALLER_COUNT_MAX);
        all.filter(move |(caller, calls)| {
            own.is_some()
                && (1..GROWN_COUNT).contains(&calls.count())
                && caller.manner == key.manner
                && workload(ledger, caller.owner) == own
        })
    }
}
