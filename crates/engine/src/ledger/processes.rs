//! Processes by pid and time: a pid is reused, and one process executes several programs.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use observation::{ContainerId, InImage, ProcessStarted, Time};
use serde::{Deserialize, Serialize};

use super::container::Container;
use crate::alert::ProcessView;
use crate::clients::RawClient;
use crate::fair::Fair;
use crate::index::Seed;
use crate::intel::Listed;
use crate::limits::Limits;

/// Programs that one pid has executed which are remembered.
const PROGRAM_COUNT_MAX: usize = 8;
/// An execution may be stamped this much later than the first socket call that it makes.
pub(crate) const STAMP_MS_MAX: u64 = 50;
/// How far up the parents are followed.
const DEPTH_MAX: usize = 32;
/// Processes of one cgroup among which its only one is looked for.
const PER_CGROUP_COUNT_MAX: usize = 64;
/// Command lines are kept up to here; the rest proves nothing.
const ARGUMENT_COUNT_MAX: usize = 64;
const ARGUMENT_BYTES_MAX: usize = 1024;

/// One executed program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Process {
    pid: u32,
    parent_pid: u32,
    uid: Option<u32>,
    home: Home,
    from: Time,
    to: Time,
    executable: String,
    arguments: Vec<String>,
    client: Option<RawClient>,
    sha256: Option<[u8; 32]>,
    in_image: InImage,
    listed: Option<Box<Listed>>,
}

/// Where a process runs, as its witness says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Home {
    Container(ContainerId),
    Cgroup(u64),
}

/// Where following the parents leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Descent {
    /// To the ancestor that was asked for.
    Reaches,
    /// Out of the ancestor's container.
    Leaves,
    /// To a parent of which nothing is known; the last known one began at this time.
    Lost(Time),
}

impl Process {
    /// The raw client that it is, or calls.
    pub(crate) const fn client(&self) -> Option<&RawClient> {
        self.client.as_ref()
    }

    /// What feeds list of its executable.
    pub(crate) fn listed(&self) -> Option<&Listed> {
        self.listed.as_deref()
    }

    /// Whether the raw client in its words is itself.
    fn is_its_client(&self) -> bool {
        let program = self.arguments.first().and_then(|word| word.rsplit('/').next());
        self.client.as_ref().is_some_and(|client| Some(client.program.as_str()) == program)
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

    fn is_known(&self) -> bool {
        !self.executable.is_empty() || !self.arguments.is_empty()
    }
}

/// A neighbour that runs many processes loses only his own: each home is a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Processes {
    by_pid: Fair<Home, u32, Vec<Process>>,
    by_home: Fair<(), Home, VecDeque<u32>>,
    client_homes: Fair<(), Home, ()>,
    evicted_count: u64,
}

impl Processes {
    pub(super) fn new(limits: &Limits, seed: Seed) -> Self {
        Self {
            by_pid: Fair::new(limits.process_count_max, seed),
            by_home: Fair::new(limits.process_count_max, seed),
            client_homes: Fair::new(limits.container_count_max, seed),
            evicted_count: 0,
        }
    }

    /// Takes an execution in; `true` where it is a raw client's.
    pub(super) fn started(
        &mut self,
        at: Time,
        fact: &ProcessStarted<'_>,
        listed: Option<&Listed>,
    ) -> bool {
        let pid = fact.process.pid;
        let listed = listed.cloned().map(Box::new);
        let process = Process { listed, ..read(at, fact) };
        let home = process.home;
        let is_client = process.client.is_some();
        if is_client {
            self.client_homes.entry((), home, || ());
        }
        let (Some(programs), _) = self.by_pid.entry(home, pid, Vec::new) else { return is_client };
        let place = programs.partition_point(|known| known.from <= at);
        // What was read of the same execution twice is merged: the fuller word stays.
        if let Some(same) = place.checked_sub(1).and_then(|index| programs.get_mut(index))
            && same.from == at
        {
            if process.is_known() || !same.is_known() {
                *same = Process { to: same.to, ..process };
            }
        } else {
            programs.insert(place, process);
            if programs.len() > PROGRAM_COUNT_MAX {
                programs.remove(0);
                self.evicted_count += 1;
            }
        }
        if let (Some(pids), _) = self.by_home.entry((), home, VecDeque::new)
            && !pids.contains(&pid)
        {
            if pids.len() >= PER_CGROUP_COUNT_MAX {
                pids.pop_front();
            }
            pids.push_back(pid);
        }
        is_client
    }

    /// Whether a raw client has ever run in this container.
    pub(super) fn had_client(&self, container: &Container) -> bool {
        // Most hosts never see one.
        self.client_homes.len() > 0
            && homes(container).iter().any(|home| self.client_homes.get(home).is_some())
    }

    pub(super) fn ended(&mut self, at: Time, pid: u32) {
        let Some(programs) = self.by_pid.get_mut(&pid) else { return };
        for process in programs.iter_mut().filter(|process| process.from <= at) {
            process.to = process.to.min(at);
        }
    }

    /// What `pid` was at this time, where that could be read.
    pub(super) fn at(&self, pid: u32, at: Time) -> Option<&Process> {
        self.any_at(pid, at).filter(|process| process.is_known())
    }

    fn any_at(&self, pid: u32, at: Time) -> Option<&Process> {
        let until = Time(at.0.saturating_add(STAMP_MS_MAX * 1_000_000));
        let programs = self.by_pid.get(&pid)?;
        let exact = programs.iter().rev().find(|process| process.from <= at && at <= process.to);
        exact.or_else(|| programs.iter().find(|process| process.from > at && process.from <= until))
    }

