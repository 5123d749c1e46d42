//! Containers that send on at once what they are sent, and proxies that were told to.

use std::net::IpAddr;

use engine::{Alert, Level, PeerRole};
use observation::{Grammar, Side};

use crate::servers::called;
use crate::table::FAR;
use crate::talk::Talk;
use crate::world::{Box_, START_MS, World};

const BEHIND: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 77));

/// What the container makes of what it relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Lockstep,
    /// It waits before it sends on.
    Late,
    /// It sends on something longer.
    Rewritten,
}

/// `rounds` exchanges through the container to `to`, in a protocol that both sides obey.
fn relay(world: &mut World, it: &Box_, to: (IpAddr, u16), rounds: u64, manner: Manner) {
    let ms = START_MS + 2_000;
    let mut outside = called(it, 4450, (FAR, 40_000), ms);
    let mut beyond = Talk::open(it, 52_000, to, ms + 3);
    for talk in [&mut outside, &mut beyond] {
        talk.speaks("tls");
    }
    let delay = if manner == Manner::Late { 700 } else { 2 };
    let longer = if manner == Manner::Rewritten { 60 } else { 0 };
    let mut now = ms + 50;
    for round in 0..rounds {
        let asked = 90 + round as usize * 17;
        let answered = 400 + round as usize * 31;
        let say = |talk: &mut Talk, at: u64, side, bytes: usize| {
            let pause = at - talk.now_ms;
            talk.say(side, pause, &"\u{1}".repeat(bytes), Grammar::Obeyed);
        };
        say(&mut outside, now, Side::Originator, asked);
        say(&mut beyond, now + delay, Side::Originator, asked + longer);
        say(&mut beyond, now + delay + 20, Side::Responder, answered);
        say(&mut outside, now + 2 * delay + 20, Side::Responder, answered + longer);
        now += [3_100, 1_900, 7_400, 1_700, 4_300, 2_200][round as usize % 6];
    }
    world.talk(outside.end());
    world.talk(beyond.end());
}

fn alerts_of(it: &Box_, manner: Manner) -> Vec<Alert> {
    let mut world = World::new();
    world.start(it);
    relay(&mut world, it, (BEHIND, 4460), 6, manner);
    world.alerts()
}

fn level_of(it: &Box_, manner: Manner) -> Level {
    alerts_of(it, manner).iter().map(|alert| alert.level).max().unwrap_or(Level::Info)
}

#[test]
fn a_redirector_in_a_throw_away_run_is_medium_and_by_a_raw_client_high() {
    let masked = Box_::throw_away(2, "/opt/healthd");
    let [alert] = &alerts_of(&masked, Manner::Lockstep)[..] else { panic!("no alert, or several") };
    assert_eq!((alert.strategy.as_ref(), alert.level), ("c2_server", Level::Medium));
    assert_eq!(alert.techniques, ["T1090.002"]);
    assert_eq!(alert.peer.role, PeerRole::Caller);
    let line = "socat TCP-LISTEN:4450,fork TCP:198.51.100.77:4460";
    assert_eq!(level_of(&Box_::throw_away(2, line), Manner::Lockstep), Level::High);
}

#[test]
fn a_proxy_that_was_told_where_to_go_is_below_medium() {
    let mut told = Box_::long_running(2, "/srv/proxy");
    told.environment = vec![format!("UPSTREAM={BEHIND}:4460")];
    assert!(level_of(&told, Manner::Lockstep) < Level::Low);
    // By a file that nobody sees, or by its command.
    assert!(level_of(&Box_::long_running(2, "/srv/proxy"), Manner::Lockstep) < Level::Medium);
    let line = "socat TCP-LISTEN:4450,fork TCP:198.51.100.77:4460";
    assert!(level_of(&Box_::long_running(2, line), Manner::Lockstep) < Level::Medium);
}

#[test]
fn a_proxy_before_a_neighbour_is_below_medium() {
    let mut world = World::new();
    let (it, app) = (Box_::throw_away(2, "/srv/proxy"), Box_::long_running(3, "/srv/app"));
    world.start(&it);
    world.start(&app);
    relay(&mut world, &it, (app.address, 4460), 6, Manner::Lockstep);
    assert!(world.alerts().iter().all(|alert| alert.level < Level::Medium));
}

#[test]
fn what_is_late_or_rewritten_or_said_once_is_no_relay() {
    let it = Box_::throw_away(2, "/opt/healthd");
    for manner in [Manner::Late, Manner::Rewritten] {
        let alerts = alerts_of(&it, manner);
        assert!(alerts.is_empty(), "{manner:?}: {alerts:#?}");
    }
    let mut world = World::new();
    world.start(&it);
    relay(&mut world, &it, (BEHIND, 4460), 2, Manner::Lockstep);
    assert!(world.alerts().is_empty());
}
