//! Lookups below registered domains: tunnels of several makes, and what innocent programs ask.

use std::borrow::Cow;
use std::net::IpAddr;

use engine::{Alert, Level};
use observation::{DnsAnswer, DnsData, DnsExchange, Fact, LocalSide, Transport};

use crate::properties::Dice;
use crate::talk::Talk;
use crate::world::{Box_, START_MS, World, at_ms};

pub(crate) const A: u16 = 1;
const NULL: u16 = 10;
const MX: u16 = 15;
pub(crate) const TXT: u16 = 16;
const CNAME: u16 = 5;
const PRIVATE: u16 = 65_399;
pub(crate) const NAME_ERROR: u8 = 3;

/// One lookup and what was answered.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub name: String,
    pub query_type: u16,
    pub reply: Result<Vec<DnsData<'static>>, u8>,
}

/// Somebody who asks: a throw-away run, a workload, or an address that no container claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    AdHoc,
    Workload,
    Unnamed,
}

pub(crate) const ALL: [Who; 3] = [Who::AdHoc, Who::Workload, Who::Unnamed];

impl Dice {
    /// Random letters of this alphabet, as an encoder writes random data.
    pub(crate) fn label(&mut self, alphabet: &str, length: usize) -> String {
        let letters = alphabet.as_bytes();
        let letter =
            |dice: &mut Self| char::from(letters[dice.below(letters.len() as u64) as usize]);
        (0..length).map(|_| letter(self)).collect()
    }
}

pub(crate) const HEX: &str = "0123456789abcdef";
pub(crate) const BASE32: &str = "abcdefghijklmnopqrstuvwxyz234567";

pub(crate) fn address(text: &str) -> DnsData<'static> {
    DnsData::Address(text.parse().unwrap())
}

pub(crate) fn ask(name: impl Into<String>, query_type: u16, reply: DnsData<'static>) -> Ask {
    Ask { name: name.into(), query_type, reply: Ok(vec![reply]) }
}

pub(crate) fn missing(name: impl Into<String>) -> Ask {
    Ask { name: name.into(), query_type: A, reply: Err(NAME_ERROR) }
}

fn asker(who: Who) -> Box_ {
    match who {
        Who::Workload => Box_::long_running(7, "/app/server"),
        Who::AdHoc | Who::Unnamed => Box_::throw_away(7, "/app/server"),
    }
}

/// A world in which somebody asks this, one lookup every so many milliseconds.
pub(crate) fn asking(who: Who, every_ms: u64, asks: &[Ask]) -> World {
    let mut world = World::new();
    let it = asker(who);
    if who != Who::Unnamed {
        world.start(&it);
    }
    for (number, ask) in (0_u64..).zip(asks) {
        lookup(&mut world, &it, START_MS + 1_000 + number * every_ms, ask);
    }
    world
}

const RESOLVER: (IpAddr, u16) = (IpAddr::V4(std::net::Ipv4Addr::new(172, 17, 0, 1)), 53);

fn lookup(world: &mut World, it: &Box_, ms: u64, ask: &Ask) {
    lookup_at(world, it, RESOLVER, ms, ask);
}

fn lookup_at(world: &mut World, it: &Box_, server: (IpAddr, u16), ms: u64, ask: &Ask) {
    let near = (it.address, 20_000 + (ms % 40_000) as u16);
    let mut talk = Talk::open_at(it.port, Transport::Udp, near, server, ms);
    talk.local = LocalSide::Originator;
    let data = ask.reply.clone().unwrap_or_default();
    let exchange = DnsExchange {
        flow: talk.flow,
        asked_at: at_ms(ms),
        name: Cow::Owned(ask.name.clone()),
        query_type: ask.query_type,
        response_code: Some(*ask.reply.as_ref().err().unwrap_or(&0)),
        answers: data.into_iter().map(|data| DnsAnswer { ttl_s: 1, data }).collect(),
        ..DnsExchange::default()
    };
    talk.extra.push((ms + 2, Fact::Dns(exchange)));
    talk.protocols.push("dns");
    talk.wait(2);
    world.talk(talk.end());
}

