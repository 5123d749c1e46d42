//! Everything that a strategy may ask about one channel: who it is, what was expected of it.

mod called;

use alloc::string::ToString as _;

use observation::{Endpoint, FlowKey, LocalSide, Privilege, Span, Time};
use serde::{Deserialize, Serialize};

pub(crate) use called::Beyond;

use crate::cargo::started;
use crate::clients::{RawClient, is_in_a_shells_line};
use crate::flows::Flow;
use crate::intel::Listed;
pub(crate) use crate::led::Led;
use crate::led::led;
use crate::ledger::{Asked, Container, Exec, Ledger, Owner, Process};
use crate::lookups::{Domain, Lookup};
use crate::naming::{names, names_below};
use crate::profiles::Call;
use crate::session::Obedience;
use crate::surveys::Survey;

/// A container that nothing keeps running and that is younger than this is a throw-away run.
const AD_HOC_AGE_MAX: Span = Span::from_secs(600);
/// A program started through the runtime is held responsible for flows this long afterwards.
const EXEC_AGE_MAX: Span = Span::from_secs(600);

/// How a subject came to run what it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Origin {
    /// No runtime has described it.
    Unknown,
    /// A throw-away container, started by hand.
    AdHoc,
    /// A program that was started inside a running container.
    Exec,
    /// What the workload runs all the time.
    Workload,
}

/// Whether the operator has written the destination down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declared {
    /// No runtime has described the container.
    Unknown,
    /// Nowhere.
    No,
    /// In the words of its own throw-away run alone, which whoever attacks may write too.
    ByItself,
    /// In words that whoever attacks writes as easily: a shell's line with the address in it, or
    /// the command of a run that nothing keeps. Also where what goes by outweighs what is written.
    Mentioned,
    /// In its environment, labels, hosts or long-lived command.
    Yes,
}

/// Whose the far end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Another container's on this machine.
    Neighbours,
    /// Nobody's that we know.
    Strangers,
    /// The host's own address on a container's network: a process of the host, or whoever is let
    /// in by a proxy or by source NAT.
    Hosts,
}

/// What a container was allowed beyond the runtime's default set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Granted {
    /// Nothing, or nobody knows.
    Nothing,
    /// Capabilities, or everything: it may have to manage networks.
    Capabilities,
}

/// The surroundings of one flow, or of what a container tried without one.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub process: Option<&'a Process>,
    pub origin: Origin,
    pub client: Option<&'a RawClient>,
    pub declared: Declared,
    pub whose: Whose,
    /// What it was allowed beyond the ordinary.
    pub granted: Granted,
    /// When the container was created, where that is known.
    pub created: Option<Time>,
    /// How it came to know the far end's address.
    pub led: Led,
    /// What feeds list of this.
    pub listed: Option<&'a Listed>,
    /// What is known of where a flow is relayed to.
    pub beyond: Option<Beyond>,
    /// The container, where it is known.
    pub container: Option<&'a Container>,
    /// A program that is not the image's and that was started soon after one had come in.
    pub started: Option<&'a Process>,
}

impl Origin {
    /// What the prior is about, for people.
    pub(crate) const fn prior(self) -> &'static str {
        match self {
            Self::Unknown => "unnamed workload",
            Self::AdHoc => "ad-hoc container",
            Self::Exec => "exec in a container",
            Self::Workload => "workload",
        }
    }
}

impl<'a> Context<'a> {
    /// Around a flow, if it is this owner's.
    pub(crate) fn of_flow(ledger: &'a Ledger, flow: &Flow, owner: Owner) -> Self {
        let container = match owner {
            Owner::Container(id) => ledger.container(&id),
            Owner::Unnamed(_) | Owner::Host => None,
        };
        if !flow.is_outgoing() {
            return Self::of_accepted_flow(ledger, flow, container);
        }
        let process = ledger.process(&flow.key, flow.local, flow.opened, container);
        let far = flow.far();
        let origin = origin(ledger, container, process, flow.opened);
        let name = ledger.names_to(flow.place(), &far.address, flow.opened).next();
        Self {
            process,
            origin,
            client: client(container, process, flow.opened, far, name),
            declared: declared(ledger, container, origin, far, name, flow.opened),
            whose: whose(ledger, far, flow.opened),
            granted: granted(container),
            created: container.and_then(Container::created),
            led: led(ledger, flow, name),
            listed: process.and_then(Process::listed),
            beyond: None,
            container,
            started: started(ledger, flow, container),
        }
    }

