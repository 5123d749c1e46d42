//! A container that calls a stranger by a timer: T1071 by polling. See `ads.md`.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use observation::{ConnState, FactKind, InImage};

use super::terms::{MENTIONED, MENTIONED_DB};
use super::{Detect, Strategy};
use crate::alert::{Family, Maturity};
use crate::context::{Context, Declared, Origin};
use crate::evidence::{Finding, PRIOR_DB, Term, Worth};
use crate::profiles::{Manner, Profile, Timer, Together, decibans_of};

pub(super) static STRATEGY: Strategy = Strategy {
    id: "beacon",
    techniques: &["T1071"],
    maturity: Maturity::Stable,
    listens: &[FactKind::FlowClosed],
    ads: include_str!("ads.md"),
    concerns: |_| false,
    detect: Detect::Profile(judge),
};

// Rhythm: the test's own evidence, less what looking at several channels costs.

/// At most this much: about one in forty channels of innocent containers has a timer too.
pub(super) const RHYTHM_DB_MAX: i16 = 16;
/// A subject is taken to have so many channels, though the first of them come alone: what is looked
/// at later costs as well.
const CHANNEL_COUNT_MIN: u32 = 16;
/// After so many calls the others are there, and those that are there count.
const YOUNG_CALL_COUNT_MAX: u32 = 11;
/// Against: a timer that calls in every second or faster is a stream of requests.
const STREAM_DB: i16 = -10;
/// Against: each further timer of the same subject makes it less likely that this one is the
/// beacon. Capped, since whoever attacks may start timers too.
const ONE_OF_MANY_DB_MIN: i16 = -12;
/// Waits shorter than this are no check-in's.
const PERIOD_MS_MIN: u64 = 2_000;

// Session: what a call carries.

/// Small requests and answers, as whoever asks for orders makes them.
const SMALL_DB: i16 = 4;
/// Up to so many powers of two bytes are small: 8 KiB asked, 64 KiB answered.
const SMALL_SENT_BITS_MAX: f64 = 13.0;
const SMALL_RECEIVED_BITS_MAX: f64 = 16.0;
/// Against: each call sends much, as a backup or a replication does. A timer and much that is sent
/// are not two signs, so that this outweighs what `exfil_volume` makes of the same backup.
const BULK_DB: i16 = -14;
/// From so many powers of two bytes on it is much: 64 KiB.
const BULK_SENT_BITS_MIN: f64 = 16.0;
/// Against: it speaks NTP, whose clients call by a timer (RFC 5905, section 13).
const CLOCK_DB: i16 = -12;
/// Hardly any call was accepted: nothing was commanded that way, and yet it is told as Low.
const RETRIES_DB: i16 = 10;
/// The same by something that was started by hand, which others weigh: still nothing was commanded.
const RETRIES_BY_HAND_DB: i16 = 2;

// Destination: who else goes there, and whether anybody has written it down.

/// Nobody has written it down, and no other workload goes there.
pub(super) const UNDECLARED_DB: i16 = 9;
/// The same with a few other workloads.
const RARE_DB: i16 = 5;
/// No runtime says what was declared; nobody else goes there.
const ALONE_DB: i16 = 5;
/// Against: the operator has written it down. Capped, since an attacker may write too.
const DECLARED_DB: i16 = -8;
/// Against: most workloads go there.
const COMMON_DB: i16 = -12;
/// Against: all replicas of the workload do it, each by itself.
const HABIT_DB: i16 = -8;
/// Against: both of two replicas do it.
const PAIR_DB: i16 = -3;
/// Against: a link-local address is the host's or its cloud's (RFC 3927, RFC 4291).
const LINK_LOCAL_DB: i16 = -10;

/// Identity: a throw-away container, or something started inside of a running one.
const BY_HAND_DB: i16 = 3;
/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;

// Regularity and a destination that nobody has declared are Medium and no more, started by hand or
// not.
const _: () = assert!(
    PRIOR_DB + RHYTHM_DB_MAX + UNDECLARED_DB + SMALL_DB + BY_HAND_DB < crate::alert::HIGH_DB_MIN
);
const _: () = assert!(PRIOR_DB + RETRIES_DB + UNDECLARED_DB < crate::alert::MEDIUM_DB_MIN);

