//! When a channel called: the latest starts in order, and what was made of those before.
//!
//! Rows come in any order within what is kept; the result is that of their order in time.
//! When too many are kept, the earliest are judged as one block and let go, so that a beacon that
//! is active for a part of the day is remembered, and a day costs no more than an hour.

use alloc::boxed::Box;
use alloc::vec::Vec;

use observation::Time;
use serde::{Deserialize, Serialize};

use super::lengths::Lengths;
use super::periodicity::{Fitted, GAP_COUNT_MAX, GAP_COUNT_MIN, fit};

/// Starts that are kept.
pub(crate) const START_COUNT_MAX: usize = GAP_COUNT_MAX + 1;
/// So many of the earliest are judged together and let go.
const BLOCK_COUNT: usize = START_COUNT_MAX / 2;
/// Evidence beyond this, either way, says nothing more.
const EVIDENCE_DB_MAX: i32 = 2_000;
/// From this evidence on, further blocks are only compared with the timer that is known.
const SETTLED_DB_MIN: i32 = 300;
/// A block with more evidence than this, and than any before it, is looked at.
const NEWS_DB_MIN: i32 = 20;
/// One in so many gaps of a block may miss the timer that is known.
const MISSED_COUNT_MAX_IN: usize = 4;

/// Calls closer together than this belong to one: a check-in and its answer.
const TOGETHER_S_MAX: f64 = 1.5;
/// And closer than this part of the usual gap, so that merging makes no rhythm by itself.
const TOGETHER_PART: f64 = 0.03;
/// What looking at merged calls costs: the second way to look.
const TOGETHER_PRICE_DB: f64 = 6.0;

/// Gaps that grow by a constant factor are looked for from so many on.
const GROWING_COUNT_MIN: usize = 8;
/// The factor is fitted, so it is paid for: a range of factors over how exactly one is known.
const GROWING_PRICE_DB: f64 = 30.0;
const GROWTH_MIN: f64 = 1.02;
const GROWTH_MAX: f64 = 2.5;
/// With this much evidence nobody has to look for another explanation.
const PLAIN_DB_ENOUGH: f64 = 20.0;

const _: () = assert!(BLOCK_COUNT > GAP_COUNT_MIN && BLOCK_COUNT < START_COUNT_MAX);

/// A timer that explains the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timer {
    /// How much likelier than an innocent explanation, in decibans.
    pub evidence_db: i32,
    pub period_ms: u64,
    pub jitter_percent: u8,
    pub loss_percent: u8,
    /// How much longer each gap is than the one before.
    pub growth_percent: u8,
}

/// The rhythm of one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rhythm {
    /// The latest starts, in order.
    starts: Vec<Time>,
    block_count: u32,
    /// The evidence of all blocks together: independent tests multiply.
    sum_db: i32,
    best: Option<Timer>,
    /// All gaps of all blocks, counted by length.
    lengths: Option<Box<Lengths>>,
    /// Calls that came too late to be put where they belong.
    pub late_count: u32,
}

/// Whether a call made a new block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Took {
    Call,
    Block,
    Nothing,
}

impl Rhythm {
    /// Takes a call in, where it belongs.
    pub(crate) fn call(&mut self, start: Time) -> Took {
        if self.block_count > 0 && self.starts.first().is_some_and(|first| start < *first) {
            self.late_count = self.late_count.saturating_add(1);
            return Took::Nothing;
        }
        match self.starts.last() {
            Some(last) if *last >= start => {
                let place = self.starts.partition_point(|known| *known < start);
                if self.starts.get(place) == Some(&start) {
                    return Took::Nothing;
                }
                self.starts.insert(place, start);
            }
            _ => self.starts.push(start),
        }
        if self.starts.len() <= START_COUNT_MAX {
            return Took::Call;
        }
        let known = self.best.map_or(0, |best| best.evidence_db);
        self.close_block();
        // A day of calls is looked at a few times only, and when there is something new to see.
        let is_news = self.best.is_some_and(|best| best.evidence_db > known.max(NEWS_DB_MIN));
        if self.block_count.is_power_of_two() || is_news { Took::Block } else { Took::Call }
    }

    pub(crate) fn starts(&self) -> &[Time] {
        &self.starts
    }

