//! What a flow speaks, as facts kept apart: what one side proposed, what both confirmed, and where
//! the conversation stopped obeying it. What its port claims stands in its key.

use core::net::IpAddr;

use observation::{
    Certainty, Certificate, Ech, EchoSymmetry, Handshake, Likeness, Shape, Side, Span, TlsHello,
    TlsSession,
};
use serde::{Deserialize, Serialize};

use crate::protocols::{PortFit, Protocol, Sort};
use crate::services::Service;
use crate::stacks::{Stack, Standing};

/// The protocol facts of one flow. Constant size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Speech {
    /// The first protocol that claimed it.
    pub outer: Option<Protocol>,
    /// The latest one inside, as TLS after STARTTLS.
    pub inner: Option<Protocol>,
    pub agreed: Agreed,
    pub fit: PortFit,
    pub left: Option<Left>,
    /// What its first words look like, where no protocol explained them.
    pub likeness: Option<Likeness>,
    pub tls: Option<Tls>,
    /// Echo answers that do not repeat their requests.
    pub odd_answers: u32,
    pub echoes: Echoes,
}

/// The payloads of echo requests and their answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Echoes {
    pub request_count: u32,
    /// How many different lengths they had.
    pub length_count: u8,
    pub payload_bytes_max: u32,
}

/// Who has spoken the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Agreed {
    #[default]
    Nobody,
    One(Side),
    Both,
}

/// Where a conversation stopped obeying its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Left {
    pub protocol: Option<Protocol>,
    pub by: Side,
    /// Bursts of each side since then.
    originator: u16,
    responder: u16,
}

/// What a TLS client said of itself, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tls {
    pub offer: Offer,
    pub standing: Standing,
    pub outcome: Outcome,
    pub issuer: Issuer,
    pub asked_for: AskedFor,
    pub edition: Edition,
    /// A service for everybody that was asked for by name.
    pub service: Option<Service>,
}

/// Who has signed the server's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Issuer {
    /// TLS 1.3 hides it, or somebody else has.
    #[default]
    Other,
    /// No public authority: none signs for so long, or for no name.
    Private,
    /// The server itself.
    Itself,
}

/// Whether a client says whom it wants (RFC 6066, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AskedFor {
    Somebody,
    Nobody,
}

/// Which TLS a client offers at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Edition {
    Current,
    /// TLS 1.1 or older, which nobody may offer any longer (RFC 8996).
    Outdated,
}

/// No public authority has signed for longer than this since 2018 (CA/Browser Forum, Baseline
/// Requirements, section 6.3.2).
const PUBLIC_VALIDITY_MAX: Span = Span::from_secs(826 * 86_400);
/// TLS 1.1 on the wire.
const OUTDATED_VERSION_MAX: u16 = 0x0302;

/// What is to be spoken inside, going by the ALPN that is offered (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Offer {
    Nothing,
    Web,
    Other,
    /// No protocol id that anybody has registered.
    Unregistered,
}

/// What became of a handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    #[default]
    Pending,
    Unanswered,
    Refused,
    Unfinished,
    Completed,
    /// Part of it was not captured: it accuses nobody.
    Unseen,
}

/// How far a conversation went after its protocol was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Onward {
    /// It soon ended: one side did not speak what the other did.
    Ended,
    /// Both sides went on.
    WentOn,
}

/// From so many bursts on, of both sides together, a conversation has gone on.
const ONWARD_COUNT_MIN: u16 = 3;

/// Protocol ids of the IANA registry, GREASE left out (RFC 8701).
const REGISTERED_ALPN: &[&str] = &[
    "acme-tls/1",
    "c-webrtc",
    "co",
    "coap",
    "dicom",
    "dot",
    "doq",
    "ftp",
    "h2",
    "h2c",
    "h3",
    "http/0.9",
    "http/1.0",
    "http/1.1",
    "imap",
    "irc",
    "managesieve",
    "mc/1",
    "mqtt",
    "nnsp",
    "nntp",
    "ntske/1",
    "pop3",
    "postgresql",
    "radius/1.0",
    "radius/1.1",
    "sip/2",
    "smb",
    "spdy/1",
    "spdy/2",
    "spdy/3",
    "stun.nat-discovery",
    "stun.turn",
    "sunrpc",
    "tds/8.0",
    "webrtc",
    "xmpp-client",
    "xmpp-server",
];

