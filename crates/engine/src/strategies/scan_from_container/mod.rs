//! A container that tries many ports or many hosts and talks to hardly any: T1046. See `ads.md`.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::format;
use alloc::vec::Vec;

use observation::FactKind;

use super::terms::{self, Identity, NETWORK, term};
use super::{Detect, Strategy};
use crate::alert::{Family, Maturity};
use crate::context::Context;
use crate::evidence::{Finding, Term};
use crate::surveys::Survey;

pub(super) static STRATEGY: Strategy = Strategy {
    id: "scan_from_container",
    techniques: &["T1046"],
    maturity: Maturity::Stable,
    listens: &[FactKind::FlowClosed],
    ads: include_str!("ads.md"),
    concerns: |_| false,
    detect: Detect::Survey(judge),
};

// Session: what was tried. Only the strongest counts.

/// So many ports that nobody looks for a service that he knows.
const MANY_PORTS_DB: i16 = 24;
const MANY_PORT_COUNT_MIN: usize = 64;
/// Several ports of several hosts.
const GRID_DB: i16 = 24;
const GRID_HOST_COUNT_MIN: usize = 8;
const GRID_PORT_COUNT_MIN: usize = 4;
const GRID_END_COUNT_MIN: usize = 48;
/// Some ports: whoever starts a group of services looks for a few.
const SOME_PORTS_DB: i16 = 19;
const SOME_PORT_COUNT_MIN: usize = 16;
/// Hosts without end: a cluster that was taken down looks so to whoever watches it.
const MANY_HOSTS_DB: i16 = 19;
const MANY_HOST_COUNT_MIN: usize = 128;
/// Some hosts.
const SOME_HOSTS_DB: i16 = 13;
const SOME_HOST_COUNT_MIN: usize = 32;

/// Against: it talks to others meanwhile, as whoever works with many does. Capped, since whoever
/// scans may talk to himself.
const TALKS_DB: i16 = -8;
/// From so many conversations for each attempt in vain on, it works with many.
const TALKS_PER_IDLE_MIN: u32 = 1;

/// Identity: somebody has started it by hand.
const BY_HAND_DB: i16 = 5;
/// Process: its executable was not shipped with the image.
const NOT_IN_IMAGE_DB: i16 = 8;

const _: () = assert!(SOME_PORT_COUNT_MIN < MANY_PORT_COUNT_MIN);
const _: () = assert!(SOME_HOST_COUNT_MIN < MANY_HOST_COUNT_MIN);

const IDENTITY: Identity = Identity::by_hand(BY_HAND_DB);

fn judge(survey: &Survey, context: &Context<'_>) -> Option<Finding> {
    let (observed, points_db) = tried(survey)?;
    let expected = "a few that are there";
    let mut terms = alloc::vec![term(
        Family::Session,
        NETWORK,
        describe(survey, observed),
        expected,
        points_db
    )];
    talks(survey, &mut terms);
    terms::identity(context, IDENTITY, &mut terms);
    terms::process(context, NOT_IN_IMAGE_DB, &mut terms);
    STRATEGY.finding(
        "A container tries many far ends and talks to hardly any.",
        terms,
        alloc::vec![Cow::Borrowed("most of those that it called had been there")],
    )
}

fn tried(survey: &Survey) -> Option<(&'static str, i16)> {
    let (hosts, ports) = (survey.host_count(), survey.port_count());
    let is_grid = hosts >= GRID_HOST_COUNT_MIN
        && ports >= GRID_PORT_COUNT_MIN
        && survey.end_count() >= GRID_END_COUNT_MIN;
    let all = [
        (ports >= MANY_PORT_COUNT_MIN, "many ports", MANY_PORTS_DB),
        (is_grid, "several ports of several hosts", GRID_DB),
        (ports >= SOME_PORT_COUNT_MIN, "some ports", SOME_PORTS_DB),
        (hosts >= MANY_HOST_COUNT_MIN, "many hosts", MANY_HOSTS_DB),
        (hosts >= SOME_HOST_COUNT_MIN, "some hosts", SOME_HOSTS_DB),
    ];
    let found = all.into_iter().find(|(holds, ..)| *holds);
    found.map(|(_, observed, points_db)| (observed, points_db))
}

fn describe(survey: &Survey, what: &str) -> alloc::string::String {
    let (hosts, ports) = (survey.host_count(), survey.port_count());
    let count = survey.idle_count;
    format!("{what}: {count} attempts in vain at {hosts} hosts and {ports} ports")
}

fn talks(survey: &Survey, terms: &mut Vec<Term>) {
    let enough = survey.idle_count.saturating_mul(TALKS_PER_IDLE_MIN);
    if survey.talk_count >= enough {
        let observed = "it talks to as many as it tries in vain".to_owned();
        terms.push(term(Family::Session, NETWORK, observed, "hardly any", TALKS_DB));
    }
}
