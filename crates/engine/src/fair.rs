//! A map with a limit in which everybody may fill only his own share: what a group adds too much
//! goes at the expense of the group that has the most, its oldest entry first.
//!
//! It is ordered by key, so nothing that is computed from it depends on a hash seed.

use alloc::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Fair<G: Ord, K: Ord, V> {
    entries: BTreeMap<K, Entry<G, V>>,
    /// The entries of each group by age.
    groups: BTreeMap<G, BTreeMap<u64, K>>,
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
        // Mostly it is there, and one search is enough.
        if self.entries.contains_key(&key) {
            return (self.get_mut(&key), None);
        }
        let evicted = if self.entries.len() >= self.count_max { self.evict() } else { None };
        let age = self.next_age;
        self.next_age += 1;
        self.resize(group, |entries| entries.insert(age, key.clone()));
        let fresh = Entry { group, age, value: make() };
        let entry = self.entries.entry(key).or_insert(fresh);
        (Some(&mut entry.value), evicted)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.resize(entry.group, |entries| entries.remove(&entry.age));
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

    fn resize<R>(&mut self, group: G, change: impl FnOnce(&mut BTreeMap<u64, K>) -> R) {
        let step = self.count_max / SIZE_STEPS + 1;
        let entries = self.groups.entry(group).or_default();
        let before = (!entries.is_empty()).then(|| entries.len() / step);
        change(entries);
        let after = (!entries.is_empty()).then(|| entries.len() / step);
        if after.is_none() {
            self.groups.remove(&group);
        }
        if before == after {
            return;
        }
        if let Some(size) = before {
            self.by_size.remove(&(size, group));
        }
        self.by_size.extend(after.map(|size| (size, group)));
    }
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
