//! One flow: what the engine remembers of it.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use observation::{
    Burst, ConnState, Endpoint, FlowClosed, FlowKey, FlowOpened, Grammar, LocalSide, Side, Span,
    Time, Transport,
};
use serde::{Deserialize, Serialize};

use super::protocols::Protocols;
use crate::alert::Excerpt;
use crate::channel::{Own, SILENT_MS};
use crate::ledger::{Owner, Place, near_side};
use crate::roles::{Conversation, Roles};

/// Beginnings of bursts that one flow keeps.
pub(crate) const EXCERPT_COUNT_MAX: usize = 4;
/// Bytes of each of them, as the contract says.
const EXCERPT_BYTES_MAX: usize = 256;
/// From this share of printable bytes on, in percent, a burst's beginning is worth keeping.
const LEGIBLE_PERCENT_MIN: u8 = 70;
/// A community id is this long at most; what a log says beyond it is not one.
const COMMUNITY_ID_BYTES_MAX: usize = 64;

/// What a channel has made of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Keep {
    /// No channel has it.
    Loose,
    /// A channel holds it.
    Held,
    /// A channel has counted it and had no room to hold it.
    Counted,
}

/// What the flow's protocol carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    /// What its grammar says.
    Messages,
    /// Free text between its options, as telnet (RFC 854) does: it excuses nobody.
    FreeText,
}

/// How a flow was silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// It was held open for long.
    Held,
    /// It soon ended.
    Closed,
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
    /// A protocol claims it and it was obeyed so far.
    pub obeyed: bool,
    /// It carries lookups.
    pub asks_names: bool,
    pub owner: Owner,
    pub keep: Keep,
    /// What the strategies say of it alone, where they say anything.
    pub own: Option<Own>,
    /// When its words first showed that the far end commands.
    pub spoke_at: Option<Time>,
    /// When it had first been silent for long, or ended without words that matter.
    pub quiet_at: Option<Time>,
    pub community_id: String,
    pub near_bytes: u64,
    pub far_bytes: u64,
    pub excerpts: Vec<Excerpt>,
    /// Bursts below this index are known: two sources may tell the same capture.
    next_burst: u32,
    /// When nobody could speak any more.
    ended: Time,
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
            obeyed: false,
            asks_names: false,
            owner: Owner::Unnamed(Place::of(&fact.key, fact.local)),
            keep: Keep::Loose,
            own: None,
            spoke_at: None,
            quiet_at: None,
            community_id: String::new(),
            near_bytes: 0,
            far_bytes: 0,
            excerpts: Vec::new(),
            next_burst: 0,
            ended: Time::NEVER,
        }
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
        matches!(self.closed, Some(ConnState::Rej | ConnState::S0 | ConnState::RstOS0))
    }

    /// Whether its words may accuse somebody.
    pub(crate) fn speaks(&self) -> bool {
        matches!(self.roles.conversation(), Conversation::FarAlone | Conversation::FarCommands)
    }

    /// Whether a strategy may say something about it, going by what was seen on the wire alone.
    pub(crate) fn is_interesting(&self) -> bool {
        self.is_outgoing() && (self.speaks() || self.quiet_at.is_some() || self.is_silent())
    }

    /// Nothing was said that no grammar explains.
    pub(crate) fn is_explained(&self) -> bool {
        self.obeyed && self.roles.conversation() == Conversation::Nothing
    }

    /// Takes the next burst in; `false` where it changes no verdict.
    pub(super) fn burst(&mut self, at: Time, burst: &Burst<'_>, carries: Carries) -> bool {
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
        let grammar = match (burst.grammar, carries) {
            (Grammar::Unchecked, Carries::FreeText) => Grammar::None,
            (grammar, _) => grammar,
        };
        self.roles.observe(at, burst, grammar);
        match grammar {
            Grammar::Obeyed | Grammar::Unchecked => self.obeyed = true,
            Grammar::Left => self.obeyed = false,
            Grammar::None => {}
        }
        let after = self.roles.conversation();
        if self.speaks() {
            self.spoke_at.get_or_insert(at);
        } else if after == Conversation::Nothing {
            // A grammar explains, now that it is known, also what came before.
            self.spoke_at = None;
        }
        self.keep_excerpt(burst);
        before != Conversation::Nothing || after != Conversation::Nothing
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
        self.roles.end();
        if self.speaks() {
            self.spoke_at.get_or_insert(at);
        }
        let id = &fact.community_id;
        if id.len() <= COMMUNITY_ID_BYTES_MAX {
            self.community_id = Cow::clone(id).into_owned();
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
