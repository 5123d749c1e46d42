//! What is odd about a flow, going by the wire alone: a protocol that was left, a port that is
//! another's, a TLS session that does not behave like one.

use observation::{Flaws, Likeness, Time, Transport};
use serde::{Deserialize, Serialize};

use super::flow::Flow;
use super::freight::{Reached, Volume};
use super::speech::{Agreed, Edition, Issuer, Offer, Onward, Outcome, Speech, Tls};
use crate::cargo;
use crate::intel::Kind;
use crate::lasting::Among;
use crate::ledger::near_side;
use crate::opening::FirstWord;
use crate::protocols::{PortFit, Protocol, Sort};
use crate::roles::Conversation;
use crate::services::Service;
use crate::stacks::Standing;
use crate::typing::Reversal;
use crate::web::Marks;
use crate::words;

/// So many echo answers that do not repeat their requests are no accident.
const ODD_ANSWER_COUNT_MIN: u32 = 3;
/// A ping has one length, and where a router cuts its answers short, two.
const ECHO_LENGTH_COUNT_MIN: u8 = 4;
/// Fewer requests of different lengths look for the path's MTU.
const ECHO_REQUEST_COUNT_MIN: u32 = 16;
/// Fewer bursts may be the opening of something that is yet to be recognized.
const UNIDENTIFIED_BURST_COUNT_MIN: u32 = 4;
/// So many commands of the far end are no chance, and so many no call back.
const LEADS_ON_COUNT_MIN: u32 = 6;
const LEADS_LONG_COUNT_MIN: u32 = 8;
/// So many rounds in which the far end speaks first, in a protocol that nobody knows.
const SPOKEN_ROUND_COUNT_MIN: u32 = 4;
const HOUR_MS: u64 = 3_600_000;
/// A sign of life a second is less than this.
const QUIET_BYTES_PER_HOUR_MAX: u64 = 512 * 1024;
/// Commands of Redis that wait for what others publish.
const SUBSCRIPTIONS: &[&str] = &["SUBSCRIBE", "XREAD", "BLPOP", "BRPOP"];
/// With any of these the sensor may have missed what would explain the rest.
const EXCUSES: [Flaws; 5] =
    [Flaws::GAP, Flaws::TRUNCATED, Flaws::MIDSTREAM, Flaws::ONE_SIDED, Flaws::EVICTED];

/// What a flow shows of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Oddity {
    pub departure: Option<Departure>,
    /// A protocol that is used backwards: the side that was called has the keyboard.
    pub backwards: Option<Protocol>,
    pub misfit: Option<Misfit>,
    pub tls: Option<TlsOddity>,
    /// A protocol in which few workloads speak with strangers.
    pub errand: Option<Protocol>,
    pub echoes: Option<OddEchoes>,
    /// The far end has the keyboard, or seems to, though nothing can be read.
    pub seat: Option<Seat>,
    /// It has been open for long, and little goes by.
    pub lasting: Option<Lasting>,
    /// Much that goes out.
    pub volume: Option<Volume>,
    /// A program that came in.
    pub fetched: Option<cargo::Kind>,
    /// A metadata service that was asked.
    pub reached: Option<Reached>,
    /// A service for everybody that was asked for by name.
    pub service: Option<Service>,
    /// What is odd about a client of the web.
    pub web: Marks,
    /// Somebody has seen attackers use what it shows.
    pub listed: Option<Kind>,
}

/// How the far end shows that it commands; the surest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Seat {
    /// In a protocol that nobody knows it speaks after each silence, and is answered.
    Speaks,
    /// It breaks silences with short messages and gets answers of all sizes at once.
    Leads,
    /// The same for so long that it is no chance.
    LeadsOn,
    /// It leads, and had the first word after a handshake, when it had thought.
    LeadsFirst,
    /// For longer than anything that is called back does.
    LeadsLong,
    /// It had the first word, and has led so long that it is no chance.
    LeadsFirstOn,
    /// It types, and the near side echoes.
    Types,
}

/// A connection that stays open; the logarithm of its age in hours to the base 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Lasting {
    pub hours_log2: u8,
    pub content: Content,
    /// How it compares with the others of its place.
    pub among: Among,
}

/// What goes by in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Content {
    /// Something that is made to be kept open, too: TLS, the web.
    Cover,
    /// A protocol for one's own session.
    Session,
    /// Nobody knows.
    Unknown,
}

