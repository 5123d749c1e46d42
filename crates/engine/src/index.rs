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

/// Numbers of slots; whether one is what is looked for, its owner can tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    table: HashTable<(u64, u32)>,
}

impl Index {
    /// The first that is the one.
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let found = self.table.find(hash, |(known, number)| *known == hash && is_it(*number));
        found.map(|(_, number)| *number)
    }

    /// All with this hash, in no order.
    pub(crate) fn all(&self, hash: u64) -> impl Iterator<Item = u32> {
        let entries = self.table.iter_hash(hash);
        entries.filter(move |(known, _)| *known == hash).map(|(_, number)| *number)
    }

    pub(crate) fn insert(&mut self, hash: u64, number: u32) {
        self.table.insert_unique(hash, (hash, number), |(hash, _)| *hash);
    }

    pub(crate) fn remove(&mut self, hash: u64, number: u32) {
        if let Ok(entry) = self.table.find_entry(hash, |(_, known)| *known == number) {
            entry.remove();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}
