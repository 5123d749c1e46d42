//! What became of a TLS handshake: RFC 8446, sections 4.1.3 and 4.2; RFC 5246, section 7.4.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;

use observation::{Certificate, Handshake, Resumption, TlsSession};

use super::Heard;
use super::certificate;
use super::client_hello::{ALPN, ClientHello, Fields, PRE_SHARED_KEY, SUPPORTED_VERSIONS};
use super::follow::Context;

/// Whether the outcome has been told.
#[derive(Debug, Default)]
pub(super) enum Story {
    /// No hello has come.
    #[default]
    Silent,
    /// It goes on.
    Open(Box<Session>),
    /// It has been told.
    Told,
}

impl Story {
    /// How much memory it holds.
    pub(super) fn held(&self) -> usize {
        let Self::Open(session) = self else { return 0 };
        let certificate = session.certificate.as_ref().map_or(0, |certificate| {
            let names = certificate.names.iter().map(|name| name.len());
            certificate.subject.len() + certificate.issuer.len() + names.sum::<usize>()
        });
        size_of::<Session>() + session.session_id.len() + session.alpn.capacity() + certificate
    }
}

/// What is known of the handshake so far.
#[derive(Debug, Default)]
pub(super) struct Session {
    session_id: Box<[u8]>,
    version: u16,
    cipher: u16,
    alpn: String,
    resumption: Resumption,
    certificate: Option<Certificate<'static>>,
    sight: Sight,
}

/// Whether all of it was captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sight {
    #[default]
    Whole,
    Lost,
}

/// Which keys come into force, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Negotiated {
    #[default]
    Unknown,
    BeforeTls13,
    Tls13,
}

/// The body of a ServerHello.
#[derive(Debug)]
pub(super) struct ServerHello<'a> {
    pub(super) negotiated: Negotiated,
    version: u16,
    cipher: u16,
    session_id: &'a [u8],
    alpn: &'a [u8],
    resumption: Resumption,
}

impl<'a> ServerHello<'a> {
    /// `None` where its fixed part does not hold together.
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let version = fields.short().filter(|version| version >> 8 == 3)?;
        fields.take(RANDOM_BYTES)?;
        let session_id = fields.sized_by_byte()?;
        let cipher = fields.short()?;
        fields.byte()?;
        let mut hello = Self {
            negotiated: Negotiated::BeforeTls13,
            version,
            cipher,
            session_id,
            alpn: &[],
            resumption: Resumption::None,
        };
        let mut extensions = Fields(fields.sized_by_short().unwrap_or_default());
        while let (Some(kind), Some(data)) = (extensions.short(), extensions.sized_by_short()) {
            hello.extension(kind, Fields(data));
        }
        Some(hello)
    }

    fn extension(&mut self, kind: u16, mut data: Fields<'a>) {
        match kind {
            // It is only ever sent to choose 1.3 or one of its drafts.
            SUPPORTED_VERSIONS => {
                self.negotiated = Negotiated::Tls13;
                self.version = data.short().unwrap_or_default();
            }
            PRE_SHARED_KEY => self.resumption = Resumption::Agreed,
            ALPN => {
                let mut names = Fields(data.sized_by_short().unwrap_or_default());
                self.alpn = names.sized_by_byte().unwrap_or_default();
            }
            _ => {}
        }
    }
}

impl Session {
    /// A ClientHello came.
    pub(super) fn asked(&mut self, hello: &ClientHello<'_>) {
        self.session_id = hello.session_id.into();
        self.resumption = hello.fact("").resumption;
    }

    /// A ServerHello came.
    pub(super) fn agreed(&mut self, hello: &ServerHello<'_>) {
        (self.version, self.cipher) = (hello.version, hello.cipher);
        self.alpn = String::from_utf8_lossy(hello.alpn).into_owned();
        // Before TLS 1.3 a server that agrees repeats the session id; TLS 1.3 always does.
        let repeats = !self.session_id.is_empty() && *self.session_id == *hello.session_id;
        self.resumption = match hello.negotiated {
            Negotiated::BeforeTls13 if repeats => Resumption::Agreed,
            Negotiated::BeforeTls13 => Resumption::None,
            _ => hello.resumption,
        };
    }

    /// A certificate message came, or the beginning of one. Only the server's is told.
    pub(super) fn shown(&mut self, message: &[u8]) {
        if self.certificate.is_none() {
            self.certificate = certificate::first(message);
        }
    }

    /// The server's.
    pub(super) const fn certificate(&self) -> Option<&Certificate<'static>> {
        self.certificate.as_ref()
    }
}

impl Story {
    /// The session, as long as its outcome is open.
    pub(super) fn session(&mut self) -> Option<&mut Session> {
        if let Self::Silent = self {
            *self = Self::Open(Box::default());
        }
        match self {
            Self::Open(session) => Some(session),
            Self::Silent | Self::Told => None,
        }
    }

    /// Bytes were lost while the outcome was open.
    pub(super) fn lose_sight(&mut self) {
        if let Self::Open(session) = self {
            session.sight = Sight::Lost;
        }
    }

    /// Nothing more will come of it.
    pub(super) fn end(&mut self, client: Client, context: &mut Context<'_>) {
        let Self::Open(session) = self else { return };
        let outcome = match (session.sight, client, session.version) {
            (Sight::Lost, ..) | (_, Client::Silent, _) => Handshake::Unseen,
            (Sight::Whole, Client::Heard, 0) => Handshake::Unanswered,
            (Sight::Whole, Client::Heard, _) => Handshake::Unfinished,
        };
        self.tell(outcome, context);
    }

    /// Tells the outcome, once.
    pub(super) fn tell(&mut self, outcome: Handshake, context: &mut Context<'_>) {
        let Self::Open(session) = core::mem::replace(self, Self::Told) else { return };
        (context.heard)(Heard::TlsSession(TlsSession {
            outcome,
            version: session.version,
            cipher: session.cipher,
            alpn: Cow::Borrowed(&session.alpn),
            resumption: session.resumption,
            certificate: session.certificate,
            ..TlsSession::default()
        }));
    }
}

/// Whether the client's direction was captured at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    Silent,
    Heard,
}

const RANDOM_BYTES: usize = 32;
