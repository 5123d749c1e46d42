//! What the conversations that a subject accepted add up to.
//!
//! In these the caller commands by nature: a client asks, and a server answers. What counts is what
//! the answers look like, or that it is the other way round.

use observation::Endpoint;

use crate::flows::{Departure, Flow, Onward};
use crate::protocols::Protocol;
use crate::roles::{Conversation, Looks};

/// One echoed key may be chance.
const ECHO_COUNT_MIN: u32 = 2;

/// The conversations of a channel that its subject accepted, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Served {
    /// Flows that a strategy has something to say about.
    pub flow_count: u32,
    /// Rounds of the caller's words and the subject's answer, in no known grammar.
    pub rounds: u32,
    pub asked: Said,
    pub answered: Said,
    /// Flows in which keystrokes were echoed in front of a prompt.
    pub terminals: u32,
    /// Flows in which the subject commands and the caller answers.
    pub reversed: u32,
    /// Flows that left a protocol and went on in something else, and which.
    pub departed: Option<Option<Protocol>>,
    /// Bursts that left in another flow as soon as they came, and where to.
    pub relayed: Option<(u32, Endpoint)>,
}

/// What the words of one side look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// What a shell prints.
    pub outputs: u32,
    /// What one types into a shell.
    pub commands: u32,
    /// Invitations to type.
    pub prompts: u32,
    /// Either of the first two in base64.
    pub encoded: u32,
}

impl Said {
    const fn add(&mut self, looks: Looks) {
        self.outputs = self.outputs.saturating_add(looks.outputs);
        self.commands = self.commands.saturating_add(looks.commands);
        self.prompts = self.prompts.saturating_add(looks.prompts);
        self.encoded = self.encoded.saturating_add(looks.encoded);
    }
}

impl Served {
    /// Whether an accepted flow has words that may concern a strategy.
    pub(crate) fn concerns(flow: &Flow) -> bool {
        let roles = &flow.roles;
        let (near, far) = (roles.near_looks(), roles.far_looks());
        if near.outputs > 0 || near.encoded > 0 || flow.is_relay() {
            return true;
        }
        match roles.conversation() {
            Conversation::FarCommands => roles.rounds() > 0 && !repeats_all(near),
            Conversation::NearCommands => roles.rounds() > 0 && far.outputs > 0,
            _ => false,
        }
    }

    /// One conversation more.
    pub(crate) fn add(&mut self, flow: &Flow) {
        if !Self::concerns(flow) {
            return;
        }
        let roles = &flow.roles;
        let (near, far) = (roles.near_looks(), roles.far_looks());
        self.flow_count += 1;
        if let Some(relay) = flow.relay.as_ref().filter(|_| flow.is_relay()) {
            let before = self.relayed.map_or(0, |(count, _)| count);
            self.relayed = Some((before.saturating_add(relay.count()), relay.to));
        }
        self.rounds = self.rounds.saturating_add(roles.rounds());
        self.asked.add(far);
        self.answered.add(near);
        self.terminals += u32::from(near.echoes >= ECHO_COUNT_MIN && near.prompts > 0);
        let is_reversed = roles.conversation() == Conversation::NearCommands && near.outputs == 0;
        self.reversed += u32::from(is_reversed);
        let went_on = flow.speech.left.filter(|left| left.onward() == Onward::WentOn);
        let is_odd = flow.oddity.departure.is_some_and(|how| how >= Departure::WentOn);
        if let Some(left) = went_on.filter(|_| is_odd) {
            self.departed.get_or_insert(left.protocol.or(flow.speech.outer));
        }
    }
}

/// An echo service says back whatever it is told.
const fn repeats_all(looks: Looks) -> bool {
    looks.echoes > 0 && looks.echoes >= looks.turns && looks.prompts == 0
}
