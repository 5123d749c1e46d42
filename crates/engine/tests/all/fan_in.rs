//! Several callers that check in at a port of a container, and what only looks like it.

use std::net::IpAddr;

use engine::{Alert, Family, Level, PeerRole};
use observation::{Grammar, Side};

use crate::habits::Dice;
use crate::servers::called;
use crate::world::{Box_, START_MS, World};

const CALLS: u32 = 40;

/// How the callers of a port behave.
#[derive(Clone, Copy, Debug)]
struct Callers {
    count: u8,
    network: [u8; 3],
    protocol: Option<&'static str>,
    gap: fn(f64, &mut Dice) -> f64,
}

/// A timer with a tenth of jitter.
fn timer(period: f64, dice: &mut Dice) -> f64 {
    period * (0.9 + 0.2 * dice.part())
}

/// Calls of people.
fn at_will(period: f64, dice: &mut Dice) -> f64 {
    dice.exponential(period)
}

const BEACONS: Callers = Callers { count: 4, network: [198, 51, 100], protocol: None, gap: timer };

fn alerts_of(it: &Box_, port: u16, callers: Callers) -> Vec<Alert> {
    let mut world = World::new();
    world.start(it);
    call(&mut world, it, port, callers);
    world.alerts()
}

fn call(world: &mut World, it: &Box_, port: u16, callers: Callers) {
    for number in 0..callers.count {
        let [a, b, c] = callers.network;
        let address = IpAddr::from([a, b, c, 20 + number]);
        let mut dice = Dice::new(u64::from(number) + 7);
        let mut seconds = 5.0 + 40.0 * dice.part();
        for round in 0..CALLS {
            let near = 40_000 + u16::try_from(round).unwrap();
            let ms = START_MS + (seconds * 1000.0) as u64;
            let mut talk = called(it, port, (address, near), ms);
            let grammar = if let Some(protocol) = callers.protocol {
                talk.speaks(protocol);
                Grammar::Obeyed
            } else {
                Grammar::None
            };
            talk.say(Side::Originator, 5, "\u{1}\u{2}\u{3}\u{7}", grammar);
            talk.say(Side::Responder, 3, "\u{1}\u{0}\u{5}", grammar);
            world.talk(talk.end());
            seconds += (callers.gap)(45.0 + 5.0 * f64::from(number), &mut dice);
        }
    }
}

fn level_of(it: &Box_, port: u16, callers: Callers) -> Level {
    let mut world = World::new();
    world.start(it);
    told(world, it, port, callers)
}

/// The highest level of this world, once these have called.
fn told(mut world: World, it: &Box_, port: u16, callers: Callers) -> Level {
    call(&mut world, it, port, callers);
    world.alerts().iter().map(|alert| alert.level).max().unwrap_or(Level::Info)
}

fn workload() -> Box_ {
    Box_::long_running(2, "/srv/shop --port 80")
}

#[test]
fn several_callers_with_a_timer_each_at_an_undeclared_port_are_medium_and_one_alert() {
    for it in [workload(), Box_::throw_away(2, "/opt/healthd")] {
        let alerts = alerts_of(&it, 8765, BEACONS);
        let [alert] = alerts.as_slice() else { panic!("{alerts:#?}") };
        assert_eq!((alert.strategy.as_ref(), alert.level), ("c2_server", Level::Medium));
        let main = alert.evidence.iter().max_by_key(|term| term.points_db).unwrap();
        assert_eq!(main.family, Family::Rhythm);
        assert!(main.observed.starts_with("4 of 4 callers"), "{}", main.observed);
        assert_eq!(alert.peer.role, PeerRole::Caller);
        assert!(alert.subjects[0].flow_count >= CALLS);
    }
}

#[test]
fn a_collector_and_a_health_check_are_no_fan_in() {
    for count in [1, 2] {
        let alerts = alerts_of(&workload(), 8765, Callers { count, ..BEACONS });
        assert!(alerts.is_empty(), "{alerts:#?}");
    }
}

#[test]
fn what_services_are_called_for_is_below_medium() {
    let speaking = Callers { protocol: Some("http"), ..BEACONS };
    let people = Callers { gap: at_will, ..BEACONS };
    assert!(level_of(&workload(), 80, BEACONS) < Level::Medium, "a declared port");
    assert!(level_of(&workload(), 8765, speaking) < Level::Medium, "a known grammar");
    assert_eq!(level_of(&workload(), 8765, people), Level::Info, "no timer");
}

#[test]
fn containers_on_one_machine_may_call_each_other() {
    let neighbours = Callers { network: [172, 17, 0], ..BEACONS };
    let it = workload();
    let mut world = World::new();
    world.start(&it);
    let alone = told(world.clone(), &it, 8765, neighbours);
    assert_eq!(alone, Level::Medium, "their addresses are nobody's that we know");
    (20..24).for_each(|number| world.start(&Box_::long_running(number, "/srv/agent")));
    assert!(told(world, &it, 8765, neighbours) < Level::Medium);
}
