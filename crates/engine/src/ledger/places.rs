//! Capture ports and addresses, and which container had them when.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use observation::{ContainerId, NetworkAttached, PortId, Time};
use serde::{Deserialize, Serialize};

use super::LATE_MS_MAX;
use super::names::Place;

/// Holders of one port or address that are remembered.
const HOLDER_COUNT_MAX: usize = 32;
/// Ports and addresses of one container that are remembered.
const PER_CONTAINER_COUNT_MAX: usize = 16;

/// A time during which a container had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    /// When a witness first said so.
    from: Time,
    to: Time,
    by: ContainerId,
    /// The capture port that leads there, where known.
    port: Option<PortId>,
}

/// What the runtime says of the holder's life, to bound what was told late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Life {
    pub created: Option<Time>,
    pub gone: Option<Time>,
    pub removed: Option<Time>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Places {
    ports: BTreeMap<PortId, Vec<Held>>,
    addresses: BTreeMap<IpAddr, Vec<Held>>,
    of_container: BTreeMap<ContainerId, Vec<Thing>>,
    evicted_count: u64,
}

/// What a container may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Thing {
    Port(PortId),
    Address(IpAddr),
}

impl Places {
    /// An attachment, or its end.
    pub(super) fn attach(&mut self, at: Time, fact: &NetworkAttached<'_>, life: Life) {
        if let Some(detached) = fact.detached {
            // A container may be on several networks; only what is named is left.
            for address in fact.addresses.iter().take(PER_CONTAINER_COUNT_MAX) {
                self.end(Thing::Address(*address), fact.id, detached);
            }
            if let Some(port) = fact.port {
                self.end(Thing::Port(port), fact.id, detached);
            }
            return;
        }
        // A description that was taken before the end may arrive after it.
        let gone = life.gone.filter(|gone| *gone >= at).or(life.removed.map(|_| at));
        let to = gone.unwrap_or(Time::NEVER);
        let held = Held { from: at, to, by: fact.id, port: fact.port };
        if let Some(port) = fact.port {
            self.hold(Thing::Port(port), held);
        }
        for address in fact.addresses.iter().take(PER_CONTAINER_COUNT_MAX) {
            self.hold(Thing::Address(*address), held);
        }
    }

    /// The container has ended: what it had may be another's from now on.
    pub(super) fn leave(&mut self, id: ContainerId, at: Time) {
        for thing in self.of_container.get(&id).cloned().unwrap_or_default() {
            self.end(thing, id, at);
        }
    }

    /// The container is forgotten.
    pub(super) fn forget(&mut self, id: ContainerId) {
        for thing in self.of_container.remove(&id).unwrap_or_default() {
            let holders = self.holders(thing);
            holders.retain(|held| held.by != id);
            if holders.is_empty() {
                match thing {
                    Thing::Port(port) => self.ports.remove(&port),
                    Thing::Address(address) => self.addresses.remove(&address),
                };
            }
        }
    }

    pub(super) fn at_port(
        &self,
        port: PortId,
        at: Time,
        life: impl Fn(&ContainerId) -> Life,
    ) -> Option<ContainerId> {
        if port == PortId::UNKNOWN {
            return None;
        }
        holder(self.ports.get(&port)?, at, |_| true, life)
    }

    /// Who had this address. A place with a port of its own has to agree with the holder's.
    pub(super) fn at_address(
        &self,
        place: Place,
        at: Time,
        life: impl Fn(&ContainerId) -> Life,
    ) -> Option<ContainerId> {
        let agrees = |held: &Held| match held.port {
            Some(port) => port == place.port || place.port == PortId::UNKNOWN,
            None => true,
        };
        holder(self.addresses.get(&place.address)?, at, agrees, life)
    }

