//! A conversation that opens as one protocol and goes on as something else, or that is used
//! backwards: T1071 behind a mask. See `ads.md`.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use observation::{FactKind, Transport};

use super::terms::{self, Destination, Identity, NETWORK, term};
use super::{Detect, Strategy};
use crate::alert::{Family, Maturity};
use crate::channel::{ChannelKey, Far};
use crate::context::{Context, Declared, Origin};
use crate::evidence::{Finding, Term, Worth};
use crate::flows::{Departure, Flow};
use crate::protocols::{Protocol, Sort};
use crate::session::Session;

pub(super) static STRATEGY: Strategy = Strategy {
    id: "protocol_mask",
    techniques: &[
        "T1071",
        "T1071.001",
        "T1071.002",
        "T1071.003",
        "T1071.004",
        "T1071.005",
        "T1001.003",
        "T1090",
        "T1090.003",
        "T1095",
        "T1219",
        "T1572",
    ],
    maturity: Maturity::Stable,
    listens: &[
        FactKind::ProtocolIdentified,
        FactKind::ProtocolLeft,
        FactKind::Burst,
        FactKind::FlowClosed,
        FactKind::Container,
    ],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Channel(judge),
};

// Session: what the wire alone says. Only the strongest counts.

/// Several answers behind the mask look like a shell's.
const SHELL_DB: i16 = 36;
/// One such answer, or keystrokes that the container echoes.
const SHELL_ONCE_DB: i16 = 30;
/// Behind the mask the far end commands. No specification allows that, and no mistake does it.
const COMMANDED_DB: i16 = 26;
/// Behind the mask the far end has spoken, in text.
const SPOKEN_TO_DB: i16 = 18;
/// Against: nothing was sent back, so nothing shows that a command was obeyed.
const NO_ANSWER_DB: i16 = -4;
/// Both sides went on in something else: hardly any software does, and some is badly written.
const WENT_ON_DB: i16 = 15;
/// A protocol that is obeyed, in which the side that was called has the keyboard.
const BACKWARDS_DB: i16 = 14;
/// Against: one side did not speak what the other did, and that was all: a wrong port.
const ENDED_DB: i16 = -3;

// Identity: how it came to run, behind a mask with commands, and behind one without.

const CLIENT_DB: i16 = 14;
const AD_HOC_DB: i16 = 12;
const EXEC_DB: i16 = 12;
const PROBE_DB: i16 = 8;
/// Whoever tries things out by hand also makes mistakes by hand.
const TRYING_DB: i16 = 6;

/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;

/// Destination: nobody has written it down.
const UNDECLARED_DB: i16 = 9;
/// Against: the operator has written it down. Capped, since an attacker may write too.
const DECLARED_DB: i16 = -8;
/// Against: neighbours misunderstand each other while they are being set up. Where the far end
/// commands, a neighbour is a relay as good as any.
const NEIGHBOUR_DB: i16 = -10;

/// Answers from which on they are "several".
const SEVERAL_MIN: u32 = 2;

const _: () = assert!(ENDED_DB < BACKWARDS_DB && BACKWARDS_DB < WENT_ON_DB);
const _: () = assert!(SPOKEN_TO_DB < COMMANDED_DB && COMMANDED_DB < SHELL_ONCE_DB);

fn concerns(flow: &Flow) -> bool {
    flow.oddity.departure.is_some() || flow.oddity.backwards.is_some()
}

fn judge(key: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Finding> {
    let (story, protocol) = Story::of(session)?;
    let mut terms = Vec::new();
    story.session_terms(protocol, session, &mut terms);
    terms::identity(context, story.identity(), &mut terms);
    terms::process(context, NOT_IN_IMAGE_DB, &mut terms);
    terms::destination(context, story.destination(), &mut terms);
    let finding = Finding {
        strategy: Cow::Borrowed(STRATEGY.id),
        techniques: story.techniques(protocol, key),
        summary: story.summary(protocol, context.origin),
        terms,
        low_if: story.low_if(context),
        worth: Worth::Telling,
    };
    finding.worth_keeping()
}

/// What happened, as far as it concerns this strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    Commanded,
    SpokenTo,
    WentOn,
    Ended,
    Backwards,
}

impl Story {
    fn of(session: &Session) -> Option<(Self, Option<Protocol>)> {
        let masks = &session.masks;
        match (masks.worst, masks.backwards) {
            (Some((Departure::Commanded, protocol)), _) => Some((Self::Commanded, protocol)),
            (Some((Departure::SpokenTo, protocol)), _) => Some((Self::SpokenTo, protocol)),
            (Some((Departure::WentOn, protocol)), _) => Some((Self::WentOn, protocol)),
            (_, Some(protocol)) => Some((Self::Backwards, Some(protocol))),
            (Some((Departure::Ended, protocol)), None) => Some((Self::Ended, protocol)),
            (None, None) => None,
        }
    }

