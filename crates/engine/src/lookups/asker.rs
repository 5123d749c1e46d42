//! What one place asks in all: whom, and with what appended.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use observation::Endpoint;
use serde::{Deserialize, Serialize};

use super::labels::Load;
use super::{Domain, DomainKey};
use crate::fair::Fair;
use crate::ledger::Place;

/// Names with an appended domain that wait for being asked for without it.
const EXPANSION_COUNT_MAX: usize = 32;
/// Servers that are remembered of one place.
const SERVER_COUNT_MAX: usize = 8;
/// A server that is asked about so many domains is a resolver.
const RESOLVER_DOMAIN_COUNT_MIN: u32 = 4;
/// A server that is asked about more domains than this is not there for one of them.
const OWN_DOMAIN_COUNT_MAX: u32 = 1;

/// How a server is used by who asks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Custom {
    /// For whatever there is to ask, or nobody knows.
    Usual,
    /// For one domain only, while everything else is asked of another.
    OneDomain,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Asker {
    expansions: VecDeque<Expansion>,
    /// Who was asked, and about how many domains.
    servers: Vec<(Endpoint, u32)>,
}

/// A name to which a resolver may have appended a domain of its search list.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Expansion {
    /// Without what was appended.
    pub name: u64,
    pub domain: DomainKey,
    pub load: Load,
}

impl Asker {
    /// A name is asked for that was asked for before with a domain behind it: a search list.
    pub(super) fn take_back(
        &mut self,
        name: u64,
        domains: &mut Fair<Place, DomainKey, Box<Domain>>,
    ) {
        self.expansions.retain(|expansion| {
            let is_it = expansion.name == name;
            if is_it && let Some(domain) = domains.get_mut(&expansion.domain) {
                domain.take_back(expansion.load);
            }
            !is_it
        });
    }

    pub(super) fn expect_bare(&mut self, expansion: Expansion) {
        if self.expansions.len() >= EXPANSION_COUNT_MAX {
            self.expansions.pop_front();
        }
        self.expansions.push_back(expansion);
    }

    /// Another domain was asked of this server.
    pub(super) fn went_to(&mut self, server: Endpoint) {
        if let Some((_, count)) = self.servers.iter_mut().find(|(known, _)| *known == server) {
            *count = count.saturating_add(1);
        } else if self.servers.len() < SERVER_COUNT_MAX {
            self.servers.push((server, 1));
        }
    }

    pub(super) fn custom(&self, server: Endpoint) -> Custom {
        let count = |server: Endpoint| {
            let known = self.servers.iter().find(|(known, _)| *known == server);
            known.map(|(_, count)| *count)
        };
        let resolves = |(known, count): &(Endpoint, u32)| {
            *known != server && *count >= RESOLVER_DOMAIN_COUNT_MIN
        };
        let is_own = count(server).is_some_and(|count| count <= OWN_DOMAIN_COUNT_MAX);
        if is_own && self.servers.iter().any(resolves) { Custom::OneDomain } else { Custom::Usual }
    }
}
