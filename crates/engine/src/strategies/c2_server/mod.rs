//! A container that is contacted and commanded (a bind shell), or that commands whoever contacts
//! it (the server of reverse shells): T1071 the other way round. See `ads.md`.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use observation::{Endpoint, FactKind};

use super::terms::{self, Identity, NETWORK, RUNTIME, term};
use super::{Detect, Strategy};
use crate::alert::{Family, Maturity};
use crate::channel::{ChannelKey, Far};
use crate::context::{Context, Declared, Origin, Whose};
use crate::evidence::{Finding, PRIOR_DB, Term, Worth};
use crate::flows::Flow;
use crate::profiles::FanIn;
use crate::protocols::Protocol;
use crate::served::{Said, Served};
use crate::session::Session;

pub(super) static STRATEGY: Strategy = Strategy {
    id: "c2_server",
    techniques: &["T1071", "T1571", "T1001.003", "T1132.001", "T1090.001", "T1090.002"],
    maturity: Maturity::Stable,
    listens: &[
        FactKind::Burst,
        FactKind::FlowClosed,
        FactKind::Container,
        FactKind::ProcessStarted,
    ],
    ads: include_str!("ads.md"),
    concerns,
    detect: Detect::Accepted(judge, judge_callers),
};

// Session: what the wire alone says. Only the strongest counts. That the caller commands is no
// evidence by itself: every client does.

/// Commands, and several answers that look like a shell's.
const SHELL_DB: i16 = 33;
/// One such answer to a command, or in front of a prompt; or several, whatever was asked.
const SHELL_ONCE_DB: i16 = 24;
/// A protocol was left in front of the shell, which no server needs.
const MASKED_DB: i16 = 3;
/// What is typed into a shell is answered, in words that services use too.
const COMMANDS_DB: i16 = 14;
/// One answer like a shell's, to nothing that looks like a command: services pass errors on.
const OUTPUT_DB: i16 = 14;
/// A protocol was left, and both sides went on in something else.
const WENT_ON_DB: i16 = 12;
/// What comes in leaves at once in another flow, and back: a relay, as proxies are too.
const RELAY_DB: i16 = 12;
/// Question and answer in text of no known grammar: any home-made service.
const LINES_DB: i16 = 6;

// Callers that check in: the evidence of regularity is at most Medium by itself.

/// Several callers, each by a timer of its own.
const FAN_IN_DB: i16 = 16;
/// In no known grammar.
const NO_GRAMMAR_DB: i16 = 4;
/// Against: a known grammar, as those who scrape metrics or ask for health speak.
const GRAMMAR_DB: i16 = -4;
/// Against: each call brings or fetches much.
const BULK_DB: i16 = -8;
/// From so many powers of two bytes on it is much: 64 KiB.
const BULK_BITS_MIN: f64 = 16.0;
/// Against: all of them are containers on this machine.
const ALL_NEIGHBOURS_DB: i16 = -10;
/// A throw-away container, or something started inside of a running one.
const BY_HAND_DB: i16 = 4;
/// Fewer callers with a timer may be a health check and a collector of metrics.
const FAN_IN_COUNT_MIN: u32 = 3;
/// A timer that calls in faster than this is a stream of requests.
const FAN_IN_PERIOD_MS_MIN: u64 = 2_000;

// Identity: how it came to run. Only the strongest counts.

/// A raw client that listens, by its command line.
const LISTENER_DB: i16 = 14;
/// A throw-away container, whatever its program is called.
const AD_HOC_DB: i16 = 12;
/// A program started inside a running container.
const EXEC_DB: i16 = 12;

/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;

// Destination: whether anybody has said that it serves this port.

const UNDECLARED_DB: i16 = 6;
/// It relays to a stranger whom nobody has written down.
const UNDECLARED_BEYOND_DB: i16 = 9;
/// Whoever attacks writes a throw-away run's words too; so does whoever tries a service out.
const BY_ITSELF_DB: i16 = 3;
/// Against. Capped, since an attacker may write too.
const DECLARED_DB: i16 = -8;
/// Against: neighbours misunderstand each other while they are being set up. It does not excuse a
/// shell.
const NEIGHBOUR_DB: i16 = -10;

