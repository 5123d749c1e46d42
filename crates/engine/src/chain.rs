//! Who came after whom: slots of a table, which it numbers, in the order in which they came. One
//! can be taken out of the middle.

use serde::{Deserialize, Serialize};

/// The number of no slot.
pub(crate) const NONE: u32 = u32::MAX;

/// A slot's neighbours.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Links {
    pub older: u32,
    pub newer: u32,
}

impl Links {
    /// Of a slot that is in no chain.
    pub(crate) const NOBODY: Self = Self { older: NONE, newer: NONE };
}

/// A chain's ends, and how long it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    pub oldest: u32,
    pub newest: u32,
    pub count: u32,
}

/// Slots that know their neighbours.
pub(crate) trait Linked {
    fn links(&mut self, number: u32) -> Option<&mut Links>;
}

impl Chain {
    pub(crate) const EMPTY: Self = Self { oldest: NONE, newest: NONE, count: 0 };

    /// Adds a slot as the newest.
    pub(crate) fn append(&mut self, number: u32, slots: &mut (impl Linked + ?Sized)) {
        let links = Links { older: self.newest, newer: NONE };
        if let Some(before) = slots.links(links.older) {
            before.newer = number;
        }
        if let Some(own) = slots.links(number) {
            *own = links;
        }
        self.restore(number, links);
    }

    /// Counts a slot in that knows its neighbours already, in any order.
    pub(crate) const fn restore(&mut self, number: u32, links: Links) {
        self.count += 1;
        if links.older == NONE {
            self.oldest = number;
        }
        if links.newer == NONE {
            self.newest = number;
        }
    }

    /// Takes a slot out.
    pub(crate) fn unlink(&mut self, number: u32, slots: &mut (impl Linked + ?Sized)) {
        let Some(own) = slots.links(number) else { return };
        let Links { older, newer } = core::mem::replace(own, Links::NOBODY);
        if let Some(before) = slots.links(older) {
            before.newer = newer;
        }
        if let Some(after) = slots.links(newer) {
            after.older = older;
        }
        if self.newest == number {
            self.newest = older;
        }
        if self.oldest == number {
            self.oldest = newer;
        }
        self.count = self.count.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    impl Linked for [Links] {
        fn links(&mut self, number: u32) -> Option<&mut Links> {
            self.get_mut(number as usize)
        }
    }

    fn order(chain: Chain, slots: &[Links]) -> Vec<u32> {
        let first = (chain.oldest != NONE).then_some(chain.oldest);
        let next = |number: &u32| Some(slots[*number as usize].newer).filter(|next| *next != NONE);
        core::iter::successors(first, next).collect()
    }

    #[test]
    fn whoever_is_taken_out_leaves_no_gap() {
        let mut slots = vec![Links::NOBODY; 4];
        let mut chain = Chain::EMPTY;
        for number in [2, 0, 3, 1] {
            chain.append(number, &mut *slots);
        }
        assert_eq!(order(chain, &slots), [2, 0, 3, 1]);
        for (gone, left) in [(3, vec![2, 0, 1]), (2, vec![0, 1]), (1, vec![0]), (0, vec![])] {
            chain.unlink(gone, &mut *slots);
            assert_eq!((order(chain, &slots), chain.count as usize), (left.clone(), left.len()));
        }
        chain.append(3, &mut *slots);
        assert_eq!((chain.oldest, chain.newest, chain.count), (3, 3, 1));
    }

    #[test]
    fn a_chain_is_restored_from_its_slots() {
        let mut slots = vec![Links::NOBODY; 3];
        let mut chain = Chain::EMPTY;
        (0..3).for_each(|number| chain.append(number, &mut *slots));
        let mut restored = Chain::EMPTY;
        for number in [1, 2, 0] {
            restored.restore(number, slots[number as usize]);
        }
        assert_eq!((restored.oldest, restored.newest, restored.count), (0, 2, 3));
    }
}
