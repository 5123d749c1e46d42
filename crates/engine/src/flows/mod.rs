//! What the engine remembers of all flows, and for how long.
//!
//! A flow lies in a slot; everything else refers to it by [`Handle`].
//! A place that has too many flows loses its own oldest ones that nobody accuses.

mod flow;
mod freight;
mod oddity;
mod places;
mod protocols;
mod pulses;
mod quota;
mod records;
mod speech;
mod spoken;
mod views;

use alloc::boxed::Box;
use alloc::vec::Vec;

use observation::{Burst, Endpoint, FlowClosed, FlowId, FlowOpened, Time, Transport};
use serde::{Deserialize, Serialize};

pub(crate) use flow::{Flow, Silence, has_failed};
pub(crate) use freight::Reached;
pub(crate) use oddity::{
    Answer, Content, Departure, Lasting, Misfit, Nameless, OddEchoes, OddOffer, Seat, TlsOddity,
};
pub(crate) use places::Keep;
pub(crate) use protocols::Protocols;
pub(crate) use pulses::Pulse;
pub(crate) use records::was_accepted;
pub(crate) use speech::{Onward, Tls};

use self::places::Places;
use self::protocols::ProtocolNames;
use crate::chain::{Linked, Links, NONE};
use crate::index::{Index, Seed};
use crate::ledger::{LATE_MS_MAX, Place, Thing};
use crate::limits::Limits;
use crate::timers::Timers;

/// Refers to one flow, and to no later one in the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Handle {
    slot: u32,
    serial: u32,
}

/// A slot, and its neighbours in the list of its place.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Slot {
    flow: Option<Box<Flow>>,
    id: FlowId,
    serial: u32,
    links: Links,
}

impl Linked for [Slot] {
    fn links(&mut self, number: u32) -> Option<&mut Links> {
        Some(&mut self.get_mut(number as usize)?.links)
    }
}

/// All flows, by id, by place and by tuple.
///
/// The tables are not saved: they follow from the slots.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Saved")]
pub(crate) struct Flows {
    slots: Vec<Slot>,
    free: Vec<u32>,
    seed: Seed,
    #[serde(skip)]
    by_id: Index,
    /// The slots of each tuple; a match is verified.
    #[serde(skip)]
    by_tuple: Index,
    #[serde(skip)]
    places: Places,
    #[serde(skip)]
    held_count: usize,
    /// Closed flows and when they may be forgotten.
    fading: Timers,
    /// Flows that had to go before they were counted.
    gone: Vec<(FlowId, Box<Flow>)>,
    names: ProtocolNames,
    flow_count_max: usize,
    flow_per_place_count_max: usize,
    evicted_count: u64,
    unknown_count: u64,
    #[serde(skip)]
    latest: Latest,
}

/// The flow that was looked for last.
#[derive(Clone, Copy, Debug)]
struct Latest(FlowId, Handle);

impl Default for Latest {
    fn default() -> Self {
        Self(FlowId(0), Handle { slot: NONE, serial: 0 })
    }
}

/// What is saved of [`Flows`], field by field in the same order.
#[derive(Deserialize)]
struct Saved {
    slots: Vec<Slot>,
    free: Vec<u32>,
    seed: Seed,
    fading: Timers,
    gone: Vec<(FlowId, Box<Flow>)>,
    names: ProtocolNames,
    flow_count_max: usize,
    flow_per_place_count_max: usize,
    evicted_count: u64,
    unknown_count: u64,
}

impl From<Saved> for Flows {
    fn from(saved: Saved) -> Self {
        let mut flows = Self {
            slots: saved.slots,
            free: saved.free,
            seed: saved.seed,
            by_id: Index::default(),
            by_tuple: Index::default(),
            places: Places::new(saved.seed),
            held_count: 0,
            fading: saved.fading,
            gone: saved.gone,
            names: saved.names,
            flow_count_max: saved.flow_count_max,
            flow_per_place_count_max: saved.flow_per_place_count_max,
            evicted_count: saved.evicted_count,
            unknown_count: saved.unknown_count,
            latest: Latest::default(),
        };
        for (number, slot) in (0_u32..).zip(&flows.slots) {
            let Some(flow) = &slot.flow else { continue };
            let tuple = flows.seed.of(&(flow.transport(), flow.near(), flow.far()));
            flows.by_id.insert(flows.seed.of(&slot.id), number);
            flows.by_tuple.insert(tuple, number);
            flows.places.list(flow.place(), flow.keep).restore(number, slot.links);
            flows.held_count += usize::from(flow.keep == Keep::Held);
        }
        flows
    }
}

