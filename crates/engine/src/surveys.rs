//! Who tries many far ends and hardly talks to any: what one place attempts within some minutes.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::IpAddr;

use observation::{Endpoint, PortId, Span, Time, Transport};
use serde::{Deserialize, Serialize};

use crate::alert::AlertUpdate;
use crate::channel::{ChannelKey, Far, LookedUp, Opening, Verdict};
use crate::context::Context;
use crate::engine::Engine;
use crate::fair::Fair;
use crate::flows::Flow;
use crate::index::Seed;
use crate::judge::{Keys, id_of, verdict as verdict_of};
use crate::ledger::{Owner, Place, Thing};
use crate::limits::Limits;
use crate::lookups::Lookup;
use crate::strategies;

/// Attempts that lie further apart belong to different surveys.
const APART_SPAN_MAX: Span = Span::from_secs(300);
/// So many places are watched at a time; one that surveys loses only its own.
const PLACE_COUNT_MAX: usize = 4_096;
/// Of each kind so many are told apart.
const HOST_COUNT_MAX: usize = 256;
const PORT_COUNT_MAX: usize = 256;
const END_COUNT_MAX: usize = 1_024;
/// A survey is looked at after so many attempts, and whenever they have doubled.
const LOOK_COUNT_MIN: u32 = 16;

/// What one place has tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Survey {
    /// The first attempt, for whoever wants to know who made it.
    pub first: Lookup,
    pub owner: Owner,
    pub last: Time,
    /// Attempts that were refused, not answered, or accepted and not used.
    pub idle_count: u32,
    /// Connections in which the place has said something.
    pub talk_count: u32,
    hosts: BTreeSet<IpAddr>,
    ports: BTreeSet<u16>,
    ends: BTreeSet<Endpoint>,
    first_far: Endpoint,
    is_ripe: bool,
    /// Its alert had to go: it is not told again.
    is_given_up: bool,
}

/// The surveys of all places. Each capture port has its fair share.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Surveys {
    places: Fair<PortId, Place, Box<Survey>>,
}

/// How one attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    Idle,
    Talk,
}

impl Survey {
    fn new(first: Lookup, flow: &Flow) -> Self {
        Self {
            first,
            owner: Owner::Unnamed(flow.place()),
            last: flow.opened,
            idle_count: 0,
            talk_count: 0,
            hosts: BTreeSet::new(),
            ports: BTreeSet::new(),
            ends: BTreeSet::new(),
            first_far: flow.far(),
            is_ripe: false,
            is_given_up: false,
        }
    }

    fn try_once(&mut self, flow: &Flow, attempt: Attempt) {
        self.last = self.last.max(flow.opened);
        if attempt == Attempt::Talk {
            self.talk_count = self.talk_count.saturating_add(1);
            return;
        }
        self.idle_count = self.idle_count.saturating_add(1);
        let far = flow.far();
        keep(&mut self.hosts, far.address, HOST_COUNT_MAX);
        keep(&mut self.ports, far.port, PORT_COUNT_MAX);
        keep(&mut self.ends, far, END_COUNT_MAX);
    }

    /// Different hosts that were tried.
    pub(crate) fn host_count(&self) -> usize {
        self.hosts.len()
    }

    /// Different ports that were tried.
    pub(crate) fn port_count(&self) -> usize {
        self.ports.len()
    }

    /// Different hosts and ports together.
    pub(crate) fn end_count(&self) -> usize {
        self.ends.len()
    }

    /// Whether this far end is one of those that were tried.
    fn covers(&self, far: &Endpoint) -> bool {
        let is_full = self.ends.len() >= END_COUNT_MAX;
        self.ends.contains(far) || is_full && self.hosts.contains(&far.address)
    }

    const fn is_told(&self) -> bool {
        self.is_ripe && !self.is_given_up
    }

    fn is_due(&self) -> bool {
        !self.is_given_up && self.idle_count >= LOOK_COUNT_MIN && self.idle_count.is_power_of_two()
    }
}

/// Whether nothing was said in it.
fn is_idle(flow: &Flow) -> bool {
    flow.has_failed() || flow.near_bytes == 0 && flow.far_bytes == 0
}

fn keep<T: Ord>(all: &mut BTreeSet<T>, one: T, count_max: usize) {
    if all.len() < count_max {
        all.insert(one);
    }
}

impl Surveys {
    pub(crate) fn new(limits: &Limits, seed: Seed) -> Self {
        Self { places: Fair::new(limits.place_count_max.min(PLACE_COUNT_MAX), seed) }
    }

    /// A flow is over; gives its place where it should be looked at.
    pub(crate) fn take(&mut self, flow: &Flow) -> Option<Place> {
        if !flow.is_outgoing()
            || flow.is_stray()
            || flow.asks_names
            || flow.transport() != Transport::Tcp
        {
            return None;
        }
        let place = flow.place();
        let attempt = if is_idle(flow) { Attempt::Idle } else { Attempt::Talk };
        // Who talks to whom he calls is watched only once he has tried others in vain.
        if attempt == Attempt::Talk && self.places.get(&place).is_none() {
            return None;
        }
        let first = Lookup { opened: flow.opened, key: flow.key, local: flow.local };
        let fresh = || Box::new(Survey::new(first, flow));
        let (survey, _) = self.places.entry(place.port, place, fresh);
        let survey = survey?;
        let is_apart = flow.opened.since(survey.last) > APART_SPAN_MAX;
        if is_apart && !survey.is_ripe {
            **survey = Survey::new(first, flow);
        }
        survey.try_once(flow, attempt);
        let is_due = attempt == Attempt::Idle && survey.is_due();
        survey.is_ripe |= is_due;
        is_due.then_some(place)
    }

