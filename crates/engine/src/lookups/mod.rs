//! What places ask about registered domains: the channel that a name server is.
//!
//! Whoever answers for a domain learns every name below it that is asked for, through whichever
//! resolver, and what he answers reaches who asked. How much names and answers can have carried is
//! counted for each place and domain, in constant time for each lookup and in bounded memory.

mod asker;
mod distinct;
mod domain;
mod judge;
mod labels;
mod registered;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use observation::{DnsExchange, PortId};
use serde::{Deserialize, Serialize};

pub(crate) use asker::Custom;
pub(crate) use domain::{Carried, Domain, Lengths, Lookup};
pub(crate) use judge::Asked;

use self::asker::{Asker, Expansion};
use self::labels::Load;
use self::registered::{Registered, is_public_name, registered};
use crate::fair::Fair;
use crate::index::Seed;
use crate::ledger::{Owner, Place};
use crate::limits::Limits;

/// Below this nobody has to be asked what it was: a name or two of a cloud carry as much.
const CARRIED_BYTES_MIN: u64 = 64;
/// Lookups with odd answers from which on they are looked at.
const SPEAKING_COUNT_MIN: u32 = 8;
/// Below every place.
const LOWEST: Place = Place { port: PortId(0), address: IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
/// All registered domains that were said not to exist: asked for as if they were below this.
pub(crate) const MISSING: &str = "*";
/// The response code for it.
const NAME_ERROR: u8 = 3;

/// A registered domain as one place asks for it. Its name is told apart by a keyed hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct DomainKey {
    pub place: Place,
    domain: u64,
}

/// All lookups. A place with too many domains loses its own oldest ones.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Lookups {
    domains: Fair<Place, DomainKey, Box<Domain>>,
    askers: Fair<PortId, Place, Asker>,
    /// What the client who asked most carried, by who was asked and for what.
    clients: Fair<Place, (IpAddr, u64), u64>,
    /// Domains that may say something, by whose lookups they are.
    ripe: BTreeSet<(Owner, u64, Place)>,
    seed: Seed,
}

/// Somebody's lookup.
#[derive(Clone, Copy)]
struct Asking<'a> {
    place: Place,
    owner: Owner,
    first: Lookup,
    fact: &'a DnsExchange<'a>,
}

impl Lookups {
    pub(crate) fn new(limits: &Limits, seed: Seed) -> Self {
        Self {
            domains: Fair::new(limits.domain_count_max, seed),
            askers: Fair::new(limits.place_count_max, seed),
            clients: Fair::new(limits.domain_count_max, seed),
            ripe: BTreeSet::new(),
            seed,
        }
    }

    /// Adds a lookup; names the domains that have to be looked at.
    pub(crate) fn take(
        &mut self,
        first: Lookup,
        owner: Owner,
        fact: &DnsExchange<'_>,
        looks: &mut Vec<DomainKey>,
    ) {
        let place = Place::of(&first.key, first.local);
        let name = self.hash(fact.name.as_bytes());
        if let Some(asker) = self.askers.get_mut(&place) {
            asker.take_back(name, &mut self.domains);
        }
        let Some(parts) = registered(&fact.name) else { return };
        let asking = Asking { place, owner, first, fact };
        let load = self.add(asking, parts, looks);
        if let Some(load) = load.filter(|_| is_public_name(parts.below)) {
            let domain = self.key(place, parts.domain);
            let name = self.hash(parts.below.as_bytes());
            let (asker, _) = self.askers.entry(place.port, place, Asker::default);
            asker.into_iter().for_each(|asker| asker.expect_bare(Expansion { name, domain, load }));
        }
        if fact.response_code == Some(NAME_ERROR) && parts.is_public {
            let below = parts.domain.split('.').next().unwrap_or_default();
            self.add(asking, Registered { domain: MISSING, below, is_public: true }, looks);
        }
    }

    /// Adds a lookup to a domain; gives what its name carries, if it was not asked for before.
    fn add(
        &mut self,
        asking: Asking<'_>,
        parts: Registered<'_>,
        looks: &mut Vec<DomainKey>,
    ) -> Option<Load> {
        let Asking { place, owner, first, fact } = asking;
        let key = self.key(place, parts.domain);
        if self.domains.get(&key).is_none() && parts.domain != MISSING {
            let (asker, _) = self.askers.entry(place.port, place, Asker::default);
            asker.into_iter().for_each(|asker| asker.went_to(first.key.responder));
        }
        let fresh = || Box::new(Domain::new(parts.domain, owner, first, fact));
        let (domain, gone) = self.domains.entry(place, key, fresh);
        if let Some((gone, domain)) = gone {
            self.ripe.remove(&(domain.owner, gone.domain, gone.place));
        }
        let domain = domain?;
        if domain.is_anothers(owner) {
            self.ripe.remove(&(domain.owner, key.domain, place));
            *domain = fresh();
        }
        let seed = self.seed;
        let load = domain.add(first, fact, parts.below, |bytes| seed.of(&bytes));
        if domain.wants_a_look() {
            let (carried, server) = (domain.carried().bytes, domain.server.address);
            self.ripe.insert((domain.owner, key.domain, place));
            looks.push(key);
            self.asks_through(key, server, carried, looks);
        }
        load
    }

