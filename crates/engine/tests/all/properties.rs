//! What never changes the final alerts: the order in which witnesses are heard, ticks, saving and
//! loading, neighbours, names.

use std::collections::{BTreeMap, BTreeSet};

use engine::{Alert, AlertId, AlertUpdate, Engine, Limits};
use observation::{Fact, PortId, Side, Time};

use crate::busy;
use crate::habits::{self, Kind, call, timer, workload};
use crate::talk::Talk;
use crate::world::{Box_, START_MS, Told, World, judge, keep};

const LATE_MS_MAX: u64 = 10_000;

/// A small generator with a fixed seed: the same shuffles in every run.
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % limit
    }
}

/// What has to be equal: all but the times and numbers of what was told on the way.
fn finals(alerts: BTreeMap<AlertId, Alert>) -> BTreeMap<AlertId, Alert> {
    let plain = |alert: Alert| Alert { revision: 0, opened_at: Time(0), ..alert };
    alerts.into_iter().map(|(id, alert)| (id, plain(alert))).collect()
}

fn expected() -> BTreeMap<AlertId, Alert> {
    finals(judge(&busy::world().merged()))
}

/// Names the first difference.
fn same(
    left: &BTreeMap<AlertId, Alert>,
    right: &BTreeMap<AlertId, Alert>,
    why: &dyn std::fmt::Debug,
) {
    for (id, alert) in left {
        let other = right.get(id);
        assert_eq!(Some(alert), other, "{why:?}: {id} {}", alert.summary);
    }
    for (id, alert) in right {
        assert!(left.contains_key(id), "{why:?}: too many: {alert:#?}");
    }
}

/// Every fact comes up to `LATE_MS_MAX` late; each witness keeps its own order.
fn late(facts: &[Told], dice: &mut Dice) -> Vec<Told> {
    let mut lag: BTreeMap<u16, u64> = BTreeMap::new();
    let mut last: BTreeMap<u16, Time> = BTreeMap::new();
    let mut arrivals: Vec<(Time, &Told)> = Vec::new();
    for told in facts {
        let witness = told.witness.0;
        // A witness is quick for a while, then slow for a while.
        if dice.below(8) == 0 || !lag.contains_key(&witness) {
            lag.insert(witness, [0, 5, LATE_MS_MAX][dice.below(3) as usize]);
        }
        let delay = dice.below(lag[&witness] * 1_000_000 + 1);
        let arrival = Time(told.at.0 + delay).max(*last.get(&witness).unwrap_or(&Time(0)));
        last.insert(witness, arrival);
        arrivals.push((arrival, told));
    }
    arrivals.sort_by_key(|(arrival, _)| *arrival);
    arrivals.into_iter().map(|(_, told)| told.clone()).collect()
}

#[test]
fn the_busy_world_is_worth_it() {
    let alerts = expected();
    let levels: Vec<_> = alerts.values().map(|alert| alert.level.name()).collect();
    for level in ["Low", "Medium", "High", "Critical"] {
        assert!(levels.contains(&level), "{levels:?}");
    }
    assert!(alerts.len() >= 14, "{}", alerts.len());
    assert!(alerts.values().any(|alert| alert.subject_count == 4));
    assert!(alerts.values().any(|alert| alert.summary.contains("check in")), "{levels:?}");
}

#[test]
fn an_id_stays_while_an_incident_goes_on() {
    let mut engine = Engine::new(Limits::default(), 0);
    let mut closed = Vec::new();
    let mut out = |update| closed.extend(Some(update).filter(is_closed));
    for told in &busy::world().merged() {
        engine.observe(told, &mut out);
    }
    engine.finish(&mut out);
    // The banner that a grammar explains in the end, and the name that resolves in the end.
    assert_eq!(closed.len(), 2, "{closed:#?}");
}

#[test]
fn an_id_stays_when_an_earlier_opening_is_found() {
    const TIMER_S: f64 = 60.0;
    let mut world = World::new();
    let mut dice = habits::Dice::new(1);
    let it = workload(&mut world, 1, 1);
    let kind = Kind::to([37, 1, 1, 9], 443);
    let calls = timer(TIMER_S, 0.1, 0.0, 0.5, &mut dice);
    calls.iter().for_each(|at| call(&mut world, &it, &kind, *at, &mut dice));
    // Between its second call and its third it is heard to speak with a broker.
    let heard = Box_ { port: PortId::UNKNOWN, ..it };
    let mut talk = Talk::open(&heard, 52_000, kind.far, START_MS + 90_000);
    talk.sealed(Side::Originator, 1, 90).speaks("mqtt").sealed(Side::Responder, 3, 200);
    world.talk(talk.end());
    let mut updates = Vec::new();
    let mut engine = Engine::new(Limits::default(), 0);
    for told in &world.merged() {
        engine.observe(told, &mut |update| updates.push(update));
    }
    engine.finish(&mut |update| updates.push(update));
    let ids: BTreeSet<AlertId> = updates
        .iter()
        .filter_map(|update| match update {
            AlertUpdate::Opened(alert) | AlertUpdate::Revised(alert) => Some(alert.id),
            _ => None,
        })
        .collect();
    assert_eq!((ids.len(), updates.iter().filter(|update| is_closed(update)).count()), (1, 0));
    let last = updates.iter().rev().find_map(|update| match update {
        AlertUpdate::Revised(alert) => Some(alert),
        _ => None,
    });
    assert!(last.is_some_and(|alert| alert.strategy == "beacon"), "{last:#?}");
}

