//! A container that asks its cloud's metadata service: T1552.005 where it asks for credentials. See
//! `ads.md`.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::vec::Vec;

use observation::FactKind;

use super::terms::{self, Destination, Identity, NETWORK, term};
use super::{Detect, Strategy};
use crate::alert::{Family, Maturity};
use crate::channel::ChannelKey;
use crate::cloud::{Library, Metadata};
use crate::context::{Context, Declared};
use crate::evidence::{Finding, Term};
use crate::flows::{Flow, Reached};
use crate::session::Session;

pub(super) static STRATEGY: Strategy = Strategy {
    id: "metadata_service",
    techniques: &["T1552.005"],
    maturity: Maturity::Stable,
    listens: &[FactKind::Http, FactKind::FlowClosed, FactKind::Container],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

// Session: what it asked for. Only the strongest counts.

/// Credentials, and they were given: whoever holds them is the machine.
const GIVEN_DB: i16 = 20;
/// Credentials, and they were refused, or nobody saw.
const SECRETS_DB: i16 = 16;
/// A ticket: the first half of the same.
const TICKET_DB: i16 = 12;
/// Where it runs: programs like to know.
const FACTS_DB: i16 = 8;
/// It was spoken to, and nobody saw about what.
const SPOKEN_DB: i16 = 9;
/// Nobody answered: most libraries try.
const TRIED_DB: i16 = 5;

/// Identity: somebody has started it by hand.
const BY_HAND_DB: i16 = 4;
/// Against: a cloud's own library, going by what it calls itself. Capped, since an attacker may
/// call himself that, too.
const LIBRARY_DB: i16 = -8;
/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;

/// Destination: nobody has written it down. Libraries find it by themselves: this is little.
const UNDECLARED_DB: i16 = 4;
/// Against: the operator has written it down. Capped, since an attacker may write too.
const DECLARED_DB: i16 = -8;

const _: () = assert!(FACTS_DB < TICKET_DB && TICKET_DB < SECRETS_DB && SECRETS_DB < GIVEN_DB);

const IDENTITY: Identity = Identity::by_hand(BY_HAND_DB);
const DESTINATION: Destination =
    Destination { undeclared_db: UNDECLARED_DB, declared_db: DECLARED_DB, neighbour_db: 0 };

fn concerns(flow: &Flow) -> bool {
    flow.oddity.reached.is_some()
}

fn judge(_: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Finding> {
    let reached = session.freight.reached?;
    let mut terms = alloc::vec![session_term(reached)];
    terms::identity(context, IDENTITY, &mut terms);
    if session.freight.library == Library::Clouds {
        let observed = "a cloud's own library, by its account".to_owned();
        terms.push(term(Family::Identity, NETWORK, observed, "such a library", LIBRARY_DB));
    }
    terms::process(context, NOT_IN_IMAGE_DB, &mut terms);
    terms::destination(context, DESTINATION, &mut terms);
    STRATEGY.finding(summary(reached), terms, low_if(context))
}

fn session_term(reached: Reached) -> Term {
    let (observed, points_db) = match reached {
        Reached::Asked(Metadata::SecretsGiven) => ("credentials asked for, and given", GIVEN_DB),
        Reached::Asked(Metadata::Secrets) => ("credentials asked for", SECRETS_DB),
        Reached::Asked(Metadata::Ticket) => ("a ticket asked for", TICKET_DB),
        Reached::Asked(Metadata::Facts | Metadata::Nothing) => {
            ("facts about the machine asked for", FACTS_DB)
        }
        Reached::Spoken => ("it was spoken to", SPOKEN_DB),
        Reached::Tried => ("it was tried, and did not answer", TRIED_DB),
    };
    let expected = "nothing of the machine below";
    term(Family::Session, NETWORK, observed.to_owned(), expected, points_db)
}

const fn summary(reached: Reached) -> &'static str {
    match reached {
        Reached::Asked(Metadata::SecretsGiven) => {
            "A container was given the credentials of the machine that it runs on."
        }
        Reached::Asked(Metadata::Secrets | Metadata::Ticket) => {
            "A container asks for the credentials of the machine that it runs on."
        }
        Reached::Asked(Metadata::Facts | Metadata::Nothing) | Reached::Spoken | Reached::Tried => {
            "A container asks the metadata service of the machine that it runs on."
        }
    }
}

fn low_if(context: &Context<'_>) -> Vec<Cow<'static, str>> {
    let mut all = Vec::new();
    if context.declared != Declared::Yes {
        all.push(Cow::Borrowed("the metadata service were declared in its configuration"));
    }
    all.push(Cow::Borrowed("a cloud's own library had asked"));
    all
}
