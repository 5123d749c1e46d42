//! Kernel times as nanoseconds since the epoch: `clock_gettime(2)`.

/// How far `CLOCK_REALTIME` is ahead of the clocks that kernel events carry.
///
/// Taken anew for each batch of events, since the offset moves when the clock is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// Ahead of `CLOCK_MONOTONIC`, which process and socket events carry.
    pub monotonic_ns: u64,
    /// Ahead of `CLOCK_BOOTTIME`, from which `/proc` counts a process' start.
    pub boot_ns: u64,
}

impl Offsets {
    /// The offsets at this moment.
    #[must_use]
    pub fn now() -> Self {
        Self {
            monotonic_ns: offset_ns(libc::CLOCK_MONOTONIC),
            boot_ns: offset_ns(libc::CLOCK_BOOTTIME),
        }
    }

    /// A `CLOCK_MONOTONIC` time as nanoseconds since the epoch.
    #[must_use]
    pub const fn from_monotonic(self, ns: u64) -> u64 {
        ns.saturating_add(self.monotonic_ns)
    }

    /// A `CLOCK_BOOTTIME` time as nanoseconds since the epoch.
    #[must_use]
    pub const fn from_boot(self, ns: u64) -> u64 {
        ns.saturating_add(self.boot_ns)
    }
}

/// Nanoseconds since the epoch.
#[must_use]
pub fn realtime_ns() -> u64 {
    read_ns(libc::CLOCK_REALTIME)
}

/// The best of a few readings, because a thread can be suspended between two clocks.
fn offset_ns(clock: libc::clockid_t) -> u64 {
    const READING_COUNT: usize = 5;
    let mut best = (u64::MAX, 0);
    for _ in 0..READING_COUNT {
        let before = read_ns(clock);
        let real = read_ns(libc::CLOCK_REALTIME);
        let gap = read_ns(clock).saturating_sub(before);
        if gap < best.0 {
            best = (gap, real.saturating_sub(before.saturating_add(gap / 2)));
        }
    }
    best.1
}

fn read_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writing; an unknown clock leaves it untouched.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_now_is_realtime_now() {
        let offsets = Offsets::now();
        let now = offsets.from_monotonic(read_ns(libc::CLOCK_MONOTONIC));
        assert!(now.abs_diff(realtime_ns()) < 50_000_000);
        let now = offsets.from_boot(read_ns(libc::CLOCK_BOOTTIME));
        assert!(now.abs_diff(realtime_ns()) < 50_000_000);
    }
}
