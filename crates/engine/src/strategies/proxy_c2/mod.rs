//! A container that reaches others through a stranger: SOCKS, Tor. T1090. See `ads.md`.

use alloc::borrow::Cow;

use observation::FactKind;

use super::errands::{self, Words, Worth};
use super::terms::{Destination, Identity};
use super::{Detect, Strategy};
use crate::alert::Maturity;
use crate::channel::ChannelKey;
use crate::context::Context;
use crate::evidence::Finding;
use crate::flows::Flow;
use crate::protocols::{Protocol, Sort};
use crate::session::Session;

pub(super) static STRATEGY: Strategy = Strategy {
    id: "proxy_c2",
    techniques: &["T1090", "T1090.003", "T1071"],
    maturity: Maturity::Stable,
    listens: &[FactKind::ProtocolIdentified, FactKind::FlowClosed, FactKind::Container],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

/// Session: a proxy hides where it leads.
const SESSION_DB: i16 = 15;

/// Identity: somebody has started it by hand.
const BY_HAND_DB: i16 = 4;

/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;

/// Destination: nobody has written it down.
const UNDECLARED_DB: i16 = 9;
/// Against: the operator has written it down. Capped, since an
/// attacker may write too.
const DECLARED_DB: i16 = -8;
/// Against: a proxy that runs beside it.
const NEIGHBOUR_DB: i16 = -14;

const WORTH: Worth = Worth {
    session_db: SESSION_DB,
    identity: Identity::by_hand(BY_HAND_DB),
    not_in_image_db: NOT_IN_IMAGE_DB,
    destination: Destination {
        undeclared_db: UNDECLARED_DB,
        declared_db: DECLARED_DB,
        neighbour_db: NEIGHBOUR_DB,
    },
    granted_db: 0,
};

const WORDS: Words = Words {
    expected: "direct connections",
    summary: "A container goes through a proxy that nobody has declared.",
    low_if: &[],
};

fn concerns(flow: &Flow) -> bool {
    errands::speaks(flow, is_meant)
}

fn is_meant(protocol: Protocol) -> bool {
    protocol.sort() == Sort::Proxy
}

fn judge(_: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Finding> {
    let mut finding = errands::finding(&STRATEGY, session, is_meant, context, &WORTH, &WORDS)?;
    // A way through many is another technique than a way through one.
    let spoken = session.errands.protocol.map(Protocol::technique)?;
    finding.techniques = alloc::vec![Cow::Borrowed(spoken), Cow::Borrowed("T1071")];
    Some(finding)
}