    fn session_terms(self, protocol: Option<Protocol>, session: &Session, terms: &mut Vec<Term>) {
        let name = name_of(protocol);
        let rounds = session.rounds;
        let (observed, points_db) = match self {
            Self::Commanded if session.shell_answers >= SEVERAL_MIN => {
                (format!("{name} left; then {rounds} commands answered as a shell does"), SHELL_DB)
            }
            Self::Commanded if session.shell_answers > 0 || session.echoed > 0 => {
                (format!("{name} left; then commands, answered as a shell does"), SHELL_ONCE_DB)
            }
            Self::Commanded => (format!("{name} left; then the far end commands"), COMMANDED_DB),
            Self::SpokenTo => (format!("{name} left; then text from the far end"), SPOKEN_TO_DB),
            Self::WentOn => {
                (format!("{name} left, and both sides went on in something else"), WENT_ON_DB)
            }
            Self::Backwards => {
                let keys = session.masks.keys;
                (format!("{name} used backwards: {keys} keys typed at the far end"), BACKWARDS_DB)
            }
            Self::Ended => (format!("{name} was not answered in kind, and that was all"), ENDED_DB),
        };
        let expected = "the protocol that it opened with";
        terms.push(term(Family::Session, NETWORK, observed, expected, points_db));
        if self == Self::SpokenTo {
            let observed = "nothing was sent back".to_owned();
            terms.push(term(Family::Session, NETWORK, observed, "an answer", NO_ANSWER_DB));
        }
    }

    const fn identity(self) -> Identity {
        match self {
            Self::Commanded | Self::SpokenTo => Identity {
                client_db: CLIENT_DB,
                probe_db: PROBE_DB,
                ad_hoc_db: AD_HOC_DB,
                exec_db: EXEC_DB,
            },
            Self::WentOn | Self::Ended | Self::Backwards => Identity {
                client_db: PROBE_DB,
                probe_db: TRYING_DB,
                ad_hoc_db: TRYING_DB,
                exec_db: TRYING_DB,
            },
        }
    }

    const fn destination(self) -> Destination {
        let neighbour_db = match self {
            Self::Commanded | Self::SpokenTo => 0,
            Self::WentOn | Self::Ended | Self::Backwards => NEIGHBOUR_DB,
        };
        Destination { undeclared_db: UNDECLARED_DB, declared_db: DECLARED_DB, neighbour_db }
    }

    fn techniques(self, protocol: Option<Protocol>, key: &ChannelKey) -> Vec<Cow<'static, str>> {
        let is_control = matches!(key.far, Far::Endpoint(Transport::Icmp | Transport::Other(_), _));
        let hides_in = match protocol {
            _ if is_control => "T1095",
            Some(protocol) => protocol.technique(),
            None => "T1071",
        };
        let carries = protocol.is_some_and(|protocol| {
            matches!(protocol.sort(), Sort::Web | Sort::Names | Sort::Control)
        });
        let mut ids = alloc::vec![hides_in];
        match self {
            Self::Commanded if carries || is_control => ids.extend(["T1001.003", "T1572"]),
            Self::Backwards => ids.push("T1572"),
            Self::Commanded | Self::SpokenTo | Self::WentOn | Self::Ended => ids.push("T1001.003"),
        }
        let mut told: Vec<Cow<'static, str>> = Vec::new();
        for id in ids {
            if !told.iter().any(|known| known == id) {
                told.push(Cow::Borrowed(id));
            }
        }
        told
    }

    fn summary(self, protocol: Option<Protocol>, origin: Origin) -> Cow<'static, str> {
        let name = name_of(protocol);
        let who = match origin {
            Origin::AdHoc => "A throw-away container",
            Origin::Exec => "A program started inside a running container",
            Origin::Workload => "A workload",
            Origin::Unknown => "Somebody",
        };
        let what: String = match self {
            Self::Commanded => format!("obeys commands behind a mask of {name}."),
            Self::SpokenTo => format!("is spoken to behind a mask of {name}."),
            Self::WentOn => format!("opened {name} and went on with something else."),
            Self::Backwards => format!("opened {name}, in which the far end has the keyboard."),
            Self::Ended => format!("opened {name} and was not answered in kind."),
        };
        Cow::Owned(format!("{who} {what}"))
    }

    fn low_if(self, context: &Context<'_>) -> Vec<Cow<'static, str>> {
        let mut all = Vec::new();
        if context.declared != Declared::Yes && self != Self::Commanded {
            all.push(Cow::Borrowed(
                "the destination were declared in the container's configuration",
            ));
        }
        all.push(Cow::Borrowed(match self {
            Self::Backwards => "the near end had the keyboard, as a client has",
            _ => "the conversation obeyed the protocol that it opened with",
        }));
        all
    }
}

fn name_of(protocol: Option<Protocol>) -> &'static str {
    protocol.map_or("another protocol", Protocol::name)
}