    /// The same, and what feeds list besides.
    pub(crate) fn listing(self, listed: Option<&'a Listed>) -> Self {
        let is_stronger = |own: &Listed| listed.is_none_or(|other| own.outweighs(other));
        Self { listed: self.listed.filter(|own| is_stronger(own)).or(listed), ..self }
    }

    /// The same where a shell is seen to obey: that it was written down excuses nothing then.
    pub(crate) fn heeding(self, obedience: Obedience) -> Self {
        let declared = match (self.declared, obedience) {
            (Declared::Yes, Obedience::Seen) => Declared::Mentioned,
            (declared, _) => declared,
        };
        Self { declared, ..self }
    }

    /// Around calls of which this is the first: a name may have been asked at any of them.
    pub(crate) fn of_calls(ledger: &'a Ledger, first: &Call, last: Time, owner: Owner) -> Self {
        let container = match owner {
            Owner::Container(id) => ledger.container(&id),
            Owner::Unnamed(_) | Owner::Host => None,
        };
        let (at, far) = (first.opened, first.far());
        let process = ledger.process(&first.key, first.local, at, container);
        let name = ledger.names_to(first.place(), &far.address, last).next();
        let origin = origin(ledger, container, process, at);
        Self {
            process,
            origin,
            client: client(container, process, at, far, name),
            declared: declared(ledger, container, origin, far, name, at),
            whose: whose(ledger, far, at),
            granted: granted(container),
            created: container.and_then(Container::created),
            led: Led::Unknown,
            listed: process.and_then(Process::listed),
            beyond: None,
            container,
            started: None,
        }
    }

    /// Around a name that `container` asked for at `at`, or around its failure to start at all.
    pub(crate) fn of_container(
        ledger: &'a Ledger,
        container: &'a Container,
        name: Option<&str>,
        at: Time,
    ) -> Self {
        let wanted = |client: &&RawClient| name.is_none_or(|name| client.mentions(name));
        let execs = container.execs().filter(|exec| is_recent(exec, at));
        let client = container
            .client()
            .filter(wanted)
            .or_else(|| execs.filter_map(|exec| exec.client.as_ref()).find(wanted));
        let target = name.or_else(|| client?.target()).unwrap_or_default();
        let is_written = || container.written().any(|text| names(text, target));
        let declared = match container.privilege() {
            None => Declared::Unknown,
            Some(_) if !is_written() => Declared::No,
            Some(privilege) => written_by_whom(container, privilege, at),
        };
        Self {
            process: None,
            origin: origin(ledger, Some(container), None, at),
            client,
            declared,
            whose: Whose::Strangers,
            granted: granted(Some(container)),
            created: container.created(),
            led: Led::Unknown,
            listed: None,
            beyond: None,
            container: Some(container),
            started: None,
        }
    }

    /// Around the lookups below a registered domain.
    pub(crate) fn of_lookups(ledger: &'a Ledger, domain: &Domain, owner: Owner) -> Self {
        Self::of_lookup(ledger, &domain.first, &domain.name, owner)
    }

    /// Around a lookup of a name.
    pub(crate) fn of_lookup(ledger: &'a Ledger, lookup: &Lookup, name: &str, owner: Owner) -> Self {
        let container = match owner {
            Owner::Container(id) => ledger.container(&id),
            Owner::Unnamed(_) | Owner::Host => None,
        };
        let Lookup { opened, key, local } = *lookup;
        let process = ledger.process(&key, local, opened, container);
        let described = container.and_then(|container| Some((container, container.privilege()?)));
        let is_written = |text: &str| names_below(text, name);
        let declared = match described {
            None => Declared::Unknown,
            Some((container, privilege)) if container.written().any(is_written) => {
                written_by_whom(container, privilege, opened)
            }
            Some(_) => Declared::No,
        };
        Self {
            process,
            origin: origin(ledger, container, process, opened),
            client: None,
            declared,
            whose: Whose::Strangers,
            granted: granted(container),
            created: container.and_then(Container::created),
            led: Led::Unknown,
            listed: process.and_then(Process::listed),
            beyond: None,
            container,
            started: None,
        }
    }

    /// Around many attempts.
    pub(crate) fn of_survey(ledger: &'a Ledger, survey: &Survey, owner: Owner) -> Self {
        let container = match owner {
            Owner::Container(id) => ledger.container(&id),
            Owner::Unnamed(_) | Owner::Host => None,
        };
        let Lookup { opened, key, local } = survey.first;
        let process = ledger.process(&key, local, opened, container);
        Self {
            process,
            origin: origin(ledger, container, process, opened),
            client: None,
            declared: Declared::Unknown,
            whose: Whose::Strangers,
            granted: granted(container),
            created: container.and_then(Container::created),
            led: Led::Unknown,
            beyond: None,
            container,
            started: None,
            listed: process.and_then(Process::listed),
        }
    }

