//! Alerts: findings grouped by workload × far end, so that one incident is one alert that is revised.

mod view;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use observation::{ContainerId, Span, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::alert::{Alert, AlertId, AlertUpdate, Level};
use crate::bounded::Bounded;
use crate::channel::{Channel, ChannelKey, Far};
use crate::ledger::{Owner, Place, Workload};
use crate::limits::Limits;

pub(crate) use view::Surroundings;

/// What changes without raising the level is told at most this often.
const REVISE_EVERY: Span = Span::from_secs(1);

/// Who an alert is about: replicas and trains of short-lived containers are one workload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// What opened an alert; decides its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Opening {
    at: Time,
    id: AlertId,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct OpenAlert {
    opening: Opening,
    channels: BTreeSet<ChannelKey>,
    revision: u32,
    told: Option<Told>,
}

/// What was told last.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Told {
    level: Level,
    at: Time,
    opened_at: Time,
    digest: u64,
    named: Option<ContainerId>,
}

/// All alerts that are open.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Alerts {
    open: Bounded<AlertKey, OpenAlert>,
    key_of: BTreeMap<ChannelKey, AlertKey>,
    /// Alerts that have changed, with the time from which on this may be told.
    due: BTreeMap<AlertKey, Time>,
    opened_count: u64,
}

impl Alerts {
    pub(crate) const fn new(limits: &Limits) -> Self {
        Self {
            open: Bounded::new(limits.alert_count_max),
            key_of: BTreeMap::new(),
            due: BTreeMap::new(),
            opened_count: 0,
        }
    }

    pub(crate) const fn opened_count(&self) -> u64 {
        self.opened_count
    }

    pub(crate) const fn evicted_count(&self) -> u64 {
        self.open.evicted_count()
    }

    /// A channel has a verdict now, or another one. Gives the channels of an alert that had to go.
    pub(crate) fn accuse(
        &mut self,
        channel: &ChannelKey,
        surroundings: &Surroundings<'_>,
        closed: &mut Vec<AlertId>,
    ) -> BTreeSet<ChannelKey> {
        let group = match channel.owner {
            Owner::Container(id) => match surroundings.ledger.container(&id) {
                Some(container) if container.is_described() => {
                    Group::Workload(container.workload())
                }
                _ => Group::Container(id),
            },
            Owner::Unnamed(place) => Group::Unnamed(place),
            Owner::Host => return BTreeSet::new(),
        };
        let key = AlertKey { group, far: channel.far.clone() };
        let opening = opening(channel, surroundings);
        let mut carried = None;
        if let Some(old) = self.key_of.get(channel).filter(|old| **old != key).cloned() {
            carried = self.move_away(channel, &old);
        }
        self.key_of.insert(channel.clone(), key.clone());
        let (alert, evicted) = self.open.entry(key.clone(), || OpenAlert {
            opening,
            channels: BTreeSet::new(),
            revision: 0,
            told: None,
        });
        alert.channels.insert(channel.clone());
        if let Some(carried) = carried {
            merge(alert, &carried, closed);
        } else if alert.told.is_none() {
            alert.opening = alert.opening.min(opening);
        }
        self.mark(&key, surroundings);
        let Some((gone, alert)) = evicted else { return BTreeSet::new() };
        self.due.remove(&gone);
        for channel in &alert.channels {
            self.key_of.remove(channel);
        }
        alert.channels
    }

    /// A channel has no verdict any longer (its flow turned out to be another's).
    pub(crate) fn acquit(&mut self, channel: &ChannelKey, closed: &mut Vec<AlertId>) {
        let Some(key) = self.key_of.remove(channel) else { return };
        let Some(alert) = self.open.get_mut(&key) else { return };
        alert.channels.remove(channel);
        if alert.channels.is_empty()
            && let Some(alert) = self.open.remove(&key)
        {
            self.due.remove(&key);
            if alert.told.is_some() {
                closed.push(alert.opening.id);
            }
        }
    }

    /// Takes a channel out of an alert. An alert that was only about it gives its id along.
    fn move_away(&mut self, channel: &ChannelKey, old: &AlertKey) -> Option<OpenAlert> {
        let alert = self.open.get_mut(old)?;
        alert.channels.remove(channel);
        if !alert.channels.is_empty() {
            return None;
        }
        self.due.remove(old);
        self.open.remove(old)
    }

