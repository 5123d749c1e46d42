//! One flow: what the engine remembers of it.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use observation::{
    Burst, Certainty, ConnState, EchoSymmetry, Endpoint, Flaws, FlowClosed, FlowKey, FlowOpened,
    Grammar, HttpExchange, LocalSide, Side, Span, Time, TlsHello, TlsSession, Transport,
};
use serde::{Deserialize, Serialize};

use super::oddity::Oddity;
use super::places::Keep;
use super::protocols::Protocols;
use super::pulses::Pulses;
use super::speech::{Speech, stack_of};
use crate::alert::Excerpt;
use crate::cargo::Kind;
use crate::channel::Own;
use crate::intel::Listed;
use crate::lasting::Among;
use crate::ledger::{Owner, Place, near_side};
use crate::protocols::{Protocol, unclaimed};
use crate::relays::Relay;
use crate::roles::{Conversation, Roles};
use crate::session::SILENT_MS;
use crate::stacks::{Stack, Stacks, Standing};
use crate::strategies;
use crate::typing::Typing;
use crate::web::{Web, agent_hash};

/// Beginnings of bursts that one flow keeps.
pub(crate) const EXCERPT_COUNT_MAX: usize = 4;
/// Bytes of each of them, as the contract says.
const EXCERPT_BYTES_MAX: usize = 256;
/// From this share of printable bytes on, in percent, a burst's beginning is worth keeping.
const LEGIBLE_PERCENT_MIN: u8 = 70;
/// A community id is this long at most; what a log says beyond it is not one.
const COMMUNITY_ID_BYTES_MAX: usize = 64;

/// How a flow was silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// It was held open for long.
    Held,
    /// It soon ended.
    Closed,
}

/// Never accepted: refused, or nobody answered.
pub(crate) const fn has_failed(closed: Option<ConnState>) -> bool {
    matches!(closed, Some(ConnState::Rej | ConnState::S0 | ConnState::RstOS0))
}

/// One flow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Flow {
    pub key: FlowKey,
    pub local: LocalSide,
    pub opened: Time,
    pub last: Time,
    pub established: Option<Time>,
    pub closed: Option<ConnState>,
    pub roles: Roles,
    pub protocols: Protocols,
    pub speech: Speech,
    /// What its exchanges show, where it carries the web.
    pub web: Option<Box<Web>>,
    pub typing: Typing,
    /// A program that came in without HTTP.
    pub cargo: Option<Kind>,
    /// How long it lasts beside the others of its place, once it has lasted for long.
    pub among: Among,
    /// What is odd about all of this.
    pub oddity: Oddity,
    /// What feeds list of what it shows; the strongest.
    pub listed: Option<Box<Listed>>,
    /// What was odd about its packets, once it has ended.
    pub flaws: Flaws,
    /// A protocol claims it and it was obeyed so far.
    pub obeyed: bool,
    /// It carries lookups.
    pub asks_names: bool,
    pub owner: Owner,
    pub keep: Keep,
    /// What the strategies say of it alone, where they say anything.
    pub own: Option<Box<Own>>,
    /// When its words first showed that the far end commands.
    pub spoke_at: Option<Time>,
    /// When what it speaks was first odd.
    pub odd_at: Option<Time>,
    /// When it had first been silent for long, or ended without words that matter.
    pub quiet_at: Option<Time>,
    pub community_id: Box<str>,
    pub near_bytes: u64,
    pub far_bytes: u64,
    pub excerpts: Vec<Excerpt>,
    /// Bursts below this index are known: two sources may tell the same capture.
    next_burst: u32,
    /// When nobody could speak any more.
    ended: Time,
    /// Its profile has taken it in as a call.
    counted: Counted,
    /// Calls inside it that no profile has taken in yet.
    pub pulses: Pulses,
    /// Where what comes in here goes on, where the subject accepted it.
    pub relay: Option<Box<Relay>>,
}

/// Whether a flow has been taken in as a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Counted {
    No,
    Yes,
}

impl Flow {
    pub(super) fn new(at: Time, fact: &FlowOpened) -> Self {
        Self {
            key: fact.key,
            local: fact.local,
            opened: at,
            last: at,
            established: None,
            closed: None,
            roles: Roles::new(near_side(fact.local)),
            protocols: Protocols::default(),
            speech: Speech::default(),
            web: None,
            typing: Typing::default(),
            cargo: None,
            among: Among::default(),
            oddity: Oddity::default(),
            listed: None,
            flaws: Flaws::NONE,
            obeyed: false,
            asks_names: false,
            owner: Owner::Unnamed(Place::of(&fact.key, fact.local)),
            keep: Keep::Loose,
            own: None,
            spoke_at: None,
            odd_at: None,
            quiet_at: None,
            community_id: Box::default(),
            near_bytes: 0,
            far_bytes: 0,
            excerpts: Vec::new(),
            next_burst: 0,
            ended: Time::NEVER,
            counted: Counted::No,
            pulses: Pulses::default(),
            relay: None,
        }
    }

    /// It is over, and no profile knows of it.
    pub(super) fn is_uncounted(&self) -> bool {
        self.counted == Counted::No && self.closed.is_some()
    }