    /// Somebody has started it by hand: a raw client, a throw-away container, an `exec`.
    pub(crate) const fn is_by_hand(&self) -> bool {
        self.client.is_some() || matches!(self.origin, Origin::AdHoc | Origin::Exec)
    }
}

/// How a container came to run what opened a flow.
pub(crate) fn origin_of(
    ledger: &Ledger,
    (key, local): (&FlowKey, LocalSide),
    opened: Time,
    container: &Container,
) -> Origin {
    let process = ledger.process(key, local, opened, Some(container));
    origin(ledger, Some(container), process, opened)
}

fn whose(ledger: &Ledger, far: Endpoint, at: Time) -> Whose {
    match ledger.aliases_at(far.address, at) {
        Some(_) => Whose::Neighbours,
        None => Whose::Strangers,
    }
}

fn granted(container: Option<&Container>) -> Granted {
    match container.and_then(Container::privilege) {
        Some(privilege) if privilege.privileged || privilege.capabilities_added => {
            Granted::Capabilities
        }
        _ => Granted::Nothing,
    }
}

fn origin(
    ledger: &Ledger,
    container: Option<&Container>,
    process: Option<&Process>,
    at: Time,
) -> Origin {
    let Some(container) = container else { return Origin::Unknown };
    let Some(privilege) = container.privilege() else { return Origin::Unknown };
    if process.is_some_and(|process| ledger.is_exec(process, container)) {
        return Origin::Exec;
    }
    if process.is_none() && container.execs().any(|exec| is_recent(exec, at)) {
        return Origin::Exec;
    }
    if is_throw_away(container, privilege, at) { Origin::AdHoc } else { Origin::Workload }
}

/// What is written down about it counts once something keeps it, or it has been there for long.
fn written_by_whom(container: &Container, privilege: Privilege, at: Time) -> Declared {
    if is_throw_away(container, privilege, at) { Declared::ByItself } else { Declared::Yes }
}

/// Nothing keeps it running, and it is young.
fn is_throw_away(container: &Container, privilege: Privilege, at: Time) -> bool {
    let age = container.created().map(|created| at.since(created));
    let young = age.is_none_or(|age| age <= AD_HOC_AGE_MAX);
    !privilege.kept_running && young
}

fn is_recent(exec: &Exec, at: Time) -> bool {
    exec.at <= at + Span::from_secs(1) && at.since(exec.at) <= EXEC_AGE_MAX
}

/// A raw client in the process's own words, else in those that the runtime was given.
fn client<'a>(
    container: Option<&'a Container>,
    process: Option<&'a Process>,
    at: Time,
    far: Endpoint,
    name: Option<&Asked>,
) -> Option<&'a RawClient> {
    let own = process.and_then(Process::client);
    let execs = container.into_iter().flat_map(Container::execs);
    let told = execs.filter(|exec| is_recent(exec, at)).filter_map(|exec| exec.client.as_ref());
    let mut words = own.into_iter().chain(container.and_then(Container::client)).chain(told);
    // Hardly any container calls a raw client: nothing is formatted for the others.
    let first = words.next()?;
    let (port, address) = (far.port.to_string(), far.address.to_string());
    let goes_there = |client: &&RawClient| {
        client.mentions(&port)
            || client.mentions(&address)
            || name.is_some_and(|asked| client.mentions(&asked.name))
    };
    core::iter::once(first).chain(words).find(goes_there)
}

fn declared(
    ledger: &Ledger,
    container: Option<&Container>,
    origin: Origin,
    far: Endpoint,
    name: Option<&Asked>,
    at: Time,
) -> Declared {
    let described = container.and_then(|container| Some((container, container.privilege()?)));
    let Some((container, privilege)) = described else { return Declared::Unknown };
    let address = far.address.to_string();
    let neighbour = ledger.aliases_at(far.address, at);
    let is_named = |text: &str| {
        names(text, &address)
            || name.is_some_and(|asked| names(text, &asked.name))
            || neighbour.is_some_and(|other| other.aliases().any(|alias| names(text, alias)))
    };
    // Also for a program that was started inside of it: it may have been made for that.
    if container.written().any(is_named) {
        return written_by_whom(container, privilege, at);
    }
    let in_command = || container.command().iter().any(|word| is_named(word));
    if origin != Origin::Workload || !in_command() {
        return Declared::No;
    }
    let in_a_shells_line = is_in_a_shells_line(container.command(), &address);
    if in_a_shells_line || !privilege.kept_running { Declared::Mentioned } else { Declared::Yes }
}
