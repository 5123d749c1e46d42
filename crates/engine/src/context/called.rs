//! The surroundings of what a container is called for: who listens, and whether anybody has said
//! that the port is served.

use alloc::string::ToString as _;

use observation::{Endpoint, FlowKey, LocalSide, Time, Transport};

use super::{
    Context, Declared, Led, Origin, Whose, declared, granted, is_recent, origin, whose,
    written_by_whom,
};
use crate::clients::RawClient;
use crate::flows::Flow;
use crate::ledger::{Container, Ledger, Owner, Process, has_word};
use crate::profiles::Call;

/// What is known of where a flow is relayed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beyond {
    pub declared: Declared,
    pub whose: Whose,
}

impl<'a> Context<'a> {
    /// Around a flow that its owner accepted.
    pub(super) fn of_accepted_flow(
        ledger: &'a Ledger,
        flow: &Flow,
        container: Option<&'a Container>,
    ) -> Self {
        let ends = (&flow.key, flow.local, flow.far());
        let called = Self::of_accepted(ledger, ends, flow.opened, container);
        let relay = flow.relay.as_ref().filter(|_| flow.is_relay());
        let beyond = relay.map(|relay| {
            let name = ledger.names_to(flow.place(), &relay.to.address, flow.last).next();
            let at = flow.opened;
            let declared = declared(ledger, container, called.origin, relay.to, name, at);
            Beyond { declared, whose: whose(ledger, relay.to, at) }
        });
        Self { beyond, ..called }
    }

    /// Around what somebody calls a container for.
    fn of_accepted(
        ledger: &'a Ledger,
        (key, local, far): (&FlowKey, LocalSide, Endpoint),
        at: Time,
        container: Option<&'a Container>,
    ) -> Self {
        let process = ledger.process(key, local, at, container);
        let origin = origin(ledger, container, process, at);
        let near = (key.transport, key.responder.port);
        Self {
            process,
            origin,
            client: listener(container, process, at, near.1),
            declared: declared_port(container, origin, near, at),
            whose: whose_call(ledger, container, far, at),
            granted: granted(container),
            created: container.and_then(Container::created),
            led: Led::Unknown,
            listed: process.and_then(Process::listed),
            beyond: None,
            container,
            started: None,
        }
    }

    /// Around a call that its owner accepted.
    pub(crate) fn of_accepted_call(ledger: &'a Ledger, call: &Call, owner: Owner) -> Self {
        let container = match owner {
            Owner::Container(id) => ledger.container(&id),
            Owner::Unnamed(_) | Owner::Host => None,
        };
        Self::of_accepted(ledger, (&call.key, call.local, call.far()), call.opened, container)
    }
}

/// Whose the caller is.
fn whose_call(ledger: &Ledger, container: Option<&Container>, far: Endpoint, at: Time) -> Whose {
    if container.is_some_and(|container| container.has_gateway(far.address)) {
        return Whose::Hosts;
    }
    whose(ledger, far, at)
}

/// The raw client that waits for calls at this port, in the words of a process or of the runtime.
fn listener<'a>(
    container: Option<&'a Container>,
    process: Option<&'a Process>,
    at: Time,
    port: u16,
) -> Option<&'a RawClient> {
    let own = process.and_then(Process::client);
    let execs = container.into_iter().flat_map(Container::execs);
    let told = execs.filter(|exec| is_recent(exec, at)).filter_map(|exec| exec.client.as_ref());
    let mut words = own.into_iter().chain(container.and_then(Container::client)).chain(told);
    words.find(|client| client.listens_at(port))
}

/// Whether the operator has written down that the container serves this port.
fn declared_port(
    container: Option<&Container>,
    origin: Origin,
    (transport, port): (Transport, u16),
    at: Time,
) -> Declared {
    let described = container.and_then(|container| Some((container, container.privilege()?)));
    let Some((container, privilege)) = described else { return Declared::Unknown };
    let digits = port.to_string();
    let in_command = || container.command().iter().any(|word| has_word(word, &digits));
    // A throw-away run names its port too, and that is then said.
    let counts_command = matches!(origin, Origin::Workload | Origin::AdHoc);
    if container.declares_port(transport, port) || (counts_command && in_command()) {
        written_by_whom(container, privilege, at)
    } else {
        Declared::No
    }
}
