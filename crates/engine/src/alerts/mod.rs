//! Alerts: findings grouped by workload × far end, so that one incident is one alert that is
//! revised.
//!
//! An alert's id is that of the earliest opening among its channels, so it does not depend on the
//! order in which sources were heard. Once it was told, and no late word about its opening can come
//! any longer, it keeps its id also where an earlier opening is found: whoever follows an incident
//! follows one id.

mod view;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use observation::{ContainerId, Span, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::alert::{Alert, AlertId, AlertUpdate, Level, Prevalence};
use crate::channel::{Channel, ChannelKey, Far, Opening};
use crate::ledger::{LATE_MS_MAX, Owner, Place, Workload};
use crate::limits::Limits;

pub(crate) use view::Surroundings;

/// Borrows the fields that alerts are built from, so that `alerts` itself can be borrowed mutably.
macro_rules! surroundings {
    ($engine:expr) => {
        $crate::alerts::Surroundings {
            ledger: &$engine.ledger,
            flows: &$engine.flows,
            channels: &$engine.channels,
            profiles: &$engine.profiles,
            callers: &$engine.callers,
            health: &$engine.health,
            destinations: &$engine.destinations,
            clock: $engine.clock,
        }
    };
}
pub(crate) use surroundings;

/// What changes without raising the level is told at most this often, and of an old alert more
/// rarely: after one part in so many of its age. What a day has shown changes little in a second.
const REVISE_EVERY: Span = Span::from_secs(1);
const REVISE_EVERY_MAX: Span = Span::from_secs(300);
const REVISE_AGE_PARTS: u64 = 16;

/// How closely somebody follows what is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Following {
    /// Somebody looks on: an old alert, too, is revised every few minutes.
    #[default]
    Live,
    /// What counts is what is told in the end: meanwhile an alert is revised when its age has
    /// doubled.
    InTheEnd,
}

impl Following {
    /// How long an alert of this age is not told again, where its level stays.
    fn pause(self, age: Span) -> Span {
        match self {
            Self::Live => Span(age.0 / REVISE_AGE_PARTS).clamp(REVISE_EVERY, REVISE_EVERY_MAX),
            Self::InTheEnd => age.max(REVISE_EVERY),
        }
    }
}

/// So long after its last change an alert is looked at once more: by then late word is here.
const LAST_LOOK: Span = Span::from_millis(LATE_MS_MAX);

/// Who an alert is about: replicas and trains of short-lived containers are one workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Group {
    Workload(Workload),
    /// A container of which only the id is known.
    Container(ContainerId),
    Unnamed(Place),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct AlertKey {
    group: Group,
    far: Far,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct OpenAlert {
    /// The id under which it is known, once it has one.
    id: Option<AlertId>,
    channels: BTreeMap<ChannelKey, Opening>,
    /// Channels beyond the limit are counted, not kept.
    dropped_count: u32,
    due: Option<Time>,
    look_at: Time,
}

/// What was told last under an id.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Told {
    revision: u32,
    level: Level,
    at: Time,
    opened_at: Time,
    digest: u64,
    prevalence: Prevalence,
    named: Option<ContainerId>,
}

impl Told {
    /// When what has changed since may be told, where the level has not.
    fn next(&self, following: Following) -> Time {
        self.at + following.pause(self.at.since(self.opened_at))
    }
}

/// All alerts that are open.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Alerts {
    open: BTreeMap<AlertKey, OpenAlert>,
    key_of: BTreeMap<ChannelKey, AlertKey>,
    told: BTreeMap<AlertId, Told>,
    ids: BTreeMap<AlertId, AlertKey>,
    /// Alerts whose channels have changed since their ids were last looked at.
    changed: BTreeSet<AlertKey>,
    /// When something may be told.
    due: BTreeSet<(Time, AlertKey)>,
    following: Following,
    subject_count_max: usize,
    opened_count: u64,
    evicted_count: u64,
}

/// How much is told of an alert that has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    /// What an analyst wants to hear of.
    News,
    /// Also how common the destination has become meanwhile.
    Everything,
}

impl Alerts {
    pub(crate) const fn new(limits: &Limits) -> Self {
        Self {
            open: BTreeMap::new(),
            key_of: BTreeMap::new(),
            told: BTreeMap::new(),
            ids: BTreeMap::new(),
            changed: BTreeSet::new(),
            due: BTreeSet::new(),
            following: Following::Live,
            subject_count_max: limits.subject_count_max,
            opened_count: 0,
            evicted_count: 0,
        }
    }

    pub(crate) const fn follow(&mut self, following: Following) {
        self.following = following;
    }

    pub(crate) fn are_followed_live(&self) -> bool {
        self.following == Following::Live
    }

    pub(crate) const fn opened_count(&self) -> u64 {
        self.opened_count
    }

    pub(crate) const fn evicted_count(&self) -> u64 {
        self.evicted_count
    }

    /// When something is to be told next.
    pub(crate) fn next_due(&self) -> Time {
        self.due.first().map_or(Time::NEVER, |(at, _)| *at)
    }

