//! A TLS session that does not behave as what it claims to be: no ServerHello, an application
//! protocol that is not spoken, a far end that has the keyboard, a stack that is not the
//! workload's own. See `ads.md`.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use observation::FactKind;

use super::terms::{self, Destination, Identity, NETWORK, Where, term};
use super::{Detect, Strategy};
use crate::alert::{Family, HIGH_DB_MIN, Maturity};
use crate::channel::ChannelKey;
use crate::context::{Context, Declared, Led, Origin};
use crate::evidence::{Finding, PRIOR_DB, Term, Worth};
use crate::flows::{Flow, Nameless, OddOffer};
use crate::session::{Session, TlsSessions};
use crate::typing::Reversal;

pub(super) static STRATEGY: Strategy = Strategy {
    id: "tls_oddity",
    techniques: &["T1573", "T1071.001", "T1001.003", "T1572"],
    maturity: Maturity::Stable,
    listens: &[
        FactKind::TlsHello,
        FactKind::TlsSession,
        FactKind::ProtocolLeft,
        FactKind::Burst,
        FactKind::Container,
    ],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

// Session: what the wire alone says. Only the strongest counts.

/// There was no ServerHello, and both sides went on.
const UNANSWERED_DB: i16 = 15;
/// The far end types and the near side echoes. Remote support does that too, so that alone it is
/// never more than Medium.
const TYPES_DB: i16 = 14;
/// The same, where HTTP was to be spoken inside.
const WEB_TYPES_DB: i16 = 16;
/// The far end breaks silences and is answered at once: so does a server that is being polled.
const LEADS_DB: i16 = 6;
/// HTTP is offered where mail was to be encrypted.
const WEB_INSIDE_DB: i16 = 7;
/// An application protocol that nobody has registered: home-made agents have one, and tunnels.
const UNREGISTERED_DB: i16 = 5;

// Session, added up: whom a client goes to that says neither whom it wants nor what it will speak.
// So do commodity trojans, and agents of appliances.

/// It says neither.
const NAMELESS_DB: i16 = 4;
/// No name led to the address, which is on the Internet.
const BY_NUMBER_DB: i16 = 5;
/// A name did, and is not said: hardly any library leaves it out.
const UNSAID_DB: i16 = 6;
/// The port is nobody's, on the Internet.
const AWAY_DB: i16 = 4;
/// No public authority has signed what the server shows.
const PRIVATE_DB: i16 = 8;
/// It offers only what nobody may offer any longer (RFC 8996).
const OUTDATED_DB: i16 = 3;
/// Destination: nobody has written such a far end down. That no name led there counts already.
const NAMELESS_UNDECLARED_DB: i16 = 4;

/// Process: a TLS library that the workload had not used before. It was updated, or something was
/// brought in.
const FOREIGN_STACK_DB: i16 = 6;
/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;

// Identity: how it came to run.

const CLIENT_DB: i16 = 6;
const BY_HAND_DB: i16 = 6;

/// Destination: nobody has written it down.
const UNDECLARED_DB: i16 = 9;
/// Against: the operator has written it down. Capped, since an attacker may write too.
const DECLARED_DB: i16 = -8;
/// Against: what neighbours speak to each other is seldom finished.
const NEIGHBOUR_DB: i16 = -10;

const _: () = assert!(LEADS_DB < TYPES_DB && TYPES_DB < WEB_TYPES_DB);
const _: () = assert!(BY_NUMBER_DB < UNSAID_DB);
// All of it, at an undeclared far end, is Medium and no more.
const _: () = assert!(
    PRIOR_DB
        + NAMELESS_DB
        + UNSAID_DB
        + AWAY_DB
        + PRIVATE_DB
        + OUTDATED_DB
        + NAMELESS_UNDECLARED_DB
        < HIGH_DB_MIN
);

const IDENTITY: Identity = Identity {
    client_db: CLIENT_DB,
    probe_db: CLIENT_DB,
    ad_hoc_db: BY_HAND_DB,
    exec_db: BY_HAND_DB,
};
const DESTINATION: Destination = Destination {
    undeclared_db: UNDECLARED_DB,
    declared_db: DECLARED_DB,
    neighbour_db: NEIGHBOUR_DB,
};

fn concerns(flow: &Flow) -> bool {
    flow.oddity.tls.is_some()
}

fn judge(key: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Finding> {
    let tls = &session.tls;
    let is_foreign = tls.foreign_since.is_some_and(|since| is_older(context, since));
    let story = Story::of(tls)
        .or_else(|| is_foreign.then_some(Story::Stack))
        .or_else(|| tls.nameless.map(|_| Story::Nameless))?;
    let mut terms = Vec::new();
    session_terms(tls, &mut terms);
    let nameless = tls.nameless.map(|odd| nameless_term(odd, Where::of(&key.far), context));
    terms.extend(nameless);
    if is_foreign {
        let observed = "a TLS stack that was not used before".to_owned();
        let expected = "the workload's own";
        terms.push(term(Family::Process, NETWORK, observed, expected, FOREIGN_STACK_DB));
    }
    terms::identity(context, IDENTITY, &mut terms);
    terms::process(context, NOT_IN_IMAGE_DB, &mut terms);
    let undeclared_db =
        if story == Story::Nameless { NAMELESS_UNDECLARED_DB } else { UNDECLARED_DB };
    terms::destination(context, Destination { undeclared_db, ..DESTINATION }, &mut terms);
    let finding = Finding {
        strategy: Cow::Borrowed(STRATEGY.id),
        techniques: story.techniques(),
        summary: story.summary(context.origin),
        terms,
        low_if: story.low_if(context),
        worth: Worth::Telling,
    };
    finding.worth_keeping()
}

/// An address has another owner soon after its last one has gone: what that one used says nothing
/// about this one.
fn is_older(context: &Context<'_>, since: observation::Time) -> bool {
    context.created.is_none_or(|created| created <= since)
}

/// What happened, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    Unanswered,
    Types,
    Leads,
    Offer,
    Stack,
    Nameless,
}

impl Story {
    fn of(tls: &TlsSessions) -> Option<Self> {
        if tls.unanswered > 0 {
            return Some(Self::Unanswered);
        }
        match tls.reversal {
            Some(Reversal::Types) => return Some(Self::Types),
            Some(Reversal::Leads) => return Some(Self::Leads),
            Some(Reversal::None) | None => {}
        }
        tls.offer.is_some().then_some(Self::Offer)
    }

    fn techniques(self) -> Vec<Cow<'static, str>> {
        let ids: &[&str] = match self {
            Self::Unanswered => &["T1071.001", "T1001.003"],
            Self::Types | Self::Leads => &["T1573", "T1071.001", "T1572"],
            Self::Offer | Self::Stack | Self::Nameless => &["T1573", "T1071.001"],
        };
        ids.iter().copied().map(Cow::Borrowed).collect()
    }

    fn summary(self, origin: Origin) -> Cow<'static, str> {
        let who = match origin {
            Origin::AdHoc => "A throw-away container",
            Origin::Exec => "A program started inside a running container",
            Origin::Workload => "A workload",
            Origin::Unknown => "Somebody",
        };
        let what = match self {
            Self::Unanswered => "opened TLS, got no ServerHello and went on all the same.",
            Self::Types => "holds a TLS session in which the far end has the keyboard.",
            Self::Leads => "holds a TLS session in which the far end takes the initiative.",
            Self::Offer => "offers an application protocol inside TLS that does not belong there.",
            Self::Stack => "speaks TLS with a library that it had not used before.",
            Self::Nameless => "opens TLS to somebody whom it does not name, for nothing it names.",
        };
        Cow::Owned(format!("{who} {what}"))
    }

    fn low_if(self, context: &Context<'_>) -> Vec<Cow<'static, str>> {
        let mut all = Vec::new();
        if context.declared != Declared::Yes {
            all.push(Cow::Borrowed(
                "the destination were declared in the container's configuration",
            ));
        }
        all.push(Cow::Borrowed(match self {
            Self::Unanswered => "the server had answered with a ServerHello",
            Self::Types | Self::Leads => "the near end had the initiative, as a client has",
            Self::Offer => "the offered protocol belonged there",
            Self::Stack => "the workload had used that library from the beginning",
            Self::Nameless => "a name had led there, or a public authority had signed for it",
        }));
        all
    }
}

