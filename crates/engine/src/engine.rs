//! The engine: Observations in, Alerts out.

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use observation::{
    ContainerId, DnsData, DnsExchange, Fact, FactKind, FlowId, Observation, PortId, SocketTuple,
    Span, Time,
};
use serde::{Deserialize, Serialize};

use crate::alert::{AlertId, AlertUpdate, Maturity};
use crate::alerts::{Alerts, Channels, Surroundings};
use crate::channel::{ChannelKey, Far, SILENT_MS, Verdict};
use crate::context::{self, Context};
use crate::evidence::Sum;
use crate::flows::Flows;
use crate::health::{Destinations, Health};
use crate::ledger::{Asked, Container, Ledger, Outcome, Owner, Place, Touched};
use crate::limits::Limits;
use crate::strategies::{all as all_strategies, judge as judge_by_all};

/// Borrows the fields that alerts are built from, so that `alerts` itself can be borrowed mutably.
macro_rules! surroundings {
    ($engine:expr) => {
        Surroundings {
            ledger: &$engine.ledger,
            flows: &$engine.flows,
            channels: &$engine.channels,
            health: &$engine.health,
            destinations: &$engine.destinations,
            subject_count_max: $engine.limits.subject_count_max,
            clock: $engine.clock,
        }
    };
}

/// What went through, for the last line of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Observations taken in.
    pub observation_count: u64,
    /// Things evicted to keep within a limit.
    pub evicted_count: u64,
    /// Alerts opened.
    pub alert_count: u64,
}

/// What the program may show of a strategy.
#[derive(Clone, Copy, Debug)]
pub struct StrategyInfo {
    /// Its id: folder, alert, configuration and documents use the same.
    pub id: &'static str,
    /// ATT&CK technique ids.
    pub techniques: &'static [&'static str],
    /// How settled it is.
    pub maturity: Maturity,
    /// The kinds of fact that it cannot do without.
    pub listens: &'static [FactKind],
    /// Its ADS document.
    pub ads: &'static str,
}

/// All strategies, in the order of their ids.
pub fn strategies() -> impl Iterator<Item = StrategyInfo> {
    all_strategies().map(|strategy| StrategyInfo {
        id: strategy.id,
        techniques: strategy.techniques,
        maturity: strategy.maturity,
        listens: strategy.listens,
        ads: strategy.ads,
    })
}

/// The one place where verdicts are made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Engine {
    limits: Limits,
    clock: Time,
    ledger: Ledger,
    flows: Flows,
    channels: Channels,
    alerts: Alerts,
    health: Health,
    destinations: Destinations,
    /// Established flows that will be looked at once they have been silent for long.
    silent_at: BTreeMap<(Time, FlowId), ()>,
    observation_count: u64,
}

/// The version of what [`Engine::save`] writes.
const STATE_VERSION: u32 = 1;

/// Why a saved state could not be taken up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// It was written by a version of the program that saved other things.
    Version(u32),
    /// It is damaged.
    Damaged,
}

impl fmt::Display for LoadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => {
                write!(
                    out,
                    "the saved state has version {version}, this program reads {STATE_VERSION}"
                )
            }
            Self::Damaged => write!(out, "the saved state is damaged"),
        }
    }
}

impl core::error::Error for LoadError {}

