//! Whether calls come from a timer: a test of renewal models on the gaps between them.
//!
//! A timer waits `period × (1 ± jitter)`, uniformly, and some of its calls get lost, so that a gap
//! is the sum of a geometric number of waits; a few gaps are strays (a person at the far end, a
//! pause at night). Against it stand a memoryless caller (exponential gaps), one that needs two
//! steps (Erlang-2), and sessions (log-normal gaps, from narrow to very wide).
//! Thresholds on scores (RITA's skew and median deviation) cannot tell a memoryless caller with
//! requests of one size from a jittered timer; a likelihood ratio can, since a timer never calls
//! twice within `period × (1 - jitter)` and never waits longer than it must.
//!
//! The scale of either side is unknown. Under the prior that knows nothing of scale (`dT / T`, the
//! right Haar measure of the scale group) the ratio of the marginal likelihoods is that of the
//! largest scale-free statistic, whose distribution under a memoryless caller does not depend on
//! his rate. So the ratio is an *e-value*: whatever the rate, it exceeds `x` with a probability of
//! at most `1 / x`, also when one looks again after every call (Ville's inequality; Pérez-Ortiz,
//! Lardy, de Heide and Grünwald, "E-statistics, group invariance and anytime-valid testing", 2022).
//! Evidence of E decibans is a false-alarm probability of at most `10^(-E/10)` for each channel;
//! whoever has N channels pays `10 log10 N` (Bonferroni). Where the approximations below are not
//! exact, they err to the side of innocence: strays and lost calls count once, with their largest
//! density, and innocence with its best model. Two of the innocent models are rarer than the others
//! and are given that prior, so that among those callers alone the bound is `1 / NARROW_PART` times
//! as wide; among all callers it holds within a factor of two.

/// Gaps that one test looks at, one by one.
pub(crate) const GAP_COUNT_MAX: usize = 96;
/// Lengths that one test tells apart, where gaps are counted by length.
pub(crate) const LENGTH_COUNT_MAX: usize = 192;
/// With fewer gaps nothing can be told.
pub(crate) const GAP_COUNT_MIN: usize = 3;

/// Half-widths of the wait, as a part of the period. None is likelier than another.
const JITTERS: [f64; 12] = [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9];
/// Parts of the calls that get lost. None is likelier than another.
const LOSSES: [f64; 3] = [0.0, 0.1, 0.3];
/// A gap is at most so many waits long; else it is a stray.
const WAITS_MAX: usize = 5;
/// So many gaps in a hundred are no timer's.
const STRAY: f64 = 0.04;
/// Widths of sessions: standard deviations of the logarithm of a gap.
const SESSION_SIGMAS: [f64; 3] = [1.0, 1.6, 2.5];
/// Narrower sessions, and callers that need two steps, are one in ten of all innocent callers: they
/// are less unlike a jittered and lossy timer.
const NARROW_SIGMA: f64 = 0.75;
const NARROW_PART: f64 = 0.1;
/// The period is searched in so many steps between the extremes that fit the median gap.
const PERIOD_STEPS: u32 = 24;
/// Of a memoryless caller's gaps about three in twelve are shorter than a third of the median, of
/// a timer's hardly any: with more than one in four the test is not worth its time.
const SHORT_PART: f64 = 0.35;
const SHORT_COUNT_MAX_IN: usize = 4;
/// Nobody's clock tells gaps apart that are shorter than this.
const GAP_S_MIN: f64 = 0.001;

const _: () = assert!(GAP_COUNT_MIN < GAP_COUNT_MAX && GAP_COUNT_MAX <= LENGTH_COUNT_MAX);

/// Decibans of a natural logarithm.
const DB: f64 = 10.0 / core::f64::consts::LN_10;

/// A timer, and how much likelier it is than all that is innocent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fitted {
    pub evidence_db: f64,
    pub period_s: f64,
    pub jitter: f64,
    pub loss: f64,
}

/// The best timer for these gaps, in seconds and any order; `None` where the evidence for it is
/// less than `least_db`, or none is worth a word. The more is asked for, the less it costs.
pub(crate) fn fit(gaps: &[f64], least_db: f64) -> Option<Fitted> {
    let mut sorted = [0.0; GAP_COUNT_MAX];
    let own = sorted.get_mut(..gaps.len())?;
    own.copy_from_slice(gaps);
    own.iter_mut().for_each(|gap| *gap = gap.max(GAP_S_MIN));
    own.sort_unstable_by(f64::total_cmp);
    let median = *own.get(own.len() / 2)?;
    let short_count = own.partition_point(|gap| *gap < median * SHORT_PART);
    if short_count * SHORT_COUNT_MAX_IN > own.len() {
        return None;
    }
    fit_to(&Gaps::of(own.iter().map(|gap| (*gap, 1)))?, 0.0, least_db)
}

