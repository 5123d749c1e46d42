//! Bytes that leave a container as soon as they came, and in the same sizes: two of its flows are
//! one relay.
//!
//! What was said at a place last is kept there, once the place has accepted a flow, and compared
//! with what is said next in flows of the other kind. A burst is told when it is over, so that what
//! was sent may be told before what was received.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use observation::{Burst, Endpoint, PortId, Span, Time, Transport};
use serde::{Deserialize, Serialize};

use crate::dirty::Dirty;
use crate::engine::Engine;
use crate::fair::Fair;
use crate::flows::{Flow, Handle};
use crate::index::Seed;
use crate::ledger::{Place, near_side};
use crate::limits::Limits;

/// What is relayed leaves within this time.
const RELAY_MS_MAX: u64 = 250;
/// A relay adds or takes at most one in so many bytes; of short words none.
const RELAY_BYTES_PER_CHANGE: u64 = 32;
/// Bursts of each way that a place remembers.
const SAID_COUNT_MAX: usize = 8;
/// So many bursts each way are no accident.
const RELAY_COUNT_MIN: u16 = 3;
/// Of all bursts of a flow that is a relay's, so many in four are relayed.
const RELAYED_IN_FOUR_MIN: u32 = 3;
/// Places are compared for one in so many of the containers that there may be.
const CONTAINER_PART: usize = 4;

/// Which way a burst went, as the place sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Way {
    Received,
    Sent,
}

/// Who opened the flow of a burst, as the place sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Opener {
    Own,
    Others,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    flow: Handle,
    opener: Opener,
    start: Time,
    end: Time,
    bytes: u64,
}

/// What was said at a place last.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Recent {
    received: VecDeque<Said>,
    sent: VecDeque<Said>,
}

/// What was said last at all places that have accepted a flow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Relays {
    by_place: Fair<PortId, Place, Recent>,
}

/// Where an accepted flow is relayed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Relay {
    pub to: Endpoint,
    flow: Handle,
    forth: u16,
    back: u16,
}

impl Relay {
    pub(crate) const fn count(&self) -> u32 {
        self.forth as u32 + self.back as u32
    }

    /// Whether a flow of so many bursts is a relay's.
    pub(crate) const fn explains(&self, burst_count: u32) -> bool {
        self.forth >= RELAY_COUNT_MIN
            && self.back >= RELAY_COUNT_MIN
            && self.count().saturating_mul(4) >= burst_count.saturating_mul(RELAYED_IN_FOUR_MIN)
    }
}

impl Relays {
    pub(crate) fn new(limits: &Limits, seed: Seed) -> Self {
        let place_count_max = limits.container_count_max.div_ceil(CONTAINER_PART);
        Self { by_place: Fair::new(place_count_max, seed) }
    }

    /// Notes what was said; gives the accepted flow and the opened one where it was relayed.
    fn note(&mut self, place: Place, way: Way, said: Said) -> Option<(Handle, Handle)> {
        let recent = match said.opener {
            Opener::Others => self.by_place.entry(place.port, place, Recent::default).0?,
            Opener::Own => self.by_place.get_mut(&place)?,
        };
        let (mine, others) = match way {
            Way::Received => (&mut recent.received, &mut recent.sent),
            Way::Sent => (&mut recent.sent, &mut recent.received),
        };
        if mine.contains(&said) {
            return None;
        }
        let is_same = |other: &Said| match way {
            Way::Received => goes_on(&said, other),
            Way::Sent => goes_on(other, &said),
        };
        if let Some(found) = others.iter().position(is_same)
            && let Some(other) = others.remove(found)
        {
            return Some(match said.opener {
                Opener::Others => (said.flow, other.flow),
                Opener::Own => (other.flow, said.flow),
            });
        }
        if mine.len() >= SAID_COUNT_MAX {
            mine.pop_front();
        }
        mine.push_back(said);
        None
    }

    pub(crate) const fn evicted_count(&self) -> u64 {
        self.by_place.evicted_count()
    }
}

/// Whether what was received in one flow is what was sent in the other.
fn goes_on(received: &Said, sent: &Said) -> bool {
    let latest = received.end + Span::from_millis(RELAY_MS_MAX);
    received.opener != sent.opener
        && (received.start..=latest).contains(&sent.start)
        && received.bytes.abs_diff(sent.bytes) <= received.bytes / RELAY_BYTES_PER_CHANGE
}

impl Engine {
    /// A burst may be what has just come in elsewhere, or what goes on there.
    pub(crate) fn relay(&mut self, burst: &Burst<'_>, dirty: &mut Dirty) {
        let Some(handle) = self.flows.find(burst.flow) else { return };
        let Some(flow) = self.flows.get(handle) else { return };
        if flow.transport() != Transport::Tcp || burst.bytes == 0 || flow.place().port.is_of_host()
        {
            return;
        }
        let opener = if flow.is_outgoing() { Opener::Own } else { Opener::Others };
        let way = if burst.side == near_side(flow.local) { Way::Sent } else { Way::Received };
        let Burst { start, end, bytes, .. } = *burst;
        let said = Said { flow: handle, opener, start, end, bytes };
        let Some((accepted, opened)) = self.relays.note(flow.place(), way, said) else { return };
        let Some(to) = self.flows.get(opened).map(Flow::far) else { return };
        let is_forth = (opener == Opener::Others) == (way == Way::Received);
        let Some(flow) = self.flows.get_mut(accepted) else { return };
        let relay = flow
            .relay
            .get_or_insert_with(|| Box::new(Relay { to, flow: opened, forth: 0, back: 0 }));
        // One burst of another flow may have looked the same.
        if relay.flow != opened && relay.count() <= 1 {
            **relay = Relay { to, flow: opened, forth: 0, back: 0 };
        }
        if relay.flow == opened {
            let count = if is_forth { &mut relay.forth } else { &mut relay.back };
            *count = count.saturating_add(1);
        }
        if flow.is_relay() {
            self.dirty(accepted, dirty);
        }
    }
}
