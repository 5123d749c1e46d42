//! Bursts: runs of payload in one direction, the unit in which people and machines converse.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use observation::{Burst, Echo, Fact, Grammar, PortId, Shape, Side, Span, Tail, Time};

use super::ending::Said;
use super::quota::Quota;
use super::sample::{Look, Sample, TEXT_PERCENT_MIN};
use super::{Flow, Out, Pools};
use crate::protocols::Interest;

/// A pause that ends a burst: longer than a machine takes to go on, shorter than a person to read.
const BURST_IDLE: Span = Span::from_millis(250);
/// Bursts that every flow tells: what is encrypted looks the same for ever after.
const BURST_TOLD_MAX: u32 = 256;

/// The current burst of a flow, and what is remembered of the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct BurstState {
    state: State,
    side: Side,
    segments: u32,
    index: u32,
    sample: Option<SampleId>,
    start: Time,
    end: Time,
    bytes: u64,
    /// When the pause before it began.
    pause_from: Time,
    /// What the burst before said, and who said it.
    said: Said,
    said_by: Side,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody speaks.
    Silent,
    /// Somebody does.
    Open,
    /// Somebody does, and it will only be counted.
    Untold,
}

/// A sample's number plus one.
#[derive(Clone, Copy, Debug)]
pub(super) struct SampleId(NonZeroU32);

/// The samples of all open bursts; they are made on demand and never given back.
#[derive(Debug)]
pub(crate) struct SamplePool {
    #[allow(clippy::vec_box, reason = "growing must not copy what is inside")]
    samples: Vec<Box<Sample>>,
    free: Vec<SampleId>,
    quota: Quota,
}

impl SamplePool {
    pub(crate) fn new(count_max: u32) -> Self {
        Self { samples: Vec::new(), free: Vec::new(), quota: Quota::new(count_max) }
    }

    fn take(&mut self, port: PortId) -> Option<SampleId> {
        if self.quota.room(port) == 0 {
            return None;
        }
        self.quota.take(port, 1);
        if let Some(id) = self.free.pop() {
            return Some(id);
        }
        self.samples.push(Box::new(Sample::new()));
        NonZeroU32::new(u32::try_from(self.samples.len()).ok()?).map(SampleId)
    }

    fn give_back(&mut self, id: SampleId, port: PortId) {
        self.quota.give_back(port, 1);
        if let Some(sample) = self.get_mut(id) {
            sample.clear();
        }
        self.free.push(id);
    }

    fn get(&self, id: SampleId) -> Option<&Sample> {
        self.samples.get(id.0.get() as usize - 1).map(|sample| &**sample)
    }

    fn get_mut(&mut self, id: SampleId) -> Option<&mut Sample> {
        self.samples.get_mut(id.0.get() as usize - 1).map(|sample| &mut **sample)
    }
}

impl BurstState {
    pub(super) const fn new(at: Time) -> Self {
        Self {
            state: State::Silent,
            side: Side::Originator,
            segments: 0,
            index: 0,
            sample: None,
            start: at,
            end: at,
            bytes: 0,
            pause_from: at,
            said: Said::NOTHING,
            said_by: Side::Originator,
        }
    }

    /// Bursts closed so far, and so the number of the current one.
    pub(super) const fn index(&self) -> u32 {
        self.index
    }

    /// The first burst's pause begins when the flow is established.
    pub(super) fn established(&mut self, at: Time) {
        if self.index == 0 && self.state == State::Silent {
            self.pause_from = at;
        }
    }

    /// What comes next was sent together with what is not acknowledged yet: it had to wait for
    /// that, and whoever said it has not been silent.
    pub(super) fn waited_for_the_network(&mut self, at: Time) {
        if self.state == State::Silent {
            self.pause_from = at;
        }
    }

    /// When the burst ends by a pause.
    pub(super) fn deadline(&self) -> Time {
        if self.state == State::Silent { Time::NEVER } else { self.end + BURST_IDLE }
    }
}

impl Flow {
    /// Payload that belongs to the current burst, or begins one.
    pub(super) fn add_to_burst(
        &mut self,
        side: Side,
        bytes: &[u8],
        len: u32,
        at: Time,
        pools: &mut Pools,
        out: &mut Out<'_>,
    ) {
        if self.burst.state != State::Silent && self.burst.side != side {
            self.close_burst(at, pools, out);
        }
        if self.burst.state == State::Silent {
            self.open_burst(side, at, pools);
        }
        let is_explained = self.recognizer.is_obeyed();
        let look = if is_explained { Look::Glance } else { Look::Texture };
        let burst = &mut self.burst;
        burst.end = burst.end.max(at);
        burst.bytes += u64::from(len);
        burst.segments = burst.segments.saturating_add(1);
        if let Some(sample) = burst.sample.and_then(|id| pools.samples.get_mut(id)) {
            sample.add(bytes, look);
        }
    }

