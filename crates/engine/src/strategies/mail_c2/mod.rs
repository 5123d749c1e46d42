//! A container that sends or fetches mail at a server that nobody has declared: T1071.003. See
//! `ads.md`.

use observation::FactKind;

use super::errands::{self, Words, Worth};
use super::{Detect, Strategy};
use crate::alert::Maturity;
use crate::channel::ChannelKey;
use crate::context::{Context, Declared};
use crate::evidence::Finding;
use crate::flows::Flow;
use crate::protocols::{Protocol, Sort};
use crate::session::{Errands, Session};

pub(super) static STRATEGY: Strategy = Strategy {
    id: "mail_c2",
    techniques: &["T1071.003", "T1071"],
    maturity: Maturity::Stable,
    listens: &[FactKind::ProtocolIdentified, FactKind::FlowClosed, FactKind::Container],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

// Session: what is no mailer seldom speaks with servers of mail.

/// It fetches mail: orders come that way.
const FETCHES_DB: i16 = 14;
/// It sends mail: shops and monitors do so through a relay, and people try a server by hand.
const SENDS_DB: i16 = 9;
/// It does so again and again: nobody's trial, and a workload's relay is mostly declared.
const SENDS_OFTEN_DB: i16 = 12;
const OFTEN_COUNT_MIN: u32 = 4;

const _: () = assert!(SENDS_DB < SENDS_OFTEN_DB && SENDS_OFTEN_DB < FETCHES_DB);

const WORDS: Words = Words {
    expected: "no mail",
    summary: "A container exchanges mail with a server that nobody has declared.",
    low_if: &[],
};

fn concerns(flow: &Flow) -> bool {
    errands::speaks(flow, is_meant)
}

fn is_meant(protocol: Protocol) -> bool {
    protocol.sort() == Sort::Mail
}

fn session_db(protocol: Protocol, flow_count: u32) -> i16 {
    match (protocol.name(), flow_count) {
        ("smtp", OFTEN_COUNT_MIN..) => SENDS_OFTEN_DB,
        ("smtp", _) => SENDS_DB,
        _ => FETCHES_DB,
    }
}

fn judge(key: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Finding> {
    let Errands { protocol, flow_count } = session.errands;
    // Of whom nobody knows what he was told to do, nothing can be said: many have business there.
    if context.declared == Declared::Unknown {
        return None;
    }
    let worth =
        Worth::of_strangers(session_db(protocol?, flow_count), &key.far).or_trial(session, context);
    errands::finding(&STRATEGY, session, is_meant, context, &worth, &WORDS)
}
