//! One flow: its state, and what happens to it.

mod announced;
mod burst;
mod echo;
mod ending;
mod entropy;
mod heads;
mod likeness;
mod lines;
mod opener;
mod quota;
mod reorder;
mod sample;
mod stream;
mod table;
mod tcp;
mod voice;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use observation::{
    Certainty, ConnState, Counts, Fact, Flaws, FlowClosed, FlowEstablished, FlowId, FlowKey,
    FlowOpened, Likeness, LocalSide, Observation, ProtocolIdentified, Side, SourceId, Span, Time,
    Transport, Tunnelled,
};

pub(crate) use announced::{Announcement, Expected};
pub(crate) use burst::SamplePool;
pub(crate) use heads::HeadPool;
pub(crate) use opener::{Opener, opening};
pub(crate) use quota::Quota;
pub(crate) use table::{Slot, Table};

use self::burst::BurstState;
use self::echo::Echoes;
use self::heads::FlowHeads;
use self::reorder::Queue;
use self::tcp::Stage;
use self::voice::{Voice, voice};
use crate::decode::{Kind, Outer, Segment};
use crate::protocols::{Datagrams, Heads, Interest, Recognizer, Start, name_by_number};
use crate::{Limits, Tally, community};

/// Packets follow the end of a TCP conversation for about a round trip; a new SYN ends the wait.
const CLOSE_LINGER: Span = Span::from_secs(1);
/// A flow's own memory, with what it points to left out.
const FLOW_BYTES_MAX: usize = 448;
const _: () = assert!(size_of::<Option<Flow>>() <= FLOW_BYTES_MAX);

/// Where Observations go.
pub(crate) type Out<'o> = dyn FnMut(&Observation<'_>) + 'o;

/// What all flows share.
#[derive(Debug)]
pub(crate) struct Pools {
    pub limits: Limits,
    pub tally: Tally,
    pub heads: HeadPool,
    pub samples: SamplePool,
    pub reorder: Quota,
    /// Bytes that followers hold.
    pub followers: Quota,
}

/// One flow.
#[derive(Debug)]
pub(crate) struct Flow {
    pub key: FlowKey,
    pub id: FlowId,
    /// Tells this flow from a later one in the same slot.
    pub serial: u32,
    /// The overlay's network, where its addresses mean something of their own; 0 for none.
    pub overlay: u32,
    pub shard: u8,
    /// The deadline of its valid timer.
    pub timer_at: Time,
    pub end: Time,
    start: Time,
    order: u64,
    witness: SourceId,
    local: LocalSide,
    flaws: Flaws,
    halves: [Half; 2],
    first_speaker: Option<Side>,
    /// What the first words of each side look like, where no protocol explained them.
    likeness: [Option<Likeness>; 2],
    established: Established,
    interest: Interest,
    responder_bytes_after_close: u64,
    burst: BurstState,
    heads: FlowHeads,
    early: Option<Box<[Option<Queue>; 2]>>,
    recognizer: Recognizer,
    /// What another conversation has announced it as.
    pub announced: Option<&'static str>,
    /// What it has announced itself.
    pub announces: Option<Announcement>,
    /// How its echoes compare, where it has any.
    echoes: Option<Box<Echoes>>,
}

/// One side of a flow.
#[derive(Clone, Copy, Debug, Default)]
struct Half {
    counts: Counts,
    stage: Stage,
    /// Which of the numbers below are known.
    knows: Knows,
    /// Its initial sequence number.
    initial: u32,
    /// The next byte to deliver.
    next: u32,
    /// Up to where the other side has acknowledged it.
    acked: u32,
    /// The number of its FIN.
    fin: u32,
    /// Where the last segment ended whose number was out of all proportion.
    astray: u32,
    /// The last hole that was given up: its bytes are still welcome.
    hole: (u32, u32),
}

/// Which sequence numbers of a side are known.
#[derive(Clone, Copy, Debug, Default)]
struct Knows {
    initial: bool,
    next: bool,
    fin: bool,
    astray: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Established {
    Yes,
    No,
}

/// What a new flow starts from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birth {
    pub key: FlowKey,
    pub id: FlowId,
    /// The overlay's network; 0 for none.
    pub overlay: u32,
    pub shard: u8,
    pub at: Time,
    pub witness: SourceId,
    pub local: LocalSide,
    pub flaws: Flaws,
}

