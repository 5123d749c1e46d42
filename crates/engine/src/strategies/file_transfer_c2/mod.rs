//! A container that transfers files with a server that nobody has declared: T1071.002. See
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
    id: "file_transfer_c2",
    techniques: &["T1071.002", "T1105"],
    maturity: Maturity::Stable,
    listens: &[FactKind::ProtocolIdentified, FactKind::FlowClosed, FactKind::Container],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

// Session: which protocol it is.

/// SMB and TFTP belong into one network, and are spoken by what is installed there.
const LOCAL_DB: i16 = 15;
/// FTP: old archives are still fetched so, seldom by workloads.
const FTP_DB: i16 = 11;
/// rsync: mirrors are.
const RSYNC_DB: i16 = 9;

const WORDS: Words = Words {
    expected: "no transfers of files",
    summary: "A container transfers files with a server that nobody has declared.",
    low_if: &[],
};

fn concerns(flow: &Flow) -> bool {
    errands::speaks(flow, is_meant)
}

fn is_meant(protocol: Protocol) -> bool {
    protocol.sort() == Sort::Files
}

fn session_db(protocol: Protocol) -> i16 {
    match protocol.name() {
        "rsync" => RSYNC_DB,
        "ftp" => FTP_DB,
        _ => LOCAL_DB,
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
