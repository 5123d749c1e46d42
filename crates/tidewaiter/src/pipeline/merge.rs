//! What logs tell, judged between what packets tell, each at its time.

use observation::{Fact, Gap, GapCause, Observation, Time};

use super::facts::SortedFacts;
use super::judge::Judge;
use super::lanes::Note;
use super::order::{Key, decoded, encode};
use super::replay::Listener;
use super::rows::{RowTotals, Rows};
use crate::progress::Progress;
use crate::sources::captures::Broken;

/// Progress is shown anew after so many Observations of logs.
const SHOWN_EVERY: u64 = 1 << 16;

/// Facts, rows, and the judge of it all.
pub(crate) struct Merge<'j> {
    facts: SortedFacts,
    rows: Rows,
    judge: &'j mut Judge,
    /// When a log has something to tell next.
    next_at: Time,
}

/// Which log is next.
#[derive(Clone, Copy, Debug)]
enum From {
    Facts,
    Rows,
}

impl<'j> Merge<'j> {
    /// Everything goes to `judge`.
    pub(crate) fn new(facts: SortedFacts, rows: Rows, judge: &'j mut Judge) -> Self {
        Self { facts, rows, judge, next_at: Time(0) }
    }

    /// The captures have ended: judges what is left of the logs, and tells of what broke off.
    pub(crate) fn finish(
        mut self,
        broken: &[Broken],
        progress: &Progress,
    ) -> anyhow::Result<RowTotals> {
        let mut count = 0_u64;
        while let Some((_, from)) = self.next() {
            self.judge_next(from)?;
            count += 1;
            if count.is_multiple_of(SHOWN_EVERY) {
                progress.show();
            }
        }
        let rows = self.rows.finish();
        for broken in broken.iter().chain(&rows.reading.broken) {
            self.judge.observe(&gap(broken))?;
        }
        Ok(rows)
    }

    /// Judges what logs tell until then.
    fn judge_until(&mut self, at: Time) -> anyhow::Result<()> {
        while let Some((key, from)) = self.next() {
            if key.at > at {
                self.next_at = key.at;
                return Ok(());
            }
            self.judge_next(from)?;
        }
        self.next_at = Time::NEVER;
        Ok(())
    }

    fn next(&mut self) -> Option<(Key, From)> {
        let candidates = [(self.facts.first(), From::Facts), (self.rows.first(), From::Rows)];
        let due = candidates.into_iter().filter_map(|(key, from)| Some((key?, from)));
        due.min_by_key(|(key, _)| *key)
    }

    fn judge_next(&mut self, from: From) -> anyhow::Result<()> {
        match from {
            From::Facts => {
                if let Some(bytes) = self.facts.take()? {
                    self.judge.observe(&decoded(bytes)?)?;
                }
            }
            From::Rows => {
                if let Some(row) = self.rows.take() {
                    self.judge.observe(&row)?;
                }
            }
        }
        Ok(())
    }
}

impl Listener for Merge<'_> {
    fn hear(&mut self, observation: &Observation<'_>) -> anyhow::Result<()> {
        if self.next_at <= observation.at {
            self.judge_until(observation.at)?;
        }
        self.judge.observe(observation)?;
        Ok(())
    }

    fn note(&self) -> Note {
        encode
    }

    fn read(&mut self, noted: &[u8]) -> anyhow::Result<()> {
        self.hear(&decoded(noted)?)
    }
}

/// A capture or log that breaks off is a source that has lost data.
fn gap(broken: &Broken) -> Observation<'static> {
    let (source, at) = (broken.source, broken.last);
    // How much is missing cannot be known; it is more than nothing.
    let gap = Gap { source, from: at, to: at, lost_count: 1, cause: GapCause::Damaged };
    Observation { at, witness: source, order: u64::MAX, fact: Fact::Gap(gap) }
}
