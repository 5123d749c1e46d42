//! What comes to a container that neither asked for it nor answers: an address that another had
//! before, a scan, a forged segment, the answers to forged ones.

use std::borrow::Cow;
use std::net::IpAddr;

use engine::{Alert, Level};
use observation::{Certainty, ConnState, Fact, Grammar, HttpExchange, LocalSide, Side, Transport};

use crate::table::FAR;
use crate::talk::{Speak, Talk};
use crate::world::{Box_, START_MS, World, at_ms, flow_id};

const FAR_SIDE: Side = Side::Responder;

/// A container that only sleeps, however it was started.
fn sleepers() -> [Box_; 2] {
    [Box_::throw_away(2, "sleep 600"), Box_::long_running(2, "sleep 600")]
}

/// A flow in which the sensor takes the container for the opener, since its port is the higher one.
fn midstream(it: &Box_, transport: Transport, far: (IpAddr, u16), number: u16) -> Talk {
    let at = START_MS + 900 + u64::from(number) * 60_000;
    Talk::open_at(it.port, transport, (it.address, 52_000 + number), far, at)
}

/// A flow that the stranger opens.
fn incoming(it: &Box_, transport: Transport, number: u16) -> Talk {
    let mut talk = Talk::open_at(it.port, transport, (FAR, 40_000), (it.address, 4444), START_MS);
    talk.now_ms += 900 + u64::from(number) * 60_000;
    talk.opened_ms = talk.now_ms;
    talk.local = LocalSide::Responder;
    talk.flow = flow_id(&(talk.key, talk.now_ms));
    talk
}

fn alerts_of(it: &Box_, talks: impl IntoIterator<Item = Talk>) -> Vec<Alert> {
    let mut world = World::new();
    world.start(it);
    talks.into_iter().for_each(|talk| world.talk(talk));
    world.alerts()
}

fn level(alerts: &[Alert]) -> Level {
    alerts.iter().map(|alert| alert.level).max().unwrap_or(Level::Info)
}

/// What a stranger sends, going from words to programs.
const SENT: [(&str, Speak); 5] = [
    ("a command", |talk| {
        talk.say(FAR_SIDE, 2, "id; uname -a\n", Grammar::None);
    }),
    ("commands with pauses", |talk| {
        for _ in 0..9 {
            talk.say(FAR_SIDE, 1300, "cat /etc/passwd\n", Grammar::None);
        }
    }),
    ("bytes of no protocol", |talk| {
        talk.sealed(FAR_SIDE, 2, 900);
        for _ in 0..9 {
            talk.say(FAR_SIDE, 1300, "\u{1}\u{2}\u{3}\u{4}", Grammar::Left);
        }
    }),
    ("a program", |talk| {
        talk.say(FAR_SIDE, 2, "\u{7f}ELF\u{2}\u{1}\u{1}\0\0\0", Grammar::None);
    }),
    ("an order by HTTP, that was asked for elsewhere", |talk| {
        talk.identified("http", Certainty::Proposed(FAR_SIDE));
        talk.say(FAR_SIDE, 2, "HTTP/1.1 200 OK\r\n\r\nid\n", Grammar::Obeyed);
        talk.fact(Fact::Http(HttpExchange {
            flow: talk.flow,
            asked_at: at_ms(talk.now_ms),
            status: 200,
            version: 11,
            response_body_bytes: 3,
            response_head: Cow::Borrowed(b"id\n"),
            ..HttpExchange::default()
        }));
    }),
];

#[test]
fn what_a_stranger_sends_unasked_and_unanswered_accuses_nobody() {
    for it in sleepers() {
        for transport in [Transport::Tcp, Transport::Udp] {
            for (what, send) in SENT {
                let mut talk = midstream(&it, transport, (FAR, 4444), 0);
                send(&mut talk);
                let alerts = alerts_of(&it, [talk.end_as(ConnState::Oth)]);
                assert!(level(&alerts) < Level::Medium, "{what} {transport:?} {alerts:#?}");
            }
        }
    }
}

/// Nearest to it: the container's own ACK, and no byte of payload, as in the brief's own command.
#[test]
fn the_same_command_to_a_container_that_has_accepted_it_is_high() {
    let it = Box_::throw_away(2, "sleep 600");
    let mut talk = midstream(&it, Transport::Tcp, (FAR, 4444), 0).accepted();
    talk.far(2, "id; uname -a\n");
    assert_eq!(level(&alerts_of(&it, [talk.end_as(ConnState::SF)])), Level::High);
}

#[test]
fn what_is_sent_to_a_port_that_nobody_serves_accuses_nobody() {
    for it in sleepers() {
        for transport in [Transport::Tcp, Transport::Udp] {
            let talks = (0..20).map(|number| {
                let mut talk = incoming(&it, transport, number);
                let side = Side::Originator;
                talk.say(side, 2, "id; uname -a\n", Grammar::None);
                talk.say(side, 900, "cat /etc/passwd\n", Grammar::None);
                talk.end_as(ConnState::S0)
            });
            let alerts = alerts_of(&it, talks);
            assert!(level(&alerts) < Level::Medium, "{transport:?} {alerts:#?}");
        }
    }
}

#[test]
fn strays_that_come_by_a_timer_are_no_beacon_of_the_container() {
    for it in sleepers() {
        for transport in [Transport::Tcp, Transport::Udp] {
            let talks = |accepted: fn(Talk) -> Talk| {
                let talks: Vec<Talk> = (0..20)
                    .map(|number| {
                        let mut talk = accepted(midstream(&it, transport, (FAR, 443), number));
                        talk.say(FAR_SIDE, 2, "\u{1}\u{2}", Grammar::Obeyed);
                        talk.end_as(if transport == Transport::Tcp {
                            ConnState::Oth
                        } else {
                            ConnState::SHR
                        })
                    })
                    .collect();
                level(&alerts_of(&it, talks))
            };
            assert!(talks(|talk| talk) < Level::Medium, "{transport:?}");
            assert!(talks(Talk::accepted) >= Level::Medium, "{transport:?}: it takes part");
        }
    }
}

/// Whoever floods somebody in the container's name has it answered to the container.
#[test]
fn answers_to_forged_segments_are_no_scan_of_the_container() {
    let scanned = |state: ConnState| {
        let it = Box_::long_running(2, "sleep 600");
        let talks: Vec<Talk> = (0..200_u16)
            .map(|number| {
                let mut talk = midstream(&it, Transport::Tcp, (FAR, 1_000 + number), number);
                talk.now_ms = START_MS + 900 + u64::from(number) * 250;
                talk.opened_ms = talk.now_ms;
                talk.end_as(state)
            })
            .collect();
        level(&alerts_of(&it, talks))
    };
    for state in [ConnState::SHR, ConnState::RstRH, ConnState::Oth] {
        assert!(scanned(state) < Level::Medium, "{state:?}");
    }
    assert!(scanned(ConnState::S0) >= Level::Medium, "its own attempts are");
}
