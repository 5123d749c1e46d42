//! What time it is, by packets that may lie.
//!
//! Each shard has its own clock, so that the number of lanes cannot change the verdict.
//! A packet that is `AHEAD_MAX` or more ahead of its shard, and a shard's very first packet, is
//! held until the next one of the shard, or a tick, agrees with it; a packet that nobody agrees
//! with gets the time of the one that disagrees, and `Flaws::TIME_JUMP`.
//! A packet that is more than `BACK_MAX` behind gets the running time and the same flaw; when the
//! next one agrees with it, the clock steps back.

use observation::{Flaws, Span, Time};

/// A jump ahead of this much has to be confirmed.
pub(crate) const AHEAD_MAX: Span = Span::from_secs(3600);
/// Captures from several queues are out of order by less than this.
const BACK_MAX: Span = Span::from_secs(1);

/// The running time of one shard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    running: Option<Time>,
    /// The time of the last packet, where it was too far behind to be believed.
    behind: Option<Time>,
}

/// A packet's time as it is used from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dated {
    pub at: Time,
    pub flaws: Flaws,
}

impl Dated {
    const fn believed(at: Time) -> Self {
        Self { at, flaws: Flaws::NONE }
    }

    const fn corrected(at: Time) -> Self {
        Self { at, flaws: Flaws::TIME_JUMP }
    }
}

impl Clock {
    /// The latest time that is believed.
    pub(crate) const fn running(&self) -> Option<Time> {
        self.running
    }

    /// The time of a packet; `None` where it has to be held until another one agrees.
    pub(crate) fn date(&mut self, at: Time) -> Option<Dated> {
        let running = self.running?;
        if let Some(behind) = self.behind.take()
            && distance(at, behind) < distance(at, running)
        {
            self.running = Some(at);
            return Some(Dated::believed(at));
        }
        if at > running + AHEAD_MAX {
            return None;
        }
        if at + BACK_MAX < running {
            self.behind = Some(at);
            return Some(Dated::corrected(running));
        }
        self.running = Some(at.max(running));
        Some(Dated::believed(at.max(running)))
    }

    /// The time of a held packet, now that the next one has come.
    pub(crate) fn settle(&mut self, held: Time, next: Time) -> Dated {
        let agrees = match self.running {
            None => held <= next + AHEAD_MAX,
            Some(running) => distance(next, held) < distance(next, running),
        };
        if agrees {
            return self.believe(held);
        }
        let plausible = self.running.is_none_or(|running| next <= running + AHEAD_MAX);
        let known = self.running.unwrap_or(next);
        if plausible {
            self.running = Some(known.max(next));
        }
        Dated::corrected(self.running.unwrap_or(next))
    }

    /// The time of a held packet that somebody else's clock confirms.
    pub(crate) fn believe(&mut self, held: Time) -> Dated {
        self.running = Some(held);
        Dated::believed(held)
    }

    /// The time of a held packet when nothing follows any more and the time is `known`.
    pub(crate) fn give_up(&mut self, held: Time, known: Option<Time>) -> Dated {
        match known {
            Some(known) if held > known + AHEAD_MAX => Dated::corrected(known),
            _ => self.believe(held),
        }
    }
}

/// What time it is by all packets together, in their order: a function of their times alone, so
/// that every lane can be told the same. A time that nobody confirms does not move it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watermark {
    clock: Clock,
    held: Option<Time>,
}

impl Watermark {
    /// The time now that a packet of the time `at` has come. Nothing much earlier follows.
    pub fn pass(&mut self, at: Time) -> Time {
        if let Some(held) = self.held.take() {
            self.clock.settle(held, at);
        }
        if self.clock.date(at).is_none() {
            self.held = Some(at);
        }
        self.clock.running().unwrap_or_default()
    }
}

const fn distance(a: Time, b: Time) -> u64 {
    a.0.abs_diff(b.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Time {
        Time(seconds * 1_000_000_000)
    }

    const YEAR_2100: Time = s(4_102_444_800);
    const NOW: Time = s(1_790_000_000);

    fn running_at(at: Time) -> Clock {
        Clock { running: Some(at), behind: None }
    }

    #[test]
    fn a_packet_from_the_year_2100_gets_the_time_of_its_successor() {
        let mut clock = running_at(NOW);
        assert_eq!(clock.date(YEAR_2100), None);
        let next = NOW + Span::from_secs(1);
        assert_eq!(clock.settle(YEAR_2100, next), Dated::corrected(next));
        assert_eq!(clock.date(next), Some(Dated::believed(next)));
    }

    #[test]
    fn a_pause_of_a_day_is_believed_when_the_next_packet_agrees() {
        let mut clock = running_at(NOW);
        let later = NOW + Span::from_secs(86_400);
        assert_eq!(clock.date(later), None);
        assert_eq!(clock.settle(later, later + Span::from_secs(1)), Dated::believed(later));
    }

    #[test]
    fn a_first_packet_from_the_year_2100_is_not_believed() {
        let mut clock = Clock::default();
        assert_eq!(clock.date(YEAR_2100), None);
        assert_eq!(clock.settle(YEAR_2100, NOW), Dated::corrected(NOW));
        let mut clock = Clock::default();
        assert_eq!(clock.date(NOW), None);
        assert_eq!(clock.settle(NOW, YEAR_2100), Dated::believed(NOW));
    }

    #[test]
    fn one_late_packet_keeps_the_running_time_and_two_step_back() {
        let mut clock = running_at(NOW);
        let before = s(1_780_000_000);
        assert_eq!(clock.date(before), Some(Dated::corrected(NOW)));
        assert_eq!(clock.date(NOW), Some(Dated::believed(NOW)));
        assert_eq!(clock.date(before), Some(Dated::corrected(NOW)));
        assert_eq!(clock.date(before), Some(Dated::believed(before)));
    }

    #[test]
    fn a_little_disorder_is_no_jump() {
        let mut clock = running_at(NOW);
        let before = Time(NOW.0 - 5_000_000);
        assert_eq!(clock.date(before), Some(Dated::believed(NOW)));
    }

    #[test]
    fn no_single_packet_moves_the_watermark_far() {
        let mut watermark = Watermark::default();
        let second = Span::from_secs(1);
        assert_eq!(watermark.pass(NOW), Time(0));
        assert_eq!(watermark.pass(NOW + second), NOW + second);
        assert_eq!(watermark.pass(YEAR_2100), NOW + second);
        assert_eq!(watermark.pass(NOW), NOW + second);
        let later = NOW + Span::from_secs(86_400);
        assert_eq!(watermark.pass(later), NOW + second);
        assert_eq!(watermark.pass(later + second), later + second);
        assert_eq!(watermark.pass(NOW), later + second);
        assert_eq!(watermark.pass(NOW), NOW);
    }
}
