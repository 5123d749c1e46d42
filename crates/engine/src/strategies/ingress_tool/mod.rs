//! A container that fetches a program in the clear from a stranger, and starts it: T1105. See
//! `ads.md`.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use observation::FactKind;

use super::terms::{self, Identity, LedDestination, NETWORK, PROCESS, term};
use super::{Detect, Strategy};
use crate::alert::{Family, Maturity};
use crate::cargo::Kind;
use crate::channel::ChannelKey;
use crate::context::{Context, Declared};
use crate::evidence::{Finding, Term};
use crate::flows::Flow;
use crate::session::Session;

pub(super) static STRATEGY: Strategy = Strategy {
    id: "ingress_tool",
    techniques: &["T1105"],
    maturity: Maturity::Stable,
    listens: &[FactKind::Http, FactKind::Burst, FactKind::ProcessStarted, FactKind::Container],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

// Session: what came in. Only the strongest counts.

/// A program: what is installed comes packed and signed, and a program by itself comes by TLS.
const EXECUTABLE_DB: i16 = 11;
/// A program for Windows, which nothing in the container runs: it is handed on.
const WINDOWS_DB: i16 = 10;
/// A script: people install by scripts.
const SCRIPT_DB: i16 = 10;
/// An archive from an address that no name led to: it says little by itself.
const ARCHIVE_DB: i16 = 4;

/// Process: soon afterwards a program was started that is not the image's.
const STARTED_DB: i16 = 9;
/// Process: whoever fetched it was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;

/// Identity: somebody has started it by hand.
const BY_HAND_DB: i16 = 4;

/// Destination: nobody has written the address down, and no name led there.
const UNDECLARED_ADDRESS_DB: i16 = 9;
/// Nobody has written the name down: most names are written nowhere.
const UNDECLARED_NAME_DB: i16 = 4;
/// Against: the operator has written it down. Capped, since an attacker may write too.
const DECLARED_DB: i16 = -8;
/// Against: a neighbour hands it out, as a store of builds does.
const NEIGHBOUR_DB: i16 = -12;

const _: () = assert!(ARCHIVE_DB < SCRIPT_DB && SCRIPT_DB < EXECUTABLE_DB);

const IDENTITY: Identity = Identity::by_hand(BY_HAND_DB);

const DESTINATION: LedDestination = LedDestination {
    by_number_db: UNDECLARED_ADDRESS_DB,
    by_name_db: UNDECLARED_NAME_DB,
    declared_db: DECLARED_DB,
    neighbour_db: NEIGHBOUR_DB,
};

fn concerns(flow: &Flow) -> bool {
    flow.oddity.fetched.is_some()
}

fn judge(_: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Finding> {
    let kind = session.freight.fetched?;
    let mut terms = alloc::vec![session_term(kind)];
    terms::identity(context, IDENTITY, &mut terms);
    terms::process(context, NOT_IN_IMAGE_DB, &mut terms);
    if let Some(process) = context.started {
        let name = process.view().executable;
        let observed = format!("then {name} was started, which is not in the image");
        terms.push(term(Family::Process, PROCESS, observed, "in the image", STARTED_DB));
    }
    terms::led_destination(context, DESTINATION, &mut terms);
    STRATEGY.finding(summary(context), terms, low_if(context))
}

fn session_term(kind: Kind) -> Term {
    let points_db = match kind {
        Kind::Executable => EXECUTABLE_DB,
        Kind::Windows => WINDOWS_DB,
        Kind::Script => SCRIPT_DB,
        Kind::Archive => ARCHIVE_DB,
    };
    let observed = format!("{} came in, in the clear", kind.name());
    term(Family::Session, NETWORK, observed, "programs of the image", points_db)
}

const fn summary(context: &Context<'_>) -> &'static str {
    match context.started {
        Some(_) => "A container fetches a program from a stranger and starts one.",
        None => "A container fetches a program from a stranger.",
    }
}

fn low_if(context: &Context<'_>) -> Vec<Cow<'static, str>> {
    let mut all = Vec::new();
    if context.declared != Declared::Yes {
        all.push(Cow::Borrowed("the destination were declared in the container's configuration"));
    }
    all.push(Cow::Borrowed("a name had led there, and nothing of it had been started"));
    all
}
