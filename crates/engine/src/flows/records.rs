//! What the record of a flow log says, which tells of a flow once it is over.

use observation::{ConnState, FlowClosed};

use super::Flow;

impl Flow {
    /// A call that came to nothing.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_outgoing() && self.has_failed() && !self.speaks()
    }
}

/// Whether a record says that the responder took part.
pub(crate) const fn was_accepted(fact: &FlowClosed<'_>) -> bool {
    match fact.state {
        ConnState::S1
        | ConnState::SF
        | ConnState::S2
        | ConnState::S3
        | ConnState::RstO
        | ConnState::RstR => true,
        // Under way when the record began.
        ConnState::Oth => fact.originator.packets > 0 && fact.responder.packets > 0,
        _ => false,
    }
}
