//! A container that brings much away to a stranger and gets little: T1041, T1048. See `ads.md`.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use observation::FactKind;

use super::terms::{self, Destination, Identity, NETWORK, Where, term};
use super::{Detect, Strategy};
use crate::alert::{Family, Maturity};
use crate::channel::ChannelKey;
use crate::context::{Context, Declared, Led};
use crate::evidence::{Finding, Term};
use crate::flows::Flow;
use crate::session::{Freight, Session};

pub(super) static STRATEGY: Strategy = Strategy {
    id: "exfil_volume",
    techniques: &["T1041", "T1048"],
    maturity: Maturity::Stable,
    listens: &[FactKind::Burst, FactKind::FlowClosed, FactKind::Container],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

// Session: how much went out. Only the strongest counts.

/// A gibibyte.
const HUGE_DB: i16 = 9;
const HUGE_BYTES_MIN: u64 = 1 << 30;
/// A database's worth.
const LARGE_DB: i16 = 8;
const LARGE_BYTES_MIN: u64 = 128 << 20;
/// A folder's worth.
const SOME_DB: i16 = 6;
const SOME_BYTES_MIN: u64 = 16 << 20;
/// Some files: logs and pictures are sent all day.
const LITTLE_DB: i16 = 1;
/// Added: in no known protocol. What is meant to be sent is sent by one.
const RAW_DB: i16 = 8;
/// Added: to an address that no name led to.
const BY_NUMBER_DB: i16 = 2;

/// Identity: somebody has started it by hand.
const BY_HAND_DB: i16 = 4;
/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;

/// Destination: somewhere on the Internet, and nobody has written it down.
const UNDECLARED_DB: i16 = 9;
/// The same at a private address: replicas and stores of one network get most of what there is.
const UNDECLARED_INSIDE_DB: i16 = 2;
/// Against: the operator has written it down, as he does for a backup. Capped, since an attacker
/// may write too.
const DECLARED_DB: i16 = -8;
/// Against: neighbours hand much to each other.
const NEIGHBOUR_DB: i16 = -14;

const _: () = assert!(LITTLE_DB < SOME_DB && SOME_DB < LARGE_DB && LARGE_DB < HUGE_DB);
const _: () = assert!(SOME_BYTES_MIN < LARGE_BYTES_MIN && LARGE_BYTES_MIN < HUGE_BYTES_MIN);

const IDENTITY: Identity = Identity::by_hand(BY_HAND_DB);

fn concerns(flow: &Flow) -> bool {
    flow.oddity.volume.is_some()
}

fn judge(key: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Finding> {
    let freight = &session.freight;
    if freight.sent_bytes == 0 {
        return None;
    }
    let mut terms = alloc::vec![session_term(freight, context)];
    terms::identity(context, IDENTITY, &mut terms);
    terms::process(context, NOT_IN_IMAGE_DB, &mut terms);
    let undeclared_db = Where::of(&key.far).worth(UNDECLARED_DB, UNDECLARED_INSIDE_DB);
    let destination =
        Destination { undeclared_db, declared_db: DECLARED_DB, neighbour_db: NEIGHBOUR_DB };
    terms::destination(context, destination, &mut terms);
    STRATEGY.finding(
        "A container brings much away to a far end that nobody has declared.",
        terms,
        low_if(context),
    )
}

fn session_term(freight: &Freight, context: &Context<'_>) -> Term {
    let (mib, received) = (freight.sent_bytes >> 20, freight.received_bytes >> 10);
    let size_db = match freight.sent_bytes {
        HUGE_BYTES_MIN.. => HUGE_DB,
        LARGE_BYTES_MIN.. => LARGE_DB,
        SOME_BYTES_MIN.. => SOME_DB,
        _ => LITTLE_DB,
    };
    let (carrier, raw_db) = match freight.carrier {
        Some(protocol) => (protocol.name(), 0),
        None => ("no known protocol", RAW_DB),
    };
    let (led, led_db) = match context.led {
        Led::ByNumber | Led::ByAnotherName => (", to an address that no name led to", BY_NUMBER_DB),
        Led::ByName | Led::Unknown => ("", 0),
    };
    let observed = format!("{mib} MiB out and {received} KiB in, by {carrier}{led}");
    term(Family::Session, NETWORK, observed, "more in than out", size_db + raw_db + led_db)
}

fn low_if(context: &Context<'_>) -> Vec<Cow<'static, str>> {
    let mut all = Vec::new();
    if context.declared != Declared::Yes {
        all.push(Cow::Borrowed("the destination were declared in the container's configuration"));
    }
    all.push(Cow::Borrowed("it had fetched as much as it sent"));
    all
}