    /// The first bytes of what this side is saying now, and how much it has said.
    pub(super) fn burst_excerpt<'p>(&self, side: Side, samples: &'p SamplePool) -> (&'p [u8], u32) {
        let burst = &self.burst;
        if burst.state != State::Open || burst.side != side {
            return (&[], 0);
        }
        let sample = burst.sample.and_then(|id| samples.get(id));
        (sample.map_or(&[], Sample::excerpt), burst.bytes as u32)
    }

    fn open_burst(&mut self, side: Side, at: Time, pools: &mut Pools) {
        // A decided flow without a follower cannot say anything new.
        let untold = self.burst.index >= BURST_TOLD_MAX
            && (self.interest == Interest::Done || self.recognizer.is_only_watched())
            && self.recognizer.grammar() == Grammar::Unchecked;
        let burst = &mut self.burst;
        (burst.side, burst.start, burst.end) = (side, at, at);
        (burst.bytes, burst.segments) = (0, 0);
        burst.state = if untold { State::Untold } else { State::Open };
        burst.sample = if untold { None } else { pools.samples.take(self.key.port) };
        if !untold && burst.sample.is_none() {
            pools.tally.bursts_unsampled += 1;
        }
    }

    /// Tells the current burst, if there is one.
    pub(super) fn close_burst(&mut self, at: Time, pools: &mut Pools, out: &mut Out<'_>) {
        let burst = self.burst;
        let grammar = match burst.state {
            State::Silent => return,
            State::Untold => Grammar::Unchecked,
            State::Open => self.recognizer.grammar(),
        };
        let sample = burst.sample.and_then(|id| pools.samples.get(id));
        let said = if burst.said_by == burst.side { Said::NOTHING } else { burst.said };
        let look = match grammar {
            Grammar::None | Grammar::Left => Look::Texture,
            Grammar::Unchecked | Grammar::Obeyed => Look::Glance,
        };
        let shape = sample.map_or(UNSAMPLED, |sample| sample.shape(said, look));
        if let (Some(texture), Some(first)) =
            (shape.texture, self.likeness.get_mut(burst.side as usize))
        {
            first.get_or_insert(texture.likeness);
        }
        if burst.index >= BURST_TOLD_MAX && is_dull(grammar, shape) {
            pools.tally.bursts_untold += 1;
            self.burst.said = Said::NOTHING;
        } else {
            let excerpt = sample.map_or(&[][..], Sample::excerpt);
            // Only text is typed, and shown as it is typed.
            let is_text = shape.printable_percent >= TEXT_PERCENT_MIN;
            self.burst.said = if is_text { Said::of(excerpt) } else { Said::NOTHING };
            self.tell_burst(grammar, shape, excerpt, at, out);
        }
        self.burst.said_by = burst.side;
        if let Some(id) = self.burst.sample.take() {
            pools.samples.give_back(id, self.key.port);
        }
        self.burst.state = State::Silent;
        self.burst.pause_from = burst.end;
        self.burst.index = burst.index.saturating_add(1);
    }

    fn tell_burst(
        &mut self,
        grammar: Grammar,
        shape: Shape,
        excerpt: &[u8],
        at: Time,
        out: &mut Out<'_>,
    ) {
        let burst = self.burst;
        let told = Burst {
            flow: self.id,
            index: burst.index,
            side: burst.side,
            start: burst.start,
            end: burst.end,
            pause_before: burst.start.since(burst.pause_from),
            bytes: burst.bytes,
            segments: burst.segments,
            shape,
            grammar,
            excerpt: Cow::Borrowed(excerpt),
        };
        self.tell(at, Fact::Burst(told), out);
    }
}

/// What is encrypted, or binary as its protocol demands, is only counted in the end. Text, and what
/// no protocol explains, is told for ever: a command may come at any time.
fn is_dull(grammar: Grammar, shape: Shape) -> bool {
    match grammar {
        Grammar::Unchecked => true,
        Grammar::Obeyed => shape.printable_percent < TEXT_PERCENT_MIN,
        Grammar::None | Grammar::Left => false,
    }
}

/// The shape of a burst for which there was no room: nothing is claimed about it.
const UNSAMPLED: Shape =
    Shape { printable_percent: 0, tail: Tail::Open, echo: Echo::None, texture: None };
