//! Terms that several strategies use: how it came to run, and where it went. What each is worth,
//! the strategy says.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use observation::InImage;

use crate::alert::Family;
use crate::channel::Far;
use crate::clients::Use;
use crate::context::{Context, Declared, Led, Origin, Whose};
use crate::evidence::Term;

/// Against: it is written where whoever attacks writes as easily. Said, and worth next to nothing.
pub(super) const MENTIONED_DB: i16 = -1;
pub(super) const MENTIONED: &str = "named in words that excuse little";

pub(super) const NETWORK: &str = "network";
pub(super) const RUNTIME: &str = "runtime";
pub(super) const PROCESS: &str = "process";

/// What it is worth how something came to run. Only the strongest counts.
#[derive(Clone, Copy)]
pub(super) struct Identity {
    /// An interactive raw client by its command line.
    pub client_db: i16,
    /// A raw client that only asks whether a port is open.
    pub probe_db: i16,
    /// A throw-away container, whatever its program is called.
    pub ad_hoc_db: i16,
    /// A program started inside a running container.
    pub exec_db: i16,
}

impl Identity {
    /// Whoever started it by hand, by whatever means.
    pub(super) const fn by_hand(points_db: i16) -> Self {
        Self { client_db: points_db, probe_db: points_db, ad_hoc_db: points_db, exec_db: points_db }
    }
}

/// What the far end is worth.
#[derive(Clone, Copy)]
pub(super) struct Destination {
    /// Nobody has written it down.
    pub undeclared_db: i16,
    /// Against: the operator has written it down. Capped, since an attacker may write too.
    pub declared_db: i16,
    /// Against: another container on this machine. Capped, since it may be a relay.
    pub neighbour_db: i16,
}

/// What the far end is worth where it matters whether a name led there.
#[derive(Clone, Copy)]
pub(super) struct LedDestination {
    /// Nobody has written it down, and no name led there.
    pub by_number_db: i16,
    /// Nobody has written the name down: most names are written nowhere.
    pub by_name_db: i16,
    /// Against: the operator has written it down. Capped, since an attacker may write too.
    pub declared_db: i16,
    /// Against: another container on this machine. Capped, since it may be a relay.
    pub neighbour_db: i16,
}

/// Where a far end is, going by its address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// In a range that is routed in private networks only (RFC 1918, RFC 4193, RFC 6598).
    Inside,
    /// Anywhere on the Internet.
    Abroad,
}

impl Where {
    pub(super) const fn of(far: &Far) -> Self {
        let Far::Endpoint(_, end) = far else { return Self::Abroad };
        let is_inside = match end.address {
            IpAddr::V4(address) => {
                let shared = matches!(address.octets(), [100, 64..=127, ..]);
                address.is_private() || address.is_loopback() || address.is_link_local() || shared
            }
            IpAddr::V6(address) => {
                address.is_unique_local()
                    || address.is_loopback()
                    || address.is_unicast_link_local()
            }
        };
        if is_inside { Self::Inside } else { Self::Abroad }
    }

    /// What it is worth there.
    pub(super) const fn worth(self, abroad_db: i16, inside_db: i16) -> i16 {
        match self {
            Self::Abroad => abroad_db,
            Self::Inside => inside_db,
        }
    }
}

pub(super) fn term(
    family: Family,
    witness: &'static str,
    observed: String,
    expected: &'static str,
    points_db: i16,
) -> Term {
    let (witness, expected) = (Cow::Borrowed(witness), Cow::Borrowed(expected));
    Term { family, witness, observed, expected, points_db }
}

pub(super) fn identity(context: &Context<'_>, worth: Identity, terms: &mut Vec<Term>) {
    let mut push = |witness, observed: String, points_db| {
        terms.push(term(Family::Identity, witness, observed, "none", points_db));
    };
    if let Some(client) = context.client {
        let witness = if context.process.is_some() { PROCESS } else { RUNTIME };
        match client.purpose {
            Use::Talk => {
                let kind = if client.listens() { "raw listener" } else { "interactive client" };
                push(witness, format!("{kind} `{}`", client.program), worth.client_db);
            }
            Use::Probe => push(witness, format!("port probe `{}`", client.program), worth.probe_db),
        }
    }
    match context.origin {
        Origin::AdHoc => {
            push(RUNTIME, "ad-hoc container, nothing keeps it".to_owned(), worth.ad_hoc_db);
        }
        Origin::Exec => {
            push(RUNTIME, "started inside a running container".to_owned(), worth.exec_db)
        }
        Origin::Unknown | Origin::Workload => {}
    }
}

pub(super) fn process(context: &Context<'_>, not_in_image_db: i16, terms: &mut Vec<Term>) {
    if context.process.is_some_and(|process| process.in_image() == InImage::No) {
        let observed = "executable is not in the image".to_owned();
        terms.push(term(Family::Process, PROCESS, observed, "in the image", not_in_image_db));
    }
}

pub(super) fn destination(context: &Context<'_>, worth: Destination, terms: &mut Vec<Term>) {
    let mut push = |observed: &str, points_db| {
        let observed = observed.to_owned();
        terms.push(term(Family::Destination, NETWORK, observed, "declared", points_db));
    };
    match context.declared {
        Declared::No => push("undeclared", worth.undeclared_db),
        Declared::ByItself => push("named by its own throw-away run only", worth.undeclared_db),
        Declared::Mentioned => push(MENTIONED, MENTIONED_DB.max(worth.declared_db)),
        Declared::Yes => push("declared in the container's configuration", worth.declared_db),
        // Blindness subtracts nothing and adds nothing.
        Declared::Unknown => {}
    }
    if context.whose == Whose::Neighbours && worth.neighbour_db != 0 {
        push("another container on this machine", worth.neighbour_db);
    }
}

pub(super) fn led_destination(context: &Context<'_>, worth: LedDestination, terms: &mut Vec<Term>) {
    let mut push = |witness, observed: &str, points_db| {
        let observed = observed.to_owned();
        terms.push(term(Family::Destination, witness, observed, "declared", points_db));
    };
    match context.declared {
        Declared::Yes => {
            push(RUNTIME, "declared in the container's configuration", worth.declared_db);
        }
        Declared::Mentioned => push(RUNTIME, MENTIONED, MENTIONED_DB.max(worth.declared_db)),
        Declared::No | Declared::ByItself => match context.led {
            Led::ByNumber | Led::ByAnotherName => {
                push(NETWORK, "undeclared, and no name led there", worth.by_number_db);
            }
            Led::ByName | Led::Unknown => push(NETWORK, "undeclared", worth.by_name_db),
        },
        // Blindness subtracts nothing and adds nothing.
        Declared::Unknown => {}
    }
    if context.whose == Whose::Neighbours {
        push(RUNTIME, "another container on this machine", worth.neighbour_db);
    }
}
