//! What a channel's conversations add up to: the counts that strategies judge by.

use observation::Time;

use crate::cargo::Kind;
use crate::cloud::Library;
use crate::flows::{
    Answer, Departure, Flow, Lasting, Misfit, Nameless, OddEchoes, OddOffer, Reached, Seat,
    Silence, Tls, TlsOddity,
};
use crate::protocols::Protocol;
use crate::roles::Conversation;
use crate::served::Served;
use crate::services::Service;
use crate::typing::Reversal;
use crate::web::Marks;

/// The conversations of a channel, added up: those that its subject opened, where not said
/// otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Session {
    /// Rounds of command and answer, over the flows in which the far end commands.
    pub rounds: u32,
    /// Answers that look like a shell's.
    pub shell_answers: u32,
    /// Flows in which keystrokes were echoed by the subject.
    pub echoed: u32,
    /// Flows in which only the far end spoke.
    pub far_alone: u32,
    /// Flows that obeyed a known grammar.
    pub obeyed: u32,
    /// Flows that were accepted, and in which nobody has spoken for long.
    pub held_silent: u32,
    /// Flows that were accepted and soon closed without a word.
    pub closed_silent: u32,
    /// Flows that were never accepted.
    pub failed: u32,
    pub masks: Masks,
    pub ports: Ports,
    pub tls: TlsSessions,
    pub errands: Errands,
    pub echoes: EchoSessions,
    pub web: WebSessions,
    /// The conversations that its subject accepted.
    pub served: Served,
    pub seats: Seats,
    pub lasting: Option<Lasting>,
    pub freight: Freight,
}

/// Whether somebody is seen to obey, going by what is said and by nothing that was written down
/// beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obedience {
    Unseen,
    /// A shell does, or orders come hidden in what is none.
    Seen,
}

/// What flows carry, whatever they speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Freight {
    /// Bytes out of flows that carry much out.
    pub sent_bytes: u64,
    pub received_bytes: u64,
    /// What the first of them speaks.
    pub carrier: Option<Protocol>,
    pub fetched: Option<Kind>,
    pub reached: Option<Reached>,
    pub library: Library,
    pub service: Option<Service>,
    /// Flows to such a service, and what was asked in them.
    pub service_count: u32,
}

/// Flows in which the far end has the keyboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seats {
    pub worst: Option<Seat>,
    pub flow_count: u32,
    pub keys: u32,
    pub commands: u32,
    /// What they speak, where somebody knows.
    pub protocol: Option<Protocol>,
    /// The strangest of those in which the near end opens TLS to nobody whom it names.
    pub address: Option<Addressed>,
}

/// How a far end was addressed that is not named; the strangest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Addressed {
    /// By no name, for no protocol.
    Nameless,
    /// The same, and no public authority has signed what it shows.
    NamelessAndPrivate,
}

/// Flows of clients of the web in which something is odd, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WebSessions {
    pub marks: Marks,
    pub flow_count: u32,
    pub exchange_count: u32,
    /// Encoded answers that differ from the one before.
    pub encoded_count: u32,
    /// The same of questions.
    pub coded_count: u32,
    /// Pages for people that such questions got.
    pub page_count: u32,
    /// Requests that bring something to one path and get little for it.
    pub post_count: u32,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    encoded_last: u64,
    coded_last: u64,
    post_path: u64,
}

/// What echoes carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EchoSessions {
    pub worst: Option<OddEchoes>,
    pub request_count: u32,
    /// Answers that do not repeat their requests.
    pub odd_answers: u32,
    /// How many different lengths one flow had at most.
    pub length_count: u8,
}

/// What containers are seldom sent for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Errands {
    /// The protocol that is spoken there.
    pub protocol: Option<Protocol>,
    pub flow_count: u32,
}

/// Protocols that were left, or used backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Masks {
    /// How far the worst of the flows went, and from which protocol.
    pub worst: Option<(Departure, Option<Protocol>)>,
    /// Flows that went as far.
    pub flow_count: u32,
    /// A protocol in which the side that was called has the keyboard.
    pub backwards: Option<Protocol>,
    /// Keys that were typed there.
    pub keys: u32,
}