    /// Counts a flow that is over; `Some` the first time.
    pub(crate) fn count(&mut self) -> Option<&Self> {
        if !self.is_uncounted() {
            return None;
        }
        self.counted = Counted::Yes;
        Some(self)
    }

    pub(crate) const fn place(&self) -> Place {
        Place::of(&self.key, self.local)
    }

    /// The local side opened it.
    pub(crate) fn is_outgoing(&self) -> bool {
        near_side(self.local) == Side::Originator
    }

    pub(crate) fn far(&self) -> Endpoint {
        if self.is_outgoing() { self.key.responder } else { self.key.originator }
    }

    pub(crate) fn near(&self) -> Endpoint {
        if self.is_outgoing() { self.key.originator } else { self.key.responder }
    }

    pub(crate) const fn transport(&self) -> Transport {
        self.key.transport
    }

    /// It has not ended, as far as is known.
    pub(crate) const fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Established, and nobody has said anything.
    pub(crate) const fn is_silent(&self) -> bool {
        self.established.is_some() && self.near_bytes == 0 && self.far_bytes == 0
    }

    /// Nobody has said anything, for long or until it ended. Of a container that is `gone` no end
    /// of a flow is seen any more.
    pub(crate) fn silence(&self, gone: Option<Time>) -> Option<Silence> {
        let established = self.established.filter(|_| self.is_silent())?;
        let end = gone.map_or(self.ended, |gone| gone.min(self.ended));
        if end < Time::NEVER {
            let is_long = end.since(established) >= Span::from_millis(SILENT_MS);
            Some(if is_long { Silence::Held } else { Silence::Closed })
        } else {
            self.quiet_at.map(|_| Silence::Held)
        }
    }

    /// Never accepted: refused, or nobody answered.
    pub(crate) const fn has_failed(&self) -> bool {
        has_failed(self.closed)
    }

    /// Whether its words may accuse somebody.
    pub(crate) fn speaks(&self) -> bool {
        matches!(self.roles.conversation(), Conversation::FarAlone | Conversation::FarCommands)
    }

    /// Whether a strategy may say something about it, going by what was seen on the wire alone.
    pub(crate) fn is_interesting(&self) -> bool {
        strategies::concern(self)
    }

    /// What comes in leaves in another flow, and back.
    pub(crate) fn is_relay(&self) -> bool {
        self.relay.as_ref().is_some_and(|relay| relay.explains(self.next_burst))
    }

    /// Nothing was said that no grammar explains, nor relayed.
    pub(crate) fn is_explained(&self) -> bool {
        self.obeyed && self.roles.conversation() == Conversation::Nothing && !self.is_relay()
    }

    /// Takes the next burst in; `false` where it changes no verdict.
    pub(super) fn burst(&mut self, at: Time, burst: &Burst<'_>) -> bool {
        if burst.index < self.next_burst {
            return false;
        }
        self.next_burst = burst.index.saturating_add(1);
        self.last = self.last.max(burst.end);
        let bytes = if burst.side == near_side(self.local) {
            &mut self.near_bytes
        } else {
            &mut self.far_bytes
        };
        *bytes = bytes.saturating_add(burst.bytes);
        let before = self.roles.conversation();
        if matches!(burst.grammar, Grammar::Obeyed | Grammar::Unchecked) {
            self.roles.claim();
        }
        let grammar = match burst.grammar {
            Grammar::Unchecked if self.speech.is_free_text() => Grammar::None,
            grammar => grammar,
        };
        if self.speech.outer.is_none() && burst.index == 0 {
            self.speech.fit = unclaimed(self.transport(), self.far().port);
        }
        self.roles.observe(at, burst, grammar);
        self.typing.observe(burst);
        match grammar {
            Grammar::Obeyed | Grammar::Unchecked => self.obeyed = true,
            Grammar::Left => {
                self.obeyed = false;
                self.speech.went_on(burst.side);
            }
            Grammar::None => self.speech.looks(&burst.shape),
        }
        let after = self.roles.conversation();
        if self.speaks() {
            self.spoke_at.get_or_insert(at);
        } else if after == Conversation::Nothing {
            // A grammar explains, now that it is known, also what came before.
            self.spoke_at = None;
        }
        self.pulses.observe(burst, near_side(self.local));
        self.keep_excerpt(burst);
        self.unload(burst);
        let has_changed = self.look_whether_odd(at);
        before != Conversation::Nothing || after != Conversation::Nothing || has_changed
    }

    fn keep_excerpt(&mut self, burst: &Burst<'_>) {
        let legible = burst.shape.printable_percent >= LEGIBLE_PERCENT_MIN;
        if !legible || self.excerpts.len() >= EXCERPT_COUNT_MAX {
            return;
        }
        let bytes = burst.excerpt.get(..EXCERPT_BYTES_MAX).unwrap_or(&burst.excerpt);
        self.excerpts.push(Excerpt {
            at: burst.start,
            side: burst.side,
            bytes: bytes.to_vec(),
            burst_bytes: burst.bytes,
        });
    }

