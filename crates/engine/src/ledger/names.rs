//! Names that were asked for, by whom, and the addresses that they led to.
//!
//! On a user-defined network a container asks 127.0.0.11, and the query on its veth is the
//! runtime's
//! own; it still carries the container's address, so it belongs to the container's place.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use observation::{FlowKey, LocalSide, PortId, Side, Time};
use serde::{Deserialize, Serialize};

use super::near_side;
use crate::fair::Fair;
use crate::index::Seed;
use crate::limits::Limits;

/// Where something was seen: the capture port and the address at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Place {
    pub port: PortId,
    pub address: IpAddr,
}

impl Place {
    /// The place of a flow's local side.
    pub(crate) const fn of(key: &FlowKey, local: LocalSide) -> Self {
        let near = match near_side(local) {
            Side::Originator => key.originator,
            Side::Responder => key.responder,
        };
        Self { port: key.port, address: near.address }
    }
}

/// One lookup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub name: String,
    /// When it was asked first, and when last: one lookup may lead to many flows.
    pub first: Time,
    pub last: Time,
    pub server: IpAddr,
    pub addresses: Vec<IpAddr>,
    pub outcome: Outcome,
}

/// Whether a name was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HasAsked {
    Yes,
    /// Others were, and it was not.
    No,
    /// No lookup was seen there, or too many.
    Unknown,
}

/// How a lookup ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// It exists.
    Found,
    /// The server says that it does not exist, or refuses.
    Refused,
    /// Nobody answered.
    Unanswered,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Names {
    by_place: Fair<PortId, Place, VecDeque<Asked>>,
    per_place_count_max: usize,
    forgotten_count: u64,
}

/// Addresses of one answer that are kept.
pub(crate) const ADDRESS_COUNT_MAX: usize = 32;

impl Asked {
    /// The last time before `at` at which it is known to have been asked.
    pub(crate) fn before(&self, at: Time) -> Time {
        if self.last <= at { self.last } else { self.first }
    }
}

impl Names {
    pub(super) fn new(limits: &Limits, seed: Seed) -> Self {
        Self {
            by_place: Fair::new(limits.place_count_max, seed),
            per_place_count_max: limits.name_per_place_count_max,
            forgotten_count: 0,
        }
    }

    pub(super) fn asked(&mut self, place: Place, asked: Asked) {
        let (Some(all), _) = self.by_place.entry(place.port, place, || VecDeque::with_capacity(1))
        else {
            return;
        };
        if let Some(same) = all
            .iter_mut()
            .find(|known| known.name == asked.name && known.addresses == asked.addresses)
        {
            if asked.last > same.last {
                (same.last, same.outcome, same.server) = (asked.last, asked.outcome, asked.server);
            }
            same.first = same.first.min(asked.first);
            return;
        }
        if all.len() >= self.per_place_count_max {
            all.pop_front();
            self.forgotten_count += 1;
        }
        all.push_back(asked);
    }

    pub(super) fn leading_to(
        &self,
        place: Place,
        far: IpAddr,
        before: Time,
    ) -> impl Iterator<Item = &Asked> {
        let all = self.by_place.get(&place).into_iter().flatten().rev();
        all.filter(move |asked| asked.first <= before && asked.addresses.contains(&far))
    }

    /// Whether `place` has asked for a name that `is_it`.
    pub(super) fn has_asked(&self, place: Place, is_it: impl Fn(&str) -> bool) -> HasAsked {
        match self.by_place.get(&place) {
            Some(all) if all.iter().any(|asked| is_it(&asked.name)) => HasAsked::Yes,
            // Of a full list the oldest had to go.
            Some(all) if !all.is_empty() && all.len() < self.per_place_count_max => HasAsked::No,
            _ => HasAsked::Unknown,
        }
    }

    /// Names that led nowhere, unless another lookup of the same name (AAAA beside A) did.
    pub(super) fn failed(&self, place: Place) -> impl Iterator<Item = &Asked> {
        let all = self.by_place.get(&place);
        all.into_iter().flatten().filter(move |asked| {
            asked.outcome != Outcome::Found
                && !all
                    .into_iter()
                    .flatten()
                    .any(|other| other.name == asked.name && other.outcome == Outcome::Found)
        })
    }

    pub(super) const fn evicted_count(&self) -> u64 {
        self.by_place.evicted_count() + self.forgotten_count
    }
}
