//! Protocols for which containers are seldom sent to strangers: mining, chat, proxies, tunnels,
//! brokers, mail, files.

use engine::{Alert, Level};
use observation::{Certainty, Grammar, Side};

use crate::masks::{BOTH, Who, alerts_of, container};
use crate::table::FAR;
use crate::talk::Talk;
use crate::world::{Box_, START_MS, World};

const NEAR: Side = Side::Originator;
const OTHER: Side = Side::Responder;

/// Each protocol on its own port or nobody's, with its strategy and the level toward a stranger.
const ERRANDS: [(&str, u16, &str, Level); 12] = [
    ("stratum", 3333, "mining", Level::High),
    ("irc", 6667, "irc_c2", Level::Medium),
    ("socks", 1080, "proxy_c2", Level::Medium),
    ("tor", 9001, "proxy_c2", Level::Medium),
    ("openvpn", 1194, "tunnel_c2", Level::Medium),
    ("softether", 5004, "tunnel_c2", Level::Medium),
    ("wireguard", 51820, "tunnel_c2", Level::Medium),
    ("l2tp", 1701, "tunnel_c2", Level::Medium),
    ("mqtt", 1883, "pubsub_c2", Level::Medium),
    ("xmpp", 5222, "pubsub_c2", Level::Medium),
    ("smb", 445, "file_transfer_c2", Level::Medium),
    ("tftp", 69, "file_transfer_c2", Level::Medium),
];

/// What people type to try a server, and the level of one session that a workload has.
const TYPED: [(&str, u16, &str, Level); 6] = [
    ("nats", 4222, "pubsub_c2", Level::Medium),
    ("stomp", 61613, "pubsub_c2", Level::Medium),
    ("imap", 143, "mail_c2", Level::Medium),
    ("pop3", 110, "mail_c2", Level::Medium),
    ("smtp", 25, "mail_c2", Level::Low),
    ("ftp", 21, "file_transfer_c2", Level::Low),
];

fn speaking(protocol: &'static str) -> impl Fn(&mut Talk) {
    move |talk| {
        talk.sealed(NEAR, 1, 90).speaks(protocol).sealed(OTHER, 3, 200).sealed(NEAR, 1, 90);
    }
}

/// The level of this protocol from this container.
fn level_from(it: &Box_, port: u16, protocol: &'static str) -> Level {
    let mut world = World::new();
    world.start(it);
    let mut talk = Talk::open(it, 52_000, (FAR, port), START_MS + 250);
    world.socket(&talk, it.cgroup, it.pid);
    speaking(protocol)(&mut talk);
    world.talk(talk.end());
    world.alerts().iter().map(|alert| alert.level).max().unwrap_or(Level::Info)
}

fn says(alert: &Alert, family: engine::Family) -> Option<i16> {
    let of_family = alert.evidence.iter().filter(|term| term.family == family);
    of_family.map(|term| term.points_db).max()
}

#[test]
fn an_errand_to_a_stranger_is_found_by_its_own_strategy_and_its_main_term() {
    for who in BOTH {
        for (protocol, port, strategy, level) in ERRANDS {
            let alerts = alerts_of(who, (FAR, port), speaking(protocol));
            let alert = alerts.first().unwrap_or_else(|| panic!("{protocol} {who:?}"));
            assert_eq!((alert.strategy.as_ref(), alert.level), (strategy, level), "{who:?}");
            let main = says(alert, engine::Family::Session);
            assert_eq!(main, alert.evidence.iter().map(|term| term.points_db).max());
        }
    }
}

#[test]
fn one_session_that_somebody_types_is_a_trial_and_a_workload_tries_nothing() {
    for (protocol, port, strategy, expected) in TYPED {
        let by_hand = alerts_of(Who::AdHoc, (FAR, port), speaking(protocol));
        let [alert] = &*by_hand else { panic!("{protocol} {by_hand:#?}") };
        assert_eq!((alert.strategy.as_ref(), alert.level), (strategy, Level::Low), "{protocol}");
        let level = level_from(&container(Who::Workload), port, protocol);
        assert_eq!(level, expected, "{protocol}");
    }
}

#[test]
fn whoever_comes_again_and_again_does_not_try_any_longer() {
    for (protocol, port, strategy, _) in TYPED {
        let mut world = World::new();
        let it = container(Who::AdHoc);
        world.start(&it);
        for (number, second) in [(0_u16, 1), (1, 3), (2, 60), (3, 65), (4, 300)] {
            let mut talk = Talk::open(&it, 52_000 + number, (FAR, port), START_MS + second * 1_000);
            world.socket(&talk, it.cgroup, it.pid);
            speaking(protocol)(&mut talk);
            world.talk(talk.end());
        }
        let alert = world.alert();
        assert_eq!((&*alert.strategy, alert.level), (strategy, Level::Medium), "{protocol}");
    }
}

