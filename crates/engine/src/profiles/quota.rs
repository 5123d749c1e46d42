//! How many profiles an owner may have: his lists, and which has to go when one comes.

use super::{NONE, Profiles, Slot};
use crate::ledger::Owner;

/// Owners are told apart by how many channels they have, in steps.
pub(super) const SIZE_STEP: u32 = 16;

/// The profiles of one owner: those of few calls, and others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owned {
    pub(super) young: List,
    pub(super) grown: List,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) oldest: u32,
    newest: u32,
    count: u32,
}

const EMPTY: List = List { oldest: NONE, newest: NONE, count: 0 };
const NOTHING: Owned = Owned { young: EMPTY, grown: EMPTY };

impl Profiles {
    /// An owner with too many loses his own oldest of few calls; else whoever has the most.
    pub(super) fn make_room(&mut self, owner: Owner) {
        let count = self.owners.get(&owner).map_or(0, |owned| owned.count());
        let victim = if count >= self.per_owner_count_max {
            Some(owner)
        } else if self.slots.len() - self.free.len() >= self.profile_count_max {
            self.by_size.last().map(|(_, owner)| *owner)
        } else {
            return;
        };
        let Some(owned) = victim.and_then(|owner| self.owners.get(&owner)) else { return };
        let oldest = if owned.young.count > 0 { owned.young.oldest } else { owned.grown.oldest };
        self.remove(oldest);
        self.evicted_count += 1;
    }

    pub(super) fn append(&mut self, number: u32, owner: Owner, age: Age) {
        let owned = self.owners.entry(owner).or_insert(NOTHING);
        let before = owned.step();
        let list = owned.list(age);
        let newest = core::mem::replace(&mut list.newest, number);
        if newest == NONE {
            list.oldest = number;
        }
        list.count += 1;
        let after = owned.step();
        if let Some(slot) = self.slot_mut(newest) {
            slot.newer = number;
        }
        if let Some(slot) = self.slot_mut(number) {
            (slot.older, slot.newer) = (newest, NONE);
        }
        self.resize(owner, before, after);
    }

    /// Counts a profile in that knows its neighbours.
    pub(super) fn relist(&mut self, number: u32, owner: Owner) {
        let Some(slot) = self.slot(number) else { return };
        let (age, is_oldest, is_newest) = (Age::of(slot), slot.older == NONE, slot.newer == NONE);
        let owned = self.owners.entry(owner).or_insert(NOTHING);
        let before = owned.step();
        let list = owned.list(age);
        list.count += 1;
        if is_oldest {
            list.oldest = number;
        }
        if is_newest {
            list.newest = number;
        }
        let after = owned.step();
        self.resize(owner, before, after);
    }

    pub(super) fn unlink(&mut self, number: u32, owner: Owner, age: Age) {
        let Some(slot) = self.slot(number) else { return };
        let (older, newer) = (slot.older, slot.newer);
        if let Some(slot) = self.slot_mut(older) {
            slot.newer = newer;
        }
        if let Some(slot) = self.slot_mut(newer) {
            slot.older = older;
        }
        let Some(owned) = self.owners.get_mut(&owner) else { return };
        let before = owned.step();
        let list = owned.list(age);
        if list.newest == number {
            list.newest = older;
        }
        if list.oldest == number {
            list.oldest = newer;
        }
        list.count = list.count.saturating_sub(1);
        let after = owned.step();
        if owned.count() == 0 {
            self.owners.remove(&owner);
        }
        self.resize(owner, before, after);
    }

    fn resize(&mut self, owner: Owner, before: Option<u32>, after: Option<u32>) {
        if before != after {
            if let Some(size) = before {
                self.by_size.remove(&(size, owner));
            }
            self.by_size.extend(after.map(|size| (size, owner)));
        }
    }
}

/// In which of an owner's lists a profile is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Young,
    Grown,
}

impl Age {
    pub(super) const fn of(slot: &Slot) -> Self {
        if slot.is_grown { Self::Grown } else { Self::Young }
    }
}

impl Owned {
    pub(super) const fn count(&self) -> u32 {
        self.young.count + self.grown.count
    }

    fn step(&self) -> Option<u32> {
        (self.count() > 0).then(|| self.count() / SIZE_STEP)
    }

    const fn list(&mut self, age: Age) -> &mut List {
        match age {
            Age::Young => &mut self.young,
            Age::Grown => &mut self.grown,
        }
    }
}
