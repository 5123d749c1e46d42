//! The engine's side: what the sources say, merged, recorded, judged, and its evidence taken.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use observation::{Fact, Gap, GapCause, Observation, SourceId, Span, Time};

use super::coverage::{self, Coverage, RingState};
use super::cuts::Cuts;
use super::resume::Keeper;
use super::sources::{Ended, Live};
use super::standing::Standing;
use crate::intel::Follower;
use crate::pipeline::{Judge, Totals};
use crate::record::spool::Spool;
use crate::record::{Origin, Recorder};
use crate::sources::live::feed::{FeedLoss, Parcel};
use crate::sources::live::held::HeldCounts;
use crate::sources::live::itself::Itself;
use crate::sources::live::manifest::Sums;
use crate::sources::live::reorder::{REORDER_MS, Reorder};
use crate::sources::live::{PACKETS, PROCESSES, SOCKETS};

/// How far the engine's clock is behind the wall clock: nothing that is earlier comes any more,
/// but for what its source learned late.
const BEHIND: Span = Span::from_millis(REORDER_MS);

/// How often what was learned is kept.
const LEARNED_EVERY: Span = Span::from_secs(60);

/// Everything behind the queue.
pub(super) struct Line {
    judge: Judge,
    intel: Follower,
    keeper: Keeper,
    cuts: Cuts,
    /// What the engine had evicted before this watch.
    evicted_before_count: u64,
    reorder: Reorder,
    itself: Itself,
    recorder: Option<Arc<Recorder>>,
    spool: Spool,
    standing: Standing,
    /// Sources whose container facts `scan` makes again from the runtime's own lines.
    event_sources: BTreeSet<SourceId>,
    losses: Vec<FeedLoss>,
    lost_count: u64,
    unreadable_count: u64,
    folder: PathBuf,
    started: Time,
    /// When what was learned was kept last.
    learned_at: Time,
}

/// The last line, and the manifest's.
pub(super) struct LastLine {
    /// What went through.
    pub(super) totals: Totals,
    sums: Sums,
}

impl Line {
    pub(super) fn new(
        judge: Judge,
        intel: Follower,
        keeper: Keeper,
        live: &Live,
        recorder: Option<Arc<Recorder>>,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let spool = Spool::start(folder, live.held(), live.snapshots())?;
        Ok(Self {
            cuts: Cuts::start(folder)?,
            evicted_before_count: judge.tally().evicted_count,
            judge,
            intel,
            keeper,
            reorder: Reorder::default(),
            itself: live.itself,
            recorder,
            spool,
            standing: Standing::new(live.expected_sources(), live.itself),
            event_sources: live.event_sources(),
            losses: live.losses.clone(),
            lost_count: 0,
            unreadable_count: 0,
            folder: folder.to_path_buf(),
            started: crate::timestamp::now(),
            learned_at: crate::timestamp::now(),
        })
    }

    /// Nobody has watched since then: whatever happened meanwhile was not seen.
    pub(super) fn unwatched(&mut self, since: Option<Time>) -> anyhow::Result<()> {
        let Some(from) = since else { return Ok(()) };
        let to = crate::timestamp::now();
        for source in [PACKETS, PROCESSES, SOCKETS] {
            // Nobody can say how many.
            let gap = Gap { source, from, to, lost_count: 1, cause: GapCause::Silent };
            let fact = Fact::Gap(gap);
            self.judge_one(&Observation { at: to, witness: source, order: 0, fact })?;
        }
        Ok(())
    }

    /// Takes one in.
    pub(super) fn take(&mut self, parcel: Parcel, now: Time) {
        self.cuts.notice(&parcel);
        self.reorder.push(parcel, now);
    }

    /// Judges what nothing overtakes any more.
    pub(super) fn release(&mut self, now: Time) -> anyhow::Result<()> {
        while let Some(parcel) = self.reorder.pop(now) {
            self.judge_parcel(&parcel)?;
        }
        let updates = self.judge.advance(now - BEHIND)?;
        self.keeper.note(updates);
        self.spool.take(updates);
        self.standing.speak();
        if let Err(error) = self.keeper.keep(&self.judge) {
            self.standing.complain(&format!("keeping the engine's state: {error}"));
        }
        Ok(())
    }

