//! A container that works for a pool of miners: T1496. See `ads.md`.

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
    id: "mining",
    techniques: &["T1496", "T1071"],
    maturity: Maturity::Stable,
    listens: &[FactKind::ProtocolIdentified, FactKind::FlowClosed, FactKind::Container],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

/// Session: hardly anything but a miner speaks it.
const SESSION_DB: i16 = 24;

/// Identity: somebody has started it by hand.
const BY_HAND_DB: i16 = 4;

/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;

/// Destination: nobody has written it down.
const UNDECLARED_DB: i16 = 9;
/// Against: the operator has written it down. Whoever brings
/// a miner writes its pool into the command, so that this excuses little.
const DECLARED_DB: i16 = -1;
/// Against: a pool's own proxy in the same machine.
const NEIGHBOUR_DB: i16 = -10;

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
    expected: "no mining",
    summary: "A container works for a pool of miners.",
    low_if: &["mining were what this machine is for, and a suppression said so"],
};

fn concerns(flow: &Flow) -> bool {
    errands::speaks(flow, is_meant)
}

fn is_meant(protocol: Protocol) -> bool {
    protocol.sort() == Sort::Mining
}

fn judge(_: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Finding> {
    errands::finding(&STRATEGY, session, is_meant, context, &WORTH, &WORDS)
}
