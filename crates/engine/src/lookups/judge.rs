//! Looking at domains: whose lookups they are, and what the strategies say of them.

use alloc::vec::Vec;

use observation::{ContainerId, Endpoint};

use super::registered::registered;
use super::{Custom, Domain, DomainKey};
use crate::alert::AlertUpdate;
use crate::channel::{ChannelKey, Far, LookedUp, Opening, Verdict};
use crate::context::Context;
use crate::engine::Engine;
use crate::flows::Flow;
use crate::judge::{Keys, id_of, verdict};
use crate::ledger::{Owner, Thing};
use crate::strategies;

/// Flows in which it is looked whether anybody goes where names lead.
const VISIT_COUNT_MAX: usize = 256;

/// Names that are looked at for each of them.
const NAME_COUNT_MAX: usize = 8;

/// The verdict on a domain, since when, and what it is about.
type Told = (Verdict, Opening, LookedUp);

/// What a strategy may ask about the lookups below a domain.
pub(crate) struct Asked<'a> {
    pub domain: &'a Domain,
    /// Flows to where its names lead.
    pub visit_count: u32,
    /// Bytes of information that somebody else has asked for through it.
    pub for_others_bytes: u64,
    pub custom: Custom,
}

impl Engine {
    /// Looks at a domain about which more is known, and at the one whose it was taken for before.
    pub(crate) fn look_at_domain(&mut self, key: DomainKey, keys: &mut Keys) {
        let Some(domain) = self.lookups.get(&key) else { return };
        let Domain { first, owner: before, .. } = *domain;
        let owner = self.ledger.owner(&first.key, first.local, first.opened);
        let far = Far::Domain(domain.name.clone());
        if before != owner {
            keys.insert(ChannelKey { owner: before, far: far.clone() });
            self.lookups.belongs(&key, owner);
        }
        if owner != Owner::Host {
            keys.insert(ChannelKey { owner, far });
        }
    }

    /// A container is known better: what was asked from its places is looked at again.
    pub(crate) fn look_at_domains_of(&mut self, id: ContainerId, keys: &mut Keys) {
        let things = self.ledger.things_of(id);
        let is_its = |key: &DomainKey| {
            things.contains(&Thing::Port(key.place.port))
                || things.contains(&Thing::Address(key.place.address))
        };
        let all: Vec<DomainKey> = self.lookups.ripe().filter(is_its).collect();
        all.into_iter().for_each(|key| self.look_at_domain(key, keys));
    }

    /// The input has ended: every domain that may say something is looked at.
    pub(crate) fn look_at_all_domains(&mut self, out: &mut impl FnMut(AlertUpdate)) {
        let mut keys = Keys::new();
        let all: Vec<DomainKey> = self.lookups.ripe().collect();
        all.into_iter().for_each(|key| self.look_at_domain(key, &mut keys));
        self.judge_all(keys, out);
    }

    /// What the strategies say of a domain that its owner asks about.
    pub(crate) fn judge_domain(&self, key: &ChannelKey, name: &str) -> Option<Told> {
        let told = self.lookups.of_owner(key.owner, name).filter_map(|domain| {
            let context = Context::of_lookups(&self.ledger, domain, key.owner);
            let asked = Asked {
                domain,
                visit_count: self.visits(domain),
                for_others_bytes: self.lookups.carried_for_others(domain),
                custom: self.lookups.custom(domain),
            };
            let findings = strategies::judge_lookups(&asked, &context);
            let near = Endpoint { address: domain.place().address, port: 0 };
            let id = id_of(&(near, domain.first_asked), &key.far);
            let opening = Opening { at: domain.first_asked, id };
            let seen = LookedUp {
                place: domain.place(),
                last: domain.last_asked,
                count: domain.count,
                server: domain.server.address,
            };
            (!findings.is_empty()).then(|| (verdict(findings, context.origin), opening, seen))
        });
        // A container may ask from several addresses: the one that says most speaks.
        told.reduce(|best, next| if next.0.sum.sum_db > best.0.sum.sum_db { next } else { best })
    }

    /// Flows of the place to where names below this domain lead.
    fn visits(&self, domain: &Domain) -> u32 {
        let place = domain.place();
        let leads_there = |flow: &Flow| {
            let far = flow.far().address;
            let names = self.ledger.names_to(place, &far, flow.opened);
            names.take(NAME_COUNT_MAX).any(|asked| {
                registered(&asked.name).is_some_and(|parts| parts.domain == domain.name)
            })
        };
        let flows = self.flows.of_place(place, domain.first_asked).take(VISIT_COUNT_MAX);
        let visits = flows
            .filter_map(|handle| self.flows.get(handle))
            .filter(|flow| flow.is_outgoing() && !flow.asks_names && leads_there(flow));
        u32::try_from(visits.count()).unwrap_or(u32::MAX)
    }
}
