//! The engine: Observations in, Alerts out.

use alloc::borrow::Cow;

use observation::{
    Burst, ContainerId, DnsData, DnsExchange, Endpoint, Fact, FactKind, FlowClosed, FlowOpened,
    Observation, Span, Time, Transport,
};
use serde::{Deserialize, Serialize};

use crate::alert::{AlertUpdate, Maturity};
use crate::alerts::{Alerts, Channels, Following, surroundings};
use crate::baseline::Baselines;
use crate::channel::{Channel, ChannelKey, Far};
use crate::dirty::Dirty;
use crate::flows::{self, Flows, Handle, Keep};
use crate::health::{Destinations, Health};
use crate::index::Seed;
use crate::lasting::Lengths;
use crate::ledger::{
    ADDRESS_COUNT_MAX, Asked, ByHand, LATE_MS_MAX, Ledger, Outcome, Owner, STAMP_MS_MAX, Touched,
};
use crate::limits::Limits;
use crate::lookups::{Lookup, Lookups};
use crate::profiles::Profiles;
use crate::relays::Relays;
use crate::session::SILENT_MS;
use crate::stacks::Stacks;
use crate::strategies::all as all_strategies;
use crate::surveys::Surveys;
use crate::timers::Timers;

/// What went through, for the last line of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Observations taken in.
    pub observation_count: u64,
    /// Things evicted to keep within a limit.
    pub evicted_count: u64,
    /// Facts about flows of which nobody told that they were opened, or that were evicted.
    pub unknown_flow_count: u64,
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
    pub(crate) limits: Limits,
    pub(crate) clock: Time,
    pub(crate) ledger: Ledger,
    pub(crate) flows: Flows,
    pub(crate) channels: Channels,
    pub(crate) alerts: Alerts,
    pub(crate) profiles: Profiles,
    /// Who calls whom, seen from the called.
    pub(crate) callers: Profiles,
    pub(crate) health: Health,
    pub(crate) destinations: Destinations,
    pub(crate) lookups: Lookups,
    pub(crate) relays: Relays,
    stacks: Stacks,
    /// What the programs of a place call themselves.
    agents: Stacks,
    /// How long the connections of a place last.
    lengths: Lengths,
    pub(crate) surveys: Surveys,
    pub(crate) baselines: Baselines,
    /// Accepted flows that will be looked at once they have been silent for long.
    silent: Timers,
    /// Flows that have to be judged soon, where only the end counts.
    pub(crate) gathered: Dirty,
    pub(crate) channel_evicted_count: u64,
    observation_count: u64,
}

