//! A connection to a stranger that stays open for hours and in which little goes by. See `ads.md`.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use observation::FactKind;

use super::terms::{self, Destination, Identity, NETWORK, Where, term};
use super::{Detect, Strategy};
use crate::alert::{Family, Maturity};
use crate::channel::ChannelKey;
use crate::context::{Context, Declared};
use crate::evidence::{Finding, Term};
use crate::flows::{Content, Flow, Lasting};
use crate::lasting::Among;
use crate::session::Session;

pub(super) static STRATEGY: Strategy = Strategy {
    id: "long_connection",
    techniques: &["T1071"],
    maturity: Maturity::Stable,
    listens: &[FactKind::Burst, FactKind::FlowClosed, FactKind::Container],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

// Session: what is kept open.

/// Nobody knows what: agents that wait are kept open like this, and some home-made clients.
const UNKNOWN_DB: i16 = 9;
/// A session of somebody: who logs in somewhere works there, or has forgotten it.
const SESSION_DB: i16 = 7;
/// TLS or the web: whoever waits for what a server pushes does this all day.
const COVER_DB: i16 = 4;
/// Added: it lasts far longer than anything else of its place, whose calls are over in no time.
const ALONE_DB: i16 = 6;
/// Added: it lasts for eight hours, and for days.
const HOURS_DB: i16 = 1;
const DAYS_DB: i16 = 2;
const HOURS_LOG2_MIN: u8 = 3;
const DAYS_LOG2_MIN: u8 = 5;

/// Identity: somebody has started it by hand, and it still runs.
const BY_HAND_DB: i16 = 6;
/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;

/// Destination: somewhere on the Internet, and nobody has written it down.
const UNDECLARED_DB: i16 = 9;
/// The same at a private address: what runs in one network keeps its connections.
const UNDECLARED_INSIDE_DB: i16 = 3;
/// Against: the operator has written it down. Capped, since an attacker may write too.
const DECLARED_DB: i16 = -8;
/// Against: neighbours keep their connections.
const NEIGHBOUR_DB: i16 = -14;

const _: () = assert!(COVER_DB < SESSION_DB && SESSION_DB < UNKNOWN_DB);
const _: () = assert!(HOURS_LOG2_MIN < DAYS_LOG2_MIN);

const IDENTITY: Identity = Identity::by_hand(BY_HAND_DB);

fn concerns(flow: &Flow) -> bool {
    flow.oddity.lasting.is_some()
}

fn judge(key: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Finding> {
    let lasting = session.lasting?;
    let mut terms = alloc::vec![session_term(lasting)];
    terms::identity(context, IDENTITY, &mut terms);
    terms::process(context, NOT_IN_IMAGE_DB, &mut terms);
    let undeclared_db = Where::of(&key.far).worth(UNDECLARED_DB, UNDECLARED_INSIDE_DB);
    let destination =
        Destination { undeclared_db, declared_db: DECLARED_DB, neighbour_db: NEIGHBOUR_DB };
    terms::destination(context, destination, &mut terms);
    STRATEGY.finding(
        "A connection to a stranger stays open, and little goes by in it.",
        terms,
        low_if(context),
    )
}

fn session_term(lasting: Lasting) -> Term {
    let (content, content_db) = match lasting.content {
        Content::Unknown => ("no known protocol", UNKNOWN_DB),
        Content::Session => ("a session", SESSION_DB),
        Content::Cover => ("TLS or the web", COVER_DB),
    };
    let (beside, alone_db) = match lasting.among {
        Among::Alone => (", and far longer than anything else there", ALONE_DB),
        Among::Ordinary => ("", 0),
    };
    let age_db = match lasting.hours_log2 {
        DAYS_LOG2_MIN.. => DAYS_DB,
        HOURS_LOG2_MIN.. => HOURS_DB,
        _ => 0,
    };
    let hours = 1_u64.checked_shl(lasting.hours_log2.into()).unwrap_or(u64::MAX);
    let observed = format!("{content}, open for more than {hours} h{beside}");
    let points_db = content_db + alone_db + age_db;
    term(Family::Session, NETWORK, observed, "a connection for each piece of work", points_db)
}

fn low_if(context: &Context<'_>) -> Vec<Cow<'static, str>> {
    let mut all = Vec::new();
    if context.declared != Declared::Yes {
        all.push(Cow::Borrowed("the destination were declared in the container's configuration"));
    }
    all.push(Cow::Borrowed("other connections of the workload lasted as long"));
    all
}