#[test]
fn a_broker_in_the_same_network_is_told_as_low() {
    let inside = "10.20.30.40".parse().unwrap();
    let alerts = alerts_of(Who::Workload, (inside, 1883), speaking("mqtt"));
    assert_eq!(alerts.iter().map(|alert| alert.level).max(), Some(Level::Low));
}

#[test]
fn a_database_is_a_broker_once_one_waits_for_its_messages() {
    let asking = |words: &'static str| {
        let alerts = alerts_of(Who::AdHoc, (FAR, 6379), |talk| {
            talk.say(NEAR, 1, words, Grammar::Obeyed).speaks("redis");
            talk.say(OTHER, 3, "+OK\r\n", Grammar::Obeyed).say(NEAR, 900, words, Grammar::Obeyed);
        });
        alerts.iter().map(|alert| (alert.strategy.to_string(), alert.level)).max()
    };
    let waits = asking("*2\r\n$9\r\nSUBSCRIBE\r\n$5\r\ntasks\r\n");
    assert_eq!(waits, Some((String::from("pubsub_c2"), Level::Medium)));
    assert_eq!(asking("*2\r\n$3\r\nGET\r\n$5\r\ntasks\r\n"), None);
}

#[test]
fn what_nobody_answers_is_no_errand() {
    for who in BOTH {
        for (protocol, port, _, _) in ERRANDS {
            let alerts = alerts_of(who, (FAR, port), |talk| {
                talk.sealed(NEAR, 1, 90).identified(protocol, Certainty::Proposed(NEAR));
            });
            let level = alerts.iter().map(|alert| alert.level).max();
            assert!(level.is_none_or(|level| level < Level::Medium), "{protocol} {who:?}");
        }
    }
}

#[test]
fn a_declared_destination_is_below_medium_except_for_a_pool() {
    for (protocol, port, _, _) in ERRANDS {
        let mut it = container(Who::Workload);
        it.environment = vec![format!("UPSTREAM={FAR}:{port}")];
        let level = level_from(&it, port, protocol);
        // Whoever brings a miner declares its pool.
        let expected = protocol == "stratum";
        assert_eq!(level >= Level::Medium, expected, "{protocol}: {level:?}");
        assert!(level < Level::High, "{protocol}");
    }
}

#[test]
fn a_gateway_that_was_given_capabilities_may_hold_a_tunnel() {
    let mut gateway = container(Who::Workload);
    gateway.privilege.capabilities_added = true;
    assert!(level_from(&gateway, 51820, "wireguard") < Level::Medium);
    assert_eq!(level_from(&gateway, 3333, "stratum"), Level::High, "it excuses no miner");
    // Whoever runs something by hand may write what he likes.
    let mut by_hand = container(Who::AdHoc);
    by_hand.privilege.capabilities_added = true;
    assert_eq!(level_from(&by_hand, 51820, "wireguard"), Level::Medium);
}

#[test]
fn ordinary_protocols_are_no_errands() {
    for who in BOTH {
        for protocol in ["http", "tls", "ssh", "redis", "postgresql", "git", "kafka", "ntp"] {
            let alerts = alerts_of(who, (FAR, 18_000), speaking(protocol));
            assert!(alerts.iter().all(|alert| alert.level < Level::Medium), "{protocol} {who:?}");
        }
    }
}

/// TLS, and inside of it what its certificates or its client alone say.
fn tls_with(protocol: &'static str, certainty: Certainty) -> impl Fn(&mut Talk) {
    move |talk| {
        talk.sealed(NEAR, 1, 500).speaks("tls").sealed(OTHER, 3, 2000);
        talk.identified(protocol, certainty).sealed(NEAR, 1, 90).sealed(OTHER, 3, 600);
    }
}

#[test]
fn tor_inside_tls_is_a_proxy_of_many_hops() {
    for who in BOTH {
        let alerts = alerts_of(who, (FAR, 443), tls_with("tor", Certainty::Confirmed));
        let alert = alerts.first().unwrap_or_else(|| panic!("{who:?}"));
        assert_eq!((alert.strategy.as_ref(), alert.level), ("proxy_c2", Level::Medium), "{who:?}");
        assert_eq!(&*alert.techniques, ["T1090.003", "T1071"], "{who:?}");
        let socks = alerts_of(who, (FAR, 1080), speaking("socks"));
        assert_eq!(&*socks[0].techniques, ["T1090", "T1071"], "{who:?}");
    }
}

#[test]
fn a_hello_that_looks_like_tors_accuses_nobody() {
    for who in BOTH {
        let alerts = alerts_of(who, (FAR, 443), tls_with("tor", Certainty::Proposed(NEAR)));
        assert!(alerts.iter().all(|alert| alert.strategy != "proxy_c2"), "{who:?} {alerts:#?}");
    }
}
