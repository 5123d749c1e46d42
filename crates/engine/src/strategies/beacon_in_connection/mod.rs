//! A container that asks a stranger for orders by a timer inside a connection that stays open:
//! T1071 by polling, without a connection for each call. See `ads.md`.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use observation::FactKind;

use super::beacon::{NETWORK, destination_terms, low_if, origin_terms, rhythm_terms, term};
use super::{Detect, Strategy};
use crate::alert::{Family, HIGH_DB_MIN, Maturity};
use crate::context::Context;
use crate::evidence::{Finding, PRIOR_DB, Term, Worth};
use crate::profiles::{Manner, Profile};

pub(super) static STRATEGY: Strategy = Strategy {
    id: "beacon_in_connection",
    techniques: &["T1071"],
    maturity: Maturity::Stable,
    listens: &[FactKind::Burst],
    ads: include_str!("ads.md"),
    concerns: |_| false,
    detect: Detect::Profile(judge),
};

/// Session: what is asked is more than a sign of life.
const ASKS_DB: i16 = 4;
/// Against: a sign of life and no more, as of WebSocket (RFC 6455), HTTP/2 (RFC 9113), MQTT, SSH.
const KEEPALIVE_DB: i16 = -8;
/// Up to so many powers of two bytes, its encryption included, a burst is a sign of life.
const KEEPALIVE_BITS_MAX: f64 = 7.0;
/// Against: a protocol that has a heartbeat of its own.
const HEARTBEAT_DB: i16 = -8;
/// Protocols whose clients send signs of life by a timer.
const WITH_HEARTBEAT: [&str; 10] =
    ["amqp", "kafka", "mongodb", "mqtt", "mysql", "nats", "postgresql", "redis", "ssh", "stomp"];

// Regularity and a destination that nobody has declared are Medium and no more.
const _: () = assert!(
    PRIOR_DB + super::beacon::RHYTHM_DB_MAX + super::beacon::UNDECLARED_DB + ASKS_DB < HIGH_DB_MIN
);

fn judge(profile: &Profile<'_>, context: &Context<'_>) -> Option<Finding> {
    if profile.manner != Manner::Burst {
        return None;
    }
    let timer = profile.calls.timer()?;
    let mut terms = Vec::new();
    rhythm_terms(&timer, profile, &mut terms);
    session_terms(profile, &mut terms);
    destination_terms(profile, context, &mut terms);
    origin_terms(context, &mut terms);
    let finding = Finding {
        strategy: Cow::Borrowed(STRATEGY.id),
        summary: Cow::Borrowed("A container speaks by a timer in a connection that stays open."),
        techniques: STRATEGY.techniques.iter().copied().map(Cow::Borrowed).collect(),
        terms,
        low_if: low_if(context),
        worth: Worth::Telling,
    };
    finding.worth_keeping()
}

fn session_terms(profile: &Profile<'_>, terms: &mut Vec<Term>) {
    let bits = profile.calls.sent_bits();
    let bytes = libm::round(libm::exp2(bits)) as u64;
    let (observed, expected, points_db) = if bits <= KEEPALIVE_BITS_MAX {
        (format!("signs of life of about {bytes} bytes"), "a keepalive", KEEPALIVE_DB)
    } else {
        (format!("about {bytes} bytes each time"), "a keepalive", ASKS_DB)
    };
    terms.push(term(Family::Session, NETWORK, observed, expected, points_db));
    if let Some(name) = profile.protocol.filter(|name| WITH_HEARTBEAT.contains(name)) {
        let observed = format!("it speaks {name}, which has a heartbeat");
        terms.push(term(Family::Session, NETWORK, observed, "a heartbeat", HEARTBEAT_DB));
    }
}