/// The same for gaps that were counted by length, in ascending order. No timer is told from one
/// with less jitter than lengths can tell apart.
pub(crate) fn fit_lengths(
    lengths: impl Iterator<Item = (f64, u32)>,
    jitter_min: f64,
    least_db: f64,
) -> Option<Fitted> {
    fit_to(&Gaps::of(lengths)?, jitter_min, least_db)
}

fn fit_to(gaps: &Gaps, jitter_min: f64, least_db: f64) -> Option<Fitted> {
    let log_innocent = gaps.log_innocent();
    let prior = -libm::log((JITTERS.len() * LOSSES.len()) as f64);
    let losses =
        LOSSES.map(|loss| (loss, libm::log(loss), libm::log((1.0 - STRAY) * (1.0 - loss))));
    let widths = Widths::new();
    let mut all = LogSum::from(log_innocent + least_db / DB);
    let mut best: Option<Fitted> = None;
    // Innocent gaps look most like a wide timer: once that is known, narrow ones cost little.
    for jitter in JITTERS.into_iter().rev().filter(|jitter| *jitter >= jitter_min) {
        let step = libm::log((1.0 + jitter) / (1.0 - jitter)) / f64::from(PERIOD_STEPS);
        let (log_step, ratio) = (libm::log(step), libm::exp(step));
        let first_s = gaps.median / (1.0 + jitter) * libm::exp(step / 2.0);
        let mut wait = Wait::new(first_s, jitter, &widths);
        // Periods only grow, and so do the places where their multiples are.
        let mut cursors = Cursors::default();
        for _ in 0..PERIOD_STEPS {
            let worth = all.worth() - log_step - prior;
            if let Some(hits) = gaps.hits(&mut cursors, &wait, &widths, worth) {
                for (loss, log_loss, log_kept) in losses {
                    let weight = hits.log_likelihood(loss, log_loss, log_kept) + log_step + prior;
                    if weight > all.most {
                        best = Some(Fitted { evidence_db: 0.0, period_s: wait.s, jitter, loss });
                    }
                    all.add(weight);
                }
            }
            wait.s *= ratio;
            wait.log += step;
        }
    }
    let fitted = best?;
    let evidence_db = (all.total() - log_innocent) * DB;
    (evidence_db >= least_db).then_some(Fitted { evidence_db, ..fitted })
}

/// A timer's wait: how long, how exactly, and the logarithms of both.
struct Wait {
    s: f64,
    log: f64,
    jitter: f64,
    log_jitter: f64,
    /// Of a gap that is longer than so many waits: no likelihood is greater, in units of a period.
    log_longer: [f64; WAITS_MAX],
}

impl Wait {
    fn new(s: f64, jitter: f64, widths: &Widths) -> Self {
        let (log, log_jitter) = (libm::log(s), libm::log(jitter));
        // A stray, or one wait more at the greatest loss.
        let log_longer = core::array::from_fn(|place| {
            let wait = widths.logs.get(place + 1).map(|log_width| {
                (place + 1) as f64 * widths.log_loss_max + widths.log_kept_max
                    - log_width
                    - log_jitter
            });
            wait.unwrap_or(f64::NEG_INFINITY).max(widths.log_stray - core::f64::consts::LN_2)
        });
        Self { s, log, jitter, log_jitter, log_longer }
    }
}

/// How much wider the sum of so many waits is than one: it mostly falls within the root.
struct Widths {
    roots: [f64; WAITS_MAX],
    /// The logarithm of twice the root.
    logs: [f64; WAITS_MAX],
    log_stray: f64,
    /// Of a wait that is lost, and of one that is not, at most.
    log_loss_max: f64,
    log_kept_max: f64,
}

impl Widths {
    fn new() -> Self {
        let roots = core::array::from_fn(|place| libm::sqrt((place + 1) as f64));
        let loss_max = LOSSES.into_iter().fold(0.0, f64::max);
        Self {
            roots,
            logs: roots.map(|root| libm::log(2.0 * root)),
            log_stray: libm::log(STRAY),
            log_loss_max: libm::log(loss_max),
            log_kept_max: libm::log(1.0 - STRAY),
        }
    }

    fn of(&self, place: usize) -> (f64, f64) {
        let (root, log) = (self.roots.get(place), self.logs.get(place));
        (root.copied().unwrap_or_default(), log.copied().unwrap_or_default())
    }
}

/// Where the waits around the multiples of a period lie among the lengths; of a multiple beyond all
/// of them, where they lay when it was not.
#[derive(Default)]
struct Cursors {
    around: [(usize, usize); WAITS_MAX],
}

