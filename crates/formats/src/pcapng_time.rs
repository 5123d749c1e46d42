//! A pcapng interface's clock: `if_tsresol` and `if_tsoffset` make nanoseconds of its ticks.

use observation::Time;

/// How an interface counts time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    scale: Scale,
    /// Seconds to add.
    pub offset_s: i64,
}

#[derive(Clone, Copy, Debug)]
enum Scale {
    /// A tick is this many nanoseconds.
    Coarse(u64),
    /// A nanosecond is this many ticks.
    Fine(u128),
    /// A second is two to this power of ticks.
    Binary(u32),
}

impl Clock {
    /// The default of the format.
    pub(crate) const MICROSECONDS: Self = Self { scale: Scale::Coarse(1000), offset_s: 0 };

    /// By the value of `if_tsresol`: the upper bit chooses powers of two, else of ten.
    pub(crate) const fn of(resolution: u8) -> Self {
        let power = (resolution & 0x7f) as u32;
        let scale = if resolution & 0x80 != 0 {
            Scale::Binary(power)
        } else if power <= NANO_POWER {
            Scale::Coarse(10_u64.pow(NANO_POWER - power))
        } else {
            match 10_u128.checked_pow(power - NANO_POWER) {
                Some(ticks) => Scale::Fine(ticks),
                // A tick shorter than any that 64 bits could count up to a nanosecond.
                None => Scale::Fine(u128::MAX),
            }
        };
        Self { scale, offset_s: 0 }
    }

    /// The time of a tick count; `Err` with the nearest time there is, where none fits.
    #[inline]
    pub(crate) fn time(self, ticks: u64) -> Result<Time, Time> {
        if let (Scale::Coarse(tick_ns), 0) = (self.scale, self.offset_s) {
            return ticks.checked_mul(tick_ns).map(Time).ok_or(LATEST);
        }
        let since_start_ns = match self.scale {
            Scale::Coarse(tick_ns) => u128::from(ticks) * u128::from(tick_ns),
            Scale::Fine(nanosecond_ticks) => u128::from(ticks) / nanosecond_ticks,
            Scale::Binary(power) => (u128::from(ticks) * SECOND_NS as u128) >> power,
        };
        let since_start_ns = i128::try_from(since_start_ns).unwrap_or(i128::MAX);
        let at_ns = since_start_ns.saturating_add(i128::from(self.offset_s) * SECOND_NS);
        u64::try_from(at_ns).map(Time).map_err(|_| if at_ns < 0 { Time(0) } else { LATEST })
    }
}

/// One before [`Time::NEVER`], which no packet may have.
const LATEST: Time = Time(u64::MAX - 1);
const NANO_POWER: u32 = 9;
const SECOND_NS: i128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(resolution: u8, offset_s: i64, ticks: u64) -> Result<Time, Time> {
        Clock { offset_s, ..Clock::of(resolution) }.time(ticks)
    }

    #[test]
    fn the_same_second_in_every_resolution() {
        let second = Ok(Time(1_000_000_000));
        assert_eq!(at(0, 0, 1), second);
        assert_eq!(at(6, 0, 1_000_000), second);
        assert_eq!(at(9, 0, 1_000_000_000), second);
        assert_eq!(at(12, 0, 1_000_000_000_000), second);
        assert_eq!(at(0x80 | 10, 0, 1024), second);
        assert_eq!(Clock::MICROSECONDS.time(1_000_000), second);
    }

    #[test]
    fn the_offset_is_added_and_may_be_negative() {
        assert_eq!(at(6, 1, 0), Ok(Time(1_000_000_000)));
        assert_eq!(at(6, -1, 3_000_000), Ok(Time(2_000_000_000)));
        assert_eq!(at(6, -1, 0), Err(Time(0)));
    }

    #[test]
    fn a_time_that_no_clock_shows_is_clamped() {
        assert_eq!(at(0, 0, u64::MAX), Err(LATEST));
        assert_eq!(at(0, i64::MAX, 0), Err(LATEST));
        assert_eq!(at(127, 0, u64::MAX), Ok(Time(0)));
        assert_eq!(at(255, 0, u64::MAX), Ok(Time(0)));
    }
}
