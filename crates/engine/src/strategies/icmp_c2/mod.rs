//! Echoes that carry more than a ping does: T1095. See `ads.md`.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use observation::FactKind;

use super::terms::{self, Destination, Identity, NETWORK, term};
use super::{Detect, Strategy};
use crate::alert::{Family, Maturity};
use crate::channel::ChannelKey;
use crate::context::{Context, Declared};
use crate::evidence::{Finding, Worth};
use crate::flows::{Flow, OddEchoes};
use crate::session::{EchoSessions, Session};

pub(super) static STRATEGY: Strategy = Strategy {
    id: "icmp_c2",
    techniques: &["T1095", "T1572"],
    maturity: Maturity::Stable,
    listens: &[FactKind::EchoSymmetry, FactKind::FlowClosed],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

/// Session: answers that repeat nothing, of many lengths: RFC 792 asks for the opposite, and no
/// mistake does it.
const BOTH_VARY_DB: i16 = 25;
/// Answers that repeat nothing, of one length: a router that cuts long ones short does it too.
const ANSWERS_DIFFER_DB: i16 = 14;
/// Requests of many lengths whose answers repeat them: whoever looks for an MTU does it too.
const REQUESTS_VARY_DB: i16 = 12;

// Identity: raw sockets are seldom what a workload opens.
const AD_HOC_DB: i16 = 8;
const EXEC_DB: i16 = 8;
const CLIENT_DB: i16 = 8;
const PROBE_DB: i16 = 0;

/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;

/// Destination: nobody has written it down. Whoever is pinged seldom is.
const UNDECLARED_DB: i16 = 4;
const DECLARED_DB: i16 = -8;
/// Against: neighbours measure the network between them.
const NEIGHBOUR_DB: i16 = -6;

const IDENTITY: Identity =
    Identity { client_db: CLIENT_DB, probe_db: PROBE_DB, ad_hoc_db: AD_HOC_DB, exec_db: EXEC_DB };
const DESTINATION: Destination = Destination {
    undeclared_db: UNDECLARED_DB,
    declared_db: DECLARED_DB,
    neighbour_db: NEIGHBOUR_DB,
};

const _: () = assert!(REQUESTS_VARY_DB < ANSWERS_DIFFER_DB && ANSWERS_DIFFER_DB < BOTH_VARY_DB);

const fn concerns(flow: &Flow) -> bool {
    flow.oddity.echoes.is_some()
}

fn judge(_: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Finding> {
    let EchoSessions { worst, request_count, odd_answers, length_count } = session.echoes;
    let worst = worst?;
    let lengths = format!("payloads of {length_count} lengths or more");
    let (observed, points_db) = match worst {
        OddEchoes::BothVary => {
            (format!("{odd_answers} echo answers repeat no request, {lengths}"), BOTH_VARY_DB)
        }
        OddEchoes::AnswersDiffer => {
            (format!("{odd_answers} echo answers repeat no request"), ANSWERS_DIFFER_DB)
        }
        OddEchoes::RequestsVary => {
            (format!("{request_count} echo requests, {lengths}"), REQUESTS_VARY_DB)
        }
    };
    let expected = "answers that repeat their requests, all of one length";
    let mut terms = alloc::vec![term(Family::Session, NETWORK, observed, expected, points_db)];
    terms::identity(context, IDENTITY, &mut terms);
    terms::process(context, NOT_IN_IMAGE_DB, &mut terms);
    terms::destination(context, DESTINATION, &mut terms);
    let finding = Finding {
        strategy: Cow::Borrowed(STRATEGY.id),
        techniques: techniques(worst),
        summary: Cow::Borrowed(summary(worst)),
        terms,
        low_if: low_if(context),
        worth: Worth::Telling,
    };
    finding.worth_keeping()
}

fn techniques(worst: OddEchoes) -> Vec<Cow<'static, str>> {
    let ids: &[&str] = match worst {
        OddEchoes::BothVary => &["T1095", "T1572"],
        OddEchoes::AnswersDiffer | OddEchoes::RequestsVary => &["T1095"],
    };
    ids.iter().copied().map(Cow::Borrowed).collect()
}

const fn summary(worst: OddEchoes) -> &'static str {
    match worst {
        OddEchoes::BothVary => "Echo requests and their answers carry data both ways.",
        OddEchoes::AnswersDiffer => "Echo answers do not repeat their requests.",
        OddEchoes::RequestsVary => "Echo requests of many lengths go out, as if they carried data.",
    }
}

fn low_if(context: &Context<'_>) -> Vec<Cow<'static, str>> {
    let mut all = alloc::vec![Cow::Borrowed("the answers repeated their requests, as a ping's do")];
    if context.declared != Declared::Yes {
        all.push(Cow::Borrowed("a workload's configuration declared the destination"));
    }
    all
}