impl Flow {
    /// A flow of which nothing has been seen yet; it is told as opened.
    pub(crate) fn open(
        birth: &Birth,
        outer: Option<Outer>,
        pools: &mut Pools,
        out: &mut Out<'_>,
    ) -> Self {
        let mut flow = Self {
            key: birth.key,
            id: birth.id,
            serial: 0,
            overlay: birth.overlay,
            shard: birth.shard,
            timer_at: Time::NEVER,
            end: birth.at,
            start: birth.at,
            order: 0,
            witness: birth.witness,
            local: birth.local,
            flaws: birth.flaws,
            halves: [Half::default(); 2],
            first_speaker: None,
            likeness: [None; 2],
            established: Established::No,
            interest: Interest::Heads,
            responder_bytes_after_close: 0,
            burst: BurstState::new(birth.at),
            heads: FlowHeads::default(),
            early: None,
            recognizer: Recognizer::default(),
            announced: None,
            announces: None,
            echoes: None,
        };
        pools.tally.flows_opened += 1;
        let opened = FlowOpened { flow: flow.id, key: flow.key, local: flow.local };
        flow.tell(birth.at, Fact::FlowOpened(opened), out);
        if let Some(Outer { kind, from, to, network }) = outer {
            let tunnelled = Tunnelled { flow: flow.id, kind, from, to, network };
            flow.tell(birth.at, Fact::Tunnelled(tunnelled), out);
        }
        flow
    }

    /// Which side sent this.
    pub(crate) fn side_of(&self, segment: &Segment<'_>) -> Side {
        if segment.from == self.key.originator { Side::Originator } else { Side::Responder }
    }

    /// The flow's next packet.
    pub(crate) fn segment(
        &mut self,
        segment: &Segment<'_>,
        flaws: Flaws,
        at: Time,
        pools: &mut Pools,
        out: &mut Out<'_>,
    ) {
        let side = self.side_of(segment);
        self.flaws = self.flaws.with(segment.flaws).with(flaws);
        self.end = self.end.max(at);
        let half = self.half_mut(side);
        half.counts.packets += 1;
        half.counts.ip_bytes += u64::from(segment.ip_bytes);
        match segment.kind {
            Kind::Tcp { seq, ack, flags } => {
                self.tcp(&tcp::Arrival { side, seq, ack, flags, at }, segment, pools, out);
            }
            Kind::Datagram | Kind::Answer => self.datagram(side, segment, at, pools, out),
            Kind::Echo(number) | Kind::EchoReply(number) => {
                self.datagram(side, segment, at, pools, out);
                self.echo(number, segment, at, out);
            }
            Kind::Report => {
                half.counts.payload_bytes += u64::from(segment.payload_len);
            }
        }
    }

    fn datagram(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        at: Time,
        pools: &mut Pools,
        out: &mut Out<'_>,
    ) {
        if self.halves.iter().all(|half| half.counts.packets > 0) {
            self.establish(at, out);
        }
        if segment.payload_len > 0 {
            self.deliver(side, segment.payload, segment.payload_len, at, pools, out);
        }
    }

    fn establish(&mut self, at: Time, out: &mut Out<'_>) {
        if self.established == Established::No {
            self.established = Established::Yes;
            self.burst.established(at);
            self.tell(at, Fact::FlowEstablished(FlowEstablished { flow: self.id }), out);
        }
    }

    /// When something happens to the flow if no packet comes.
    pub(crate) fn deadline(&self, limits: &Limits) -> Time {
        let idle = self.end + self.idle_max(limits);
        let burst = self.burst.deadline();
        let hole = self.early.as_ref().map_or(Time::NEVER, |early| {
            early.iter().flatten().map(Queue::deadline).min().unwrap_or(Time::NEVER)
        });
        idle.min(burst).min(hole)
    }

    fn idle_max(&self, limits: &Limits) -> Span {
        match self.key.transport {
            Transport::Tcp if self.is_closed() => CLOSE_LINGER,
            Transport::Tcp if self.half(Side::Responder).counts.packets == 0 => limits.attempt_idle,
            Transport::Tcp => limits.tcp_idle,
            _ => limits.datagram_idle,
        }
    }

    /// Its deadline has come. `Fate::Ends` where the flow has to be closed now.
    pub(crate) fn expire(&mut self, at: Time, pools: &mut Pools, out: &mut Out<'_>) -> Fate {
        if self.burst.deadline() <= at {
            self.close_burst(at, pools, out);
            return Fate::Lives;
        }
        for side in [Side::Originator, Side::Responder] {
            if self.hole_deadline(side) <= at {
                self.give_up_hole(side, at, pools, out);
                return Fate::Lives;
            }
        }
        if self.end + self.idle_max(&pools.limits) <= at { Fate::Ends } else { Fate::Lives }
    }

