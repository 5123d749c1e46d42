//! A map with a limit in which everybody may fill only his own share: what a group adds too much
//! goes at the expense of the group that has the most, its oldest entry first.
//!
//! Where things lie depends on the hash seed, and what is told never does: [`Fair::iter`] is in the
//! order of the keys.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::hash::Hash;

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::chain::{Chain, Linked, Links, NONE};
use crate::index::{Index, Seed};

#[derive(Clone, Debug, Deserialize)]
#[serde(
    from = "Saved<G, K, V>",
    bound(deserialize = "G: Ord + Copy + Deserialize<'de>, K: Hash + Ord + Deserialize<'de>, \
                         V: Deserialize<'de>")
)]
pub(crate) struct Fair<G, K, V> {
    slots: Vec<Option<Slot<G, K, V>>>,
    free: Vec<u32>,
    by_key: Index,
    /// The entries of each group by age.
    groups: BTreeMap<G, Chain>,
    /// Groups by their size, in steps: who has some entries more than another is as good as equal.
    by_size: BTreeSet<(usize, G)>,
    seed: Seed,
    count_max: usize,
    evicted_count: u64,
}

/// Sizes are told apart in so many steps.
const SIZE_STEPS: usize = 256;

/// An entry, and its neighbours in its group.
#[derive(Clone, Debug)]
struct Slot<G, K, V> {
    group: G,
    key: K,
    value: V,
    links: Links,
}

impl<G, K, V> Linked for [Option<Slot<G, K, V>>] {
    fn links(&mut self, number: u32) -> Option<&mut Links> {
        Some(&mut self.get_mut(number as usize)?.as_mut()?.links)
    }
}

/// What is saved of [`Fair`]: its entries group by group, the oldest first.
#[derive(Deserialize)]
#[serde(rename = "Fair")]
struct Saved<G, K, V> {
    seed: Seed,
    count_max: usize,
    evicted_count: u64,
    entries: Vec<(G, K, V)>,
}

impl<G: Ord + Copy, K: Hash + Ord, V> From<Saved<G, K, V>> for Fair<G, K, V> {
    fn from(saved: Saved<G, K, V>) -> Self {
        let mut fair = Self::new(saved.count_max, saved.seed);
        fair.evicted_count = saved.evicted_count;
        for (group, key, value) in saved.entries {
            let hash = fair.seed.of(&key);
            fair.add(hash, (group, key, value));
        }
        fair
    }
}

impl<G: Ord + Serialize, K: Serialize, V: Serialize> Serialize for Fair<G, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut saved = serializer.serialize_struct("Fair", 4)?;
        saved.serialize_field("seed", &self.seed)?;
        saved.serialize_field("count_max", &self.count_max)?;
        saved.serialize_field("evicted_count", &self.evicted_count)?;
        let by_age = self.groups.values().flat_map(|group| self.of_group(*group));
        let entries: Vec<_> = by_age.map(|slot| (&slot.group, &slot.key, &slot.value)).collect();
        saved.serialize_field("entries", &entries)?;
        saved.end()
    }
}

impl<G, K, V> Fair<G, K, V> {
    fn of_group(&self, group: Chain) -> impl Iterator<Item = &Slot<G, K, V>> {
        core::iter::successors(self.slot(group.oldest), |slot| self.slot(slot.links.newer))
    }

    fn slot(&self, number: u32) -> Option<&Slot<G, K, V>> {
        self.slots.get(number as usize)?.as_ref()
    }

    fn slot_mut(&mut self, number: u32) -> Option<&mut Slot<G, K, V>> {
        self.slots.get_mut(number as usize)?.as_mut()
    }
}

impl<G: Ord + Copy, K: Hash + Ord, V> Fair<G, K, V> {
    pub(crate) fn new(count_max: usize, seed: Seed) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_key: Index::default(),
            groups: BTreeMap::new(),
            by_size: BTreeSet::new(),
            seed,
            count_max: count_max.min(NONE as usize - 1),
            evicted_count: 0,
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let number = self.find(self.seed.of(key), key)?;
        self.slot(number).map(|slot| &slot.value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let number = self.find(self.seed.of(key), key)?;
        self.slot_mut(number).map(|slot| &mut slot.value)
    }

