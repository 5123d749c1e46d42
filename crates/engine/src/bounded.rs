//! A map that forgets its oldest entry rather than grow beyond its limit, and counts what it forgot.
//!
//! It is ordered by key, so nothing that is computed from it depends on a hash seed.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bounded<K: Ord, V> {
    entries: BTreeMap<K, (u64, V)>,
    by_age: BTreeMap<u64, K>,
    next_age: u64,
    count_max: usize,
    evicted_count: u64,
}

impl<K: Ord + Clone, V> Bounded<K, V> {
    pub(crate) const fn new(count_max: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            by_age: BTreeMap::new(),
            next_age: 0,
            count_max,
            evicted_count: 0,
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    /// The entry of `key`, made if absent. What had to go for it is given back.
    pub(crate) fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> (&mut V, Option<(K, V)>) {
        let evicted = if self.entries.contains_key(&key) { None } else { self.make_room() };
        let next_age = &mut self.next_age;
        let by_age = &mut self.by_age;
        let (_, value) = self.entries.entry(key.clone()).or_insert_with(|| {
            let age = *next_age;
            *next_age += 1;
            by_age.insert(age, key);
            (age, make())
        });
        (value, evicted)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let (age, value) = self.entries.remove(key)?;
        self.by_age.remove(&age);
        Some(value)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) const fn evicted_count(&self) -> u64 {
        self.evicted_count
    }

    fn make_room(&mut self) -> Option<(K, V)> {
        if self.entries.len() < self.count_max {
            return None;
        }
        let (_, oldest) = self.by_age.pop_first()?;
        let (_, value) = self.entries.remove(&oldest)?;
        self.evicted_count += 1;
        Some((oldest, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_and_is_counted() {
        let mut map = Bounded::new(2);
        for key in [7, 3, 5] {
            map.entry(key, || key * 10);
        }
        assert_eq!(map.get(&7), None);
        assert_eq!(map.get(&3), Some(&30));
        assert_eq!((map.len(), map.evicted_count()), (2, 1));
    }

    #[test]
    fn touching_an_entry_evicts_nothing() {
        let mut map = Bounded::new(1);
        map.entry(1, || 1);
        let (value, evicted) = map.entry(1, || 2);
        assert_eq!((*value, evicted), (1, None));
    }
}
