//! Habits of containers: who calls whom, when, and with how much.
//!
//! A day is made of habits with a seed. None of them is that of `/work/shared/eval`: periods,
//! sizes, counts and forms differ, so that what holds here was not fitted there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use engine::{Alert, Level};
use observation::{
    ConnState, Counts, Endpoint, Fact, Flaws, FlowClosed, FlowKey, FlowOpened, LocalSide, PortId,
    Transport,
};

use crate::world::{Box_, PACKETS, START_MS, World, flow_id, judge};

/// A generator with a fixed seed: the same day in every run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            dice.part();
        }
        dice
    }

    /// Between 0 and 1.
    pub(crate) fn part(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        ((mixed >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0
    }

    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.part().ln()
    }

    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.part().ln()).sqrt() * (std::f64::consts::TAU * self.part()).cos()
    }

    pub(crate) fn pick(&mut self, all: &[f64]) -> f64 {
        all[(self.part() * all.len() as f64) as usize]
    }
}

/// One kind of call.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub far: (IpAddr, u16),
    pub transport: Transport,
    pub sent: f64,
    pub received: f64,
    pub state: ConnState,
    pub protocol: &'static str,
    pub lasts_ms: f64,
}

impl Kind {
    pub(crate) fn to(far: [u8; 4], port: u16) -> Self {
        Self {
            far: (IpAddr::from(far), port),
            transport: Transport::Tcp,
            sent: 500.0,
            received: 900.0,
            state: ConnState::SF,
            protocol: "tls",
            lasts_ms: 120.0,
        }
    }
}

/// Calls at these seconds after the start.
pub(crate) fn call(world: &mut World, it: &Box_, kind: &Kind, seconds: f64, dice: &mut Dice) {
    let ms = START_MS + (seconds * 1000.0) as u64;
    let number = world.facts.len() as u64;
    let near = Endpoint { address: it.address, port: 20_000 + (number % 40_000) as u16 };
    let (address, port) = kind.far;
    let responder = Endpoint { address, port };
    let key =
        FlowKey { port: PortId::UNKNOWN, transport: kind.transport, originator: near, responder };
    let (flow, local) = (flow_id(&(key, ms, number)), LocalSide::Originator);
    world.tell(ms, PACKETS, Fact::FlowOpened(FlowOpened { flow, key, local }));
    let bytes = |size: f64, spread: f64| Counts {
        packets: 4,
        payload_bytes: (size * spread.exp()) as u64,
        ip_bytes: 200 + (size * spread.exp()) as u64,
    };
    let failed = matches!(kind.state, ConnState::S0 | ConnState::Rej);
    let (sent, received) = if failed { (0.0, 0.0) } else { (kind.sent, kind.received) };
    let end = ms + (kind.lasts_ms * (0.5 + dice.part())) as u64;
    let closed = FlowClosed {
        flow,
        key,
        local,
        start: crate::world::at_ms(ms),
        end: crate::world::at_ms(end),
        state: kind.state,
        originator: bytes(sent, 0.05 * dice.normal()),
        responder: bytes(received, 0.2 * dice.normal()),
        responder_bytes_after_close: 0,
        burst_count: 2,
        protocols: if failed { Vec::new() } else { vec![Cow::Borrowed(kind.protocol)] },
        likeness: [None; 2],
        ja4: None,
        community_id: Cow::Borrowed("1:AAAA"),
        flaws: Flaws::NONE,
    };
    world.tell(end, PACKETS, Fact::FlowClosed(closed));
}

/// A timer: `period × (1 ± jitter)`, of which a part of the calls is lost.
pub(crate) fn timer(period: f64, jitter: f64, loss: f64, hours: f64, dice: &mut Dice) -> Vec<f64> {
    let mut times = Vec::new();
    let mut at = period * dice.part();
    while at < hours * 3600.0 {
        if dice.part() >= loss {
            times.push(at);
        }
        at += period * (1.0 + jitter * (2.0 * dice.part() - 1.0));
    }
    times
}

pub(crate) fn memoryless(mean: f64, hours: f64, dice: &mut Dice) -> Vec<f64> {
    let mut times = Vec::new();
    let mut at = dice.exponential(mean);
    while at < hours * 3600.0 {
        times.push(at);
        at += dice.exponential(mean);
    }
    times
}

