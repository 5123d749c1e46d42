//! The flows of each place, and the places at each port and address.

use alloc::collections::{BTreeSet, BinaryHeap};
use alloc::vec::Vec;
use core::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use observation::PortId;
use serde::{Deserialize, Serialize};

use crate::chain::Chain;
use crate::index::Seed;
use crate::ledger::{Place, Thing};

/// What a channel has made of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Keep {
    /// No channel has it.
    Loose,
    /// A channel holds it.
    Held,
    /// A channel has counted it and had no room to hold it; faint, when it said little by itself.
    Counted,
    CountedFaint,
}

/// The flows of one place in the order in which they came: those that a channel holds, and others.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtPlace {
    pub loose: Chain,
    pub held: Chain,
}

const NOBODY: AtPlace = AtPlace { loose: Chain::EMPTY, held: Chain::EMPTY };

impl AtPlace {
    const fn is_empty(&self) -> bool {
        self.loose.count == 0 && self.held.count == 0
    }
}

/// All places that have flows.
#[derive(Clone, Debug)]
pub(super) struct Places {
    lists: HashMap<Place, AtPlace, FixedState>,
    ports_of: BTreeSet<(IpAddr, PortId)>,
    addresses_at: BTreeSet<(PortId, IpAddr)>,
    /// Who has the most flows, as far as it was found out.
    relieved_next: Vec<Place>,
    /// Who had no flows any more: mostly he soon has some again.
    left: Vec<Place>,
}

/// So many are let go at once.
const LEFT_COUNT_MAX: usize = 1024;

/// Evictions that are planned at once.
const RANKED_COUNT_MAX: usize = 1024;

impl Default for Places {
    fn default() -> Self {
        Self::new(Seed::default())
    }
}

impl Places {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            lists: HashMap::with_hasher(seed.state()),
            ports_of: BTreeSet::new(),
            addresses_at: BTreeSet::new(),
            relieved_next: Vec::new(),
            left: Vec::new(),
        }
    }

    pub(super) fn get(&self, place: Place) -> AtPlace {
        self.lists.get(&place).copied().unwrap_or(NOBODY)
    }

    /// The list that holds such flows of a place, made if absent.
    pub(super) fn list(&mut self, place: Place, keep: Keep) -> &mut Chain {
        let (ports_of, addresses_at) = (&mut self.ports_of, &mut self.addresses_at);
        let lists = self.lists.entry(place).or_insert_with(|| {
            ports_of.insert((place.address, place.port));
            addresses_at.insert((place.port, place.address));
            NOBODY
        });
        match keep {
            Keep::Held => &mut lists.held,
            Keep::Loose | Keep::Counted | Keep::CountedFaint => &mut lists.loose,
        }
    }

    /// A place has no flows any more. It is forgotten when it is one of many.
    pub(super) fn leave(&mut self, place: Place) {
        self.left.push(place);
        if self.left.len() < LEFT_COUNT_MAX {
            return;
        }
        for place in core::mem::take(&mut self.left) {
            if self.get(place).is_empty() && self.lists.remove(&place).is_some() {
                self.ports_of.remove(&(place.address, place.port));
                self.addresses_at.remove(&(place.port, place.address));
            }
        }
    }

    /// The places at a port or an address, in their order.
    pub(super) fn of_thing(&self, thing: Thing) -> Vec<Place> {
        let has_flows = |place: &Place| !self.get(*place).is_empty();
        match thing {
            Thing::Port(port) => {
                let from = (port, IpAddr::from([0, 0, 0, 0]));
                let found = self.addresses_at.range(from..).take_while(|(at, _)| *at == port);
                let found = found.map(|(port, address)| Place { port: *port, address: *address });
                found.filter(has_flows).collect()
            }
            Thing::Address(address) => {
                let found = self.ports_of.range((address, PortId(0))..);
                let found = found.take_while(|(other, _)| *other == address);
                let found = found.map(|(address, port)| Place { port: *port, address: *address });
                found.filter(has_flows).collect()
            }
        }
    }

    /// The place with the most flows, which loses one for each time that it is named; of equals the
    /// last in their order.
    pub(super) fn busiest(&mut self) -> Option<AtPlace> {
        loop {
            if self.relieved_next.is_empty() {
                self.relieved_next = self.rank();
            }
            let place = self.relieved_next.pop()?;
            let lists = self.get(place);
            if !lists.is_empty() {
                return Some(lists);
            }
        }
    }

    /// Who loses a flow in the next evictions, the first one last. Finding it out costs a walk over
    /// all places, so it is done for many evictions at once: a flood from forged addresses makes as
    /// many places as flows.
    fn rank(&self) -> Vec<Place> {
        let weights = self.lists.iter().filter(|(_, lists)| !lists.is_empty());
        let weights = weights.map(|(place, lists)| {
            let (loose, held) = (lists.loose.count, lists.held.count);
            (loose, held, *place)
        });
        let mut most: BinaryHeap<_> = weights.collect();
        let mut ranked = Vec::new();
        while ranked.len() < RANKED_COUNT_MAX
            && let Some((loose, held, place)) = most.pop()
        {
            ranked.push(place);
            let left = if loose > 0 { (loose - 1, held) } else { (0, held.saturating_sub(1)) };
            if left != (0, 0) {
                most.push((left.0, left.1, place));
            }
        }
        ranked.reverse();
        ranked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(last: u8) -> Place {
        Place { port: PortId(u32::from(last)), address: IpAddr::from([10, 0, 0, last]) }
    }

    fn take(places: &mut Places, place: Place) {
        places.list(place, Keep::Loose).count -= 1;
        places.leave(place);
    }

    #[test]
    fn whoever_has_the_most_loses_first_however_many_are_planned_at_once() {
        let mut places = Places::new(Seed(7));
        for (last, count) in [(1, 1), (2, 4), (3, 3)] {
            places.list(place(last), Keep::Loose).count = count;
        }
        let mut counts = Vec::new();
        while let Some(busiest) = places.busiest() {
            counts.push(busiest.loose.count);
            let all = [1, 2, 3].map(place);
            let of = |place: &Place| places.get(*place).loose.count == busiest.loose.count;
            let named = all.into_iter().rev().find(of).unwrap();
            take(&mut places, named);
        }
        assert_eq!(counts, [4, 3, 3, 2, 2, 1, 1, 1]);
        assert!(places.of_thing(Thing::Port(PortId(2))).is_empty());
    }

    #[test]
    fn a_place_that_was_planned_for_and_is_empty_now_is_passed_over() {
        let mut places = Places::new(Seed(7));
        places.list(place(1), Keep::Loose).count = 2;
        places.list(place(2), Keep::Held).count = 1;
        assert_eq!(places.busiest().map(|lists| lists.loose.count), Some(2));
        take(&mut places, place(1));
        take(&mut places, place(1));
        assert_eq!(places.busiest().map(|lists| lists.held.count), Some(1));
    }
}
