//! The manifest check: what each port's interface counted, beside what the sensor saw at it.
//!
//! Exact where it can be: two samples a second or more apart with equal counters have nothing in
//! flight between interface and sensor, so what both counted since the baseline must be equal.
//! A rest is what the ring dropped, or a way around the sensor.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use observation::{PortCounters, PortId, PortTraffic, Span, Time};
use serde::{Deserialize, Serialize};

/// Results of ports that are gone, the latest ones; all of them are in the sums.
const GONE_COUNT_MAX: usize = 256;
/// A difference is compared only with samples at least so far apart.
const REST: Span = Span::from_millis(1000);
/// How long after an interface went its last packets may still come out of the ring.
const DRAIN: Span = Span::from_millis(100);
/// A port whose counters never rest is told of after so long.
const TELL_EVERY: Span = Span::from_secs(60);

/// How a port's comparison stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// It was there before us and has not rested yet, so that nothing can be compared.
    Settling,
    /// It has not rested since its baseline.
    Moving,
    /// Equal to the byte.
    Exact,
    /// They differ, and the ring dropped at least as many frames in this time.
    Dropped,
    /// The sensor saw more: frames that the interface then refused, as an end does that is just
    /// being taken apart. Nothing went unseen.
    Refused,
    /// They differ, and nothing that we know explains it.
    Unexplained,
}

/// One port's comparison.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PortCheck {
    /// The port.
    pub(crate) port: PortId,
    /// Its interface's name.
    pub(crate) name: String,
    /// When both counts began.
    pub(crate) since: Time,
    /// The last comparison, or the last sample where there was none.
    pub(crate) at: Time,
    /// What the interface counted since then.
    pub(crate) counted: PortTraffic,
    /// What the sensor saw since then.
    pub(crate) seen: PortTraffic,
    /// How it stands.
    pub(crate) standing: Standing,
}

/// All ports'.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    ports: BTreeMap<PortId, Watched>,
    gone: VecDeque<PortCheck>,
    sums: Sums,
}

/// Over all ports of a run, those that are gone included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sums {
    /// Ports that were compared at least once.
    pub(crate) compared_count: u64,
    /// Of these, how many were equal at their last comparison.
    pub(crate) exact_count: u64,
    /// Of the others, how many the ring's drops explain.
    pub(crate) dropped_count: u64,
    /// At how many the interface refused frames that we saw.
    #[serde(default)]
    pub(crate) refused_count: u64,
    /// And how many nothing explains.
    pub(crate) unexplained_count: u64,
    /// Ports that never rested.
    pub(crate) uncompared_count: u64,
    /// Frames that interfaces counted and the sensor did not see.
    pub(crate) unseen_frame_count: u64,
}

/// Whether we were there when the port appeared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Birth {
    /// The ring was open before it: we saw all of it.
    Watched,
    /// It was there before us.
    Before,
}

#[derive(Debug)]
struct Watched {
    name: String,
    since: Time,
    /// What both had counted when the comparison began.
    base: Option<Base>,
    last: Sample,
    /// When the counters took their current values.
    still_since: Time,
    standing: Standing,
    told: Time,
    told_seen: PortTraffic,
    gone_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Base {
    counted: PortTraffic,
    seen: PortTraffic,
    ring_drop_count: u64,
}

/// One reading of both sides.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// When.
    pub(crate) at: Time,
    /// The interface's counters.
    pub(crate) counted: PortTraffic,
    /// The sensor's, read before the interface's.
    pub(crate) seen: PortTraffic,
    /// What the ring has dropped in all.
    pub(crate) ring_drop_count: u64,
}

impl Manifest {
    /// A port is there.
    ///
    /// `counted` is not zero when it comes out of another namespace: what it carried there passed
    /// its other end, and is compared at that one.
    pub(crate) fn appear(
        &mut self,
        port: PortId,
        name: &str,
        (at, counted): (Time, PortTraffic),
        birth: Birth,
    ) {
        if let Some(back) = self.ports.get_mut(&port).filter(|known| known.gone_at.is_some()) {
            back.return_with(at, counted);
            return;
        }
        let base = (birth == Birth::Watched).then(|| Base { counted, ..Base::default() });
        self.ports.entry(port).or_insert_with(|| Watched {
            name: name.to_owned(),
            since: at,
            base,
            last: Sample { at, counted, ..Sample::default() },
            still_since: at,
            standing: if base.is_some() { Standing::Moving } else { Standing::Settling },
            told: at,
            told_seen: PortTraffic::default(),
            gone_at: None,
        });
    }

    /// Counters that came with an interface's change; they may be its last.
    pub(crate) fn counted(&mut self, port: PortId, counted: PortTraffic, at: Time) {
        let Some(watched) = self.ports.get_mut(&port) else { return };
        let largest = largest(watched.last.counted, counted);
        if largest != watched.last.counted {
            watched.last.counted = largest;
            watched.still_since = at;
            watched.move_on();
        }
    }

