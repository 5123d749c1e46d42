//! Which witnesses there are, what they lost, and how common a destination is.

use alloc::borrow::ToOwned as _;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use observation::{
    Endpoint, Gap, PortId, SourceId, SourceKind, SourceState, SourceStatus, Time, Transport,
};
use serde::{Deserialize, Serialize};

use crate::alert::Blind;
use crate::fair::Fair;
use crate::index::Seed;
use crate::ledger::Place;
use crate::limits::Limits;

const GAP_COUNT_MAX: usize = 1024;
const DETAIL_BYTES_MAX: usize = 1024;
/// Places that are remembered for one destination; beyond it a destination is simply common.
const PLACE_PER_FAR_COUNT_MAX: usize = 1024;

/// What a verdict on a container's traffic would like to have seen.
const WANTED: &[(SourceKind, &str)] = &[
    (SourceKind::Packets, "no packet source"),
    (SourceKind::RuntimeEvents, "no runtime source"),
    (SourceKind::ProcessEvents, "no process source"),
    (SourceKind::SocketEvents, "no socket source"),
];

/// The state of all sources.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Health {
    sources: BTreeMap<SourceId, (SourceKind, SourceState, String)>,
    gaps: VecDeque<Gap>,
    evicted_count: u64,
}

impl Health {
    pub(crate) fn status(&mut self, fact: &SourceStatus<'_>) {
        let end = fact.detail.floor_char_boundary(DETAIL_BYTES_MAX);
        let detail = fact.detail.get(..end).unwrap_or_default().to_owned();
        self.sources.insert(fact.source, (fact.kind, fact.state, detail));
    }

    pub(crate) fn gap(&mut self, gap: &Gap) {
        if self.gaps.len() >= GAP_COUNT_MAX {
            self.gaps.pop_front();
            self.evicted_count += 1;
        }
        self.gaps.push_back(gap.clone());
    }

    /// Whether this witness tells of conversations by records alone, each when it is over.
    pub(crate) fn is_flow_log(&self, witness: SourceId) -> bool {
        self.sources.get(&witness).is_some_and(|(kind, _, _)| *kind == SourceKind::FlowLog)
    }

    /// The kinds that were missing or weak, and why.
    pub(crate) fn blind(&self) -> Vec<Blind> {
        let mut blind = Vec::new();
        for (kind, missing) in WANTED {
            let of_kind = || self.sources.values().filter(|(known, _, _)| known == kind);
            if of_kind().any(|(_, state, _)| *state == SourceState::Open) {
                continue;
            }
            let why = of_kind().next().map_or_else(
                || (*missing).to_owned(),
                |(_, _, detail)| {
                    if detail.is_empty() { (*missing).to_owned() } else { detail.clone() }
                },
            );
            blind.push(Blind { kind: *kind, why });
        }
        blind
    }

    pub(crate) const fn evicted_count(&self) -> u64 {
        self.evicted_count
    }

    /// What was lost while something happened.
    pub(crate) fn lost(&self, from: Time, to: Time) -> u64 {
        let during = self.gaps.iter().filter(|gap| gap.from <= to && gap.to >= from);
        during.map(|gap| gap.lost_count).fold(0, u64::saturating_add)
    }
}

/// Who went where: for "1 of 412 containers". Each capture port has its fair share.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Destinations {
    by_far: Fair<PortId, (Transport, Endpoint), Visitors>,
    places: Fair<PortId, Place, ()>,
    visit_count: usize,
    visit_count_max: usize,
    forgotten_count: u64,
}

/// Who went to one far end, in their order: one, of nearly all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Visitors(Vec<Place>);

impl Visitors {
    /// Whether this one was not among them.
    fn add(&mut self, place: Place) -> bool {
        let Err(index) = self.0.binary_search(&place) else { return false };
        if self.0.is_empty() {
            self.0.reserve_exact(1);
        }
        self.0.insert(index, place);
        true
    }

    fn has(&self, place: &Place) -> bool {
        self.0.binary_search(place).is_ok()
    }
}

/// So many visitors of all destinations together are remembered for each place.
const VISIT_PER_PLACE_COUNT_MAX: usize = 8;

impl Destinations {
    pub(crate) fn new(limits: &Limits, seed: Seed) -> Self {
        Self {
            by_far: Fair::new(limits.place_count_max, seed),
            places: Fair::new(limits.place_count_max, seed),
            visit_count: 0,
            visit_count_max: limits.place_count_max.saturating_mul(VISIT_PER_PLACE_COUNT_MAX),
            forgotten_count: 0,
        }
    }

    pub(crate) fn went(&mut self, place: Place, transport: Transport, far: Endpoint) {
        self.places.entry(place.port, place, || ());
        let room = self.visit_count < self.visit_count_max;
        let (entry, gone) = self.by_far.entry(place.port, (transport, far), Visitors::default);
        if let Some(visitors) = entry {
            if room && visitors.0.len() < PLACE_PER_FAR_COUNT_MAX {
                self.visit_count += usize::from(visitors.add(place));
            } else if !visitors.has(&place) {
                self.forgotten_count += 1;
            }
        }
        if let Some((_, visitors)) = gone {
            self.visit_count = self.visit_count.saturating_sub(visitors.0.len());
        }
    }

    /// The places that went there.
    pub(crate) fn to(&self, transport: Transport, far: Endpoint) -> impl Iterator<Item = Place> {
        let visitors = self.by_far.get(&(transport, far));
        visitors.into_iter().flat_map(|visitors| visitors.0.iter().copied())
    }

    pub(crate) fn place_total(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(u32::MAX)
    }

    pub(crate) const fn evicted_count(&self) -> u64 {
        self.by_far.evicted_count() + self.places.evicted_count() + self.forgotten_count
    }
}