    /// A channel has a verdict now, or another one.
    pub(crate) fn accuse(
        &mut self,
        channel: &ChannelKey,
        opening: Opening,
        surroundings: &Surroundings<'_>,
    ) {
        let group = match channel.owner {
            Owner::Container(id) => match surroundings.ledger.container(&id) {
                Some(container) if container.is_described() => {
                    Group::Workload(container.workload())
                }
                _ => Group::Container(id),
            },
            Owner::Unnamed(place) => Group::Unnamed(place),
            Owner::Host => return,
        };
        let key = AlertKey { group, far: channel.far.clone() };
        let opening = self.kept_opening(channel, surroundings.clock).unwrap_or(opening);
        if self.key_of.get(channel).is_some_and(|old| *old != key) {
            self.acquit(channel);
        }
        self.key_of.insert(channel.clone(), key.clone());
        let alert = self.open.entry(key.clone()).or_default();
        alert.channels.insert(channel.clone(), opening);
        alert.look_at = surroundings.clock + LAST_LOOK;
        self.changed.insert(key);
    }

    /// The opening of a channel, where its alert keeps that id.
    fn kept_opening(&self, channel: &ChannelKey, now: Time) -> Option<Opening> {
        let alert = self.open.get(self.key_of.get(channel)?)?;
        let opening = alert.channels.get(channel)?;
        self.keeps(opening, now).then_some(*opening)
    }

    /// Whether an alert was told under the id of this opening, so long ago that the order in which
    /// sources are heard has no part in it.
    fn keeps(&self, opening: &Opening, now: Time) -> bool {
        self.told.contains_key(&opening.id) && now > opening.at + LAST_LOOK
    }

    /// A channel has no verdict any longer (its flow turned out to be another's).
    pub(crate) fn acquit(&mut self, channel: &ChannelKey) {
        let Some(key) = self.key_of.remove(channel) else { return };
        if let Some(alert) = self.open.get_mut(&key) {
            alert.channels.remove(channel);
        }
        self.changed.insert(key);
    }

    /// A channel is no longer followed, to keep within a limit. What was told of it stays told.
    pub(crate) fn give_up(&mut self, channel: &ChannelKey) {
        let Some(key) = self.key_of.remove(channel) else { return };
        let Some(alert) = self.open.get_mut(&key) else { return };
        alert.channels.remove(channel);
        alert.dropped_count = alert.dropped_count.saturating_add(1);
        if alert.channels.is_empty() {
            self.forget(&key);
        } else {
            self.changed.insert(key);
        }
    }

    fn forget(&mut self, key: &AlertKey) -> Option<OpenAlert> {
        let alert = self.open.remove(key)?;
        if let Some(due) = alert.due {
            self.due.remove(&(due, key.clone()));
        }
        if let Some(id) = alert.id {
            self.ids.remove(&id);
            self.told.remove(&id);
        }
        Some(alert)
    }

    /// Gives ids to what has changed, and says which ids are no more. Gives the channels that had
    /// to go to keep within the limits.
    pub(crate) fn settle(
        &mut self,
        surroundings: &Surroundings<'_>,
        out: &mut impl FnMut(AlertUpdate),
    ) -> Vec<ChannelKey> {
        if self.changed.is_empty() {
            return Vec::new();
        }
        let changed = core::mem::take(&mut self.changed);
        let mut dropped = Vec::new();
        let mut before = Vec::new();
        for key in &changed {
            let Some(alert) = self.open.get_mut(key) else { continue };
            before.extend(alert.id.take());
            drop_middle(alert, self.subject_count_max, &mut dropped);
        }
        before.iter().for_each(|id| drop(self.ids.remove(id)));
        for key in &changed {
            self.identify(key, surroundings.clock);
            self.mark(key, surroundings);
        }
        for id in before.into_iter().filter(|id| !self.ids.contains_key(id)) {
            if self.told.remove(&id).is_some() {
                out(AlertUpdate::Closed(id));
            }
        }
        self.evicted_count += dropped.len() as u64;
        dropped.iter().for_each(|channel| drop(self.key_of.remove(channel)));
        dropped
    }

    /// The earliest opening of its channels names an alert, but for one whose id it keeps; an alert
    /// without channels is gone.
    fn identify(&mut self, key: &AlertKey, now: Time) {
        let Some(alert) = self.open.get(key) else { return };
        let by_rank = |opening: &&Opening| (!self.keeps(opening, now), **opening);
        let Some(opening) = alert.channels.values().min_by_key(by_rank) else {
            if let Some(due) = self.open.remove(key).and_then(|alert| alert.due) {
                self.due.remove(&(due, key.clone()));
            }
            return;
        };
        let mut id = opening.id;
        // The same flow seen at two places: the alerts have to differ.
        while self.ids.contains_key(&id) {
            id = AlertId(id.0.wrapping_add(1));
        }
        if let Some(alert) = self.open.get_mut(key) {
            alert.id = Some(id);
        }
        self.ids.insert(id, key.clone());
    }

