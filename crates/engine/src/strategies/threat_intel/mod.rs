//! A container goes where somebody has seen attackers, asks for their names, or runs their
//! programs: threat intelligence out of files. See `ads.md`.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use observation::FactKind;

use super::terms::{self, Destination, Identity, NETWORK, PROCESS, term};
use super::{Detect, Strategy};
use crate::alert::{Family, Maturity};
use crate::channel::ChannelKey;
use crate::context::{Context, Declared};
use crate::evidence::{Finding, Worth};
use crate::flows::Flow;
use crate::intel::{Kind, Listed, Reach, Standing};
use crate::session::Session;

pub(super) static STRATEGY: Strategy = Strategy {
    id: "threat_intel",
    techniques: &["T1071", "T1105"],
    maturity: Maturity::Stable,
    listens: &[FactKind::FlowOpened, FactKind::Dns, FactKind::TlsHello, FactKind::Container],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

// Intelligence: what a feed's word is worth. Innocent containers meet a fresh indicator that is an
// attacker's own hardly ever: feeds hold some ten thousand of four thousand million addresses, and
// what is left are their mistakes.

/// Fresh, an attacker's own, and the feed is sure or says nothing of doubts.
const FRESH_DB: i16 = 24;
/// The same, where the feed itself doubts.
const DOUBTED_DB: i16 = 18;
/// Older than what it is about usually lasts: addresses and names have gone to others.
const OLD_DB: i16 = 14;
/// Many use it, and mostly for other things.
const SHARED_DB: i16 = 10;
/// The feed itself no longer stands to it.
const EXPIRED_DB: i16 = 6;
/// Below this, in percent, a feed doubts.
const CONFIDENCE_MIN: u8 = 50;

/// Identity: somebody has started it by hand.
const BY_HAND_DB: i16 = 4;
/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;
/// Destination: nobody has written it down.
const UNDECLARED_DB: i16 = 6;
/// Against: the operator has written it down; so does whoever brings an implant.
const DECLARED_DB: i16 = -1;

const IDENTITY: Identity = Identity::by_hand(BY_HAND_DB);
const DESTINATION: Destination =
    Destination { undeclared_db: UNDECLARED_DB, declared_db: DECLARED_DB, neighbour_db: 0 };

const _: () = assert!(EXPIRED_DB < SHARED_DB && SHARED_DB < OLD_DB);
const _: () = assert!(OLD_DB < DOUBTED_DB && DOUBTED_DB < FRESH_DB);

const fn concerns(flow: &Flow) -> bool {
    flow.listed.is_some()
}

fn judge(_: &ChannelKey, _: &Session, context: &Context<'_>) -> Option<Finding> {
    judge_listed(context)
}

/// Also where there is no conversation. What has expired is shown too, however little it is worth.
pub(super) fn judge_listed(context: &Context<'_>) -> Option<Finding> {
    let listed = context.listed?;
    let witness = if listed.kind == Kind::Sha256 { PROCESS } else { NETWORK };
    let (family, observed) = (Family::Intelligence, observed(listed));
    let mut terms = alloc::vec![term(family, witness, observed, "not listed", worth(listed))];
    terms::identity(context, IDENTITY, &mut terms);
    terms::process(context, NOT_IN_IMAGE_DB, &mut terms);
    if listed.kind != Kind::Sha256 {
        terms::destination(context, DESTINATION, &mut terms);
    }
    Some(Finding {
        strategy: Cow::Borrowed(STRATEGY.id),
        techniques: techniques(listed.kind),
        summary: Cow::Borrowed(summary(listed.kind)),
        terms,
        low_if: low_if(listed, context),
        worth: Worth::Telling,
    })
}

fn worth(listed: &Listed) -> i16 {
    let is_doubted = listed.about.confidence.is_some_and(|percent| percent < CONFIDENCE_MIN);
    match (listed.standing(), listed.about.reach) {
        (Standing::Expired, _) => EXPIRED_DB,
        (_, Reach::Shared) => SHARED_DB,
        (Standing::Old, Reach::Own) => OLD_DB,
        (Standing::Fresh, Reach::Own) if is_doubted => DOUBTED_DB,
        (Standing::Fresh, Reach::Own) => FRESH_DB,
    }
}

fn observed(listed: &Listed) -> String {
    let Listed { kind, value, feed, about, at } = listed;
    let standing = match listed.standing() {
        Standing::Fresh => "fresh",
        Standing::Old => "old",
        Standing::Expired => "expired",
    };
    let mut text = format!("{} {value} is listed by {feed}, {standing}", kind.name());
    if let Some(seen) = about.seen {
        const DAY_MS: u64 = 86_400_000;
        let days = at.since(seen).as_millis() / DAY_MS;
        text += &format!(", seen {days} days before");
    }
    if let Some(percent) = about.confidence {
        text += &format!(", confidence {percent} %");
    }
    if about.reach == Reach::Shared {
        text += ", used by many";
    }
    text
}

const fn summary(kind: Kind) -> &'static str {
    match kind {
        Kind::Address => "A container went to an address that threat intelligence lists.",
        Kind::Domain => "A container went to, or asked for, a name that threat intelligence lists.",
        Kind::Url => "A container asked for a URL that threat intelligence lists.",
        Kind::Ja4 => {
            "A TLS client in a container has a fingerprint that threat intelligence lists."
        }
        Kind::Sha256 => "A container ran an executable that threat intelligence lists.",
    }
}

fn techniques(kind: Kind) -> Vec<Cow<'static, str>> {
    let ids: &[&str] = if kind == Kind::Sha256 { &["T1105"] } else { &["T1071"] };
    ids.iter().copied().map(Cow::Borrowed).collect()
}

fn low_if(listed: &Listed, context: &Context<'_>) -> Vec<Cow<'static, str>> {
    let mut all = Vec::new();
    if listed.standing() == Standing::Fresh {
        all.push(Cow::Owned("the feed no longer listed it, or listed it as shared".to_owned()));
    }
    if context.declared != Declared::Yes && listed.standing() != Standing::Fresh {
        all.push(Cow::Borrowed("a workload's configuration declared the destination"));
    }
    all
}