/// What echoes carry that no ping does; the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum OddEchoes {
    /// Requests differ in length, and their answers repeat them.
    RequestsVary,
    /// Answers do not repeat their requests: some routers cut long ones short.
    AnswersDiffer,
    /// Answers do not repeat their requests, and differ in length among each other.
    BothVary,
}

/// How far a conversation went after its protocol was left; the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Departure {
    /// One side did not speak what the other did, and that was all.
    Ended,
    /// Both sides went on in something else.
    WentOn,
    /// Only the far end went on, and in text.
    SpokenTo,
    /// The far end went on to command.
    Commanded,
}

/// What does not go with the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Misfit {
    /// The port is another protocol's.
    Foreign(Protocol),
    /// The protocol has ports of its own, and this is nobody's.
    Away(Protocol),
    /// The port is well known, and what is spoken is not; what it looks like.
    Unidentified(Option<Likeness>),
}

/// What is odd about a TLS session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TlsOddity {
    pub answer: Answer,
    pub reversal: Option<Reversal>,
    pub offer: Option<OddOffer>,
    /// The stack came to a place that had used others since then.
    pub foreign_since: Option<Time>,
    pub nameless: Option<Nameless>,
}

/// A client that says neither whom it wants nor what it wants to speak; what else is odd about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Nameless {
    /// No public authority has signed what the server showed.
    pub is_private: bool,
    /// Neither TLS nor anything else that may be inside has this port.
    pub is_away: bool,
    /// It offers only what nobody may offer any longer.
    pub is_outdated: bool,
}

/// Whether there was a ServerHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// There was, or nothing came of the connection.
    Regular,
    /// There was none, and both sides went on all the same.
    Missing,
}

/// An ALPN that does not go with what is around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OddOffer {
    /// HTTP is offered, and the far end has the keyboard.
    WebBackwards,
    /// HTTP is offered inside another protocol's STARTTLS.
    WebInside(Protocol),
    /// Nobody has registered it.
    Unregistered,
}

impl Flow {
    /// What is odd about it now.
    pub(super) fn look_odd(&self) -> Oddity {
        Oddity {
            departure: self.departure(),
            backwards: self.backwards(),
            misfit: self.misfit(),
            tls: self.tls_oddity(),
            errand: self.errand(),
            echoes: self.odd_echoes(),
            volume: self.volume(),
            fetched: self.fetched(),
            reached: self.reached(),
            service: self.service(),
            seat: self.seat(),
            lasting: self.lasting(),
            web: self.web_marks(),
            listed: self.listed.as_ref().map(|listed| listed.kind),
        }
    }

    fn is_excused(&self) -> bool {
        EXCUSES.into_iter().any(|flaw| self.flaws.has(flaw))
    }

    /// Who has the keyboard, where nothing can be read.
    fn reversal(&self) -> Reversal {
        match self.roles.conversation() {
            Conversation::Nothing | Conversation::Binary | Conversation::BinaryReversed => {
                if self.is_spoken_to_first() {
                    self.typing.reversal_from_the_first_word()
                } else {
                    self.typing.reversal()
                }
            }
            _ => Reversal::None,
        }
    }

    /// The far end had the first word inside TLS or DTLS. A client that says what it will speak, or
    /// with whom, may have asked with few words.
    fn is_spoken_to_first(&self) -> bool {
        let names_somebody = || self.speech.tls.is_some_and(|tls| !tls.is_nameless());
        match self.typing.first_word() {
            FirstWord::Open | FirstWord::Callers => return false,
            FirstWord::CalledsAfterGreeting if names_somebody() => return false,
            FirstWord::CalledsAfterGreeting | FirstWord::Calleds => {}
        }
        match (self.speech.outer.map(Protocol::name), self.speech.tls) {
            (Some("tls"), Some(tls)) => tls.outcome == Outcome::Completed,
            (Some("dtls"), _) => self.speech.agreed == Agreed::Both,
            _ => false,
        }
    }

