//! A channel: what one subject does with one far end, over all its flows that a strategy accuses.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use observation::{Endpoint, FlowId, Time, Transport};
use serde::{Deserialize, Serialize};

use crate::alert::{AlertId, Level};
use crate::context::Origin;
use crate::evidence::{Finding, Sum, Worth};
use crate::flows::{Flow, Flows, Handle, Keep};
use crate::intel::Listed;
use crate::ledger::{Owner, Place};
use crate::lookups::Lookup;
use crate::session::Session;

/// Whom a channel leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Far {
    /// An address and a port.
    Endpoint(Transport, Endpoint),
    /// A name that led to no address.
    Name(String),
    /// Nobody: it never came so far.
    Nobody,
    /// Whoever answers for a registered domain.
    Domain(String),
    /// Whoever calls from this address, at this port of the subject's own.
    Caller(Transport, IpAddr, u16),
    /// All who call this port of the subject's own.
    Callers(Transport, u16),
    /// Many, of whom hardly any was talked to.
    Many,
}

impl Far {
    /// Whom a flow leads to: who was called, or who called.
    pub(crate) fn of(flow: &Flow) -> Self {
        if flow.is_outgoing() {
            Self::Endpoint(flow.transport(), flow.far())
        } else {
            Self::Caller(flow.transport(), flow.far().address, flow.near().port)
        }
    }
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
pub(crate) type Position = (Time, FlowId, Handle);

/// How much a flow says by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Weight {
    /// It would be told.
    Full,
    /// It may add to what else is found.
    Faint,
}

impl Weight {
    /// What becomes of a flow for which there is no room any longer.
    pub(crate) const fn let_go(self) -> Keep {
        match self {
            Self::Full => Keep::Counted,
            Self::Faint => Keep::CountedFaint,
        }
    }
}

/// So many flows that say little are remembered beside those that are told.
const FAINT_COUNT_MAX: usize = 8;

/// A channel that a strategy has something to say about.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Channel {
    /// Its flows in the order in which they were opened.
    flows: BTreeSet<Position>,
    /// Those that say little by themselves: they never take the others' room.
    faint: BTreeSet<Position>,
    /// Those of them by which a program came in: what is started long afterwards concerns them too.
    bearing: BTreeSet<Position>,
    /// Flows beyond the limit are counted, not kept.
    pub flow_count: u32,
    pub verdict: Option<Verdict>,
    pub opening: Option<Opening>,
    pub judged_at: Time,
    /// The earliest failed lookup, where a name leads nowhere.
    pub asked: Option<FailedLookup>,
    /// The lookup of a name that a feed lists.
    pub listing: Option<Box<Listing>>,
    /// The lookups, where it leads to who answers for a domain; the attempts, where to many.
    pub looked_up: Option<LookedUp>,
}

/// A name that a feed lists was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listing {
    pub listed: Listed,
    pub lookup: Lookup,
    /// The flow that asked.
    pub flow: Handle,
}

/// Lookups below a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LookedUp {
    pub place: Place,
    pub last: Time,
    pub count: u32,
    /// Who was asked.
    pub server: IpAddr,
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
    pub origin: Origin,
    pub sum: Sum,
}

impl Verdict {
    /// Whether nothing of it is to be told.
    pub(crate) fn is_faint(&self) -> bool {
        weight(&self.findings, self.sum.sum_db) == Weight::Faint
    }
}

impl Channel {
    /// Holds a flow, as one of this weight from now on; gives back the one that had to go for it.
    pub(crate) fn hold(
        &mut self,
        position: Position,
        weight: Weight,
        count_max: usize,
    ) -> Option<Handle> {
        let (all, others, count_max) = match weight {
            Weight::Full => (&mut self.flows, &mut self.faint, count_max),
            Weight::Faint => (&mut self.faint, &mut self.flows, count_max.min(FAINT_COUNT_MAX)),
        };
        others.remove(&position);
        if !all.insert(position) || all.len() <= count_max {
            return None;
        }
        // The first flows are evidence, the latest is what goes on now.
        let middle = all.iter().nth(count_max / 2).copied()?;
        self.take_out(&middle);
        Some(middle.2)
    }

    /// Whether it holds a flow as one of this weight.
    pub(crate) fn holds(&self, position: &Position, weight: Weight) -> bool {
        match weight {
            Weight::Full => self.flows.contains(position),
            Weight::Faint => self.faint.contains(position),
        }
    }

    fn take_out(&mut self, position: &Position) {
        self.flows.remove(position);
        self.faint.remove(position);
        self.bearing.remove(position);
    }

    /// A program came in by this flow.
    pub(crate) fn bears(&mut self, position: Position) {
        if self.flows.contains(&position) || self.faint.contains(&position) {
            self.bearing.insert(position);
        }
    }

    pub(crate) fn remove(&mut self, position: &Position) {
        self.take_out(position);
        self.flow_count = self.flow_count.saturating_sub(1);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.flows.is_empty() && self.faint.is_empty()
    }

    /// Its flows: those that are told first.
    pub(crate) fn handles(&self) -> impl Iterator<Item = Handle> {
        self.flows.iter().chain(&self.faint).map(|(_, _, handle)| *handle)
    }

    /// Lets all go: what becomes of each of its flows.
    pub(crate) fn let_go(&self) -> impl Iterator<Item = (Handle, Keep)> {
        let all = [(&self.flows, Weight::Full), (&self.faint, Weight::Faint)];
        all.into_iter().flat_map(|(flows, weight)| {
            flows.iter().map(move |(_, _, handle)| (*handle, weight.let_go()))
        })
    }

    /// What a program that began to run then may have to do with: what was opened since, and what
    /// may have brought it in.
    pub(crate) fn handles_since(&self, since: Time) -> impl Iterator<Item = Handle> {
        let opened = [&self.flows, &self.faint]
            .into_iter()
            .flat_map(move |all| all.iter().rev().take_while(move |(opened, ..)| *opened >= since));
        let before = self.bearing.iter().take_while(move |(opened, ..)| *opened < since);
        opened.chain(before).map(|(_, _, handle)| *handle)
    }

    pub(crate) fn flows<'a>(&self, flows: &'a Flows) -> impl Iterator<Item = &'a Flow> {
        self.handles().filter_map(move |handle| flows.get(handle))
    }

    /// The flow that accuses most; of equals the first.
    pub(crate) fn leading<'a>(&self, flows: &'a Flows) -> Option<(&'a Flow, Own)> {
        let mut all = self.flows(flows).filter_map(|flow| Some((flow, *flow.own.as_deref()?)));
        let first = all.next()?;
        Some(all.fold(first, |best, next| if next.1.sum_db > best.1.sum_db { next } else { best }))
    }

    /// When and by what it could first be accused.
    pub(crate) fn earliest(&self, flows: &Flows) -> Option<Opening> {
        self.flows(flows).filter_map(|flow| flow.own.as_ref().map(|own| own.opening)).min()
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
        let alike = |flow: &&Flow| flow.own.as_ref().is_some_and(|own| own.origin == origin);
        self.flows(flows).filter(alike).for_each(|flow| session.add(flow, gone(flow)));
        session
    }
}

/// How much findings say together.
pub(crate) fn weight(findings: &[Finding], sum_db: i16) -> Weight {
    let is_told = findings.iter().any(|finding| finding.worth == Worth::Telling);
    if is_told || Level::of(sum_db) > Level::Info { Weight::Full } else { Weight::Faint }
}

/// What the strategies say of one flow alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Own {
    pub sum_db: i16,
    pub weight: Weight,
    pub origin: Origin,
    pub opening: Opening,
}
