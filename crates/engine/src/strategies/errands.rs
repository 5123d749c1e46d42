//! What the strategies share that accuse by the protocol itself: a container is seldom sent to
//! strangers for it. What that is worth, each of them says.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::format;
use alloc::vec::Vec;

use super::Strategy;
use super::terms::{self, Destination, Identity, NETWORK, RUNTIME, Where, term};
use crate::alert::Family;
use crate::channel::Far;
use crate::context::{Context, Declared, Granted, Origin, Whose};
use crate::evidence::{Finding, PRIOR_DB};
use crate::flows::Flow;
use crate::protocols::Protocol;
use crate::session::{Errands, Session};

/// What an errand is worth, in decibans.
#[derive(Clone, Copy)]
pub(super) struct Worth {
    /// That it was done at all.
    pub session_db: i16,
    pub identity: Identity,
    pub not_in_image_db: i16,
    pub destination: Destination,
    /// Against: the operator has allowed a workload more than the ordinary, as this needs it.
    pub granted_db: i16,
}

// What strangers are worth to whom brings messages, mail and files.

/// Identity: somebody has started it by hand.
const BY_HAND_DB: i16 = 4;
/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;
/// Destination: somewhere on the Internet, and nobody has written it down.
const UNDECLARED_DB: i16 = 9;
/// The same at a private address: settings often lie in files that nobody shows us.
const UNDECLARED_INSIDE_DB: i16 = 5;
/// Against: the operator has written it down. Capped, since an attacker may write too.
const DECLARED_DB: i16 = -8;
/// Against: a service that runs beside it.
const NEIGHBOUR_DB: i16 = -14;

/// Session, at most: somebody tries a server by hand, in words that people type.
const TRIAL_DB: i16 = 9;
/// Whoever comes back more often does not try any longer.
const TRIAL_COUNT_MAX: u32 = 2;

const _: () =
    assert!(PRIOR_DB + TRIAL_DB + BY_HAND_DB + UNDECLARED_DB < crate::alert::MEDIUM_DB_MIN);

impl Worth {
    /// What a session with this far end is worth, where strangers are what is odd about it.
    pub(super) const fn of_strangers(session_db: i16, far: &Far) -> Self {
        let undeclared_db = Where::of(far).worth(UNDECLARED_DB, UNDECLARED_INSIDE_DB);
        Self {
            session_db,
            identity: Identity::by_hand(BY_HAND_DB),
            not_in_image_db: NOT_IN_IMAGE_DB,
            destination: Destination {
                undeclared_db,
                declared_db: DECLARED_DB,
                neighbour_db: NEIGHBOUR_DB,
            },
            granted_db: 0,
        }
    }

    /// The same, unless it is but somebody's trial.
    pub(super) fn or_trial(mut self, session: &Session, context: &Context<'_>) -> Self {
        if is_trial(session.errands, context.origin) {
            self.session_db = self.session_db.min(TRIAL_DB);
        }
        self
    }
}

fn is_trial(errands: Errands, origin: Origin) -> bool {
    let by_hand = matches!(origin, Origin::AdHoc | Origin::Exec);
    let is_typed = errands.protocol.is_some_and(Protocol::is_typed);
    by_hand && is_typed && errands.flow_count <= TRIAL_COUNT_MAX
}

/// What is told of it.
#[derive(Clone, Copy)]
pub(super) struct Words {
    pub expected: &'static str,
    pub summary: &'static str,
    pub low_if: &'static [&'static str],
}

/// Whether a flow speaks a protocol of these.
pub(super) fn speaks(flow: &Flow, is_meant: fn(Protocol) -> bool) -> bool {
    flow.oddity.errand.is_some_and(is_meant)
}

/// The finding that such an errand is, where it is worth telling.
pub(super) fn finding(
    strategy: &Strategy,
    session: &Session,
    is_meant: fn(Protocol) -> bool,
    context: &Context<'_>,
    worth: &Worth,
    words: &Words,
) -> Option<Finding> {
    let Errands { protocol, flow_count } = session.errands;
    let name = protocol.filter(|protocol| is_meant(*protocol))?.name();
    let observed = match flow_count {
        1 => format!("{name}, both sides speak it"),
        count => format!("{name} in {count} flows, both sides speak it"),
    };
    let session = term(Family::Session, NETWORK, observed, words.expected, worth.session_db);
    let mut terms = alloc::vec![session];
    terms::identity(context, worth.identity, &mut terms);
    terms::process(context, worth.not_in_image_db, &mut terms);
    terms::destination(context, worth.destination, &mut terms);
    let is_meant_to = context.granted == Granted::Capabilities
        && context.origin == Origin::Workload
        && worth.granted_db != 0;
    if is_meant_to {
        let observed = "capabilities were added to it".to_owned();
        terms.push(term(Family::Runtime, RUNTIME, observed, "the default set", worth.granted_db));
    }
    strategy.finding(words.summary, terms, low_if(context, worth, words))
}

fn low_if(context: &Context<'_>, worth: &Worth, words: &Words) -> Vec<Cow<'static, str>> {
    let mut all: Vec<_> = words.low_if.iter().copied().map(Cow::Borrowed).collect();
    if context.declared != Declared::Yes && worth.destination.declared_db < 0 {
        all.push(Cow::Borrowed("a workload's configuration declared the destination"));
    }
    if context.whose == Whose::Strangers && worth.destination.neighbour_db < 0 {
        all.push(Cow::Borrowed("the far end were a neighbour"));
    }
    all
}
