//! How soon a beacon is told, and how often a caller without a timer is taken for one.
//!
//! Both tables stand in the strategy's document, and are made here.

use std::collections::BTreeMap;

use engine::{AlertId, AlertUpdate, Engine, Level, Limits};

use crate::habits::{Dice, Kind, call, memoryless, timer, workload};
use crate::world::{START_MS, World};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/strategies/beacon/ads.md");

/// Compares a table of the document with what is so now; `UPDATE=1` writes it anew.
fn holds(marker: &str, table: &str) {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let marker = format!("<!-- generated: {marker} -->\n");
    let (before, rest) = document.split_once(&marker).unwrap();
    let (known, after) = rest.split_once("<!-- end -->").unwrap();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(DOCUMENT, format!("{before}{marker}{table}<!-- end -->{after}")).unwrap();
    } else {
        assert_eq!(known, table, "run with UPDATE=1 and review the difference");
    }
}

/// A subject that is busy otherwise, and the calls that it has made when an alert of Medium stands.
fn calls_until_told(period: f64, jitter: f64, loss: f64, seed: u64) -> Option<usize> {
    let call_count_max = if loss > 0.0 { 600.0 } else { 60.0 };
    let mut dice = Dice::new(seed);
    let mut world = World::new();
    let it = workload(&mut world, 1, 1);
    // The others are channels before the beacon begins.
    let begins = period * 60.0;
    let hours = (begins + period * call_count_max) / 3600.0;
    for number in 0..9 {
        let kind = Kind::to([64, 2, 0, number], 443);
        let times = memoryless(period * 8.0, hours, &mut dice);
        times.iter().for_each(|at| call(&mut world, &it, &kind, *at, &mut dice));
    }
    let kind = Kind::to([37, 1, 1, 9], 443);
    let mut times = timer(period, jitter, loss, period * call_count_max / 3600.0, &mut dice);
    times.iter_mut().for_each(|at| *at += begins);
    times.iter().for_each(|at| call(&mut world, &it, &kind, *at, &mut dice));
    let mut engine = Engine::new(Limits::default(), 0);
    let mut is_told = false;
    for told in world.merged() {
        engine.observe(&told, &mut |update| {
            if let AlertUpdate::Opened(alert) | AlertUpdate::Revised(alert) = update {
                let is_it = alert.peer.endpoint.is_some_and(|far| far.address == kind.far.0);
                is_told |= is_it && alert.level >= Level::Medium;
            }
        });
        if is_told {
            // Ten seconds before, the last call that was needed had ended.
            let seconds = (told.at.as_millis() - START_MS) as f64 / 1000.0 - 9.0;
            return Some(times.iter().filter(|at| **at < seconds).count());
        }
    }
    None
}

#[test]
fn the_time_to_detect_is_what_the_document_says() {
    const RUN_COUNT: u64 = 40;
    let mut rows: Vec<(f64, f64, f64)> = Vec::new();
    for period in [10.0, 60.0, 600.0, 3600.0] {
        rows.extend([0.0, 0.1, 0.3, 0.5].map(|jitter| (period, jitter, 0.0)));
    }
    rows.extend([(60.0, 0.1, 0.3), (60.0, 0.3, 0.3)]);
    let mut table = String::from("| period | jitter | lost | median | 95 % | after |\n");
    table += "| --- | --- | --- | --- | --- | --- |\n";
    for (period, jitter, loss) in rows {
        let runs = (1..=RUN_COUNT).map(|seed| calls_until_told(period, jitter, loss, seed));
        let mut counts: Vec<usize> = runs.map(|count| count.unwrap_or(usize::MAX)).collect();
        counts.sort_unstable();
        let (median, late) = (counts[20], counts[38]);
        let percent = |part: f64| (part * 100.0).round() as u32;
        let after = lasting((median as f64 - 1.0) * period / (1.0 - loss));
        table += &format!(
            "| {} | {} % | {} % | {median} | {late} | {after} |\n",
            lasting(period),
            percent(jitter),
            percent(loss)
        );
        if jitter <= 0.3 && loss == 0.0 {
            assert!(late <= 12, "{late} calls of a beacon at {period} s, jitter {jitter}");
        }
    }
    holds("time to detect", &table);
}

fn lasting(seconds: f64) -> String {
    match seconds {
        short if short < 120.0 => format!("{short:.0} s"),
        some if some < 7200.0 => format!("{:.0} min", some / 60.0),
        long => format!("{:.0} h", long / 3600.0),
    }
}

/// How somebody calls who has no timer.
#[derive(Clone, Copy, Debug)]
enum Caller {
    /// At any moment with the same chance.
    Memoryless,
    /// A few calls at once, then nothing for long: a page, a batch, a retry.
    Bursty,
    /// As people work: in some hours of the day, hardly at night.
    Diurnal,
    /// Waits that are about alike, but no timer's: each call waits for work of changing length.
    Queued,
    /// Requests that need two steps each.
    TwoSteps,
}

