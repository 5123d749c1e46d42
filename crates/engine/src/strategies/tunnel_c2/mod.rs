//! A container that opens a tunnel to a stranger: WireGuard, OpenVPN, IPsec, L2TP and the like.
//! T1572. See `ads.md`.

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
    id: "tunnel_c2",
    techniques: &["T1572", "T1071"],
    maturity: Maturity::Stable,
    listens: &[FactKind::ProtocolIdentified, FactKind::FlowClosed, FactKind::Container],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

/// Session: what goes through it leaves the network unseen.
const SESSION_DB: i16 = 16;

/// Identity: somebody has started it by hand.
const BY_HAND_DB: i16 = 4;

/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;

/// Destination: nobody has written it down.
const UNDECLARED_DB: i16 = 9;
/// Against: the operator has written it down. Capped, since an
/// attacker may write too.
const DECLARED_DB: i16 = -8;
/// Against: a neighbour's tunnel ends in view.
const NEIGHBOUR_DB: i16 = -10;

/// Runtime, against: a workload that was allowed more than the ordinary may be there for it.
const GRANTED_DB: i16 = -6;

const WORTH: Worth = Worth {
    session_db: SESSION_DB,
    identity: Identity::by_hand(BY_HAND_DB),
    not_in_image_db: NOT_IN_IMAGE_DB,
    destination: Destination {
        undeclared_db: UNDECLARED_DB,
        declared_db: DECLARED_DB,
        neighbour_db: NEIGHBOUR_DB,
    },
    granted_db: GRANTED_DB,
};

const WORDS: Words = Words {
    expected: "no tunnels",
    summary: "A container holds a tunnel to a far end that nobody has declared.",
    low_if: &["the workload were allowed capabilities, as a VPN needs them"],
};

fn concerns(flow: &Flow) -> bool {
    errands::speaks(flow, is_meant)
}

fn is_meant(protocol: Protocol) -> bool {
    protocol.sort() == Sort::Vpn
}

fn judge(_: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Finding> {
    errands::finding(&STRATEGY, session, is_meant, context, &WORTH, &WORDS)
}
