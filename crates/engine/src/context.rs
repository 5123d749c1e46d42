//! Everything that a strategy may ask about one channel: who it is, what was expected of it.

use alloc::string::ToString as _;

use observation::{Endpoint, Privilege, Span, Time};
use serde::{Deserialize, Serialize};

use crate::clients::RawClient;
use crate::flows::Flow;
use crate::ledger::{Asked, Container, Exec, Ledger, Owner, Process};

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
    /// In its environment, labels, hosts or long-lived command.
    Yes,
}

/// The surroundings of one flow, or of what a container tried without one.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub process: Option<&'a Process>,
    pub origin: Origin,
    pub client: Option<&'a RawClient>,
    pub declared: Declared,
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
        let process = ledger.process(&flow.key, flow.local, flow.opened, container);
        let far = flow.far();
        let name = ledger.names_to(flow.place(), &far.address, flow.opened).next();
        let origin = origin(ledger, container, process, flow.opened);
        Self {
            process,
            origin,
            client: client(container, process, flow.opened, far, name),
            declared: declared(ledger, container, origin, far, name, flow.opened),
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
        Self { process: None, origin: origin(ledger, Some(container), None, at), client, declared }
    }

    /// Somebody has started it by hand: a raw client, a throw-away container, an `exec`.
    pub(crate) const fn is_by_hand(&self) -> bool {
        self.client.is_some() || matches!(self.origin, Origin::AdHoc | Origin::Exec)
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
    let in_command = || container.command().iter().any(|word| is_named(word));
    let long_lived = origin == Origin::Workload;
    if container.written().any(is_named) || (long_lived && in_command()) {
        // Also for a program that was started inside of it: it may have been made for that.
        written_by_whom(container, privilege, at)
    } else {
        Declared::No
    }
}

/// Whether `text` names this host: as a whole word, so that 10.0.0.1 is not found in 10.0.0.12.
fn names(text: &str, host: &str) -> bool {
    // Shorter names (`a`, `db`) are found only as the whole value or host part.
    if host.len() < 2 {
        return false;
    }
    let part_of_name =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find(host)) {
        let start = from + found;
        let end = start + host.len();
        let before = text.get(..start).and_then(|before| before.chars().next_back());
        let after = text.get(end..).and_then(|after| after.chars().next());
        if !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name) {
            return true;
        }
        from = end;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_as_a_whole_word() {
        assert!(names("API=http://198.51.100.1:80/", "198.51.100.1"));
        assert!(!names("API=http://198.51.100.10:80/", "198.51.100.1"));
        assert!(names("db:10.0.0.5", "db"));
        assert!(!names("POSTGRES_DB=shop-db2", "db2"));
        assert!(!names("A=", "a"));
    }
}