impl Caller {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Memoryless, "memoryless (Poisson)"),
        (Self::Bursty, "bursty (up to 8 at once)"),
        (Self::Diurnal, "diurnal (9 to 18 o'clock)"),
        (Self::Queued, "log-normal waits"),
        (Self::TwoSteps, "two steps (Erlang)"),
    ];

    /// A day of calls with this mean wait.
    fn day(self, mean: f64, dice: &mut Dice) -> Vec<f64> {
        const DAY_H: f64 = 24.0;
        let all = memoryless(mean, DAY_H, dice);
        match self {
            Self::Memoryless => all,
            Self::Bursty => {
                let mut times = Vec::new();
                for at in memoryless(mean * 4.0, DAY_H, dice) {
                    let mut next = at;
                    for _ in 0..1 + (dice.part() * 8.0) as u32 {
                        times.push(next);
                        next += dice.exponential(3.0);
                    }
                }
                times
            }
            Self::Diurnal => {
                let works = |at: f64| if (9.0..18.0).contains(&(at / 3600.0)) { 1.0 } else { 0.05 };
                let denser = memoryless(mean * 0.4, DAY_H, dice);
                denser.into_iter().filter(|at| dice.part() < works(*at)).collect()
            }
            Self::Queued => {
                let (mut at, mut times) = (0.0, Vec::new());
                while at < DAY_H * 3600.0 {
                    times.push(at);
                    at += mean * (dice.normal() - 0.5).exp();
                }
                times
            }
            Self::TwoSteps => {
                let halves = memoryless(mean / 2.0, DAY_H, dice);
                halves.into_iter().step_by(2).collect()
            }
        }
    }
}

/// Alerts of Medium and above about a day of one container with ten channels, each to a far end
/// that nobody has declared and nobody else calls: the worst case for whoever is innocent. All
/// that were ever told, and those that stand when the day is over.
fn false_alarms(caller: Caller, mean: f64, seed: u64) -> (usize, usize) {
    let mut dice = Dice::new(seed);
    let mut world = World::new();
    let it = workload(&mut world, 1, 1);
    for number in 0..CHANNEL_COUNT {
        let kind = Kind::to([64, 2, 0, number], 443);
        let times = caller.day(mean, &mut dice);
        times.iter().for_each(|at| call(&mut world, &it, &kind, *at, &mut dice));
    }
    let mut engine = Engine::new(Limits::default(), 0);
    let mut levels: BTreeMap<AlertId, (Level, Level)> = BTreeMap::new();
    let mut hear = |update: AlertUpdate| match update {
        AlertUpdate::Opened(alert)
        | AlertUpdate::Revised(alert)
        | AlertUpdate::Adopted(alert, _) => {
            let (most, last) = levels.entry(alert.id).or_insert((alert.level, alert.level));
            (*most, *last) = ((*most).max(alert.level), alert.level);
        }
        AlertUpdate::Closed(id) => {
            levels.entry(id).and_modify(|(_, last)| *last = Level::Info);
        }
    };
    world.merged().iter().for_each(|seen| engine.observe(seen, &mut hear));
    engine.finish(&mut hear);
    let is_told = |level: Level| level >= Level::Medium;
    let ever = levels.values().filter(|(most, _)| is_told(*most)).count();
    (ever, levels.values().filter(|(_, last)| is_told(*last)).count())
}

const CHANNEL_COUNT: u8 = 10;

#[test]
fn the_rate_of_false_alarms_is_what_the_document_says() {
    const DAY_COUNT: u64 = 20;
    const MEANS_S: [f64; 4] = [120.0, 600.0, 1800.0, 7200.0];
    let mut table = String::from(
        "| caller | channel-days | ever Medium | a thousand channels and day, at most (95 %) | \
         Medium at the end of the day |\n",
    );
    table += "| --- | --- | --- | --- | --- |\n";
    for (caller, name) in Caller::ALL {
        let days =
            MEANS_S.into_iter().flat_map(|mean| (1..=DAY_COUNT).map(move |seed| (mean, seed)));
        let (mut count, mut standing_count, mut channel_days) = (0, 0, 0);
        for (mean, seed) in days {
            let (ever, standing) = false_alarms(caller, mean, seed);
            count += ever;
            standing_count += standing;
            channel_days += usize::from(CHANNEL_COUNT);
        }
        let most = upper(count) / channel_days as f64 * 1000.0;
        table += &format!("| {name} | {channel_days} | {count} | {most:.1} | {standing_count} |\n");
        assert!(count * 100 <= channel_days, "{count} of {channel_days}: {caller:?}");
    }
    holds("false alarms", &table);
}

/// The largest mean of a Poisson count that would show no more than this in one of twenty cases:
/// the upper end of its one-sided interval of 95 %.
fn upper(count: usize) -> f64 {
    let chance = |mean: f64| {
        let mut term = (-mean).exp();
        let mut sum = term;
        for number in 1..=count {
            term *= mean / number as f64;
            sum += term;
        }
        sum
    };
    let (mut low, mut high) = (count as f64, count as f64 * 3.0 + 5.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if chance(middle) > 0.05 { low = middle } else { high = middle }
    }
    high
}