    /// Looks after losses, and writes how things stand.
    pub(super) fn each_second(&mut self, live: &Live, now: Time) -> anyhow::Result<()> {
        for (source, lost_count) in self.fresh_losses() {
            let from = now - Span::from_secs(1);
            let gap = Gap { source, from, to: now, lost_count, cause: GapCause::QueueFull };
            let fact = Fact::Gap(gap);
            self.judge_one(&Observation { at: now, witness: source, order: 0, fact })?;
        }
        self.judge.refresh_suppressions(now);
        self.look_after_baselines(now)?;
        self.intel.teach(&mut self.judge);
        let (rings, evidence) = (live.rings(), live.held_counts());
        self.write_coverage(rings, live.checks(), live.sums(), evidence, now);
        Ok(())
    }

    /// The sources have ended: judges the rest, and sums up.
    pub(super) fn finish(mut self, ended: &Ended) -> anyhow::Result<LastLine> {
        while let Some(parcel) = self.reorder.pop_any() {
            self.judge_parcel(&parcel)?;
        }
        let _ = self.fresh_losses();
        let now = crate::timestamp::now();
        self.write_coverage(ended.rings, ended.checks.clone(), ended.sums, ended.evidence, now);
        let alerts = self.judge.finish()?;
        if let Err(error) = self.keeper.keep_now(&self.judge) {
            self.standing.complain(&format!("keeping the engine's state: {error}"));
        }
        self.cuts.finish();
        self.intel.finish();
        let spooled = self.spool.finish();
        let mut totals = ended.totals.clone();
        totals.alerts = alerts;
        totals.dropped("observations without room", self.lost_count);
        totals.dropped("observations unreadable", self.unreadable_count);
        let evicted_count = self.judge.tally().evicted_count - self.evicted_before_count;
        totals.forgotten("older names and flows forgotten", evicted_count);
        totals.dropped("evidence not written", spooled.failed_count);
        totals.dropped("matches of rules without room", self.judge.rule_dropped_count());
        totals.forgotten("older baselines forgotten", self.judge.baseline_forgotten_count());
        Ok(LastLine { totals, sums: ended.sums })
    }

    /// Somebody may have approved or forgotten one; what was learned is kept now and then.
    fn look_after_baselines(&mut self, now: Time) -> anyhow::Result<()> {
        let updates = self.judge.refresh_decisions()?;
        self.keeper.note(updates);
        self.spool.take(updates);
        if now.since(self.learned_at) >= LEARNED_EVERY {
            self.learned_at = now;
            if let Err(error) = self.judge.keep_baselines() {
                self.standing.complain(&format!("keeping what was learned: {error:#}"));
            }
        }
        Ok(())
    }

    fn judge_parcel(&mut self, parcel: &Parcel) -> anyhow::Result<()> {
        match parcel.open() {
            Some(observation) => self.judge_one(&observation),
            None => {
                self.unreadable_count += 1;
                Ok(())
            }
        }
    }

    fn judge_one(&mut self, observation: &Observation<'_>) -> anyhow::Result<()> {
        if self.itself.is_meant(observation) {
            return Ok(());
        }
        if let Some(recorder) = &self.recorder {
            let from_events = self.event_sources.contains(&observation.witness);
            let origin = if from_events { Origin::RuntimeEvents } else { Origin::Elsewhere };
            recorder.observation(observation, origin);
        }
        if let Fact::SourceStatus(status) = &observation.fact {
            self.standing.note(status);
        }
        let updates = self.judge.observe(observation)?;
        self.keeper.note(updates);
        self.spool.take(updates);
        Ok(())
    }

    fn fresh_losses(&mut self) -> Vec<(SourceId, u64)> {
        let fresh: Vec<_> = self.losses.iter().map(|loss| (loss.source, loss.take())).collect();
        self.lost_count += fresh.iter().map(|(_, lost)| lost).sum::<u64>();
        fresh.into_iter().filter(|(_, lost)| *lost > 0).collect()
    }

    fn write_coverage(
        &mut self,
        rings: [RingState; 2],
        ports: Vec<crate::sources::live::manifest::PortCheck>,
        sums: Sums,
        evidence: HeldCounts,
        now: Time,
    ) {
        let [containers, host] = rings;
        let coverage = Coverage {
            pid: std::process::id(),
            started: self.started,
            updated: now,
            sources: self.standing.sources(),
            containers,
            host,
            queue_lost_count: self.lost_count,
            ports,
            sums,
            evidence,
            cuts: Vec::new(),
        };
        if let Err(error) = coverage::write(&self.folder, &coverage) {
            self.standing.complain(&format!("writing the coverage to the store: {error}"));
        }
    }
}

impl fmt::Display for LastLine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}; ports: {}", self.totals, self.sums)
    }
}
