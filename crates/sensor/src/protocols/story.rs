//! Tells a conversation to a recognizer as the flow table would, for the tests of every protocol.
//!
//! Each story is told whole, and again one byte at a time: the verdicts must be the same.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use observation::{Certainty, Grammar, Side, Time, Transport};

use super::datagrams::{Datagrams, FIRST_BYTES_MAX, LATER_BYTES_MAX};
use super::{Heads, Heard, Recognizer, Start};

/// As large as the flow table's heads.
pub(super) const HEAD_BYTES_MAX: usize = 2048;

/// What a recognizer made of a conversation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Story {
    pub(super) names: Vec<&'static str>,
    pub(super) certainty: Option<Certainty>,
    pub(super) left: Option<Side>,
    /// One for each turn.
    pub(super) grammars: Vec<Grammar>,
    /// The exchanges and hellos, as they are written by `Debug`.
    pub(super) facts: Vec<String>,
    pub(super) ja4: Option<Box<str>>,
}

pub(super) type Turn<'a> = (Side, &'a [u8]);

pub(super) fn client<const N: usize>(bytes: &[u8; N]) -> Turn<'_> {
    (Side::Originator, bytes)
}

pub(super) fn server<const N: usize>(bytes: &[u8; N]) -> Turn<'_> {
    (Side::Responder, bytes)
}