/// Lengths of gaps in ascending order, with the counts and the sums of the logarithms of all that
/// are shorter.
struct Gaps {
    lengths: [f64; LENGTH_COUNT_MAX],
    below: [(f64, f64); LENGTH_COUNT_MAX + 1],
    /// Squares of the logarithms, and the gaps themselves, added up.
    squares: f64,
    sum: f64,
    length_count: usize,
    count: u32,
    median: f64,
}

impl Gaps {
    fn of(lengths: impl Iterator<Item = (f64, u32)>) -> Option<Self> {
        let mut gaps = Self {
            lengths: [0.0; LENGTH_COUNT_MAX],
            below: [(0.0, 0.0); LENGTH_COUNT_MAX + 1],
            squares: 0.0,
            sum: 0.0,
            length_count: 0,
            count: 0,
            median: 0.0,
        };
        let mut logs = 0.0;
        for (length, count) in lengths.filter(|(_, count)| *count > 0) {
            let (weight, log) = (f64::from(count), libm::log(length));
            gaps.count = gaps.count.saturating_add(count);
            logs += weight * log;
            gaps.squares += weight * log * log;
            gaps.sum += weight * length;
            *gaps.lengths.get_mut(gaps.length_count)? = length;
            gaps.length_count += 1;
            *gaps.below.get_mut(gaps.length_count)? = (f64::from(gaps.count), logs);
        }
        let half = f64::from(gaps.count / 2);
        let counts = gaps.below.get(..=gaps.length_count)?;
        let middle = counts.partition_point(|(below, _)| *below <= half).saturating_sub(1);
        gaps.median = gaps.lengths.get(middle).copied()?;
        (gaps.count as usize >= GAP_COUNT_MIN).then_some(gaps)
    }

    /// The position of the first length that is not below a bound, from one on that is.
    fn below_from(&self, from: usize, bound: f64) -> usize {
        let mut place = from;
        while place < self.length_count && self.lengths.get(place).is_some_and(|it| *it < bound) {
            place += 1;
        }
        place
    }

    /// How many gaps lie before a position, and the sum of their logarithms.
    fn below(&self, place: usize) -> (f64, f64) {
        self.below.get(place).copied().unwrap_or_default()
    }

    /// How the gaps fall around the multiples of a period; `None` where that cannot be as likely as
    /// is `worth` a look. The period is longer than that of the call before.
    ///
    /// A stray is as likely shorter as longer than the period; of the longer ones, the longer the
    /// rarer, but any length may be. The first wait is around the period, so that the strays before
    /// it are the shorter ones, and all others the longer ones.
    fn hits(&self, at: &mut Cursors, wait: &Wait, widths: &Widths, worth: f64) -> Option<Hits> {
        let (count, logs) = self.below(self.length_count);
        let log_wait = wait.log_jitter + wait.log;
        let log_short = widths.log_stray - core::f64::consts::LN_2 - wait.log;
        let mut hits = Hits::default();
        let (mut short_count, mut long_count, mut long_logs) = (0.0, count, logs);
        let (mut done, mut log_widths) = (0, 0.0);
        for (place, (from, to)) in at.around.iter_mut().enumerate() {
            let (root, log_width) = widths.of(place);
            let (middle, half) = ((place + 1) as f64 * wait.s, wait.jitter * wait.s * root);
            *from = self.below_from(*from, middle - half);
            // Where the waits of two multiples overlap, they are the shorter one's.
            let start = (*from).max(done);
            if place > 0 && start >= self.length_count {
                break;
            }
            *to = self.below_from(*to, middle + half);
            done = (*to).max(start);
            let ((count_from, logs_from), (count_to, logs_to)) =
                (self.below(start), self.below(done));
            let within = count_to - count_from;
            hits.kept += within;
            hits.lost += place as f64 * within;
            log_widths += log_width * within;
            if place > 0 {
                long_count -= within;
                long_logs -= logs_to - logs_from;
            } else {
                short_count = count_from;
                (long_count, long_logs) = (count - count_to, logs - logs_to);
                hits.kept_of_one = within;
                let strays = Strays { short_count, long_count, long_logs };
                hits.log_rest_of_one =
                    strays.log(wait.log, widths.log_stray) - log_widths - within * log_wait;
            }
            let log_longer = wait.log_longer.get(place).copied().unwrap_or_default();
            let at_most = short_count * log_short
                + long_count * (log_longer - wait.log)
                + hits.kept * (widths.log_kept_max - log_wait)
                + hits.lost * widths.log_loss_max
                - log_widths;
            if at_most.max(hits.log_rest_of_one) < worth {
                return None;
            }
        }
        let strays = Strays { short_count, long_count, long_logs };
        hits.log_rest = strays.log(wait.log, widths.log_stray) - log_widths - hits.kept * log_wait;
        Some(hits)
    }

