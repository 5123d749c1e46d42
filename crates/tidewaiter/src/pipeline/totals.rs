//! The last line of every run: nothing is dropped silently.

use std::fmt;

use engine::Level;
use sensor::{NotUnderstood, Tally};

use super::rows::RowTotals;
use crate::sources::captures::Reading;

/// What went through a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Packets read.
    pub(crate) packet_count: u64,
    /// Log records read.
    pub(crate) record_count: u64,
    /// Packets and records that were understood.
    pub(crate) understood_count: u64,
    /// Packets and records that were not understood.
    pub(crate) not_understood_count: u64,
    /// Packets, records or state lost to damage or evicted by a limit.
    pub(crate) dropped_count: u64,
    /// Files that could not be read to their end.
    pub(crate) broken_count: u64,
    /// What was not understood and what was dropped, by reason.
    pub(crate) reasons: Vec<(&'static str, u64)>,
    /// Alerts by level, Info first.
    pub(crate) alerts: LevelCounts,
}

impl Totals {
    /// What became of the packets of captures.
    pub(crate) fn of_packets(reading: &Reading, tally: &Tally) -> Self {
        let mut totals = Self {
            packet_count: reading.packet_count,
            understood_count: tally.understood,
            broken_count: reading.broken.len() as u64,
            ..Self::default()
        };
        for (why, count) in NotUnderstood::ALL.into_iter().zip(tally.not_understood) {
            match why {
                // Address resolution is understood; it is no conversation.
                NotUnderstood::Arp => totals.understood_count += count,
                why => totals.not_understood(why.name(), count),
            }
        }
        totals.dropped("damaged blocks", reading.passed_over_count);
        totals.dropped("flows evicted", tally.flows_evicted);
        totals.dropped("fragments", tally.fragments_dropped);
        totals.dropped("segments", tally.segments_dropped);
        totals.dropped("flows no longer followed", tally.followers_given_up);
        totals
    }

    /// Adds what became of the rows of flow logs.
    pub(crate) fn add_rows(&mut self, rows: &RowTotals) {
        let reading = &rows.reading;
        for tally in reading.tallies.iter().chain([&reading.tally]) {
            let understood_count = tally.understood_count + tally.unused_count;
            self.record_count += understood_count + tally.not_understood_count;
            self.understood_count += understood_count;
            self.not_understood("rows", tally.not_understood_count);
        }
        self.record_count += reading.long_line_count;
        self.not_understood("overlong rows", reading.long_line_count);
        self.broken_count += reading.broken.len() as u64;
        self.forgotten("rows read twice and counted once", rows.duplicate_count);
        self.forgotten("rows out of order", rows.late_count);
    }

    /// Counts what was not understood, with its reason.
    pub(crate) fn not_understood(&mut self, why: &'static str, count: u64) {
        self.not_understood_count += count;
        self.reason(why, count);
    }

    /// Counts what was lost, with its reason.
    pub(crate) fn dropped(&mut self, why: &'static str, count: u64) {
        self.dropped_count += count;
        self.reason(why, count);
    }

    /// Counts what a limit made room for: older state, not input. It is said and is no damage.
    pub(crate) fn forgotten(&mut self, what: &'static str, count: u64) {
        self.reason(what, count);
    }

    fn reason(&mut self, why: &'static str, count: u64) {
        if count > 0 {
            self.reasons.push((why, count));
        }
    }

    /// Whether some input was damaged or lost.
    pub(crate) fn is_damaged(&self) -> bool {
        self.broken_count > 0 || self.dropped_count > 0
    }

    /// The line without its alerts, for a command that judges nothing.
    pub(crate) fn without_alerts(&self) -> String {
        let mut line = format!(
            "read {} packets and {} records; understood {}, not understood {}, dropped {}",
            self.packet_count,
            self.record_count,
            self.understood_count,
            self.not_understood_count,
            self.dropped_count,
        );
        let reasons: Vec<_> =
            self.reasons.iter().map(|(why, count)| format!("{count} {why}")).collect();
        if !reasons.is_empty() {
            line.push_str(&format!(" ({})", reasons.join(", ")));
        }
        if self.broken_count > 0 {
            line.push_str(&format!("; {} files broken off", self.broken_count));
        }
        line
    }
}

/// How many alerts there are of each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LevelCounts {
    by_level: [u64; 5],
    suppressed_count: u64,
}

const LEVELS: [Level; 5] = [Level::Info, Level::Low, Level::Medium, Level::High, Level::Critical];

impl LevelCounts {
    /// Counts one more.
    pub(crate) fn add(&mut self, level: Level) {
        for (count, known) in self.by_level.iter_mut().zip(LEVELS) {
            *count += u64::from(known == level);
        }
    }

    /// Counts one more that a suppression hides: of no level.
    pub(crate) fn add_suppressed(&mut self) {
        self.suppressed_count += 1;
    }

    /// How many are at or above `level`.
    pub(crate) fn at_or_above(&self, level: Level) -> u64 {
        let counts = LEVELS.into_iter().zip(self.by_level);
        counts.filter(|(known, _)| *known >= level).map(|(_, count)| count).sum()
    }
}

impl fmt::Display for LevelCounts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (level, count) in LEVELS.into_iter().zip(self.by_level).rev() {
            if count > 0 {
                write!(out, "{separator}{count} {}", level.name())?;
                separator = ", ";
            }
        }
        if separator.is_empty() {
            out.write_str("none")?;
        }
        match self.suppressed_count {
            0 => Ok(()),
            count => write!(out, ", suppressed {count}"),
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}; alerts: {}", self.without_alerts(), self.alerts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_counted_from_the_worst() {
        let mut counts = LevelCounts::default();
        assert_eq!(counts.to_string(), "none");
        [Level::Low, Level::High, Level::Low].into_iter().for_each(|level| counts.add(level));
        assert_eq!(counts.to_string(), "1 High, 2 Low");
        assert_eq!(counts.at_or_above(Level::Medium), 1);
        assert_eq!(counts.at_or_above(Level::Critical), 0);
        counts.add_suppressed();
        assert_eq!(counts.to_string(), "1 High, 2 Low, suppressed 1");
        assert_eq!(counts.at_or_above(Level::Info), 3);
    }
}