/// Commands and answers from which on they are "several".
const SEVERAL_MIN: u32 = 2;

const IDENTITY: Identity = Identity {
    client_db: LISTENER_DB,
    probe_db: LISTENER_DB,
    ad_hoc_db: AD_HOC_DB,
    exec_db: EXEC_DB,
};

const _: () = assert!(
    PRIOR_DB + FAN_IN_DB + NO_GRAMMAR_DB + BY_HAND_DB + UNDECLARED_DB < crate::alert::HIGH_DB_MIN
);
/// A proxy that is tried out is a throw-away run as well.
const PROXY_IDENTITY: Identity = Identity {
    client_db: LISTENER_DB,
    probe_db: LISTENER_DB,
    ad_hoc_db: BY_HAND_DB,
    exec_db: EXEC_DB,
};

const _: () = assert!(LINES_DB < WENT_ON_DB && WENT_ON_DB < COMMANDS_DB);
const _: () = assert!(COMMANDS_DB < SHELL_ONCE_DB && SHELL_ONCE_DB < SHELL_DB);

fn concerns(flow: &Flow) -> bool {
    Served::concerns(flow)
}

fn judge(key: &ChannelKey, session: &Session, context: &Context<'_>) -> Option<Finding> {
    let Far::Caller(_, _, port) = key.far else { return None };
    let served = &session.served;
    let story = Story::of(served, context)?;
    let mut terms = Vec::new();
    story.session_terms(served, &mut terms);
    let identity = if let Story::Relay(_) = story { PROXY_IDENTITY } else { IDENTITY };
    terms::identity(context, identity, &mut terms);
    terms::process(context, NOT_IN_IMAGE_DB, &mut terms);
    if let Story::Relay(_) = story {
        beyond(context, &mut terms);
    } else {
        declared(port, context, &mut terms);
    }
    let is_relay = matches!(story, Story::Relay(_));
    if context.whose == Whose::Neighbours && !story.is_shell() && !is_relay {
        let observed = "called by another container on this machine".to_owned();
        terms.push(term(Family::Destination, RUNTIME, observed, "declared", NEIGHBOUR_DB));
    }
    let finding = Finding {
        strategy: Cow::Borrowed(STRATEGY.id),
        techniques: techniques(story, served, context),
        summary: story.summary(context.origin),
        terms,
        low_if: low_if(story, context),
        worth: Worth::Telling,
    };
    finding.worth_telling()
}

/// What happened, as far as it concerns this strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    /// The caller commands, and the container answers as a shell does.
    Shell(Sureness),
    /// The container commands, and the caller answers as a shell does.
    Handler(Sureness),
    /// What is typed into a shell is answered.
    Commands,
    /// One answer is like a shell's.
    Output,
    /// A protocol was left, and both went on.
    WentOn(Option<Protocol>),
    /// What comes in leaves in another flow, and back.
    Relay(Endpoint),
    /// Question and answer, at a raw listener.
    Lines,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sureness {
    Once,
    Several,
}

impl Story {
    fn of(served: &Served, context: &Context<'_>) -> Option<Self> {
        if served.flow_count == 0 {
            return None;
        }
        if served.reversed > 0
            && let Some(sureness) = shell(served.answered, served.asked, 0)
        {
            return Some(Self::Handler(sureness));
        }
        if let Some(sureness) = shell(served.asked, served.answered, served.terminals) {
            return Some(Self::Shell(sureness));
        }
        let typed = served.asked.commands.saturating_add(served.answered.prompts);
        if served.asked.commands > 0 && typed >= SEVERAL_MIN {
            return Some(Self::Commands);
        }
        if served.answered.outputs > 0 {
            return Some(Self::Output);
        }
        if let Some((_, to)) = served.relayed {
            return Some(Self::Relay(to));
        }
        if let Some(protocol) = served.departed {
            return Some(Self::WentOn(protocol));
        }
        // Otherwise it is any home-made service, unless its program is none.
        (served.rounds > 0 && context.client.is_some()).then_some(Self::Lines)
    }

