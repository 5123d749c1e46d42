//! A channel: what one subject does with one far end, over all its flows.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use observation::{Endpoint, FlowId, Time, Transport};
use serde::{Deserialize, Serialize};

use crate::evidence::{Finding, Sum};
use crate::flows::{Flow, Flows};
use crate::ledger::Owner;
use crate::roles::Conversation;

/// Whom a channel leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Far {
    /// An address and a port.
    Endpoint(Transport, Endpoint),
    /// A name that led to no address.
    Name(String),
    /// Nobody: it never came so far.
    Nobody,
}

/// A channel's two ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ChannelKey {
    pub owner: Owner,
    pub far: Far,
}

/// A channel that a strategy may have something to say about.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Channel {
    /// Its flows in the order in which they were opened.
    flows: BTreeSet<(Time, FlowId)>,
    /// Flows beyond the limit are counted, not kept.
    pub flow_count: u32,
    pub verdict: Option<Verdict>,
}

/// What the strategies said of it last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub findings: Vec<Finding>,
    pub sum: Sum,
}

impl Channel {
    pub(crate) fn add(&mut self, opened: Time, id: FlowId, count_max: usize) {
        if self.flows.insert((opened, id)) {
            self.flow_count = self.flow_count.saturating_add(1);
            if self.flows.len() > count_max {
                // The first flows are evidence, the latest is what goes on now.
                let middle = self.flows.iter().nth(count_max / 2).copied();
                if let Some(middle) = middle {
                    self.flows.remove(&middle);
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, opened: Time, id: FlowId) {
        if self.flows.remove(&(opened, id)) {
            self.flow_count = self.flow_count.saturating_sub(1);
        }
    }

    pub(crate) fn has(&self, opened: Time, id: FlowId) -> bool {
        self.flows.contains(&(opened, id))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = FlowId> {
        self.flows.iter().map(|(_, id)| *id)
    }

    pub(crate) fn flows<'a>(&self, flows: &'a Flows) -> impl Iterator<Item = &'a Flow> {
        self.flows.iter().filter_map(move |(_, id)| flows.get(id))
    }

    /// What its conversations add up to.
    /// Of a subject that is `gone` no end of a flow is seen any more.
    pub(crate) fn session(&self, flows: &Flows, clock: Time, gone: Option<Time>) -> Session {
        let mut session = Session::default();
        for flow in self.flows(flows).filter(|flow| flow.is_outgoing()) {
            session.add(flow, clock, gone);
        }
        session
    }
}

/// The conversations of a channel that its subject opened, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Session {
    /// Rounds of command and answer, over the flows in which the far end commands.
    pub rounds: u32,
    /// Answers that look like a shell's.
    pub shell_answers: u32,
    /// Flows in which keystrokes were echoed by the subject.
    pub echoed: u32,
    /// Flows in which only the far end spoke.
    pub far_alone: u32,
    /// Flows in which the subject commanded or spoke alone.
    pub near_commands: u32,
    /// Flows that obeyed a known grammar.
    pub obeyed: u32,
    /// Flows that were accepted, stay open, and in which nobody has spoken for long.
    pub held_silent: u32,
    /// Flows that were accepted and closed without a word.
    pub closed_silent: u32,
    /// Flows that were never accepted.
    pub failed: u32,
}

/// An accepted flow in which nobody speaks for this long is held open in silence.
pub(crate) const SILENT_MS: u64 = 5_000;

impl Session {
    fn add(&mut self, flow: &Flow, clock: Time, gone: Option<Time>) {
        let roles = &flow.roles;
        match roles.conversation() {
            Conversation::FarCommands => {
                self.rounds = self.rounds.saturating_add(roles.rounds());
                self.shell_answers = self.shell_answers.saturating_add(roles.shell_answers());
                self.echoed += u32::from(roles.near_echoes());
            }
            Conversation::FarAlone => self.far_alone += 1,
            Conversation::NearCommands | Conversation::NearAlone => self.near_commands += 1,
            Conversation::Binary => {}
            Conversation::Nothing if flow.obeyed => self.obeyed += 1,
            Conversation::Nothing if flow.has_failed() => self.failed += 1,
            Conversation::Nothing if flow.is_silent() => {
                let since = flow.established.map_or(0, |at| clock.since(at).as_millis());
                if flow.closed.is_some() || gone.is_some_and(|gone| gone >= flow.opened) {
                    self.closed_silent += 1;
                } else if since >= SILENT_MS {
                    self.held_silent += 1;
                }
            }
            Conversation::Nothing => {}
        }
    }
}