    /// It turned out to be no port of a container.
    pub(crate) fn forget(&mut self, port: PortId) {
        self.ports.remove(&port);
    }

    /// The interface is gone. Its last comparison follows once the ring is drained.
    pub(crate) fn vanish(&mut self, port: PortId, at: Time) {
        if let Some(watched) = self.ports.get_mut(&port) {
            watched.gone_at.get_or_insert(at);
        }
    }

    /// The ports that are there now.
    pub(crate) fn live(&self) -> impl Iterator<Item = PortId> {
        self.ports.iter().filter(|(_, watched)| watched.gone_at.is_none()).map(|(port, _)| *port)
    }

    /// Compares. A result that is new is returned.
    pub(crate) fn sample(&mut self, port: PortId, sample: Sample) -> Option<PortCounters> {
        let watched = self.ports.get_mut(&port)?;
        let moved = sample.counted != watched.last.counted;
        let previous = watched.last;
        watched.last = sample;
        if moved {
            watched.still_since = sample.at;
            watched.move_on();
            return None;
        }
        // The counters were the same before, so all that they count has left the ring since.
        if sample.at.since(watched.still_since) < REST || previous.at == sample.at {
            return None;
        }
        let Some(base) = watched.base else {
            let Sample { counted, seen, ring_drop_count, .. } = sample;
            watched.base = Some(Base { counted, seen, ring_drop_count });
            watched.since = sample.at;
            watched.standing = Standing::Exact;
            return None;
        };
        watched.compare(port, base)
    }

    /// The last comparison of ports that went long enough ago. `seen` reads the sensor's side.
    pub(crate) fn bury(
        &mut self,
        now: Time,
        ring_drop_count: u64,
        seen: impl Fn(PortId) -> PortTraffic,
    ) -> Vec<PortCounters> {
        let over = |watched: &Watched| watched.gone_at.is_some_and(|at| now.since(at) >= DRAIN);
        let ports: Vec<_> =
            self.ports.iter().filter(|(_, watched)| over(watched)).map(|(port, _)| *port).collect();
        let mut told = Vec::new();
        for port in ports {
            let Some(mut watched) = self.ports.remove(&port) else { continue };
            watched.last.seen = seen(port);
            watched.last.ring_drop_count = ring_drop_count;
            watched.last.at = watched.gone_at.unwrap_or(now);
            if let Some(base) = watched.base {
                told.extend(watched.compare(port, base));
            }
            let check = watched.check(port);
            // A veth's other end passes through here on its way into the container.
            if check.counted == PortTraffic::default() && check.seen == PortTraffic::default() {
                continue;
            }
            self.sums.add(&check);
            if self.gone.len() == GONE_COUNT_MAX {
                self.gone.pop_front();
            }
            self.gone.push_back(check);
        }
        told
    }

    /// Every port's standing: those that are gone, then those that are there.
    pub(crate) fn checks(&self) -> Vec<PortCheck> {
        let live = self.ports.iter().map(|(port, watched)| watched.check(*port));
        self.gone.iter().cloned().chain(live).collect()
    }

    /// The sums.
    pub(crate) fn sums(&self) -> Sums {
        let mut sums = self.sums;
        self.ports.iter().for_each(|(port, watched)| sums.add(&watched.check(*port)));
        sums
    }
}

impl Watched {
    /// What was equal is no longer compared.
    fn move_on(&mut self) {
        if self.standing == Standing::Exact {
            self.standing = Standing::Moving;
        }
    }

    /// It was in another namespace meanwhile: what it counted there is not ours to compare.
    fn return_with(&mut self, at: Time, counted: PortTraffic) {
        let elsewhere = difference(counted, self.last.counted);
        if let Some(base) = &mut self.base {
            base.counted = sum(base.counted, elsewhere);
        }
        self.last.counted = counted;
        self.still_since = at;
        self.gone_at = None;
    }

    fn compare(&mut self, port: PortId, base: Base) -> Option<PortCounters> {
        let check = self.check(port);
        // What comes from a container is counted by its own end, which may have gone first.
        if self.gone_at.is_some() && check.counted.frames_out < check.seen.frames_out {
            self.standing = Standing::Moving;
            return None;
        }
        let unseen = check.unseen_frame_count();
        let dropped = self.last.ring_drop_count.saturating_sub(base.ring_drop_count);
        let standing = match () {
            () if check.counted == check.seen => Standing::Exact,
            () if check.has_nothing_unseen() => Standing::Refused,
            () if unseen > 0 && dropped >= unseen => Standing::Dropped,
            () => Standing::Unexplained,
        };
        let news = standing != self.standing
            && matches!(standing, Standing::Dropped | Standing::Unexplained);
        let due = check.seen != self.told_seen
            && (self.gone_at.is_some() || self.last.at.since(self.told) >= TELL_EVERY);
        self.standing = standing;
        if !news && !due {
            return None;
        }
        (self.told, self.told_seen) = (self.last.at, check.seen);
        let PortCheck { since, counted, seen, .. } = check;
        Some(PortCounters { port, since, counted, seen })
    }

