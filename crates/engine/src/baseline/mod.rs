//! What a workload usually does: the destinations to which its channels go, learned over days,
//! approved by a person, and forgotten again when it no longer goes there.
//!
//! A baseline belongs to a workload (image digest, command, owner), never to a container: a
//! throw-away run has none, and what somebody starts inside a running container teaches nothing.
//! Learning alone changes no verdict. Once a person has approved it, a destination subtracts at
//! most [`LEARNED_DB_MAX`], since an attacker may have been there all the while.

mod decision;
mod judge;
mod lineage;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::IpAddr;

use observation::{PortId, Span, Time, Transport};
use serde::{Deserialize, Serialize};

pub use decision::{Approval, Approved, Decision, proposal};
pub(crate) use judge::Visit;
pub use judge::lowered;
pub use lineage::Lineage;
pub(crate) use lineage::tag;

use crate::fair::Fair;
use crate::index::Seed;
use crate::ledger::Workload;
use crate::limits::Limits;

/// Destination, against: a person has approved that the workload goes there. Capped like what is
/// declared, since whoever attacks may have taught it, and reached only where it goes every day.
pub(crate) const LEARNED_DB_MAX: i16 = 8;

/// The latest days that are remembered of anything: what was done on more is certain enough.
const DAY_COUNT_MAX: usize = 32;
const DAY: Span = Span::from_secs(86_400);
/// As long as a name may be (RFC 1035, section 2.3.4).
const NAME_BYTES_MAX: usize = 255;

/// What the operator has set about what is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectations {
    /// A workload is watched for so long before its baseline can be approved.
    pub learn_for: Span,
    /// An approval ends when the workload has not gone there for so long.
    pub expires_after: Span,
    /// Words in names and labels that mark a container as one of development or test.
    pub marks: Vec<String>,
}

impl Default for Expectations {
    fn default() -> Self {
        Self {
            learn_for: Span::from_secs(7 * 86_400),
            expires_after: Span::from_secs(30 * 86_400),
            marks: crate::marks::WORDS.iter().copied().map(String::from).collect(),
        }
    }
}

/// Where a channel leads to: a name where one led there, since addresses change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Destination {
    /// A name, or an address.
    pub host: Host,
    /// The port there.
    pub port: u16,
    /// The transport.
    pub transport: Transport,
    /// What was spoken, the innermost; empty where no protocol was identified.
    pub protocol: String,
}

/// Who a destination is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Host {
    /// The name that was asked for, or the neighbour's.
    Name(String),
    /// An address to which no name led.
    Address(IpAddr),
}

/// When and how often something was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visits {
    /// First time.
    pub first: Time,
    /// Last time.
    pub last: Time,
    /// Calls that were accepted.
    pub call_count: u64,
    /// Days since 1970 (UTC), in order; the latest of them.
    days: Vec<u16>,
    /// When an approval was found to have ended: one that is older holds no longer.
    lapsed: Option<Time>,
}

/// What was learned of one workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Image digest, command and owner, hashed, as alerts show it.
    pub workload: String,
    /// What it has in common with another version of itself.
    pub lineage: Lineage,
    /// All its calls.
    pub all: Visits,
    /// Where they went.
    pub destinations: Vec<(Destination, Visits)>,
    /// Destinations that found no room.
    pub dropped_count: u64,
    /// How long it has to be watched.
    pub learn_for: Span,
    /// How long an approval lasts after the last visit.
    pub expires_after: Span,
}

impl Visits {
    fn see(&mut self, at: Time) {
        self.first = if self.days.is_empty() { at } else { self.first.min(at) };
        self.last = self.last.max(at);
        let day = u16::try_from(at.0 / DAY.0).unwrap_or(u16::MAX);
        if let Err(place) = self.days.binary_search(&day) {
            self.days.insert(place, day);
        }
        if self.days.len() > DAY_COUNT_MAX {
            self.days.remove(0);
        }
    }

    /// On how many of the latest days it was seen.
    #[must_use]
    pub fn day_count(&self) -> u32 {
        u32::try_from(self.days.len()).unwrap_or(u32::MAX)
    }
}

impl Baseline {
    /// It was watched for long enough: on as many days, and over as much time. A clock that jumps
    /// adds one day at most.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.all.day_count() >= self.days_needed()
            && self.all.last.since(self.all.first) >= self.learn_for
    }

    /// On how many days it has to be seen.
    #[must_use]
    pub fn days_needed(&self) -> u32 {
        let days = self.learn_for.0.div_ceil(DAY.0).clamp(1, DAY_COUNT_MAX as u64);
        u32::try_from(days).unwrap_or(u32::MAX)
    }

    /// How sure it is that the workload goes there on its next day.
    #[must_use]
    pub fn confidence_percent(&self, visits: &Visits) -> u8 {
        confidence_percent(visits.day_count(), self.all.day_count())
    }
}

