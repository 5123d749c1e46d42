//! TLS sessions that do not behave, and those that do.

use engine::Level;
use observation::{
    Certainty, Certificate, Fact, Grammar, Handshake, Side, Time, TlsHello, TlsSession,
};

use crate::masks::{BOTH, Who, alerts_of, container, level_of, types};
use crate::table::FAR;
use crate::talk::{Speak, Talk};
use crate::world::{START_MS, World};

const NEAR: Side = Side::Originator;
const OTHER: Side = Side::Responder;
const OPENSSL: &str = "t13d3112h1_e8f1e7e78f70_b26ce05bbdd6";
const GO: &str = "t13d1312h2_f57a46bbacb6_ab7e3b40a677";

/// A whole handshake.
fn open(talk: &mut Talk, alpn: &'static str, ja4: &'static str) {
    talk.hello(alpn, ja4).identified("tls", Certainty::Proposed(NEAR));
    talk.sealed(NEAR, 1, 517).speaks("tls").sealed(OTHER, 4, 2900);
    talk.sealed(NEAR, 1, 80).handshake(Handshake::Completed).sealed(OTHER, 4, 500);
}

#[test]
fn a_shell_typed_inside_tls_is_medium_and_no_more() {
    for who in BOTH {
        for alpn in ["", "h2,http/1.1"] {
            let alerts = alerts_of(who, (FAR, 443), |talk| {
                open(talk, alpn, OPENSSL);
                types(talk, OTHER);
            });
            assert_eq!(alerts.len(), 1, "{who:?} {alpn}");
            assert_eq!(alerts[0].level, Level::Medium, "{who:?} {alpn} {:#?}", alerts[0]);
            assert_eq!(alerts[0].strategy, "interactive_shell");
        }
    }
}

#[test]
fn a_person_who_types_into_a_server_is_silent() {
    for who in BOTH {
        let alerts = alerts_of(who, (FAR, 443), |talk| {
            open(talk, "", OPENSSL);
            types(talk, NEAR);
        });
        assert!(alerts.is_empty(), "{who:?} {alerts:#?}");
    }
}

#[test]
fn whole_commands_inside_tls_are_low_where_the_client_had_asked_first() {
    let lines = |talk: &mut Talk| {
        open(talk, "", OPENSSL);
        talk.sealed(NEAR, 1, 300);
        for (pause, answer) in [(4000, 60), (9000, 1400), (2500, 300), (7000, 90)] {
            talk.sealed(OTHER, pause, 40).sealed(NEAR, 20, answer);
        }
    };
    for who in BOTH {
        assert_eq!(level_of(who, 443, lines), Level::Low, "{who:?}");
    }
}

#[test]
fn a_client_that_polls_for_long_is_silent() {
    // The server answers after half a minute, and the client asks again at once.
    let polls = |talk: &mut Talk| {
        open(talk, "http/1.1", OPENSSL);
        for _ in 0..8 {
            talk.sealed(OTHER, 30_000, 210).sealed(NEAR, 2, 180);
        }
    };
    for who in BOTH {
        assert!(alerts_of(who, (FAR, 443), polls).is_empty(), "{who:?}");
    }
}

#[test]
fn a_client_that_asks_a_slow_server_one_thing_after_the_other_is_silent() {
    // Each answer comes after some work of the server, and the next question follows at once.
    let asks = |talk: &mut Talk| {
        open(talk, "h2", OPENSSL);
        for round in 0..60 {
            talk.sealed(OTHER, 60 + round * 7, 39).sealed(NEAR, 1, 70 + round as usize % 3 * 50);
        }
        for round in 0..6_u64 {
            talk.sealed(OTHER, 1400 + round * 90, 90).sealed(NEAR, 1, 100 << round);
        }
    };
    for who in BOTH {
        assert!(alerts_of(who, (FAR, 443), asks).is_empty(), "{who:?}");
    }
}