    /// The only process that the container had then, if it had only one, and if its first process
    /// was seen to start: else there may be others that nobody has told of.
    pub(super) fn only_one_of(&self, container: &Container, at: Time) -> Option<&Process> {
        let first = self.by_pid.get(&container.pid())?;
        let homes = homes(container);
        let is_whole = first.iter().any(|process| homes.contains(&process.home));
        let pids = || homes.iter().filter_map(|home| self.by_home.get(home)).flatten();
        if !is_whole || pids().count() >= PER_CGROUP_COUNT_MAX {
            return None;
        }
        let mut alive = pids().filter_map(|pid| self.any_at(*pid, at));
        let only = alive.next()?;
        (alive.next().is_none() && only.is_known()).then_some(only)
    }

    /// The raw client that listens at this port of the container then, by its own words.
    pub(super) fn listener_of(
        &self,
        container: &Container,
        port: u16,
        at: Time,
    ) -> Option<&Process> {
        // Most hosts never see one.
        if !self.had_client(container) {
            return None;
        }
        let homes = homes(container);
        let pids = homes.iter().filter_map(|home| self.by_home.get(home)).flatten();
        let alive = pids.filter_map(|pid| self.at(*pid, at));
        let listens = |process: &&Process| {
            process.client.as_ref().is_some_and(|client| client.listens_at(port))
        };
        // A shell that was told to start it says the same words.
        alive.filter(listens).min_by_key(|process| !process.is_its_client())
    }

    /// The first program that is not its image's and that began to run in a container between.
    pub(super) fn brought_in(
        &self,
        container: &Container,
        from: Time,
        to: Time,
    ) -> Option<&Process> {
        let homes = homes(container);
        let pids = homes.iter().filter_map(|home| self.by_home.get(home)).flatten();
        let programs = pids.filter_map(|pid| self.by_pid.get(pid)).flatten();
        let brought = programs.filter(|process| {
            process.in_image == InImage::No && (from..=to).contains(&process.from)
        });
        brought.min_by_key(|process| (process.from, process.pid))
    }

    /// Where following the parents of `process` leads: to the container's first process, or out of
    /// its homes?
    pub(super) fn descent(&self, process: &Process, container: &Container) -> Descent {
        let (homes, first_pid) = (homes(container), container.pid());
        let (mut here, mut inside) = (process, process);
        for _ in 0..DEPTH_MAX {
            if here.pid == first_pid || here.parent_pid == first_pid {
                return Descent::Reaches;
            }
            if here.home != Home::Cgroup(0) && !homes.contains(&here.home) {
                let is_first = self.was_alone(inside, container);
                return if is_first { Descent::Reaches } else { Descent::Leaves };
            }
            inside = here;
            let parent = self.by_pid.get(&here.parent_pid).and_then(|programs| {
                let before = programs.iter().rev().find(|parent| parent.from <= here.from);
                before.or_else(|| programs.first())
            });
            match parent {
                Some(parent) => here = parent,
                None => return Descent::Lost(here.from),
            }
        }
        Descent::Lost(here.from)
    }

    /// Whether a process was the first of a life of its container that is over, or that the runtime
    /// has not told of yet: the first process that it names was not there then, nor was any other.
    fn was_alone(&self, process: &Process, container: &Container) -> bool {
        let homes = homes(container);
        let of_pid = |pid: &u32| self.by_pid.get(pid).into_iter().flatten();
        let is_its = |other: &&Process| homes.contains(&other.home);
        let is_there = |other: &Process| other.from <= process.from && process.from <= other.to;
        let first: Vec<&Process> = of_pid(&container.pid()).filter(is_its).collect();
        let pids = homes.iter().filter_map(|home| self.by_home.get(home)).flatten();
        let mut others = pids.filter(|pid| **pid != process.pid).flat_map(of_pid).filter(is_its);
        !first.is_empty() && !first.into_iter().any(is_there) && !others.any(is_there)
    }

    pub(super) const fn evicted_count(&self) -> u64 {
        self.by_pid.evicted_count()
            + self.by_home.evicted_count()
            + self.client_homes.evicted_count()
            + self.evicted_count
    }
}

fn read(at: Time, fact: &ProcessStarted<'_>) -> Process {
    let word = |word: &Cow<'_, str>| {
        let end = word.floor_char_boundary(ARGUMENT_BYTES_MAX);
        String::from(word.get(..end).unwrap_or_default())
    };
    let arguments: Vec<String> = fact.arguments.iter().take(ARGUMENT_COUNT_MAX).map(word).collect();
    Process {
        pid: fact.process.pid,
        parent_pid: fact.parent_pid,
        uid: fact.uid,
        home: fact.container.map_or(Home::Cgroup(fact.cgroup), Home::Container),
        from: at,
        to: Time::NEVER,
        executable: word(&fact.executable),
        client: RawClient::find(arguments.iter().map(String::as_str)),
        arguments,
        sha256: fact.sha256,
        in_image: fact.in_image,
        listed: None,
    }
}

/// Where the processes of a container run, as their witness may say it.
fn homes(container: &Container) -> Vec<Home> {
    let cgroups = container.cgroups().map(Home::Cgroup);
    core::iter::once(Home::Container(container.id())).chain(cgroups).collect()
}
