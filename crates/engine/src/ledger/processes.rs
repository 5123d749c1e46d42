//! Processes by pid and time: a pid is reused, and one process executes several programs.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use observation::{ContainerId, InImage, ProcessStarted, Time};
use serde::{Deserialize, Serialize};

use crate::alert::ProcessView;
use crate::bounded::Bounded;
use crate::limits::Limits;

/// Programs that one pid has executed which are remembered.
const PROGRAM_COUNT_MAX: usize = 8;
/// An execution may be stamped this much later than the first socket call that it makes.
const STAMP_MS_MAX: u64 = 50;
/// How far up the parents are followed.
const DEPTH_MAX: usize = 32;
const PER_CONTAINER_COUNT_MAX: usize = 256;

/// One executed program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Process {
    pid: u32,
    parent_pid: u32,
    uid: Option<u32>,
    container: Option<ContainerId>,
    from: Time,
    to: Time,
    executable: String,
    arguments: Vec<String>,
    sha256: Option<[u8; 32]>,
    in_image: InImage,
}

impl Process {
    pub(crate) fn arguments(&self) -> &[String] {
        &self.arguments
    }

    pub(crate) const fn in_image(&self) -> InImage {
        self.in_image
    }

    pub(crate) fn view(&self) -> ProcessView {
        ProcessView {
            pid: self.pid,
            executable: self.executable.clone(),
            arguments: self.arguments.clone(),
            uid: self.uid,
            sha256: self.sha256,
            in_image: self.in_image,
        }
    }

    const fn is_known(&self) -> bool {
        !self.executable.is_empty() || !self.arguments.is_empty()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Processes {
    by_pid: Bounded<u32, Vec<Process>>,
    by_container: Bounded<ContainerId, Vec<u32>>,
}

impl Processes {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            by_pid: Bounded::new(limits.process_count_max),
            by_container: Bounded::new(limits.container_count_max),
        }
    }

    pub(super) fn started(&mut self, at: Time, fact: &ProcessStarted<'_>) {
        let pid = fact.process.pid;
        let process = Process {
            pid,
            parent_pid: fact.parent_pid,
            uid: fact.uid,
            container: fact.container,
            from: at,
            to: Time::NEVER,
            executable: fact.executable.clone().into_owned(),
            arguments: fact.arguments.iter().map(|word| Cow::clone(word).into_owned()).collect(),
            sha256: fact.sha256,
            in_image: fact.in_image,
        };
        let (programs, _) = self.by_pid.entry(pid, Vec::new);
        let place = programs.partition_point(|known| known.from <= at);
        // What was read of the same execution twice is merged: the fuller word stays.
        if let Some(same) = place.checked_sub(1).and_then(|index| programs.get_mut(index))
            && same.from == at
        {
            if process.is_known() || !same.is_known() {
                *same = process;
            }
        } else {
            programs.insert(place, process);
            if programs.len() > PROGRAM_COUNT_MAX {
                programs.remove(0);
            }
        }
        if let Some(container) = fact.container {
            let (pids, _) = self.by_container.entry(container, Vec::new);
            if !pids.contains(&pid) && pids.len() < PER_CONTAINER_COUNT_MAX {
                pids.push(pid);
            }
        }
    }

    pub(super) fn ended(&mut self, at: Time, pid: u32) {
        let Some(programs) = self.by_pid.get_mut(&pid) else { return };
        for process in programs.iter_mut().filter(|process| process.from <= at) {
            process.to = process.to.min(at);
        }
    }

    /// What `pid` was at this time, where that could be read.
    pub(super) fn at(&self, pid: u32, at: Time) -> Option<&Process> {
        let until = Time(at.0.saturating_add(STAMP_MS_MAX * 1_000_000));
        let programs = self.by_pid.get(&pid)?;
        let exact = programs.iter().rev().find(|process| process.from <= at && at <= process.to);
        let process = exact.or_else(|| {
            programs.iter().find(|process| process.from > at && process.from <= until)
        })?;
        process.is_known().then_some(process)
    }

    /// The only process that the container had then, if it had only one.
    pub(super) fn only_one_of(&self, id: ContainerId, at: Time) -> Option<&Process> {
        let pids = self.by_container.get(&id)?;
        let mut alive = pids.iter().filter_map(|pid| self.at(*pid, at));
        let only = alive.next()?;
        alive.next().is_none().then_some(only)
    }

    /// Whether following the parents of `process` leads to `ancestor`.
    pub(super) fn descends(&self, process: &Process, ancestor: u32) -> bool {
        let (mut pid, mut parent) = (process.pid, process.parent_pid);
        for _ in 0..DEPTH_MAX {
            if pid == ancestor {
                return true;
            }
            if parent == 0 {
                return false;
            }
            pid = parent;
            let known = self.by_pid.get(&pid).and_then(|programs| programs.last());
            parent = known.map_or(0, |known| known.parent_pid);
        }
        false
    }

    pub(super) const fn evicted_count(&self) -> u64 {
        self.by_pid.evicted_count() + self.by_container.evicted_count()
    }
}
