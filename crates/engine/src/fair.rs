//! A map with a limit in which everybody may fill only his own share: what a group adds too much
//! goes at the expense of the group that has the most, its oldest entry first.
//!
//! It is ordered by key, so nothing that is computed from it depends on a hash seed.

use alloc::collections::btree_map::Entry as MapEntry;
use alloc::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Fair<G: Ord, K: Ord, V> {
    entries: BTreeMap<K, Entry<G, V>>,
    /// The entries of each group by age.
    groups: Groups<G, K>,
    /// Groups by their size, in steps: who has some entries more than another is as good as equal.
    by_size: BTreeSet<(usize, G)>,
    next_age: u64,
    count_max: usize,
    evicted_count: u64,
}

/// Sizes are told apart in so many steps.
const SIZE_STEPS: usize = 256;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry<G, V> {
    group: G,
    age: u64,
    value: V,
}

impl<G: Ord + Copy, K: Ord + Clone, V> Fair<G, K, V> {
    pub(crate) const fn new(count_max: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            groups: BTreeMap::new(),
            by_size: BTreeSet::new(),
            next_age: 0,
            count_max,
            evicted_count: 0,
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// The entry of `key`, made for `group` if absent. Gives what had to go for it.
    pub(crate) fn entry(
        &mut self,
        group: G,
        key: K,
        make: impl FnOnce() -> V,
    ) -> (Option<&mut V>, Option<(K, V)>) {
        let has_room = self.entries.len() < self.count_max || self.entries.contains_key(&key);
        let evicted = if has_room { None } else { self.evict() };
        let Self { entries, groups, by_size, next_age, count_max, .. } = self;
        // Mostly it is there, and one search is enough.
        let entry = match entries.entry(key) {
            MapEntry::Occupied(known) => known.into_mut(),
            MapEntry::Vacant(room) => {
                let age = *next_age;
                *next_age += 1;
                let key = room.key().clone();
                resize((groups, by_size), *count_max, group, |all| all.insert(age, key));
                room.insert(Entry { group, age, value: make() })
            }
        };
        (Some(&mut entry.value), evicted)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        let sizes = (&mut self.groups, &mut self.by_size);
        resize(sizes, self.count_max, entry.group, |all| all.remove(&entry.age));
        Some(entry.value)
    }

    /// All entries in the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.value))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) const fn evicted_count(&self) -> u64 {
        self.evicted_count
    }

    fn evict(&mut self) -> Option<(K, V)> {
        let (_, group) = *self.by_size.last()?;
        let (_, key) = self.groups.get(&group)?.first_key_value()?;
        let key = key.clone();
        let value = self.remove(&key)?;
        self.evicted_count += 1;
        Some((key, value))
    }
}

type Groups<G, K> = BTreeMap<G, BTreeMap<u64, K>>;

/// Changes the entries of a group, and keeps its size in step.
fn resize<G: Ord + Copy, K, R>(
    (groups, by_size): (&mut Groups<G, K>, &mut BTreeSet<(usize, G)>),
    count_max: usize,
    group: G,
    change: impl FnOnce(&mut BTreeMap<u64, K>) -> R,
) {
    let step = count_max / SIZE_STEPS + 1;
    let entries = groups.entry(group).or_default();
    let before = (!entries.is_empty()).then(|| entries.len() / step);
    change(entries);
    let after = (!entries.is_empty()).then(|| entries.len() / step);
    if after.is_none() {
        groups.remove(&group);
    }
    if before == after {
        return;
    }
    if let Some(size) = before {
        by_size.remove(&(size, group));
    }
    by_size.extend(after.map(|size| (size, group)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_floods_loses_his_own() {
        let mut map = Fair::new(4);
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
        let mut map = Fair::new(1);
        map.entry((), 1, || 1);
        let (value, evicted) = map.entry((), 1, || 2);
        assert_eq!((value.copied(), evicted), (Some(1), None));
        assert_eq!(map.remove(&1), Some(1));
        assert_eq!(map.evicted_count(), 0);
    }
}
