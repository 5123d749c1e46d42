//! A container that looks for a word at a service for everybody, again and again: T1102. See
//! `ads.md`.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use observation::FactKind;

use super::terms::{self, Destination, Identity, NETWORK, RUNTIME, term};
use super::{Detect, Strategy};
use crate::alert::{Family, Maturity};
use crate::channel::ChannelKey;
use crate::context::{Context, Declared, Origin};
use crate::evidence::{Finding, Term};
use crate::flows::Flow;
use crate::services::{Purpose, Service};
use crate::session::Session;

pub(super) static STRATEGY: Strategy = Strategy {
    id: "web_service_c2",
    techniques: &["T1102"],
    maturity: Maturity::Stable,
    listens: &[FactKind::TlsHello, FactKind::Http, FactKind::Container],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

// Session: whose service it is. Only the strongest counts.

/// Text that anybody may leave: no workload has business there.
const PASTE_DB: i16 = 11;
/// Files that anybody may leave.
const DROP_DB: i16 = 11;
/// Messages between people: bots and monitors send some.
const CHAT_DB: i16 = 9;
/// A blockchain: whoever works with it says so.
const LEDGER_DB: i16 = 9;
/// Added: it comes back for more.
const POLLED_DB: i16 = 6;
const POLLED_COUNT_MIN: u32 = 4;

/// Identity: somebody has started it by hand.
const BY_HAND_DB: i16 = 4;
/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;

/// Destination: nobody has written it down. Such names stand in the code, if anywhere.
const UNDECLARED_DB: i16 = 4;
/// Against: the operator has written it down. Capped, since an attacker may write too.
const DECLARED_DB: i16 = -10;

/// Runtime, against: something in the workload's configuration is called after it, as a bot's token
/// is.
const MEANT_DB: i16 = -10;

const IDENTITY: Identity = Identity::by_hand(BY_HAND_DB);
const DESTINATION: Destination =
    Destination { undeclared_db: UNDECLARED_DB, declared_db: DECLARED_DB, neighbour_db: 0 };

fn concerns(flow: &Flow) -> bool {
    flow.oddity.service.is_some()
}

fn judge(_: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Finding> {
    let service = session.freight.service?;
    // Of whom nobody knows what he was told to do, nothing can be said: people go there, too.
    if context.declared == Declared::Unknown {
        return None;
    }
    let mut terms = alloc::vec![session_term(service, session.freight.service_count)];
    terms::identity(context, IDENTITY, &mut terms);
    terms::process(context, NOT_IN_IMAGE_DB, &mut terms);
    terms::destination(context, DESTINATION, &mut terms);
    if is_meant(service, context) {
        let observed = format!("its configuration speaks of {}", service.domain());
        terms.push(term(Family::Runtime, RUNTIME, observed, "nothing of it", MEANT_DB));
    }
    STRATEGY.finding(
        "A container looks for something at a service where anybody may leave a word.",
        terms,
        low_if(context),
    )
}

fn session_term(service: Service, count: u32) -> Term {
    let service_db = match service.purpose() {
        Purpose::Paste => PASTE_DB,
        Purpose::Drop => DROP_DB,
        Purpose::Chat => CHAT_DB,
        Purpose::Ledger => LEDGER_DB,
    };
    let (times, polled_db) = match count {
        POLLED_COUNT_MIN.. => (format!(", {count} times"), POLLED_DB),
        _ => (alloc::string::String::new(), 0),
    };
    let observed = format!("{}{times}", service.domain());
    term(Family::Session, NETWORK, observed, "no such services", service_db + polled_db)
}

/// Whoever runs a thing by hand may call a variable what he likes.
fn is_meant(service: Service, context: &Context<'_>) -> bool {
    let container = context.container.filter(|_| context.origin == Origin::Workload);
    container.is_some_and(|container| {
        let command = container.command().iter().map(alloc::string::String::as_str);
        container.written().chain(command).any(|text| service.is_meant_by(text))
    })
}

fn low_if(context: &Context<'_>) -> Vec<Cow<'static, str>> {
    let mut all = Vec::new();
    if context.declared != Declared::Yes {
        all.push(Cow::Borrowed("something in the workload's configuration spoke of the service"));
    }
    all
}
