//! Packets by hand, for tests only.

use std::net::{IpAddr, SocketAddr};

use observation::{Burst, Fact, FlowClosed, Observation, PortId, SourceId, Time};
use sensor::{Direction, Lane, Limits, LinkType, Packet, Sensor};

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// When every test begins.
pub(crate) const START_MS: u64 = 1_790_000_000_000;

pub(crate) const CLIENT: &str = "172.17.0.2:52224";
pub(crate) const SERVER: &str = "198.51.100.10:4444";

/// One frame and how it was captured.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub at: Time,
    pub port: PortId,
    pub direction: Direction,
    pub link: LinkType,
    pub bytes: Vec<u8>,
}

impl Frame {
    pub(crate) fn packet(&self) -> Packet<'_> {
        Packet {
            at: self.at,
            source: SourceId(1),
            link: self.link,
            port: self.port,
            direction: self.direction,
            wire_len: u32::try_from(self.bytes.len()).unwrap(),
            bytes: &self.bytes,
        }
    }
}

pub(crate) const fn ms(since_start: u64) -> Time {
    Time((START_MS + since_start) * 1_000_000)
}

/// An IP packet.
pub(crate) fn ip(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let len = u16::try_from(payload.len()).unwrap();
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            bytes.extend([0x45, 0]);
            bytes.extend((len + 20).to_be_bytes());
            bytes.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend(len.to_be_bytes());
            bytes.extend([protocol, 64]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
        }
        _ => panic!("two families"),
    }
    bytes.extend(payload);
    bytes
}

pub(crate) fn udp_packet(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(from.port().to_be_bytes());
    bytes.extend(to.port().to_be_bytes());
    bytes.extend(u16::try_from(payload.len() + 8).unwrap().to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    ip(from.ip(), to.ip(), 17, &bytes)
}

pub(crate) fn tcp_packet(
    from: SocketAddr,
    to: SocketAddr,
    (seq, ack, flags): (u32, u32, u8),
    payload: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(from.port().to_be_bytes());
    bytes.extend(to.port().to_be_bytes());
    bytes.extend(seq.to_be_bytes());
    bytes.extend(ack.to_be_bytes());
    bytes.extend([0x50, flags, 1, 0, 0, 0, 0, 0]);
    bytes.extend(payload);
    ip(from.ip(), to.ip(), 6, &bytes)
}

/// Who sends in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Client,
    Server,
}
use self::By::{Client, Server};

/// A conversation between a container behind port 7 and a far end.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub client: SocketAddr,
    pub server: SocketAddr,
    pub port: PortId,
    pub client_seq: u32,
    pub server_seq: u32,
    pub now_ms: u64,
    pub frames: Vec<Frame>,
}

impl Talk {
    pub(crate) fn new() -> Self {
        Self::between(CLIENT, SERVER)
    }

    pub(crate) fn between(client: &str, server: &str) -> Self {
        Self {
            client: client.parse().unwrap(),
            server: server.parse().unwrap(),
            port: PortId(7),
            client_seq: 1000,
            server_seq: u32::MAX - 5,
            now_ms: 0,
            frames: Vec::new(),
        }
    }

    /// Time passes.
    pub(crate) fn wait(mut self, ms: u64) -> Self {
        self.now_ms += ms;
        self
    }

    fn push(&mut self, from: By, bytes: Vec<u8>) {
        let direction = if from == Client { Direction::Outward } else { Direction::Inward };
        let at = ms(self.now_ms);
        self.frames.push(Frame { at, port: self.port, direction, link: LinkType::RawIp, bytes });
    }

    const fn ends(&self, from: By) -> (SocketAddr, SocketAddr) {
        match from {
            Client => (self.client, self.server),
            Server => (self.server, self.client),
        }
    }

    /// A segment at these numbers, whatever was sent before.
    pub(crate) fn raw(mut self, from: By, numbers: (u32, u32, u8), payload: &[u8]) -> Self {
        let (sender, receiver) = self.ends(from);
        self.push(from, tcp_packet(sender, receiver, numbers, payload));
        self
    }

    /// The next segment.
    pub(crate) fn tcp(mut self, from: By, flags: u8, payload: &[u8]) -> Self {
        let (seq, ack) = match from {
            Client => (self.client_seq, self.server_seq),
            Server => (self.server_seq, self.client_seq),
        };
        let used = u32::try_from(payload.len()).unwrap() + u32::from(flags & (SYN | FIN) != 0);
        match from {
            Client => self.client_seq = self.client_seq.wrapping_add(used),
            Server => self.server_seq = self.server_seq.wrapping_add(used),
        }
        let ack = if flags & ACK == 0 { 0 } else { ack };
        self.raw(from, (seq, ack, flags), payload)
    }

    pub(crate) fn handshake(self) -> Self {
        self.tcp(Client, SYN, b"").tcp(Server, SYN | ACK, b"").tcp(Client, ACK, b"")
    }

    pub(crate) fn says(self, from: By, payload: &[u8]) -> Self {
        self.tcp(from, ACK, payload)
    }

    pub(crate) fn fin(self, from: By) -> Self {
        self.tcp(from, FIN | ACK, b"")
    }

    pub(crate) fn udp(mut self, from: By, payload: &[u8]) -> Self {
        let (sender, receiver) = self.ends(from);
        self.push(from, udp_packet(sender, receiver, payload));
        self
    }

    pub(crate) fn told(&self) -> Vec<Observation<'static>> {
        tell(&self.frames)
    }
}

/// Keeps an Observation beyond the call.
pub(crate) fn keep(told: &Observation<'_>) -> Observation<'static> {
    let bytes = postcard::to_allocvec(told).unwrap();
    postcard::from_bytes(Box::leak(bytes.into_boxed_slice())).unwrap()
}

pub(crate) fn sensor() -> Sensor {
    Sensor::new(Limits::default(), 1, Lane::ONLY)
}

/// Everything that is told of these frames.
pub(crate) fn tell(frames: &[Frame]) -> Vec<Observation<'static>> {
    let (mut sensor, mut all) = (sensor(), Vec::new());
    for frame in frames {
        sensor.packet(frame.packet(), &mut |told| all.push(keep(told)));
    }
    sensor.finish(&mut |told| all.push(keep(told)));
    all
}

pub(crate) fn bursts(told: &[Observation<'static>]) -> Vec<Burst<'static>> {
    let burst = |told: &Observation<'static>| match &told.fact {
        Fact::Burst(burst) => Some(burst.clone()),
        _ => None,
    };
    told.iter().filter_map(burst).collect()
}

pub(crate) fn closed(told: &[Observation<'static>]) -> Vec<FlowClosed<'static>> {
    let closed = |told: &Observation<'static>| match &told.fact {
        Fact::FlowClosed(closed) => Some(closed.clone()),
        _ => None,
    };
    told.iter().filter_map(closed).collect()
}

/// What was said, burst by burst.
pub(crate) fn excerpts(told: &[Observation<'static>]) -> Vec<String> {
    let text = |burst: &Burst<'_>| String::from_utf8_lossy(&burst.excerpt).into_owned();
    bursts(told).iter().map(text).collect()
}

/// Numbers that look random and are the same in every run (xorshift).
#[derive(Clone, Debug)]
pub(crate) struct Chance(pub u64);

impl Chance {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % end.max(1)
    }

    pub(crate) fn bytes(&mut self, len: u64) -> Vec<u8> {
        (0..len).map(|_| self.below(256) as u8).collect()
    }
}