    fn mark(&mut self, key: &AlertKey, surroundings: &Surroundings<'_>) {
        let Some(alert) = self.open.get(key) else { return };
        let level = surroundings.level(alert.channels.keys());
        let from = match alert.id.and_then(|id| self.told.get(&id)) {
            Some(told) if told.level == level => told.next(self.following),
            _ => surroundings.clock,
        };
        let at = alert.due.map_or(from, |due| due.min(from));
        self.set_due(key, at);
    }

    fn set_due(&mut self, key: &AlertKey, at: Time) {
        let Some(alert) = self.open.get_mut(key) else { return };
        if let Some(before) = alert.due.replace(at) {
            self.due.remove(&(before, key.clone()));
        }
        self.due.insert((at, key.clone()));
    }

    /// Tells what is due by `now`.
    pub(crate) fn tell(
        &mut self,
        now: Time,
        surroundings: &Surroundings<'_>,
        out: &mut impl FnMut(AlertUpdate),
    ) {
        while let Some((due, _)) = self.due.first()
            && *due <= now
            && let Some((_, key)) = self.due.pop_first()
        {
            let Some(alert) = self.open.get_mut(&key) else { continue };
            alert.due = None;
            let (look_at, id, following) = (alert.look_at, alert.id, self.following);
            self.tell_one(&key, Telling::News, surroundings, out);
            if look_at > now {
                let told = id.and_then(|id| self.told.get(&id));
                let at = told.map_or(look_at, |told| look_at.max(told.next(following)));
                self.set_due(&key, at);
            }
        }
    }

    /// The input has ended: every alert is told as it is now.
    pub(crate) fn tell_all(
        &mut self,
        surroundings: &Surroundings<'_>,
        out: &mut impl FnMut(AlertUpdate),
    ) {
        let keys: Vec<AlertKey> = self.open.keys().cloned().collect();
        for key in keys {
            self.tell_one(&key, Telling::Everything, surroundings, out);
        }
    }

    /// A channel is about to be given up: its alert is told as it is now.
    pub(crate) fn tell_of(
        &mut self,
        channel: &ChannelKey,
        surroundings: &Surroundings<'_>,
        out: &mut impl FnMut(AlertUpdate),
    ) {
        if let Some(key) = self.key_of.get(channel).cloned() {
            self.tell_one(&key, Telling::Everything, surroundings, out);
        }
    }

    fn tell_one(
        &mut self,
        key: &AlertKey,
        telling: Telling,
        surroundings: &Surroundings<'_>,
        out: &mut impl FnMut(AlertUpdate),
    ) {
        let Some(open) = self.open.get(key) else { return };
        let Some(id) = open.id else { return };
        let before = self.told.get(&id).copied();
        let Some(mut alert) = surroundings.build(id, open.channels.keys()) else { return };
        alert.subject_count = alert.subject_count.saturating_add(open.dropped_count);
        alert.opened_at = before.map_or(surroundings.clock, |told| told.opened_at);
        let prevalence = core::mem::take(&mut alert.prevalence);
        let digest = digest_of(&alert);
        alert.prevalence = prevalence;
        if before.is_some_and(|told| {
            let same = telling == Telling::News || told.prevalence == prevalence;
            told.digest == digest && same
        }) {
            return;
        }
        alert.revision = before.map_or(1, |told| told.revision.saturating_add(1));
        let named = alert.subjects.first().and_then(|subject| subject.container.as_ref());
        let named = named.map(|container| container.id);
        let (level, at, opened_at) = (alert.level, surroundings.clock, alert.opened_at);
        let revision = alert.revision;
        self.told.insert(id, Told { revision, level, at, opened_at, digest, prevalence, named });
        match (before, named) {
            (None, _) => {
                self.opened_count += 1;
                out(AlertUpdate::Opened(alert));
            }
            (Some(Told { named: None, .. }), Some(id)) => out(AlertUpdate::Adopted(alert, id)),
            (Some(_), _) => out(AlertUpdate::Revised(alert)),
        }
    }
}

/// Of too many channels the middle ones go: the first are evidence, the latest go on now.
fn drop_middle(alert: &mut OpenAlert, count_max: usize, dropped: &mut Vec<ChannelKey>) {
    while alert.channels.len() > count_max.max(1) {
        let mut order: Vec<_> =
            alert.channels.iter().map(|(key, opening)| (*opening, key.clone())).collect();
        order.sort_unstable();
        let Some((_, key)) = order.into_iter().nth(count_max.div_ceil(2)) else { return };
        alert.channels.remove(&key);
        alert.dropped_count = alert.dropped_count.saturating_add(1);
        dropped.push(key);
    }
}

fn digest_of(alert: &Alert) -> u64 {
    let digest: [u8; 32] = Sha256::digest(postcard::to_allocvec(alert).unwrap_or_default()).into();
    let mut first = [0_u8; 8];
    first.copy_from_slice(digest.get(..8).unwrap_or(&[0; 8]));
    u64::from_be_bytes(first)
}

/// The channels of the engine.
pub(crate) type Channels = BTreeMap<ChannelKey, Channel>;