    /// The end: what waits is delivered, what is open is closed, and the flow is told as closed.
    pub(crate) fn close(&mut self, at: Time, flaws: Flaws, pools: &mut Pools, out: &mut Out<'_>) {
        for side in [Side::Originator, Side::Responder] {
            while self.hole_deadline(side) < Time::NEVER {
                self.give_up_hole(side, at, pools, out);
            }
        }
        self.close_burst(at, pools, out);
        let heads = kept_heads!(self, &pools.heads);
        let mut voice = Voice { at, ..voice!(self, out) };
        self.recognizer.end(heads, &mut |heard| voice.hear(heard));
        self.heads.free(&mut pools.heads, self.key.port);
        pools.followers.give_back(self.key.port, self.recognizer.weight());
        self.tell_announced(at, out);
        self.tell_echoes(at, out);
        self.flaws = self.flaws.with(flaws);
        if self.is_one_sided() {
            self.flaws = self.flaws.with(Flaws::ONE_SIDED);
        }
        pools.tally.flows_closed += 1;
        let protocols: Vec<_> = self.protocols().map(Cow::Borrowed).collect();
        let closed = FlowClosed {
            flow: self.id,
            key: self.key,
            local: self.local,
            start: self.start,
            end: self.end,
            state: self.conn_state(),
            originator: self.half(Side::Originator).counts,
            responder: self.half(Side::Responder).counts,
            responder_bytes_after_close: self.responder_bytes_after_close,
            burst_count: self.burst.index(),
            likeness: if protocols.is_empty() { self.likeness } else { [None; 2] },
            protocols,
            ja4: self.recognizer.ja4().map(Cow::Borrowed),
            community_id: Cow::Owned(community::id(&self.key)),
            flaws: self.flaws,
        };
        let order = self.order;
        out(&Observation { at, witness: self.witness, order, fact: Fact::FlowClosed(closed) });
        self.order += 1;
    }

    /// What it speaks, outermost first.
    fn protocols(&self) -> impl Iterator<Item = &'static str> {
        let named = self.recognizer.names().iter().copied();
        let announced = self.announced.filter(|_| self.recognizer.names().is_empty());
        named.chain(announced).chain(name_by_number(self.key.transport))
    }

    /// What nobody claims by its bytes is what it was announced as, and no more than that.
    fn tell_announced(&mut self, at: Time, out: &mut Out<'_>) {
        if let Some(name) = self.announced.filter(|_| self.recognizer.names().is_empty())
            && self.first_speaker.is_some()
        {
            let (flow, protocol) = (self.id, Cow::Borrowed(name));
            let certainty = Certainty::Proposed(Side::Originator);
            let fact = ProtocolIdentified { flow, protocol, certainty };
            self.tell(at, Fact::ProtocolIdentified(fact), out);
        }
    }

    /// Whether it was a conversation that no protocol claims.
    pub(crate) fn is_unclaimed(&self) -> bool {
        self.established == Established::Yes && self.recognizer.names().is_empty()
    }

    fn conn_state(&self) -> ConnState {
        let [originator, responder] = &self.halves;
        match self.key.transport {
            Transport::Tcp => tcp::conn_state(originator, responder),
            Transport::Udp => match (originator.counts.packets > 0, responder.counts.packets > 0) {
                (true, true) => ConnState::SF,
                (true, false) => ConnState::S0,
                (false, true) => ConnState::SHR,
                (false, false) => ConnState::Oth,
            },
            Transport::Icmp | Transport::Other(_) => ConnState::Oth,
        }
    }

    fn half(&self, side: Side) -> &Half {
        let [originator, responder] = &self.halves;
        match side {
            Side::Originator => originator,
            Side::Responder => responder,
        }
    }

    fn half_mut(&mut self, side: Side) -> &mut Half {
        let [originator, responder] = &mut self.halves;
        match side {
            Side::Originator => originator,
            Side::Responder => responder,
        }
    }

    fn tell(&mut self, at: Time, fact: Fact<'_>, out: &mut Out<'_>) {
        out(&Observation { at, witness: self.witness, order: self.order, fact });
        self.order += 1;
    }
}

/// Whether a flow goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Lives,
    Ends,
}

/// A flow's heads as its recognizer wants them, field by field, so that its others stay free.
macro_rules! kept_heads {
    ($flow:expr, $pool:expr) => {{
        let kept = [Side::Originator, Side::Responder].map(|side| $flow.heads.of($pool, side));
        heads_of(kept, $flow.first_speaker, $flow.key.transport, start_of(&$flow.halves))
    }};
}
use kept_heads;

fn heads_of(
    kept: [&[u8]; 2],
    first: Option<Side>,
    transport: Transport,
    start: Start,
) -> Heads<'_> {
    if transport == Transport::Udp {
        let [(opener, after_opener), (answerer, after_answerer)] = kept.map(Datagrams::split_first);
        let later = [after_opener, after_answerer];
        return Heads { opener, answerer, first, transport, start: Start::Seen, later };
    }
    let [opener, answerer] = kept;
    Heads { opener, answerer, first, transport, start, later: Default::default() }
}

fn start_of(halves: &[Half; 2]) -> Start {
    if halves.iter().any(|half| half.knows.initial) { Start::Seen } else { Start::Missed }
}
