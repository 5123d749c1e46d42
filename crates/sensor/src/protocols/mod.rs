//! Which protocol a flow speaks, by the first payload bytes of both directions and never by port,
//! and whether it goes on speaking it.
//!
//! The flow table owns one [`Recognizer`] a flow and feeds it payload in order; the recognizer
//! answers with what it [`Heard`].

use alloc::borrow::Cow;
use alloc::vec::Vec;

use observation::{Certainty, DnsAnswer, Grammar, Side, Time, Transport};

/// What both sides have said so far, from the start: at most `HEAD_BYTES_MAX` bytes each.
/// For datagrams: each side's first datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads<'a> {
    /// The originator's first bytes.
    pub opener: &'a [u8],
    /// The responder's first bytes.
    pub answerer: &'a [u8],
    /// Who spoke first.
    pub first: Option<Side>,
    /// What carries them.
    pub transport: Transport,
}

/// What a probe says of the heads. `Never` is final for every longer input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Both sides have shown it (or the one side of a one-sided protocol).
    Confirmed,
    /// This side has, the other has not answered yet.
    Proposed(Side),
    /// It still could be.
    Unsure,
    /// It is not.
    Never,
}

/// What the recognizer understood; the flow table makes Observations of it.
#[derive(Debug)]
pub(crate) enum Heard<'a> {
    /// A protocol was identified, or a proposal was confirmed.
    Identified { protocol: &'static str, certainty: Certainty },
    /// This side stopped obeying the protocol.
    Left { protocol: &'static str, side: Side },
    /// A DNS question, answered or given up.
    Dns {
        asked_at: Time,
        name: Cow<'a, str>,
        query_type: u16,
        response_code: Option<u8>,
        answers: Vec<DnsAnswer<'a>>,
    },
    /// An HTTP/1 request, with its response's status or 0.
    Http { method: &'a str, host: &'a str, target: &'a str, user_agent: &'a str, status: u16 },
    /// A TLS ClientHello.
    Tls { server_name: &'a str, alpn: &'a str, ja4: &'a str },
}

/// What the recognizer still wants to be fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Payload as it comes, in order.
    Stream,
    /// Nothing any more: the flow is decided and its protocol has no follower.
    Done,
}

/// Identification state of one flow: the surviving candidates, then the follower.
#[derive(Debug, Default)]
pub(crate) struct Recognizer {}

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
        let _ = (heads, side, fresh, at, heard);
        Interest::Done
    }

    /// Payload of `side` was lost here; following resumes at the next line or record.
    pub(crate) fn gap(&mut self, side: Side) {
        let _ = side;
    }

    /// The flow has ended: unanswered questions are reported.
    pub(crate) fn end(&mut self, heads: Heads<'_>, heard: &mut dyn FnMut(Heard<'_>)) {
        let _ = (heads, heard);
    }

    /// Whether what was fed for the current burst obeys the identified protocol.
    /// The flow table asks when it closes a burst.
    pub(crate) fn grammar(&self) -> Grammar {
        Grammar::None
    }

    /// The identified protocols, outermost first.
    pub(crate) fn names(&self) -> &[&'static str] {
        &[]
    }

    /// The client's fingerprint, where there was a ClientHello.
    pub(crate) fn ja4(&self) -> Option<&str> {
        None
    }
}