impl Story {
    /// Over TCP.
    pub(super) fn of(turns: &[Turn<'_>]) -> Self {
        let whole = Self::cut(turns, usize::MAX);
        let bytewise = Self::cut(turns, 1);
        assert_eq!(
            (&whole.names, whole.left, &whole.facts),
            (&bytewise.names, bytewise.left, &bytewise.facts)
        );
        whole
    }

    /// Over UDP: every turn is a datagram.
    pub(super) fn of_datagrams(turns: &[Turn<'_>]) -> Self {
        Self::told(Teller::new(Transport::Udp), turns, usize::MAX)
    }

    /// Over TCP in segments of this size.
    pub(super) fn cut(turns: &[Turn<'_>], segment_bytes: usize) -> Self {
        Self::told(Teller::new(Transport::Tcp), turns, segment_bytes)
    }

    /// Over TCP, as it looks to a capture that began in the middle of it.
    pub(super) fn of_midstream(turns: &[Turn<'_>]) -> Self {
        let [whole, bytewise] = [usize::MAX, 1].map(|segment_bytes| {
            let teller = Teller { start: Start::Missed, ..Teller::new(Transport::Tcp) };
            Self::told(teller, turns, segment_bytes)
        });
        assert_eq!((&whole.names, whole.left), (&bytewise.names, bytewise.left));
        whole
    }

    fn told(mut teller: Teller, turns: &[Turn<'_>], segment_bytes: usize) -> Self {
        for (side, bytes) in turns {
            teller.turn(*side, bytes, segment_bytes);
        }
        teller.end()
    }

    pub(super) fn is_nothing(&self) {
        assert!(self.names.is_empty(), "{self:?}");
    }

    pub(super) fn is_confirmed(&self, name: &str) {
        assert_eq!((&*self.names, self.certainty), (&[name][..], Some(Certainty::Confirmed)));
    }

    pub(super) fn is_only_proposed(&self, name: &str) {
        assert_eq!(self.names, [name], "{self:?}");
        assert!(matches!(self.certainty, Some(Certainty::Proposed(_))), "{self:?}");
    }

    /// Every turn from `index` on obeys.
    pub(super) fn is_obeyed_after(&self, index: usize) {
        assert_eq!(self.left, None, "{self:?}");
        assert!(self.grammars[index..].iter().all(|each| *each == Grammar::Obeyed), "{self:?}");
    }

    /// The turns before `index` obey, and nothing is left.
    pub(super) fn is_obeyed_until(&self, index: usize) {
        assert_eq!(self.left, None, "{self:?}");
        assert!(self.grammars[..index].iter().all(|each| *each == Grammar::Obeyed), "{self:?}");
    }

    pub(super) fn is_left_by_client(&self) {
        assert_eq!(self.left, Some(Side::Originator), "{self:?}");
        assert_eq!(self.grammars.last(), Some(&Grammar::Left));
    }

    pub(super) fn is_left_by_server(&self) {
        assert_eq!(self.left, Some(Side::Responder), "{self:?}");
        assert_eq!(self.grammars.last(), Some(&Grammar::Left));
    }
}

/// Plays the flow table.
pub(super) struct Teller {
    transport: Transport,
    start: Start,
    recognizer: Recognizer,
    kept: [Vec<u8>; 2],
    first: Option<Side>,
    story: Story,
}

impl Teller {
    pub(super) fn new(transport: Transport) -> Self {
        Self {
            transport,
            start: Start::Seen,
            recognizer: Recognizer::default(),
            kept: [Vec::new(), Vec::new()],
            first: None,
            story: Story::default(),
        }
    }

    pub(super) fn turn(&mut self, side: Side, bytes: &[u8], segment_bytes: usize) {
        for segment in bytes.chunks(segment_bytes.min(bytes.len()).max(1)) {
            self.segment(side, segment);
        }
        self.story.grammars.push(self.recognizer.grammar());
    }

    /// So many bytes were not captured.
    pub(super) fn lose(&mut self, side: Side, lost: u32) {
        self.recognizer.gap(side, lost);
    }

    fn segment(&mut self, side: Side, bytes: &[u8]) {
        self.first = self.first.or(Some(side));
        keep(&mut self.kept[side as usize], self.transport, bytes);
        let heads = heads(&self.kept, self.transport, self.start, self.first);
        let story = &mut self.story;
        self.recognizer.bytes(heads, side, bytes, Time(1), &mut |heard| story.hear(&heard));
    }

    pub(super) fn end(mut self) -> Story {
        let nothing = [Vec::new(), Vec::new()];
        let heads = heads(&nothing, self.transport, self.start, self.first);
        let story = &mut self.story;
        self.recognizer.end(heads, &mut |heard| story.hear(&heard));
        self.story.names = self.recognizer.names().to_vec();
        self.story.ja4 = self.recognizer.ja4().map(Box::from);
        self.story
    }
}

fn keep(kept: &mut Vec<u8>, transport: Transport, bytes: &[u8]) {
    let room = HEAD_BYTES_MAX - kept.len();
    if transport != Transport::Udp {
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        return;
    }
    let bytes_max = if kept.is_empty() { FIRST_BYTES_MAX } else { LATER_BYTES_MAX };
    let mut framed = Vec::from(u16::try_from(bytes.len()).unwrap().to_be_bytes());
    framed.extend_from_slice(&bytes[..bytes.len().min(bytes_max)]);
    kept.extend_from_slice(&framed[..framed.len().min(room)]);
}

fn heads(
    kept: &[Vec<u8>; 2],
    transport: Transport,
    start: Start,
    first: Option<Side>,
) -> Heads<'_> {
    let [opener, answerer] = kept.each_ref().map(|kept| &**kept);
    if transport != Transport::Udp {
        let later = [Datagrams::default(); 2];
        return Heads { opener, answerer, first, transport, start, later };
    }
    let [(opener, after_opener), (answerer, after_answerer)] =
        [opener, answerer].map(Datagrams::split_first);
    let later = [after_opener, after_answerer];
    Heads { opener, answerer, first, transport, start, later }
}

impl Story {
    fn hear(&mut self, heard: &Heard<'_>) {
        match heard {
            Heard::Identified { certainty, .. } => self.certainty = Some(*certainty),
            Heard::Left { side, .. } => {
                assert_eq!(self.left, None, "a protocol is left once");
                self.left = Some(*side);
            }
            fact => self.facts.push(format!("{fact:?}")),
        }
    }
}