pub(crate) fn accused(world: &World) -> Vec<Alert> {
    let alerts = world.alerts().into_iter();
    alerts.filter(|alert| alert.strategy == "dns_c2" && alert.level >= Level::Medium).collect()
}

fn found(what: &str, every_ms: u64, asks: &[Ask]) {
    for who in ALL {
        let alerts = accused(&asking(who, every_ms, asks));
        assert_eq!(alerts.len(), 1, "{what} {who:?}: one domain, one alert");
        let term = alerts[0].evidence.iter().max_by_key(|term| term.points_db).unwrap();
        assert_eq!((term.strategy.as_ref(), term.family), ("dns_c2", engine::Family::Session));
    }
}

#[test]
fn dnscat2_by_every_type_that_it_knows() {
    for (query_type, name) in [(TXT, "txt"), (CNAME, "cname"), (MX, "mx"), (A, "a")] {
        let mut dice = Dice(u64::from(query_type));
        let asks: Vec<Ask> = (0..60)
            .map(|_| {
                let length = 18 + 2 * dice.below(20) as usize;
                let asked = format!("{}.t.example.org", dice.label(HEX, length));
                let answered = dice.label(HEX, 24);
                let reply = match query_type {
                    TXT => DnsData::Other(TXT, 18 + dice.below(100) as u16),
                    A => DnsData::Address(IpAddr::from([9, 1, 2, dice.below(255) as u8])),
                    _ => DnsData::Name(Cow::Owned(format!("{answered}.t.example.org"))),
                };
                ask(asked, query_type, reply)
            })
            .collect();
        found(name, 1_000, &asks);
    }
}

#[test]
fn iodine_by_null_and_by_private_types() {
    for query_type in [NULL, PRIVATE, TXT] {
        let mut dice = Dice(3);
        let asks: Vec<Ask> = (0..40)
            .map(|_| {
                let asked = format!("p{}.io.example.net", dice.label(BASE32, 60));
                ask(asked, query_type, DnsData::Other(query_type, 200 + dice.below(900) as u16))
            })
            .collect();
        found("iodine", 50, &asks);
    }
}

#[test]
fn one_query_a_minute_is_slow_and_found() {
    let mut dice = Dice(4);
    let asks: Vec<Ask> = (0..90)
        .map(|number| {
            let asked = format!("{number}.{}.exf.example.org", dice.label(BASE32, 40));
            ask(asked, A, address("203.0.113.9"))
        })
        .collect();
    found("slow", 60_000, &asks);
}

#[test]
fn data_out_through_names_that_do_not_exist() {
    let mut dice = Dice(5);
    let asks: Vec<Ask> = (0..70)
        .map(|_| {
            let length = 30 + dice.below(30) as usize;
            missing(format!("{}.example.org", dice.label(HEX, length)))
        })
        .collect();
    found("one way", 500, &asks);
}

#[test]
fn records_of_no_meaning_for_one_name_are_commands() {
    let asks: Vec<Ask> = (0..20)
        .map(|number| ask("go.example.org", NULL, DnsData::Other(NULL, 40 + number % 3)))
        .collect();
    found("commands", 5_000, &asks);
}

#[test]
fn without_a_domain_straight_to_a_server() {
    let mut dice = Dice(6);
    let asks: Vec<Ask> = (0..60)
        .map(|_| ask(format!("dnscat.{}1", dice.label(HEX, 40)), TXT, DnsData::Other(TXT, 40)))
        .collect();
    found("straight", 1_000, &asks);
}

#[test]
fn a_domain_that_the_configuration_names_is_below_high() {
    let mut dice = Dice(7);
    let asks: Vec<Ask> = (0..60)
        .map(|_| ask(format!("{}.x.example.org", dice.label(HEX, 40)), A, address("9.1.1.1")))
        .collect();
    let mut world = World::new();
    let it = Box_ {
        environment: vec![String::from("REPUTATION=https://api.example.org/v2")],
        ..Box_::long_running(7, "/app/server")
    };
    world.start(&it);
    for (number, ask) in (0_u64..).zip(&asks) {
        lookup(&mut world, &it, START_MS + 1_000 + number * 1_000, ask);
    }
    assert!(accused(&world).is_empty());
}

