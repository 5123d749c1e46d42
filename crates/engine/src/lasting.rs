//! How long the connections of a place last: what is long is long for somebody.

use observation::{PortId, Span, Time};
use serde::{Deserialize, Serialize};

use crate::fair::Fair;
use crate::index::Seed;
use crate::ledger::Place;
use crate::limits::Limits;

/// Of fewer connections nobody can say what is usual.
const KNOWN_COUNT_MIN: u32 = 16;
/// A connection that lasts so many times as long as any other is not what the place is used to.
const LONGER_TIMES_MIN: u64 = 16;
/// Shorter ones are of no interest.
const LONG_S_MIN: u64 = 3_600;

/// How a connection compares with the others of its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Among {
    /// Too little is known of the place, or others last as long.
    #[default]
    Ordinary,
    /// It lasts far longer than any other.
    Alone,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct OfPlace {
    count: u32,
    longest: Span,
}

/// The connections of all places that are over. Each capture port has its fair share.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Lengths {
    places: Fair<PortId, Place, OfPlace>,
}

impl Lengths {
    pub(crate) fn new(limits: &Limits, seed: Seed) -> Self {
        Self { places: Fair::new(limits.place_count_max, seed) }
    }

    /// A connection of a place has lasted from `opened` to `last`, and may go on.
    pub(crate) fn compare(&self, place: Place, opened: Time, last: Time) -> Among {
        let age = last.since(opened);
        let Some(known) = self.places.get(&place) else { return Among::Ordinary };
        let usual = known.longest.0.saturating_mul(LONGER_TIMES_MIN);
        if known.count >= KNOWN_COUNT_MIN && age >= Span::from_secs(LONG_S_MIN) && age.0 >= usual {
            Among::Alone
        } else {
            Among::Ordinary
        }
    }

    /// A connection that nobody calls long is over.
    pub(crate) fn note(&mut self, place: Place, opened: Time, last: Time) {
        let (Some(known), _) = self.places.entry(place.port, place, OfPlace::default) else {
            return;
        };
        known.count = known.count.saturating_add(1);
        known.longest = known.longest.max(last.since(opened));
    }

    pub(crate) const fn evicted_count(&self) -> u64 {
        self.places.evicted_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place =
        Place { port: PortId(1), address: core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST) };

    fn lengths(count: u32, seconds: u64) -> Lengths {
        let mut lengths = Lengths::new(&Limits::default(), Seed(7));
        let end = Time(0) + Span::from_secs(seconds);
        (0..count).for_each(|_| lengths.note(PLACE, Time(0), end));
        lengths
    }

    #[test]
    fn what_lasts_for_hours_among_what_takes_seconds_is_alone() {
        let day = Time(0) + Span::from_secs(86_400);
        assert_eq!(lengths(20, 30).compare(PLACE, Time(0), day), Among::Alone);
        assert_eq!(lengths(20, 40_000).compare(PLACE, Time(0), day), Among::Ordinary);
        assert_eq!(lengths(3, 30).compare(PLACE, Time(0), day), Among::Ordinary);
    }
}
