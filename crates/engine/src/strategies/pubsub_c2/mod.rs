//! A container that waits for the messages of a broker that nobody has declared: T1071.005. See
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
use crate::session::Session;

pub(super) static STRATEGY: Strategy = Strategy {
    id: "pubsub_c2",
    techniques: &["T1071.005", "T1071"],
    maturity: Maturity::Stable,
    listens: &[FactKind::ProtocolIdentified, FactKind::FlowClosed, FactKind::Container],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

// Session: few workloads ask brokers on the Internet, and those that do are told which.

const MESSAGES_DB: i16 = 14;
/// A database that is asked to wait for what others publish: queues of jobs are made so.
const DATABASE_DB: i16 = 12;

const WORDS: Words = Words {
    expected: "no brokers abroad",
    summary: "A container waits for the messages of a broker that nobody has declared.",
    low_if: &[],
};

fn concerns(flow: &Flow) -> bool {
    errands::speaks(flow, is_meant)
}

fn is_meant(protocol: Protocol) -> bool {
    matches!(protocol.sort(), Sort::Messages | Sort::Database) || protocol.name() == "xmpp"
}

fn session_db(protocol: Protocol) -> i16 {
    match protocol.sort() {
        Sort::Database => DATABASE_DB,
        _ => MESSAGES_DB,
    }
}

fn judge(key: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Finding> {
    let protocol = session.errands.protocol?;
    // Of whom nobody knows what he was told to do, nothing can be said: many have business there.
    if context.declared == Declared::Unknown {
        return None;
    }
    let worth = Worth::of_strangers(session_db(protocol), &key.far).or_trial(session, context);
    errands::finding(&STRATEGY, session, is_meant, context, &worth, &WORDS)
}
