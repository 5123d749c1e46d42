//! A container that holds a plaintext, line-oriented conversation of no known grammar in which the
//! far end commands: T1071 over a raw channel. See `ads.md`.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::format;
use alloc::vec::Vec;

use observation::{FactKind, Transport};

use super::terms::{self, Destination, Identity, NETWORK, RUNTIME, term};
use super::{Detect, Strategy};
use crate::alert::{Family, Maturity};
use crate::channel::{ChannelKey, Far};
use crate::clients::Use;
use crate::context::{Context, Declared, Origin};
use crate::evidence::{Finding, Term, Worth};
use crate::flows::Flow;
use crate::session::Session;

pub(super) static STRATEGY: Strategy = Strategy {
    id: "telnet_c2",
    techniques: &["T1071", "T1571", "T1095"],
    maturity: Maturity::Stable,
    listens: &[
        FactKind::Burst,
        FactKind::FlowEstablished,
        FactKind::FlowClosed,
        FactKind::Container,
        FactKind::ProcessStarted,
    ],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

// Session: what the wire alone says. Only the strongest counts.

/// Several answers look like a shell's and follow commands: hardly anything innocent does that.
const SHELL_DB: i16 = 33;
/// One such answer, or keystrokes that the container echoes.
const SHELL_ONCE_DB: i16 = 24;
/// Several rounds of command and answer in no known grammar: rarer protocols poll like that too.
const ROUNDS_DB: i16 = 21;
/// One round.
const ROUND_DB: i16 = 18;
/// The far end spoke first, in no known grammar: unknown banners exist.
const SPOKEN_TO_DB: i16 = 16;
/// Against: nothing was sent back, so nothing shows that a command was obeyed.
const NO_ANSWER_DB: i16 = -4;
/// Accepted, and held open in silence for `SILENT_MS`.
const HELD_SILENT_DB: i16 = 3;
/// Accepted and closed without a word, as a health check does too.
const CLOSED_SILENT_DB: i16 = 1;
/// Never accepted: a misconfigured application looks the same, and stays low also when it tries
/// again and again (`beacon`'s retries).
const REFUSED_DB: i16 = -8;
/// The name did not resolve: a typing error looks the same.
const UNRESOLVED_DB: i16 = -6;
/// The image has no such program, so nothing was run.
const NOT_RUN_DB: i16 = -6;
/// The whole conversation obeyed a known grammar.
const OBEYED_DB: i16 = -10;

// Identity: how it came to run. Only the strongest counts.

/// An interactive raw client by its command line.
const CLIENT_DB: i16 = 14;
/// A throw-away container, whatever its program is called.
const AD_HOC_DB: i16 = 12;
/// A program started inside a running container.
const EXEC_DB: i16 = 12;
/// A raw client that only asks whether a port is open.
const PROBE_DB: i16 = 8;

/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;

/// Destination: nobody has written it down.
const UNDECLARED_DB: i16 = 9;
/// Against: the operator has written it down. Capped, since an attacker may write too.
const DECLARED_DB: i16 = -8;

/// Rounds and answers from which on they are "several".
const SEVERAL_MIN: u32 = 2;

const IDENTITY: Identity =
    Identity { client_db: CLIENT_DB, probe_db: PROBE_DB, ad_hoc_db: AD_HOC_DB, exec_db: EXEC_DB };
/// A relay on the same machine is as good a far end as any.
const DESTINATION: Destination =
    Destination { undeclared_db: UNDECLARED_DB, declared_db: DECLARED_DB, neighbour_db: 0 };

const _: () = assert!(SPOKEN_TO_DB < ROUND_DB && ROUND_DB < ROUNDS_DB);
const _: () = assert!(ROUNDS_DB < SHELL_ONCE_DB && SHELL_ONCE_DB < SHELL_DB);

/// Words, or none at all where somebody could speak.
fn concerns(flow: &Flow) -> bool {
    flow.speaks() || flow.quiet_at.is_some() || flow.is_silent()
}

fn judge(key: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Finding> {
    let story = Story::of(key, session, context)?;
    let mut terms = Vec::new();
    story.session_terms(session, &mut terms);
    terms::identity(context, IDENTITY, &mut terms);
    terms::process(context, NOT_IN_IMAGE_DB, &mut terms);
    if story != Story::NotRun {
        terms::destination(context, DESTINATION, &mut terms);
    }
    Some(Finding {
        strategy: Cow::Borrowed(STRATEGY.id),
        techniques: techniques(key),
        summary: Cow::Borrowed(story.summary(context.origin)),
        terms,
        low_if: low_if(story, context),
        worth: Worth::Telling,
    })
}

/// What happened, as far as it concerns this strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    Commanded,
    SpokenTo,
    HeldSilent,
    ClosedSilent,
    Obeyed,
    Refused,
    Unresolved,
    NotRun,
}

impl Story {
    fn of(key: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Self> {
        let talks = context.client.is_some_and(|client| client.purpose == Use::Talk);
        match &key.far {
            Far::Name(_) => return talks.then_some(Self::Unresolved),
            Far::Nobody => return talks.then_some(Self::NotRun),
            Far::Domain(_) | Far::Caller(..) | Far::Callers(..) | Far::Many => return None,
            Far::Endpoint(..) => {}
        }
        if session.rounds > 0 {
            return Some(Self::Commanded);
        }
        if session.far_alone > 0 {
            return Some(Self::SpokenTo);
        }
        // What follows has no content that accuses: somebody has to have started it by hand.
        if session.held_silent > 0 && context.is_by_hand() {
            return Some(Self::HeldSilent);
        }
        if session.closed_silent > 0 && context.is_by_hand() {
            return Some(Self::ClosedSilent);
        }
        if session.obeyed > 0 && talks {
            return Some(Self::Obeyed);
        }
        (session.failed > 0 && talks).then_some(Self::Refused)
    }

    fn session_terms(self, session: &Session, terms: &mut Vec<Term>) {
        let rounds = session.rounds;
        let (observed, points_db) = match self {
            Self::Commanded if session.shell_answers >= SEVERAL_MIN => {
                (format!("{rounds} commands answered as a shell does"), SHELL_DB)
            }
            Self::Commanded if session.echoed > 0 => {
                (format!("{rounds} keystrokes or commands, echoed by the container"), SHELL_ONCE_DB)
            }
            Self::Commanded if session.shell_answers > 0 => {
                (format!("{rounds} commands, one answered as a shell does"), SHELL_ONCE_DB)
            }
            Self::Commanded if rounds >= SEVERAL_MIN => {
                (format!("text, far end commands, {rounds} answers"), ROUNDS_DB)
            }
            Self::Commanded => ("text, far end commands, one answer".to_owned(), ROUND_DB),
            Self::SpokenTo => ("text, far end commands".to_owned(), SPOKEN_TO_DB),
            Self::HeldSilent => ("accepted, held open in silence".to_owned(), HELD_SILENT_DB),
            Self::ClosedSilent => ("accepted, closed without a word".to_owned(), CLOSED_SILENT_DB),
            Self::Obeyed => ("a known grammar was obeyed".to_owned(), OBEYED_DB),
            Self::Refused => {
                ("not accepted, as at a dead address or a wrong port".to_owned(), REFUSED_DB)
            }
            Self::Unresolved => ("the name did not resolve".to_owned(), UNRESOLVED_DB),
            Self::NotRun => ("never ran: no such program in the image".to_owned(), NOT_RUN_DB),
        };
        let witness = if self == Self::NotRun { RUNTIME } else { NETWORK };
        terms.push(term(Family::Session, witness, observed, "known grammar", points_db));
        if self == Self::SpokenTo {
            let observed = "nothing was sent back".to_owned();
            terms.push(term(Family::Session, NETWORK, observed, "an answer", NO_ANSWER_DB));
        }
    }

    const fn summary(self, origin: Origin) -> &'static str {
        match (self, origin) {
            (Self::Commanded, Origin::AdHoc) => {
                "A throw-away container holds a raw text session in which the far end commands."
            }
            (Self::Commanded, Origin::Exec) => {
                "A program started inside a running container obeys commands from a raw text session."
            }
            (Self::Commanded, _) => {
                "A raw text session in which the far end gives commands and the near end answers."
            }
            (Self::SpokenTo, Origin::AdHoc) => {
                "A throw-away container opened a raw text session; the far end gave commands."
            }
            (Self::SpokenTo, _) => "A raw text session was opened; the far end gave commands.",
            (Self::HeldSilent, _) => "A raw connection is held open in silence.",
            (Self::ClosedSilent, _) => "A raw connection was opened and closed without a word.",
            (Self::Obeyed, _) => "An interactive raw client spoke a known protocol.",
            (Self::Refused, _) => "An interactive raw client was not accepted by its far end.",
            (Self::Unresolved, _) => {
                "An interactive raw client asked for a name that leads nowhere."
            }
            (Self::NotRun, _) => "An interactive raw client was asked for that the image has not.",
        }
    }
}

/// Below TCP and UDP there is no application layer.
fn techniques(key: &ChannelKey) -> Vec<Cow<'static, str>> {
    let ids: &[&str] = match &key.far {
        Far::Endpoint(Transport::Icmp | Transport::Other(_), _) => &["T1095"],
        _ => &["T1071", "T1571"],
    };
    ids.iter().copied().map(Cow::Borrowed).collect()
}

fn low_if(story: Story, context: &Context<'_>) -> Vec<Cow<'static, str>> {
    let mut all = Vec::new();
    if context.declared != Declared::Yes {
        all.push(Cow::Borrowed("a workload's configuration declared the destination"));
    }
    if matches!(story, Story::Commanded | Story::SpokenTo) {
        all.push(Cow::Borrowed("the conversation obeyed a known grammar, as SMTP"));
    }
    all
}
