//! Replay: captures and log facts through the very engine that runs live, in one order that
//! depends on the input alone.

use std::sync::Arc;

use observation::{Fact, Gap, GapCause, Observation, Time};
use sensor::{Limits, Tally};

use super::facts::SortedFacts;
use super::judge::Judge;
use super::lanes::{Block, Lanes};
use super::order::{Key, Queue, decoded};
use super::rows::{RowTotals, Rows};
use crate::progress::Progress;
use crate::sources::captures::{Broken, CaptureFile, Reading, each_packet};

/// Replayed runs are the same every time, hash tables included.
pub(crate) const REPLAY_SEED: u64 = 0;

/// So many Observations may wait for slower ones; ordinary input has a few thousand.
const WAITING_COUNT_MAX: usize = 1 << 18;

/// What is replayed.
pub(crate) struct Input<'a> {
    pub(crate) captures: &'a [CaptureFile],
    pub(crate) facts: SortedFacts,
    pub(crate) rows: Rows,
}

/// What came of reading it.
pub(crate) struct Told {
    pub(crate) packets: Reading,
    pub(crate) tally: Tally,
    pub(crate) rows: RowTotals,
}

/// Reads the captures through `lane_count` lanes, merges facts and rows in, and judges it all.
pub(crate) fn replay(
    input: Input<'_>,
    lane_count: u8,
    progress: &Progress,
    judge: &mut Judge,
) -> anyhow::Result<Told> {
    let lanes = Lanes::start(lane_count, Limits::default(), REPLAY_SEED)?;
    let mut merge = Merge::new(lanes, input.facts, input.rows, judge);
    let packets = each_packet(input.captures, progress.read_bytes(), &mut |packet| {
        merge.block.put(&packet);
        if merge.block.is_full() {
            progress.show();
            merge.next_block()?;
        }
        Ok(())
    })?;
    let (tally, rows) = merge.finish(&packets.broken, progress)?;
    Ok(Told { packets, tally, rows })
}

struct Merge<'j> {
    lanes: Lanes,
    facts: SortedFacts,
    rows: Rows,
    queue: Queue,
    judge: &'j mut Judge,
    block: Block,
    /// The block whose answer is still to come, and the time up to which its timers fire.
    under_way: Option<(Arc<Block>, Time)>,
    /// The latest time that any lane believed in the last answer.
    now: Time,
    tally: Tally,
}

impl<'j> Merge<'j> {
    fn new(mut lanes: Lanes, facts: SortedFacts, rows: Rows, judge: &'j mut Judge) -> Self {
        let block = lanes.block();
        let (queue, now, tally) = (Queue::default(), Time(0), Tally::default());
        Self { lanes, facts, rows, queue, judge, block, under_way: None, now, tally }
    }

    /// Sends the block on its way, and judges what the lanes told about the one before it while
    /// they work on this one.
    fn next_block(&mut self) -> anyhow::Result<()> {
        let empty = self.lanes.block();
        let block = std::mem::replace(&mut self.block, empty);
        // This depends on the blocks before the one under way only, and so on the input alone.
        let until = self.now;
        let sent = self.lanes.send(block, until)?;
        if let Some((before, complete_until)) = self.under_way.replace((sent, until)) {
            self.take_answer(Some(before))?;
            // Timers up to here have fired in every lane: nothing earlier will come.
            self.judge_until(self.bounded(complete_until))?;
        }
        Ok(())
    }

    /// Clocks that stand still or run ahead must not make the queue grow: beyond its limit all of
    /// it is judged, which depends on the input alone as well.
    fn bounded(&self, complete_until: Time) -> Time {
        match self.queue.extent() {
            (WAITING_COUNT_MAX.., Some(last)) => complete_until.max(last),
            _ => complete_until,
        }
    }

    fn take_answer(&mut self, spare: Option<Arc<Block>>) -> anyhow::Result<()> {
        let answer = self.lanes.answer(spare)?;
        self.queue.put(answer.batches);
        self.now = self.now.max(answer.now);
        self.tally = answer.tally;
        Ok(())
    }

    fn finish(
        mut self,
        broken: &[Broken],
        progress: &Progress,
    ) -> anyhow::Result<(Tally, RowTotals)> {
        self.next_block()?;
        if let Some((last, _)) = self.under_way.take() {
            self.take_answer(Some(last))?;
        }
        self.lanes.send_end()?;
        self.take_answer(None)?;
        self.judge_rest(progress)?;
        self.lanes.join();
        let rows = self.rows.finish();
        for broken in broken.iter().chain(&rows.reading.broken) {
            self.judge.observe(&gap(broken))?;
        }
        Ok((self.tally, rows))
    }

    /// Hands the engine everything up to `until`, in order.
    fn judge_until(&mut self, until: Time) -> anyhow::Result<()> {
        while let Some((_, from)) = self.next_until(until) {
            self.judge_next(from)?;
        }
        self.judge.advance(until)?;
        Ok(())
    }

    /// Hands on what is left, mostly rows.
    fn judge_rest(&mut self, progress: &Progress) -> anyhow::Result<()> {
        let mut count = 0_u64;
        while let Some((_, from)) = self.next_until(Time::NEVER) {
            self.judge_next(from)?;
            count += 1;
            if count.is_multiple_of(SHOWN_EVERY) {
                progress.show();
            }
        }
        Ok(())
    }

    /// What comes next, if it is due.
    fn next_until(&mut self, until: Time) -> Option<(Key, From)> {
        let candidates = [
            (self.facts.first(), From::Facts),
            (self.queue.first(), From::Packets),
            (self.rows.first(), From::Rows),
        ];
        let due = candidates.into_iter().filter_map(|(key, from)| Some((key?, from)));
        due.filter(|(key, _)| key.at <= until).min_by_key(|(key, _)| *key)
    }

    fn judge_next(&mut self, from: From) -> anyhow::Result<()> {
        match from {
            From::Facts => {
                if let Some(bytes) = self.facts.take()? {
                    self.judge.observe(&decoded(bytes)?)?;
                }
            }
            From::Packets => {
                if let Some((batch, range)) = self.queue.take() {
                    self.judge.observe(&decoded(batch.get(&range))?)?;
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

/// Which stream is next.
#[derive(Clone, Copy, Debug)]
enum From {
    Facts,
    Packets,
    Rows,
}

/// Progress is shown anew after so many Observations.
const SHOWN_EVERY: u64 = 1 << 16;

/// A capture or log that breaks off is a source that has lost data.
fn gap(broken: &Broken) -> Observation<'static> {
    let (source, at) = (broken.source, broken.last);
    // How much is missing cannot be known; it is more than nothing.
    let gap = Gap { source, from: at, to: at, lost_count: 1, cause: GapCause::Damaged };
    Observation { at, witness: source, order: u64::MAX, fact: Fact::Gap(gap) }
}