fn judge(profile: &Profile<'_>, context: &Context<'_>) -> Option<Finding> {
    let story = Story::of(profile)?;
    let mut terms = Vec::new();
    if let Story::Timer(timer, _) = story {
        rhythm_terms(&timer, profile, &mut terms);
    }
    session_terms(story, profile, context, &mut terms);
    destination_terms(profile, context, &mut terms);
    // Whoever tries by hand and gets no answer has commanded nothing.
    if story != Story::Retries {
        origin_terms(context, &mut terms);
    }
    let finding = Finding {
        strategy: Cow::Borrowed(STRATEGY.id),
        summary: Cow::Borrowed(story.summary()),
        techniques: STRATEGY.techniques.iter().copied().map(Cow::Borrowed).collect(),
        terms,
        low_if: low_if(context),
        worth: Worth::Telling,
    };
    // What is expected is no news: most timers are somebody's.
    finding.worth_keeping()
}

/// How it came to run what it runs.
pub(super) fn origin_terms(context: &Context<'_>, terms: &mut Vec<Term>) {
    if matches!(context.origin, Origin::AdHoc | Origin::Exec) {
        let observed = "ad-hoc run, nothing keeps it".to_owned();
        terms.push(term(Family::Identity, RUNTIME, observed, "a workload", BY_HAND_DB));
    }
    if context.process.is_some_and(|process| process.in_image() == InImage::No) {
        let observed = "executable is not in the image".to_owned();
        terms.push(term(Family::Process, PROCESS, observed, "in the image", NOT_IN_IMAGE_DB));
    }
}

/// What happened, as far as it concerns this strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    /// Calls come by a timer.
    Timer(Timer, Who),
    /// Nobody accepts the calls.
    Retries,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    One,
    Train,
    Rotating,
}

impl Story {
    fn of(profile: &Profile<'_>) -> Option<Self> {
        if profile.manner != Manner::Connection {
            return None;
        }
        if profile.calls.mostly_fails() {
            return Some(Self::Retries);
        }
        let who = match profile.calls.together() {
            Together::Alone => Who::One,
            Together::Workload => Who::Train,
            Together::Name(_) => Who::Rotating,
        };
        Some(Self::Timer(profile.calls.timer()?, who))
    }

    const fn summary(self) -> &'static str {
        match self {
            Self::Retries => {
                "An application calls again and again where nobody accepts it: misconfigured, it seems."
            }
            Self::Timer(_, Who::One) => "A container calls the same far end by a timer.",
            Self::Timer(_, Who::Train) => {
                "Containers of one workload, a call or two each, call the same far end by a timer."
            }
            Self::Timer(_, Who::Rotating) => {
                "A container calls changing addresses of one name by a timer."
            }
        }
    }
}

/// What the test says, less what looking at all channels of a subject costs.
pub(super) fn rhythm_terms(timer: &Timer, profile: &Profile<'_>, terms: &mut Vec<Term>) {
    let is_young = profile.calls.count() <= YOUNG_CALL_COUNT_MAX;
    let channel_count_min = if is_young { CHANNEL_COUNT_MIN } else { 1 };
    let price = decibans_of(profile.channel_count.max(channel_count_min));
    let evidence_db = (timer.evidence_db - price).max(0);
    let observed = format!(
        "{}, {} calls{}; without a timer once in 10^{} subjects at most",
        rhythm(timer),
        profile.calls.count(),
        active(profile),
        evidence_db / 10,
    );
    let points_db = i16::try_from(evidence_db).unwrap_or(RHYTHM_DB_MAX).min(RHYTHM_DB_MAX);
    terms.push(term(Family::Rhythm, NETWORK, observed, "no timer", points_db));
    let many_db = i16::try_from(-decibans_of(profile.timer_count)).unwrap_or(ONE_OF_MANY_DB_MIN);
    if many_db < 0 {
        let observed = format!("one of {} timers of this subject", profile.timer_count);
        let points_db = many_db.max(ONE_OF_MANY_DB_MIN);
        terms.push(term(Family::Rhythm, NETWORK, observed, "a timer by itself", points_db));
    }
    if timer.period_ms < PERIOD_MS_MIN {
        let observed = "more often than anybody checks in".to_owned();
        terms.push(term(Family::Rhythm, NETWORK, observed, "a check-in", STREAM_DB));
    }
}

/// A timer in words.
fn rhythm(timer: &Timer) -> String {
    let seconds = timer.period_ms as f64 / 1000.0;
    let mut text = format!("every {seconds:.1} s");
    let mut say = |what: &str, percent: u8| {
        if percent > 0 {
            text.push_str(&format!(", {percent} % {what}"));
        }
    };
    say("jitter", timer.jitter_percent);
    say("lost", timer.loss_percent);
    say("longer each time", timer.growth_percent);
    text
}

