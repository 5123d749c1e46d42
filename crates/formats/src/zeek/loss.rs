//! `capture_loss.log`: what Zeek itself did not see.
//! <https://docs.zeek.org/en/master/scripts/policy/misc/capture-loss.zeek.html>

use observation::{Fact, Gap, GapCause, Observation, SourceId, Span};
use serde::Deserialize;

use super::values::{Count, Lasted, When};
use super::{Kind, Seen};
use crate::parsed::{Parsed, Reason};

/// A row of `capture_loss.log`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Loss {
    ts: When,
    ts_delta: Lasted,
    /// Acknowledgments of segments that Zeek never saw.
    gaps: Count,
}

impl Loss {
    pub(super) fn see(&self, out: &mut dyn FnMut(Seen)) -> Result<Parsed, Reason> {
        let at = self.ts.0.ok_or(Reason::BadTime)?;
        let lost_count = self.gaps.0.ok_or(Reason::Missing("gaps"))?;
        if lost_count == 0 {
            return Ok(Parsed::Unused);
        }
        let from = at - self.ts_delta.0.unwrap_or(Span::ZERO);
        // The caller knows the witness.
        let source = SourceId(0);
        let gap = Gap { source, from, to: at, lost_count, cause: GapCause::KernelDrop };
        let observation = Observation { at, witness: source, order: 0, fact: Fact::Gap(gap) };
        out(Seen { kind: Kind::CaptureLoss, row: at.0, observation });
        Ok(Parsed::Understood)
    }
}