    fn session_terms(self, served: &Served, terms: &mut Vec<Term>) {
        let rounds = served.rounds;
        let masked_db = if served.departed.is_some() { MASKED_DB } else { 0 };
        let (observed, points_db) = match self {
            Self::Shell(Sureness::Several) => (
                format!("{rounds} commands of a caller, answered as a shell does"),
                SHELL_DB + masked_db,
            ),
            Self::Shell(Sureness::Once) => (
                format!("{rounds} commands of a caller, one answered as a shell does"),
                SHELL_ONCE_DB + masked_db,
            ),
            Self::Handler(Sureness::Several) => {
                ("commands to a caller, who answers as a shell does".to_owned(), SHELL_DB)
            }
            Self::Handler(Sureness::Once) => {
                ("commands to a caller, one answered as a shell does".to_owned(), SHELL_ONCE_DB)
            }
            Self::Commands => {
                (format!("{rounds} rounds, and what is asked is typed into shells"), COMMANDS_DB)
            }
            Self::Output => ("one answer like a shell's".to_owned(), OUTPUT_DB),
            Self::WentOn(protocol) => {
                let name = protocol.map_or("a protocol", Protocol::name);
                (format!("{name} left, and both sides went on in something else"), WENT_ON_DB)
            }
            Self::Relay(to) => {
                let count = served.relayed.map_or(0, |(count, _)| count);
                (format!("{count} bursts went on at once, to and from port {}", to.port), RELAY_DB)
            }
            Self::Lines => (format!("text of no known grammar, {rounds} answers"), LINES_DB),
        };
        terms.push(term(Family::Session, NETWORK, observed, "known grammar", points_db));
    }

    const fn is_shell(self) -> bool {
        matches!(self, Self::Shell(_) | Self::Handler(_))
    }

    fn summary(self, origin: Origin) -> Cow<'static, str> {
        let who = match origin {
            Origin::AdHoc => "A throw-away container",
            Origin::Exec => "A program started inside a running container",
            Origin::Workload => "A workload",
            Origin::Unknown => "Somebody",
        };
        let what = match self {
            Self::Shell(_) => "lets whoever calls command a shell.",
            Self::Handler(_) => "commands whoever calls, and gets a shell's answers.",
            Self::Commands => "answers a caller's words, which are typed into shells.",
            Self::Output => "gave a caller an answer like a shell's.",
            Self::WentOn(_) => "accepted a protocol and went on with something else.",
            Self::Relay(_) => "relays what callers say to somebody else.",
            Self::Lines => "listens with a raw client and answers in no known grammar.",
        };
        Cow::Owned(format!("{who} {what}"))
    }
}

/// Whether one side commands a shell that the other is.
fn shell(asked: Said, answered: Said, terminals: u32) -> Option<Sureness> {
    let outputs = answered.outputs.saturating_add(answered.encoded);
    let commands = asked.commands.saturating_add(asked.encoded);
    let is_typed = commands > 0 || terminals > 0;
    match outputs {
        SEVERAL_MIN.. if is_typed => Some(Sureness::Several),
        SEVERAL_MIN.. => Some(Sureness::Once),
        1 if is_typed || answered.prompts > 0 => Some(Sureness::Once),
        _ if terminals > 0 && commands > 0 => Some(Sureness::Once),
        _ => None,
    }
}

fn declared(port: u16, context: &Context<'_>, terms: &mut Vec<Term>) {
    let mut push = |observed: String, points_db| {
        terms.push(term(Family::Destination, RUNTIME, observed, "declared", points_db));
    };
    match context.declared {
        Declared::No => push(format!("port {port} is declared nowhere"), UNDECLARED_DB),
        Declared::ByItself => {
            push(format!("port {port} is named by its own throw-away run only"), BY_ITSELF_DB);
        }
        Declared::Mentioned => push(terms::MENTIONED.to_owned(), terms::MENTIONED_DB),
        Declared::Yes => push(format!("port {port} is declared"), DECLARED_DB),
        // Blindness subtracts nothing and adds nothing.
        Declared::Unknown => {}
    }
}