impl Engine {
    /// An engine that knows nothing yet. `seed` keys its hash tables: secret where input may be
    /// hostile, fixed in replay. It never reaches the output.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        let seed = Seed(seed);
        Self {
            limits,
            clock: Time(0),
            ledger: Ledger::new(&limits, seed),
            flows: Flows::new(&limits, seed),
            channels: Channels::new(),
            alerts: Alerts::new(&limits),
            profiles: Profiles::new(&limits, seed),
            callers: Profiles::of_callers(&limits, seed),
            health: Health::default(),
            destinations: Destinations::new(&limits, seed),
            lookups: Lookups::new(&limits, seed),
            relays: Relays::new(&limits, seed),
            stacks: Stacks::new(&limits, seed),
            agents: Stacks::new(&limits, seed),
            lengths: Lengths::new(&limits, seed),
            surveys: Surveys::new(&limits, seed),
            baselines: Baselines::new(&limits, seed),
            silent: Timers::default(),
            gathered: Dirty::default(),
            channel_evicted_count: 0,
            observation_count: 0,
        }
    }

    /// The same engine, whose alerts are followed in this way.
    #[must_use]
    pub fn followed(mut self, following: Following) -> Self {
        self.alerts.follow(following);
        self
    }

    /// Takes one Observation in. What was due before it happens before it, at its own time, so that
    /// it does not matter whether anybody has called [`Self::advance`] meanwhile.
    pub fn observe(&mut self, observation: &Observation<'_>, out: &mut impl FnMut(AlertUpdate)) {
        self.observation_count = self.observation_count.saturating_add(1);
        self.run_timers(observation.at, out);
        self.clock = self.clock.max(observation.at);
        let mut dirty = Dirty::default();
        self.take(observation, &mut dirty);
        self.settle_in_time(dirty, out);
        self.look_at_ripe(out);
    }

    /// Time passes: what was waiting for `to` or earlier is judged.
    pub fn advance(&mut self, to: Time, out: &mut impl FnMut(AlertUpdate)) {
        self.run_timers(to, out);
        self.clock = self.clock.max(to);
    }

    /// The input has ended: everything is told as it is now.
    pub fn finish(&mut self, out: &mut impl FnMut(AlertUpdate)) {
        self.settle_gathered(out);
        self.look_at_all_domains(out);
        self.look_at_all(out);
        self.look_at_all_surveys(out);
        self.alerts.tell_all(&surroundings!(self), out);
    }

    fn run_timers(&mut self, to: Time, out: &mut impl FnMut(AlertUpdate)) {
        loop {
            let next = self.silent.next().min(self.alerts.next_due()).min(self.flows.next_fading());
            let next = next.min(self.gathered.due());
            if next > to || next == Time::NEVER {
                return;
            }
            self.clock = self.clock.max(next);
            let mut dirty = Dirty::default();
            for handle in self.silent.due(self.clock) {
                let flow = self.flows.get_mut(handle);
                if flow.is_some_and(|flow| flow.look_whether_silent(self.clock)) {
                    self.dirty(handle, &mut dirty);
                }
            }
            self.settle_in_time(dirty, out);
            self.alerts.tell(self.clock, &surroundings!(self), out);
            self.fade(out);
        }
    }

    /// Counts so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            observation_count: self.observation_count,
            evicted_count: self.ledger.evicted_count()
                + self.flows.evicted_count()
                + self.alerts.evicted_count()
                + self.profiles.evicted_count()
                + self.callers.evicted_count()
                + self.relays.evicted_count()
                + self.health.evicted_count()
                + self.channel_evicted_count
                + self.destinations.evicted_count()
                + self.lookups.evicted_count()
                + self.stacks.evicted_count()
                + self.agents.evicted_count()
                + self.lengths.evicted_count()
                + self.surveys.evicted_count()
                + self.baselines.evicted_count(),
            unknown_flow_count: self.flows.unknown_count(),
            alert_count: self.alerts.opened_count(),
        }
    }

    fn take(&mut self, observation: &Observation<'_>, dirty: &mut Dirty) {
        let at = observation.at;
        match &observation.fact {
            Fact::FlowOpened(fact) => {
                let opened = self.opened(at, fact);
                opened.into_iter().for_each(|handle| self.dirty_if_listed(handle, dirty));
                // A log names a flow in passing, and its end may be told nowhere.
                if let Some(handle) = opened
                    && self.health.is_flow_log(observation.witness)
                {
                    self.flows.fade_from(self.clock, handle);
                }
            }
            Fact::FlowEstablished(fact) => {
                if let Some(handle) = self.flows.established(at, fact.flow) {
                    let flows = &self.flows;
                    let is_alive = |handle: Handle| flows.get(handle).is_some();
                    self.silent.set(at + Span::from_millis(SILENT_MS), handle, is_alive);
                }
            }
            Fact::Burst(fact) => self.said(at, fact, dirty),
            Fact::ProtocolIdentified(_)
            | Fact::ProtocolLeft(_)
            | Fact::TlsHello(_)
            | Fact::TlsSession(_)
            | Fact::Http(_)
            | Fact::EchoSymmetry(_) => {
                let handle = self.spoken(observation);
                self.shown(observation, dirty);
                handle.into_iter().for_each(|handle| self.dirty(handle, dirty));
            }
            Fact::FlowClosed(fact) => {
                if self.health.is_flow_log(observation.witness) {
                    self.complete(fact);
                }
                let handle = self.flows.close(at, fact);
                self.flows.measure(at, fact.flow, &mut self.lengths);
                let flow = handle.and_then(|handle| self.flows.get(handle));
                dirty.surveys.extend(flow.and_then(|flow| self.surveys.take(flow)));
                handle.into_iter().for_each(|handle| self.dirty(handle, dirty));
            }
            Fact::Dns(fact) => self.asked(fact, dirty),
            Fact::SocketTuple(fact) => {
                self.ledger.observe(observation);
                let handles = self.flows.of_tuple(fact.transport, fact.local, fact.remote);
                handles.for_each(|handle| self.dirty(handle, dirty));
            }
            Fact::SourceStatus(fact) => {
                self.health.status(fact);
                self.ledger.observe(observation);
            }
            Fact::Gap(fact) => {
                self.health.gap(fact);
                self.ledger.observe(observation);
            }
            Fact::Detail(_) | Fact::Tunnelled(_) => {}
            _ => match self.ledger.observe(observation) {
                Touched::Nothing => {}
                Touched::Container(id) => self.touched_container(id, dirty),
                Touched::Program(id, by_hand) => self.touched_program(id, by_hand, at, dirty),
                Touched::Call(id, transport, far, by_hand) => {
                    self.touched_call(id, (transport, far), by_hand, dirty);
                }
            },
        }
    }

    fn said(&mut self, at: Time, fact: &Burst<'_>, dirty: &mut Dirty) {
        let handle = self.flows.burst(at, fact);
        if handle.is_some() {
            self.flows.compare(at, fact.flow, &self.lengths);
        }
        self.pulse(fact.flow);
        self.relay(fact, dirty);
        handle.into_iter().for_each(|handle| self.dirty(handle, dirty));
    }

    fn opened(&mut self, at: Time, fact: &FlowOpened) -> Option<Handle> {
        let (handle, flow) = self.flows.open(at, fact)?;
        let (place, far) = (flow.place(), flow.far());
        self.destinations.went(place, flow.transport(), far);
        if let Some(listed) = self.listed_far_end(at, place, far)
            && let Some(flow) = self.flows.get_mut(handle)
        {
            flow.list(listed);
        }
        Some(handle)
    }

    /// A flow log tells of a conversation once, when it is over: what nobody told before is in its
    /// record.
    fn complete(&mut self, fact: &FlowClosed<'_>) {
        let FlowClosed { flow, key, local, start, .. } = *fact;
        self.opened(start, &FlowOpened { flow, key, local });
        if flows::was_accepted(fact) {
            self.flows.established(start, flow);
        }
    }

    /// What a flow speaks; gives it where that may change a verdict.
    fn spoken(&mut self, observation: &Observation<'_>) -> Option<Handle> {
        let at = observation.at;
        match &observation.fact {
            Fact::ProtocolIdentified(fact) => self.flows.identified(at, fact),
            Fact::ProtocolLeft(fact) => self.flows.left(at, fact),
            Fact::TlsHello(fact) => self.flows.hello(at, fact, &mut self.stacks),
            Fact::TlsSession(fact) => self.flows.handshake(at, fact),
            Fact::Http(fact) => self.flows.exchanged(at, fact, &mut self.agents),
            Fact::EchoSymmetry(fact) => self.flows.echoed(at, fact),
            _ => None,
        }
    }

    /// Notes a flow that has to be judged anew, if a strategy may say or has said anything about
    /// it.
    pub(crate) fn dirty(&self, handle: Handle, dirty: &mut Dirty) {
        let Some(flow) = self.flows.get(handle) else { return };
        // A conversation in a known grammar, or none at all, concerns us only when a raw client
        // holds it.
        let is_plain = (flow.is_explained() || flow.is_refused()) && !flow.is_odd();
        // Which names are asked for concerns us also where a feed may list them.
        let may_tell = flow.asks_names && !self.ledger.feeds.is_empty();
        let is_of_interest = may_tell || self.ledger.has_any_client();
        if flow.keep == Keep::Loose && is_plain && !is_of_interest {
            return;
        }
        if flow.keep != Keep::Loose || flow.asks_names || flow.is_interesting() {
            dirty.insert((flow.opened, self.flows.id(handle), handle));
        }
    }

    fn asked(&mut self, fact: &DnsExchange<'_>, dirty: &mut Dirty) {
        let Some(handle) = self.flows.find(fact.flow) else { return };
        let Some(flow) = self.flows.get_mut(handle) else { return };
        flow.asks_names = true;
        if let Some(lookup) = Lookup::of(flow) {
            let owner = self.ledger.owner(&lookup.key, lookup.local, lookup.opened);
            self.lookups.take(lookup, owner, fact, &mut dirty.domains);
        }
        let (place, server) = (flow.place(), flow.far().address);
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
            first: fact.asked_at,
            last: fact.asked_at,
            server,
            addresses: addresses.take(ADDRESS_COUNT_MAX).collect(),
            outcome,
        };
        // Flows that the name led to may be known already: the answer is told when it is complete.
        for handle in self.flows.of_place(place, fact.asked_at) {
            let far = self.flows.get(handle).map(|flow| flow.far().address);
            if far.is_some_and(|far| asked.addresses.contains(&far)) {
                self.dirty(handle, dirty);
            }
        }
        self.asked_for_listed(handle, &asked, dirty);
        self.ledger.asked(place, asked);
        self.dirty(handle, dirty);
    }

    /// A container is known better now: what was seen at its places is judged anew.
    fn touched_container(&mut self, id: ContainerId, dirty: &mut Dirty) {
        self.touched_places(id, dirty);
        for (transport, near, far) in self.ledger.tuples_of(id) {
            for handle in self.flows.of_tuple(transport, near, far) {
                self.dirty(handle, dirty);
            }
        }
        for handle in self.channels_of(Owner::Container(id)).flat_map(Channel::handles) {
            self.dirty(handle, dirty);
        }
        dirty.containers.push(id);
    }

    /// A program of this container is known now. Flows without words matter if somebody started it
    /// by hand.
    fn touched_program(&self, id: ContainerId, by_hand: ByHand, at: Time, dirty: &mut Dirty) {
        if by_hand == ByHand::Yes {
            self.touched_places(id, dirty);
        }
        let since = at - Span::from_millis(STAMP_MS_MAX);
        let channels = self.channels_of(Owner::Container(id));
        for handle in channels.flat_map(|channel| channel.handles_since(since)) {
            self.dirty(handle, dirty);
        }
    }

    /// A process of this container connects there.
    fn touched_call(
        &self,
        id: ContainerId,
        (transport, far): (Transport, Endpoint),
        by_hand: ByHand,
        dirty: &mut Dirty,
    ) {
        if by_hand == ByHand::Yes {
            self.touched_places(id, dirty);
        }
        let far = Far::Endpoint(transport, far);
        let channel = self.channels.get(&ChannelKey { owner: Owner::Container(id), far });
        for handle in channel.into_iter().flat_map(Channel::handles) {
            self.dirty(handle, dirty);
        }
    }

    fn touched_places(&self, id: ContainerId, dirty: &mut Dirty) {
        let since = self.clock - Span::from_millis(2 * LATE_MS_MAX);
        for thing in self.ledger.things_of(id) {
            for handle in self.flows.of_thing(thing, since) {
                self.dirty(handle, dirty);
            }
        }
    }

    fn channels_of(&self, owner: Owner) -> impl Iterator<Item = &Channel> {
        let channels = self.channels.range(ChannelKey::lowest(owner)..);
        channels.take_while(move |(key, _)| key.owner == owner).map(|(_, channel)| channel)
    }
}
