//! How many flows a place may have: its lists, and who has to go when one comes.

use super::{Flows, Handle, Keep};
use crate::ledger::Place;

impl Flows {
    /// A place that has too many flows loses its own oldest one; else whoever has the most.
    pub(super) fn make_room(&mut self, place: Place) {
        let own = self.places.get(place).loose;
        let victim = if own.count as usize >= self.flow_per_place_count_max {
            self.handle(own.oldest)
        } else if self.by_id.len() >= self.flow_count_max {
            self.first_to_fade().or_else(|| self.oldest_of_the_busiest())
        } else {
            return;
        };
        if let Some(victim) = victim {
            self.forget(victim);
            self.evicted_count += 1;
        }
    }

    fn first_to_fade(&mut self) -> Option<Handle> {
        while let Some(handle) = self.fading.take_first() {
            if self.get(handle).is_some_and(|flow| flow.keep != Keep::Held) {
                return Some(handle);
            }
        }
        None
    }

    fn oldest_of_the_busiest(&mut self) -> Option<Handle> {
        let busiest = self.places.busiest()?;
        let list = if busiest.loose.count > 0 { busiest.loose } else { busiest.held };
        self.handle(list.oldest)
    }

    /// Flows that a channel holds.
    pub(crate) const fn held_count(&self) -> usize {
        self.held_count
    }

    pub(super) fn append(&mut self, place: Place, number: u32, keep: Keep) {
        self.held_count += usize::from(keep == Keep::Held);
        self.places.list(place, keep).append(number, self.slots.as_mut_slice());
    }

    pub(super) fn unlink(&mut self, place: Place, number: u32, keep: Keep) {
        self.held_count -= usize::from(keep == Keep::Held);
        let list = self.places.list(place, keep);
        list.unlink(number, self.slots.as_mut_slice());
        if list.count == 0 {
            self.places.leave(place);
        }
    }
}
