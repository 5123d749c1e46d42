//! What conversations carry: much out, programs in, credentials of the machine, words at services
//! for everybody.

use std::borrow::Cow;
use std::net::IpAddr;

use engine::{Alert, Family, Level};
use observation::{Certainty, Fact, Grammar, HttpExchange, InImage, Side, TlsHello};

use crate::masks::{BOTH, Who, alerts_of, container};
use crate::table::FAR;
use crate::talk::Talk;
use crate::world::{Box_, START_MS, World, at_ms, words};

const NEAR: Side = Side::Originator;
const OTHER: Side = Side::Responder;
const IMDS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 169, 254));
const ELF: &[u8] = b"\x7fELF\x02\x01\x01\0\0\0\0\0";

fn level(alerts: &[Alert]) -> Level {
    alerts.iter().map(|alert| alert.level).max().unwrap_or(Level::Info)
}

/// The only alert, which this strategy leads and in which its own term of the session counts most.
fn led_by(alerts: &[Alert], strategy: &str) -> Level {
    let [alert] = alerts else { panic!("{strategy}: {alerts:#?}") };
    assert_eq!(alert.strategy, strategy, "{:#?}", alert.evidence);
    let main = alert.evidence.iter().max_by_key(|term| term.points_db).unwrap();
    assert_eq!(main.family, Family::Session, "{:#?}", alert.evidence);
    alert.level
}

/// One exchange of the web in a connection of its own.
fn exchange(talk: &mut Talk, told: &HttpExchange<'static>) {
    talk.speaks("http");
    talk.say(NEAR, 1, &"q".repeat(160), Grammar::Obeyed);
    talk.say(OTHER, 4, &"a".repeat(220), Grammar::Obeyed);
    let (flow, asked_at) = (talk.flow, at_ms(talk.now_ms));
    talk.fact(Fact::Http(HttpExchange { flow, asked_at, ..told.clone() }));
}

