//! What the engine remembers of each flow, and for how long.

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use observation::{
    Burst, ConnState, Endpoint, FlowClosed, FlowId, FlowKey, FlowOpened, Grammar, LocalSide,
    ProtocolIdentified, Side, Time, Transport,
};
use serde::{Deserialize, Serialize};

use crate::alert::{Excerpt, FlowView};
use crate::ledger::{LATE_MS_MAX, Owner, Place, near_side};
use crate::limits::Limits;
use crate::roles::{Conversation, Roles};

/// Beginnings of bursts that one flow keeps.
pub(crate) const EXCERPT_COUNT_MAX: usize = 4;
/// From this share of printable bytes on, in percent, a burst's beginning is worth keeping.
const LEGIBLE_PERCENT_MIN: u8 = 70;

/// One flow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Flow {
    pub key: FlowKey,
    pub local: LocalSide,
    pub opened: Time,
    pub last: Time,
    pub established: Option<Time>,
    pub closed: Option<ConnState>,
    pub roles: Roles,
    pub protocols: Vec<String>,
    /// A protocol claims it and it was obeyed so far.
    pub obeyed: bool,
    pub owner: Owner,
    community_id: String,
    near_bytes: u64,
    far_bytes: u64,
    excerpts: Vec<Excerpt>,
}

impl Flow {
    fn new(at: Time, fact: &FlowOpened) -> Self {
        Self {
            key: fact.key,
            local: fact.local,
            opened: at,
            last: at,
            established: None,
            closed: None,
            roles: Roles::new(near_side(fact.local)),
            protocols: Vec::new(),
            obeyed: false,
            owner: Owner::Unnamed(Place::of(&fact.key, fact.local)),
            community_id: String::new(),
            near_bytes: 0,
            far_bytes: 0,
            excerpts: Vec::new(),
        }
    }

    /// The local side opened it.
    pub(crate) fn is_outgoing(&self) -> bool {
        near_side(self.local) == Side::Originator
    }

    pub(crate) fn far(&self) -> Endpoint {
        if self.is_outgoing() { self.key.responder } else { self.key.originator }
    }

    pub(crate) fn near(&self) -> Endpoint {
        if self.is_outgoing() { self.key.originator } else { self.key.responder }
    }

    pub(crate) const fn transport(&self) -> Transport {
        self.key.transport
    }

    /// Established, and nobody has said anything.
    pub(crate) const fn is_silent(&self) -> bool {
        self.established.is_some() && self.near_bytes == 0 && self.far_bytes == 0
    }

    /// Never accepted: refused, or nobody answered.
    pub(crate) const fn has_failed(&self) -> bool {
        matches!(self.closed, Some(ConnState::Rej | ConnState::S0 | ConnState::RstOS0))
    }

    /// Whether a strategy may still say something about it. The others are soon forgotten.
    pub(crate) fn is_interesting(&self) -> bool {
        !matches!(self.roles.conversation(), Conversation::Nothing | Conversation::Binary)
            || self.is_silent()
            || self.has_failed()
    }

    fn burst(&mut self, burst: &Burst<'_>) {
        self.last = self.last.max(burst.end);
        self.roles.observe(burst, self.grammar_of(burst));
        match burst.grammar {
            Grammar::Obeyed | Grammar::Unchecked => self.obeyed = true,
            Grammar::Left => self.obeyed = false,
            Grammar::None => {}
        }
        let bytes = if burst.side == near_side(self.local) {
            &mut self.near_bytes
        } else {
            &mut self.far_bytes
        };
        *bytes = bytes.saturating_add(burst.bytes);
        let legible = burst.shape.printable_percent >= LEGIBLE_PERCENT_MIN;
        if legible && self.excerpts.len() < EXCERPT_COUNT_MAX {
            self.excerpts.push(Excerpt {
                at: burst.start,
                side: burst.side,
                bytes: burst.excerpt.to_vec(),
                burst_bytes: burst.bytes,
            });
        }
    }

