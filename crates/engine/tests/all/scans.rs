//! Who tries many, and who only waits for a few.

use std::net::IpAddr;

use engine::Level;
use observation::{Side, Transport};

use crate::masks::{BOTH, Who, container};
use crate::table::FAR;
use crate::talk::Talk;
use crate::world::{Box_, START_MS, World};

/// Tries these in vain, four in a second.
fn tries(it: &Box_, ends: impl Iterator<Item = (IpAddr, u16)>) -> World {
    let mut world = World::new();
    world.start(it);
    for (number, far) in (0_u64..).zip(ends) {
        let near = (it.address, 40_000 + u16::try_from(number % 20_000).unwrap());
        let at = START_MS + 500 + number * 250;
        let mut talk = Talk::open_at(it.port, Transport::Tcp, near, far, at);
        world.talk(talk.wait(1).end());
    }
    world
}

fn level(world: &World) -> Level {
    world.alerts().iter().map(|alert| alert.level).max().unwrap_or(Level::Info)
}

fn host(number: u8) -> IpAddr {
    IpAddr::from([10, 1, 2, number])
}

#[test]
fn many_ports_are_a_scan_whoever_tries_them() {
    for who in BOTH {
        let world = tries(&container(who), (1_000..1_200).map(|port| (FAR, port)));
        let alerts = world.alerts();
        let [alert] = &*alerts else { panic!("{who:?} {alerts:#?}") };
        assert_eq!(alert.strategy, "scan_from_container");
        assert!(alert.level >= Level::Medium, "{who:?} {:#?}", alert.evidence);
        assert_eq!(alert.peer.endpoint, None, "all that it tries is one alert");
    }
}

#[test]
fn a_scan_by_a_raw_client_is_one_alert() {
    let it = Box_::throw_away(
        2,
        "bash -c 'for p in {1000..1041}; do exec 3<>/dev/tcp/203.0.113.9/$p; done'",
    );
    let world = tries(&it, (1_000..1_041).map(|port| (FAR, port)));
    let alerts = world.alerts();
    let [alert] = &*alerts else { panic!("{} alerts: {alerts:#?}", alerts.len()) };
    assert_eq!(alert.strategy, "scan_from_container");
    assert_eq!(alert.subjects[0].flow_count, 41, "each is counted");
}

/// Of many that are tried, the one that answers is a far end of its own.
#[test]
fn whoever_is_talked_to_among_many_is_told_by_itself() {
    let it = Box_::throw_away(
        2,
        "bash -c 'for p in {1000..1041}; do exec 3<>/dev/tcp/203.0.113.9/$p; done'",
    );
    let mut world = tries(&it, (1_000..1_041).map(|port| (FAR, port)));
    let mut talk = Talk::open(&it, 50_000, (FAR, 1_020), START_MS + 20_000);
    talk.far(400, "id\n").near(6, "uid=0(root) gid=0(root)\n");
    talk.far(900, "ls /\n").near(7, "bin\ndev\netc\nproc\n");
    world.talk(talk.end());
    let alerts = world.alerts();
    let mut strategies: Vec<&str> = alerts.iter().map(|alert| &*alert.strategy).collect();
    strategies.sort_unstable();
    assert_eq!(strategies, ["scan_from_container", "telnet_c2"]);
}

#[test]
fn a_look_around_the_cluster_is_a_scan() {
    let ends = || (1..=16).flat_map(|number| [22, 80, 443, 6443].map(|port| (host(number), port)));
    for who in BOTH {
        assert!(level(&tries(&container(who), ends())) >= Level::Medium, "{who:?}");
    }
}

#[test]
fn some_ports_are_a_scan_by_hand() {
    let ports = || (1_000..1_033).map(|port| (FAR, port));
    assert!(level(&tries(&container(Who::AdHoc), ports())) >= Level::Medium);
    assert!(level(&tries(&container(Who::Workload), ports())) < Level::Medium);
}

/// The separating fact is how many are tried.
#[test]
fn whoever_waits_for_a_few_scans_nobody() {
    let few = || [5432, 6379, 9092].map(|port| (FAR, port)).into_iter().cycle().take(300);
    for who in BOTH {
        let alerts = tries(&container(who), few()).alerts();
        let scans = alerts.iter().any(|alert| alert.strategy == "scan_from_container");
        assert!(!scans, "{who:?} {alerts:#?}");
    }
}

#[test]
fn whoever_watches_a_cluster_that_was_taken_down_is_below_medium() {
    let down = || (1..=60).cycle().take(240).map(|number| (host(number), 9100));
    assert!(level(&tries(&container(Who::Workload), down())) < Level::Medium);
}

#[test]
fn attempts_that_lie_far_apart_are_no_scan() {
    let it = container(Who::AdHoc);
    let mut world = World::new();
    world.start(&it);
    for number in 0..200_u16 {
        let at = START_MS + 500 + u64::from(number) * 400_000;
        let near = (it.address, 40_000 + number);
        let mut talk = Talk::open_at(it.port, Transport::Tcp, near, (FAR, 1_000 + number), at);
        world.talk(talk.wait(1).end());
    }
    assert!(level(&world) < Level::Medium);
}

#[test]
fn whoever_talks_to_as_many_is_below_medium() {
    let it = container(Who::AdHoc);
    let mut world = tries(&it, (1_000..1_040).map(|port| (FAR, port)));
    for number in 0..60_u16 {
        let at = START_MS + 700 + u64::from(number) * 230;
        let mut talk = Talk::open(&it, 20_000 + number, (host(9), 30_000 + number), at);
        talk.speaks("bittorrent").sealed(Side::Originator, 1, 68).sealed(Side::Responder, 3, 68);
        world.talk(talk.end());
    }
    assert!(level(&world) < Level::Medium, "{:#?}", world.alerts());
}
