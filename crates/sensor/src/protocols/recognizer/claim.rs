//! A protocol that claims a flow: its follower, what is nested inside, whether it is still obeyed.

use alloc::boxed::Box;

use observation::{Certainty, Side, Time, Transport};

use super::super::carried::Carried;
use super::super::details::Details;
use super::super::follow::{Both, Context, Follow as _, Follower, Next, Skipped, Step};
use super::super::registry::Protocol;
use super::super::tls::Records;
use super::super::tunnel::{Beside, Tunnel};
use super::super::turns::{Talk, Turns};
use super::super::websocket::Frames;
use super::super::{Heard, Interest};
use super::{DEPTH_MAX, Fed, Hole, NAME_COUNT_MAX, Seen};

/// A protocol that claims the flow.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) protocol: &'static Protocol,
    pub(super) names: [&'static str; NAME_COUNT_MAX],
    pub(super) name_count: usize,
    /// Whose follower is fed.
    spoken: &'static str,
    pub(super) certainty: Certainty,
    pub(super) standing: Standing,
    pub(super) burst: BurstGrammar,
    /// What the latest bytes were.
    latest: BurstGrammar,
    turns: Turns,
    pub(super) nested: Nested,
    pub(super) follower: Option<Follower>,
    pub(super) ja4: Option<Box<str>>,
    pub(super) details: Details,
    carried: Carried,
    /// What goes on inside, once the protocol has handed the connection over.
    pub(super) tunnel: Option<Tunnel>,
    pub(super) depth: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Obeyed,
    Left,
}

/// What the bytes since the last question were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BurstGrammar {
    Checked,
    Unchecked,
}