    /// What explains the calls so far, if the evidence for it is so much; more than nothing.
    pub(crate) fn timer(&self, least_db: i32) -> Option<Timer> {
        // How little the latest calls say is of interest only where those before say something.
        let least = if self.sum_db > 0 { f64::NEG_INFINITY } else { f64::from(least_db) };
        let tail = explain(&self.starts, least);
        self.timer_with(tail, least_db).filter(|timer| timer.evidence_db >= least_db)
    }

    fn timer_with(&self, tail: Option<Timer>, least_db: i32) -> Option<Timer> {
        let Some(best) = self.best else { return tail };
        let tail_db = tail.map_or(0, |timer| timer.evidence_db);
        // It was a timer all the time, or in one block, or shows only in all gaps together: whoever
        // looks at several things pays.
        let price = decibans_of(self.block_count + 2);
        let most = match tail {
            Some(tail) if tail.evidence_db > best.evidence_db => tail,
            _ => best,
        };
        let evidence_db = (self.sum_db + tail_db).max(most.evidence_db - price);
        let plain = Timer { evidence_db: evidence_db.min(EVIDENCE_DB_MAX), ..most };
        if evidence_db >= SETTLED_DB_MIN || self.block_count < 2 {
            return Some(plain);
        }
        let least_db = evidence_db.saturating_add(1).max(least_db).saturating_add(price);
        let whole = self.lengths.as_ref().and_then(|lengths| lengths.fit(f64::from(least_db)));
        let whole = whole.map(|fitted| timer(fitted, 1.0));
        let whole = whole.map(|all| Timer { evidence_db: all.evidence_db - price, ..all });
        Some(whole.filter(|all| all.evidence_db > evidence_db).unwrap_or(plain))
    }

    fn close_block(&mut self) {
        let block = self.starts.get(..=BLOCK_COUNT).unwrap_or_default();
        let mut room = [0.0; GAP_COUNT_MAX];
        let gaps = gaps_of(block, &mut room);
        let lengths = self.lengths.get_or_insert_with(|| Box::new(Lengths::around(gaps)));
        gaps.iter().for_each(|gap| lengths.count(*gap));
        let settled = self.best.filter(|best| best.evidence_db.min(self.sum_db) >= SETTLED_DB_MIN);
        if settled.is_none_or(|timer| !keeps(block, timer)) {
            let timer = explain(block, f64::NEG_INFINITY);
            let evidence_db = timer.map_or(-EVIDENCE_DB_MAX / 100, |timer| timer.evidence_db);
            let sum_db = self.sum_db.saturating_add(evidence_db);
            self.sum_db = sum_db.clamp(-EVIDENCE_DB_MAX, EVIDENCE_DB_MAX);
            if let Some(timer) = timer
                && self.best.is_none_or(|best| timer.evidence_db > best.evidence_db)
            {
                self.best = Some(timer);
            }
        }
        self.block_count = self.block_count.saturating_add(1);
        self.starts.drain(..BLOCK_COUNT);
    }
}

/// Ten times the base-10 logarithm, for what is looked at several times.
pub(crate) fn decibans_of(count: u32) -> i32 {
    libm::ceil(10.0 * libm::log10(f64::from(count.max(1)))) as i32
}

/// Whether a block goes on as a timer that is known.
fn keeps(block: &[Time], timer: Timer) -> bool {
    let period = timer.period_ms.saturating_mul(1_000_000);
    let slack = period / 100 * u64::from(timer.jitter_percent.saturating_add(5));
    let missed = block.windows(2).filter(|pair| match pair {
        [before, after] => {
            let gap = after.since(*before).0;
            let waits = (gap.saturating_add(period / 2) / period.max(1)).max(1);
            waits > 4 || gap.abs_diff(waits.saturating_mul(period)) > slack.saturating_mul(waits)
        }
        _ => false,
    });
    timer.growth_percent == 0 && missed.count() * MISSED_COUNT_MAX_IN <= block.len()
}

