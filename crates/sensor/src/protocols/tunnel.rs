//! What a proxy tunnels: a stream of its own, identified and followed like any other.

use alloc::boxed::Box;
use alloc::vec::Vec;

use observation::{Grammar, Side, Time, Transport};

use super::{Heads, Heard, Interest, Recognizer, Start};

/// What is kept of each direction's beginning inside a tunnel.
const HEAD_BYTES_MAX: usize = 2048;

/// The stream inside.
#[derive(Debug)]
pub(super) struct Tunnel(Box<Stream>);

#[derive(Debug)]
struct Stream {
    recognizer: Recognizer,
    opener: Vec<u8>,
    answerer: Vec<u8>,
    first: Option<Side>,
    interest: Interest,
}

impl Tunnel {
    pub(super) fn at_depth(depth: u8) -> Self {
        Self(Box::new(Stream {
            recognizer: Recognizer::at_depth(depth),
            opener: Vec::new(),
            answerer: Vec::new(),
            first: None,
            interest: Interest::Heads,
        }))
    }

    pub(super) fn feed(
        &mut self,
        transport: Transport,
        side: Side,
        bytes: &[u8],
        at: Time,
        heard: &mut dyn FnMut(Heard<'_>),
    ) {
        let stream = &mut *self.0;
        let first = Some(*stream.first.get_or_insert(side));
        if stream.interest == Interest::Heads {
            let head = match side {
                Side::Originator => &mut stream.opener,
                Side::Responder => &mut stream.answerer,
            };
            let room = HEAD_BYTES_MAX.saturating_sub(head.len());
            head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
        let (opener, answerer) = (&stream.opener, &stream.answerer);
        let (start, later) = (Start::Seen, Default::default());
        let heads = Heads { opener, answerer, first, transport, start, later };
        stream.interest = stream.recognizer.bytes(heads, side, bytes, at, heard);
        if stream.interest != Interest::Heads {
            (stream.opener, stream.answerer) = (Vec::new(), Vec::new());
        }
    }

    pub(super) fn gap(&mut self, side: Side, lost: u32) {
        self.0.recognizer.gap(side, lost);
    }

    pub(super) fn end(&mut self, transport: Transport, heard: &mut dyn FnMut(Heard<'_>)) {
        let (start, later) = (Start::Seen, Default::default());
        let first = self.0.first;
        let heads = Heads { opener: &[], answerer: &[], first, transport, start, later };
        self.0.recognizer.end(heads, heard);
    }

    pub(super) fn grammar(&mut self) -> Grammar {
        self.0.recognizer.grammar()
    }

    pub(super) fn names(&self) -> &[&'static str] {
        self.0.recognizer.names()
    }

    pub(super) fn ja4(&self) -> Option<&str> {
        self.0.recognizer.ja4()
    }

    /// The heads of the flow itself are no longer of any use.
    pub(super) fn interest(&self) -> Interest {
        match self.0.interest {
            Interest::Heads | Interest::Stream => Interest::Stream,
            Interest::Done => Interest::Done,
        }
    }
}