/// How far a protocol inside the first one has shown itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nested {
    None,
    /// Handed over; nobody has spoken it yet.
    Awaited(&'static str),
    Proposed(&'static str, Side),
}

impl Claim {
    pub(super) fn new(protocol: &'static Protocol, certainty: Certainty, depth: u8) -> Self {
        Self {
            protocol,
            names: [protocol.name, "", "", ""],
            name_count: 1,
            spoken: protocol.name,
            certainty,
            standing: Standing::Obeyed,
            burst: BurstGrammar::Checked,
            latest: BurstGrammar::Checked,
            turns: Turns::of(protocol),
            nested: Nested::None,
            follower: protocol.follow.map(|make| make()),
            ja4: None,
            details: Details::default(),
            carried: Carried::default(),
            tunnel: None,
            depth,
        }
    }

    /// How many protocols have been named inside its tunnel.
    pub(super) fn inside_count(&self) -> usize {
        let room = NAME_COUNT_MAX.saturating_sub(self.name_count);
        self.tunnel.as_ref().map_or(0, |tunnel| tunnel.names().len().min(room))
    }

    /// How much memory its follower and what is inside hold.
    pub(super) fn held(&self) -> usize {
        let follower = self.follower.as_ref().map_or(0, Follower::held);
        follower + self.tunnel.as_ref().map_or(0, Tunnel::held)
    }

    /// There is no memory for following it: what has been put together is told, and that is all.
    pub(super) fn give_up(&mut self, transport: Transport, heard: &mut dyn FnMut(Heard<'_>)) {
        self.end(transport, heard);
        self.name_count += self.inside_count();
        if let Some(mut tunnel) = self.tunnel.take() {
            tunnel.end(transport, heard);
        }
        (self.burst, self.latest) = (BurstGrammar::Unchecked, BurstGrammar::Unchecked);
    }

    pub(super) const fn is_unfollowed(&self) -> bool {
        self.follower.is_none() && self.tunnel.is_none()
    }

    pub(super) fn interest(&self) -> Interest {
        if let Some(tunnel) = &self.tunnel {
            return tunnel.interest();
        }
        match (self.standing, self.certainty, &self.follower) {
            (Standing::Left, _, Some(_)) => Interest::Stream,
            (Standing::Left, _, None) => Interest::Done,
            (_, Certainty::Confirmed, None) if self.turns.is_watching() => Interest::Stream,
            (_, Certainty::Confirmed, None) => Interest::Done,
            (_, Certainty::Proposed(_), _) => Interest::Heads,
            (_, Certainty::Confirmed, Some(_)) => Interest::Stream,
        }
    }

    /// Feeds the follower what came before it was made: the heads, whoever spoke first first.
    pub(super) fn catch_up(
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
    pub(super) fn replay(&mut self, fed: &Fed<'_>, hole: Hole, heard: &mut dyn FnMut(Heard<'_>)) {
        let Some(before) = hole.0 else { return self.feed(fed, heard) };
        let (front, back) =
            fed.fresh.split_at_checked(before.get() as usize - 1).unwrap_or((fed.fresh, &[]));
        self.feed(&Fed { fresh: front, ..*fed }, heard);
        self.gap(fed.side, 0);
        self.feed(&Fed { fresh: back, ..*fed }, heard);
    }

    /// Nobody can say more of what comes than that it is not talk.
    pub(super) fn is_only_watched(&self) -> bool {
        self.is_unfollowed() && self.standing == Standing::Obeyed
    }

    pub(super) fn gap(&mut self, side: Side, lost: u32) {
        self.turns.gap();
        if let Some(tunnel) = &mut self.tunnel {
            tunnel.gap(side, lost);
        } else if let Some(follower) = &mut self.follower
            && (lost == 0 || follower.skip(side, u64::from(lost)) == Skipped::No)
        {
            follower.gap(side);
        }
    }

    pub(super) fn feed(&mut self, fed: &Fed<'_>, heard: &mut dyn FnMut(Heard<'_>)) {
        let &Fed { side, fresh: bytes, at, .. } = fed;
        let transport = fed.heads.transport;
        if bytes.is_empty() {
            return;
        }
        if self.tunnel.is_some() {
            return self.feed_tunnel(fed, heard);
        }
        let Some(follower) = &mut self.follower else {
            (self.burst, self.latest) = (BurstGrammar::Unchecked, BurstGrammar::Unchecked);
            return;
        };
        self.latest = BurstGrammar::Checked;
        let (ja4, details, carried) = (&mut self.ja4, &mut self.details, &mut self.carried);
        let mut context = Context { at, transport, ja4, details, carried, heard };
        let step = follower.feed(side, bytes, &mut context);
        self.name_carried();
        match step {
            _ if self.standing == Standing::Left => {}
            Step::Obeys => self.nested_obeyed(side, heard),
            Step::Unchecked => {
                (self.burst, self.latest) = (BurstGrammar::Unchecked, BurstGrammar::Unchecked);
            }
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

    /// What was just fed completes the opening.
    pub(super) fn opens(&mut self, fed: &Fed<'_>) {
        self.turns.opens(fed.side, fed.at);
    }

    /// Looks whether what was just fed, and nobody has checked, is talk.
    pub(super) fn watch(&mut self, fed: &Fed<'_>, heard: &mut dyn FnMut(Heard<'_>)) {
        let is_unchecked = self.latest == BurstGrammar::Unchecked && self.tunnel.is_none();
        if !is_unchecked || self.standing == Standing::Left {
            return;
        }
        if self.turns.feed(fed.side, fed.fresh, fed.at, fed.heads.transport) == Talk::Turned {
            self.leave(fed, heard);
        }
    }

    pub(super) fn feed_tunnel(&mut self, fed: &Fed<'_>, heard: &mut dyn FnMut(Heard<'_>)) {
        let Some(tunnel) = &mut self.tunnel else { return };
        tunnel.feed(fed.heads.transport, fed.side, fed.fresh, fed.at, heard);
        // The protocols inside stand behind those that led there.
        let places = self.names.iter_mut().skip(self.name_count);
        let inside = tunnel.names().iter().zip(places);
        inside.for_each(|(name, place)| *place = name);
    }

    /// The follower has seen its last byte: what it still holds is told.
    pub(super) fn end(&mut self, transport: Transport, heard: &mut dyn FnMut(Heard<'_>)) {
        if let Some(mut follower) = self.follower.take() {
            let (ja4, details, carried) = (&mut self.ja4, &mut self.details, &mut self.carried);
            let at = Time::default();
            follower.end(&mut Context { at, transport, ja4, details, carried, heard });
        }
    }

    pub(super) fn leave(&mut self, fed: &Fed<'_>, heard: &mut dyn FnMut(Heard<'_>)) {
        self.standing = Standing::Left;
        // One bad datagram must not hide the questions and answers that follow it.
        if !matches!(self.follower, Some(Follower::Dns(_))) {
            self.end(fed.heads.transport, heard);
        }
        heard(Heard::Left { protocol: self.spoken, side: fed.side });
    }

    /// What is carried stands behind what carries it.
    fn name_carried(&mut self) {
        for name in self.carried.names() {
            if !self.names.contains(&name)
                && let Some(place) = self.names.get_mut(self.name_count)
            {
                *place = name;
                self.name_count += 1;
            }
        }
    }

    pub(super) fn become_next(&mut self, next: Next) {
        let (name, follower) = match next {
            Next::Tls => ("tls", Follower::Tls(Box::<Records>::default())),
            Next::Websocket => ("websocket", Follower::Websocket(Frames::default())),
            Next::Tunnel => return self.become_tunnel(Beside::Nobody),
            Next::BesideStun => return self.become_tunnel(Beside::Stun),
        };
        self.nested = Nested::Awaited(name);
        self.follower = Some(follower);
    }

    fn become_tunnel(&mut self, beside: Beside) {
        self.follower = None;
        let is_shallow = self.depth < DEPTH_MAX;
        self.tunnel = is_shallow.then(|| Tunnel::at_depth(self.depth + 1, beside));
    }

    /// Names the inner protocol when its first side has obeyed it, confirms it with the second.
    pub(super) fn nested_obeyed(&mut self, side: Side, heard: &mut dyn FnMut(Heard<'_>)) {
        match self.nested {
            Nested::None => {}
            Nested::Awaited(protocol) => {
                if let Some(place) = self.names.get_mut(self.name_count) {
                    *place = protocol;
                    self.name_count += 1;
                    self.spoken = protocol;
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