/// Where it is relayed to. Proxies are told where to go, or go to their neighbours.
fn beyond(context: &Context<'_>, terms: &mut Vec<Term>) {
    let Some(beyond) = context.beyond else { return };
    let mut push = |observed: &str, points_db| {
        let observed = observed.to_owned();
        terms.push(term(Family::Destination, RUNTIME, observed, "declared", points_db));
    };
    match beyond.declared {
        Declared::Yes => push("relayed to where its configuration says", DECLARED_DB),
        Declared::Mentioned => push(terms::MENTIONED, terms::MENTIONED_DB),
        Declared::No => push("relayed to somebody undeclared", UNDECLARED_BEYOND_DB),
        Declared::ByItself => {
            push("relayed to whom its own throw-away run names only", UNDECLARED_BEYOND_DB);
        }
        Declared::Unknown => {}
    }
    if beyond.whose == Whose::Neighbours {
        push("relayed to another container on this machine", NEIGHBOUR_DB);
    }
}

/// Several callers that check in at one port.
fn judge_callers(fan_in: &FanIn<'_>, context: &Context<'_>) -> Option<Finding> {
    let FanIn { port, caller_count, timer_count, timer, .. } = *fan_in;
    if timer_count < FAN_IN_COUNT_MIN || timer.period_ms < FAN_IN_PERIOD_MS_MIN {
        return None;
    }
    let seconds = timer.period_ms as f64 / 1000.0;
    let observed =
        format!("{timer_count} of {caller_count} callers by a timer each, as every {seconds:.1} s");
    let mut terms = alloc::vec![term(Family::Rhythm, NETWORK, observed, "no timers", FAN_IN_DB)];
    let mut push = |observed: String, points_db| {
        terms.push(term(Family::Session, NETWORK, observed, "a service's calls", points_db));
    };
    match fan_in.protocol {
        Some(name) => push(format!("they speak {name}"), GRAMMAR_DB),
        None => push("they speak no known grammar".to_owned(), NO_GRAMMAR_DB),
    }
    if fan_in.asked_bits.max(fan_in.answered_bits) >= BULK_BITS_MIN {
        push("each call carries much".to_owned(), BULK_DB);
    }
    if matches!(context.origin, Origin::AdHoc | Origin::Exec) {
        let observed = "ad-hoc run, nothing keeps it".to_owned();
        terms.push(term(Family::Identity, RUNTIME, observed, "a workload", BY_HAND_DB));
    }
    terms::process(context, NOT_IN_IMAGE_DB, &mut terms);
    declared(port, context, &mut terms);
    if fan_in.neighbour_count == timer_count {
        let observed = "all callers are containers on this machine".to_owned();
        terms.push(term(Family::Destination, RUNTIME, observed, "strangers", ALL_NEIGHBOURS_DB));
    }
    let finding = Finding {
        strategy: Cow::Borrowed(STRATEGY.id),
        techniques: alloc::vec![Cow::Borrowed("T1071"), Cow::Borrowed("T1571")],
        summary: Cow::Borrowed(
            "Several callers check in at a port of a container, by a timer each.",
        ),
        terms,
        low_if: alloc::vec![Cow::Borrowed("a workload's configuration declared the port")],
        worth: Worth::Telling,
    };
    finding.worth_telling()
}

fn techniques(story: Story, served: &Served, context: &Context<'_>) -> Vec<Cow<'static, str>> {
    if let Story::Relay(_) = story {
        let is_inside = context.beyond.is_some_and(|beyond| beyond.whose == Whose::Neighbours);
        let id = if is_inside { "T1090.001" } else { "T1090.002" };
        return alloc::vec![Cow::Borrowed(id)];
    }
    let mut ids = alloc::vec![Cow::Borrowed("T1071"), Cow::Borrowed("T1571")];
    if served.departed.is_some() {
        ids.push(Cow::Borrowed("T1001.003"));
    }
    if served.answered.encoded > 0 {
        ids.push(Cow::Borrowed("T1132.001"));
    }
    ids
}

fn low_if(story: Story, context: &Context<'_>) -> Vec<Cow<'static, str>> {
    let mut all = Vec::new();
    if let Story::Relay(_) = story {
        all.push(Cow::Borrowed("its configuration said where it relays to"));
        return all;
    }
    if context.declared != Declared::Yes && !story.is_shell() {
        all.push(Cow::Borrowed("a workload's configuration declared the port"));
    }
    all.push(Cow::Borrowed("the conversation obeyed a known grammar, as Redis"));
    all
}
