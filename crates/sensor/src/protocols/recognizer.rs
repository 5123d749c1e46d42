//! One flow's identification: the surviving candidates, then the claim and its follower.

mod claim;

use alloc::boxed::Box;

use observation::{Certainty, Grammar, Side, Time, Transport};

use self::claim::{BurstGrammar, Claim, Standing};
use super::follow::Both;
use super::registry::Candidates;
use super::{DATAGRAM_COUNT_MAX, Heads, Heard, Interest, Verdict};

/// How many protocols may be nested in one flow (`socks`, then `http`, then `websocket`).
const NAME_COUNT_MAX: usize = 4;
/// How deep tunnels may be nested in one flow.
const DEPTH_MAX: u8 = 2;

/// Identification state of one flow: the surviving candidates, then the follower.
#[derive(Debug, Default)]
pub(crate) struct Recognizer {
    candidates: Candidates,
    claim: Option<Box<Claim>>,
    seen: Seen,
    holes: Both<Hole>,
    phase: Phase,
    depth: u8,
    /// What its follower held when it was last weighed.
    weight: u32,
}

const _: () = assert!(size_of::<Recognizer>() <= 64);

/// Payload bytes (TCP) or datagrams of each side so far.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    originator: u32,
    responder: u32,
}

/// The first hole in what a side said before it was claimed: how much came before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Hole(Option<core::num::NonZeroU32>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Silent,
    Probing,
    Claimed,
    /// No probe claims it.
    Unclaimed,
}

/// What one call was given.
struct Fed<'a> {
    heads: Heads<'a>,
    side: Side,
    fresh: &'a [u8],
    at: Time,
    /// What of `side` had been seen before.
    before: u32,
}

impl Recognizer {
    /// Feeds the next in-order payload bytes of `side` (TCP), or one datagram.
    /// `heads` already contains them as far as they fit.
    pub(crate) fn bytes(
        &mut self,
        heads: Heads<'_>,
        side: Side,
        fresh: &[u8],
        at: Time,
        heard: &mut dyn FnMut(Heard<'_>),
    ) -> Interest {
        let before = self.seen.count(heads.transport, side, fresh);
        let fed = Fed { heads, side, fresh, at, before };
        if !fresh.is_empty() {
            match self.phase {
                Phase::Silent => self.start(&fed, heard),
                Phase::Probing if fed.changes_heads() => self.probe(&fed, heard),
                Phase::Claimed => self.follow(&fed, heard),
                Phase::Probing | Phase::Unclaimed => {}
            }
        }
        self.interest()
    }

    /// For what goes on inside a tunnel.
    pub(super) fn at_depth(depth: u8) -> Self {
        Self { depth, ..Self::default() }
    }

    /// So many payload bytes of `side` were lost here (0: nobody knows); following goes on in the
    /// body of a message, or resumes at the next line or record.
    pub(crate) fn gap(&mut self, side: Side, lost: u32) {
        match self.claim.as_deref_mut() {
            Some(claim) => claim.gap(side, lost),
            None => {
                let before = core::num::NonZeroU32::new(self.seen.of(side).saturating_add(1));
                let hole = self.holes.of_mut(side);
                hole.0 = hole.0.or(before);
            }
        }
    }

    /// The flow has ended: unanswered questions are reported.
    pub(crate) fn end(&mut self, heads: Heads<'_>, heard: &mut dyn FnMut(Heard<'_>)) {
        let Some(claim) = self.claim.as_deref_mut() else { return };
        claim.end(heads.transport, heard);
        if let Some(tunnel) = &mut claim.tunnel {
            tunnel.end(heads.transport, heard);
        }
    }

    /// How many bytes its follower holds.
    pub(super) fn held(&self) -> usize {
        self.claim.as_deref().map_or(0, Claim::held)
    }

    /// The same, when it was last weighed and now.
    pub(crate) fn weigh(&mut self) -> [u32; 2] {
        let now = u32::try_from(self.held()).unwrap_or(u32::MAX);
        [core::mem::replace(&mut self.weight, now), now]
    }

    /// What it weighed last.
    pub(crate) const fn weight(&self) -> u32 {
        self.weight
    }

