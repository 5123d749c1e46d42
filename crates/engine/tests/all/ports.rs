//! Protocols on other protocols' ports, and what is ordinary on a container platform.

use engine::Level;
use observation::{Grammar, Side, Transport};

use crate::masks::{BOTH, Who, alerts_of, container, level_of};
use crate::table::FAR;
use crate::talk::Talk;
use crate::world::{Box_, START_MS, World};

const NEAR: Side = Side::Originator;
const OTHER: Side = Side::Responder;

/// An exchange in this protocol, which both sides obey.
fn speaking(protocol: &'static str) -> impl Fn(&mut Talk) {
    move |talk| {
        talk.sealed(NEAR, 1, 90);
        talk.speaks(protocol);
        talk.sealed(OTHER, 3, 200).sealed(NEAR, 1, 90).sealed(OTHER, 3, 200);
    }
}

/// The level of datagrams in this protocol, or of unknown ones.
fn datagrams(who: Who, port: u16, protocol: Option<&'static str>) -> Level {
    let mut world = World::new();
    let it = container(who);
    world.start(&it);
    let near = (it.address, 52_000);
    let mut talk = Talk::open_at(it.port, Transport::Udp, near, (FAR, port), START_MS + 250);
    talk = talk.accepted();
    match protocol {
        Some(protocol) => speaking(protocol)(&mut talk),
        None => {
            for _ in 0..3 {
                talk.say(NEAR, 40, "\u{1}\u{2}\u{3}\u{4}", Grammar::None);
                talk.say(OTHER, 30, "\u{5}\u{6}\u{7}", Grammar::None);
            }
        }
    }
    world.talk(talk.end());
    world.alerts().iter().map(|alert| alert.level).max().unwrap_or(Level::Info)
}

#[test]
fn a_dns_tunnel_on_443_is_medium_and_named() {
    for who in BOTH {
        assert_eq!(datagrams(who, 443, Some("dns")), Level::Medium, "{who:?}");
        assert_eq!(datagrams(who, 53, Some("dns")), Level::Info, "{who:?}");
    }
    let alerts = alerts_of(Who::Workload, (FAR, 443), speaking("dns"));
    assert_eq!(alerts[0].strategy, "foreign_port");
    for technique in ["T1571", "T1071.004", "T1572"] {
        assert!(alerts[0].techniques.iter().any(|known| known == technique), "{technique}");
    }
}

#[test]
fn chat_and_proxies_on_443_are_medium_and_on_their_own_ports_not_foreign() {
    let is_foreign = |alert: &engine::Alert| alert.strategy == "foreign_port";
    for who in BOTH {
        assert!(level_of(who, 443, speaking("irc")) >= Level::Medium, "{who:?}");
        assert!(!alerts_of(who, (FAR, 6667), speaking("irc")).iter().any(is_foreign));
        assert!(level_of(who, 443, speaking("socks")) >= Level::Medium, "{who:?}");
        assert!(!alerts_of(who, (FAR, 1080), speaking("socks")).iter().any(is_foreign));
    }
}

#[test]
fn unknown_content_on_a_resolvers_or_a_clocks_port_is_medium() {
    for who in BOTH {
        assert!(datagrams(who, 53, None) >= Level::Medium, "{who:?}");
        assert!(datagrams(who, 123, None) >= Level::Medium, "{who:?}");
        // A QUIC connection that was under way looks the same.
        assert!(datagrams(who, 443, None) < Level::Medium, "{who:?}");
        assert_eq!(datagrams(who, 9999, None), Level::Info, "{who:?}");
    }
}

#[test]
fn ordinary_oddities_of_a_container_platform_are_not_told() {
    let ordinary = [
        ("http", 8080),
        ("http", 9090),
        ("http", 3000),
        ("http", 443),
        ("http", 9200),
        ("http2", 50051),
        ("http2", 9090),
        ("http2", 443),
        ("tls", 8443),
        ("tls", 6443),
        ("tls", 80),
        ("tls", 5432),
        ("ssh", 2222),
        ("ssh", 2200),
        ("ssh", 22),
        ("redis", 6380),
        ("postgresql", 5433),
        ("mysql", 33060),
        ("kafka", 29092),
        ("mongodb", 27018),
        ("memcached", 11212),
    ];
    for who in BOTH {
        for (protocol, port) in ordinary {
            let level = level_of(who, port, speaking(protocol));
            assert!(level < Level::Medium, "{protocol} on {port} {who:?}");
            if who == Who::Workload {
                let alerts = alerts_of(who, (FAR, port), speaking(protocol));
                assert!(alerts.is_empty(), "{protocol} on {port}");
            }
        }
    }
}

#[test]
fn neighbours_share_ports_as_they_like() {
    for who in BOTH {
        for (protocol, port) in
            [("redis", 5432), ("postgresql", 3306), ("http", 443), ("mqtt", 80), ("ssh", 443)]
        {
            let mut world = World::new();
            let neighbour = Box_::long_running(3, "/srv/thing");
            world.start(&neighbour);
            let it = container(who);
            world.start(&it);
            let mut talk = Talk::open(&it, 52_000, (neighbour.address, port), START_MS + 250);
            speaking(protocol)(&mut talk);
            world.talk(talk.end());
            let alerts = world.alerts();
            let loud = alerts.iter().any(|alert| alert.level >= Level::Medium);
            assert!(!loud, "{protocol} on {port} {who:?} {alerts:#?}");
        }
    }
}

#[test]
fn a_declared_far_end_is_below_medium() {
    let mut world = World::new();
    let mut it = container(Who::Workload);
    it.environment = vec![String::from("RESOLVER=198.51.100.10:443")];
    world.start(&it);
    let mut talk = Talk::open(&it, 52_000, (FAR, 443), START_MS + 250);
    speaking("dns")(&mut talk);
    world.talk(talk.end());
    assert!(world.alerts().iter().all(|alert| alert.level < Level::Medium));
}

#[test]
fn one_fact_is_not_two_where_two_strategies_see_it() {
    let mask_on_443 = |talk: &mut Talk| {
        speaking("ssh")(talk);
        talk.leaves(OTHER, "ssh");
        for _ in 0..2 {
            talk.say(OTHER, 900, "id\n", Grammar::Left);
            talk.say(NEAR, 5, "uid=0(root) gid=0(root)\n", Grammar::Left);
        }
    };
    let alerts = alerts_of(Who::Workload, (FAR, 443), mask_on_443);
    let alert = &alerts[0];
    assert_eq!(alerts.len(), 1);
    let speaks = |id: &str| alert.evidence.iter().any(|term| term.strategy == id);
    assert!(speaks("telnet_c2") && speaks("foreign_port"), "{alert:#?}");
    let session = alert.evidence.iter().filter(|term| {
        term.counts == engine::Counted::InSum
            && term.family == engine::Family::Session
            && term.points_db > 0
    });
    assert_eq!(session.count(), 1, "{alert:#?}");
    assert_eq!(alert.strategy, "protocol_mask");
}

// What follows is known to be wrong, and stands in ads.md as a false positive.

#[test]
fn gap_ssh_on_443_of_a_code_host_is_accused_when_somebody_tries_it_by_hand() {
    assert_eq!(level_of(Who::AdHoc, 443, speaking("ssh")), Level::Medium, "should be Low");
    assert_eq!(level_of(Who::Workload, 443, speaking("ssh")), Level::Low);
}
