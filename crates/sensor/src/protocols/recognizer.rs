//! One flow's identification: the surviving candidates, then the claim and its follower.

use alloc::boxed::Box;

use observation::{Certainty, Grammar, Side, Time, Transport};

use super::details::Details;
use super::follow::{Both, Context, Follow, Follower, Next, Skipped, Step};
use super::registry::{Candidates, Protocol};
use super::tls::Records;
use super::tunnel::Tunnel;
use super::websocket::Frames;
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

/// A protocol that claims the flow.
#[derive(Debug)]
struct Claim {
    protocol: &'static Protocol,
    names: [&'static str; NAME_COUNT_MAX],
    name_count: usize,
    certainty: Certainty,
    standing: Standing,
    burst: BurstGrammar,
    nested: Nested,
    follower: Option<Follower>,
    ja4: Option<Box<str>>,
    details: Details,
    /// What goes on inside, once the protocol has handed the connection over.
    tunnel: Option<Tunnel>,
    depth: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Obeyed,
    Left,
}

/// What the bytes since the last question were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BurstGrammar {
    Checked,
    Unchecked,
}

/// How far a protocol inside the first one has shown itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nested {
    None,
    /// Handed over; nobody has spoken it yet.
    Awaited(&'static str),
    Proposed(&'static str, Side),
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
                self.claim = Some(claim);
            }
            None if self.candidates.is_empty() => self.phase = Phase::Unclaimed,
            None => {}
        }
    }

    fn follow(&mut self, fed: &Fed<'_>, heard: &mut dyn FnMut(Heard<'_>)) {
        let Some(claim) = self.claim.as_deref_mut() else { return };
        claim.feed(fed, heard);
        if claim.standing == Standing::Left || claim.certainty == Certainty::Confirmed {
            return;
        }
        if !fed.changes_heads() {
            return;
        }
        match (claim.protocol.probe)(fed.heads) {
            Verdict::Confirmed => {
                claim.certainty = Certainty::Confirmed;
                let certainty = claim.certainty;
                heard(Heard::Identified { protocol: claim.protocol.name, certainty });
            }
            // A follower knows better than the heads when its protocol is left, and with a hole
            // in them they prove nothing.
            Verdict::Never if claim.is_unfollowed() && self.holes == Both::default() => {
                claim.leave(fed, heard);
            }
            Verdict::Never | Verdict::Unsure | Verdict::Proposed(_) => {}
        }
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

impl Claim {
    fn new(protocol: &'static Protocol, certainty: Certainty, depth: u8) -> Self {
        Self {
            protocol,
            names: [protocol.name, "", "", ""],
            name_count: 1,
            certainty,
            standing: Standing::Obeyed,
            burst: BurstGrammar::Checked,
            nested: Nested::None,
            follower: protocol.follow.map(|make| make()),
            ja4: None,
            details: Details::default(),
            tunnel: None,
            depth,
        }
    }

    /// How many protocols have been named inside its tunnel.
    fn inside_count(&self) -> usize {
        let room = NAME_COUNT_MAX.saturating_sub(self.name_count);
        self.tunnel.as_ref().map_or(0, |tunnel| tunnel.names().len().min(room))
    }

    const fn is_unfollowed(&self) -> bool {
        self.follower.is_none() && self.tunnel.is_none()
    }

    fn interest(&self) -> Interest {
        if let Some(tunnel) = &self.tunnel {
            return tunnel.interest();
        }
        match (self.standing, self.certainty, &self.follower) {
            (Standing::Left, _, Some(_)) => Interest::Stream,
            (Standing::Left, _, None) | (_, Certainty::Confirmed, None) => Interest::Done,
            (_, Certainty::Proposed(_), _) => Interest::Heads,
            (_, Certainty::Confirmed, Some(_)) => Interest::Stream,
        }
    }

    /// Feeds the follower what came before it was made: the heads, whoever spoke first first.
    fn catch_up(
        &mut self,
        fed: &Fed<'_>,
        seen: Seen,
        holes: Both<Hole>,
        heard: &mut dyn FnMut(Heard<'_>),
    ) {
        let transport = fed.heads.transport;
        let first = fed.heads.first.unwrap_or(fed.side);
        for side in [first, first.other()] {
            let head = fed.heads.of(side);
            if side != fed.side {
                self.replay(&Fed { side, fresh: head, ..*fed }, *holes.of(side), heard);
                // Datagrams after the first stand alone and do no harm when they are missing.
                if transport == Transport::Tcp && seen.of(side) as usize > head.len() {
                    self.gap(side, seen.of(side).saturating_sub(head.len() as u32));
                }
                continue;
            }
            match (transport, head.get(..fed.before as usize)) {
                (Transport::Udp, _) => {}
                (_, Some(before)) => {
                    self.replay(&Fed { fresh: before, ..*fed }, *holes.of(side), heard);
                }
                (_, None) => {
                    self.replay(&Fed { fresh: head, ..*fed }, *holes.of(side), heard);
                    self.gap(side, fed.before.saturating_sub(head.len() as u32));
                }
            }
            self.feed(fed, heard);
        }
    }

    /// Feeds a head, up to its hole and behind it.
    fn replay(&mut self, fed: &Fed<'_>, hole: Hole, heard: &mut dyn FnMut(Heard<'_>)) {
        let Some(before) = hole.0 else { return self.feed(fed, heard) };
        let (front, back) =
            fed.fresh.split_at_checked(before.get() as usize - 1).unwrap_or((fed.fresh, &[]));
        self.feed(&Fed { fresh: front, ..*fed }, heard);
        self.gap(fed.side, 0);
        self.feed(&Fed { fresh: back, ..*fed }, heard);
    }

    fn gap(&mut self, side: Side, lost: u32) {
        if let Some(tunnel) = &mut self.tunnel {
            tunnel.gap(side, lost);
        } else if let Some(follower) = &mut self.follower
            && (lost == 0 || follower.skip(side, u64::from(lost)) == Skipped::No)
        {
            follower.gap(side);
        }
    }

    fn feed(&mut self, fed: &Fed<'_>, heard: &mut dyn FnMut(Heard<'_>)) {
        let &Fed { side, fresh: bytes, at, .. } = fed;
        let transport = fed.heads.transport;
        if bytes.is_empty() {
            return;
        }
        if self.tunnel.is_some() {
            return self.feed_tunnel(fed, heard);
        }
        let Some(follower) = &mut self.follower else {
            self.burst = BurstGrammar::Unchecked;
            return;
        };
        let (ja4, details) = (&mut self.ja4, &mut self.details);
        match follower.feed(side, bytes, &mut Context { at, transport, ja4, details, heard }) {
            _ if self.standing == Standing::Left => {}
            Step::Obeys => self.nested_obeyed(side, heard),
            Step::Unchecked => self.burst = BurstGrammar::Unchecked,
            Step::Left => self.leave(fed, heard),
            Step::Becomes(next, unread) => {
                self.end(transport, heard);
                self.become_next(next);
                let start = bytes.len().saturating_sub(unread);
                let fresh = bytes.get(start..).unwrap_or_default();
                self.feed(&Fed { fresh, ..*fed }, heard);
            }
        }
    }

    fn feed_tunnel(&mut self, fed: &Fed<'_>, heard: &mut dyn FnMut(Heard<'_>)) {
        let Some(tunnel) = &mut self.tunnel else { return };
        tunnel.feed(fed.heads.transport, fed.side, fed.fresh, fed.at, heard);
        // The protocols inside stand behind those that led there.
        let places = self.names.iter_mut().skip(self.name_count);
        let inside = tunnel.names().iter().zip(places);
        inside.for_each(|(name, place)| *place = name);
    }

    /// The follower has seen its last byte: what it still holds is told.
    fn end(&mut self, transport: Transport, heard: &mut dyn FnMut(Heard<'_>)) {
        if let Some(mut follower) = self.follower.take() {
            let (ja4, details) = (&mut self.ja4, &mut self.details);
            let at = Time::default();
            follower.end(&mut Context { at, transport, ja4, details, heard });
        }
    }

    fn leave(&mut self, fed: &Fed<'_>, heard: &mut dyn FnMut(Heard<'_>)) {
        self.standing = Standing::Left;
        // One bad datagram must not hide the questions and answers that follow it.
        if !matches!(self.follower, Some(Follower::Dns(_))) {
            self.end(fed.heads.transport, heard);
        }
        let innermost = self.name_count.saturating_sub(1);
        let protocol = self.names.get(innermost).copied().unwrap_or(self.protocol.name);
        heard(Heard::Left { protocol, side: fed.side });
    }

    fn become_next(&mut self, next: Next) {
        let (name, follower) = match next {
            Next::Tls => ("tls", Follower::Tls(Box::<Records>::default())),
            Next::Websocket => ("websocket", Follower::Websocket(Frames::default())),
            Next::Tunnel => {
                self.follower = None;
                self.tunnel = (self.depth < DEPTH_MAX).then(|| Tunnel::at_depth(self.depth + 1));
                return;
            }
        };
        self.nested = Nested::Awaited(name);
        self.follower = Some(follower);
    }

    /// Names the inner protocol when its first side has obeyed it, confirms it with the second.
    fn nested_obeyed(&mut self, side: Side, heard: &mut dyn FnMut(Heard<'_>)) {
        match self.nested {
            Nested::None => {}
            Nested::Awaited(protocol) => {
                if let Some(place) = self.names.get_mut(self.name_count) {
                    *place = protocol;
                    self.name_count += 1;
                }
                self.nested = Nested::Proposed(protocol, side);
                heard(Heard::Identified { protocol, certainty: Certainty::Proposed(side) });
            }
            Nested::Proposed(protocol, by) if by != side => {
                self.nested = Nested::None;
                heard(Heard::Identified { protocol, certainty: Certainty::Confirmed });
            }
            Nested::Proposed(..) => {}
        }
    }
}
