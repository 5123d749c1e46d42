//! Shells inside TLS: the far end has the first word. Beside them, all who open TLS to ask.

use engine::{Alert, Level};
use observation::{Certainty, Certificate, Fact, Handshake, Side, Time, TlsHello, TlsSession};

use crate::masks::{BOTH, Who, alerts_of, container, types};
use crate::table::FAR;
use crate::talk::{Speak, Talk};
use crate::world::{START_MS, World};

const NEAR: Side = Side::Originator;
const OTHER: Side = Side::Responder;
const NOBODY: &str = "";
const SOMEBODY: &str = "api.example.com";

/// A whole handshake with tickets, the client's last words being so long.
fn open(talk: &mut Talk, server_name: &'static str, finish_bytes: usize) {
    let ja4 = "t13d3112h1_e8f1e7e78f70_b26ce05bbdd6".into();
    let server_name = server_name.into();
    let hello = TlsHello { flow: talk.flow, server_name, ja4, ..TlsHello::default() };
    talk.fact(Fact::TlsHello(hello)).identified("tls", Certainty::Proposed(NEAR));
    talk.sealed(NEAR, 1, 297).speaks("tls").sealed(OTHER, 4, 1331);
    talk.sealed(NEAR, 1, finish_bytes).handshake(Handshake::Completed).sealed(OTHER, 1, 510);
}

/// Five commands in eighteen seconds, as a person gives them.
fn commands(talk: &mut Talk) {
    let lines = [(2_940, 25, 61), (4_640, 31, 90), (5_000, 38, 1293), (2_170, 31, 1477)];
    for (pause, line, output) in lines.into_iter().chain([(2_870, 26, 35)]) {
        talk.sealed(OTHER, pause, line).sealed(NEAR, 5, output);
    }
}

/// The same where nothing is known but the packets.
fn unnamed(speak: impl Fn(&mut Talk)) -> Vec<Alert> {
    let mut world = World::new();
    let mut talk = Talk::open(&container(Who::AdHoc), 52_000, (FAR, 8443), START_MS + 250);
    speak(&mut talk);
    world.talk(talk.end());
    world.alerts()
}

fn loudest(alerts: &[Alert]) -> Level {
    alerts.iter().map(|alert| alert.level).max().unwrap_or(Level::Info)
}

#[test]
fn a_shell_inside_tls_is_found_whoever_runs_it() {
    // As `sh` has nothing to say, or with its prompt.
    for finish_bytes in [80, 152] {
        for who in BOTH {
            let alerts = alerts_of(who, (FAR, 8443), |talk| {
                open(talk, NOBODY, finish_bytes);
                commands(talk);
            });
            let [alert] = &*alerts else { panic!("{who:?} {alerts:#?}") };
            assert_eq!((alert.level, &*alert.strategy), (Level::Medium, "interactive_shell"));
            assert!(alert.evidence.iter().any(|term| term.observed.contains("the first word")));
        }
    }
}

#[test]
fn the_packets_alone_are_enough_where_nobody_is_named() {
    let of = |server_name: &'static str| {
        unnamed(|talk| {
            open(talk, server_name, 80);
            commands(talk);
        })
    };
    assert_eq!(loudest(&of(NOBODY)), Level::Medium);
    assert!(loudest(&of(SOMEBODY)) < Level::Medium);
    let typed = |server_name: &'static str| {
        unnamed(|talk| {
            open(talk, server_name, 80);
            types(talk, OTHER);
        })
    };
    assert_eq!(loudest(&typed(NOBODY)), Level::Medium);
    assert!(loudest(&typed(SOMEBODY)) < Level::Medium);
}

#[test]
fn a_command_every_five_minutes_is_found_and_a_ping_is_not() {
    let every = |answers: [usize; 6]| {
        unnamed(|talk| {
            open(talk, NOBODY, 80);
            for bytes in answers {
                talk.sealed(OTHER, 300_000, 30).sealed(NEAR, 5, bytes);
            }
        })
    };
    assert_eq!(loudest(&every([61, 27, 35, 90, 38, 24])), Level::Medium);
    assert!(loudest(&every([27, 27, 27, 27, 27, 28])) < Level::Medium);
}

/// The separating fact is who asks.
#[test]
fn who_asks_first_is_served() {
    let twins: [(&str, &str, Speak); 4] = [
        ("a WebSocket that is pushed to", NOBODY, |talk| {
            talk.sealed(NEAR, 1, 230).sealed(OTHER, 4, 150);
            for (pause, bytes) in [(2_100, 90), (7_900, 60), (3_000, 85), (4_400, 180), (8_000, 90)]
            {
                talk.sealed(OTHER, pause, bytes).sealed(NEAR, 1, 34);
            }
        }),
        ("a broker that is subscribed to", NOBODY, |talk| {
            talk.sealed(NEAR, 1, 36).sealed(OTHER, 1, 27).sealed(NEAR, 1, 32).sealed(OTHER, 1, 27);
            for (pause, bytes) in [(2_100, 90), (7_900, 60), (3_000, 85), (4_400, 180), (8_000, 90)]
            {
                talk.sealed(OTHER, pause, bytes).sealed(NEAR, 1, 26);
            }
        }),
        ("an agent that waits for work and brings results", SOMEBODY, |talk| {
            talk.sealed(NEAR, 1, 300);
            let work = [(5_140, 99, 2469), (7_620, 120, 157), (2_990, 85, 1063), (1_910, 52, 1546)];
            for (pause, bytes, result) in work {
                talk.sealed(OTHER, pause, bytes).sealed(NEAR, 1, result);
            }
        }),
        ("a database that is asked", NOBODY, |talk| {
            for (pause, query, rows) in [(1, 90, 4000), (1_400, 70, 90), (3_900, 200, 900)] {
                talk.sealed(NEAR, pause, query).sealed(OTHER, 9, rows);
            }
        }),
    ];
    for (name, server_name, speak) in twins {
        for who in BOTH {
            let alerts = alerts_of(who, (FAR, 8443), |talk| {
                open(talk, server_name, 80);
                speak(talk);
            });
            assert!(loudest(&alerts) < Level::Medium, "{name} {who:?} {alerts:#?}");
        }
    }
}

#[test]
fn a_declared_control_plane_may_have_the_first_word() {
    let mut it = container(Who::Workload);
    it.environment = vec![format!("CONTROL={FAR}:8443")];
    let mut world = World::new();
    world.start(&it);
    let mut talk = Talk::open(&it, 52_000, (FAR, 8443), START_MS + 250);
    world.socket(&talk, it.cgroup, it.pid);
    open(&mut talk, NOBODY, 80);
    commands(&mut talk);
    world.talk(talk.end());
    assert!(loudest(&world.alerts()) < Level::Medium);
}

#[test]
fn a_certificate_that_nobody_has_signed_weighs_more() {
    let shown = |names: &'static [&'static str]| {
        let alerts = unnamed(|talk| {
            open(talk, NOBODY, 80);
            let certificate = Some(Certificate {
                subject: "CN=Server".into(),
                issuer: "CN=Authority".into(),
                not_before: Time(0),
                not_after: Time(90 * 86_400_000_000_000),
                names: names.iter().map(|name| (*name).into()).collect(),
                chain_count: 1,
            });
            let outcome = Handshake::Completed;
            let flow = talk.flow;
            let session = TlsSession { flow, outcome, certificate, ..TlsSession::default() };
            talk.fact(Fact::TlsSession(session));
            commands(talk);
        });
        alerts[0].sum_db
    };
    assert!(shown(&[]) > shown(&["a.example"]));
}
