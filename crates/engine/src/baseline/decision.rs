//! What people decide about baselines.

use alloc::string::String;
use alloc::vec::Vec;

use observation::{Span, Time};
use serde::{Deserialize, Serialize};

use super::{Baseline, Destination, Lineage, Visits, confidence_percent};

/// A person's word on a baseline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// These destinations are the workload's.
    Approved(Approval),
    /// What was learned until then is to be forgotten, and nothing is approved.
    Forgotten {
        /// Whose baseline it was.
        workload: String,
        /// When it was decided.
        at: Time,
    },
}

/// What somebody has approved, as it was shown to him.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Whose baseline it is.
    pub workload: String,
    /// What another version of the workload is known by.
    pub lineage: Lineage,
    /// When.
    pub at: Time,
    /// Who, as far as the system says.
    pub by: String,
    /// Why; the next person reads it.
    pub reason: String,
    /// Where it may go.
    pub destinations: Vec<Approved>,
}

/// A destination that somebody has approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// Where.
    pub destination: Destination,
    /// On so many days the workload went there,
    pub day_count: u32,
    /// of so many on which it was seen.
    pub day_total: u32,
}

impl Approved {
    /// How sure it was that the workload goes there on its next day.
    #[must_use]
    pub fn confidence_percent(&self) -> u8 {
        confidence_percent(self.day_count, self.day_total)
    }
}

impl Baseline {
    /// All that it knows, for somebody to approve.
    #[must_use]
    pub fn destinations_to_approve(&self) -> Vec<Approved> {
        let all = self.destinations.iter().map(|(destination, visits)| Approved {
            destination: destination.clone(),
            day_count: visits.day_count(),
            day_total: self.all.day_count(),
        });
        all.collect()
    }
}

impl Approval {
    /// When a destination was approved, if it was.
    pub(super) fn covers(&self, destination: &Destination) -> Option<Time> {
        let is_it = |approved: &Approved| approved.destination == *destination;
        self.destinations.iter().any(is_it).then_some(self.at)
    }

    /// Whether it still holds: the workload went there lately, or it is young; and it did not end
    /// meanwhile.
    #[must_use]
    pub fn holds(&self, visits: Option<&Visits>, now: Time, expires_after: Span) -> bool {
        let last = visits.map_or(Time(0), |visits| visits.last);
        let lapsed = visits.and_then(|visits| visits.lapsed);
        now <= last.max(self.at) + expires_after && lapsed.is_none_or(|lapsed| lapsed < self.at)
    }
}

/// What was approved for another version of this workload (the same owner, name and image under
/// another digest or command): a proposal, until somebody approves it for this one too.
pub fn proposal<'a>(
    baseline: &Baseline,
    decisions: impl IntoIterator<Item = &'a Decision>,
) -> Option<&'a Approval> {
    let approvals = decisions.into_iter().filter_map(|decision| match decision {
        Decision::Approved(approval) => Some(approval),
        Decision::Forgotten { .. } => None,
    });
    // What has no name is nobody's kin.
    let is_named = !baseline.lineage.name.is_empty() && !baseline.lineage.image.is_empty();
    let is_kin = |it: &&Approval| is_named && it.lineage == baseline.lineage;
    let latest =
        approvals.filter(is_kin).max_by_key(|it| (it.workload == baseline.workload, it.at));
    latest.filter(|it| it.workload != baseline.workload)
}