/// The rule of succession: what happened on k of n days happens on the next with (k + 1) / (n + 2).
/// Days are counted and not calls, since the calls of one day are one habit: whoever calls a
/// million times in an hour has not been seen for longer than that.
fn confidence_percent(day_count: u32, day_total: u32) -> u8 {
    let day_count = day_count.min(day_total);
    u8::try_from((u64::from(day_count) + 1) * 100 / (u64::from(day_total) + 2)).unwrap_or(100)
}

/// What is kept of one workload.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Learned {
    lineage: Lineage,
    all: Visits,
    destinations: BTreeMap<Destination, Visits>,
    dropped_count: u64,
    /// Calls up to here were counted by an earlier run.
    counted_until: Time,
}

/// At whose expense a baseline is kept: the port at which the workload was seen first. What an
/// earlier run has learned is nobody's.
type Group = (PortId, Option<Workload>);

/// All baselines, and what people have decided about them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Baselines {
    learned: Fair<Group, Workload, Learned>,
    /// Those that have changed since somebody took note.
    changed: BTreeSet<Workload>,
    destination_count_max: usize,
    baseline_count_max: usize,
    dropped_count: u64,
    /// Whoever loads a saved state names them again.
    #[serde(skip)]
    approvals: BTreeMap<Workload, Approval>,
    /// What was forgotten, and when somebody said so: it is done once.
    #[serde(skip)]
    forgotten: BTreeMap<Workload, Time>,
    #[serde(skip)]
    pub(crate) expectations: Expectations,
}

impl Baselines {
    pub(crate) fn new(limits: &Limits, seed: Seed) -> Self {
        Self {
            learned: Fair::new(limits.baseline_count_max, seed),
            changed: BTreeSet::new(),
            destination_count_max: limits.destination_per_baseline_count_max,
            baseline_count_max: limits.baseline_count_max,
            dropped_count: 0,
            approvals: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            expectations: Expectations::default(),
        }
    }

    pub(crate) const fn evicted_count(&self) -> u64 {
        self.learned.evicted_count() + self.dropped_count
    }

    /// A workload has called somebody, who accepted.
    fn learn(
        &mut self,
        (port, workload): (PortId, Workload),
        lineage: impl FnOnce() -> Lineage,
        destination: Destination,
        at: Time,
    ) {
        let approved_at = self.approvals.get(&workload).and_then(|it| it.covers(&destination));
        let (learned, evicted) = self
            .learned
            .entry((port, None), workload, || Learned { lineage: lineage(), ..Learned::default() });
        if let Some((gone, _)) = evicted {
            self.changed.remove(&gone);
        }
        let Some(learned) = learned else { return };
        self.changed.insert(workload);
        learned.all.see(at);
        let is_new = at > learned.counted_until;
        learned.all.call_count = learned.all.call_count.saturating_add(u64::from(is_new));
        if learned.make_room(&destination, self.destination_count_max) {
            self.dropped_count = self.dropped_count.saturating_add(1);
        }
        let visits = learned.destinations.entry(destination).or_default();
        let expires_after = self.expectations.expires_after;
        if approved_at.is_some_and(|approved| at > visits.last.max(approved) + expires_after) {
            visits.lapsed = Some(at);
        }
        visits.see(at);
        visits.call_count = visits.call_count.saturating_add(u64::from(is_new));
    }

    /// What an earlier run has learned, if it is news. The latest are kept.
    fn recall(&mut self, baseline: Baseline) {
        let Some(workload) = Workload::read(&baseline.workload) else { return };
        let known = self.learned.get(&workload);
        let is_old = known.is_some_and(|known| known.all.last >= baseline.all.last);
        if is_old || (known.is_none() && self.learned.len() >= self.baseline_count_max) {
            return;
        }
        let group = (PortId::UNKNOWN, Some(workload));
        let (learned, _) = self.learned.entry(group, workload, Learned::default);
        let Some(learned) = learned else { return };
        let room = baseline.destinations.into_iter().take(self.destination_count_max);
        *learned = Learned {
            lineage: baseline.lineage,
            counted_until: baseline.all.last,
            all: baseline.all,
            destinations: room.collect(),
            dropped_count: baseline.dropped_count,
        };
    }