    /// The entry of `key`, made for `group` if absent. Gives what had to go for it.
    pub(crate) fn entry(
        &mut self,
        group: G,
        key: K,
        make: impl FnOnce() -> V,
    ) -> (Option<&mut V>, Option<(K, V)>) {
        let hash = self.seed.of(&key);
        let (number, evicted) = match self.find(hash, &key) {
            Some(number) => (Some(number), None),
            None => {
                let evicted = if self.len() < self.count_max { None } else { self.evict() };
                (self.add(hash, (group, key, make())), evicted)
            }
        };
        let slot = number.and_then(|number| self.slot_mut(number));
        (slot.map(|slot| &mut slot.value), evicted)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let number = self.find(self.seed.of(key), key)?;
        self.take(number).map(|(_, value)| value)
    }

    /// All entries in the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let entries = self.slots.iter().flatten();
        let mut entries: Vec<_> = entries.map(|slot| (&slot.key, &slot.value)).collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        entries.into_iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(crate) const fn evicted_count(&self) -> u64 {
        self.evicted_count
    }

    fn find(&self, hash: u64, key: &K) -> Option<u32> {
        self.by_key.find(hash, |number| self.slot(number).is_some_and(|slot| slot.key == *key))
    }

    fn evict(&mut self) -> Option<(K, V)> {
        let (_, group) = *self.by_size.last()?;
        let oldest = self.groups.get(&group)?.oldest;
        let gone = self.take(oldest)?;
        self.evicted_count += 1;
        Some(gone)
    }

    fn add(&mut self, hash: u64, (group, key, value): (G, K, V)) -> Option<u32> {
        let number = match self.free.pop() {
            Some(number) => number,
            None => {
                self.slots.push(None);
                u32::try_from(self.slots.len() - 1).ok()?
            }
        };
        let slot = Slot { group, key, value, links: Links::NOBODY };
        *self.slots.get_mut(number as usize)? = Some(slot);
        self.change(group, |entries, slots| entries.append(number, slots));
        self.by_key.insert(hash, number);
        Some(number)
    }

    fn take(&mut self, number: u32) -> Option<(K, V)> {
        let group = self.slot(number)?.group;
        self.change(group, |entries, slots| entries.unlink(number, slots));
        let Slot { key, value, .. } = self.slots.get_mut(number as usize)?.take()?;
        self.free.push(number);
        self.by_key.remove(self.seed.of(&key), number);
        Some((key, value))
    }

    /// Changes the entries of a group, and keeps its size in step.
    fn change(&mut self, group: G, change: impl FnOnce(&mut Chain, &mut [Option<Slot<G, K, V>>])) {
        let entries = self.groups.entry(group).or_insert(Chain::EMPTY);
        let before = entries.count;
        change(entries, &mut self.slots);
        let after = entries.count;
        if after == 0 {
            self.groups.remove(&group);
        }
        self.resize(group, before, after);
    }

    /// A group has grown or shrunk.
    fn resize(&mut self, group: G, before: u32, after: u32) {
        let step = self.count_max / SIZE_STEPS + 1;
        let size = |count: u32| (count > 0).then_some(count as usize / step);
        if size(before) == size(after) {
            return;
        }
        if let Some(size) = size(before) {
            self.by_size.remove(&(size, group));
        }
        self.by_size.extend(size(after).map(|size| (size, group)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_floods_loses_his_own() {
        let mut map = Fair::new(4, Seed(7));
        map.entry("quiet", 1, || 10);
        for key in 100..200 {
            map.entry("loud", key, || key);
        }
        assert_eq!(map.get(&1), Some(&10));
        assert_eq!((map.get(&196), map.get(&199)), (None, Some(&199)));
        assert_eq!(map.evicted_count(), 97);
    }

    #[test]
    fn touching_an_entry_evicts_nothing() {
        let mut map = Fair::new(1, Seed(7));
        map.entry((), 1, || 1);
        let (value, evicted) = map.entry((), 1, || 2);
        assert_eq!((value.copied(), evicted), (Some(1), None));
        assert_eq!(map.remove(&1), Some(1));
        assert_eq!(map.evicted_count(), 0);
    }
}
