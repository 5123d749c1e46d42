//! All containers: by id, by cgroup, and by the network that they share.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use observation::{ContainerFact, ContainerId, ExecStarted, NetworkAttached, Time};
use serde::{Deserialize, Serialize};

use super::container::Container;
use super::workload::Workload;
use crate::intel::Listed;
use crate::limits::Limits;

/// A cgroup's number is reused at most so often within our memory.
const SAME_CGROUP_COUNT_MAX: usize = 4;
/// What a container did may be told a little after its end.
const AFTER_END_MS_MAX: u64 = 1_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Containers {
    known: BTreeMap<ContainerId, Container>,
    /// All, in the order in which they may be forgotten: by when they went.
    by_end: BTreeSet<(Time, ContainerId)>,
    by_cgroup: BTreeMap<u64, Vec<ContainerId>>,
    joined: BTreeMap<ContainerId, BTreeSet<ContainerId>>,
    /// How many containers each workload has, running or gone.
    workloads: BTreeMap<Workload, u32>,
    container_count_max: usize,
    evicted_count: u64,
}

impl Containers {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            known: BTreeMap::new(),
            by_end: BTreeSet::new(),
            by_cgroup: BTreeMap::new(),
            joined: BTreeMap::new(),
            workloads: BTreeMap::new(),
            container_count_max: limits.container_count_max,
            evicted_count: 0,
        }
    }

    /// Takes a fact in; gives the container that had to be forgotten for it.
    pub(super) fn observe(&mut self, at: Time, fact: &ContainerFact<'_>) -> Option<ContainerId> {
        let evicted = self.make_room(fact.id);
        self.change(fact.id, |container| container.learn(at, fact));
        evicted
    }

    pub(super) fn attached(&mut self, fact: &NetworkAttached<'_>) -> Option<ContainerId> {
        let evicted = self.make_room(fact.id);
        self.change(fact.id, |container| container.attached(fact));
        evicted
    }

    pub(super) fn exec(&mut self, at: Time, fact: &ExecStarted<'_>) -> Option<ContainerId> {
        let evicted = self.make_room(fact.id);
        self.change(fact.id, |container| container.exec(at, fact));
        evicted
    }

    /// A program that a feed lists ran in it.
    pub(super) fn ran_listed(&mut self, id: ContainerId, listed: Listed) -> Option<ContainerId> {
        let evicted = self.make_room(id);
        self.change(id, |container| container.ran_listed(listed));
        evicted
    }

    pub(super) fn get(&self, id: &ContainerId) -> Option<&Container> {
        self.known.get(id)
    }

    /// Whose cgroup this was.
    pub(super) fn by_cgroup(&self, cgroup: u64, at: Time) -> Option<ContainerId> {
        if cgroup == 0 {
            return None;
        }
        let all = self.by_cgroup.get(&cgroup)?;
        if let [only] = all.as_slice() {
            return Some(*only);
        }
        let latest = Time(at.0.saturating_sub(AFTER_END_MS_MAX * 1_000_000));
        let lived = all.iter().filter_map(|id| self.known.get(id)).filter(|container| {
            container.created().is_none_or(|created| created <= at)
                && container.gone().is_none_or(|gone| gone >= latest)
        });
        let container = lived.max_by_key(|container| (container.created(), container.id()))?;
        Some(container.id())
    }

    pub(super) fn joined(&self, sandbox: ContainerId) -> impl Iterator<Item = &Container> {
        self.joined.get(&sandbox).into_iter().flatten().filter_map(|id| self.known.get(id))
    }

    pub(super) fn workload_total(&self) -> usize {
        self.workloads.len()
    }

    pub(super) fn replica_count(&self, workload: Workload) -> u32 {
        self.workloads.get(&workload).copied().unwrap_or(0)
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) const fn evicted_count(&self) -> u64 {
        self.evicted_count
    }

    /// Changes a container and keeps the indexes in step.
    fn change(&mut self, id: ContainerId, change: impl FnOnce(&mut Container)) {
        let container = self.known.entry(id).or_insert_with(|| Container::new(id));
        let before = (container.gone(), container.sandbox());
        let workload_before = container.is_described().then(|| container.workload());
        let cgroups_before: Vec<u64> = container.cgroups().collect();
        change(container);
        let after = (container.gone(), container.sandbox());
        let cgroups: Vec<u64> = container.cgroups().collect();
        let workload = container.is_described().then(|| container.workload());
        self.by_end.remove(&(before.0.unwrap_or(Time::NEVER), id));
        self.by_end.insert((after.0.unwrap_or(Time::NEVER), id));
        if before.1 != after.1 {
            before.1.into_iter().for_each(|sandbox| self.leave(sandbox, id));
            if let Some(sandbox) = after.1 {
                self.joined.entry(sandbox).or_default().insert(id);
            }
        }
        for lost in cgroups_before.iter().filter(|cgroup| !cgroups.contains(cgroup)) {
            self.give_up_cgroup(*lost, id);
        }
        for new in cgroups.iter().filter(|cgroup| !cgroups_before.contains(cgroup)) {
            let all = self.by_cgroup.entry(*new).or_default();
            if all.len() >= SAME_CGROUP_COUNT_MAX {
                all.remove(0);
                self.evicted_count += 1;
            }
            all.push(id);
        }
        if workload != workload_before {
            workload_before.into_iter().for_each(|workload| self.leave_workload(workload));
            workload.into_iter().for_each(|new| *self.workloads.entry(new).or_default() += 1);
        }
    }

    /// What is gone for longest is forgotten first; what runs only when nothing is gone.
    fn make_room(&mut self, id: ContainerId) -> Option<ContainerId> {
        if self.known.len() < self.container_count_max || self.known.contains_key(&id) {
            return None;
        }
        let (end, victim) = *self.by_end.first()?;
        let container = self.known.remove(&victim)?;
        self.by_end.remove(&(end, victim));
        container.sandbox().into_iter().for_each(|sandbox| self.leave(sandbox, victim));
        for cgroup in container.cgroups() {
            self.give_up_cgroup(cgroup, victim);
        }
        if container.is_described() {
            self.leave_workload(container.workload());
        }
        self.evicted_count += 1;
        Some(victim)
    }

    fn leave_workload(&mut self, workload: Workload) {
        if let Some(count) = self.workloads.get_mut(&workload) {
            *count -= 1;
            if *count == 0 {
                self.workloads.remove(&workload);
            }
        }
    }

    fn leave(&mut self, sandbox: ContainerId, id: ContainerId) {
        if let Some(others) = self.joined.get_mut(&sandbox) {
            others.remove(&id);
            if others.is_empty() {
                self.joined.remove(&sandbox);
            }
        }
    }

    fn give_up_cgroup(&mut self, cgroup: u64, id: ContainerId) {
        if let Some(all) = self.by_cgroup.get_mut(&cgroup) {
            all.retain(|known| *known != id);
            if all.is_empty() {
                self.by_cgroup.remove(&cgroup);
            }
        }
    }
}
