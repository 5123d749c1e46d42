//! What a proxy tunnels: nothing is known of it, until it turns out to be TLS.

use observation::Side;

use super::follow::{Context, Follow, Step};
use super::tls::Records;

/// Follows TLS inside a tunnel, and lets anything else pass unchecked.
#[derive(Debug, Default)]
pub(super) struct Tunnel {
    records: Records,
    inside: Inside,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Unknown,
    Tls,
    Other,
}

impl Follow for Tunnel {
    fn feed(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Step {
        if self.inside == Inside::Other {
            return Step::Unchecked;
        }
        let step = self.records.feed(side, bytes, context);
        match (self.inside, step) {
            (Inside::Unknown, Step::Obeys) if context.ja4.is_some() => {
                self.inside = Inside::Tls;
                Step::Obeys
            }
            (Inside::Unknown, Step::Obeys) => Step::Unchecked,
            (Inside::Unknown, _) => {
                *self = Self { inside: Inside::Other, ..Self::default() };
                Step::Unchecked
            }
            (_, step) => step,
        }
    }

    fn gap(&mut self, side: Side) {
        self.records.gap(side);
    }
}