/// A long-lived container of this workload, without its process.
pub(crate) fn workload(world: &mut World, number: u8, workload: u8) -> Box_ {
    let mut it = Box_::long_running(number, &format!("/srv/app{workload}"));
    it.address = IpAddr::from([172, 20, 0, number]);
    world.create(&it);
    world.describe(&it, it.created_ms + 60);
    let mut placed = it.clone();
    placed.port = PortId::UNKNOWN;
    world.attach(&placed, it.created_ms + 50);
    it
}

/// The levels at which each subject's calls to an address are told.
pub(crate) fn told(alerts: &BTreeMap<engine::AlertId, Alert>) -> BTreeMap<(u8, IpAddr), Level> {
    let mut told = BTreeMap::new();
    for alert in alerts.values() {
        for subject in &alert.subjects {
            let number = subject.container.as_ref().map_or(0, |container| container.id.0[0]);
            for flow in &subject.flows {
                let level = told.entry((number, flow.remote.address)).or_insert(alert.level);
                *level = alert.level.max(*level);
            }
        }
    }
    told
}

fn far(dice: &mut Dice) -> [u8; 4] {
    [dice.pick(&[37.0, 64.0, 79.0, 143.0]) as u8, 1, (dice.part() * 255.0) as u8, 9]
}

/// Twelve workloads of three containers, and what they always do.
fn innocents(world: &mut World, hours: f64, dice: &mut Dice) -> Vec<(Box_, IpAddr, &'static str)> {
    let mut all = Vec::new();
    for number in 1..=36_u8 {
        let it = workload(world, number, number % 12);
        let mut habit = |what: &'static str, kind: Kind, times: Vec<f64>, dice: &mut Dice| {
            all.push((it.clone(), kind.far.0, what));
            times.into_iter().for_each(|at| call(world, &it, &kind, at, dice));
        };
        let mean = dice.pick(&[90.0, 400.0, 1500.0, 6000.0]);
        habit("memoryless", Kind::to([64, 2, 0, number], 443), memoryless(mean, hours, dice), dice);
        let two: Vec<f64> = memoryless(dice.pick(&[60.0, 700.0]), hours, dice);
        let two = two.into_iter().step_by(2).collect();
        habit("two steps", Kind::to([64, 3, 0, number], 8443), two, dice);
        let collector = Kind { sent: 2000.0, ..Kind::to([10, 0, 0, 9], 4317) };
        habit("collector", collector, timer(30.0, 0.1, 0.0, hours, dice), dice);
        let clock = Kind {
            transport: Transport::Udp,
            protocol: "ntp",
            sent: 48.0,
            received: 48.0,
            ..Kind::to([64, 9, 0, number], 123)
        };
        habit("clock", clock, timer(1024.0, 0.02, 0.0, hours, dice), dice);
        let mut sessions = Vec::new();
        let mut at = 0.0;
        while at < hours * 3600.0 {
            sessions.push(at);
            at += if dice.part() < 0.8 { dice.exponential(2.0) } else { dice.exponential(2400.0) };
        }
        habit("a person", Kind::to([64, 4, 0, number], 443), sessions, dice);
        if number % 12 == 3 {
            let telemetry = Kind::to([64, 5, 0, 1], 443);
            habit("telemetry", telemetry, timer(20.0, 0.05, 0.0, hours, dice), dice);
        }
        if number % 5 == 0 {
            let backup = Kind { sent: 3e6, lasts_ms: 30_000.0, ..Kind::to([64, 6, 0, number], 22) };
            habit("backup", backup, timer(1800.0, 0.02, 0.0, hours, dice), dice);
        }
        if number % 7 == 0 {
            let dead = Kind { state: ConnState::S0, ..Kind::to([64, 7, 0, number], 5672) };
            habit("dead address", dead, timer(8.0, 0.05, 0.0, hours, dice), dice);
        }
        if number % 4 == 0 {
            let metadata = Kind::to([169, 254, 169, 254], 80);
            habit("metadata", metadata, timer(240.0, 0.1, 0.0, hours, dice), dice);
        }
    }
    all
}

