//! What an alert shows of a flow, and of a call that is remembered only as one of many.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Flow, Flows, Protocols};
use crate::alert::{Excerpt, FlowView};
use crate::profiles::Call;

impl Flows {
    pub(crate) fn view(&self, flow: &Flow) -> FlowView {
        FlowView {
            local: flow.near(),
            remote: flow.far(),
            transport: flow.transport(),
            community_id: String::from(&*flow.community_id),
            start: flow.opened,
            end: flow.last,
            sent_bytes: flow.near_bytes,
            received_bytes: flow.far_bytes,
            protocols: self.names.of(flow.protocols).map(String::from).collect(),
            state: flow.closed,
            excerpts: flow.excerpts.iter().map(|excerpt| seen_from(flow, excerpt)).collect(),
        }
    }

    /// What an alert shows of a call that is no longer remembered as a flow.
    pub(crate) fn view_of_call(&self, call: &Call) -> FlowView {
        FlowView {
            local: call.near(),
            remote: call.far(),
            transport: call.key.transport,
            community_id: call.community_id.as_ref().into(),
            start: call.opened,
            end: call.ended,
            sent_bytes: call.sent_bytes,
            received_bytes: call.received_bytes,
            protocols: self.names.of(call.protocols).map(String::from).collect(),
            state: call.state,
            excerpts: Vec::new(),
        }
    }

    /// The innermost of these protocols.
    pub(crate) fn protocol_of(&self, protocols: Protocols) -> Option<&str> {
        self.names.of(protocols).last()
    }
}

/// The originator stands for the accused, also where it has accepted the flow.
fn seen_from(flow: &Flow, excerpt: &Excerpt) -> Excerpt {
    let side = if flow.is_outgoing() { excerpt.side } else { excerpt.side.other() };
    Excerpt { side, ..excerpt.clone() }
}