/// What does not go with the port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ports {
    pub misfit: Option<Misfit>,
    pub flow_count: u32,
    /// Flows of unidentified content in which the far end leads.
    pub reversed: u32,
}

/// What is odd about TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsSessions {
    /// Flows that went on without a ServerHello.
    pub unanswered: u32,
    /// Flows in which the far end types, or leads.
    pub reversal: Option<Reversal>,
    pub keys: u32,
    pub offer: Option<OddOffer>,
    /// The stack came to a place that had used others since then.
    pub foreign_since: Option<Time>,
    /// The oddest of those that name nobody.
    pub nameless: Option<Nameless>,
}

/// An accepted flow in which nobody speaks for this long is held open in silence.
pub(crate) const SILENT_MS: u64 = 5_000;

impl Session {
    /// One conversation.
    pub(crate) fn of(flow: &Flow, gone: Option<Time>) -> Self {
        let mut session = Self::default();
        session.add(flow, gone);
        session
    }

    /// Whether its words show somebody who obeys.
    pub(crate) fn obedience(&self) -> Obedience {
        let marks = self.web.marks;
        let is_ordered = marks.has(Marks::ORDER) && marks.has(Marks::OUTPUT);
        if self.shell_answers > 0 || is_ordered || marks.has(Marks::HIDDEN_ORDER) {
            return Obedience::Seen;
        }
        Obedience::Unseen
    }

    /// One conversation more.
    pub(crate) fn add(&mut self, flow: &Flow, gone: Option<Time>) {
        if !flow.is_outgoing() {
            self.served.add(flow);
            return;
        }
        self.add_oddity(flow);
        let roles = &flow.roles;
        match roles.conversation() {
            Conversation::FarCommands => {
                self.rounds = self.rounds.saturating_add(roles.rounds());
                self.shell_answers = self.shell_answers.saturating_add(roles.shell_answers());
                self.echoed += u32::from(roles.near_echoes());
            }
            Conversation::FarAlone => self.far_alone += 1,
            Conversation::NearCommands
            | Conversation::NearAlone
            | Conversation::Heartbeat
            | Conversation::Binary
            | Conversation::BinaryReversed => {}
            Conversation::Nothing => self.add_without_words(flow, gone),
        }
    }

    fn add_without_words(&mut self, flow: &Flow, gone: Option<Time>) {
        if flow.obeyed {
            self.obeyed += u32::from(flow.closed.is_some());
        } else if flow.has_failed() {
            self.failed += 1;
        } else {
            match flow.silence(gone) {
                Some(Silence::Held) => self.held_silent += 1,
                Some(Silence::Closed) => self.closed_silent += 1,
                None => {}
            }
        }
    }

    fn add_oddity(&mut self, flow: &Flow) {
        let odd = flow.oddity;
        if let Some(departure) = odd.departure {
            self.masks.departed(departure, flow);
        }
        if let Some(protocol) = odd.backwards {
            self.masks.backwards.get_or_insert(protocol);
            self.masks.keys = self.masks.keys.saturating_add(flow.typing.keys());
        }
        if let Some(misfit) = odd.misfit {
            self.ports.misfit.get_or_insert(misfit);
            self.ports.flow_count += 1;
            let reversed = flow.roles.conversation() == Conversation::BinaryReversed;
            self.ports.reversed += u32::from(reversed);
        }
        if let Some(errand) = odd.errand {
            self.errands.protocol.get_or_insert(errand);
            self.errands.flow_count += 1;
        }
        if odd.echoes.is_some() {
            self.echoes.add(flow);
        }
        self.lasting = self.lasting.max(odd.lasting);
        self.freight.add(flow);
        if odd.seat.is_some() {
            self.seats.add(flow);
        }
        if !odd.web.is_empty() {
            self.web.add(odd.web, flow);
        }
        if let Some(tls) = &odd.tls {
            self.tls.add(tls, flow);
        }
    }
}