    /// Notes through whom a domain is asked for. He may have been taken for the one who asks.
    fn asks_through(
        &mut self,
        key: DomainKey,
        server: IpAddr,
        carried: u64,
        looks: &mut Vec<DomainKey>,
    ) {
        let (most, _) = self.clients.entry(key.place, (server, key.domain), || 0);
        let Some(most) = most else { return };
        let is_first = *most == 0;
        *most = carried.max(*most).max(1);
        if is_first {
            let is_his = |(_, domain, place): &&(Owner, u64, Place)| {
                (*domain, place.address) == (key.domain, server)
            };
            looks.extend(
                self.ripe
                    .iter()
                    .find(is_his)
                    .map(|(_, domain, place)| DomainKey { place: *place, domain: *domain }),
            );
        }
    }

    /// How much of what a place asks about a domain others have asked through it, at least.
    pub(crate) fn carried_for_others(&self, domain: &Domain) -> u64 {
        let key = self.key(domain.place(), &domain.name);
        self.clients.get(&(key.place.address, key.domain)).copied().unwrap_or_default()
    }

    /// How a domain's server is used by who asks for it.
    pub(crate) fn custom(&self, domain: &Domain) -> Custom {
        let asker = self.askers.get(&domain.place());
        asker.map_or(Custom::Usual, |asker| asker.custom(domain.server))
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        self.seed.of(&bytes)
    }

    fn key(&self, place: Place, domain: &str) -> DomainKey {
        DomainKey { place, domain: self.hash(domain.as_bytes()) }
    }

    /// A domain is no longer followed, to keep within a limit.
    pub(crate) fn give_up(&mut self, owner: Owner, name: &str) {
        let keys: Vec<DomainKey> = self.keys_of(owner, name).collect();
        for key in keys {
            self.ripe.remove(&(owner, key.domain, key.place));
            if let Some(domain) = self.domains.get_mut(&key) {
                domain.look_at_count = u32::MAX;
            }
        }
    }

    pub(crate) fn get(&self, key: &DomainKey) -> Option<&Domain> {
        self.domains.get(key).map(Box::as_ref)
    }

    /// The domains that may say something.
    pub(crate) fn ripe(&self) -> impl Iterator<Item = DomainKey> {
        self.ripe.iter().map(|(_, domain, place)| DomainKey { place: *place, domain: *domain })
    }

    /// What an owner asks about a domain, wherever he is.
    pub(crate) fn of_owner(&self, owner: Owner, name: &str) -> impl Iterator<Item = &Domain> {
        self.keys_of(owner, name).filter_map(|key| self.get(&key))
    }

    fn keys_of(&self, owner: Owner, name: &str) -> impl Iterator<Item = DomainKey> {
        let domain = self.hash(name.as_bytes());
        let all = self.ripe.range((owner, domain, LOWEST)..);
        all.take_while(move |(of, which, _)| (*of, *which) == (owner, domain))
            .map(|(_, domain, place)| DomainKey { place: *place, domain: *domain })
    }

    /// Whose a domain's lookups are is known better now.
    fn belongs(&mut self, key: &DomainKey, owner: Owner) {
        let Some(domain) = self.domains.get_mut(key) else { return };
        if self.ripe.remove(&(domain.owner, key.domain, key.place)) {
            self.ripe.insert((owner, key.domain, key.place));
        }
        domain.owner = owner;
    }

    pub(crate) const fn evicted_count(&self) -> u64 {
        self.domains.evicted_count() + self.askers.evicted_count() + self.clients.evicted_count()
    }
}

impl Domain {
    /// The place has gone from one container to another.
    fn is_anothers(&self, owner: Owner) -> bool {
        let both = matches!((self.owner, owner), (Owner::Container(_), Owner::Container(_)));
        both && self.owner != owner
    }

    /// Whether it may say something, and something else than when it was looked at last.
    fn wants_a_look(&mut self) -> bool {
        if self.count < self.look_at_count || self.look_at_count == u32::MAX {
            return false;
        }
        self.look_at_count = self.count.saturating_add(self.count / 8 + 1);
        self.carried().bytes >= CARRIED_BYTES_MIN
            || self.kinds.speaking() >= SPEAKING_COUNT_MIN
            || self.replies.nowhere >= SPEAKING_COUNT_MIN
    }
}
