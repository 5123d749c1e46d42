//! Names that were asked for, by whom, and the addresses that they led to.
//!
//! On a user-defined network a container asks 127.0.0.11, and the query on its veth is the runtime's
//! own; it still carries the container's address, so it belongs to the container's place.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use observation::{FlowKey, LocalSide, PortId, Side, Time};
use serde::{Deserialize, Serialize};

use super::near_side;
use crate::bounded::Bounded;
use crate::limits::Limits;

/// Where something was seen: the capture port and the address at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    pub at: Time,
    pub server: IpAddr,
    pub addresses: Vec<IpAddr>,
    pub outcome: Outcome,
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
    by_place: Bounded<Place, VecDeque<Asked>>,
    per_place_count_max: usize,
    forgotten_count: u64,
}

impl Names {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            by_place: Bounded::new(limits.place_count_max),
            per_place_count_max: limits.name_per_place_count_max,
            forgotten_count: 0,
        }
    }

    pub(super) fn asked(&mut self, place: Place, asked: Asked) {
        let (all, _) = self.by_place.entry(place, VecDeque::new);
        if let Some(same) = all
            .iter_mut()
            .find(|known| known.name == asked.name && known.addresses == asked.addresses)
        {
            // Asked again: the latest lookup before a flow is the one that led to it.
            if asked.at > same.at {
                *same = asked;
            }
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
        all.filter(move |asked| asked.at <= before && asked.addresses.contains(&far))
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
