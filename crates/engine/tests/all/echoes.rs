//! Echoes that carry more than a ping does.

use engine::{Alert, Level};
use observation::{EchoSymmetry, Fact, LocalSide, Transport};

use crate::lookups::{ALL, Who};
use crate::table::FAR;
use crate::talk::Talk;
use crate::world::{Box_, START_MS, World};

/// Counts of echoes between a container and a stranger.
fn alerts_of(who: Who, counts: EchoSymmetry) -> Vec<Alert> {
    let mut world = World::new();
    let it = match who {
        Who::Workload => Box_::long_running(7, "/app/server"),
        Who::AdHoc | Who::Unnamed => Box_::throw_away(7, "/app/server"),
    };
    if who != Who::Unnamed {
        world.start(&it);
    }
    let mut talk =
        Talk::open_at(it.port, Transport::Icmp, (it.address, 8), (FAR, 0), START_MS + 250);
    talk.local = LocalSide::Originator;
    let symmetry = EchoSymmetry { flow: talk.flow, ..counts };
    talk.wait(30_000).fact(Fact::EchoSymmetry(symmetry));
    world.talk(talk.end());
    world.alerts()
}

fn level(who: Who, counts: EchoSymmetry) -> Level {
    alerts_of(who, counts).iter().map(|alert| alert.level).max().unwrap_or(Level::Info)
}

const TUNNEL: EchoSymmetry = EchoSymmetry {
    flow: observation::FlowId(0),
    request_count: 200,
    same_count: 0,
    different_count: 190,
    unasked_count: 0,
    payload_bytes_min: 28,
    payload_bytes_max: 1_052,
    length_count: 16,
    entropy_centibits_max: 780,
};

#[test]
fn a_tunnel_through_echoes_is_found_by_its_answers_and_lengths() {
    for who in ALL {
        let alerts = alerts_of(who, TUNNEL);
        assert_eq!(alerts.len(), 1, "{who:?}");
        assert_eq!(alerts[0].strategy, "icmp_c2");
        assert!(alerts[0].level >= Level::Medium, "{who:?}: {:?}", alerts[0].level);
        let main = alerts[0].evidence.iter().max_by_key(|term| term.points_db).unwrap();
        assert_eq!((main.strategy.as_ref(), main.family), ("icmp_c2", engine::Family::Session));
    }
    assert!(level(Who::AdHoc, TUNNEL) >= Level::High);
}

#[test]
fn a_tunnel_whose_answers_nobody_asked_for() {
    let pushed = EchoSymmetry { request_count: 0, different_count: 0, unasked_count: 90, ..TUNNEL };
    assert!(level(Who::Workload, pushed) >= Level::Medium);
}

#[test]
fn a_ping_is_no_tunnel() {
    let ping = EchoSymmetry {
        request_count: 3_600,
        same_count: 3_600,
        different_count: 0,
        payload_bytes_min: 56,
        payload_bytes_max: 56,
        length_count: 1,
        ..TUNNEL
    };
    for who in ALL {
        assert!(alerts_of(who, ping).is_empty(), "{who:?}");
        // Some answers were lost, and came late.
        let late = EchoSymmetry { same_count: 3_598, unasked_count: 2, ..ping };
        assert!(level(who, late) < Level::Medium, "{who:?}");
    }
}

#[test]
fn looking_for_an_mtu_is_below_medium() {
    let search = EchoSymmetry {
        request_count: 12,
        same_count: 9,
        different_count: 0,
        length_count: 12,
        ..TUNNEL
    };
    for who in ALL {
        assert!(level(who, search) < Level::Medium, "{who:?}");
    }
}

/// Data out through a kernel that answers truly: told, and not more than Low for a workload.
#[test]
fn requests_of_many_lengths_are_low() {
    let out = EchoSymmetry { same_count: 200, different_count: 0, ..TUNNEL };
    assert_eq!(level(Who::Workload, out), Level::Low);
    assert_eq!(level(Who::Unnamed, out), Level::Low);
    let alerts = alerts_of(Who::AdHoc, out);
    assert_eq!(alerts[0].strategy, "icmp_c2");
}
