//! What the record of a flow log says, which tells of a flow once it is over.

use observation::{ConnState, FlowClosed};

use super::Flow;

impl Flow {
    /// A call that came to nothing.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_outgoing() && self.has_failed() && !self.speaks()
    }

    /// Its near side has neither opened nor answered it: what comes to an address that another had
    /// before, a scan, a forged segment, or the answer to one. Nobody there was commanded. Whoever
    /// accepted a connection and has nothing to say has taken part.
    pub(crate) fn is_stray(&self) -> bool {
        let never_asked =
            matches!(self.closed, Some(ConnState::RstRH | ConnState::SHR | ConnState::Oth));
        let takes_no_part = self.established.is_none() && self.near_bytes == 0;
        takes_no_part && (self.far_bytes > 0 || never_asked)
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