#[test]
fn ftp_that_goes_on_in_the_clear_after_tls_is_below_medium() {
    let clears = |talk: &mut Talk| {
        talk.say(OTHER, 3, "220 ready\r\n", Grammar::Obeyed).speaks("ftp");
        talk.say(NEAR, 2, "AUTH TLS\r\n", Grammar::Obeyed);
        talk.say(OTHER, 2, "234 go ahead\r\n", Grammar::Obeyed);
        open(talk, "", OPENSSL);
        talk.leaves(NEAR, "tls");
        for _ in 0..3 {
            talk.say(NEAR, 900, "PASV\r\n", Grammar::Left);
            talk.say(OTHER, 2, "227 Entering Passive Mode\r\n", Grammar::Left);
        }
    };
    assert!(level_of(Who::Workload, 21, clears) < Level::Medium);
    // What is started by hand is accused of the transfer, and of nothing else.
    let by_hand = alerts_of(Who::AdHoc, (FAR, 21), clears);
    assert!(by_hand.iter().all(|alert| alert.strategy == "file_transfer_c2"), "{by_hand:#?}");
}

#[test]
fn pings_inside_tls_are_silent() {
    let pings = |talk: &mut Talk| {
        open(talk, "h2", OPENSSL);
        talk.sealed(NEAR, 1, 300).sealed(OTHER, 9, 9000);
        for _ in 0..40 {
            talk.sealed(OTHER, 1000, 39).sealed(NEAR, 1, 39);
        }
    };
    for who in BOTH {
        assert!(alerts_of(who, (FAR, 443), pings).is_empty(), "{who:?}");
    }
}

#[test]
fn going_on_without_a_server_hello_is_medium() {
    let unanswered = |talk: &mut Talk| {
        talk.hello("h2", OPENSSL).identified("tls", Certainty::Proposed(NEAR));
        talk.sealed(NEAR, 1, 517);
        talk.leaves(OTHER, "tls").handshake(Handshake::Unanswered);
        for _ in 0..3 {
            talk.say(OTHER, 4, "\u{17}\u{3}\u{3}\0\u{5}\u{1}\u{2}", Grammar::Left);
            talk.say(NEAR, 400, "\u{17}\u{3}\u{3}\0\u{5}\u{1}\u{2}", Grammar::Left);
        }
    };
    for who in BOTH {
        let alerts = alerts_of(who, (FAR, 443), unanswered);
        assert_eq!(alerts.len(), 1, "{who:?}");
        assert!(alerts[0].level >= Level::Medium, "{who:?}");
        assert!(alerts[0].evidence.iter().any(|term| term.observed.contains("no ServerHello")));
    }
}

#[test]
fn a_handshake_that_fails_is_silent() {
    let failed: [(&str, Speak); 3] = [
        ("reset after the ClientHello", |talk| {
            talk.hello("h2", OPENSSL).identified("tls", Certainty::Proposed(NEAR));
            talk.sealed(NEAR, 1, 517);
            talk.handshake(Handshake::Unanswered);
        }),
        ("an alert of the server", |talk| {
            talk.hello("h2", OPENSSL).identified("tls", Certainty::Proposed(NEAR));
            talk.sealed(NEAR, 1, 517).speaks("tls").sealed(OTHER, 3, 7);
            talk.handshake(Handshake::Refused(OTHER, 40));
        }),
        ("an alert of the client", |talk| {
            open(talk, "h2", OPENSSL);
            talk.sealed(NEAR, 3, 7);
        }),
    ];
    for (name, speak) in failed {
        for who in BOTH {
            assert!(alerts_of(who, (FAR, 443), speak).is_empty(), "{name} {who:?}");
        }
    }
}

#[test]
fn http_offered_inside_mail_is_low() {
    let inside = |alpn: &'static str| {
        move |talk: &mut Talk| {
            talk.say(OTHER, 3, "220 mail ESMTP\r\n", Grammar::Obeyed).speaks("smtp");
            talk.say(NEAR, 2, "STARTTLS\r\n", Grammar::Obeyed);
            talk.say(OTHER, 2, "220 go ahead\r\n", Grammar::Obeyed);
            open(talk, alpn, OPENSSL);
        }
    };
    let says_so = |alpn: &'static str| {
        let alerts = alerts_of(Who::Workload, (FAR, 587), inside(alpn));
        assert!(alerts.iter().all(|alert| alert.level <= Level::Low), "{alerts:#?}");
        let mut terms = alerts.iter().flat_map(|alert| &alert.evidence);
        terms.any(|term| term.strategy == "tls_oddity")
    };
    assert!(says_so("h2") && !says_so(""));
}

