//! All flows of a lane: a slab that grows by chunks and never moves, and who makes room.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use observation::Time;

use super::Flow;
use super::quota::{GROUP_COUNT, group_of};

/// Flows of one allocation.
const CHUNK: usize = 512;
/// A flow's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(pub u32);

/// The slab.
#[derive(Debug)]
pub(crate) struct Table {
    chunks: Vec<Vec<Option<Flow>>>,
    free: Vec<Slot>,
    serial: u32,
    live: u32,
    count_max: u32,
    groups: Vec<Group>,
}

/// The flows of some ports, by the time when they were last found busy.
#[derive(Debug, Default)]
struct Group {
    live: u32,
    queue: VecDeque<(Time, Slot, u32)>,
}

impl Table {
    pub(crate) fn new(count_max: u32) -> Self {
        let groups = (0..GROUP_COUNT).map(|_| Group::default()).collect();
        // One packet may open two flows.
        let count_max = count_max.max(4);
        Self { chunks: Vec::new(), free: Vec::new(), serial: 0, live: 0, count_max, groups }
    }

    /// How many more flows there may be.
    pub(crate) const fn room(&self) -> u32 {
        self.count_max.saturating_sub(self.live)
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Flow> {
        let place = slot.0 as usize;
        self.chunks.get(place / CHUNK)?.get(place % CHUNK)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Flow> {
        self.place(slot)?.as_mut()
    }

    fn place(&mut self, slot: Slot) -> Option<&mut Option<Flow>> {
        let place = slot.0 as usize;
        self.chunks.get_mut(place / CHUNK)?.get_mut(place % CHUNK)
    }

    /// Puts a flow in; the caller has made room.
    pub(crate) fn insert(&mut self, mut flow: Flow) -> Slot {
        self.serial = self.serial.wrapping_add(1);
        flow.serial = self.serial;
        let (serial, at, port) = (flow.serial, flow.end, flow.key.port);
        let slot = self.free.pop().unwrap_or_else(|| self.grow());
        if let Some(place) = self.place(slot) {
            *place = Some(flow);
        }
        self.live += 1;
        if let Some(group) = self.groups.get_mut(group_of(port)) {
            group.live += 1;
            group.queue.push_back((at, slot, serial));
        }
        self.compact(group_of(port));
        slot
    }

    fn grow(&mut self) -> Slot {
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let place = self.chunks.last_mut().map_or(0, |chunk| {
            chunk.push(None);
            chunk.len() - 1
        });
        Slot(u32::try_from(before + place).unwrap_or(u32::MAX))
    }

    /// Takes a flow out.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Flow> {
        let flow = self.place(slot)?.take()?;
        self.free.push(slot);
        self.live -= 1;
        if let Some(group) = self.groups.get_mut(group_of(flow.key.port)) {
            group.live -= 1;
        }
        Some(flow)
    }

    /// The flow that was idle for longest, among those of the ports with the most flows.
    pub(crate) fn idlest(&mut self) -> Option<Slot> {
        let most =
            (0..GROUP_COUNT).max_by_key(|&at| self.groups.get(at).map(|group| group.live))?;
        // Each flow is looked at once at most; one that was busy since is put back.
        let count = self.groups.get(most)?.queue.len();
        for look in 0..=count {
            let (queued_at, slot, serial) = self.groups.get_mut(most)?.queue.pop_front()?;
            let Some(flow) = self.get(slot).filter(|flow| flow.serial == serial) else {
                continue;
            };
            let busy_at = flow.end;
            if busy_at <= queued_at || look == count {
                return Some(slot);
            }
            self.groups.get_mut(most)?.queue.push_back((busy_at, slot, serial));
        }
        None
    }

    /// Entries of flows that are gone never outnumber the living by much.
    fn compact(&mut self, group: usize) {
        let Some(Group { live, queue }) = self.groups.get_mut(group) else {
            return;
        };
        if queue.len() <= *live as usize * 2 + CHUNK {
            return;
        }
        let mut queue = core::mem::take(queue);
        queue.retain(|&(_, slot, serial)| self.get(slot).is_some_and(|flow| flow.serial == serial));
        if let Some(group) = self.groups.get_mut(group) {
            group.queue = queue;
        }
    }

    /// Every slot that was ever used.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        let count = self.chunks.iter().map(Vec::len).sum::<usize>();
        (0..u32::try_from(count).unwrap_or(u32::MAX)).map(Slot)
    }
}
