//! Gaps counted by length: what a channel that calls all day leaves behind.

use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::periodicity::{Fitted, LENGTH_COUNT_MAX, fit_lengths};

/// Lengths from a part of the usual gap to its multiple are told apart.
const RANGE: f64 = 8.0;
const RANGE_LOG2: f64 = 3.0;
const _: () = assert!(RANGE == (1 << RANGE_LOG2 as u32) as f64);
/// With more than one in so many others, the usual gap has changed, and nothing can be told: all
/// gaps that are too short would look alike, and what is alike looks like a timer.
const OUTSIDE_COUNT_MAX_IN: u32 = 25;
/// Less jitter than three lengths are apart cannot be told.
const JITTER_MIN: f64 = 0.07;

/// How often gaps of each length were seen, in steps of a constant factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lengths {
    /// The usual gap in microseconds.
    usual_us: u64,
    counts: Vec<u32>,
    /// Gaps of other lengths.
    outside_count: u32,
}

impl Lengths {
    /// For gaps that are about as long as these, in seconds.
    pub(super) fn around(gaps: &[f64]) -> Self {
        let mut gaps = gaps.to_vec();
        let middle = gaps.len() / 2;
        gaps.sort_unstable_by(f64::total_cmp);
        let usual_us = gaps.get(middle).map_or(1.0, |gap| libm::round(gap * 1e6)) as u64;
        let counts = vec![0; LENGTH_COUNT_MAX];
        Self { usual_us: usual_us.max(1), counts, outside_count: 0 }
    }

    /// Counts one more gap.
    pub(super) fn count(&mut self, gap: f64) {
        let ratio = gap * 1e6 / self.usual_us as f64;
        if !(1.0 / RANGE..=RANGE).contains(&ratio) {
            self.outside_count = self.outside_count.saturating_add(1);
        }
        let ratio = ratio.clamp(1.0 / RANGE, RANGE);
        let step = libm::log(ratio * RANGE) / STEP_LOG;
        let place = (step as usize).min(LENGTH_COUNT_MAX - 1);
        if let Some(count) = self.counts.get_mut(place) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn fit(&self, least_db: f64) -> Option<Fitted> {
        let count = self.counts.iter().fold(0_u32, |sum, count| sum.saturating_add(*count));
        if self.outside_count > count / OUTSIDE_COUNT_MAX_IN {
            return None;
        }
        let first = self.usual_us as f64 / 1e6 / RANGE;
        let length = |place: usize| first * libm::exp((place as f64 + 0.5) * STEP_LOG);
        let lengths = self.counts.iter().enumerate();
        fit_lengths(lengths.map(|(place, count)| (length(place), *count)), JITTER_MIN, least_db)
    }
}

/// The logarithm of the factor from one length to the next.
const STEP_LOG: f64 = 2.0 * RANGE_LOG2 * core::f64::consts::LN_2 / LENGTH_COUNT_MAX as f64;
