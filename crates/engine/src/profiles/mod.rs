//! Channel profiles: what one subject does with one far end over all its calls, accused or not.
//!
//! A profile is small until its fourth call and bounded ever after; a call costs constant time. A
//! flow becomes a call when no late word about it can come, so that its owner is final.
//! Everybody has a quota: ten million destinations evict only their owner's.

mod callers;
mod calls;
mod judge;
mod lengths;
mod periodicity;
mod quota;
mod rhythm;
mod sharing;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use observation::{Endpoint, FlowId, Transport};
use serde::{Deserialize, Serialize};

pub(crate) use callers::FanIn;
pub(crate) use calls::{Call, Calls, Together};
pub(crate) use judge::{Profile, Told};
pub(crate) use rhythm::{Timer, decibans_of};
pub(crate) use sharing::Shared;

use calls::Ripe;
use quota::{Age, Owned, SIZE_STEP};

use crate::chain::{Links, NONE};
use crate::flows::{Flow, Pulse};
use crate::index::{Index, Seed};
use crate::ledger::Owner;
use crate::limits::Limits;

/// So many calls make a channel that is worth more than another.
const GROWN_COUNT: u32 = 4;
/// After so many members the passers-by of one far end are looked at together.
const GROUP_LOOKS: [u32; 11] = [5, 6, 7, 8, 10, 12, 16, 24, 32, 48, 64];
/// Callers are profiled in one of so many parts of what calls are.
const CALLERS_PART: usize = 4;

/// Who calls whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct ProfileKey {
    pub owner: Owner,
    pub transport: Transport,
    pub far: Endpoint,
    pub manner: Manner,
}

/// What counts as a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Manner {
    /// A connection.
    Connection,
    /// What its opener says after a silence in a connection that stays open.
    Burst,
    /// A connection that the owner accepted: the far end is its caller, at a port of the owner's.
    Accepted,
}

/// A profile and its neighbours: the owner's in the order in which they came, and those of others
/// to the same far end.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Slot {
    key: ProfileKey,
    calls: Calls,
    is_grown: bool,
    links: Links,
    before: u32,
    after: u32,
}

/// All profiles. The tables are not saved: they follow from the slots.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Saved")]
pub(crate) struct Profiles {
    slots: Vec<Option<Box<Slot>>>,
    free: Vec<u32>,
    #[serde(skip)]
    by_key: Index,
    /// The latest profile of each far end, and how many there are.
    #[serde(skip)]
    by_far: HashMap<(Transport, Endpoint), (u32, u32), FixedState>,
    #[serde(skip)]
    owners: HashMap<Owner, Owned, FixedState>,
    #[serde(skip)]
    by_size: BTreeSet<(u32, Owner)>,
    ripe: Vec<u32>,
    seed: Seed,
    profile_count_max: usize,
    per_owner_count_max: u32,
    evicted_count: u64,
}

/// What is saved of [`Profiles`], field by field in the same order.
#[derive(Deserialize)]
struct Saved {
    slots: Vec<Option<Box<Slot>>>,
    free: Vec<u32>,
    ripe: Vec<u32>,
    seed: Seed,
    profile_count_max: usize,
    per_owner_count_max: u32,
    evicted_count: u64,
}

impl From<Saved> for Profiles {
    fn from(saved: Saved) -> Self {
        let mut profiles = Self {
            slots: saved.slots,
            free: saved.free,
            by_key: Index::default(),
            by_far: HashMap::with_hasher(saved.seed.state()),
            owners: HashMap::with_hasher(saved.seed.state()),
            by_size: BTreeSet::new(),
            ripe: saved.ripe,
            seed: saved.seed,
            profile_count_max: saved.profile_count_max,
            per_owner_count_max: saved.per_owner_count_max,
            evicted_count: saved.evicted_count,
        };
        let numbers = (0_u32..).zip(&profiles.slots);
        let known = numbers.filter_map(|(number, slot)| Some((number, slot.as_ref()?)));
        let keys: Vec<(u32, ProfileKey, u32)> =
            known.map(|(number, slot)| (number, slot.key, slot.before)).collect();
        for (number, key, before) in keys {
            profiles.by_key.insert(saved.seed.of(&key), number);
            profiles.restore(number);
            let (first, count) =
                profiles.by_far.entry((key.transport, key.far)).or_insert((NONE, 0));
            *count += 1;
            if before == NONE {
                *first = number;
            }
        }
        profiles
    }
}