impl Flows {
    pub(crate) fn new(limits: &Limits, seed: Seed) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            seed,
            by_id: Index::default(),
            by_tuple: Index::default(),
            places: Places::new(seed),
            held_count: 0,
            fading: Timers::default(),
            gone: Vec::new(),
            names: ProtocolNames::default(),
            latest: Latest::default(),
            flow_count_max: limits.flow_count_max.min(NONE as usize - 1),
            flow_per_place_count_max: limits.flow_per_place_count_max,
            evicted_count: 0,
            unknown_count: 0,
        }
    }

    pub(crate) fn get(&self, handle: Handle) -> Option<&Flow> {
        let slot = self.slots.get(handle.slot as usize)?;
        if slot.serial == handle.serial { slot.flow.as_deref() } else { None }
    }

    pub(crate) fn get_mut(&mut self, handle: Handle) -> Option<&mut Flow> {
        let slot = self.slots.get_mut(handle.slot as usize)?;
        if slot.serial == handle.serial { slot.flow.as_deref_mut() } else { None }
    }

    /// The flow that the latest fact was about, if it is this one.
    pub(crate) fn latest_mut(&mut self, id: FlowId) -> Option<&mut Flow> {
        let Latest(latest, handle) = self.latest;
        self.get_mut(handle).filter(|_| latest == id)
    }

    pub(crate) fn id(&self, handle: Handle) -> FlowId {
        self.slots.get(handle.slot as usize).map_or(FlowId(0), |slot| slot.id)
    }

    pub(crate) fn find(&self, id: FlowId) -> Option<Handle> {
        let is_it = |number: u32| self.slots.get(number as usize).is_some_and(|slot| slot.id == id);
        self.handle(self.by_id.find(self.seed.of(&id), is_it)?)
    }

    /// Adds a flow; `None` where it is known already.
    pub(crate) fn open(&mut self, at: Time, fact: &FlowOpened) -> Option<(Handle, &Flow)> {
        if self.find(fact.flow).is_some() {
            return None;
        }
        let flow = Flow::new(at, fact);
        let place = flow.place();
        let tuple = self.seed.of(&(flow.transport(), flow.near(), flow.far()));
        self.make_room(place);
        let number = self.take_slot()?;
        self.by_id.insert(self.seed.of(&fact.flow), number);
        self.by_tuple.insert(tuple, number);
        let slot = self.slots.get_mut(number as usize)?;
        slot.id = fact.flow;
        slot.flow = Some(Box::new(flow));
        let handle = Handle { slot: number, serial: slot.serial };
        self.append(place, number, Keep::Loose);
        self.latest = Latest(fact.flow, handle);
        self.get(handle).map(|flow| (handle, flow))
    }

    pub(crate) fn established(&mut self, at: Time, id: FlowId) -> Option<Handle> {
        let (handle, flow) = self.known(id)?;
        if flow.established.is_some() {
            return None;
        }
        flow.established = Some(at);
        Some(handle)
    }

    /// Takes a burst in; gives the flow where a verdict may change.
    pub(crate) fn burst(&mut self, at: Time, burst: &Burst<'_>) -> Option<Handle> {
        let (handle, flow) = self.known(burst.flow)?;
        flow.burst(at, burst).then_some(handle)
    }

    /// The flow has ended: it is remembered until late word about it can no longer come.
    pub(crate) fn close(&mut self, at: Time, fact: &FlowClosed<'_>) -> Option<Handle> {
        let mut numbers = Protocols::default();
        for protocol in &fact.protocols {
            self.names.number(protocol).into_iter().for_each(|number| numbers.add(number));
        }
        let (handle, flow) = self.known(fact.flow)?;
        if flow.closed.is_some() {
            return None;
        }
        flow.protocols.add_all(numbers);
        flow.close(at, fact);
        self.fade_from(at, handle);
        Some(handle)
    }

    /// When the next flow may be forgotten.
    pub(crate) fn next_fading(&self) -> Time {
        self.fading.next()
    }

    /// Forgets what ended so long ago that no late word about it can come, unless it is held. Each
    /// is told as `over` first.
    pub(crate) fn fade(&mut self, clock: Time, over: &mut impl FnMut(FlowId, &mut Flow)) {
        self.gone.drain(..).for_each(|(id, mut flow)| over(id, &mut flow));
        for handle in self.fading.due(clock) {
            let id = self.id(handle);
            let Some(flow) = self.get_mut(handle) else { continue };
            over(id, flow);
            if flow.keep != Keep::Held {
                self.forget(handle);
            }
        }
    }

    /// The input has ended: no late word will come of any flow.
    pub(crate) fn tell_all(&mut self, all: &mut impl FnMut(FlowId, &mut Flow)) {
        self.gone.drain(..).for_each(|(id, mut flow)| all(id, &mut flow));
        for slot in &mut self.slots {
            let id = slot.id;
            slot.flow.iter_mut().for_each(|flow| all(id, flow));
        }
    }

    /// What a channel makes of a flow now. One that is let go fades anew.
    pub(crate) fn set_keep(&mut self, handle: Handle, keep: Keep, clock: Time) {
        let Some(flow) = self.get_mut(handle) else { return };
        let before = flow.keep;
        flow.keep = keep;
        let (place, is_closed) = (flow.place(), flow.closed.is_some());
        if (before == Keep::Held) == (keep == Keep::Held) {
            return;
        }
        self.unlink(place, handle.slot, before);
        self.append(place, handle.slot, keep);
        if before == Keep::Held && is_closed {
            self.fade_from(clock, handle);
        }
    }

    /// It is remembered until late word about it can no longer come.
    pub(crate) fn fade_from(&mut self, from: Time, handle: Handle) {
        let slots = &self.slots;
        let is_alive = |handle: Handle| {
            slots.get(handle.slot as usize).is_some_and(|slot| slot.serial == handle.serial)
        };
        self.fading.set(late(from), handle, is_alive);
    }

    /// Flows of a place that were opened since, and all those that are held.
    pub(crate) fn of_place(&self, place: Place, since: Time) -> impl Iterator<Item = Handle> {
        let at_place = self.places.get(place);
        let (held, loose) = (at_place.held.newest, at_place.loose.newest);
        let is_recent =
            move |slot: &Slot| slot.flow.as_ref().is_some_and(|flow| flow.opened >= since);
        let walk = move |first: u32| {
            let at = |number: u32| self.slots.get(number as usize).map(|slot| (number, slot));
            core::iter::successors(at(first), move |(_, slot)| at(slot.links.older))
        };
        let recent = walk(loose).take_while(move |(_, slot)| is_recent(slot));
        walk(held).chain(recent).map(|(number, slot)| Handle { slot: number, serial: slot.serial })
    }

    /// Flows at a port or an address since then.
    pub(crate) fn of_thing(&self, thing: Thing, since: Time) -> Vec<Handle> {
        let places = self.places.of_thing(thing);
        places.into_iter().flat_map(|place| self.of_place(place, since)).collect()
    }

    pub(crate) fn of_tuple(
        &self,
        transport: Transport,
        near: Endpoint,
        far: Endpoint,
    ) -> impl Iterator<Item = Handle> {
        let numbers = self.by_tuple.all(self.seed.of(&(transport, near, far)));
        numbers.filter_map(move |number| {
            let handle = self.handle(number)?;
            let flow = self.get(handle)?;
            let same = flow.transport() == transport && flow.near() == near && flow.far() == far;
            same.then_some(handle)
        })
    }

    pub(crate) const fn evicted_count(&self) -> u64 {
        self.evicted_count + self.names.refused_count()
    }

    /// Facts about flows of which nobody told that they were opened, or that were evicted.
    pub(crate) const fn unknown_count(&self) -> u64 {
        self.unknown_count
    }

    fn handle(&self, number: u32) -> Option<Handle> {
        let slot = self.slots.get(number as usize)?;
        Some(Handle { slot: number, serial: slot.serial })
    }

    /// Facts about one flow mostly come together: the latest one is found without a search.
    fn known(&mut self, id: FlowId) -> Option<(Handle, &mut Flow)> {
        let Latest(latest, handle) = self.latest;
        let handle =
            if latest == id && self.get(handle).is_some() { Some(handle) } else { self.find(id) };
        let Some(handle) = handle else {
            self.unknown_count += 1;
            return None;
        };
        self.latest = Latest(id, handle);
        self.get_mut(handle).map(|flow| (handle, flow))
    }

    fn take_slot(&mut self) -> Option<u32> {
        if let Some(number) = self.free.pop() {
            return Some(number);
        }
        let number = u32::try_from(self.slots.len()).ok()?;
        self.slots.push(Slot { flow: None, id: FlowId(0), serial: 0, links: Links::NOBODY });
        Some(number)
    }

    /// Takes a flow out of every table. What was not counted yet will be.
    pub(crate) fn forget(&mut self, handle: Handle) {
        let Some(flow) = self.get(handle) else { return };
        let (place, keep, id) = (flow.place(), flow.keep, self.id(handle));
        let tuple = self.seed.of(&(flow.transport(), flow.near(), flow.far()));
        self.unlink(place, handle.slot, keep);
        self.by_id.remove(self.seed.of(&id), handle.slot);
        self.by_tuple.remove(tuple, handle.slot);
        if let Some(slot) = self.slots.get_mut(handle.slot as usize) {
            let id = slot.id;
            if slot.flow.as_deref().is_some_and(Flow::is_uncounted) {
                self.gone.extend(slot.flow.take().map(|flow| (id, flow)));
            }
            slot.flow = None;
            slot.serial = slot.serial.wrapping_add(1);
            self.free.push(handle.slot);
        }
    }
}

fn late(at: Time) -> Time {
    Time(at.0.saturating_add(LATE_MS_MAX * 1_000_000))
}