/// A client that names nobody, and what else is odd about whom it goes to, in one term: they are
/// sides of one thing. Inside a network numbers and ports are anybody's choice.
fn nameless_term(odd: Nameless, at: Where, context: &Context<'_>) -> Term {
    let is_abroad = at == Where::Abroad;
    let is_by_number = matches!(context.led, Led::ByNumber | Led::ByAnotherName);
    let is_unsaid = context.led == Led::ByName;
    let seen = [
        (true, "neither a server nor a protocol named", NAMELESS_DB),
        (is_by_number && is_abroad, "no name led there", BY_NUMBER_DB),
        (is_unsaid && is_abroad, "a name led there that it does not say", UNSAID_DB),
        (odd.is_away && is_abroad, "a port of nobody's", AWAY_DB),
        (odd.is_private, "a certificate of no public authority", PRIVATE_DB),
        (odd.is_outdated, "only outdated TLS offered", OUTDATED_DB),
    ];
    let holding = seen.into_iter().filter(|(holds, ..)| *holds);
    let (words, points): (Vec<&str>, Vec<i16>) =
        holding.map(|(_, observed, points_db)| (observed, points_db)).unzip();
    let expected = "a server that is named";
    term(Family::Session, NETWORK, words.join(", "), expected, points.into_iter().sum())
}

fn session_terms(tls: &TlsSessions, terms: &mut Vec<Term>) {
    let mut push = |observed: String, expected, points_db| {
        terms.push(term(Family::Session, NETWORK, observed, expected, points_db));
    };
    if tls.unanswered > 0 {
        let observed = "ClientHello, no ServerHello, and both sides went on".to_owned();
        push(observed, "a handshake", UNANSWERED_DB);
    }
    let is_web = tls.offer == Some(OddOffer::WebBackwards);
    match tls.reversal {
        Some(Reversal::Types) if is_web => {
            let observed = format!("HTTP offered; {} keys typed at the far end", tls.keys);
            push(observed, "requests of the near end", WEB_TYPES_DB);
        }
        Some(Reversal::Types) => {
            let observed = format!("{} keys typed at the far end, echoed here", tls.keys);
            push(observed, "requests of the near end", TYPES_DB);
        }
        Some(Reversal::Leads) => {
            let observed = "the far end breaks silences and is answered at once".to_owned();
            push(observed, "requests of the near end", LEADS_DB);
        }
        Some(Reversal::None) | None => {}
    }
    match tls.offer {
        Some(OddOffer::WebInside(outer)) => {
            let observed = format!("HTTP offered inside {}", outer.name());
            push(observed, "the outer protocol", WEB_INSIDE_DB);
        }
        Some(OddOffer::Unregistered) => {
            let observed = "an unregistered application protocol offered".to_owned();
            push(observed, "a registered one, or none", UNREGISTERED_DB);
        }
        Some(OddOffer::WebBackwards) | None => {}
    }
}