    fn check(&self, port: PortId) -> PortCheck {
        let base = self.base.unwrap_or(Base { counted: self.last.counted, ..Base::default() });
        PortCheck {
            port,
            name: self.name.clone(),
            since: self.since,
            at: self.last.at,
            counted: difference(self.last.counted, base.counted),
            seen: difference(self.last.seen, base.seen),
            standing: self.standing,
        }
    }
}

impl PortCheck {
    const fn has_nothing_unseen(&self) -> bool {
        let (counted, seen) = (&self.counted, &self.seen);
        counted.frames_in <= seen.frames_in
            && counted.bytes_in <= seen.bytes_in
            && counted.frames_out <= seen.frames_out
            && counted.bytes_out <= seen.bytes_out
    }

    /// Frames that the interface counted and the sensor did not see.
    pub(crate) const fn unseen_frame_count(&self) -> u64 {
        let counted = self.counted.frames_in.saturating_sub(self.seen.frames_in);
        counted + self.counted.frames_out.saturating_sub(self.seen.frames_out)
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { compared_count, exact_count, .. } = *self;
        write!(out, "{exact_count} of {compared_count} seen to the byte")?;
        for (count, what) in [
            (self.refused_count, "with frames that the interface refused"),
            (self.dropped_count, "short by what the ring dropped"),
            (self.unexplained_count, "not explained"),
            (self.uncompared_count, "never at rest"),
        ] {
            if count > 0 {
                write!(out, ", {count} {what}")?;
            }
        }
        if self.unseen_frame_count > 0 {
            write!(out, ", {} frames unseen", self.unseen_frame_count)?;
        }
        Ok(())
    }
}

impl Sums {
    fn add(&mut self, check: &PortCheck) {
        match check.standing {
            Standing::Settling | Standing::Moving => {
                self.uncompared_count += 1;
                return;
            }
            Standing::Exact => self.exact_count += 1,
            Standing::Dropped => self.dropped_count += 1,
            Standing::Refused => self.refused_count += 1,
            Standing::Unexplained => self.unexplained_count += 1,
        }
        self.compared_count += 1;
        self.unseen_frame_count += check.unseen_frame_count();
    }
}

fn difference(now: PortTraffic, base: PortTraffic) -> PortTraffic {
    PortTraffic {
        frames_in: now.frames_in.saturating_sub(base.frames_in),
        bytes_in: now.bytes_in.saturating_sub(base.bytes_in),
        frames_out: now.frames_out.saturating_sub(base.frames_out),
        bytes_out: now.bytes_out.saturating_sub(base.bytes_out),
    }
}

fn sum(one: PortTraffic, other: PortTraffic) -> PortTraffic {
    PortTraffic {
        frames_in: one.frames_in + other.frames_in,
        bytes_in: one.bytes_in + other.bytes_in,
        frames_out: one.frames_out + other.frames_out,
        bytes_out: one.bytes_out + other.bytes_out,
    }
}