/// The best explanation of starts in order, if the evidence for it is at least so much.
pub(crate) fn explain(starts: &[Time], least_db: f64) -> Option<Timer> {
    let mut room = [0.0; GAP_COUNT_MAX];
    let gaps = gaps_of(starts, &mut room);
    let plain = fit(gaps, least_db).map(|fitted| (fitted, 1.0));
    if plain.is_some_and(|(fitted, _)| fitted.evidence_db >= PLAIN_DB_ENOUGH) {
        return plain.map(|(fitted, growth)| timer(fitted, growth));
    }
    // Another explanation has to be better than those before.
    type Explained = Option<(Fitted, f64)>;
    let beat = |best: Explained| best.map_or(least_db, |(fitted, _)| fitted.evidence_db);
    let better = |best: Explained, next: Explained| match (best, next) {
        (Some(best), Some(next)) if next.0.evidence_db <= best.0.evidence_db => Some(best),
        _ => next.or(best),
    };
    let best = better(plain, together(gaps, beat(plain)).map(|fitted| (fitted, 1.0)));
    let best = better(best, growing(gaps, beat(best)));
    best.map(|(fitted, growth)| timer(fitted, growth))
}

fn gaps_of<'a>(starts: &[Time], room: &'a mut [f64; GAP_COUNT_MAX]) -> &'a [f64] {
    const NS: f64 = 1e9;
    let pairs = starts.windows(2).filter_map(|pair| match pair {
        [before, after] => Some(after.since(*before).0 as f64 / NS),
        _ => None,
    });
    let mut count = 0;
    for (slot, gap) in room.iter_mut().zip(pairs) {
        *slot = gap;
        count += 1;
    }
    room.get(..count).unwrap_or_default()
}

/// The same calls with those merged that belong together.
fn together(gaps: &[f64], least_db: f64) -> Option<Fitted> {
    let mut room = [0.0; GAP_COUNT_MAX];
    let (mut count, mut close_count) = (0, 0);
    let usual = {
        let (mut sum, mut long_count) = (0.0, 0.0);
        gaps.iter().filter(|gap| **gap > TOGETHER_S_MAX).for_each(|gap| {
            sum += *gap;
            long_count += 1.0;
        });
        if long_count == 0.0 {
            return None;
        }
        sum / long_count
    };
    let close = TOGETHER_S_MAX.min(usual * TOGETHER_PART);
    let mut since = 0.0;
    for gap in gaps {
        since += *gap;
        if *gap <= close {
            close_count += 1;
        } else if let Some(slot) = room.get_mut(count) {
            *slot = since;
            count += 1;
            since = 0.0;
        }
    }
    if close_count == 0 {
        return None;
    }
    let fitted = fit(room.get(..count)?, least_db + TOGETHER_PRICE_DB)?;
    Some(Fitted { evidence_db: fitted.evidence_db - TOGETHER_PRICE_DB, ..fitted })
}

/// A wait that is multiplied by the same factor each time.
fn growing(gaps: &[f64], least_db: f64) -> Option<(Fitted, f64)> {
    if gaps.len() < GROWING_COUNT_MIN {
        return None;
    }
    let mut ratios = [0.0; GAP_COUNT_MAX];
    let mut count = 0;
    for (slot, pair) in ratios.iter_mut().zip(gaps.windows(2)) {
        if let [before, after] = pair {
            *slot = after / before.max(f64::MIN_POSITIVE);
            count += 1;
        }
    }
    let ratios = ratios.get_mut(..count)?;
    ratios.sort_unstable_by(f64::total_cmp);
    let growth = *ratios.get(count / 2)?;
    if !(GROWTH_MIN..=GROWTH_MAX).contains(&growth) {
        return None;
    }
    // Earlier gaps are drawn out to the length of the last: drawn in, gaps that do not grow would
    // all end below what a clock tells apart, and look alike.
    let mut level = [0.0; GAP_COUNT_MAX];
    let mut factor = 1.0;
    for (slot, gap) in level.iter_mut().zip(gaps.iter().rev()) {
        *slot = gap * factor;
        factor *= growth;
    }
    let fitted = fit(level.get(..gaps.len())?, least_db + GROWING_PRICE_DB)?;
    let evidence_db = fitted.evidence_db - GROWING_PRICE_DB;
    Some((Fitted { evidence_db, period_s: fitted.period_s * growth / factor, ..fitted }, growth))
}

fn timer(fitted: Fitted, growth: f64) -> Timer {
    let percent = |part: f64| libm::round(part * 100.0) as u8;
    let limit = f64::from(EVIDENCE_DB_MAX);
    Timer {
        evidence_db: libm::floor(fitted.evidence_db.clamp(-limit, limit)) as i32,
        period_ms: libm::round(fitted.period_s * 1000.0) as u64,
        jitter_percent: percent(fitted.jitter),
        loss_percent: percent(fitted.loss),
        growth_percent: percent(growth - 1.0),
    }
}
