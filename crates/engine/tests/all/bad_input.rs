//! Rows that no clock, rotation or name server should give: bounded, counted, and a neighbour's
//! beacon is found all the same.
//!
//! The floods are a part of what a host may see in a day, with limits that are as much smaller, so
//! that a test takes seconds; state does not grow with either.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use engine::{Engine, Level, Limits};
use observation::{DnsAnswer, DnsData, DnsExchange, Fact, LocalSide, Observation, Time, Transport};

use crate::habits::{Dice, Kind, call, memoryless, timer, told, workload};
use crate::talk::Talk;
use crate::world::{Box_, PACKETS, START_MS, Told, World, at_ms, keep};

const HOURS: f64 = 4.0;
const BEACON: [u8; 4] = [37, 1, 1, 9];
const BEACON_OWNER: u8 = 1;
/// Limits are this part of what they are by default.
const SMALLER: usize = 32;

/// A beacon among the containers of six workloads, of which one is to misbehave.
struct Day {
    world: World,
    culprit: Box_,
}

fn day() -> Day {
    let (mut world, mut dice) = (World::new(), Dice::new(3));
    let boxes: Vec<Box_> = (1..=6).map(|number| workload(&mut world, number, number)).collect();
    for it in &boxes {
        let kind = Kind::to([64, 2, 0, it.number], 443);
        let times = memoryless(120.0, HOURS, &mut dice);
        times.iter().for_each(|at| call(&mut world, it, &kind, *at, &mut dice));
    }
    let beacon = timer(60.0, 0.3, 0.0, HOURS, &mut dice);
    let kind = Kind::to(BEACON, 443);
    beacon.iter().for_each(|at| call(&mut world, &boxes[0], &kind, *at, &mut dice));
    Day { world, culprit: boxes[5].clone() }
}

/// What became of a day.
struct Outcome {
    levels: BTreeMap<(u8, IpAddr), Level>,
    evicted_count: u64,
    state_bytes: usize,
}

impl Outcome {
    fn finds_the_beacon(&self) -> bool {
        let beacon = (BEACON_OWNER, IpAddr::from(BEACON));
        self.levels.get(&beacon).is_some_and(|level| *level >= Level::Medium)
    }

    /// Nobody but the beacon and the one who misbehaves.
    fn accuses_neighbours(&self, culprit: &Box_) -> bool {
        let beacon = (BEACON_OWNER, IpAddr::from(BEACON));
        let medium = self.levels.iter().filter(|(_, level)| **level >= Level::Medium);
        medium.into_iter().any(|(who, _)| *who != beacon && who.0 != culprit.number)
    }
}

/// In the order in which it is told, whatever the times.
fn outcome<'a>(facts: impl IntoIterator<Item = &'a Told>, limits: Limits) -> Outcome {
    let (mut engine, mut alerts) = (Engine::new(limits, 7), BTreeMap::new());
    for fact in facts {
        engine.observe(fact, &mut |update| keep(&mut alerts, update));
    }
    let state_bytes = engine.save().len();
    engine.finish(&mut |update| keep(&mut alerts, update));
    Outcome { levels: told(&alerts), evicted_count: engine.tally().evicted_count, state_bytes }
}

#[test]
fn the_day_by_itself_has_one_beacon() {
    let Day { world, culprit } = day();
    let seen = outcome(&world.merged(), Limits::default());
    assert!(seen.finds_the_beacon(), "{:?}", seen.levels);
    assert!(!seen.accuses_neighbours(&culprit), "{:?}", seen.levels);
    assert_eq!(seen.evicted_count, 0);
}

/// The same at another time.
fn moved(mut fact: Told, by_ns: i64) -> Told {
    let later = |at: &mut Time| at.0 = at.0.saturating_add_signed(by_ns);
    later(&mut fact.at);
    if let Fact::FlowClosed(closed) = &mut fact.fact {
        later(&mut closed.start);
        later(&mut closed.end);
    }
    fact
}

#[test]
fn rows_of_1970_and_of_2100_among_those_of_today() {
    let Day { world, culprit } = day();
    let (mut wild, mut dice) = (World::default(), Dice::new(5));
    for number in 0..250_u32 {
        let kind = Kind::to([64, 8, 0, (number % 50) as u8], 443);
        call(&mut wild, &culprit, &kind, f64::from(number) * 11.0, &mut dice);
    }
    // They are told between the others, now of 1970 and now of 2100.
    const YEAR_NS: i64 = 31_556_952_000_000_000;
    let mut wild = wild.facts.into_iter().enumerate().map(|(number, fact)| {
        moved(fact, if number / 2 % 2 == 0 { -56 * YEAR_NS } else { 74 * YEAR_NS })
    });
    let mut facts = Vec::new();
    for (place, fact) in world.merged().into_iter().enumerate() {
        facts.push(fact);
        if place % 3 == 2 {
            facts.extend(wild.next());
        }
    }
    assert!(wild.next().is_none(), "all were told");
    let seen = outcome(&facts, Limits::default());
    assert!(seen.finds_the_beacon(), "{:?}", seen.levels);
    assert!(!seen.accuses_neighbours(&culprit), "{:?}", seen.levels);
}