fn get(host: &str, target: &'static str) -> HttpExchange<'static> {
    HttpExchange {
        method: Cow::Borrowed("GET"),
        host: Cow::Owned(host.to_owned()),
        target: Cow::Borrowed(target),
        user_agent: Cow::Borrowed("curl/8.5.0"),
        header_names: Cow::Borrowed("Host,User-Agent,Accept"),
        status: 200,
        version: 11,
        ..HttpExchange::default()
    }
}

// Credentials of the machine.

fn asks_the_machine(who: Who, told: &HttpExchange<'static>) -> Vec<Alert> {
    alerts_of(who, (IMDS, 80), |talk| exchange(talk, told))
}

#[test]
fn credentials_of_the_machine_are_asked_for() {
    let role = get("169.254.169.254", "/latest/meta-data/iam/security-credentials/web");
    for who in BOTH {
        assert!(led_by(&asks_the_machine(who, &role), "metadata_service") >= Level::Medium);
        // The separating fact is what is asked for.
        let zone = get("169.254.169.254", "/latest/meta-data/placement/availability-zone");
        assert!(level(&asks_the_machine(who, &zone)) < Level::Medium, "{who:?}");
    }
    let library = HttpExchange { user_agent: Cow::Borrowed("Boto3/1.34.0"), ..role };
    assert!(level(&asks_the_machine(Who::Workload, &library)) < Level::Medium);
}

#[test]
fn a_workload_that_is_meant_to_ask_the_machine_is_silent() {
    let mut it = container(Who::Workload);
    it.environment = vec![String::from("METADATA=http://169.254.169.254/")];
    let mut library = get("169.254.169.254", "/latest/meta-data/iam/security-credentials/web");
    library.user_agent = Cow::Borrowed("aws-sdk-go/1.44.0");
    let mut world = World::new();
    world.start(&it);
    let mut talk = Talk::open(&it, 52_000, (IMDS, 80), START_MS + 250);
    world.socket(&talk, it.cgroup, it.pid);
    exchange(&mut talk, &library);
    world.talk(talk.end());
    assert!(level(&world.alerts()) < Level::Low, "{:#?}", world.alerts());
}

// Much out.

/// So many mebibytes go out, and a word comes back.
fn brings(who: Who, far: (IpAddr, u16), mib: usize, protocol: Option<&'static str>) -> Vec<Alert> {
    alerts_of(who, far, |talk| {
        if let Some(protocol) = protocol {
            talk.identified(protocol, Certainty::Confirmed);
        }
        let grammar = if protocol.is_some() { Grammar::Obeyed } else { Grammar::None };
        let line = "\u{1}".repeat(32_767) + "\n";
        talk.say(NEAR, 1, &line.repeat(mib * 32), grammar);
        talk.say(OTHER, 40, "\u{3}\u{4}", grammar);
    })
}

#[test]
fn much_that_goes_out_raw_to_a_stranger_is_exfiltration() {
    for who in BOTH {
        let alerts = brings(who, (FAR, 4470), 20, None);
        assert!(level(&alerts) >= Level::Medium, "{who:?} {alerts:#?}");
        assert!(alerts.iter().any(|alert| alert.strategy == "exfil_volume"), "{who:?}");
        // The separating fact is how much.
        assert!(level(&brings(who, (FAR, 4470), 0, None)) < Level::Medium, "{who:?}");
    }
}

#[test]
fn what_is_published_or_replicated_is_below_medium() {
    let inside = "10.20.30.40".parse().unwrap();
    for who in BOTH {
        assert!(level(&brings(who, (FAR, 443), 20, Some("tls"))) < Level::Medium, "{who:?}");
    }
    assert!(level(&brings(Who::Workload, (inside, 9000), 20, None)) < Level::Medium);
}

// Programs in.

fn fetches(it: &Box_, from: Option<&'static str>, head: &'static [u8], started: InImage) -> Level {
    let mut world = World::new();
    world.start(it);
    let led = if from.is_some() { FAR } else { [203, 0, 113, 9].into() };
    world.dns(it, START_MS + 1_000, from.unwrap_or("other.example.org"), Ok(led));
    let mut talk = Talk::open(it, 52_000, (FAR, 8092), START_MS + 2_000);
    world.socket(&talk, it.cgroup, it.pid);
    let mut told = get(from.unwrap_or(&FAR.to_string()), "/k");
    (told.response_head, told.response_body_bytes) = (Cow::Borrowed(head), 90_000);
    exchange(&mut talk, &told);
    world.talk(talk.end());
    let brought = Box_ { in_image: started, ..it.clone() };
    world.process(&brought, it.pid + 1, it.pid, START_MS + 4_000, &words("/tmp/k"));
    let alerts = world.alerts();
    if !alerts.is_empty() {
        led_by(&alerts, "ingress_tool");
    }
    level(&alerts)
}

#[test]
fn a_program_that_is_fetched_and_started_is_found() {
    for who in BOTH {
        let it = container(who);
        for from in [None, Some("c2.example.com")] {
            assert!(fetches(&it, from, ELF, InImage::No) >= Level::Medium, "{who:?} {from:?}");
        }
        // The separating fact is what came in.
        assert_eq!(fetches(&it, None, b"<html>", InImage::No), Level::Info, "{who:?}");
    }
    let by_hand = container(Who::AdHoc);
    assert_eq!(fetches(&by_hand, None, ELF, InImage::Yes), Level::Medium);
    assert_eq!(fetches(&by_hand, None, b"#!/bin/sh\n", InImage::Yes), Level::Medium);
}

#[test]
fn packages_and_installers_by_name_are_below_medium() {
    for who in BOTH {
        let it = container(who);
        for head in [&b"\x1f\x8b\x08\0"[..], b"PK\x03\x04", b"#!/bin/sh\n", ELF] {
            let level = fetches(&it, Some("mirror.example.org"), head, InImage::Yes);
            assert!(level < Level::Medium, "{who:?} {head:?}");
        }
        let installed = fetches(&it, Some("mirror.example.org"), b"\x1f\x8b\x08\0", InImage::No);
        assert!(installed < Level::Medium, "{who:?}");
    }
}

#[test]
fn a_program_through_a_raw_socket_is_found() {
    let alerts = alerts_of(Who::AdHoc, (FAR, 8093), |talk| {
        talk.say(OTHER, 9, "\u{7f}ELF\u{2}\u{1}\u{1}", Grammar::None);
    });
    assert!(level(&alerts) >= Level::Low, "{alerts:#?}");
}

// Words at services for everybody.

/// Comes so often, at irregular times, by TLS.
fn comes(it: &Box_, name: &'static str, count: u64) -> Vec<Alert> {
    let mut world = World::new();
    world.start(it);
    world.dns(it, START_MS + 1_000, name, Ok(FAR));
    for number in 0..count {
        let at = START_MS + 2_000 + number * 7_000 + number * number * 1_900;
        let mut talk = Talk::open(it, 52_000 + u16::try_from(number).unwrap(), (FAR, 443), at);
        world.socket(&talk, it.cgroup, it.pid);
        let hello = TlsHello {
            flow: talk.flow,
            server_name: Cow::Borrowed(name),
            ja4: Cow::Borrowed("t13d3112h1_e8f1e7e78f70_b26ce05bbdd6"),
            ..TlsHello::default()
        };
        talk.fact(Fact::TlsHello(hello)).sealed(NEAR, 1, 517).speaks("tls");
        talk.sealed(OTHER, 4, 2900).sealed(NEAR, 1, 400).sealed(OTHER, 9, 900);
        world.talk(talk.end());
    }
    world.alerts()
}

#[test]
fn whoever_comes_back_to_a_paste_by_hand_looks_for_orders() {
    let by_hand = container(Who::AdHoc);
    assert!(led_by(&comes(&by_hand, "pastebin.com", 6), "web_service_c2") >= Level::Medium);
    assert!(level(&comes(&by_hand, "pastebin.com", 1)) < Level::Medium);
    assert!(comes(&by_hand, "paste.example.com", 6).is_empty());
    let workload = container(Who::Workload);
    assert_eq!(level(&comes(&workload, "pastebin.com", 6)), Level::Low);
}

#[test]
fn a_bot_that_is_configured_for_it_is_silent() {
    let mut it = container(Who::Workload);
    it.environment = vec![String::from("TELEGRAM_TOKEN=1:a")];
    assert!(comes(&it, "api.telegram.org", 6).is_empty());
}
