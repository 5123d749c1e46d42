//! How many different things there were, in bounded memory: exact for few, a Bloom filter for many.
//!
//! The hashes are keyed, since whoever could choose collisions could repeat himself unseen. A
//! collision makes the count too small, never too large.

use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// So many are told apart exactly.
const EXACT_COUNT_MAX: usize = 16;
/// Words of 64 bits of the filter behind.
const WORD_COUNT: usize = 64;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Distinct {
    exact: Vec<u64>,
    filter: Vec<u64>,
    count: u32,
}

/// Whether something was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    New,
    Before,
}

impl Distinct {
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn add(&mut self, hash: u64) -> Seen {
        if self.exact.contains(&hash) {
            return Seen::Before;
        }
        if self.filter.is_empty() && self.exact.len() < EXACT_COUNT_MAX {
            self.exact.push(hash);
            self.count += 1;
            return Seen::New;
        }
        if self.filter.is_empty() {
            self.filter = vec![0; WORD_COUNT];
        }
        let mut seen = Seen::Before;
        for part in [hash, hash >> 16, hash >> 32] {
            let bit = part % (WORD_COUNT as u64 * 64);
            let word = usize::try_from(bit / 64).unwrap_or_default();
            let mask = 1_u64 << (bit % 64);
            if let Some(word) = self.filter.get_mut(word) {
                if *word & mask == 0 {
                    seen = Seen::New;
                }
                *word |= mask;
            }
        }
        self.count = self.count.saturating_add(u32::from(seen == Seen::New));
        seen
    }
}

#[cfg(test)]
mod tests {
    use core::hash::BuildHasher as _;

    use super::*;

    #[test]
    fn what_is_said_again_is_not_new_and_hardly_anything_new_is_missed() {
        let state = foldhash::fast::FixedState::with_seed(1);
        let mut distinct = Distinct::default();
        for _ in 0..3 {
            for number in 0..400_u32 {
                distinct.add(state.hash_one(number));
            }
        }
        assert!((390..=400).contains(&distinct.count()), "{}", distinct.count());
    }
}