/// An interface that is being taken apart reports zeros on the side that is gone already.
fn largest(one: PortTraffic, other: PortTraffic) -> PortTraffic {
    PortTraffic {
        frames_in: one.frames_in.max(other.frames_in),
        bytes_in: one.bytes_in.max(other.bytes_in),
        frames_out: one.frames_out.max(other.frames_out),
        bytes_out: one.bytes_out.max(other.bytes_out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: PortId = PortId(7);

    fn traffic(frames: u64) -> PortTraffic {
        PortTraffic { frames_in: frames, bytes_in: frames * 60, frames_out: 0, bytes_out: 0 }
    }

    fn sample(at_ms: u64, counted: u64, seen: u64) -> Sample {
        let (counted, seen) = (traffic(counted), traffic(seen));
        Sample { at: ms(at_ms), counted, seen, ring_drop_count: 0 }
    }

    fn ms(millis: u64) -> Time {
        Time(millis * 1_000_000)
    }

    fn standing(manifest: &Manifest) -> Standing {
        manifest.checks().first().unwrap().standing
    }

    #[test]
    fn equal_at_rest_is_exact() {
        let mut manifest = Manifest::default();
        manifest.appear(PORT, "veth7", (ms(0), traffic(0)), Birth::Watched);
        manifest.sample(PORT, sample(1000, 10, 9));
        assert_eq!(standing(&manifest), Standing::Moving);
        assert_eq!(manifest.sample(PORT, sample(2000, 10, 10)), None);
        assert_eq!(standing(&manifest), Standing::Exact);
        assert_eq!(manifest.sums().exact_count, 1);
    }

    #[test]
    fn an_interface_that_comes_back_from_a_container_is_not_counted_twice() {
        let mut manifest = Manifest::default();
        manifest.appear(PORT, "veth7", (ms(0), traffic(24)), Birth::Watched);
        manifest.vanish(PORT, ms(20));
        assert!(manifest.bury(ms(200), 0, |_| traffic(0)).is_empty());
        assert_eq!(manifest.sums(), Sums::default());
        // The same within the time that its burial takes.
        manifest.appear(PORT, "veth7", (ms(1000), traffic(0)), Birth::Watched);
        manifest.vanish(PORT, ms(1005));
        manifest.appear(PORT, "veth7", (ms(1040), traffic(24)), Birth::Watched);
        manifest.vanish(PORT, ms(1045));
        assert!(manifest.bury(ms(1300), 0, |_| traffic(0)).is_empty());
        assert_eq!(manifest.sums(), Sums::default());
    }

    #[test]
    fn frames_that_no_log_explains_are_told_at_once() {
        let mut manifest = Manifest::default();
        manifest.appear(PORT, "veth7", (ms(0), traffic(0)), Birth::Watched);
        manifest.sample(PORT, sample(1000, 10, 7));
        let told = manifest.sample(PORT, sample(2000, 10, 7)).unwrap();
        assert_eq!((told.counted, told.seen), (traffic(10), traffic(7)));
        assert_eq!(standing(&manifest), Standing::Unexplained);
        assert_eq!(manifest.sums().unseen_frame_count, 3);
        assert_eq!(manifest.sample(PORT, sample(3000, 10, 7)), None, "once");
    }

    #[test]
    fn counters_that_went_with_the_other_end_prove_nothing() {
        let out = |frames| PortTraffic { frames_out: frames, ..PortTraffic::default() };
        let mut manifest = Manifest::default();
        manifest.appear(PORT, "veth7", (ms(0), out(0)), Birth::Watched);
        manifest.counted(PORT, out(1), ms(5));
        manifest.vanish(PORT, ms(20));
        assert!(manifest.bury(ms(200), 0, |_| out(9)).is_empty());
        assert_eq!((manifest.sums().uncompared_count, manifest.sums().compared_count), (1, 0));
    }

    #[test]
    fn a_frame_that_the_interface_refused_is_no_bypass() {
        let mut manifest = Manifest::default();
        manifest.appear(PORT, "veth7", (ms(0), traffic(0)), Birth::Watched);
        manifest.sample(PORT, sample(1000, 10, 11));
        assert!(manifest.sample(PORT, sample(2000, 10, 11)).is_none());
        assert_eq!(standing(&manifest), Standing::Refused);
    }

    #[test]
    fn what_the_ring_dropped_explains_the_rest() {
        let mut manifest = Manifest::default();
        manifest.appear(PORT, "veth7", (ms(0), traffic(0)), Birth::Watched);
        manifest.sample(PORT, sample(1000, 10, 7));
        let with_drops = Sample { ring_drop_count: 3, ..sample(2000, 10, 7) };
        assert!(manifest.sample(PORT, with_drops).is_some());
        assert_eq!(standing(&manifest), Standing::Dropped);
    }

    #[test]
    fn a_port_that_was_there_before_us_is_compared_from_its_first_rest_on() {
        let mut manifest = Manifest::default();
        manifest.appear(PORT, "veth7", (ms(0), traffic(0)), Birth::Before);
        manifest.sample(PORT, sample(1000, 5000, 10));
        assert_eq!(standing(&manifest), Standing::Settling);
        manifest.sample(PORT, sample(2000, 5000, 10));
        manifest.sample(PORT, sample(3000, 5004, 14));
        manifest.sample(PORT, sample(4000, 5004, 14));
        let check = manifest.checks().remove(0);
        assert_eq!((check.standing, check.counted), (Standing::Exact, traffic(4)));
    }

    #[test]
    fn a_container_of_twenty_milliseconds_is_compared_after_its_end() {
        let mut manifest = Manifest::default();
        manifest.appear(PORT, "veth7", (ms(0), traffic(0)), Birth::Watched);
        manifest.counted(PORT, traffic(24), ms(10));
        manifest.counted(PORT, traffic(0), ms(20));
        manifest.vanish(PORT, ms(20));
        assert!(manifest.bury(ms(50), 0, |_| traffic(20)).is_empty(), "the ring may hold more");
        let told = manifest.bury(ms(200), 0, |_| traffic(24));
        assert_eq!(told.first().unwrap().seen, traffic(24));
        assert_eq!(manifest.sums().exact_count, 1);
        assert_eq!(manifest.live().count(), 0);
    }
}
