//! Protocols that are left or used backwards, and what only looks like it.

use std::net::IpAddr;

use engine::{Alert, Level};
use observation::{Certainty, EchoSymmetry, Fact, Flaws, Grammar, Side, Transport};

use crate::table::FAR;
use crate::talk::{Speak, Talk};
use crate::world::{Box_, START_MS, World};

const NEAR: Side = Side::Originator;
const OTHER: Side = Side::Responder;

/// Who opens the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    AdHoc,
    Workload,
}

pub(crate) const BOTH: [Who; 2] = [Who::AdHoc, Who::Workload];

pub(crate) fn container(who: Who) -> Box_ {
    match who {
        Who::AdHoc => Box_::throw_away(2, "/opt/job"),
        Who::Workload => Box_::long_running(2, "/srv/shop --port 80"),
    }
}

/// The alerts of a conversation with this far end.
pub(crate) fn alerts_of(who: Who, far: (IpAddr, u16), speak: impl Fn(&mut Talk)) -> Vec<Alert> {
    let mut world = World::new();
    let it = container(who);
    world.start(&it);
    let mut talk = Talk::open(&it, 52_000, far, START_MS + 250);
    world.socket(&talk, it.cgroup, it.pid);
    speak(&mut talk);
    world.talk(talk.end());
    world.alerts()
}

pub(crate) fn level_of(who: Who, port: u16, speak: impl Fn(&mut Talk)) -> Level {
    let alerts = alerts_of(who, (FAR, port), speak);
    alerts.iter().map(|alert| alert.level).max().unwrap_or(Level::Info)
}

fn left(talk: &mut Talk, side: Side, pause: u64, text: &str) {
    talk.say(side, pause, text, Grammar::Left);
}

fn shell(talk: &mut Talk) {
    left(talk, OTHER, 900, "id\n");
    left(talk, NEAR, 5, "uid=0(root) gid=0(root)\n");
    left(talk, OTHER, 1200, "ls /\n");
    left(talk, NEAR, 6, "bin\ndev\netc\nproc\n");
}

/// A shell that prints nothing that could be known.
fn strange_shell(talk: &mut Talk) {
    left(talk, OTHER, 900, "aWQ=\n");
    left(talk, NEAR, 5, "dWlkPTAocm9vdCk=\n");
    left(talk, OTHER, 1200, "bHM=\n");
    left(talk, NEAR, 6, "YmluIGRldg==\n");
}

fn ssh_banner(talk: &mut Talk) {
    talk.say(OTHER, 3, "SSH-2.0-OpenSSH_9.2\r\n", Grammar::Obeyed);
    talk.identified("ssh", Certainty::Proposed(OTHER));
}

fn ssh_banners(talk: &mut Talk) {
    ssh_banner(talk);
    talk.say(NEAR, 2, "SSH-2.0-OpenSSH_9.6\r\n", Grammar::Obeyed);
    talk.speaks("ssh");
}

fn client_hello(talk: &mut Talk) {
    talk.hello("h2,http/1.1", "t13d1516h2_8daaf6152771_b186095e22b6");
    talk.identified("tls", Certainty::Proposed(NEAR));
    talk.sealed(NEAR, 1, 517);
}