    /// Nothing can be kept for this flow any more: its protocol stands, and is not followed.
    pub(crate) fn give_up(&mut self, heads: Heads<'_>, heard: &mut dyn FnMut(Heard<'_>)) {
        if let Some(claim) = self.claim.as_deref_mut() {
            claim.give_up(heads.transport, heard);
            // What the heads say later proves nothing against what was not followed.
            for side in [Side::Originator, Side::Responder] {
                self.holes.of_mut(side).0.get_or_insert(core::num::NonZeroU32::MIN);
            }
        }
        self.weight = 0;
    }

    /// Whether what was fed since the last call obeys the identified protocol.
    /// The flow table asks when it closes a burst, before it feeds what comes after it.
    pub(crate) fn grammar(&mut self) -> Grammar {
        let Some(claim) = self.claim.as_deref_mut() else { return Grammar::None };
        let burst = core::mem::replace(&mut claim.burst, BurstGrammar::Checked);
        if let Some(tunnel) = &mut claim.tunnel {
            return tunnel.grammar();
        }
        match (claim.standing, &claim.follower, burst) {
            (Standing::Left, ..) => Grammar::Left,
            (Standing::Obeyed, Some(_), BurstGrammar::Checked) => Grammar::Obeyed,
            (Standing::Obeyed, ..) => Grammar::Unchecked,
        }
    }

    /// Whether a protocol claims the flow, and nothing has contradicted it.
    pub(crate) fn is_obeyed(&self) -> bool {
        self.claim.as_deref().is_some_and(|claim| claim.standing == Standing::Obeyed)
    }

    /// The identified protocols, outermost first.
    pub(crate) fn names(&self) -> &[&'static str] {
        self.claim
            .as_deref()
            .and_then(|claim| claim.names.get(..claim.name_count + claim.inside_count()))
            .unwrap_or_default()
    }

    /// The client's fingerprint, where there was a ClientHello.
    pub(crate) fn ja4(&self) -> Option<&str> {
        let claim = self.claim.as_deref()?;
        claim.ja4.as_deref().or_else(|| claim.tunnel.as_ref()?.ja4())
    }

    fn interest(&self) -> Interest {
        match (self.phase, self.claim.as_deref()) {
            (Phase::Silent | Phase::Probing, _) => Interest::Heads,
            (Phase::Claimed, Some(claim)) => claim.interest(),
            (Phase::Claimed | Phase::Unclaimed, _) => Interest::Done,
        }
    }

    fn start(&mut self, fed: &Fed<'_>, heard: &mut dyn FnMut(Heard<'_>)) {
        let Some(first) = fed.fresh.first() else { return };
        self.candidates = Candidates::after(*first, fed.heads.transport);
        self.phase = Phase::Probing;
        self.probe(fed, heard);
    }

    fn probe(&mut self, fed: &Fed<'_>, heard: &mut dyn FnMut(Heard<'_>)) {
        let mut best = None;
        for (index, protocol) in self.candidates.iter() {
            match (protocol.probe)(fed.heads) {
                Verdict::Never => self.candidates.strike(index),
                Verdict::Unsure => {}
                Verdict::Proposed(side) => {
                    best = best.or(Some((protocol, Certainty::Proposed(side))));
                }
                Verdict::Confirmed => {
                    best = Some((protocol, Certainty::Confirmed));
                    break;
                }
            }
        }
        match best {
            Some((protocol, certainty)) => {
                self.phase = Phase::Claimed;
                let mut claim = Box::new(Claim::new(protocol, certainty, self.depth));
                heard(Heard::Identified { protocol: protocol.name, certainty });
                claim.catch_up(fed, self.seen, self.holes, heard);
                claim.opens(fed);
                self.claim = Some(claim);
            }
            None if self.candidates.is_empty() => self.phase = Phase::Unclaimed,
            None => {}
        }
    }

    fn follow(&mut self, fed: &Fed<'_>, heard: &mut dyn FnMut(Heard<'_>)) {
        let Some(claim) = self.claim.as_deref_mut() else { return };
        claim.feed(fed, heard);
        let is_proposed = claim.certainty != Certainty::Confirmed;
        if is_proposed && claim.standing != Standing::Left && fed.changes_heads() {
            match (claim.protocol.probe)(fed.heads) {
                Verdict::Confirmed => {
                    claim.certainty = Certainty::Confirmed;
                    let certainty = claim.certainty;
                    heard(Heard::Identified { protocol: claim.protocol.name, certainty });
                    claim.opens(fed);
                    return;
                }
                // A follower knows better than the heads when its protocol is left, and with a
                // hole in them they prove nothing.
                Verdict::Never if claim.is_unfollowed() && self.holes == Both::default() => {
                    claim.leave(fed, heard);
                }
                Verdict::Never | Verdict::Unsure | Verdict::Proposed(_) => {}
            }
        }
        claim.watch(fed, heard);
    }

    /// Whether it is fed only so that talk is noticed: its bursts look the same for ever after.
    pub(crate) fn is_only_watched(&self) -> bool {
        self.claim.as_deref().is_some_and(Claim::is_only_watched)
    }
}

impl Fed<'_> {
    /// Whether these bytes became part of the heads.
    fn changes_heads(&self) -> bool {
        match self.heads.transport {
            Transport::Udp => self.before < DATAGRAM_COUNT_MAX,
            _ => (self.before as usize) < self.heads.of(self.side).len(),
        }
    }
}

impl Seen {
    const fn of(self, side: Side) -> u32 {
        match side {
            Side::Originator => self.originator,
            Side::Responder => self.responder,
        }
    }

    /// Counts `fresh` and returns what was seen before it.
    fn count(&mut self, transport: Transport, side: Side, fresh: &[u8]) -> u32 {
        let before = self.of(side);
        let more = match transport {
            Transport::Udp => 1,
            _ => u32::try_from(fresh.len()).unwrap_or(u32::MAX),
        };
        match side {
            Side::Originator => self.originator = before.saturating_add(more),
            Side::Responder => self.responder = before.saturating_add(more),
        }
        before
    }
}
