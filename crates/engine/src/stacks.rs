//! Which TLS stacks a place uses: a workload brings its libraries with it, and what comes in later
//! brings its own.
//!
//! A stack is the cipher part of JA4. Names, ALPN and resumption change the other parts of the
//! fingerprint from one connection to the next; the list of ciphers is the library's.

use alloc::vec::Vec;

use observation::{PortId, Span, Time};
use serde::{Deserialize, Serialize};

use crate::fair::Fair;
use crate::index::Seed;
use crate::ledger::Place;
use crate::limits::Limits;

/// What a place uses within this time after its first ClientHello is its own.
const LEARN_SPAN: Span = Span::from_secs(600);
/// So many hellos have to be known before another stack can be strange.
const LEARNED_COUNT_MIN: u32 = 8;
/// A place with more stacks than this runs so many programs that another one is nothing new.
const OWN_STACK_COUNT_MAX: usize = 2;
/// Stacks that are remembered of one place.
const STACK_COUNT_MAX: usize = 8;

const _: () = assert!(OWN_STACK_COUNT_MAX < STACK_COUNT_MAX);

/// A TLS library with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Stack(u64);

/// Whose a stack is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Standing {
    /// Too little is known of the place.
    #[default]
    Unknown,
    /// The place has used it from the beginning.
    Own,
    /// It came to a place that had been using others since this time.
    Foreign(Time),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct OfPlace {
    since: Time,
    hello_count: u32,
    own: Vec<Stack>,
}

/// The stacks of all places. Each capture port has its fair share.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stacks {
    places: Fair<PortId, Place, OfPlace>,
}

impl Stack {
    /// From JA4: `t13d1516h2_8daaf6152771_b186095e22b6`.
    pub(crate) fn of(ja4: &str) -> Option<Self> {
        let ciphers = ja4.split('_').nth(1)?;
        u64::from_str_radix(ciphers, 16).ok().map(Self)
    }
}

impl Stack {
    /// Of something else that a program brings with it: what it calls itself.
    pub(crate) const fn of_hash(hash: u64) -> Self {
        Self(hash)
    }
}

impl Stacks {
    pub(crate) fn new(limits: &Limits, seed: Seed) -> Self {
        Self { places: Fair::new(limits.place_count_max, seed) }
    }

    /// Notes a ClientHello, and says whose its stack is.
    pub(crate) fn note(&mut self, at: Time, place: Place, stack: Stack) -> Standing {
        let fresh = || OfPlace { since: at, hello_count: 0, own: Vec::new() };
        let (Some(known), _) = self.places.entry(place.port, place, fresh) else {
            return Standing::Unknown;
        };
        if known.own.contains(&stack) {
            known.hello_count = known.hello_count.saturating_add(1);
            return Standing::Own;
        }
        let is_learning = at.since(known.since) <= LEARN_SPAN;
        if is_learning || known.hello_count < LEARNED_COUNT_MIN {
            if known.own.len() < STACK_COUNT_MAX {
                known.own.push(stack);
            }
            known.hello_count = known.hello_count.saturating_add(1);
            return Standing::Unknown;
        }
        if known.own.len() > OWN_STACK_COUNT_MAX {
            return Standing::Unknown;
        }
        Standing::Foreign(known.since)
    }

    pub(crate) const fn evicted_count(&self) -> u64 {
        self.places.evicted_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENSSL: Stack = Stack(1);
    const GO: Stack = Stack(2);
    const PLACE: Place =
        Place { port: PortId(1), address: core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST) };

    fn stacks(used: &[Stack]) -> Stacks {
        let mut stacks = Stacks::new(&Limits::default(), Seed(7));
        for (second, stack) in (0..).zip(used.iter().cycle().take(12)) {
            stacks.note(Time(second * 60_000_000_000), PLACE, *stack);
        }
        stacks
    }

    #[test]
    fn another_library_after_hours_is_not_the_workloads_own() {
        let mut stacks = stacks(&[OPENSSL]);
        let later = Time(3_600_000_000_000);
        assert_eq!(stacks.note(later, PLACE, OPENSSL), Standing::Own);
        assert_eq!(stacks.note(later, PLACE, GO), Standing::Foreign(Time(0)));
    }

    #[test]
    fn a_container_with_many_programs_has_many_libraries() {
        let mut stacks = stacks(&[OPENSSL, Stack(3), Stack(4)]);
        assert_eq!(stacks.note(Time(3_600_000_000_000), PLACE, GO), Standing::Unknown);
    }

    #[test]
    fn nothing_is_strange_in_a_container_that_has_said_little() {
        let mut stacks = Stacks::new(&Limits::default(), Seed(7));
        stacks.note(Time(0), PLACE, OPENSSL);
        assert_eq!(stacks.note(Time(3_600_000_000_000), PLACE, GO), Standing::Unknown);
    }

    #[test]
    fn the_stack_is_the_cipher_part() {
        let one = Stack::of("t13d1516h2_8daaf6152771_b186095e22b6");
        assert_eq!(one, Stack::of("t13i1515h1_8daaf6152771_000000000000"));
        assert_ne!(one, Stack::of("t13d1516h2_8daaf6152772_b186095e22b6"));
        assert_eq!(Stack::of("nonsense"), None);
    }
}