    fn mark(&mut self, key: &AlertKey, surroundings: &Surroundings<'_>) {
        let Some(alert) = self.open.get(key) else { return };
        let level = surroundings.level(&alert.channels);
        let from = match alert.told {
            Some(told) if told.level == level => told.at + REVISE_EVERY,
            _ => Time(0),
        };
        let due = self.due.entry(key.clone()).or_insert(from);
        *due = (*due).min(from);
    }

    /// Tells what is due by now.
    pub(crate) fn tell(
        &mut self,
        now: Time,
        surroundings: &Surroundings<'_>,
        out: &mut impl FnMut(AlertUpdate),
    ) {
        if self.due.values().all(|from| *from > now) {
            return;
        }
        let ready: Vec<AlertKey> =
            self.due.iter().filter(|(_, from)| **from <= now).map(|(key, _)| key.clone()).collect();
        for key in ready {
            self.due.remove(&key);
            self.tell_one(&key, surroundings, out);
        }
    }

    fn tell_one(
        &mut self,
        key: &AlertKey,
        surroundings: &Surroundings<'_>,
        out: &mut impl FnMut(AlertUpdate),
    ) {
        let Some(open) = self.open.get_mut(key) else { return };
        let opened_at = open.told.map_or(surroundings.clock, |told| told.opened_at);
        let Some(mut alert) = surroundings.build(open.opening.id, &open.channels, opened_at) else {
            return;
        };
        let digest = digest_of(&alert);
        if open.told.is_some_and(|told| told.digest == digest) {
            return;
        }
        open.revision += 1;
        alert.revision = open.revision;
        let named = alert.subjects.first().and_then(|subject| subject.container.as_ref());
        let named = named.map(|container| container.id);
        let before = open.told;
        open.told =
            Some(Told { level: alert.level, at: surroundings.clock, opened_at, digest, named });
        match before {
            None => {
                self.opened_count += 1;
                out(AlertUpdate::Opened(alert));
            }
            Some(Told { named: None, .. }) if named.is_some() => {
                let Some(id) = named else { return };
                out(AlertUpdate::Adopted(alert, id));
            }
            Some(_) => out(AlertUpdate::Revised(alert)),
        }
    }
}

/// Two alerts turned out to be one incident: the one that was opened by the earlier flow stays.
fn merge(alert: &mut OpenAlert, carried: &OpenAlert, closed: &mut Vec<AlertId>) {
    let (opening, told) = (alert.opening, alert.told);
    let carried_wins = told.is_none() || carried.opening < opening;
    if carried_wins {
        alert.opening = carried.opening.min(opening);
        // An alert that nobody has seen yet is told under the id that stays.
        if carried.told.is_some() {
            alert.opening = carried.opening;
            alert.told = carried.told;
        }
        alert.revision = alert.revision.max(carried.revision);
    }
    let loser = if carried_wins {
        told.map(|_| opening.id)
    } else {
        carried.told.map(|_| carried.opening.id)
    };
    closed.extend(loser.filter(|id| *id != alert.opening.id));
}

/// The id is a hash of subject, far end and opening flow: a replay gives the same one.
fn opening(channel: &ChannelKey, surroundings: &Surroundings<'_>) -> Opening {
    let mut hash = Sha256::new();
    let first = surroundings.first_flow(channel);
    let at = match first {
        Some(flow) => {
            hash.update(postcard::to_allocvec(&(flow.near(), flow.opened)).unwrap_or_default());
            flow.opened
        }
        None => surroundings.noted(channel),
    };
    hash.update(at.0.to_be_bytes());
    hash.update(postcard::to_allocvec(&channel.far).unwrap_or_default());
    let digest: [u8; 32] = hash.finalize().into();
    let mut id = [0_u8; 16];
    id.copy_from_slice(digest.get(..16).unwrap_or(&[0; 16]));
    Opening { at, id: AlertId(u128::from_be_bytes(id)) }
}

fn digest_of(alert: &Alert) -> u64 {
    let digest: [u8; 32] = Sha256::digest(postcard::to_allocvec(alert).unwrap_or_default()).into();
    let mut first = [0_u8; 8];
    first.copy_from_slice(digest.get(..8).unwrap_or(&[0; 8]));
    u64::from_be_bytes(first)
}

/// The channels of the engine.
pub(crate) type Channels = BTreeMap<ChannelKey, Channel>;