/// The clock of the whole host is put back or forth by an hour in the middle of the day.
#[test]
fn a_clock_that_jumps_costs_a_beacon_one_gap() {
    const HOUR_NS: i64 = 3_600_000_000_000;
    for jump_ns in [HOUR_NS, -HOUR_NS] {
        let Day { world, culprit } = day();
        let middle = at_ms(START_MS + (HOURS * 1_800_000.0) as u64);
        let jumps = |fact: Told| if fact.at < middle { fact } else { moved(fact, jump_ns) };
        let facts: Vec<Told> = world.merged().into_iter().map(jumps).collect();
        let seen = outcome(&facts, Limits::default());
        assert!(seen.finds_the_beacon(), "{jump_ns}: {:?}", seen.levels);
        assert!(!seen.accuses_neighbours(&culprit), "{jump_ns}: {:?}", seen.levels);
    }
}

/// One container's rows come from the end of the day to its beginning.
#[test]
fn a_day_that_is_told_backwards() {
    let Day { world, culprit } = day();
    let is_its = |fact: &Told| match &fact.fact {
        Fact::FlowOpened(opened) => opened.key.originator.address == culprit.address,
        Fact::FlowClosed(closed) => closed.key.originator.address == culprit.address,
        _ => false,
    };
    let all = world.merged();
    let mut backwards: Vec<&Told> = all.iter().filter(|fact| is_its(fact)).collect();
    // A flow is still opened before it is closed.
    backwards.sort_by_key(|fact| {
        let start = match &fact.fact {
            Fact::FlowClosed(closed) => closed.start,
            _ => fact.at,
        };
        (std::cmp::Reverse(start), fact.order)
    });
    assert!(backwards.len() > 100);
    let mut backwards = backwards.into_iter();
    let facts = all.iter().map(|fact| if is_its(fact) { backwards.next().unwrap() } else { fact });
    let seen = outcome(facts, Limits::default());
    assert!(seen.finds_the_beacon(), "{:?}", seen.levels);
    assert!(!seen.accuses_neighbours(&culprit), "{:?}", seen.levels);
}

/// Each destination is called once, up to the end of the day. What is said of the culprit besides
/// is not asked here.
fn destinations(world: &mut World, culprit: &Box_, count: u32) {
    const PER_SECOND: f64 = 60.0;
    let mut dice = Dice::new(11);
    for number in 0..count {
        let [_, second, third, fourth] = number.to_be_bytes();
        let kind = Kind::to([100 + second, third, fourth, 9], 443);
        let at = HOURS * 3600.0 - f64::from(count - number) / PER_SECOND;
        call(world, culprit, &kind, at, &mut dice);
    }
}

#[test]
fn hundreds_of_thousands_of_destinations_of_one_container_evict_only_its_own() {
    let mut sizes = Vec::new();
    for count in [60_000, 240_000] {
        let Day { mut world, culprit } = day();
        destinations(&mut world, &culprit, count);
        let seen = outcome(&world.merged(), Limits::default().divided_by(SMALLER));
        assert!(seen.finds_the_beacon(), "{count}: {:?}", seen.levels);
        assert!(!seen.accuses_neighbours(&culprit), "{count}: {:?}", seen.levels);
        assert!(seen.evicted_count > u64::from(count) / 2, "{count}: {}", seen.evicted_count);
        sizes.push(seen.state_bytes);
    }
    assert!(sizes[1] <= sizes[0] + sizes[0] / 10, "state grows with what comes: {sizes:?}");
}

/// A lookup of a name that is nothing but 255 bytes of anything, each written as `\DDD`.
fn odd_lookup(it: &Box_, number: u32, ms: u64) -> Vec<Told> {
    let bytes = (0..255_u32).map(|place| (number.wrapping_mul(7919) + place * place) % 256);
    let name: String = bytes.map(|byte| format!("\\{byte:03}")).collect();
    let near = (it.address, 30_000 + u16::try_from(number % 30_000).unwrap());
    let server = (IpAddr::from([172, 20, 0, 254]), 53);
    let mut talk = Talk::open_at(it.port, Transport::Udp, near, server, ms);
    talk.local = LocalSide::Originator;
    let exchange = DnsExchange {
        flow: talk.flow,
        asked_at: at_ms(ms),
        name: Cow::Owned(name.clone()),
        query_type: 16,
        response_code: Some(0),
        answers: vec![DnsAnswer { ttl_s: 0, data: DnsData::Name(Cow::Owned(name)) }],
        ..DnsExchange::default()
    };
    talk.extra.push((ms + 2, Fact::Dns(exchange)));
    talk.protocols.push("dns");
    talk.wait(2);
    let told = talk.end().told();
    let all = (0..).zip(told).map(|(order, (at, fact))| Observation {
        at,
        witness: PACKETS,
        order,
        fact,
    });
    all.collect()
}

#[test]
fn names_of_255_bytes_of_anything() {
    let mut sizes = Vec::new();
    for count in [2_000, 20_000] {
        let Day { mut world, culprit } = day();
        for number in 0..count {
            let ms = (HOURS * 3_600_000.0) as u64 - u64::from(count - number) * 500;
            world.facts.extend(odd_lookup(&culprit, number, START_MS + ms));
        }
        let seen = outcome(&world.merged(), Limits::default().divided_by(SMALLER));
        assert!(seen.finds_the_beacon(), "{count}: {:?}", seen.levels);
        assert!(!seen.accuses_neighbours(&culprit), "{count}: {:?}", seen.levels);
        assert!(seen.evicted_count > u64::from(count) / 2, "{count}: {}", seen.evicted_count);
        sizes.push(seen.state_bytes);
    }
    assert!(sizes[1] <= sizes[0] + sizes[0] / 10, "state grows with what comes: {sizes:?}");
}