    /// Telnet (RFC 854) carries free text between its options: it excuses nobody.
    fn grammar_of(&self, burst: &Burst<'_>) -> Grammar {
        match burst.grammar {
            Grammar::Unchecked if self.protocols.iter().any(|name| name == "telnet") => {
                Grammar::None
            }
            grammar => grammar,
        }
    }

    fn close(&mut self, fact: &FlowClosed<'_>) {
        self.last = self.last.max(fact.end);
        self.closed = Some(fact.state);
        self.protocols = fact.protocols.iter().map(|name| Cow::clone(name).into_owned()).collect();
        self.community_id = Cow::clone(&fact.community_id).into_owned();
        let (near, far) = match near_side(fact.local) {
            Side::Originator => (&fact.originator, &fact.responder),
            Side::Responder => (&fact.responder, &fact.originator),
        };
        self.near_bytes = near.payload_bytes;
        self.far_bytes = far.payload_bytes;
    }

    pub(crate) fn view(&self) -> FlowView {
        FlowView {
            local: self.near(),
            remote: self.far(),
            transport: self.key.transport,
            community_id: self.community_id.clone(),
            start: self.opened,
            end: self.last,
            sent_bytes: self.near_bytes,
            received_bytes: self.far_bytes,
            protocols: self.protocols.clone(),
            state: self.closed,
            excerpts: self.excerpts.clone(),
        }
    }
}

type Tuple = (Transport, Endpoint, Endpoint);

/// All flows, by id, by place and by tuple.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Flows {
    by_id: BTreeMap<FlowId, Flow>,
    by_place: BTreeMap<Place, VecDeque<FlowId>>,
    by_tuple: BTreeMap<Tuple, VecDeque<FlowId>>,
    /// Closed flows, in the order in which they may be forgotten.
    fading: BTreeMap<(Time, FlowId), ()>,
    flow_count_max: usize,
    flow_per_place_count_max: usize,
    evicted_count: u64,
    unknown_count: u64,
}

impl Flows {
    pub(crate) const fn new(limits: &Limits) -> Self {
        Self {
            by_id: BTreeMap::new(),
            by_place: BTreeMap::new(),
            by_tuple: BTreeMap::new(),
            fading: BTreeMap::new(),
            flow_count_max: limits.flow_count_max,
            flow_per_place_count_max: limits.flow_per_place_count_max,
            evicted_count: 0,
            unknown_count: 0,
        }
    }

    pub(crate) fn get(&self, id: &FlowId) -> Option<&Flow> {
        self.by_id.get(id)
    }

    pub(crate) fn set_owner(&mut self, id: &FlowId, owner: Owner) {
        if let Some(flow) = self.by_id.get_mut(id) {
            flow.owner = owner;
        }
    }

    /// Adds a flow. A place that has too many loses its own oldest one.
    pub(crate) fn open(&mut self, at: Time, fact: &FlowOpened) {
        let flow = Flow::new(at, fact);
        let place = Place::of(&fact.key, fact.local);
        let tuple = (flow.key.transport, flow.near(), flow.far());
        let at_place = self.by_place.get(&place).map_or(0, VecDeque::len);
        if at_place >= self.flow_per_place_count_max {
            let oldest = self.by_place.get(&place).and_then(|all| all.front().copied());
            self.evict(oldest);
        } else if self.by_id.len() >= self.flow_count_max {
            let fading = self.fading.keys().next().map(|(_, id)| *id);
            self.evict(fading.or_else(|| self.by_id.keys().next().copied()));
        }
        self.by_place.entry(place).or_default().push_back(fact.flow);
        self.by_tuple.entry(tuple).or_default().push_back(fact.flow);
        self.by_id.insert(fact.flow, flow);
    }

    pub(crate) fn established(&mut self, at: Time, id: FlowId) {
        self.change(id, |flow| {
            flow.established.get_or_insert(at);
        });
    }

    pub(crate) fn burst(&mut self, burst: &Burst<'_>) {
        self.change(burst.flow, |flow| flow.burst(burst));
    }

    pub(crate) fn identified(&mut self, fact: &ProtocolIdentified<'_>) {
        self.change(fact.flow, |flow| {
            if !flow.protocols.iter().any(|name| *name == *fact.protocol) {
                flow.protocols.push(Cow::clone(&fact.protocol).into_owned());
            }
        });
    }