fn active(profile: &Profile<'_>) -> String {
    const HOUR_MS: u64 = 3_600_000;
    let hours = profile.calls.span().as_millis() / HOUR_MS;
    if hours == 0 {
        return String::new();
    }
    format!(" within {hours} h, in {} hours of the day", profile.calls.hour_count())
}

fn session_terms(
    story: Story,
    profile: &Profile<'_>,
    context: &Context<'_>,
    terms: &mut Vec<Term>,
) {
    let calls = profile.calls;
    let mut push = |observed: String, expected, points_db| {
        terms.push(term(Family::Session, NETWORK, observed, expected, points_db));
    };
    if story == Story::Retries {
        let failed = calls.failed_count();
        let points_db = if context.is_by_hand() { RETRIES_BY_HAND_DB } else { RETRIES_DB };
        let how = in_vain(calls.first.state);
        push(format!("{failed} calls were not accepted: {how}"), "answers", points_db);
        return;
    }
    let (sent, received) = (calls.sent_bits(), calls.received_bits());
    let usual = |bits: f64| libm::round(libm::exp2(bits)) as u64;
    if sent >= BULK_SENT_BITS_MIN {
        push(format!("each call sends about {} bytes", usual(sent)), "small calls", BULK_DB);
    } else if sent <= SMALL_SENT_BITS_MAX && received <= SMALL_RECEIVED_BITS_MAX {
        let observed =
            format!("small calls: about {} bytes out, {} in", usual(sent), usual(received));
        push(observed, "work of changing size", SMALL_DB);
    }
    if profile.protocol == Some("ntp") {
        push("it obeys NTP".to_owned(), "a clock's timer", CLOCK_DB);
    }
}

/// How a call fails tells what is wrong with it.
const fn in_vain(state: Option<ConnState>) -> &'static str {
    match state {
        Some(ConnState::Rej) => "refused, as at a wrong port",
        _ => "nobody answers, as at a dead address",
    }
}

/// Who else goes there, and whether anybody has written it down.
pub(super) fn destination_terms(
    profile: &Profile<'_>,
    context: &Context<'_>,
    terms: &mut Vec<Term>,
) {
    let shared = profile.shared;
    let mut push = |witness, observed: String, points_db| {
        terms.push(term(Family::Destination, witness, observed, "declared or common", points_db));
    };
    let others = shared.other_count;
    let total = shared.workload_total;
    if is_link_local(profile.far.address) {
        push(NETWORK, "link-local, of the host or its cloud".to_owned(), LINK_LOCAL_DB);
    } else if context.declared == Declared::Yes {
        push(RUNTIME, "declared in the container's configuration".to_owned(), DECLARED_DB);
    } else if shared.is_common() {
        push(NETWORK, format!("{} of {total} workloads go there", others + 1), COMMON_DB);
    } else if shared.is_habit() {
        let (there, all) = (shared.replica_count, shared.replica_total);
        push(NETWORK, format!("{there} of {all} replicas do the same"), HABIT_DB);
    } else if context.declared == Declared::Mentioned {
        push(RUNTIME, MENTIONED.to_owned(), MENTIONED_DB);
    } else {
        let undeclared = matches!(context.declared, Declared::No | Declared::ByItself);
        match (undeclared, shared.is_own(), shared.is_rare()) {
            (true, true, _) => {
                push(RUNTIME, "undeclared, and of no other workload".to_owned(), UNDECLARED_DB);
            }
            (false, true, _) if shared.is_comparable() => {
                push(NETWORK, "of no other workload".to_owned(), ALONE_DB)
            }
            (true, false, true) => {
                push(RUNTIME, format!("undeclared, and of {others} other workloads"), RARE_DB);
            }
            _ => {}
        }
        if shared.is_pair() {
            push(NETWORK, "both replicas do the same".to_owned(), PAIR_DB);
        }
    }
}

const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

pub(super) fn low_if(context: &Context<'_>) -> Vec<Cow<'static, str>> {
    let mut all = Vec::new();
    if context.declared != Declared::Yes {
        all.push(Cow::Borrowed("the destination were declared in the container's configuration"));
    }
    all.push(Cow::Borrowed("most workloads, or all replicas of this one, called there too"));
    all
}

pub(super) const NETWORK: &str = "network";
const RUNTIME: &str = "runtime";
const PROCESS: &str = "process";

pub(super) fn term(
    family: Family,
    witness: &'static str,
    observed: String,
    expected: &'static str,
    points_db: i16,
) -> Term {
    let (witness, expected) = (Cow::Borrowed(witness), Cow::Borrowed(expected));
    Term { family, witness, observed, expected, points_db }
}