    pub(super) fn of_container(&self, id: ContainerId) -> impl Iterator<Item = Thing> + '_ {
        self.of_container.get(&id).into_iter().flatten().copied()
    }

    pub(super) const fn evicted_count(&self) -> u64 {
        self.evicted_count
    }

    fn holders(&mut self, thing: Thing) -> &mut Vec<Held> {
        match thing {
            Thing::Port(port) => self.ports.entry(port).or_default(),
            Thing::Address(address) => self.addresses.entry(address).or_default(),
        }
    }

    fn end(&mut self, thing: Thing, id: ContainerId, at: Time) {
        let open = |held: &&mut Held| held.by == id && held.to > at && held.from <= at;
        for held in self.holders(thing).iter_mut().filter(open) {
            held.to = at;
        }
    }

    fn hold(&mut self, thing: Thing, held: Held) {
        let things = self.of_container.entry(held.by).or_default();
        if !things.contains(&thing) {
            if things.len() >= PER_CONTAINER_COUNT_MAX {
                self.evicted_count += 1;
                return;
            }
            things.push(thing);
        }
        let holders = self.holders(thing);
        // Said again: the earliest word counts, also where its end is known already.
        let same = |known: &&mut Held| known.by == held.by && known.to >= held.from;
        if let Some(known) = holders.iter_mut().find(same) {
            known.from = known.from.min(held.from);
            known.port = known.port.or(held.port);
        } else {
            holders.push(held);
        }
        holders.sort_unstable_by_key(|held| (held.from, held.by));
        if holders.len() > HOLDER_COUNT_MAX {
            holders.remove(0);
            self.evicted_count += 1;
        }
    }
}

/// Whoever took it last before `at` and had not left; else whoever was there already and of whom
/// word came late.
fn holder(
    holders: &[Held],
    at: Time,
    agrees: impl Fn(&Held) -> bool,
    life: impl Fn(&ContainerId) -> Life,
) -> Option<ContainerId> {
    let told = holders.iter().rev().find(|held| held.from <= at && at <= held.to && agrees(held));
    let was_there = |held: &&Held| {
        let late = held.from.0.saturating_sub(LATE_MS_MAX * 1_000_000);
        let earliest = life(&held.by).created.unwrap_or(Time(late));
        earliest <= at && at < held.from && agrees(held)
    };
    Some(told.or_else(|| holders.iter().find(was_there))?.by)
}

#[cfg(test)]
mod tests {
    use alloc::borrow::Cow;
    use alloc::vec;
    use core::net::Ipv4Addr;

    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 17, 0, 2));
    const PLACE: Place = Place { port: PortId::UNKNOWN, address: ADDRESS };

    fn attached(id: u8) -> NetworkAttached<'static> {
        NetworkAttached {
            id: ContainerId([id; 32]),
            network: Cow::Borrowed("bridge"),
            addresses: vec![ADDRESS],
            aliases: vec![],
            gateways: vec![],
            port: Some(PortId(u32::from(id))),
            netns: 0,
            detached: None,
        }
    }

    fn second(seconds: u64) -> Time {
        Time(seconds * 1_000_000_000)
    }

    /// Container 1 is created at 9 s, container 2 at 15 s.
    fn life(id: &ContainerId) -> Life {
        let created = if id.0[0] == 1 { second(9) } else { second(15) };
        Life { created: Some(created), ..Life::default() }
    }

    fn at(places: &Places, seconds: u64) -> Option<u8> {
        places.at_address(PLACE, second(seconds), life).map(|id| id.0[0])
    }

    #[test]
    fn a_reused_address_does_not_inherit() {
        let mut places = Places::default();
        places.attach(second(10), &attached(1), Life::default());
        places.leave(ContainerId([1; 32]), second(20));
        places.attach(second(21), &attached(2), Life::default());
        let seen = [8, 12, 19, 22].map(|seconds| at(&places, seconds));
        assert_eq!(seen, [None, Some(1), Some(1), Some(2)]);
    }

    #[test]
    fn word_that_comes_late_reaches_back_to_the_creation() {
        let mut places = Places::default();
        places.attach(second(10), &attached(1), Life::default());
        let at_port = |seconds| places.at_port(PortId(1), second(seconds), life);
        assert_eq!(at_port(9), Some(ContainerId([1; 32])));
        assert_eq!(at_port(8), None);
    }

    #[test]
    fn the_order_of_word_does_not_matter() {
        let mut places = Places::default();
        places.attach(second(21), &attached(2), Life::default());
        // Its end was told before its description came.
        let life = Life { gone: Some(second(20)), ..Life::default() };
        places.attach(second(10), &attached(1), life);
        assert_eq!(
            (at(&places, 19), at(&places, 20), at(&places, 22)),
            (Some(1), Some(1), Some(2))
        );
    }

    #[test]
    fn an_address_at_another_veth_is_another_containers() {
        let mut places = Places::default();
        places.attach(second(10), &attached(1), Life::default());
        let other = Place { port: PortId(7), address: ADDRESS };
        assert_eq!(places.at_address(other, second(12), life), None);
    }
}