    fn seat(&self) -> Option<Seat> {
        let reversal = self.reversal();
        if reversal == Reversal::Leads && self.is_spoken_to_first() {
            let is_long = self.typing.commands() >= LEADS_ON_COUNT_MIN;
            return Some(if is_long { Seat::LeadsFirstOn } else { Seat::LeadsFirst });
        }
        // Voices and games send small datagrams all day, in protocols that nobody knows. None of
        // them lets a silence go by before each.
        let is_strange = self.transport() != Transport::Tcp && self.speech.outer.is_none();
        match (reversal, self.typing.commands()) {
            (Reversal::Types | Reversal::None, _) if is_strange => None,
            (Reversal::Leads, ..LEADS_ON_COUNT_MIN) if is_strange => None,
            (Reversal::Types, _) => Some(Seat::Types),
            (Reversal::Leads, LEADS_LONG_COUNT_MIN..) => Some(Seat::LeadsLong),
            (Reversal::Leads, LEADS_ON_COUNT_MIN..) => Some(Seat::LeadsOn),
            (Reversal::Leads, _) => Some(Seat::Leads),
            (Reversal::None, _) => {
                let is_unknown = self.speech.outer.is_none();
                let is_led = self.roles.conversation() == Conversation::BinaryReversed
                    && self.roles.rounds() >= SPOKEN_ROUND_COUNT_MIN;
                (is_unknown && is_led).then_some(Seat::Speaks)
            }
        }
    }

    fn lasting(&self) -> Option<Lasting> {
        let age_ms = self.last.since(self.established?).as_millis();
        let hours = u32::try_from(age_ms / HOUR_MS).unwrap_or(u32::MAX);
        if self.transport() != Transport::Tcp || hours == 0 {
            return None;
        }
        let bytes = self.near_bytes.saturating_add(self.far_bytes);
        let content = match self.speech.outer.map(Protocol::sort) {
            None => Content::Unknown,
            Some(Sort::Cover | Sort::Web) => Content::Cover,
            Some(Sort::Remote | Sort::FreeText | Sort::Proxy | Sort::Chat) => Content::Session,
            // Pools of connections are kept for days.
            Some(_) => return None,
        };
        let is_quiet = bytes <= u64::from(hours).saturating_mul(QUIET_BYTES_PER_HOUR_MAX);
        let hours_log2 = u8::try_from(hours.ilog2()).unwrap_or(u8::MAX);
        is_quiet.then_some(Lasting { hours_log2, content, among: self.among })
    }

    fn departure(&self) -> Option<Departure> {
        let onward = match self.speech.left {
            Some(left) => left.onward(),
            None if self.transport() != Transport::Icmp || self.speech.odd_answers == 0 => {
                return None;
            }
            None if self.speech.odd_answers >= ODD_ANSWER_COUNT_MIN => Onward::WentOn,
            None => Onward::Ended,
        };
        let reversal = self.reversal();
        match self.roles.conversation() {
            Conversation::FarCommands | Conversation::BinaryReversed => Some(Departure::Commanded),
            _ if reversal != Reversal::None => Some(Departure::Commanded),
            _ if self.is_excused() => None,
            Conversation::FarAlone => Some(Departure::SpokenTo),
            _ => Some(match onward {
                Onward::WentOn if !self.has_cleared_its_channel() => Departure::WentOn,
                Onward::WentOn | Onward::Ended => Departure::Ended,
            }),
        }
    }

    /// FTP may leave TLS again and go on in the clear (RFC 4217, section 5.3: CCC).
    fn has_cleared_its_channel(&self) -> bool {
        let is_over =
            |tls: Tls| tls.outcome == Outcome::Completed || self.speech.agreed == Agreed::Both;
        let is_files = |protocol: Protocol| protocol.sort() == Sort::Files;
        self.speech.outer.is_some_and(is_files) && self.speech.tls.is_some_and(is_over)
    }

    /// TLS has a strategy of its own.
    fn backwards(&self) -> Option<Protocol> {
        let protocol = self.speech.outer.filter(|_| self.speech.tls.is_none())?;
        let is_typed = self.speech.left.is_none() && self.reversal() == Reversal::Types;
        is_typed.then_some(protocol)
    }

    fn misfit(&self) -> Option<Misfit> {
        if let Some(protocol) = self.speech.outer {
            return match self.speech.fit {
                _ if self.speech.agreed != Agreed::Both => None,
                PortFit::Foreign => Some(Misfit::Foreign(protocol)),
                PortFit::Away if matches!(protocol.sort(), Sort::Names | Sort::Chat) => {
                    Some(Misfit::Away(protocol))
                }
                PortFit::Free | PortFit::Own | PortFit::Away => None,
            };
        }
        let both_spoke = self.established.is_some() && self.near_bytes > 0 && self.far_bytes > 0;
        let is_long = self.burst_count() >= UNIDENTIFIED_BURST_COUNT_MIN || self.closed.is_some();
        let has_content = self.roles.conversation() != Conversation::Nothing;
        let is_unidentified = self.speech.fit == PortFit::Foreign
            && both_spoke
            && is_long
            && has_content
            && !self.is_excused();
        is_unidentified.then_some(Misfit::Unidentified(self.speech.likeness))
    }