    /// Replaces what was decided before; gives the workloads for which something changes.
    fn decide(&mut self, decisions: Vec<Decision>) -> BTreeSet<Workload> {
        let (mut approvals, mut forgotten) = (BTreeMap::new(), BTreeMap::new());
        for decision in decisions {
            match decision {
                Decision::Approved(approval) if approvals.len() < self.baseline_count_max => {
                    if let Some(workload) = Workload::read(&approval.workload) {
                        approvals.insert(workload, approval);
                    }
                }
                Decision::Approved(_) => self.dropped_count = self.dropped_count.saturating_add(1),
                Decision::Forgotten { workload, at } => {
                    if let Some(workload) = Workload::read(&workload) {
                        forgotten.insert(workload, at);
                    }
                }
            }
        }
        self.forget(forgotten);
        let before = core::mem::replace(&mut self.approvals, approvals);
        let all: BTreeSet<Workload> = before.keys().chain(self.approvals.keys()).copied().collect();
        all.into_iter().filter(|it| before.get(it) != self.approvals.get(it)).collect()
    }

    /// Forgets what was learned until then, unless it was done before: what was learned since then,
    /// or has been recalled since, stays.
    fn forget(&mut self, forgotten: BTreeMap<Workload, Time>) {
        for (workload, at) in &forgotten {
            let is_done = self.forgotten.get(workload) == Some(at);
            let known = self.learned.get(workload);
            if !is_done && known.is_some_and(|known| known.all.last <= *at) {
                self.learned.remove(workload);
                self.changed.remove(workload);
            }
        }
        self.forgotten = forgotten;
    }

    /// What holds now of what somebody has approved.
    fn approved(
        &self,
        workload: Workload,
        destinations: &[Destination],
        now: Time,
    ) -> Option<(&Approval, &Approved)> {
        let approval = self.approvals.get(&workload)?;
        let learned = self.learned.get(&workload);
        let holds = |approved: &&Approved| {
            let visits = learned.and_then(|it| it.destinations.get(&approved.destination));
            destinations.contains(&approved.destination)
                && approval.holds(visits, now, self.expectations.expires_after)
        };
        let sure = approval.destinations.iter().filter(holds);
        Some((approval, sure.max_by_key(|approved| approved.confidence_percent())?))
    }

    fn view(&self, workload: Workload, learned: &Learned) -> Baseline {
        let destinations = learned.destinations.iter();
        Baseline {
            workload: workload.to_string(),
            lineage: learned.lineage.clone(),
            all: learned.all.clone(),
            destinations: destinations.map(|(to, visits)| (to.clone(), visits.clone())).collect(),
            dropped_count: learned.dropped_count,
            learn_for: self.expectations.learn_for,
            expires_after: self.expectations.expires_after,
        }
    }

    fn all(&self) -> impl Iterator<Item = Baseline> {
        self.learned.iter().map(|(workload, learned)| self.view(*workload, learned))
    }

    /// Those that have changed since this was asked last.
    fn take_changed(&mut self) -> Vec<Baseline> {
        let changed = core::mem::take(&mut self.changed);
        let learned = |workload: &Workload| Some((*workload, self.learned.get(workload)?));
        let known = changed.iter().filter_map(learned);
        known.map(|(workload, learned)| self.view(workload, learned)).collect()
    }
}

impl Learned {
    /// Of too many destinations the one goes that was seen on the fewest days, and least lately.
    /// Whether one went.
    fn make_room(&mut self, destination: &Destination, count_max: usize) -> bool {
        if self.destinations.len() < count_max || self.destinations.contains_key(destination) {
            return false;
        }
        let weight = |visits: &Visits| (visits.day_count(), visits.last);
        let weakest = self.destinations.iter().min_by_key(|(_, visits)| weight(visits));
        let Some(weakest) = weakest.map(|(destination, _)| destination.clone()) else {
            return false;
        };
        self.destinations.remove(&weakest);
        self.dropped_count = self.dropped_count.saturating_add(1);
        true
    }
}

/// Words of others, as long as a name may be.
fn bounded(text: &str) -> String {
    let end = text.floor_char_boundary(NAME_BYTES_MAX);
    String::from(text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_of_one_day_are_one_habit() {
        let mut visits = Visits::default();
        (0..10_000).for_each(|second| visits.see(Time(second * 1_000_000_000)));
        assert_eq!(visits.day_count(), 1);
        assert_eq!(confidence_percent(1, 7), 22);
        assert_eq!(confidence_percent(7, 7), 88);
        assert_eq!(confidence_percent(32, 32), 97);
    }

    #[test]
    fn rows_may_come_in_any_order_and_a_clock_that_jumps_is_one_day() {
        let (mut forth, mut back) = (Visits::default(), Visits::default());
        let days = || (20_000..20_010_u64).map(|day| Time(day * DAY.0));
        days().for_each(|at| forth.see(at));
        days().rev().for_each(|at| back.see(at));
        assert_eq!(forth, back);
        forth.see(Time(0));
        forth.see(Time::NEVER);
        assert_eq!(forth.day_count(), 12);
        days().for_each(|at| forth.see(at + DAY + DAY));
        assert_eq!(forth.day_count(), 14);
    }
}