#[test]
fn timers_are_found_among_innocents_and_nobody_else_is_accused() {
    let hours = 12.0;
    let (mut found, mut beacon_count, mut innocent_count, mut accused) = (0, 0, 0, Vec::new());
    for seed in 1..=3 {
        let mut dice = Dice::new(seed);
        let mut world = World::new();
        let innocents = innocents(&mut world, hours, &mut dice);
        let mut beacons = Vec::new();
        for (place, period) in [7.0, 45.0, 150.0, 420.0, 1200.0].into_iter().enumerate() {
            for (step, (jitter, loss)) in
                [(0.0, 0.0), (0.25, 0.0), (0.5, 0.0), (0.1, 0.3), (0.35, 0.15)]
                    .into_iter()
                    .enumerate()
            {
                let (it, _, _) = &innocents[(place * 5 + step) * innocents.len() / 25];
                let mut kind = Kind::to(far(&mut dice), 443);
                kind.far.1 = 1000 + (place * 5 + step) as u16;
                let times = timer(period, jitter, loss, hours, &mut dice);
                times.iter().for_each(|at| call(&mut world, it, &kind, *at, &mut dice));
                beacons.push((it.number, kind.far.0, period, jitter, loss));
            }
        }
        let told = told(&judge(&world.merged()));
        let is_told = |number, address| {
            told.get(&(number, address)).is_some_and(|level| *level >= Level::Medium)
        };
        for (number, address, period, jitter, loss) in &beacons {
            beacon_count += 1;
            if is_told(*number, *address) {
                found += 1;
            } else {
                println!("seed {seed}: missed {period} s, jitter {jitter}, loss {loss}");
            }
        }
        innocent_count += innocents.len();
        let wrong = innocents.iter().filter(|(it, address, _)| is_told(it.number, *address));
        accused.extend(wrong.map(|(it, address, what)| (seed, it.number, *address, *what)));
        assert!(!told.values().any(|level| *level >= Level::High), "{told:?}");
    }
    println!("{found} of {beacon_count} beacons; {} of {innocent_count} innocents", accused.len());
    assert!(found * 100 >= beacon_count * 95, "{found} of {beacon_count}");
    assert!(accused.is_empty(), "{accused:?}");
}

/// Each address by itself is called by a timer too, six times as slowly: that makes no six timers.
#[test]
fn the_addresses_of_a_name_that_are_called_in_turn_are_one_beacon() {
    let mut dice = Dice::new(5);
    let mut world = World::new();
    let it = workload(&mut world, 1, 1);
    let placed = Box_ { port: PortId::UNKNOWN, ..it.clone() };
    let times = timer(120.0, 0.3, 0.0, 20.0, &mut dice);
    for (number, at) in times.iter().enumerate() {
        let kind = Kind::to([37, 1, 1, (number % 6) as u8], 443);
        let ms = START_MS + (at * 1000.0) as u64;
        if number % 7 == 0 {
            world.dns(&placed, ms - 40, "cdn.example.net", Ok(kind.far.0));
        }
        call(&mut world, &it, &kind, *at, &mut dice);
    }
    let told = told(&judge(&world.merged()));
    assert_eq!(told.len(), 6, "{told:?}");
    assert!(told.values().all(|level| *level == Level::Medium), "{told:?}");
}

/// And no others: what does not grow is no timer that grows.
#[test]
fn waits_that_grow_by_a_factor_are_a_timer() {
    let mut dice = Dice::new(9);
    let mut world = World::new();
    let it = workload(&mut world, 1, 1);
    let kind = Kind::to([37, 1, 1, 9], 443);
    let other = Kind::to([64, 2, 0, 1], 443);
    let mut at = 30.0;
    while at < 20.0 * 3600.0 {
        call(&mut world, &it, &kind, at, &mut dice);
        at *= 1.25;
    }
    let times = memoryless(240.0, 20.0, &mut dice);
    times.iter().for_each(|at| call(&mut world, &it, &other, *at, &mut dice));
    let told = told(&judge(&world.merged()));
    assert_eq!(told.get(&(it.number, kind.far.0)), Some(&Level::Medium), "{told:?}");
    assert_eq!(told.get(&(it.number, other.far.0)), None, "{told:?}");
}