    fn errand(&self) -> Option<Protocol> {
        let spoken = [self.speech.outer, self.speech.inner].into_iter().flatten();
        let is_errand = |protocol: &Protocol| {
            protocol.is_errand() || protocol.name() == "redis" && self.subscribes()
        };
        let mut errands = spoken.filter(is_errand);
        errands.next().filter(|_| self.speech.agreed == Agreed::Both)
    }

    fn web_marks(&self) -> Marks {
        let mut marks = self.web.as_ref().map(|web| web.marks).unwrap_or_default();
        let spoken = [self.speech.outer, self.speech.inner].into_iter().flatten();
        let is_socket = |protocol: Protocol| protocol.name() == "websocket";
        if self.speech.agreed == Agreed::Both && spoken.into_iter().any(is_socket) {
            marks = marks.with(Marks::SOCKET);
        }
        if self.speech.tls.is_some_and(|tls| tls.issuer == Issuer::Itself) {
            marks = marks.with(Marks::SELF_SIGNED);
        }
        marks
    }

    /// Whether the near side waits for messages of others. A database that is asked is none.
    fn subscribes(&self) -> bool {
        let near = near_side(self.local);
        let mut said = self.excerpts.iter().filter(|excerpt| excerpt.side == near);
        said.any(|excerpt| words::have(&excerpt.bytes, SUBSCRIPTIONS))
    }

    fn odd_echoes(&self) -> Option<OddEchoes> {
        let Speech { echoes, odd_answers, .. } = self.speech;
        let varies = echoes.length_count >= ECHO_LENGTH_COUNT_MIN;
        match odd_answers {
            _ if self.transport() != Transport::Icmp => None,
            ODD_ANSWER_COUNT_MIN.. if varies => Some(OddEchoes::BothVary),
            ODD_ANSWER_COUNT_MIN.. => Some(OddEchoes::AnswersDiffer),
            _ if varies && echoes.request_count >= ECHO_REQUEST_COUNT_MIN => {
                Some(OddEchoes::RequestsVary)
            }
            _ => None,
        }
    }

    fn tls_oddity(&self) -> Option<TlsOddity> {
        let tls = self.speech.tls?;
        let went_on = self.speech.left.is_some_and(|left| left.onward() == Onward::WentOn);
        let is_answered =
            matches!(tls.outcome, Outcome::Completed | Outcome::Unfinished | Outcome::Unseen)
                || self.speech.agreed == Agreed::Both;
        let answer = if went_on && !is_answered && !self.is_excused() {
            Answer::Missing
        } else {
            Answer::Regular
        };
        let reversal = Some(self.reversal()).filter(|reversal| *reversal != Reversal::None);
        let outer = self.speech.outer.filter(|outer| outer.sort() == Sort::Mail);
        let offer = match (tls.offer, outer) {
            (Offer::Web, Some(outer)) => Some(OddOffer::WebInside(outer)),
            (Offer::Web, None) => reversal.map(|_| OddOffer::WebBackwards),
            (Offer::Unregistered, _) => Some(OddOffer::Unregistered),
            (Offer::Nothing | Offer::Other, _) => None,
        };
        let foreign_since = match tls.standing {
            Standing::Foreign(since) => Some(since),
            Standing::Unknown | Standing::Own => None,
        };
        let nameless = self.nameless(&tls);
        let odd = TlsOddity { answer, reversal, offer, foreign_since, nameless };
        (odd != TlsOddity::NONE).then_some(odd)
    }

    /// Nothing is made of a handshake that came to nothing, or inside of another protocol.
    fn nameless(&self, tls: &Tls) -> Option<Nameless> {
        let is_alone = self.speech.outer.is_some_and(|outer| outer.sort() == Sort::Cover);
        let odd = Nameless {
            is_private: tls.is_private(),
            is_away: self.speech.fit == PortFit::Away,
            is_outdated: tls.edition == Edition::Outdated,
        };
        let is_odd = odd.is_private || odd.is_away || odd.is_outdated;
        (is_odd && tls.is_nameless() && is_alone && tls.outcome == Outcome::Completed)
            .then_some(odd)
    }
}

impl TlsOddity {
    const NONE: Self = Self {
        answer: Answer::Regular,
        reversal: None,
        offer: None,
        foreign_since: None,
        nameless: None,
    };
}