    pub(super) fn close(&mut self, at: Time, fact: &FlowClosed<'_>) {
        self.last = self.last.max(fact.end);
        self.closed = Some(fact.state);
        self.flaws = fact.flaws;
        if self.speech.outer.is_none()
            && let Some(name) = fact.protocols.first()
        {
            self.claimed(Protocol::named(name), Certainty::Confirmed);
        }
        self.roles.end();
        if self.speaks() {
            self.spoke_at.get_or_insert(at);
        }
        let id = &fact.community_id;
        if id.len() <= COMMUNITY_ID_BYTES_MAX {
            self.community_id = Cow::clone(id).into_owned().into_boxed_str();
        }
        let (near, far) = match near_side(fact.local) {
            Side::Originator => (&fact.originator, &fact.responder),
            Side::Responder => (&fact.responder, &fact.originator),
        };
        self.near_bytes = near.payload_bytes;
        self.far_bytes = far.payload_bytes;
        // Nobody closed an S1: it stayed open until the sensor lost sight of it.
        self.ended = if fact.state == ConnState::S1 { at } else { fact.end };
        if self.is_silent() || self.has_failed() || self.obeyed {
            self.quiet_at.get_or_insert(at);
        }
        self.look_whether_odd(at);
    }

    /// A protocol claims it; `true` where that changes what is odd about it, as with what follows.
    pub(super) fn identified(
        &mut self,
        at: Time,
        protocol: Protocol,
        certainty: Certainty,
    ) -> bool {
        self.claimed(protocol, certainty);
        self.look_whether_odd(at)
    }

    fn claimed(&mut self, protocol: Protocol, certainty: Certainty) {
        let fit = match self.speech.outer {
            None => protocol.fit(self.transport(), self.far().port),
            Some(_) => self.speech.fit,
        };
        self.speech.identified(protocol, certainty, fit);
    }

    pub(super) fn left(&mut self, at: Time, protocol: Protocol, by: Side) -> bool {
        self.speech.left(Some(protocol), by);
        self.look_whether_odd(at)
    }

    pub(super) fn hello(&mut self, at: Time, hello: &TlsHello<'_>, stacks: &mut Stacks) -> bool {
        let Some(stack) = stack_of(hello).filter(|_| self.is_outgoing()) else { return false };
        if self.speech.tls.is_none() {
            let standing = stacks.note(at, self.place(), stack);
            self.speech.hello(hello, standing);
        }
        self.look_whether_odd(at)
    }

    pub(super) fn handshake(&mut self, at: Time, session: &TlsSession<'_>) -> bool {
        self.speech.handshake(session);
        self.look_whether_odd(at)
    }

    pub(super) fn echoed(&mut self, at: Time, symmetry: &EchoSymmetry) -> bool {
        self.speech.echoed(symmetry);
        self.look_whether_odd(at)
    }

    /// One exchange of the web.
    pub(super) fn exchanged(
        &mut self,
        at: Time,
        told: &HttpExchange<'_>,
        agents: &mut Stacks,
    ) -> bool {
        if !self.is_outgoing() {
            return false;
        }
        let standing = if told.user_agent.is_empty() {
            Standing::Unknown
        } else {
            agents.note(at, self.place(), Stack::of_hash(agent_hash(&told.user_agent)))
        };
        let web = self.web.get_or_insert_default();
        let before = **web;
        web.observe(told, standing);
        // What is counted matters only where something is odd besides.
        let has_changed = before != **web && !web.marks.is_empty();
        self.look_whether_odd(at) || has_changed
    }

    /// A feed lists something that it shows; `true` where that is news.
    pub(crate) fn list(&mut self, listed: Listed) -> bool {
        // Who calls a container is listed as often as not, and the container can do nothing for it.
        if !self.is_outgoing() {
            return false;
        }
        let (at, before) = (listed.at, self.listed.take());
        let is_news = before.as_deref() != Some(&listed);
        self.listed = Some(match before {
            Some(before) => Box::new(before.stronger(listed)),
            None => Box::new(listed),
        });
        self.look_whether_odd(at) || is_news
    }

    fn look_whether_odd(&mut self, at: Time) -> bool {
        let now = self.look_odd();
        if now == self.oddity {
            return false;
        }
        self.oddity = now;
        self.odd_at = if self.is_odd() { self.odd_at.or(Some(at)) } else { None };
        true
    }

    /// Something about it does not go together.
    pub(crate) fn is_odd(&self) -> bool {
        self.oddity != Oddity::default()
    }

    /// How it compares with what its place is used to is known now.
    pub(crate) fn compared(&mut self, at: Time, among: Among) -> bool {
        self.among = among;
        self.look_whether_odd(at)
    }

    /// Bursts so far.
    pub(super) const fn burst_count(&self) -> u32 {
        self.next_burst
    }

    /// Whether nobody has spoken since it was accepted, `SILENT_MS` ago.
    pub(crate) fn look_whether_silent(&mut self, clock: Time) -> bool {
        let is_silent = self.closed.is_none() && self.is_silent();
        if is_silent {
            self.quiet_at.get_or_insert(clock);
        }
        is_silent
    }
}