impl Profiles {
    pub(crate) fn new(limits: &Limits, seed: Seed) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_key: Index::default(),
            by_far: HashMap::with_hasher(seed.state()),
            owners: HashMap::with_hasher(seed.state()),
            by_size: BTreeSet::new(),
            ripe: Vec::new(),
            seed,
            profile_count_max: limits.profile_count_max.min(NONE as usize - 1),
            per_owner_count_max: limits.profile_per_owner_count_max.max(1),
            evicted_count: 0,
        }
    }

    /// Those of callers are kept apart, and are fewer: whoever is called by many loses nothing of
    /// what he does himself.
    pub(crate) fn of_callers(limits: &Limits, seed: Seed) -> Self {
        let profile_count_max = limits.profile_count_max.div_ceil(CALLERS_PART);
        let per_owner = limits.profile_per_owner_count_max.div_ceil(CALLERS_PART as u32);
        let profile_per_owner_count_max = per_owner;
        Self::new(&Limits { profile_count_max, profile_per_owner_count_max, ..*limits }, seed)
    }

    /// A flow is over, and whose it was is final: it is one more call.
    pub(crate) fn take(&mut self, owner: Owner, id: FlowId, flow: &Flow) {
        let manner = Manner::Connection;
        self.count(owner, (flow.far(), manner), (id, flow), |calls| calls.take(flow, id));
    }

    /// The same of a flow that the owner accepted: its caller has called once more.
    pub(crate) fn take_accepted(&mut self, owner: Owner, id: FlowId, flow: &Flow) {
        let far = Endpoint { address: flow.far().address, port: flow.near().port };
        self.count(owner, (far, Manner::Accepted), (id, flow), |calls| calls.take(flow, id));
    }

    /// The opener of a flow has broken a silence, and whose it is is final: it is one more call.
    pub(crate) fn take_pulse(&mut self, owner: Owner, id: FlowId, flow: &Flow, pulse: Pulse) {
        let manner = Manner::Burst;
        self.count(owner, (flow.far(), manner), (id, flow), |calls| {
            calls.take_pulse(flow, id, pulse)
        });
    }

    fn count(
        &mut self,
        owner: Owner,
        (far, manner): (Endpoint, Manner),
        (id, flow): (FlowId, &Flow),
        take: impl FnOnce(&mut Calls) -> Ripe,
    ) {
        let key = ProfileKey { owner, transport: flow.transport(), far, manner };
        let Some(number) = self.find(&key).or_else(|| self.add(key, flow, id)) else { return };
        let Some(slot) = self.slot_mut(number) else { return };
        let ripe = take(&mut slot.calls);
        let has_grown = !slot.is_grown && slot.calls.count() >= GROWN_COUNT;
        if has_grown {
            self.grow(number);
        }
        if ripe == Ripe::Yes {
            self.ripe.push(number);
        }
    }

    pub(crate) fn has_ripe(&self) -> bool {
        !self.ripe.is_empty()
    }

    /// The profiles that have to be looked at anew.
    pub(crate) fn take_ripe(&mut self) -> Vec<ProfileKey> {
        let mut ripe = core::mem::take(&mut self.ripe);
        ripe.sort_unstable();
        ripe.dedup();
        ripe.into_iter().filter_map(|number| Some(self.slot(number)?.key)).collect()
    }

    pub(crate) fn get(&self, key: &ProfileKey) -> Option<&Calls> {
        Some(&self.slot(self.find(key)?)?.calls)
    }

    pub(crate) fn get_mut(&mut self, key: &ProfileKey) -> Option<&mut Calls> {
        let number = self.find(key)?;
        Some(&mut self.slot_mut(number)?.calls)
    }

    /// All keys, in their order.
    pub(crate) fn keys(&self) -> Vec<ProfileKey> {
        let mut keys: Vec<_> = self.slots.iter().flatten().map(|slot| slot.key).collect();
        keys.sort_unstable();
        keys
    }

    /// The profiles of one owner: the younger ones last.
    pub(crate) fn of_owner(&self, owner: Owner) -> impl Iterator<Item = (&ProfileKey, &Calls)> {
        let owned = self.owners.get(&owner);
        let firsts = owned.map_or([NONE; 2], |owned| [owned.grown.oldest, owned.young.oldest]);
        firsts.into_iter().flat_map(move |first| {
            let slots =
                core::iter::successors(self.slot(first), |slot| self.slot(slot.links.newer));
            slots.map(|slot| (&slot.key, &slot.calls))
        })
    }

    /// How many channels an owner has that could be a beacon, since nobody else calls there, and
    /// how many timers they show. The addresses of one name that are called in turn show one.
    pub(crate) fn own_counts(&self, owner: Owner) -> (u32, u32) {
        let own = self.of_owner(owner).filter(|(key, calls)| {
            let callers = self.by_far.get(&(key.transport, key.far)).map_or(0, |(_, count)| *count);
            calls.count() >= GROWN_COUNT && callers <= 2
        });
        let mut names = BTreeSet::new();
        own.fold((0, 0), |(channels, timers), (_, calls)| {
            let is_another = match calls.together() {
                Together::Name(name) => names.insert(name.as_str()),
                Together::Alone | Together::Workload => true,
            };
            (channels + 1, timers + u32::from(calls.timer().is_some() && is_another))
        })
    }

    /// Whether an owner's channels have become so many that some may be one name's.
    pub(crate) fn rotates(&self, owner: Owner) -> bool {
        let count = self.owners.get(&owner).map_or(0, Owned::count);
        GROUP_LOOKS.contains(&count)
    }

    /// Everybody's profiles of one far end, the latest first.
    pub(crate) fn to(
        &self,
        transport: Transport,
        far: Endpoint,
    ) -> impl Iterator<Item = (&ProfileKey, &Calls)> {
        let first = self.by_far.get(&(transport, far)).map_or(NONE, |(first, _)| *first);
        let slots = core::iter::successors(self.slot(first), |slot| self.slot(slot.after));
        slots.map(|slot| (&slot.key, &slot.calls))
    }

    /// Whether those who call a far end have become so many that they should be looked at together.
    pub(crate) fn is_crowd(&self, transport: Transport, far: Endpoint) -> bool {
        let count = self.by_far.get(&(transport, far)).map_or(0, |(_, count)| *count);
        GROUP_LOOKS.contains(&count) || (count > 0 && count.is_multiple_of(SIZE_STEP * 4))
    }

    pub(crate) const fn evicted_count(&self) -> u64 {
        self.evicted_count
    }

    fn find(&self, key: &ProfileKey) -> Option<u32> {
        let is_it = |number| self.slot(number).is_some_and(|slot| slot.key == *key);
        self.by_key.find(self.seed.of(key), is_it)
    }

    fn slot(&self, number: u32) -> Option<&Slot> {
        self.slots.get(number as usize)?.as_deref()
    }

    fn slot_mut(&mut self, number: u32) -> Option<&mut Slot> {
        self.slots.get_mut(number as usize)?.as_deref_mut()
    }

    fn add(&mut self, key: ProfileKey, flow: &Flow, id: FlowId) -> Option<u32> {
        self.make_room(key.owner);
        let number = self.free.pop().or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).ok()
        })?;
        let (first, count) = self.by_far.entry((key.transport, key.far)).or_insert((NONE, 0));
        *count += 1;
        let first = core::mem::replace(first, number);
        if let Some(next) = self.slot_mut(first) {
            next.before = number;
        }
        *self.slots.get_mut(number as usize)? = Some(Box::new(Slot {
            key,
            calls: Calls::new(flow, id),
            is_grown: false,
            links: Links::NOBODY,
            before: NONE,
            after: first,
        }));
        self.by_key.insert(self.seed.of(&key), number);
        self.append(number, key.owner, Age::Young);
        Some(number)
    }

    fn grow(&mut self, number: u32) {
        let Some(owner) = self.slot(number).map(|slot| slot.key.owner) else { return };
        self.unlink(number, owner, Age::Young);
        if let Some(slot) = self.slot_mut(number) {
            slot.is_grown = true;
        }
        self.append(number, owner, Age::Grown);
    }

    fn remove(&mut self, number: u32) {
        let Some(slot) = self.slot(number) else { return };
        let (key, age) = (slot.key, Age::of(slot));
        let (before, after) = (slot.before, slot.after);
        self.by_key.remove(self.seed.of(&key), number);
        self.unlink(number, key.owner, age);
        let of_far = (key.transport, key.far);
        if let Some(slot) = self.slot_mut(before) {
            slot.after = after;
        }
        if let Some(slot) = self.slot_mut(after) {
            slot.before = before;
        }
        if let Some((first, count)) = self.by_far.get_mut(&of_far) {
            *count = count.saturating_sub(1);
            if *first == number {
                *first = after;
            }
            if *first == NONE {
                self.by_far.remove(&of_far);
            }
        }
        if let Some(slot) = self.slots.get_mut(number as usize) {
            *slot = None;
            self.free.push(number);
        }
    }
}