fn http_exchange(talk: &mut Talk) {
    talk.identified("http", Certainty::Proposed(NEAR));
    talk.say(NEAR, 1, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", Grammar::Obeyed);
    talk.speaks("http");
    talk.say(OTHER, 3, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Grammar::Obeyed);
}

/// Each of these opens as what it names.
const MASKS: [(&str, u16, Speak); 5] = [
    ("ssh", 22, ssh_banners),
    ("tls", 443, client_hello),
    ("http", 80, http_exchange),
    ("irc", 6667, |talk| {
        talk.say(NEAR, 1, "NICK a\r\nUSER a 0 * :a\r\n", Grammar::Obeyed);
        talk.identified("irc", Certainty::Proposed(NEAR));
    }),
    ("redis", 6379, |talk| {
        talk.say(NEAR, 1, "*1\r\n$4\r\nPING\r\n", Grammar::Obeyed);
        talk.say(OTHER, 2, "+PONG\r\n", Grammar::Obeyed);
        talk.speaks("redis");
    }),
];

#[test]
fn a_shell_behind_an_opening_is_high_whoever_runs_it() {
    for (name, port, open) in MASKS {
        for who in BOTH {
            for behind in [shell, strange_shell] {
                let alerts = alerts_of(who, (FAR, port), |talk| {
                    open(talk);
                    talk.leaves(OTHER, name);
                    behind(talk);
                });
                assert_eq!(alerts.len(), 1, "{name} {who:?}");
                let alert = &alerts[0];
                assert!(alert.level >= Level::High, "{name} {who:?} {alert:#?}");
                assert_eq!(alert.strategy, "protocol_mask", "{name} {who:?} {alert:#?}");
                assert!(alert.summary.contains(name), "{}", alert.summary);
            }
        }
    }
}

#[test]
fn the_same_openings_are_silent_when_they_are_obeyed() {
    for (name, port, open) in MASKS {
        for who in BOTH {
            let alerts = alerts_of(who, (FAR, port), |talk| {
                open(talk);
                talk.speaks(name);
                for _ in 0..3 {
                    talk.sealed(NEAR, 1200, 90).sealed(OTHER, 4, 700);
                }
            });
            // Chat is an errand in itself.
            let is_mask = |alert: &Alert| alert.strategy != "irc_c2";
            assert!(!alerts.iter().any(is_mask), "{name} {who:?} {alerts:#?}");
        }
    }
}

/// A banner is no command, however it is answered; what a shell prints is an answer all the same.
#[test]
fn whoever_answers_a_banner_with_nonsense_obeys_nobody() {
    for who in BOTH {
        for pause in [5, 430, 2000] {
            let answered = |answer: &'static str| {
                level_of(who, 22, move |talk| {
                    ssh_banner(talk);
                    left(talk, NEAR, pause, answer);
                    talk.wait(2000);
                })
            };
            assert!(answered("\r\n") < Level::Medium, "{who:?} {pause}");
            assert!(answered("GET / HTTP/1.0\r\n\r\n") < Level::Medium, "{who:?} {pause}");
            assert!(answered("uid=0(root) gid=0(root)\n") >= Level::High, "{who:?} {pause}");
        }
    }
}

#[test]
fn the_technique_is_that_of_the_mask() {
    let techniques = |port, open: Speak, name: &'static str| {
        let alerts = alerts_of(Who::Workload, (FAR, port), |talk| {
            open(talk);
            talk.leaves(OTHER, name);
            shell(talk);
        });
        alerts[0].techniques.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(techniques(80, http_exchange, "http").contains(&String::from("T1071.001")));
    assert!(techniques(22, ssh_banners, "ssh").contains(&String::from("T1001.003")));
}

#[test]
fn commands_that_cannot_be_read_are_commands_all_the_same() {
    for who in BOTH {
        let level = level_of(who, 22, |talk| {
            ssh_banners(talk);
            talk.leaves(OTHER, "ssh");
            for round in 0..3 {
                left(talk, OTHER, 1500, "\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}");
                left(talk, NEAR, 20, &"\u{1}\u{7}\u{2}".repeat(20 + round * 90));
            }
            talk.wait(300);
        });
        assert!(level >= Level::High, "{who:?}");
    }
}

/// Both sides go on in something that nobody can read, and nobody leads.
fn goes_on(talk: &mut Talk) {
    ssh_banners(talk);
    talk.leaves(NEAR, "ssh");
    for _ in 0..3 {
        left(talk, NEAR, 1500, "\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}");
        left(talk, OTHER, 20, "\u{1}\u{7}\u{2}");
    }
}

#[test]
fn going_on_in_something_else_is_medium_with_a_stranger_and_low_with_a_neighbour() {
    for who in BOTH {
        assert_eq!(level_of(who, 22, goes_on), Level::Medium, "{who:?}");
        let mut world = World::new();
        let neighbour = Box_::long_running(3, "sleep 300");
        world.start(&neighbour);
        let it = container(who);
        world.start(&it);
        let mut talk = Talk::open(&it, 52_000, (neighbour.address, 22), START_MS + 250);
        goes_on(&mut talk);
        world.talk(talk.end());
        assert!(world.alerts().iter().all(|alert| alert.level < Level::Medium), "{who:?}");
    }
}