#[test]
fn domains_without_number_evict_their_own_askers() {
    let mut world = World::new();
    let (loud, quiet) = (Box_::long_running(8, "/app/loud"), asker(Who::Workload));
    world.start(&loud);
    world.start(&quiet);
    let mut dice = Dice(14);
    for number in 0..60 {
        let name = format!("{}.t.example.org", dice.label(HEX, 50));
        lookup(
            &mut world,
            &quiet,
            START_MS + number * 2_000,
            &ask(name, TXT, DnsData::Other(TXT, 60)),
        );
    }
    for number in 0..2_000 {
        let name = format!("{}{number}.com", dice.label(BASE32, 12));
        lookup(&mut world, &loud, START_MS + number * 50 + 7, &ask(name, A, address("9.9.9.1")));
    }
    let limits = engine::Limits { domain_count_max: 256, ..engine::Limits::default() };
    let mut engine = engine::Engine::new(limits, 1);
    let mut alerts = std::collections::BTreeMap::new();
    for told in &world.merged() {
        engine.observe(told, &mut |update| crate::world::keep(&mut alerts, update));
    }
    engine.finish(&mut |update| crate::world::keep(&mut alerts, update));
    assert!(engine.tally().evicted_count >= 1_700, "{:?}", engine.tally());
    assert!(alerts.values().any(|alert| alert.strategy == "dns_c2" && alert.level >= Level::High));
}

#[test]
fn names_out_of_a_generator() {
    let mut dice = Dice(20);
    let letters = "abcdefghijklmnopqrstuvwxyz";
    for (alphabet, zone) in [(letters, "com"), (HEX, "net"), (letters, "info")] {
        let asks: Vec<Ask> = (0..60)
            .map(|_| {
                let length = 8 + dice.below(8) as usize;
                missing(format!("{}.{zone}", dice.label(alphabet, length)))
            })
            .collect();
        found("generated", 1_000, &asks);
    }
}

/// A few hundred bytes alone are Low; that they go straight to a server of their own is more.
#[test]
fn a_server_that_is_asked_for_nothing_else_says_more() {
    let sum = |server: (IpAddr, u16)| {
        let mut world = World::new();
        let it = asker(Who::Workload);
        world.start(&it);
        let mut dice = Dice(22);
        for number in 0..8 {
            let usual = ask(format!("www.shop{number}.com"), A, address("9.9.9.9"));
            lookup(&mut world, &it, START_MS + number * 1_000, &usual);
        }
        for number in 0..25 {
            let told = ask(format!("{}.example.org", dice.label(HEX, 40)), A, address("9.1.1.1"));
            lookup_at(&mut world, &it, server, START_MS + 20_000 + number * 1_000, &told);
        }
        let alerts = world.alerts();
        alerts.iter().find(|alert| alert.strategy == "dns_c2").unwrap().sum_db
    };
    let own = (IpAddr::from([198, 51, 100, 7]), 53);
    let usual = sum(RESOLVER);
    assert!(sum(own) > usual);
    assert!(sum((RESOLVER.0, 443)) > usual, "nor are lookups made there");
}

/// The client is accused, and the resolver that only asks for it is not.
#[test]
fn a_resolver_in_a_container_asks_for_others() {
    let mut world = World::new();
    let (client, resolver) =
        (Box_::long_running(7, "/app/server"), Box_::long_running(9, "/app/dnsmasq"));
    world.start(&client);
    world.start(&resolver);
    let mut dice = Dice(23);
    for number in 0..80 {
        let told = ask(format!("{}.example.org", dice.label(HEX, 40)), A, address("9.1.1.1"));
        let ms = START_MS + number * 1_000;
        lookup_at(&mut world, &resolver, RESOLVER, ms + 1, &told);
        lookup_at(&mut world, &client, (resolver.address, 53), ms, &told);
    }
    let alerts = accused(&world);
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].subjects[0].address, Some(client.address));
}
