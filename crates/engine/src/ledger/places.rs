//! Capture ports and addresses, and which container had them when.

use alloc::vec::Vec;

use observation::{ContainerId, NetworkAttached, PortId, Time};
use serde::{Deserialize, Serialize};

use super::LATE_MS_MAX;
use super::names::Place;
use crate::bounded::Bounded;
use crate::limits::Limits;

/// Holders of one port or address that are remembered.
const HOLDER_COUNT_MAX: usize = 16;

/// A time during which a container had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    by: ContainerId,
    /// When a witness first said so.
    from: Time,
    /// It may have had it from here on: the container was there already, and word came late.
    earliest: Time,
    to: Time,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Places {
    ports: Bounded<PortId, Vec<Held>>,
    addresses: Bounded<core::net::IpAddr, Vec<Held>>,
    of_container: Bounded<ContainerId, Vec<Place>>,
}

impl Places {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            ports: Bounded::new(limits.place_count_max),
            addresses: Bounded::new(limits.place_count_max),
            of_container: Bounded::new(limits.container_count_max),
        }
    }

    /// An attachment, or its end.
    pub(super) fn attach(&mut self, at: Time, fact: &NetworkAttached<'_>, created: Option<Time>) {
        if let Some(detached) = fact.detached {
            // A container may be on several networks; only the named addresses are left.
            for address in &fact.addresses {
                if let Some(holders) = self.addresses.get_mut(address) {
                    end(holders, fact.id, detached);
                }
            }
            return;
        }
        let late = at.0.saturating_sub(LATE_MS_MAX * 1_000_000);
        let earliest = created.unwrap_or(Time(late)).min(at);
        let held = Held { by: fact.id, from: at, earliest, to: Time::NEVER };
        if let Some(port) = fact.port {
            hold(self.ports.entry(port, Vec::new).0, held);
            self.note(fact.id, Place { port, address: core::net::Ipv4Addr::UNSPECIFIED.into() });
        }
        for address in &fact.addresses {
            hold(self.addresses.entry(*address, Vec::new).0, held);
            let port = fact.port.unwrap_or(PortId::UNKNOWN);
            self.note(fact.id, Place { port, address: *address });
        }
    }

    /// The container has ended: what it had may be another's from now on.
    pub(super) fn leave(&mut self, id: ContainerId, at: Time) {
        for place in self.of_container.get(&id).cloned().unwrap_or_default() {
            if let Some(holders) = self.ports.get_mut(&place.port) {
                end(holders, id, at);
            }
            if let Some(holders) = self.addresses.get_mut(&place.address) {
                end(holders, id, at);
            }
        }
    }

    pub(super) fn at_port(&self, port: PortId, at: Time) -> Option<ContainerId> {
        if port == PortId::UNKNOWN {
            return None;
        }
        holder(self.ports.get(&port)?, at)
    }

    /// Who had this address. A place with a port of its own has to agree with it.
    pub(super) fn at_address(&self, place: Place, at: Time) -> Option<ContainerId> {
        holder(self.addresses.get(&place.address)?, at)
    }

    pub(super) fn of_container(&self, id: ContainerId) -> impl Iterator<Item = Place> + '_ {
        self.of_container.get(&id).into_iter().flatten().copied()
    }

    pub(super) const fn evicted_count(&self) -> u64 {
        self.ports.evicted_count() + self.addresses.evicted_count()
    }

    fn note(&mut self, id: ContainerId, place: Place) {
        let (places, _) = self.of_container.entry(id, Vec::new);
        if !places.contains(&place) && places.len() < HOLDER_COUNT_MAX {
            places.push(place);
        }
    }
}

fn hold(holders: &mut Vec<Held>, held: Held) {
    // Said again: the earliest word counts.
    if let Some(known) =
        holders.iter_mut().find(|known| known.by == held.by && known.to > held.from)
    {
        known.from = known.from.min(held.from);
        known.earliest = known.earliest.min(held.earliest);
        return;
    }
    // A description that was taken before the end and arrives after it opens nothing again.
    if holders.iter().any(|known| known.by == held.by && known.to >= held.from) {
        return;
    }
    if holders.len() >= HOLDER_COUNT_MAX {
        holders.remove(0);
    }
    holders.push(held);
}

fn end(holders: &mut [Held], id: ContainerId, at: Time) {
    for held in holders.iter_mut().filter(|held| held.by == id && held.to == Time::NEVER) {
        held.to = at.max(held.from);
    }
}

/// Whoever took it last before `at` and had not left; else whoever may have had it before word came.
fn holder(holders: &[Held], at: Time) -> Option<ContainerId> {
    let told = holders.iter().filter(|held| held.from <= at && at <= held.to);
    let late = holders.iter().filter(|held| held.earliest <= at && at < held.from && at <= held.to);
    let told = told.max_by_key(|held| held.from);
    let held = told.or_else(|| late.min_by_key(|held| held.from))?;
    Some(held.by)
}

#[cfg(test)]
mod tests {
    use alloc::borrow::Cow;
    use alloc::vec;
    use core::net::{IpAddr, Ipv4Addr};

    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 17, 0, 2));
    const PLACE: Place = Place { port: PortId::UNKNOWN, address: ADDRESS };

    fn attached(id: u8) -> NetworkAttached<'static> {
        NetworkAttached {
            id: ContainerId([id; 32]),
            network: Cow::Borrowed("bridge"),
            addresses: vec![ADDRESS],
            aliases: vec![],
            port: Some(PortId(u32::from(id))),
            netns: 0,
            detached: None,
        }
    }

    fn second(seconds: u64) -> Time {
        Time(seconds * 1_000_000_000)
    }

    #[test]
    fn a_reused_address_does_not_inherit() {
        let mut places = Places::new(&Limits::default());
        places.attach(second(10), &attached(1), Some(second(9)));
        places.leave(ContainerId([1; 32]), second(20));
        places.attach(second(21), &attached(2), Some(second(15)));
        assert_eq!(places.at_address(PLACE, second(12)), Some(ContainerId([1; 32])));
        assert_eq!(places.at_address(PLACE, second(19)), Some(ContainerId([1; 32])));
        assert_eq!(places.at_address(PLACE, second(22)), Some(ContainerId([2; 32])));
        assert_eq!(places.at_address(PLACE, second(8)), None);
    }

    #[test]
    fn word_that_comes_late_reaches_back_to_the_creation() {
        let mut places = Places::new(&Limits::default());
        places.attach(second(10), &attached(1), Some(second(9)));
        assert_eq!(places.at_port(PortId(1), second(9)), Some(ContainerId([1; 32])));
        assert_eq!(places.at_port(PortId(1), second(8)), None);
    }

    #[test]
    fn the_order_of_word_does_not_matter() {
        let mut places = Places::new(&Limits::default());
        places.attach(second(21), &attached(2), Some(second(15)));
        places.attach(second(10), &attached(1), Some(second(9)));
        places.leave(ContainerId([1; 32]), second(20));
        assert_eq!(places.at_address(PLACE, second(19)), Some(ContainerId([1; 32])));
        assert_eq!(places.at_address(PLACE, second(22)), Some(ContainerId([2; 32])));
    }
}