/// A workload that has used one stack for an hour, and then uses this one.
fn later(ja4: &'static str) -> World {
    let mut world = World::new();
    let it = container(Who::Workload);
    world.start(&it);
    // As people ask it: by a timer it would be a beacon.
    for second in [0_u64, 3, 11, 640, 645, 1_402, 1_405, 1_431, 2_700, 2_702, 3_301, 3_318] {
        let port = 50_000 + u16::try_from(second).unwrap();
        let far = ([198, 51, 100, 20].into(), 443);
        let mut talk = Talk::open(&it, port, far, START_MS + second * 1000);
        open(&mut talk, "h2", OPENSSL);
        world.talk(talk.end());
    }
    let mut talk = Talk::open(&it, 52_000, (FAR, 443), START_MS + 4_000_000);
    open(&mut talk, "h2", ja4);
    world.talk(talk.end());
    world
}

#[test]
fn a_library_that_the_workload_had_not_used_is_low() {
    let alert = later(GO).alert();
    assert_eq!((alert.level, &*alert.strategy), (Level::Low, "tls_oddity"));
    assert_eq!(alert.peer.endpoint.unwrap().address, FAR);
    // The same library with another name, ALPN and resumption is the same library.
    assert!(later("t13i3111h1_e8f1e7e78f70_0123456789ab").alerts().is_empty());
}

/// A client that names nobody, and a certificate that no public authority signs.
fn open_to_nobody(talk: &mut Talk, version: u16, names: &[&'static str]) {
    let ja4 = OPENSSL.into();
    let hello = TlsHello { flow: talk.flow, version, ja4, ..TlsHello::default() };
    let names = names.iter().map(|name| (*name).into()).collect();
    let day = 86_400_000_000_000;
    let certificate = Some(Certificate {
        subject: "CN=Server".into(),
        issuer: "CN=Authority".into(),
        not_before: Time(0),
        not_after: Time(90 * day),
        names,
        chain_count: 1,
    });
    talk.fact(Fact::TlsHello(hello)).identified("tls", Certainty::Proposed(NEAR));
    talk.sealed(NEAR, 1, 160).speaks("tls").sealed(OTHER, 4, 900).sealed(NEAR, 1, 80);
    let outcome = Handshake::Completed;
    let session = TlsSession { flow: talk.flow, outcome, certificate, ..TlsSession::default() };
    talk.fact(Fact::TlsSession(session)).sealed(OTHER, 4, 60).sealed(NEAR, 300, 400);
}

#[test]
fn a_client_that_names_nobody_is_silent_where_all_else_is_in_order() {
    const CURRENT: u16 = 0x0304;
    const OUTDATED: u16 = 0x0301;
    let level = |port, version, names: &'static [&'static str]| {
        let talk = |talk: &mut Talk| open_to_nobody(talk, version, names);
        alerts_of(Who::Workload, (FAR, port), talk).iter().map(|alert| alert.level).max()
    };
    assert_eq!(level(7084, OUTDATED, &[]), Some(Level::Medium));
    assert_eq!(level(7084, CURRENT, &[]), Some(Level::Low));
    assert_eq!(level(443, CURRENT, &[]), Some(Level::Low), "an appliance");
    assert_eq!(level(443, CURRENT, &["a.example"]), None);
}

// What follows is known to be wrong, and stands in ads.md as a blind spot.

#[test]
fn gap_commands_of_one_size_with_answers_of_one_size_look_like_polling() {
    let padded = |talk: &mut Talk| {
        open(talk, "", OPENSSL);
        for pause in [4000, 9000, 2500, 7000] {
            talk.sealed(OTHER, pause, 512).sealed(NEAR, 20, 4096);
        }
    };
    assert!(alerts_of(Who::AdHoc, (FAR, 443), padded).is_empty(), "should be Low");
}