impl Engine {
    /// An engine that knows nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            clock: Time(0),
            ledger: Ledger::new(&limits),
            flows: Flows::new(&limits),
            channels: Channels::new(),
            alerts: Alerts::new(&limits),
            health: Health::default(),
            destinations: Destinations::new(&limits),
            silent_at: BTreeMap::new(),
            observation_count: 0,
        }
    }

    /// Takes one Observation in.
    pub fn observe(&mut self, observation: &Observation<'_>, out: &mut impl FnMut(AlertUpdate)) {
        self.observation_count += 1;
        self.clock = self.clock.max(observation.at);
        let mut dirty = BTreeSet::new();
        self.take(observation, &mut dirty);
        self.settle(dirty, out);
    }

    /// Time passes: what was waiting for `to` or earlier is judged.
    pub fn advance(&mut self, to: Time, out: &mut impl FnMut(AlertUpdate)) {
        self.clock = self.clock.max(to);
        self.settle(BTreeSet::new(), out);
    }

    /// The input has ended: everything still waiting is judged and told.
    pub fn finish(&mut self, out: &mut impl FnMut(AlertUpdate)) {
        let waiting = self.silent_at.keys().map(|(_, id)| *id).collect();
        self.settle(waiting, out);
        self.tell(Time::NEVER, out);
    }

    /// Counts so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            observation_count: self.observation_count,
            evicted_count: self.ledger.evicted_count()
                + self.flows.evicted_count()
                + self.alerts.evicted_count()
                + self.destinations.evicted_count(),
            alert_count: self.alerts.opened_count(),
        }
    }

    /// Everything that [`Engine::load`] needs to go on from here.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        postcard::to_allocvec(&(STATE_VERSION, self)).unwrap_or_default()
    }

    /// Goes on where [`Engine::save`] stopped.
    ///
    /// # Errors
    /// When the bytes are of another version, or damaged.
    pub fn load(bytes: &[u8]) -> Result<Self, LoadError> {
        let (version, rest) =
            postcard::take_from_bytes::<u32>(bytes).map_err(|_| LoadError::Damaged)?;
        if version != STATE_VERSION {
            return Err(LoadError::Version(version));
        }
        postcard::from_bytes(rest).map_err(|_| LoadError::Damaged)
    }

    fn take(&mut self, observation: &Observation<'_>, dirty: &mut BTreeSet<FlowId>) {
        let at = observation.at;
        match &observation.fact {
            Fact::FlowOpened(fact) => {
                self.flows.open(at, fact);
                if let Some(flow) = self.flows.get(&fact.flow) {
                    let place = Place::of(&fact.key, fact.local);
                    self.destinations.went(place, flow.transport(), flow.far());
                }
            }
            Fact::FlowEstablished(fact) => {
                self.flows.established(at, fact.flow);
                let due = at + Span::from_millis(SILENT_MS);
                self.silent_at.insert((due, fact.flow), ());
            }
            Fact::Burst(fact) => {
                self.flows.burst(fact);
                dirty.insert(fact.flow);
            }
            Fact::ProtocolIdentified(fact) => self.flows.identified(fact),
            Fact::FlowClosed(fact) => {
                self.flows.close(at, fact);
                dirty.insert(fact.flow);
            }
            Fact::Dns(fact) => self.asked(fact, dirty),
            Fact::SocketTuple(fact) => {
                self.ledger.observe(observation);
                self.touched_tuple(fact, dirty);
            }
            Fact::SourceStatus(fact) => self.health.status(fact),
            Fact::Gap(fact) => self.health.gap(fact),
            _ => {
                if let Touched::Container(id) = self.ledger.observe(observation) {
                    self.touched_container(id, dirty);
                }
            }
        }
    }

    fn asked(&mut self, fact: &DnsExchange<'_>, dirty: &mut BTreeSet<FlowId>) {
        let Some(flow) = self.flows.get(&fact.flow) else { return };
        let place = Place::of(&flow.key, flow.local);
        let addresses = fact.answers.iter().filter_map(|answer| match &answer.data {
            DnsData::Address(address) => Some(*address),
            _ => None,
        });
        let outcome = match fact.response_code {
            Some(0) => Outcome::Found,
            Some(_) => Outcome::Refused,
            None => Outcome::Unanswered,
        };
        let asked = Asked {
            name: Cow::clone(&fact.name).into_owned(),
            at: fact.asked_at,
            server: flow.far().address,
            addresses: addresses.collect(),
            outcome,
        };
        self.ledger.asked(place, asked);
        // Flows that the name led to may be known already: the answer is told when it is complete.
        dirty.extend(self.flows.of_place(place, self.clock));
        dirty.insert(fact.flow);
    }

    fn touched_tuple(&self, fact: &SocketTuple, dirty: &mut BTreeSet<FlowId>) {
        dirty.extend(self.flows.of_tuple(fact.transport, fact.local, fact.remote));
        dirty.extend(self.flows.of_tuple(fact.transport, fact.remote, fact.local));
    }

    /// A container is known better now: what was seen at its places is judged anew.
    fn touched_container(&mut self, id: ContainerId, dirty: &mut BTreeSet<FlowId>) {
        for place in self.ledger.places_of(id) {
            if place.port == PortId::UNKNOWN {
                dirty.extend(self.flows.of_address(place.address, self.clock));
            } else {
                dirty.extend(self.flows.of_port(place.port, self.clock));
            }
        }
        let lowest = ChannelKey {
            owner: Owner::Container(id),
            far: Far::Endpoint(
                observation::Transport::Tcp,
                observation::Endpoint { address: core::net::Ipv4Addr::UNSPECIFIED.into(), port: 0 },
            ),
        };
        for (key, channel) in self.channels.range(lowest..) {
            if key.owner != Owner::Container(id) {
                break;
            }
            dirty.extend(channel.ids());
        }
        self.judge_not_run(id);
    }

    /// Resolves, judges and tells.
    fn settle(&mut self, mut dirty: BTreeSet<FlowId>, out: &mut impl FnMut(AlertUpdate)) {
        while let Some(((due, id), ())) = self.silent_at.first_key_value() {
            let (due, id) = (*due, *id);
            if due > self.clock {
                break;
            }
            self.silent_at.remove(&(due, id));
            dirty.insert(id);
        }
        let mut channels = BTreeSet::new();
        for id in &dirty {
            self.resolve(*id, &mut channels);
        }
        let mut closed = Vec::new();
        for key in channels {
            self.judge(&key, &mut closed);
        }
        closed.into_iter().for_each(|id| out(AlertUpdate::Closed(id)));
        self.tell(self.clock, out);
        self.fade();
    }

    /// Finds the owner of a flow and puts the flow into the channel where it belongs.
    fn resolve(&mut self, id: FlowId, channels: &mut BTreeSet<ChannelKey>) {
        let Some(flow) = self.flows.get(&id) else { return };
        let owner = self.ledger.owner(&flow.key, flow.local, flow.opened);
        let far = Far::Endpoint(flow.transport(), flow.far());
        let (opened, before) = (flow.opened, flow.owner);
        let wanted = owner != Owner::Host
            && flow.is_outgoing()
            && (flow.is_interesting() || self.is_raw_clients(id, owner));
        if before != owner {
            let old = ChannelKey { owner: before, far: far.clone() };
            if let Some(channel) = self.channels.get_mut(&old)
                && channel.has(opened, id)
            {
                channel.remove(opened, id);
                channels.insert(old);
            }
            self.flows.set_owner(&id, owner);
        }
        self.look_for_failed_names(id, owner, channels);
        if !wanted {
            return;
        }
        let key = ChannelKey { owner, far };
        let count_max = self.limits.flow_per_channel_count_max;
        self.channels.entry(key.clone()).or_default().add(opened, id, count_max);
        channels.insert(key);
    }

    /// A conversation in a known grammar concerns us only when a raw client holds it.
    fn is_raw_clients(&self, id: FlowId, owner: Owner) -> bool {
        let (Some(flow), Owner::Container(_)) = (self.flows.get(&id), owner) else { return false };
        flow.closed.is_some()
            && flow.obeyed
            && context::client_of_flow(&self.ledger, flow, owner).is_some()
    }

    /// Lookups that led nowhere, by a container whose command is a raw client for that name.
    fn look_for_failed_names(
        &mut self,
        id: FlowId,
        owner: Owner,
        channels: &mut BTreeSet<ChannelKey>,
    ) {
        let (Some(flow), Owner::Container(container)) = (self.flows.get(&id), owner) else {
            return;
        };
        let place = Place::of(&flow.key, flow.local);
        let failed: Vec<String> =
            self.ledger.failed_names(place).map(|asked| asked.name.clone()).collect();
        if failed.is_empty() {
            return;
        }
        let Some(container) = self.ledger.container(&container) else { return };
        let client = Context::of_container(&self.ledger, container, self.clock).client;
        let Some(client) = client else { return };
        for name in failed.into_iter().filter(|name| client.mentions(name)) {
            let key = ChannelKey { owner, far: Far::Name(name) };
            self.channels.entry(key.clone()).or_default();
            channels.insert(key);
        }
    }

    /// A container that ended with 127 or never came to run: its image has no such program.
    fn judge_not_run(&mut self, id: ContainerId) {
        const NO_SUCH_PROGRAM: i32 = 127;
        let Some(container) = self.ledger.container(&id) else { return };
        if container.exit_code() != Some(NO_SUCH_PROGRAM) && !container.never_ran() {
            return;
        }
        let key = ChannelKey { owner: Owner::Container(id), far: Far::Nobody };
        self.channels.entry(key.clone()).or_default();
        self.judge(&key, &mut Vec::new());
    }

    fn judge(&mut self, key: &ChannelKey, closed: &mut Vec<AlertId>) {
        let Some(channel) = self.channels.get(key) else { return };
        let first = channel.flows(&self.flows).next();
        let context = match (first, key.owner) {
            (Some(flow), _) => Context::of_flow(&self.ledger, flow),
            (None, Owner::Container(id)) if !matches!(key.far, Far::Endpoint(..)) => {
                let Some(container) = self.ledger.container(&id) else { return };
                Context::of_container(&self.ledger, container, self.clock)
            }
            (None, _) => {
                self.channels.remove(key);
                self.alerts.acquit(key, closed);
                return;
            }
        };
        let gone = match key.owner {
            Owner::Container(id) => self.ledger.container(&id).and_then(Container::gone),
            Owner::Unnamed(_) | Owner::Host => None,
        };
        let session = channel.session(&self.flows, self.clock, gone);
        let findings = judge_by_all(key, &session, &context);
        let verdict = (!findings.is_empty()).then(|| {
            let sum = Sum::of(&findings, context.origin.prior());
            Verdict { findings, sum }
        });
        let accused = verdict.is_some();
        if let Some(channel) = self.channels.get_mut(key) {
            channel.verdict = verdict;
        }
        if !accused {
            self.alerts.acquit(key, closed);
            return;
        }
        let surroundings = surroundings!(self);
        for gone in self.alerts.accuse(key, &surroundings, closed) {
            self.drop_channel(&gone);
        }
    }

    fn tell(&mut self, now: Time, out: &mut impl FnMut(AlertUpdate)) {
        let surroundings = surroundings!(self);
        self.alerts.tell(now, &surroundings, out);
    }

    /// Forgets closed flows that nobody speaks about.
    fn fade(&mut self) {
        for id in self.flows.faded(self.clock) {
            let Some(flow) = self.flows.get(&id) else { continue };
            let far = Far::Endpoint(flow.transport(), flow.far());
            let key = ChannelKey { owner: flow.owner, far };
            let opened = flow.opened;
            if let Some(channel) = self.channels.get_mut(&key) {
                if channel.verdict.is_some() && channel.has(opened, id) {
                    continue;
                }
                channel.remove(opened, id);
                if channel.is_empty() && channel.verdict.is_none() {
                    self.channels.remove(&key);
                }
            }
            self.flows.forget(id);
        }
    }

    fn drop_channel(&mut self, key: &ChannelKey) {
        if let Some(channel) = self.channels.remove(key) {
            channel.ids().for_each(|id| self.flows.release(id));
        }
    }
}
