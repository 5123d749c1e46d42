//! One conversation as the sensor tells it: bursts that end when the other side speaks or pauses.

use std::borrow::Cow;
use std::net::IpAddr;

use observation::{
    Burst, Certainty, ConnState, Counts, Echo, Endpoint, Fact, Flaws, FlowClosed, FlowEstablished,
    FlowId, FlowKey, FlowOpened, Grammar, Handshake, LocalSide, PortId, ProtocolIdentified,
    ProtocolLeft, Shape, Side, Span, Tail, Time, TlsHello, TlsSession, Transport,
};

use crate::world::{Box_, at_ms, flow_id};

/// A pause of this length ends a burst.
const IDLE_MS: u64 = 250;

/// What is said in one.
pub(crate) type Speak = fn(&mut Talk);

/// A conversation under way. Its clock is in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub flow: FlowId,
    pub key: FlowKey,
    pub local: LocalSide,
    pub opened_ms: u64,
    pub now_ms: u64,
    pub protocols: Vec<&'static str>,
    pub extra: Vec<(u64, Fact<'static>)>,
    pub flaws: Flaws,
    established_ms: Option<u64>,
    bursts: Vec<(u64, Burst<'static>)>,
    open: Option<Burst<'static>>,
    closed: Option<(u64, ConnState)>,
}

impl Talk {
    /// A container opens a TCP connection, which is accepted a millisecond later.
    pub(crate) fn open(it: &Box_, near_port: u16, far: (IpAddr, u16), ms: u64) -> Self {
        Self::open_at(it.port, Transport::Tcp, (it.address, near_port), far, ms).accepted()
    }

    pub(crate) fn open_at(
        port: PortId,
        transport: Transport,
        near: (IpAddr, u16),
        far: (IpAddr, u16),
        ms: u64,
    ) -> Self {
        let end = |(address, port)| Endpoint { address, port };
        let key = FlowKey { port, transport, originator: end(near), responder: end(far) };
        Self {
            flow: flow_id(&(key, ms)),
            key,
            local: LocalSide::Originator,
            opened_ms: ms,
            now_ms: ms,
            protocols: Vec::new(),
            extra: Vec::new(),
            flaws: Flaws::NONE,
            established_ms: None,
            bursts: Vec::new(),
            open: None,
            closed: None,
        }
    }

    pub(crate) fn accepted(mut self) -> Self {
        self.now_ms += 1;
        self.established_ms = Some(self.now_ms);
        self
    }

    pub(crate) fn wait(&mut self, ms: u64) -> &mut Self {
        self.now_ms += ms;
        if let Some(open) = &self.open
            && self.now_ms - open.end.as_millis() >= IDLE_MS
        {
            let at = open.end.as_millis() + IDLE_MS;
            self.tell_burst(at);
        }
        self
    }

    /// The far end says this `pause` milliseconds later, in no known grammar.
    pub(crate) fn far(&mut self, pause: u64, text: &str) -> &mut Self {
        self.say(Side::Responder, pause, text, Grammar::None)
    }

    pub(crate) fn near(&mut self, pause: u64, text: &str) -> &mut Self {
        self.say(Side::Originator, pause, text, Grammar::None)
    }

    pub(crate) fn say(
        &mut self,
        side: Side,
        pause: u64,
        text: &str,
        grammar: Grammar,
    ) -> &mut Self {
        self.wait(pause);
        let at = at_ms(self.now_ms);
        if self.open.as_ref().is_some_and(|open| open.side != side) {
            self.tell_burst(self.now_ms);
        }
        if let Some(open) = &mut self.open {
            let mut bytes = open.excerpt.to_vec();
            bytes.extend_from_slice(text.as_bytes());
            open.bytes += text.len() as u64;
            open.segments += 1;
            open.end = at;
            open.shape = shape(&bytes, Echo::None);
            open.excerpt = Cow::Owned(bytes);
            return self;
        }
        let before = self.bursts.last().map(|(_, burst)| burst);
        let pause_from =
            before.map_or(self.established_ms.unwrap_or(self.opened_ms), |b| b.end.as_millis());
        let repeats = before.is_some_and(|before| {
            before.side != side && text.as_bytes().starts_with(&before.excerpt)
        });
        let echo = if repeats { Echo::Repeats } else { Echo::None };
        self.open = Some(Burst {
            flow: self.flow,
            index: u32::try_from(self.bursts.len()).unwrap(),
            side,
            start: at,
            end: at,
            pause_before: Span::from_millis(self.now_ms - pause_from),
            bytes: text.len() as u64,
            segments: 1,
            shape: shape(text.as_bytes(), echo),
            grammar,
            excerpt: Cow::Owned(text.as_bytes().to_vec()),
        });
        self
    }

    /// The sensor says so now.
    pub(crate) fn fact(&mut self, fact: Fact<'static>) -> &mut Self {
        self.extra.push((self.now_ms, fact));
        self
    }

    /// Both sides have spoken this protocol.
    pub(crate) fn speaks(&mut self, protocol: &'static str) -> &mut Self {
        self.identified(protocol, Certainty::Confirmed)
    }

    pub(crate) fn identified(&mut self, protocol: &'static str, certainty: Certainty) -> &mut Self {
        self.protocols.push(protocol);
        let (flow, protocol) = (self.flow, Cow::Borrowed(protocol));
        self.fact(Fact::ProtocolIdentified(ProtocolIdentified { flow, protocol, certainty }))
    }

    /// This side has stopped obeying the protocol, in the burst that begins now.
    pub(crate) fn leaves(&mut self, side: Side, protocol: &'static str) -> &mut Self {
        let (flow, protocol) = (self.flow, Cow::Borrowed(protocol));
        let burst = u32::try_from(self.bursts.len()).unwrap();
        self.fact(Fact::ProtocolLeft(ProtocolLeft { flow, protocol, side, burst }))
    }

    /// The container opens TLS.
    pub(crate) fn hello(&mut self, alpn: &'static str, ja4: &'static str) -> &mut Self {
        let (alpn, ja4) = (Cow::Borrowed(alpn), Cow::Borrowed(ja4));
        let alpn_offered = alpn.clone();
        let hello = TlsHello { flow: self.flow, alpn, alpn_offered, ja4, ..TlsHello::default() };
        self.fact(Fact::TlsHello(hello))
    }

    pub(crate) fn handshake(&mut self, outcome: Handshake) -> &mut Self {
        let session = TlsSession { flow: self.flow, outcome, ..TlsSession::default() };
        self.fact(Fact::TlsSession(session))
    }

    /// What is encrypted: so many bytes in one segment, in a protocol that is obeyed.
    pub(crate) fn sealed(&mut self, side: Side, pause: u64, bytes: usize) -> &mut Self {
        self.say(side, pause, &"\u{1}".repeat(bytes), Grammar::Obeyed)
    }

    /// Both sides close, or whatever happened where nobody accepted.
    pub(crate) fn end(&mut self) -> Self {
        let state = if self.established_ms.is_some() || self.key.transport != Transport::Tcp {
            ConnState::SF
        } else {
            ConnState::Rej
        };
        self.end_as(state)
    }

    pub(crate) fn end_as(&mut self, state: ConnState) -> Self {
        // The sensor waits longer for stragglers of the flow than for more of a burst.
        if let Some(open) = &self.open {
            self.tell_burst(open.end.as_millis() + IDLE_MS);
        }
        self.closed = Some((self.now_ms, state));
        self.clone()
    }

    fn tell_burst(&mut self, at_ms: u64) {
        self.bursts.extend(self.open.take().map(|open| (at_ms, open)));
    }

    fn bytes_of(&self, side: Side) -> u64 {
        let bursts = self.bursts.iter().filter(|(_, burst)| burst.side == side);
        bursts.map(|(_, burst)| burst.bytes).sum()
    }

    /// All its facts in order.
    pub(crate) fn told(&self) -> Vec<(Time, Fact<'static>)> {
        let opened = FlowOpened { flow: self.flow, key: self.key, local: self.local };
        let mut facts = vec![(self.opened_ms, Fact::FlowOpened(opened))];
        if let Some(ms) = self.established_ms {
            facts.push((ms, Fact::FlowEstablished(FlowEstablished { flow: self.flow })));
        }
        let mut middle = self.extra.clone();
        middle.extend(self.bursts.iter().map(|(ms, burst)| (*ms, Fact::Burst(burst.clone()))));
        middle.sort_by_key(|(ms, _)| *ms);
        facts.extend(middle);
        if let Some((ms, state)) = self.closed {
            let counts = |side| {
                let payload_bytes = self.bytes_of(side);
                Counts { packets: 4, payload_bytes, ip_bytes: payload_bytes + 160 }
            };
            let closed = FlowClosed {
                flow: self.flow,
                key: self.key,
                local: self.local,
                start: at_ms(self.opened_ms),
                end: at_ms(ms),
                state,
                originator: counts(Side::Originator),
                responder: counts(Side::Responder),
                responder_bytes_after_close: 0,
                burst_count: u32::try_from(self.bursts.len()).unwrap(),
                protocols: self.protocols.iter().map(|name| Cow::Borrowed(*name)).collect(),
                likeness: [None; 2],
                ja4: None,
                community_id: Cow::Borrowed("1:abc"),
                flaws: self.flaws,
            };
            // The sensor waits a second for stragglers.
            facts.push((ms + 1000, Fact::FlowClosed(closed)));
        }
        facts.into_iter().map(|(ms, fact)| (at_ms(ms), fact)).collect()
    }
}

/// The shape as the sensor would measure it.
pub(crate) fn shape(bytes: &[u8], echo: Echo) -> Shape {
    let nul = bytes.iter().filter(|byte| **byte == 0).count();
    let rest = (bytes.len() - nul).max(1);
    let legible = |byte: &&u8| matches!(**byte, b' '..=b'~' | b'\t' | b'\n' | b'\r' | 0x1b);
    let printable = bytes.iter().filter(legible).count();
    let percent = |part: usize, whole: usize| u8::try_from(part * 100 / whole.max(1)).unwrap();
    let last = bytes.rsplit(|byte| *byte == b'\n').next().unwrap();
    let tail = match last {
        [] => Tail::LineEnd,
        [.., b'#' | b'$' | b'>' | b':' | b')', b' '] if last.len() < 40 => Tail::Prompt,
        _ => Tail::Open,
    };
    Shape { printable_percent: percent(printable, rest), tail, echo, texture: None }
}
