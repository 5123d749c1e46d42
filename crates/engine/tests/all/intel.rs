//! Threat intelligence: what a container shows is looked up in feeds, and never the other way
//! round.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use engine::{About, Alert, AlertId, Engine, Family, Indicator, Indicators, Level, Limits, Reach};
use observation::{
    DnsAnswer, DnsData, DnsExchange, Fact, Grammar, HttpExchange, InImage, LocalSide, Side, Time,
    TlsHello, Transport,
};

use crate::table::FAR;
use crate::talk::Talk;
use crate::world::{Box_, START_MS, Told, World, at_ms, keep};

const DAY_MS: u64 = 86_400_000;
const FRESH: About = About {
    confidence: None,
    seen: Some(Time((START_MS - 3 * DAY_MS) * 1_000_000)),
    expires: None,
    reach: Reach::Own,
};

fn feed(indicators: &[(Indicator<'_>, About)]) -> Indicators {
    let mut feed = Indicators::named("feodo.csv");
    indicators.iter().for_each(|(indicator, about)| feed.add(*indicator, about));
    feed.sorted()
}

fn judged(facts: &[Told], feed: &Indicators) -> Vec<Alert> {
    let mut alerts: BTreeMap<AlertId, Alert> = BTreeMap::new();
    let mut engine = Engine::new(Limits::default(), 0);
    engine.learn(0, feed.clone());
    for told in facts {
        engine.observe(told, &mut |update| keep(&mut alerts, update));
    }
    engine.finish(&mut |update| keep(&mut alerts, update));
    alerts.into_values().collect()
}

/// A web request by a container to `FAR`, whose name was asked for before.
fn request(it: &Box_, show: impl Fn(&mut Talk)) -> World {
    let mut world = World::new();
    world.start(it);
    world.dns(it, START_MS + 240, "www.c2.example.com", Ok(FAR));
    let mut talk = Talk::open(it, 52_000, (FAR, 80), START_MS + 250);
    world.socket(&talk, it.cgroup, it.pid);
    talk.say(Side::Originator, 1, "GET / HTTP/1.1\r\n\r\n", Grammar::Obeyed);
    talk.speaks("http").say(Side::Responder, 3, "HTTP/1.1 200 OK\r\n\r\n", Grammar::Obeyed);
    show(&mut talk);
    world.talk(talk.end());
    world
}

fn plain(it: &Box_) -> World {
    request(it, |_| {})
}

fn workload() -> Box_ {
    Box_::long_running(2, "/usr/bin/server")
}

fn main_term(alert: &Alert) -> (i16, &str) {
    let of_family = |term: &&engine::Evidence| term.family == Family::Intelligence;
    let term = alert.evidence.iter().find(of_family).unwrap();
    (term.points_db, &term.observed)
}

/// The alert about the far end by its address.
fn about_endpoint(alerts: &[Alert]) -> Option<&Alert> {
    alerts.iter().find(|alert| alert.peer.endpoint.is_some_and(|far| far.address == FAR))
}

#[test]
fn an_ordinary_request_to_a_listed_address_is_found_and_without_the_feed_it_is_not() {
    let world = plain(&workload());
    let address = feed(&[(Indicator::Address(FAR, None), FRESH)]);
    let alerts = judged(&world.merged(), &address);
    let [alert] = alerts.as_slice() else { panic!("{alerts:#?}") };
    assert_eq!((alert.strategy.as_ref(), alert.level), ("threat_intel", Level::Medium));
    let (_, observed) = main_term(alert);
    assert!(observed.contains("listed by feodo.csv, fresh, seen 3 days before"), "{observed}");
    let beside = feed(&[(Indicator::Address("198.51.100.11".parse().unwrap(), None), FRESH)]);
    assert!(judged(&world.merged(), &beside).is_empty());
    let other_port = feed(&[(Indicator::Address(FAR, Some(443)), FRESH)]);
    assert!(judged(&world.merged(), &other_port).is_empty());
}

#[test]
fn more_evidence_makes_it_high() {
    let address = feed(&[(Indicator::Address(FAR, None), FRESH)]);
    let thrown_away = judged(&plain(&Box_::throw_away(2, "/bin/x")).merged(), &address);
    assert_eq!(thrown_away[0].level, Level::High);
    let dropped = Box_ { in_image: InImage::No, ..workload() };
    assert_eq!(judged(&plain(&dropped).merged(), &address)[0].level, Level::High);
}

#[test]
fn a_declaration_does_not_take_it_below_medium() {
    let mut declared = workload();
    declared.environment = vec![format!("UPSTREAM={FAR}")];
    let address = feed(&[(Indicator::Address(FAR, None), FRESH)]);
    assert_eq!(judged(&plain(&declared).merged(), &address)[0].level, Level::Medium);
}

#[test]
fn what_is_expired_old_doubted_or_shared_is_shown_and_worth_less() {
    let of = |about: About| {
        let feed = feed(&[(Indicator::Address(FAR, None), about)]);
        let alerts = judged(&plain(&workload()).merged(), &feed);
        let [alert] = alerts.as_slice() else { panic!("{alerts:#?}") };
        (main_term(alert).0, alert.level)
    };
    let ago = |days: u64| Some(at_ms(START_MS - days * DAY_MS));
    let (fresh, _) = of(FRESH);
    let (expired, level) = of(About { seen: ago(40), expires: ago(10), ..FRESH });
    assert!(level <= Level::Low && expired > 0);
    let (old, level) = of(About { seen: ago(100), ..FRESH });
    assert!(level <= Level::Low);
    let (doubted, _) = of(About { confidence: Some(20), ..FRESH });
    let (shared, level) = of(About { reach: Reach::Shared, ..FRESH });
    assert!(level <= Level::Low);
    assert!(expired < shared && shared < old && old < doubted && doubted < fresh);
}

#[test]
fn a_name_accuses_the_lookup_and_the_flow_that_it_led_to() {
    let name = feed(&[(Indicator::Domain("c2.example.com"), FRESH)]);
    let alerts = judged(&plain(&workload()).merged(), &name);
    assert_eq!(alerts.len(), 2, "{alerts:#?}");
    assert_eq!(about_endpoint(&alerts).unwrap().level, Level::Medium);
    let lookup = alerts.iter().find(|alert| alert.peer.endpoint.is_none()).unwrap();
    assert_eq!(lookup.peer.names[0].name, "c2.example.com");
    assert_eq!(lookup.level, Level::Medium);
    assert!(lookup.subjects[0].container.is_some(), "{lookup:#?}");
    let parent = feed(&[(Indicator::Domain("xc2.example.com"), FRESH)]);
    assert!(judged(&plain(&workload()).merged(), &parent).is_empty());
}

/// As it is seen live: nobody goes there, and the conversation with the resolver is in order.
#[test]
fn a_lookup_in_a_conversation_that_is_in_order_is_told_too() {
    let (it, mut world) = (workload(), World::new());
    world.start(&it);
    let server = (IpAddr::from([172, 17, 0, 1]), 53);
    let mut talk =
        Talk::open_at(it.port, Transport::Udp, (it.address, 40_002), server, START_MS + 240);
    talk.local = LocalSide::Originator;
    talk.speaks("dns").say(Side::Originator, 1, "asked", Grammar::Obeyed);
    talk.say(Side::Responder, 3, "answered", Grammar::Obeyed).wait(400);
    let answers = vec![DnsAnswer { ttl_s: 60, data: DnsData::Address(FAR) }];
    let exchange = DnsExchange {
        flow: talk.flow,
        asked_at: at_ms(START_MS + 241),
        name: "c2.example.com".into(),
        query_type: 1,
        response_code: Some(0),
        answers,
        ..DnsExchange::default()
    };
    talk.extra.push((START_MS + 600, Fact::Dns(exchange)));
    world.talk(talk.end());
    let name = feed(&[(Indicator::Domain("c2.example.com"), FRESH)]);
    let alerts = judged(&world.merged(), &name);
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    assert_eq!(alerts[0].level, Level::Medium);
}

#[test]
fn what_a_request_or_a_hello_shows_is_looked_up() {
    let http = |talk: &mut Talk| {
        let flow = talk.flow;
        let (host, target) = (Cow::Borrowed("files.example.net"), Cow::Borrowed("/a/b.bin"));
        talk.fact(Fact::Http(HttpExchange { host, target, ..blank(flow) }));
    };
    let hello = |talk: &mut Talk| {
        let (flow, server_name) = (talk.flow, Cow::Borrowed("api.evil.example"));
        let ja4 = Cow::Borrowed("t13d1516h2_8daaf6152771_b186095e22b6");
        talk.fact(Fact::TlsHello(TlsHello { flow, server_name, ja4, ..TlsHello::default() }));
    };
    let (http, hello) = (request(&workload(), http), request(&workload(), hello));
    for (world, indicator) in [
        (&http, Indicator::Url("http://files.example.net/a/b.bin")),
        (&http, Indicator::Domain("example.net")),
        (&hello, Indicator::Domain("evil.example")),
        (&hello, Indicator::Ja4("t13d1516h2_8daaf6152771_b186095e22b6")),
    ] {
        let alerts = judged(&world.merged(), &feed(&[(indicator, FRESH)]));
        assert!(alerts.iter().any(|alert| alert.strategy == "threat_intel"), "{indicator:?}");
    }
    let elsewhere = feed(&[(Indicator::Url("http://files.example.net/a"), FRESH)]);
    let alerts = judged(&http.merged(), &elsewhere);
    assert!(alerts.iter().all(|alert| alert.strategy != "threat_intel"), "{alerts:#?}");
}

#[test]
fn a_listed_program_is_told_even_where_it_calls_nobody() {
    let it = workload();
    let mut world = World::new();
    world.start(&it);
    for told in &mut world.facts {
        if let Fact::ProcessStarted(process) = &mut told.fact {
            process.sha256 = Some([7; 32]);
        }
    }
    let hash = feed(&[(Indicator::Sha256([7; 32]), FRESH)]);
    let alerts = judged(&world.merged(), &hash);
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    assert_eq!(alerts[0].techniques, ["T1105"]);
    assert_eq!(alerts[0].subjects[0].container.as_ref().unwrap().id, it.id);
    let other = feed(&[(Indicator::Sha256([8; 32]), FRESH)]);
    assert!(judged(&world.merged(), &other).is_empty());
}

#[test]
fn the_order_of_sources_and_a_restart_change_nothing() {
    let feed = feed(&[
        (Indicator::Domain("c2.example.com"), FRESH),
        (Indicator::Address(FAR, None), About { confidence: Some(40), ..FRESH }),
    ]);
    let facts = plain(&workload()).merged();
    let expected = judged(&facts, &feed);
    assert_eq!(expected.len(), 2);
    // All that the runtime, the processes and the sockets say comes late.
    let (network, rest): (Vec<Told>, Vec<Told>) =
        facts.iter().cloned().partition(|told| told.witness == crate::world::PACKETS);
    let late: Vec<Told> = network.into_iter().chain(rest).collect();
    let said = |alerts: &[Alert]| {
        let all = alerts.iter().map(|alert| (alert.id, alert.sum_db, alert.peer.clone()));
        all.collect::<Vec<_>>()
    };
    assert_eq!(said(&judged(&late, &feed)), said(&expected));
    let mut alerts = BTreeMap::new();
    let mut engine = Engine::new(Limits::default(), 0);
    for told in &facts {
        engine = Engine::load(&engine.save()).unwrap();
        engine.learn(0, feed.clone());
        engine.observe(told, &mut |update| keep(&mut alerts, update));
    }
    engine.finish(&mut |update| keep(&mut alerts, update));
    let restarted: Vec<Alert> = alerts.into_values().collect();
    assert_eq!(said(&restarted), said(&expected));
}

#[test]
fn a_thousand_names_below_a_listed_one_are_one_alert() {
    let it = workload();
    let mut world = World::new();
    world.start(&it);
    for number in 0..1000 {
        let name = format!("n{number}.c2.example.com");
        world.dns(&it, START_MS + 300 + number, &name, Err(3));
    }
    let name = feed(&[(Indicator::Domain("c2.example.com"), FRESH)]);
    let alerts = judged(&world.merged(), &name);
    let of_intel = alerts.iter().filter(|alert| alert.strategy == "threat_intel");
    let counts: Vec<u32> = of_intel.map(|alert| alert.subjects[0].flow_count).collect();
    assert_eq!(counts, [1000]);
}

fn blank(flow: observation::FlowId) -> HttpExchange<'static> {
    HttpExchange {
        flow,
        asked_at: at_ms(START_MS + 251),
        method: Cow::Borrowed("GET"),
        host: Cow::Borrowed(""),
        target: Cow::Borrowed(""),
        user_agent: Cow::Borrowed(""),
        status: 200,
        version: 11,
        header_names: Cow::Borrowed(""),
        request_type: Cow::Borrowed(""),
        response_type: Cow::Borrowed(""),
        request_body_bytes: 0,
        response_body_bytes: 0,
        request_head: Cow::Borrowed(b""),
        response_head: Cow::Borrowed(b""),
    }
}

#[test]
fn a_listed_caller_accuses_nobody() {
    let it = workload();
    let mut world = World::new();
    world.start(&it);
    let caller = (it.address, 443);
    let mut talk =
        Talk::open_at(it.port, Transport::Tcp, (FAR, 40_000), caller, START_MS + 250).accepted();
    talk.local = LocalSide::Responder;
    talk.say(Side::Originator, 1, "GET / HTTP/1.1\r\n\r\n", Grammar::Obeyed);
    talk.speaks("http").say(Side::Responder, 3, "HTTP/1.1 200 OK\r\n\r\n", Grammar::Obeyed);
    world.talk(talk.end());
    let address = feed(&[(Indicator::Address(FAR, None), FRESH)]);
    let alerts = judged(&world.merged(), &address);
    assert!(alerts.iter().all(|alert| alert.strategy != "threat_intel"), "{alerts:#?}");
}
