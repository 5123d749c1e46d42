//! How many profiles an owner may have: his lists, and which has to go when one comes.

use alloc::boxed::Box;

use super::{Profiles, Slot};
use crate::chain::{Chain, Linked, Links};
use crate::ledger::Owner;

type Slots = [Option<Box<Slot>>];

impl Linked for Slots {
    fn links(&mut self, number: u32) -> Option<&mut Links> {
        Some(&mut self.get_mut(number as usize)?.as_mut()?.links)
    }
}

/// Owners are told apart by how many channels they have, in steps.
pub(super) const SIZE_STEP: u32 = 16;

/// The profiles of one owner: those of few calls, and others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owned {
    pub(super) young: Chain,
    pub(super) grown: Chain,
}

const NOTHING: Owned = Owned { young: Chain::EMPTY, grown: Chain::EMPTY };

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
        self.change(owner, age, |list, slots| list.append(number, slots));
    }

    pub(super) fn unlink(&mut self, number: u32, owner: Owner, age: Age) {
        self.change(owner, age, |list, slots| list.unlink(number, slots));
    }

    /// Counts a profile in that knows its neighbours.
    pub(super) fn restore(&mut self, number: u32) {
        let Some(slot) = self.slot(number) else { return };
        let (owner, age, links) = (slot.key.owner, Age::of(slot), slot.links);
        self.change(owner, age, |list, _| list.restore(number, links));
    }

    /// Changes one of an owner's lists, and keeps his size in step.
    fn change(&mut self, owner: Owner, age: Age, change: impl FnOnce(&mut Chain, &mut Slots)) {
        let owned = self.owners.entry(owner).or_insert(NOTHING);
        let before = owned.step();
        change(owned.list(age), &mut self.slots);
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

    const fn list(&mut self, age: Age) -> &mut Chain {
        match age {
            Age::Young => &mut self.young,
            Age::Grown => &mut self.grown,
        }
    }
}