#[test]
fn one_side_that_is_not_answered_in_kind_is_below_medium() {
    let wrong_port: [(&str, Speak); 3] = [
        ("TLS to a plain HTTP server", |talk| {
            client_hello(talk);
            talk.leaves(OTHER, "tls");
            left(talk, OTHER, 3, "HTTP/1.1 400 Bad Request\r\n\r\n");
        }),
        ("HTTP to a TLS port", |talk| {
            talk.identified("http", Certainty::Proposed(NEAR));
            talk.say(NEAR, 1, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", Grammar::Obeyed);
            talk.leaves(OTHER, "http");
            left(talk, OTHER, 3, "\u{15}\u{3}\u{1}\0\u{2}\u{2}F");
        }),
        ("HTTP to an SSH server", |talk| {
            talk.say(OTHER, 3, "SSH-2.0-OpenSSH_9.2\r\n", Grammar::Obeyed);
            talk.identified("ssh", Certainty::Proposed(OTHER));
            talk.leaves(NEAR, "ssh");
            left(talk, NEAR, 1, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            left(talk, OTHER, 3, "Invalid SSH identification string.\r\n");
        }),
    ];
    for (name, speak) in wrong_port {
        for who in BOTH {
            assert!(level_of(who, 443, speak) < Level::Medium, "{name} {who:?}");
        }
    }
}

#[test]
fn what_was_not_seen_whole_accuses_nobody_unless_it_commands() {
    for who in BOTH {
        let cut = |flaws: Flaws, speak: Speak| {
            level_of(who, 22, move |talk| {
                talk.flaws = flaws;
                speak(talk);
            })
        };
        assert_eq!(cut(Flaws::GAP, goes_on), Level::Info, "{who:?}");
        assert_eq!(cut(Flaws::TRUNCATED, goes_on), Level::Info, "{who:?}");
        assert_eq!(cut(Flaws::REORDERED, goes_on), Level::Medium, "{who:?}");
        let commanded = |talk: &mut Talk| {
            ssh_banners(talk);
            talk.leaves(OTHER, "ssh");
            shell(talk);
        };
        assert!(cut(Flaws::GAP, commanded) >= Level::High, "{who:?}");
    }
}

/// Keys are typed on this side and echoed by the other; after each line comes what it prints.
pub(crate) fn types(talk: &mut Talk, side: Side) {
    for _ in 0..3 {
        for _ in 0..5 {
            talk.sealed(side, 140, 36).sealed(side.other(), 3, 36);
        }
        talk.sealed(side, 160, 36);
        talk.sealed(side.other(), 4, 36).sealed(side.other(), 6, 300);
        talk.wait(1800);
    }
}

fn ssh_session(talk: &mut Talk) {
    ssh_banners(talk);
    talk.sealed(NEAR, 1, 1100).sealed(OTHER, 2, 1000).sealed(NEAR, 1, 80).sealed(OTHER, 2, 500);
}

#[test]
fn an_ssh_session_in_which_the_server_types_is_medium_and_the_ordinary_one_is_silent() {
    for who in BOTH {
        let typed_by = |side: Side| {
            move |talk: &mut Talk| {
                ssh_session(talk);
                types(talk, side);
            }
        };
        assert_eq!(level_of(who, 22, typed_by(OTHER)), Level::Medium, "{who:?}");
        assert!(alerts_of(who, (FAR, 22), typed_by(NEAR)).is_empty(), "{who:?}");
    }
}

#[test]
fn keepalives_of_a_server_are_no_keys() {
    let quiet = |talk: &mut Talk| {
        ssh_session(talk);
        for _ in 0..40 {
            talk.sealed(OTHER, 15_000, 44).sealed(NEAR, 2, 44);
        }
    };
    for who in BOTH {
        assert!(alerts_of(who, (FAR, 22), quiet).is_empty(), "{who:?}");
    }
}

#[test]
fn pings_whose_answers_repeat_nothing_are_told_as_icmp() {
    let ping = |different_count: u64| {
        let mut world = World::new();
        let it = container(Who::Workload);
        world.start(&it);
        let near = (it.address, 8);
        let mut talk = Talk::open_at(it.port, Transport::Icmp, near, (FAR, 0), START_MS + 250);
        let symmetry = EchoSymmetry {
            flow: talk.flow,
            request_count: 40,
            same_count: 40 - different_count,
            different_count,
            ..EchoSymmetry::default()
        };
        talk.wait(30_000).fact(Fact::EchoSymmetry(symmetry));
        world.talk(talk.end());
        world.alerts()
    };
    let alerts = ping(38);
    assert_eq!((alerts.len(), alerts[0].level), (1, Level::Medium), "{alerts:#?}");
    assert_eq!(alerts[0].techniques[0], "T1095");
    assert!(ping(0).is_empty());
}

// What follows is known to be wrong, and stands in ads.md as a blind spot.

#[test]
fn gap_a_mask_that_is_never_left_hides_what_it_carries() {
    let websocket = |talk: &mut Talk| {
        http_exchange(talk);
        talk.speaks("websocket");
        for _ in 0..2 {
            talk.say(OTHER, 1500, "\u{1}\u{3}id\n", Grammar::Obeyed);
            talk.say(NEAR, 5, "\u{1}\u{18}uid=0(root) gid=0(root)\n", Grammar::Obeyed);
        }
    };
    assert!(level_of(Who::AdHoc, 80, websocket) < Level::Medium, "should be High");
}
