//! What a workload is learned to do, what a person makes of it, and what it never does.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use engine::{
    Alert, AlertId, Approval, Baseline, Decision, Destination, Engine, Family, Host, Level, Limits,
    lowered, proposal,
};
use observation::{ContainerId, Fact, FlowKey, Span, Time, Transport};

use crate::habits::{Dice, Kind, call, timer, workload};
use crate::world::{Box_, START_MS, Told, World, at_ms, keep};

const DAY_H: f64 = 24.0;
/// What an approval subtracts at most.
const CAP_DB: i16 = 8;

/// A workload that calls one far end by a timer, on so many days from one on.
fn caller(world: &mut World, number: u8, kind: &Kind, (from, days): (f64, f64)) -> Box_ {
    let mut dice = Dice::new(7);
    let it = workload(world, number, number);
    for at in timer(1500.0, 0.1, 0.0, days * DAY_H, &mut dice) {
        call(world, &it, kind, from * 86_400.0 + at, &mut dice);
    }
    it
}

/// The same under these labels.
pub(crate) fn label(world: &mut World, id: ContainerId, labels: &[&'static str]) {
    for told in &mut world.facts {
        if let Fact::Container(fact) = &mut told.fact
            && fact.id == id
        {
            fact.labels = labels.iter().copied().map(Cow::Borrowed).collect();
        }
    }
}

struct Run {
    engine: Engine,
    alerts: BTreeMap<AlertId, Alert>,
}

impl Run {
    fn new() -> Self {
        Self { engine: Engine::new(Limits::default(), 0), alerts: BTreeMap::new() }
    }

    fn decide(&mut self, decisions: &[Decision]) {
        let Self { engine, alerts } = self;
        engine.decide(decisions.to_vec(), &mut |update| keep(alerts, update));
    }

    fn take(&mut self, facts: &[Told]) {
        let Self { engine, alerts } = self;
        for told in facts {
            engine.observe(told, &mut |update| keep(alerts, update));
        }
        engine.finish(&mut |update| keep(alerts, update));
    }

    fn of(world: &World, decisions: &[Decision]) -> Self {
        let mut run = Self::new();
        run.decide(decisions);
        run.take(&world.merged());
        run
    }

    fn alert(&self) -> &Alert {
        assert_eq!(self.alerts.len(), 1, "{:#?}", self.alerts);
        self.alerts.values().next().unwrap()
    }

    fn baseline(&self) -> Baseline {
        let all: Vec<_> = self.engine.baselines().collect();
        assert_eq!(all.len(), 1, "{all:#?}");
        all.into_iter().next().unwrap()
    }
}

fn approval(baseline: &Baseline, at: Time) -> Decision {
    Decision::Approved(Approval {
        workload: baseline.workload.clone(),
        lineage: baseline.lineage.clone(),
        at,
        by: "ops".into(),
        reason: "its vendor".into(),
        destinations: baseline.destinations_to_approve(),
    })
}

fn is_lowered(alert: &Alert) -> bool {
    alert.evidence.iter().any(|term| {
        term.family == Family::Destination && term.observed.starts_with("approved by ops")
    })
}

fn vendor() -> Kind {
    Kind::to([37, 1, 1, 9], 443)
}

fn days_after(days: u64) -> Time {
    at_ms(START_MS + days * 86_400_000)
}

#[test]
fn a_workload_is_learned_over_days_and_nothing_is_lower_for_it() {
    let mut world = World::new();
    caller(&mut world, 1, &vendor(), (0.0, 3.0));
    let early = Run::of(&world, &[]);
    assert!(!early.baseline().is_complete(), "{:#?}", early.baseline().all);
    let mut world = World::new();
    caller(&mut world, 1, &vendor(), (0.0, 8.0));
    let run = Run::of(&world, &[]);
    let baseline = run.baseline();
    let calls = world.facts.iter().filter(|told| matches!(told.fact, Fact::FlowClosed(_))).count();
    let [(destination, visits)] = baseline.destinations.as_slice() else { panic!("{baseline:#?}") };
    assert_eq!(destination.host, Host::Address(IpAddr::from([37, 1, 1, 9])));
    assert_eq!((destination.port, destination.transport), (443, Transport::Tcp));
    assert_eq!(destination.protocol, "tls");
    assert_eq!((visits.call_count, baseline.all.call_count), (calls as u64, calls as u64));
    assert_eq!((visits.day_count(), baseline.days_needed()), (9, 7));
    assert!(baseline.is_complete());
    assert_eq!(baseline.confidence_percent(visits), 90);
    assert_eq!(run.alert().level, Level::Medium);
    assert!(!is_lowered(run.alert()));
}

#[test]
fn an_approval_lowers_by_its_cap_at_most_and_says_who_it_was() {
    let mut world = World::new();
    caller(&mut world, 1, &vendor(), (0.0, 8.0));
    let mut before = Run::of(&world, &[]);
    let decision = approval(&before.baseline(), days_after(9));
    let Decision::Approved(approval) = &decision else { unreachable!() };
    let plain = before.alert().clone();
    let expected = lowered(&plain, approval);
    for run in [Run::of(&world, std::slice::from_ref(&decision)), {
        // Standing alerts are judged anew as soon as somebody approves.
        before.decide(std::slice::from_ref(&decision));
        before
    }] {
        let alert = run.alert();
        assert_eq!((alert.id, alert.level), (plain.id, Level::Low));
        assert!((1..=CAP_DB).contains(&(plain.sum_db - alert.sum_db)), "{alert:#?}");
        assert!(is_lowered(alert));
        assert_eq!(expected, Some((alert.sum_db, alert.level)), "the preview");
    }
}

#[test]
fn what_is_forgotten_is_judged_as_before_and_learned_anew() {
    let mut world = World::new();
    caller(&mut world, 1, &vendor(), (0.0, 8.0));
    let baseline = Run::of(&world, &[]).baseline();
    let mut run = Run::of(&world, &[approval(&baseline, days_after(9))]);
    assert_eq!(run.alert().level, Level::Low);
    let workload = baseline.workload;
    run.decide(&[Decision::Forgotten { workload: workload.clone(), at: days_after(9) }]);
    assert_eq!(run.alert().level, Level::Medium);
    assert_eq!(run.engine.baselines().count(), 0);
    let mut later = World::default();
    let it = Box_ { address: IpAddr::from([172, 20, 0, 1]), ..Box_::long_running(1, "/srv/app1") };
    call(&mut later, &it, &vendor(), 10.0 * 86_400.0, &mut Dice::new(1));
    run.take(&later.merged());
    run.decide(&[Decision::Forgotten { workload, at: days_after(9) }]);
    assert_eq!(run.baseline().all.day_count(), 1, "what came later stays");
}

/// The same place, and other words: an approval is for what was spoken there.
#[test]
fn another_protocol_at_an_approved_destination_is_not_lowered() {
    let mut world = World::new();
    caller(&mut world, 1, &vendor(), (0.0, 8.0));
    let decision = approval(&Run::of(&world, &[]).baseline(), days_after(9));
    let mut world = World::new();
    caller(&mut world, 1, &Kind { protocol: "ssh", ..vendor() }, (0.0, 8.0));
    let run = Run::of(&world, &[decision]);
    assert!(!is_lowered(run.alert()), "{:#?}", run.alert());
    assert_eq!(run.alert(), Run::of(&world, &[]).alert());
}

#[test]
fn an_approval_ends_when_nobody_went_there_for_long() {
    let with_gap = |days: f64| {
        let mut world = World::new();
        caller(&mut world, 1, &vendor(), (0.0, 1.0));
        let mut dice = Dice::new(8);
        let it = Box_ { address: IpAddr::from([172, 20, 0, 1]), ..Box_::long_running(1, "") };
        for at in timer(1500.0, 0.1, 0.0, DAY_H, &mut dice) {
            call(&mut world, &it, &vendor(), days * 86_400.0 + at, &mut dice);
        }
        world
    };
    let learned = Run::of(&with_gap(1.0), &[]).baseline();
    let decision = [approval(&learned, days_after(2))];
    assert!(is_lowered(Run::of(&with_gap(20.0), &decision).alert()));
    let ended = Run::of(&with_gap(40.0), &decision);
    assert!(!is_lowered(ended.alert()), "{:#?}", ended.alert());
    assert_eq!(ended.alert().level, Level::Medium);
    // Approved once more, it holds again.
    let again = [approval(&learned, days_after(41))];
    assert!(is_lowered(Run::of(&with_gap(40.0), &again).alert()));
}

#[test]
fn a_new_version_inherits_a_proposal_and_nothing_else() {
    let labels = &["com.docker.compose.project=shop", "com.docker.compose.service=web"];
    let version = |number: u8| {
        let mut world = World::new();
        let it = caller(&mut world, number, &vendor(), (0.0, 8.0));
        label(&mut world, it.id, labels);
        world
    };
    let old = Run::of(&version(1), &[]).baseline();
    let decision = approval(&old, days_after(9));
    let run = Run::of(&version(2), std::slice::from_ref(&decision));
    let new = run.baseline();
    assert_ne!(old.workload, new.workload);
    assert_eq!((new.lineage.owner.as_str(), new.lineage.name.as_str()), ("shop", "web"));
    assert_eq!(proposal(&new, [&decision]).unwrap().workload, old.workload);
    assert_eq!(proposal(&old, [&decision]), None);
    assert!(!is_lowered(run.alert()));
    assert_eq!(run.alert().level, Level::Medium);
    let inherited = approval(&Baseline { workload: new.workload, ..old }, days_after(9));
    assert!(is_lowered(Run::of(&version(2), &[decision, inherited]).alert()));
}

#[test]
fn throw_away_runs_and_what_is_started_by_hand_teach_nothing() {
    let mut world = World::new();
    let mut dice = Dice::new(1);
    let it = Box_ { created_ms: START_MS - 500, ..Box_::throw_away(1, "/srv/app") };
    world.start(&it);
    let other = workload(&mut world, 2, 2);
    world.exec(&other, START_MS, "sh");
    for second in 0..300 {
        call(&mut world, &it, &vendor(), f64::from(second), &mut dice);
        call(&mut world, &other, &vendor(), f64::from(second), &mut dice);
    }
    let run = Run::of(&world, &[]);
    assert_eq!(run.engine.baselines().count(), 0, "{:#?}", run.engine.baselines().next());
}

#[test]
fn learning_goes_on_across_a_restart_and_a_second_reading_counts_nothing_twice() {
    let mut world = World::new();
    caller(&mut world, 1, &vendor(), (0.0, 8.0));
    let facts = world.merged();
    let through = Run::of(&world, &[]).baseline();
    let (first, second) = facts.split_at(facts.len() / 2);
    let mut run = Run::new();
    for told in first {
        run.engine.observe(told, &mut |update| keep(&mut run.alerts, update));
    }
    run.engine = Engine::load(&run.engine.save()).unwrap();
    run.take(second);
    assert_eq!(run.baseline(), through);
    // In another boot nothing is left but what the store holds.
    let mut run = Run::new();
    run.engine.recall(through.clone());
    assert_eq!(run.baseline(), through);
    run.take(&facts);
    assert_eq!(run.baseline(), through);
    assert_eq!(run.engine.take_learned().len(), 1);
    assert!(run.engine.take_learned().is_empty(), "it was taken");
}

/// Each at a port of its own.
fn place(world: &mut World, boxes: &[Box_]) {
    let port_of = |key: &FlowKey| {
        boxes.iter().find(|it| it.address == key.originator.address).map(|it| it.port)
    };
    for told in &mut world.facts {
        match &mut told.fact {
            Fact::FlowOpened(fact) => fact.key.port = port_of(&fact.key).unwrap(),
            Fact::FlowClosed(fact) => fact.key.port = port_of(&fact.key).unwrap(),
            Fact::NetworkAttached(fact) => {
                let it = boxes.iter().find(|it| it.id == fact.id);
                fact.port = it.map(|it| it.port);
            }
            _ => {}
        }
    }
}

#[test]
fn who_goes_everywhere_and_who_comes_by_the_dozen_lose_their_own() {
    let mut world = World::new();
    let mut dice = Dice::new(1);
    let quiet = caller(&mut world, 1, &vendor(), (0.0, 2.0));
    let scanner = workload(&mut world, 2, 2);
    for number in 0..1000_u16 {
        let [high, low] = number.to_be_bytes();
        let kind = Kind::to([64, high, low, 1], 443);
        call(&mut world, &scanner, &kind, 90_000.0 + f64::from(number) * 20.0, &mut dice);
    }
    let mut boxes = vec![quiet, scanner];
    for number in 3..60 {
        let it = workload(&mut world, number, number);
        call(&mut world, &it, &vendor(), 100_000.0 + f64::from(number), &mut dice);
        boxes.push(it);
    }
    place(&mut world, &boxes);
    let limits = Limits::default();
    let small = Limits { baseline_count_max: 16, destination_per_baseline_count_max: 8, ..limits };
    let mut engine = Engine::new(small, 0);
    world.merged().iter().for_each(|told| engine.observe(told, &mut |_| {}));
    engine.finish(&mut |_| {});
    let all: Vec<_> = engine.baselines().collect();
    assert_eq!(all.len(), 16);
    assert!(all.iter().all(|baseline| baseline.destinations.len() <= 8));
    let quiet = all.iter().find(|baseline| baseline.lineage.name == "name-1").unwrap();
    assert_eq!((quiet.destinations.len(), quiet.dropped_count), (1, 0));
    let scanner = all.iter().find(|baseline| baseline.lineage.name == "name-2").unwrap();
    assert_eq!(scanner.dropped_count, 1000 - 8);
    assert!(engine.tally().evicted_count >= 1000 - 8 + 59 - 16);
}

#[test]
fn names_of_anything_are_kept_short_and_whole() {
    let mut world = World::new();
    let mut dice = Dice::new(1);
    let it = workload(&mut world, 1, 1);
    let placed = Box_ { port: observation::PortId::UNKNOWN, ..it.clone() };
    for (number, name) in
        ["\u{1b}[2J\u{202e}".repeat(40), "é".repeat(200), "\0".repeat(255)].into_iter().enumerate()
    {
        let far = [64, 9, 9, number as u8];
        world.dns(&placed, START_MS + 1000, &name, Ok(IpAddr::from(far)));
        call(&mut world, &it, &Kind::to(far, 443), 10.0, &mut dice);
    }
    for told in &mut world.facts {
        if let Fact::Container(fact) = &mut told.fact {
            fact.name = Cow::Owned("\u{430}\n".repeat(500));
            fact.image = Cow::Owned(format!("{}:{}", "@:/".repeat(300), "é".repeat(300)));
        }
    }
    let run = Run::of(&world, &[]);
    let baseline = run.baseline();
    assert_eq!(baseline.destinations.len(), 3);
    for (Destination { host, .. }, _) in &baseline.destinations {
        let Host::Name(name) = host else { panic!("{host:?}") };
        assert!(!name.is_empty() && name.len() <= 255);
    }
    assert!(baseline.lineage.name.len() <= 255 && baseline.lineage.image.len() <= 255);
    let loaded = Engine::load(&run.engine.save()).unwrap();
    assert_eq!(loaded.baselines().collect::<Vec<_>>(), [baseline]);
}

#[test]
fn what_is_expected_can_be_set() {
    let mut world = World::new();
    caller(&mut world, 1, &vendor(), (0.0, 2.5));
    let mut run = Run::of(&world, &[]);
    assert!(!run.baseline().is_complete());
    let learn_for = Span::from_secs(2 * 86_400);
    run.engine.expect(engine::Expectations { learn_for, ..engine::Expectations::default() });
    assert!(run.baseline().is_complete());
}