    /// The flow has ended: it is remembered until late word about it can no longer come.
    pub(crate) fn close(&mut self, at: Time, fact: &FlowClosed<'_>) {
        self.change(fact.flow, |flow| flow.close(fact));
        if self.by_id.contains_key(&fact.flow) {
            let until = Time(at.0.saturating_add(LATE_MS_MAX * 1_000_000));
            self.fading.insert((until, fact.flow), ());
        }
    }

    /// The flows that ended so long ago that no late word about them can come any more.
    pub(crate) fn faded(&mut self, clock: Time) -> Vec<FlowId> {
        let mut faded = Vec::new();
        while let Some(((until, id), ())) = self.fading.first_key_value() {
            let (until, id) = (*until, *id);
            if until > clock {
                break;
            }
            self.fading.remove(&(until, id));
            faded.push(id);
        }
        faded
    }

    /// Forgets a flow that nobody keeps any longer.
    pub(crate) fn release(&mut self, id: FlowId) {
        if self.by_id.get(&id).is_some_and(|flow| flow.closed.is_some()) {
            self.forget(id);
        }
    }

    /// Flows of a place that are recent, or that a strategy may still speak about.
    pub(crate) fn of_place(&self, place: Place, clock: Time) -> impl Iterator<Item = FlowId> {
        let recent = clock.0.saturating_sub(LATE_MS_MAX * 1_000_000);
        let all = self.by_place.get(&place).into_iter().flatten().copied();
        all.filter(move |id| {
            self.by_id.get(id).is_some_and(|flow| flow.opened.0 >= recent || flow.is_interesting())
        })
    }

    /// Flows at a port, whatever the address.
    pub(crate) fn of_port(
        &self,
        port: observation::PortId,
        clock: Time,
    ) -> impl Iterator<Item = FlowId> {
        let lowest = Place { port, address: core::net::Ipv4Addr::UNSPECIFIED.into() };
        let places = self.by_place.range(lowest..).map(|(place, _)| *place);
        places
            .take_while(move |place| place.port == port)
            .flat_map(move |place| self.of_place(place, clock))
    }

    /// Flows of an address, whatever the port at which they were seen.
    pub(crate) fn of_address(
        &self,
        address: core::net::IpAddr,
        clock: Time,
    ) -> impl Iterator<Item = FlowId> {
        let places = self.by_place.keys().copied();
        places
            .filter(move |place| place.address == address)
            .flat_map(move |place| self.of_place(place, clock))
    }

    pub(crate) fn of_tuple(
        &self,
        transport: Transport,
        near: Endpoint,
        far: Endpoint,
    ) -> impl Iterator<Item = FlowId> {
        self.by_tuple.get(&(transport, near, far)).into_iter().flatten().copied()
    }

    pub(crate) const fn evicted_count(&self) -> u64 {
        self.evicted_count
    }

    fn change(&mut self, id: FlowId, change: impl FnOnce(&mut Flow)) {
        match self.by_id.get_mut(&id) {
            Some(flow) => change(flow),
            None => self.unknown_count += 1,
        }
    }

    fn evict(&mut self, id: Option<FlowId>) {
        if let Some(id) = id {
            self.forget(id);
            self.evicted_count += 1;
        }
    }

    /// Takes a flow out of every table.
    pub(crate) fn forget(&mut self, id: FlowId) {
        let Some(flow) = self.by_id.remove(&id) else { return };
        let place = Place::of(&flow.key, flow.local);
        take_out(&mut self.by_place, &place, id);
        take_out(&mut self.by_tuple, &(flow.key.transport, flow.near(), flow.far()), id);
    }
}

fn take_out<K: Ord>(index: &mut BTreeMap<K, VecDeque<FlowId>>, key: &K, id: FlowId) {
    if let Some(all) = index.get_mut(key) {
        // Mostly the oldest goes, which stands in front.
        if all.front() == Some(&id) {
            all.pop_front();
        } else {
            all.retain(|other| *other != id);
        }
        if all.is_empty() {
            index.remove(key);
        }
    }
}
