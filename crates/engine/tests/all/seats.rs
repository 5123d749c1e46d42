//! Who has the keyboard where nothing can be read, and what stays open for hours.

use engine::Level;
use observation::{Grammar, Side};

use crate::masks::{BOTH, Who, alerts_of, container, types};
use crate::table::FAR;
use crate::talk::Talk;
use crate::world::{Box_, START_MS, World};

const NEAR: Side = Side::Originator;
const OTHER: Side = Side::Responder;

/// Bytes that are no text and no protocol.
fn strange(talk: &mut Talk, side: Side, pause: u64, bytes: usize) {
    talk.say(side, pause, &"\u{1}\u{2}\u{5}".repeat(bytes.div_ceil(3)), Grammar::None);
}

/// Short commands after a person's pauses, and answers of all sizes at once.
fn commands(talk: &mut Talk, count: usize) {
    let pauses = [300, 300, 4000, 9000, 2500, 7000, 1500, 5200, 1900, 3300];
    let sizes = [60, 90, 900, 200, 1300, 90, 700, 60, 1100, 400];
    for (pause, size) in pauses.into_iter().zip(sizes).take(count) {
        strange(talk, OTHER, pause, 24);
        strange(talk, NEAR, 20, size);
    }
}

#[test]
fn whole_commands_in_no_known_protocol_are_found() {
    for who in BOTH {
        let alerts = alerts_of(who, (FAR, 4460), |talk| commands(talk, 10));
        let [alert] = &*alerts else { panic!("{who:?} {alerts:#?}") };
        assert_eq!(alert.strategy, "interactive_shell");
        assert!(alert.level >= Level::Medium, "{who:?} {:#?}", alert.evidence);
    }
}

#[test]
fn whole_commands_inside_tls_are_found_once_they_are_many() {
    let inside = |count: usize| {
        move |talk: &mut Talk| {
            talk.speaks("tls").sealed(NEAR, 1, 517).sealed(OTHER, 4, 2900);
            talk.sealed(NEAR, 1, 80).sealed(OTHER, 4, 500);
            let pauses = [4000, 9000, 2500, 7000, 1500, 5200, 1900, 3300];
            let sizes = [60, 900, 200, 1300, 90, 700, 60, 1100];
            for (pause, size) in pauses.into_iter().zip(sizes).take(count) {
                talk.sealed(OTHER, pause, 60).sealed(NEAR, 20, size);
            }
        }
    };
    for who in BOTH {
        let alerts = alerts_of(who, (FAR, 443), inside(8));
        let level = alerts.iter().map(|alert| alert.level).max();
        assert_eq!(level, Some(Level::Medium), "{who:?} {alerts:#?}");
        let few = alerts_of(who, (FAR, 443), inside(4));
        assert!(few.iter().all(|alert| alert.level < Level::Medium), "{who:?}");
    }
}

#[test]
fn keys_inside_ssh_are_found() {
    for who in BOTH {
        let alerts = alerts_of(who, (FAR, 22), |talk| {
            talk.speaks("ssh").sealed(NEAR, 1, 40).sealed(OTHER, 4, 40);
            talk.sealed(NEAR, 1, 900).sealed(OTHER, 4, 900);
            types(talk, OTHER);
        });
        let level = alerts.iter().map(|alert| alert.level).max();
        assert!(level >= Some(Level::Medium), "{who:?} {alerts:#?}");
    }
}

/// The separating fact is who leads.
#[test]
fn a_client_that_asks_at_a_persons_pace_is_silent() {
    for who in BOTH {
        let alerts = alerts_of(who, (FAR, 4462), |talk| {
            for (pause, size) in [(4000, 900), (9000, 60), (2500, 1300), (7000, 90), (1500, 700)] {
                strange(talk, NEAR, pause, 24);
                strange(talk, OTHER, 20, size);
            }
        });
        assert!(alerts.is_empty(), "{who:?} {alerts:#?}");
    }
}

#[test]
fn a_server_that_pushes_and_is_confirmed_is_below_medium() {
    for who in BOTH {
        let alerts = alerts_of(who, (FAR, 4462), |talk| {
            for pause in [4000, 9000, 2500, 7000, 1500, 3100, 8000, 2100, 4400] {
                strange(talk, OTHER, pause, 200 + usize::try_from(pause).unwrap() / 20);
                strange(talk, NEAR, 20, 9);
            }
        });
        let level = alerts.iter().map(|alert| alert.level).max();
        assert!(level.is_none_or(|level| level < Level::Medium), "{who:?} {alerts:#?}");
    }
}

// What stays open for hours.

/// Signs of life of both sides for so many minutes.
fn stays(it: &Box_, minutes: u64, others: u64) -> Vec<engine::Alert> {
    let mut world = World::new();
    world.start(it);
    // As people ask: by a timer it would be a beacon.
    let mut waits = [2, 60, 5, 700, 31, 9, 250, 3, 1200, 17, 1, 1, 90].into_iter().cycle();
    let mut at = START_MS + 500;
    for number in 0..others {
        let near = 40_000 + u16::try_from(number).unwrap();
        let far = ([198, 51, 100, 77].into(), 443);
        at += waits.next().unwrap() * 1_000;
        let mut talk = Talk::open(it, near, far, at);
        talk.speaks("tls").sealed(NEAR, 1, 517).sealed(OTHER, 4, 2900);
        world.talk(talk.end());
    }
    let mut talk = Talk::open(it, 52_000, (FAR, 4463), START_MS + 1_000_000);
    world.socket(&talk, it.cgroup, it.pid);
    let mut pauses = [1_u64, 40, 2, 2, 25, 1, 9, 50, 3].into_iter().cycle();
    let mut open = 0;
    while open < minutes {
        let pause = pauses.next().unwrap();
        open += pause;
        strange(&mut talk, NEAR, pause * 60_000, 6);
        strange(&mut talk, OTHER, 9, 6);
    }
    world.talk(talk.end());
    world.alerts()
}

#[test]
fn what_stays_open_for_hours_and_says_little_is_found() {
    let alerts = stays(&container(Who::Workload), 600, 20);
    let [alert] = &*alerts else { panic!("{alerts:#?}") };
    assert_eq!(alert.strategy, "long_connection");
    assert!(alert.level >= Level::Medium, "{:#?}", alert.evidence);
    // The separating fact is how long.
    assert!(stays(&container(Who::Workload), 45, 20).is_empty());
    // Where nothing shorter is known, it is not so strange.
    let alone = stays(&container(Who::Workload), 600, 0);
    assert!(alone.iter().all(|alert| alert.level < Level::Medium), "{alone:#?}");
}

#[test]
fn a_declared_agent_may_stay_open() {
    let mut it = container(Who::Workload);
    it.environment = vec![format!("AGENT_SERVER={FAR}:4463")];
    let alerts = stays(&it, 600, 20);
    assert!(alerts.iter().all(|alert| alert.level < Level::Medium), "{alerts:#?}");
}