impl Masks {
    fn departed(&mut self, departure: Departure, flow: &Flow) {
        let worst = self.worst.map(|(worst, _)| worst);
        if worst.is_some_and(|worst| worst >= departure) {
            self.flow_count += u32::from(worst == Some(departure));
            return;
        }
        let protocol = flow.speech.left.and_then(|left| left.protocol).or(flow.speech.outer);
        self.worst = Some((departure, protocol));
        self.flow_count = 1;
    }
}

impl EchoSessions {
    fn add(&mut self, flow: &Flow) {
        let speech = &flow.speech;
        self.worst = self.worst.max(flow.oddity.echoes);
        self.request_count = self.request_count.saturating_add(speech.echoes.request_count);
        self.odd_answers = self.odd_answers.saturating_add(speech.odd_answers);
        self.length_count = self.length_count.max(speech.echoes.length_count);
    }
}

impl Freight {
    fn add(&mut self, flow: &Flow) {
        let (odd, web) = (flow.oddity, flow.web.as_deref());
        if odd.volume.is_some() {
            self.sent_bytes = self.sent_bytes.saturating_add(flow.near_bytes);
            self.received_bytes = self.received_bytes.saturating_add(flow.far_bytes);
            self.carrier = self.carrier.or(flow.speech.outer);
        }
        self.fetched = self.fetched.max(odd.fetched);
        if odd.reached.is_some() {
            self.reached = self.reached.max(odd.reached);
            self.library = web.map(|web| web.library).unwrap_or_default();
        }
        if odd.service.is_some() {
            self.service = self.service.or(odd.service);
            let count = web.map_or(1, |web| web.exchange_count.max(1));
            self.service_count = self.service_count.saturating_add(count);
        }
    }
}

impl Seats {
    fn add(&mut self, flow: &Flow) {
        self.worst = self.worst.max(flow.oddity.seat);
        self.flow_count += 1;
        self.keys = self.keys.saturating_add(flow.typing.keys());
        self.commands = self.commands.saturating_add(flow.typing.commands());
        self.protocol = self.protocol.or(flow.speech.inner).or(flow.speech.outer);
        let nameless = flow.speech.tls.filter(Tls::is_nameless);
        self.address = self.address.max(nameless.map(|tls| match tls.is_private() {
            true => Addressed::NamelessAndPrivate,
            false => Addressed::Nameless,
        }));
    }
}

impl WebSessions {
    fn add(&mut self, marks: Marks, flow: &Flow) {
        self.marks = self.marks.with(marks);
        self.flow_count += 1;
        let Some(web) = &flow.web else { return };
        self.exchange_count = self.exchange_count.saturating_add(web.exchange_count);
        self.sent_bytes = self.sent_bytes.saturating_add(web.sent_bytes);
        self.received_bytes = self.received_bytes.saturating_add(web.received_bytes);
        if web.encoded_count > 0 {
            let is_same = web.encoded_count == 1 && web.encoded_last == self.encoded_last;
            let more = if is_same { 0 } else { web.encoded_count };
            self.encoded_count = self.encoded_count.saturating_add(more);
            self.encoded_last = web.encoded_last;
        }
        if web.coded_count > 0 {
            let is_same = web.coded_count == 1 && web.coded_last == self.coded_last;
            let more = if is_same { 0 } else { web.coded_count };
            self.coded_count = self.coded_count.saturating_add(more);
            self.coded_last = web.coded_last;
            self.page_count = self.page_count.saturating_add(web.page_count);
        }
        if web.post_count > 0 {
            if self.post_count == 0 {
                self.post_path = web.post_path;
            }
            let more = if web.post_path == self.post_path { web.post_count } else { 0 };
            self.post_count = self.post_count.saturating_add(more);
        }
    }
}

impl TlsSessions {
    fn add(&mut self, odd: &TlsOddity, flow: &Flow) {
        self.unanswered += u32::from(odd.answer == Answer::Missing);
        if odd.reversal.is_some() {
            self.reversal = self.reversal.max(odd.reversal);
            self.keys = self.keys.saturating_add(flow.typing.keys());
        }
        self.offer = self.offer.or(odd.offer);
        self.foreign_since = self.foreign_since.or(odd.foreign_since);
        self.nameless = self.nameless.max(odd.nameless);
    }
}