    /// The best innocent explanation, with the same prior on its scale.
    fn log_innocent(&self) -> f64 {
        let count = f64::from(self.count);
        let (_, logs) = self.below(self.length_count);
        let log_sum = libm::log(self.sum);
        let memoryless = libm::lgamma(count) - count * log_sum;
        let two_steps = libm::lgamma(2.0 * count) - 2.0 * count * log_sum + logs;
        let spread = (self.squares - logs * logs / count).max(0.0);
        let session = |sigma: f64| {
            let variance = sigma * sigma;
            let scatter = (count - 1.0) / 2.0 * libm::log(2.0 * core::f64::consts::PI * variance);
            -scatter - 0.5 * libm::log(count) - logs - spread / (2.0 * variance)
        };
        let narrow = two_steps.max(session(NARROW_SIGMA)) + libm::log(NARROW_PART);
        SESSION_SIGMAS.into_iter().map(session).fold(memoryless.max(narrow), f64::max)
    }
}

/// Gaps that are no timer's.
struct Strays {
    short_count: f64,
    long_count: f64,
    /// The sum of the logarithms of the longer ones.
    long_logs: f64,
}

impl Strays {
    fn log(&self, log_period: f64, log_stray: f64) -> f64 {
        let count = self.short_count + self.long_count;
        (self.long_count - self.short_count) * log_period - 2.0 * self.long_logs
            + count * (log_stray - core::f64::consts::LN_2)
    }
}

/// How many gaps a timer explains, how many waits were lost in them, and the logarithm of the
/// likelihood of all that does not depend on how many get lost.
#[derive(Default)]
struct Hits {
    kept: f64,
    lost: f64,
    log_rest: f64,
    /// The same where a gap may be one wait long only.
    kept_of_one: f64,
    log_rest_of_one: f64,
}

impl Hits {
    fn log_likelihood(&self, loss: f64, log_loss: f64, log_kept: f64) -> f64 {
        if loss > 0.0 {
            self.log_rest + self.kept * log_kept + self.lost * log_loss
        } else {
            self.log_rest_of_one + self.kept_of_one * log_kept
        }
    }
}

/// Terms that lie further below the largest, in natural logarithms, add up to less than a
/// ten-thousandth of a deciban.
const NEGLIGIBLE: f64 = 18.0;

const TERM_COUNT_MAX: usize = JITTERS.len() * LOSSES.len() * PERIOD_STEPS as usize;

/// The logarithm of a sum of exponentials, which are added up once the largest is known.
struct LogSum {
    /// A sum below this is of no interest.
    least: f64,
    most: f64,
    terms: [f64; TERM_COUNT_MAX],
    count: usize,
}

impl LogSum {
    const fn from(least: f64) -> Self {
        Self { least, most: f64::NEG_INFINITY, terms: [0.0; TERM_COUNT_MAX], count: 0 }
    }

    /// What a term must be to count.
    const fn worth(&self) -> f64 {
        self.most.max(self.least) - NEGLIGIBLE
    }

    fn add(&mut self, term: f64) {
        if term <= self.worth() {
            return;
        }
        self.most = self.most.max(term);
        if let Some(place) = self.terms.get_mut(self.count) {
            *place = term;
            self.count += 1;
        }
    }

    fn total(&self) -> f64 {
        // Four sums, so that none of them has to wait for the one before.
        let terms = self.terms.get(..self.count).unwrap_or_default();
        let (fours, rest) = terms.as_chunks::<4>();
        let mut sums = [0.0; 4];
        for four in fours {
            let each = sums.iter_mut().zip(four);
            each.for_each(|(sum, term)| *sum += exp_near(*term - self.most));
        }
        let rest: f64 = rest.iter().map(|term| exp_near(*term - self.most)).sum();
        self.most + libm::log(sums.iter().sum::<f64>() + rest)
    }
}

/// The exponential, to nine digits, of what is neither positive nor very negative: the exponent's
/// whole part by the representation of numbers, the rest by its series.
fn exp_near(exponent: f64) -> f64 {
    /// The sum's last binary digit is worth one.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const WORST: f64 = -1_000.0;
    let twos = exponent.max(WORST / core::f64::consts::LOG2_E) * core::f64::consts::LOG2_E;
    let rounded = twos + ROUND;
    let rest = (twos - (rounded - ROUND)) * core::f64::consts::LN_2;
    let series = [5040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0];
    let fraction = series.into_iter().fold(0.0, |sum, factorial| sum * rest + 1.0 / factorial);
    fraction * f64::from_bits((rounded.to_bits() << 52).wrapping_add(1.0_f64.to_bits()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_exponential_is_the_exponential() {
        for step in 0..1000 {
            let exponent = -f64::from(step) / 40.0;
            let whole = libm::exp(exponent);
            assert!((exp_near(exponent) - whole).abs() <= 1e-8 * whole, "{exponent}");
        }
    }
}
