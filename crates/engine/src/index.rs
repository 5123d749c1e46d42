//! Where things lie, by hash. The hash is keyed: who chooses ids and addresses cannot choose
//! collisions.

use core::hash::{BuildHasher as _, Hash};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

/// What the hashes are keyed with: secret where input may be hostile, fixed in replay. It decides
/// where things lie and never what is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seed(pub u64);

impl Seed {
    pub(crate) const fn state(self) -> FixedState {
        FixedState::with_seed(self.0)
    }

    pub(crate) fn of(self, key: &impl Hash) -> u64 {
        self.state().hash_one(key)
    }
}

/// Numbers of slots; whether one is what is looked for, its owner can tell. Of each hash as much is
/// kept as tells nearly all of them apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    table: HashTable<(u32, u32)>,
}

/// Where an entry lies: a table takes its place from the low bits and its tag from the high ones.
fn spread(kept: u32) -> u64 {
    u64::from(kept) << 32 | u64::from(kept)
}

/// What is kept of a hash.
const fn kept(hash: u64) -> u32 {
    (hash ^ (hash >> 32)) as u32
}

impl Index {
    /// The first that is the one.
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let kept = kept(hash);
        let is_it = |(known, number): &(u32, u32)| *known == kept && is_it(*number);
        self.table.find(spread(kept), is_it).map(|(_, number)| *number)
    }

    /// All that may have this hash, in no order.
    pub(crate) fn all(&self, hash: u64) -> impl Iterator<Item = u32> {
        let kept = kept(hash);
        let entries = self.table.iter_hash(spread(kept));
        entries.filter(move |(known, _)| *known == kept).map(|(_, number)| *number)
    }

    pub(crate) fn insert(&mut self, hash: u64, number: u32) {
        let kept = kept(hash);
        self.table.insert_unique(spread(kept), (kept, number), |(kept, _)| spread(*kept));
    }

    pub(crate) fn remove(&mut self, hash: u64, number: u32) {
        let is_it = |(_, known): &(u32, u32)| *known == number;
        if let Ok(entry) = self.table.find_entry(spread(kept(hash)), is_it) {
            entry.remove();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}