impl Speech {
    pub(super) fn identified(&mut self, protocol: Protocol, certainty: Certainty, fit: PortFit) {
        match self.outer {
            None => {
                self.outer = Some(protocol);
                self.fit = fit;
            }
            Some(outer) if outer == protocol => {}
            // What is inside a cover is guessed from its use: one side's guess names nothing.
            Some(outer) if outer.sort() == Sort::Cover && certainty != Certainty::Confirmed => {
                return;
            }
            Some(_) => self.inner = Some(protocol),
        }
        self.agreed = match certainty {
            Certainty::Confirmed => Agreed::Both,
            Certainty::Proposed(_) if self.agreed == Agreed::Both => Agreed::Both,
            Certainty::Proposed(side) => Agreed::One(side),
        };
    }

    pub(super) fn left(&mut self, protocol: Option<Protocol>, by: Side) {
        let protocol = protocol.or(self.inner).or(self.outer);
        self.left.get_or_insert(Left { protocol, by, originator: 0, responder: 0 });
    }

    /// The next words look like this.
    pub(super) fn looks(&mut self, shape: &Shape) {
        if let Some(texture) = shape.texture {
            self.likeness.get_or_insert(texture.likeness);
        }
    }

    /// A burst after the protocol was left; a log may tell of it by that alone.
    pub(super) fn went_on(&mut self, side: Side) {
        self.left(None, side);
        let Some(left) = &mut self.left else { return };
        let count = match side {
            Side::Originator => &mut left.originator,
            Side::Responder => &mut left.responder,
        };
        *count = count.saturating_add(1);
    }

    pub(super) fn hello(&mut self, hello: &TlsHello<'_>, standing: Standing) {
        let offer = Offer::of(hello);
        self.tls.get_or_insert(Tls {
            offer,
            standing,
            outcome: Outcome::Pending,
            issuer: Issuer::default(),
            asked_for: AskedFor::of(hello),
            edition: Edition::of(hello),
            service: Service::named(&hello.server_name),
        });
    }

    pub(super) fn handshake(&mut self, session: &TlsSession<'_>) {
        let outcome = match session.outcome {
            Handshake::Unanswered => Outcome::Unanswered,
            Handshake::Unfinished => Outcome::Unfinished,
            Handshake::Refused(..) => Outcome::Refused,
            Handshake::Completed => Outcome::Completed,
            Handshake::Unseen => Outcome::Unseen,
        };
        if let Some(tls) = &mut self.tls {
            tls.outcome = outcome;
            if let Some(shown) = &session.certificate {
                tls.issuer = Issuer::of(shown);
            }
        }
    }

    pub(super) fn echoed(&mut self, symmetry: &EchoSymmetry) {
        let odd = symmetry.different_count.saturating_add(symmetry.unasked_count);
        self.odd_answers = u32::try_from(odd).unwrap_or(u32::MAX);
        self.echoes = Echoes {
            request_count: u32::try_from(symmetry.request_count).unwrap_or(u32::MAX),
            length_count: symmetry.length_count,
            payload_bytes_max: symmetry.payload_bytes_max,
        };
    }

    /// Whether free text is what it carries.
    pub(super) fn is_free_text(&self) -> bool {
        self.outer.is_some_and(Protocol::is_free_text)
    }

    /// Whether it carries lookups of names.
    pub(crate) fn is_of_names(&self) -> bool {
        self.outer.is_some_and(|protocol| protocol.sort() == Sort::Names)
    }
}

impl Tls {
    /// The client says neither whom it wants nor what it wants to speak.
    pub(crate) fn is_nameless(&self) -> bool {
        self.asked_for == AskedFor::Nobody && self.offer == Offer::Nothing
    }

    /// No public authority has signed what the server showed.
    pub(crate) const fn is_private(&self) -> bool {
        matches!(self.issuer, Issuer::Private | Issuer::Itself)
    }
}

