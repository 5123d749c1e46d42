//! Protocols that another one carries without handing the connection over: gRPC in HTTP/2, the
//! interface of a service in HTTP.

use observation::{Certainty, Side};

use super::Heard;
use super::follow::Context;

/// How many are told of one flow.
pub(super) const CARRIED_COUNT_MAX: usize = 2;

/// What has been told of a flow.
#[derive(Debug, Default)]
pub(super) struct Carried([Option<(&'static str, Certainty)>; CARRIED_COUNT_MAX]);

impl Carried {
    /// What both sides have spoken: anybody may ask anybody for a path of Docker's.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let confirmed =
            |&(name, certainty): &(_, _)| (certainty == Certainty::Confirmed).then_some(name);
        self.0.iter().flatten().filter_map(confirmed)
    }
}

impl Context<'_> {
    /// `side` has spoken this inside.
    pub(super) fn carries(&mut self, protocol: &'static str, side: Side) {
        for place in &mut self.carried.0 {
            let certainty = match *place {
                Some((known, Certainty::Proposed(by))) if known == protocol && by != side => {
                    Certainty::Confirmed
                }
                Some((known, _)) if known == protocol => return,
                Some(_) => continue,
                None => Certainty::Proposed(side),
            };
            *place = Some((protocol, certainty));
            (self.heard)(Heard::Identified { protocol, certainty });
            return;
        }
    }
}
