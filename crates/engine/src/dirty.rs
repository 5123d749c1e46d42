//! What has to be judged anew, and how long that may wait.

use alloc::vec::Vec;

use observation::{ContainerId, FlowId, Span, Time};
use serde::{Deserialize, Serialize};

use crate::flows::Handle;
use crate::ledger::Place;
use crate::lookups::DomainKey;

/// Where only the end counts, flows that have to be judged are gathered for so long: an exchange is
/// judged once instead of after each word, and is told so much later.
const GATHER: Span = Span::from_millis(100);
/// No more than so much of it.
const GATHER_COUNT_MAX: usize = 4_096;

/// What has to be judged anew.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Dirty {
    pub flows: Vec<(Time, FlowId, Handle)>,
    pub domains: Vec<DomainKey>,
    /// Places that have tried many far ends.
    pub surveys: Vec<Place>,
    /// Containers that are known better; some of them may not have run at all.
    pub containers: Vec<ContainerId>,
    /// Since when flows are gathered.
    since: Option<Time>,
}

impl Dirty {
    pub(crate) const fn is_empty(&self) -> bool {
        self.flows.is_empty()
            && self.domains.is_empty()
            && self.surveys.is_empty()
            && self.containers.is_empty()
    }

    pub(crate) fn insert(&mut self, flow: (Time, FlowId, Handle)) {
        if self.flows.last() != Some(&flow) {
            self.flows.push(flow);
        }
    }

    /// Takes the flows of another over; all else has to be judged at once.
    pub(crate) fn gather(&mut self, other: &mut Self, clock: Time) {
        if other.flows.is_empty() {
            return;
        }
        self.since.get_or_insert(clock);
        other.flows.drain(..).for_each(|flow| self.insert(flow));
    }

    /// When what was gathered has to be judged.
    pub(crate) fn due(&self) -> Time {
        match self.since {
            Some(since) if self.flows.len() < GATHER_COUNT_MAX => since + GATHER,
            Some(since) => since,
            None => Time::NEVER,
        }
    }

    /// Everything once, in an order that does not depend on when it came.
    pub(crate) fn in_order(mut self) -> Self {
        once(&mut self.flows);
        once(&mut self.domains);
        once(&mut self.surveys);
        once(&mut self.containers);
        self
    }
}

fn once<T: Ord>(all: &mut Vec<T>) {
    all.sort_unstable();
    all.dedup();
}