impl Left {
    pub(crate) const fn onward(&self) -> Onward {
        let both = self.originator > 0 && self.responder > 0;
        if both && self.originator.saturating_add(self.responder) >= ONWARD_COUNT_MIN {
            Onward::WentOn
        } else {
            Onward::Ended
        }
    }
}

impl Issuer {
    fn of(shown: &Certificate<'_>) -> Self {
        let is_readable = !shown.subject.is_empty() || !shown.issuer.is_empty();
        let is_long = shown.not_after.since(shown.not_before) > PUBLIC_VALIDITY_MAX;
        if shown.chain_count <= 1 && is_readable && shown.subject == shown.issuer {
            Self::Itself
        } else if is_readable && (shown.names.is_empty() || is_long) {
            // The Baseline Requirements, section 7.1.2.7.12, demand names.
            Self::Private
        } else {
            Self::Other
        }
    }
}

impl AskedFor {
    fn of(hello: &TlsHello<'_>) -> Self {
        // An address is no name, though some programs say it as one.
        let named = &hello.server_name;
        let is_unnamed = named.is_empty() || named.parse::<IpAddr>().is_ok();
        let is_silent = is_unnamed && hello.encrypted_hello == Ech::Absent;
        if is_silent { Self::Nobody } else { Self::Somebody }
    }
}

impl Edition {
    const fn of(hello: &TlsHello<'_>) -> Self {
        match hello.version {
            1..=OUTDATED_VERSION_MAX => Self::Outdated,
            _ => Self::Current,
        }
    }
}

impl Offer {
    fn of(hello: &TlsHello<'_>) -> Self {
        let offered = if hello.alpn_offered.is_empty() { &hello.alpn } else { &hello.alpn_offered };
        let ids = || offered.split(',').filter(|id| !id.is_empty());
        if ids().next().is_none() {
            Self::Nothing
        } else if ids().any(|id| id.starts_with("http/") || matches!(id, "h2" | "h3")) {
            Self::Web
        } else if ids().any(|id| REGISTERED_ALPN.contains(&id)) {
            Self::Other
        } else {
            Self::Unregistered
        }
    }
}

/// The stack that a ClientHello shows.
pub(super) fn stack_of(hello: &TlsHello<'_>) -> Option<Stack> {
    Stack::of(&hello.ja4)
}

#[cfg(test)]
mod tests {
    use alloc::borrow::Cow;

    use super::*;

    fn offer(alpn: &'static str) -> Offer {
        let alpn_offered = Cow::Borrowed(alpn);
        Offer::of(&TlsHello { alpn_offered, ..TlsHello::default() })
    }

    #[test]
    fn what_is_to_be_spoken_inside() {
        assert_eq!(offer("h2,http/1.1"), Offer::Web);
        assert_eq!(offer("imap"), Offer::Other);
        assert_eq!(offer(""), Offer::Nothing);
        assert_eq!(offer("chisel-v3"), Offer::Unregistered);
    }

    #[test]
    fn an_address_is_no_name() {
        let asked_for = |name: &'static str| {
            let server_name = Cow::Borrowed(name);
            AskedFor::of(&TlsHello { server_name, ..TlsHello::default() })
        };
        assert_eq!(asked_for("api.example.com"), AskedFor::Somebody);
        for nobody in ["", "198.51.100.10", "fd00:c2::10"] {
            assert_eq!(asked_for(nobody), AskedFor::Nobody);
        }
    }

    #[test]
    fn one_answer_to_a_misunderstanding_is_no_conversation() {
        let mut speech = Speech::default();
        speech.left(None, Side::Responder);
        speech.went_on(Side::Responder);
        assert_eq!(speech.left.map(|left| left.onward()), Some(Onward::Ended));
        speech.went_on(Side::Originator);
        assert_eq!(speech.left.map(|left| left.onward()), Some(Onward::Ended));
        speech.went_on(Side::Responder);
        assert_eq!(speech.left.map(|left| left.onward()), Some(Onward::WentOn));
    }
}
