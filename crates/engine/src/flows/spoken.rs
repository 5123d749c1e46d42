//! What the sensor says of the protocols of a flow.

use observation::{
    EchoSymmetry, FlowId, HttpExchange, ProtocolIdentified, ProtocolLeft, Time, TlsHello,
    TlsSession, Transport,
};

use super::{Flows, Handle};
use crate::lasting::{Among, Lengths};
use crate::protocols::Protocol;
use crate::stacks::Stacks;

impl Flows {
    /// A protocol claims a flow; gives the flow where a verdict may change, as with what follows.
    pub(crate) fn identified(&mut self, at: Time, fact: &ProtocolIdentified<'_>) -> Option<Handle> {
        let number = self.names.number(&fact.protocol);
        let (handle, flow) = self.known(fact.flow)?;
        if let Some(number) = number {
            flow.protocols.add(number);
        }
        flow.identified(at, Protocol::named(&fact.protocol), fact.certainty).then_some(handle)
    }

    pub(crate) fn left(&mut self, at: Time, fact: &ProtocolLeft<'_>) -> Option<Handle> {
        let (handle, flow) = self.known(fact.flow)?;
        flow.left(at, Protocol::named(&fact.protocol), fact.side).then_some(handle)
    }

    pub(crate) fn hello(
        &mut self,
        at: Time,
        fact: &TlsHello<'_>,
        stacks: &mut Stacks,
    ) -> Option<Handle> {
        let (handle, flow) = self.known(fact.flow)?;
        flow.hello(at, fact, stacks).then_some(handle)
    }

    pub(crate) fn exchanged(
        &mut self,
        at: Time,
        fact: &HttpExchange<'_>,
        agents: &mut Stacks,
    ) -> Option<Handle> {
        let (handle, flow) = self.known(fact.flow)?;
        flow.exchanged(at, fact, agents).then_some(handle)
    }

    pub(crate) fn handshake(&mut self, at: Time, fact: &TlsSession<'_>) -> Option<Handle> {
        let (handle, flow) = self.known(fact.flow)?;
        flow.handshake(at, fact).then_some(handle)
    }

    /// A connection goes on: once it is long, it is compared with the others of its place.
    pub(crate) fn compare(&mut self, at: Time, id: FlowId, lengths: &Lengths) {
        let Some(flow) = self.latest_mut(id) else { return };
        let is_new = flow.oddity.lasting.is_some() && flow.among == Among::Ordinary;
        if is_new {
            flow.compared(at, lengths.compare(flow.place(), flow.opened, flow.last));
        }
    }

    /// A connection is over.
    pub(crate) fn measure(&mut self, at: Time, id: FlowId, lengths: &mut Lengths) {
        self.compare(at, id, lengths);
        let Some(flow) = self.latest_mut(id) else { return };
        if flow.is_outgoing() && flow.transport() == Transport::Tcp && !flow.has_failed() {
            lengths.note(flow.place(), flow.opened, flow.last);
        }
    }

    pub(crate) fn echoed(&mut self, at: Time, fact: &EchoSymmetry) -> Option<Handle> {
        let (handle, flow) = self.known(fact.flow)?;
        flow.echoed(at, fact).then_some(handle)
    }
}