    /// The alert about what an owner has tried had to go.
    pub(crate) fn give_up(&mut self, owner: Owner) {
        let its = self.ripe().filter(|(_, survey)| survey.owner == owner);
        let places: Vec<Place> = its.map(|(place, _)| *place).collect();
        for place in places {
            if let Some(survey) = self.places.get_mut(&place) {
                survey.is_given_up = true;
            }
        }
    }

    fn belongs(&mut self, place: &Place, owner: Owner) {
        if let Some(survey) = self.places.get_mut(place) {
            survey.owner = owner;
        }
    }

    /// Those that were looked at.
    fn ripe(&self) -> impl Iterator<Item = (&Place, &Survey)> {
        self.places.iter().map(|(place, survey)| (place, &**survey)).filter(|(_, it)| it.is_told())
    }

    pub(crate) fn of_owner(&self, owner: Owner) -> impl Iterator<Item = &Survey> {
        self.ripe().map(|(_, survey)| survey).filter(move |survey| survey.owner == owner)
    }

    pub(crate) const fn evicted_count(&self) -> u64 {
        self.places.evicted_count()
    }
}

impl Engine {
    /// Looks at what a place has tried.
    pub(crate) fn look_at_survey(&mut self, place: Place, keys: &mut Keys) {
        let Some(survey) = self.surveys.places.get(&place) else { return };
        let (before, first) = (survey.owner, survey.first);
        let owner = self.ledger.owner(&first.key, first.local, first.opened);
        if before != owner {
            keys.insert(ChannelKey { owner: before, far: Far::Many });
            self.surveys.belongs(&place, owner);
        }
        if owner != Owner::Host {
            keys.insert(ChannelKey { owner, far: Far::Many });
        }
        // What was told of single attempts may be part of it now, or no longer.
        for owner in [before, owner] {
            let of_owner = self.channels.range(ChannelKey::lowest(owner)..);
            let its = of_owner
                .map(|(key, _)| key)
                .take_while(|key| key.owner == owner && matches!(key.far, Far::Endpoint(..)));
            keys.extend(its.cloned());
        }
    }

    /// Whether all that an owner did with a far end was to try it, as one of many: the alert about
    /// them says so, and counts it.
    pub(crate) fn is_part_of_survey(&self, key: &ChannelKey, verdict: &Verdict) -> bool {
        if !matches!(key.far, Far::Endpoint(Transport::Tcp, _)) {
            return false;
        }
        let Some(channel) = self.channels.get(key) else { return false };
        let mut surveys = channel.flows(&self.flows).map(|flow| {
            let survey = self.surveys.places.get(&flow.place())?;
            let is_idle = is_idle(flow) && flow.closed.is_some();
            let is_its = survey.is_told() && survey.owner == key.owner;
            (is_idle && is_its && survey.covers(&flow.far())).then_some(survey)
        });
        let Some(Some(survey)) = surveys.next() else { return false };
        let context = Context::of_survey(&self.ledger, survey, key.owner);
        let findings = strategies::judge_survey(survey, &context);
        let told = verdict_of(findings, context.origin);
        surveys.all(|survey| survey.is_some())
            && !told.findings.is_empty()
            && told.sum.level() >= verdict.sum.level()
    }

    /// A container is known better: what was tried from its places is looked at again.
    pub(crate) fn look_at_surveys_of(&mut self, things: &[Thing], keys: &mut Keys) {
        let is_its = |place: &Place| {
            things.contains(&Thing::Port(place.port))
                || things.contains(&Thing::Address(place.address))
        };
        let ripe = self.surveys.ripe().map(|(place, _)| *place);
        let all: Vec<Place> = ripe.filter(is_its).collect();
        all.into_iter().for_each(|place| self.look_at_survey(place, keys));
    }

    /// The input has ended: what was tried since the last look is counted.
    pub(crate) fn look_at_all_surveys(&mut self, out: &mut impl FnMut(AlertUpdate)) {
        let places: Vec<Place> = self.surveys.ripe().map(|(place, _)| *place).collect();
        let mut keys = Keys::new();
        places.into_iter().for_each(|place| self.look_at_survey(place, &mut keys));
        self.judge_all(keys, out);
    }

    /// What the strategies say of all that an owner has tried.
    pub(crate) fn judge_survey(&self, key: &ChannelKey) -> Option<(Verdict, Opening, LookedUp)> {
        let told = self.surveys.of_owner(key.owner).filter_map(|survey| {
            let context = Context::of_survey(&self.ledger, survey, key.owner);
            let findings = strategies::judge_survey(survey, &context);
            let at = survey.first.opened;
            let place = Place::of(&survey.first.key, survey.first.local);
            let near = Endpoint { address: place.address, port: 0 };
            let opening = Opening { at, id: id_of(&(near, at), &key.far) };
            let (last, count) = (survey.last, survey.idle_count);
            let seen = LookedUp { place, last, count, server: survey.first_far.address };
            (!findings.is_empty()).then(|| (verdict_of(findings, context.origin), opening, seen))
        });
        // A container may have several addresses: the one that says most speaks.
        told.reduce(|best, next| if next.0.sum.sum_db > best.0.sum.sum_db { next } else { best })
    }
}
