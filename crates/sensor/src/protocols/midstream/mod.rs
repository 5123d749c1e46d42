//! Conversations whose beginning was not captured, for protocols that are unmistakable in their
//! middle. A flow that was seen to open is none of them: what opens without the protocol's opening
//! only looks like it.

use observation::Side;

use super::words::Fit;
use super::{Heads, Start, Verdict};

pub(super) mod amqp;
pub(super) mod mqtt;
pub(super) mod tls;
pub(super) mod websocket;
pub(super) mod xmpp;

/// What one side's bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Nothing yet, or too little.
    Could,
    /// What such a protocol sends, and others might.
    Fits,
    /// What nothing else sends.
    Shows,
    Not,
}

impl Part {
    /// What fits is as good as what shows.
    const fn of(fit: Fit) -> Self {
        match fit {
            Fit::Yes => Self::Shows,
            Fit::Could => Self::Could,
            Fit::No => Self::Not,
        }
    }
}

/// The verdict of a conversation whose sides are `opener` and `answerer`.
fn verdict(heads: &Heads<'_>, opener: Part, answerer: Part) -> Verdict {
    if heads.opener.is_empty() && heads.answerer.is_empty() {
        return Verdict::Unsure;
    }
    match (heads.start, opener, answerer) {
        (Start::Seen, ..) | (_, Part::Not, _) | (_, _, Part::Not) => Verdict::Never,
        (_, Part::Could, Part::Shows) => Verdict::Proposed(Side::Responder),
        (_, Part::Shows, Part::Could) => Verdict::Proposed(Side::Originator),
        (_, Part::Could, _) | (_, _, Part::Could) => Verdict::Unsure,
        (_, Part::Fits | Part::Shows, Part::Fits | Part::Shows) => Verdict::Confirmed,
    }
}
