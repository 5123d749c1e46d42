//! A channel: what one subject does with one far end, over all its flows that a strategy accuses.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use observation::{Endpoint, FlowId, Time, Transport};
use serde::{Deserialize, Serialize};

use crate::alert::AlertId;
use crate::context::Origin;
use crate::evidence::{Finding, Sum};
use crate::flows::{Flow, Flows, Handle, Silence};
use crate::ledger::{Owner, Place};
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

impl ChannelKey {
    /// Below every channel of this owner.
    pub(crate) const fn lowest(owner: Owner) -> Self {
        let address = core::net::IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED);
        Self { owner, far: Far::Endpoint(Transport::Tcp, Endpoint { address, port: 0 }) }
    }
}

/// What opened a channel or an alert: when it could first be accused, and the id that follows from
/// who, whom and when. A replay gives the same one, whichever source was heard first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Opening {
    pub at: Time,
    pub id: AlertId,
}

/// A flow's position in its channel: by time.
type Position = (Time, FlowId, Handle);

/// A channel that a strategy has something to say about.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Channel {
    /// Its flows in the order in which they were opened.
    flows: BTreeSet<Position>,
    /// Flows beyond the limit are counted, not kept.
    pub flow_count: u32,
    pub verdict: Option<Verdict>,
    pub opening: Option<Opening>,
    /// The earliest failed lookup, where a name leads nowhere.
    pub asked: Option<FailedLookup>,
}

/// A lookup that led nowhere: when it was asked first, where, and in which flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct FailedLookup {
    pub at: Time,
    pub place: Place,
    pub flow: Handle,
}

/// What the strategies said of it last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub findings: Vec<Finding>,
    pub sum: Sum,
}

impl Channel {
    /// Adds a flow; gives back the one that had to go for it.
    pub(crate) fn add(
        &mut self,
        opened: Time,
        id: FlowId,
        handle: Handle,
        count_max: usize,
    ) -> Option<Handle> {
        if !self.flows.insert((opened, id, handle)) {
            return None;
        }
        self.flow_count = self.flow_count.saturating_add(1);
        if self.flows.len() <= count_max {
            return None;
        }
        // The first flows are evidence, the latest is what goes on now.
        let middle = self.flows.iter().nth(count_max / 2).copied()?;
        self.flows.remove(&middle);
        Some(middle.2)
    }

    pub(crate) fn remove(&mut self, opened: Time, id: FlowId, handle: Handle) {
        self.flows.remove(&(opened, id, handle));
        self.flow_count = self.flow_count.saturating_sub(1);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    pub(crate) fn handles(&self) -> impl Iterator<Item = Handle> {
        self.flows.iter().map(|(_, _, handle)| *handle)
    }

    pub(crate) fn flows<'a>(&self, flows: &'a Flows) -> impl Iterator<Item = &'a Flow> {
        self.flows.iter().filter_map(move |(_, _, handle)| flows.get(*handle))
    }

    /// The flow that accuses most; of equals the first.
    pub(crate) fn leading<'a>(&self, flows: &'a Flows) -> Option<(&'a Flow, Own)> {
        let mut all = self.flows(flows).filter_map(|flow| Some((flow, flow.own?)));
        let first = all.next()?;
        Some(all.fold(first, |best, next| if next.1.sum_db > best.1.sum_db { next } else { best }))
    }

    /// When and by what it could first be accused.
    pub(crate) fn earliest(&self, flows: &Flows) -> Option<Opening> {
        self.flows(flows).filter_map(|flow| flow.own.map(|own| own.opening)).min()
    }

    /// What its conversations add up to: those that came to be in the same way. A program that
    /// somebody has started by hand is not held responsible for what the workload always does.
    pub(crate) fn session(
        &self,
        flows: &Flows,
        origin: Origin,
        gone: impl Fn(&Flow) -> Option<Time>,
    ) -> Session {
        let mut session = Session::default();
        let alike = |flow: &&Flow| flow.own.is_some_and(|own| own.origin == origin);
        self.flows(flows).filter(alike).for_each(|flow| session.add(flow, gone(flow)));
        session
    }
}

/// What the strategies say of one flow alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Own {
    pub sum_db: i16,
    pub origin: Origin,
    pub opening: Opening,
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
    /// Flows that obeyed a known grammar.
    pub obeyed: u32,
    /// Flows that were accepted, and in which nobody has spoken for long.
    pub held_silent: u32,
    /// Flows that were accepted and soon closed without a word.
    pub closed_silent: u32,
    /// Flows that were never accepted.
    pub failed: u32,
}

/// An accepted flow in which nobody speaks for this long is held open in silence.
pub(crate) const SILENT_MS: u64 = 5_000;

impl Session {
    /// One conversation.
    pub(crate) fn of(flow: &Flow, gone: Option<Time>) -> Self {
        let mut session = Self::default();
        session.add(flow, gone);
        session
    }

    fn add(&mut self, flow: &Flow, gone: Option<Time>) {
        let roles = &flow.roles;
        match roles.conversation() {
            Conversation::FarCommands => {
                self.rounds = self.rounds.saturating_add(roles.rounds());
                self.shell_answers = self.shell_answers.saturating_add(roles.shell_answers());
                self.echoed += u32::from(roles.near_echoes());
            }
            Conversation::FarAlone => self.far_alone += 1,
            Conversation::NearCommands
            | Conversation::NearAlone
            | Conversation::Heartbeat
            | Conversation::Binary => {}
            Conversation::Nothing => self.add_without_words(flow, gone),
        }
    }

    fn add_without_words(&mut self, flow: &Flow, gone: Option<Time>) {
        if flow.obeyed {
            self.obeyed += u32::from(flow.closed.is_some());
        } else if flow.has_failed() {
            self.failed += 1;
        } else {
            match flow.silence(gone) {
                Some(Silence::Held) => self.held_silent += 1,
                Some(Silence::Closed) => self.closed_silent += 1,
                None => {}
            }
        }
    }
}
