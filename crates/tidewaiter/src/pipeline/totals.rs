//! The last line of every run: nothing is dropped silently.

use std::fmt;

use engine::Level;

/// What went through a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// Alerts by level, Info first.
    pub(crate) alerts: LevelCounts,
}

/// How many alerts there are of each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LevelCounts([u64; 5]);

const LEVELS: [Level; 5] = [Level::Info, Level::Low, Level::Medium, Level::High, Level::Critical];

impl LevelCounts {
    /// Counts one more.
    pub(crate) fn add(&mut self, level: Level) {
        for (count, known) in self.0.iter_mut().zip(LEVELS) {
            *count += u64::from(known == level);
        }
    }

    /// How many are at or above `level`.
    pub(crate) fn at_or_above(&self, level: Level) -> u64 {
        LEVELS.into_iter().zip(self.0).filter(|(known, _)| *known >= level).map(|(_, n)| n).sum()
    }
}

impl fmt::Display for LevelCounts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (level, count) in LEVELS.into_iter().zip(self.0).rev() {
            if count > 0 {
                write!(out, "{separator}{count} {}", level.name())?;
                separator = ", ";
            }
        }
        if separator.is_empty() { out.write_str("none") } else { Ok(()) }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "read {} packets and {} records; understood {}, not understood {}, dropped {}; \
             alerts: {}",
            self.packet_count,
            self.record_count,
            self.understood_count,
            self.not_understood_count,
            self.dropped_count,
            self.alerts
        )
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
    }
}
