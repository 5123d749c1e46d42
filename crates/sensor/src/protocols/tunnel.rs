//! What a proxy tunnels: a stream of its own, identified and followed like any other.

use alloc::boxed::Box;
use alloc::vec::Vec;

use observation::{Grammar, Side, Time, Transport};

use super::datagrams::{DATAGRAM_COUNT_MAX, Datagrams, FIRST_BYTES_MAX, LATER_BYTES_MAX};
use super::stun::is_own;
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
    beside: Beside,
}

/// Who else sends there, and is no part of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    Nobody,
    Stun,
}

impl Tunnel {
    pub(super) fn at_depth(depth: u8, beside: Beside) -> Self {
        Self(Box::new(Stream {
            recognizer: Recognizer::at_depth(depth),
            opener: Vec::new(),
            answerer: Vec::new(),
            first: None,
            interest: Interest::Heads,
            beside,
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
        if stream.beside == Beside::Stun && is_own(bytes) {
            return;
        }
        let first = Some(*stream.first.get_or_insert(side));
        if stream.interest == Interest::Heads {
            let head = match side {
                Side::Originator => &mut stream.opener,
                Side::Responder => &mut stream.answerer,
            };
            keep(head, transport, bytes);
        }
        let (opener, answerer) = (&*stream.opener, &*stream.answerer);
        let start = Start::Seen;
        let heads = if transport == Transport::Udp {
            let [(opener, more), (answerer, others)] =
                [opener, answerer].map(Datagrams::split_first);
            Heads { opener, answerer, first, transport, start, later: [more, others] }
        } else {
            Heads { opener, answerer, first, transport, start, later: Default::default() }
        };
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

    /// How much memory it holds beside itself.
    pub(super) fn held(&self) -> usize {
        let heads = self.0.opener.capacity() + self.0.answerer.capacity();
        size_of::<Stream>() + heads + self.0.recognizer.held()
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

/// As the flow keeps its own heads.
fn keep(head: &mut Vec<u8>, transport: Transport, bytes: &[u8]) {
    let room = HEAD_BYTES_MAX.saturating_sub(head.len());
    if transport != Transport::Udp {
        head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        return;
    }
    let bytes_max = if head.is_empty() { FIRST_BYTES_MAX } else { LATER_BYTES_MAX };
    let kept = bytes.get(..bytes_max).unwrap_or(bytes);
    if let Ok(length) = u16::try_from(bytes.len())
        && kept.len() + 2 <= room
    {
        head.extend_from_slice(&length.to_be_bytes());
        head.extend_from_slice(kept);
    }
}

const _: () = assert!(
    2 + FIRST_BYTES_MAX + (DATAGRAM_COUNT_MAX as usize - 1) * (2 + LATER_BYTES_MAX)
        <= HEAD_BYTES_MAX
);