fn is_closed(update: &AlertUpdate) -> bool {
    matches!(update, AlertUpdate::Closed(_))
}

#[test]
fn the_order_of_sources_changes_nothing() {
    let (facts, expected) = (busy::world().merged(), expected());
    for seed in 0..200 {
        let facts = late(&facts, &mut Dice(seed));
        same(&expected, &finals(judge(&facts)), &seed);
    }
}

#[test]
fn one_whole_source_that_is_late_changes_nothing() {
    let (facts, expected) = (busy::world().merged(), expected());
    for witness in 1..=4 {
        for delay in [1, 4_000, LATE_MS_MAX - 1, LATE_MS_MAX] {
            let mut facts = facts.clone();
            facts.sort_by_key(|told| {
                let delay = if told.witness.0 == witness { delay * 1_000_000 } else { 0 };
                told.at.0 + delay
            });
            same(&expected, &finals(judge(&facts)), &(witness, delay));
        }
    }
}

#[test]
fn ticks_change_nothing_at_all() {
    let facts = busy::world().merged();
    let run = |seed: Option<u64>| {
        let mut dice = Dice(seed.unwrap_or(0));
        let mut engine = Engine::new(Limits::default(), 0);
        let mut updates: Vec<AlertUpdate> = Vec::new();
        let mut out = |update| updates.push(update);
        let mut now = 0;
        for told in &facts {
            while seed.is_some() && now < told.at.0 && dice.below(3) > 0 {
                now = now.max(told.at.0.saturating_sub(20_000_000_000));
                now += dice.below(told.at.0 - now + 1);
                engine.advance(Time(now), &mut out);
            }
            engine.observe(told, &mut out);
            now = now.max(told.at.0);
        }
        engine.finish(&mut out);
        updates
    };
    let without = run(None);
    for seed in 0..50 {
        assert!(run(Some(seed)) == without, "{seed}");
    }
}

#[test]
fn saving_and_loading_anywhere_changes_nothing() {
    let facts = late(&busy::world().merged(), &mut Dice(7));
    let expected = judge(&facts);
    let mut alerts = BTreeMap::new();
    let mut engine = Engine::new(Limits::default(), 0);
    for told in &facts {
        engine = Engine::load(&engine.save()).unwrap();
        engine.observe(told, &mut |update| keep(&mut alerts, update));
    }
    engine = Engine::load(&engine.save()).unwrap();
    engine.finish(&mut |update| keep(&mut alerts, update));
    assert_eq!(expected, alerts);
}

#[test]
fn a_damaged_or_foreign_state_is_refused() {
    let saved = Engine::new(Limits::default(), 0).save();
    assert!(Engine::load(&[]).is_err());
    assert!(Engine::load(&saved[..saved.len() / 2]).is_err());
    let mut foreign = saved;
    foreign[0] = 99;
    assert!(Engine::load(&foreign).is_err());
}

/// Whatever is only about how common a destination is may change with a neighbour.
fn without_neighbours(alerts: BTreeMap<AlertId, Alert>) -> BTreeMap<AlertId, Alert> {
    let mut alerts = finals(alerts);
    for alert in alerts.values_mut() {
        alert.prevalence = engine::Prevalence::default();
    }
    alerts
}

#[test]
fn a_neighbour_that_floods_changes_nothing() {
    let expected = without_neighbours(judge(&busy::world().merged()));
    let mut world = busy::world();
    crate::flood::flood(&mut world, 20_000);
    let mut alerts = judge(&world.merged());
    let flooder = crate::flood::flooder().id;
    alerts.retain(|_, alert| {
        let first = alert.subjects[0].container.as_ref();
        first.is_none_or(|container| container.id != flooder)
    });
    same(&expected, &without_neighbours(alerts), &"flood");
}

#[test]
fn other_names_change_nothing() {
    let alerts = judge(&busy::world().merged());
    let renamed: World = crate::rename::world(&busy::world());
    let others = judge(&renamed.merged());
    let told = |alerts: BTreeMap<AlertId, Alert>, map: &dyn Fn(&mut Alert)| {
        let mut told: Vec<String> = Vec::new();
        for mut alert in alerts.into_values() {
            map(&mut alert);
            alert.id = AlertId(0);
            // Hashes of names differ as the names do.
            for subject in &mut alert.subjects {
                subject.container.iter_mut().for_each(|container| container.workload.clear());
            }
            told.push(format!("{alert:#?}"));
        }
        told.sort();
        told
    };
    let left = told(alerts, &crate::rename::alert);
    let right = told(others, &|_| {});
    assert_eq!(left.len(), right.len());
    for (left, right) in left.iter().zip(&right) {
        assert!(left == right, "{left}\n{right}");
    }
}

#[test]
fn small_limits_count_what_they_evict() {
    for divisor in [64, 100_000] {
        let mut world = busy::world();
        crate::flood::flood(&mut world, 3_000);
        let mut engine = Engine::new(Limits::default().divided_by(divisor), 0);
        for told in world.merged() {
            engine.observe(&told, &mut |_| {});
            if matches!(told.fact, Fact::FlowClosed(_)) && told.at.0 % 97 == 0 {
                engine = Engine::load(&engine.save()).unwrap();
            }
        }
        engine.finish(&mut |_| {});
        assert!(engine.tally().evicted_count > 1000, "{:?}", engine.tally());
    }
}
