//! Flows, as the sensor understands them from packets or a format from a flow log.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{IpAddress, Span, Time, digits};

/// The capture port: a host-side veth's ifindex when live, or the pcapng interface that stands for
/// it. [`PortId::UNKNOWN`] where a source has no ports (a plain capture, a flow log).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct PortId(pub u32);

impl PortId {
    /// The source does not say at which port it saw this.
    pub const UNKNOWN: Self = Self(0);
    const HOST: u32 = 1 << 31;

    /// The port of an interface that carries the host's own traffic (uplink, loopback, macvlan
    /// parent). Flows at it belong to whom their sockets say, and mostly to no container.
    #[must_use]
    pub const fn of_host(ifindex: u32) -> Self {
        Self(ifindex | Self::HOST)
    }

    /// Whether it is such a port.
    #[must_use]
    pub const fn is_of_host(self) -> bool {
        self.0 & Self::HOST != 0
    }

    /// The interface's number, without the mark of the host's own.
    #[must_use]
    pub const fn ifindex(self) -> u32 {
        self.0 & !Self::HOST
    }
}

/// Names one flow for as long as it lives: a hash of port, addresses, ports, transport and the time
/// of its first packet, so that every run and every lane gives the same flow the same id.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct FlowId(pub u64);

/// The transport above IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
    /// RFC 792, RFC 4443; ports are type and code.
    Icmp,
    /// Any other IP protocol, by its IANA number.
    Other(u8),
}

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its address.
    pub address: IpAddress,
    /// Its port; ICMP type or code; 0 where the transport has none.
    pub port: u16,
}

/// What tells flows apart: who opened it, to whom, over what, seen at which capture port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FlowKey {
    /// Where it was seen. Traffic between two containers is two flows, one at each veth.
    pub port: PortId,
    /// The transport.
    pub transport: Transport,
    /// Who opened it.
    pub originator: Endpoint,
    /// Who was contacted.
    pub responder: Endpoint,
}

/// One of the two sides of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Side {
    /// The side that opened the flow.
    Originator,
    /// The side that was contacted.
    Responder,
}

impl Side {
    /// The side across.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Originator => Self::Responder,
            Self::Responder => Self::Originator,
        }
    }
}

/// Which side of the flow is behind the capture port. Known where packets carry their direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LocalSide {
    /// The one behind the port opened it.
    Originator,
    /// The one behind the port accepted it.
    Responder,
    /// The source does not say.
    Unknown,
}

/// The first packet of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowOpened {
    /// This flow.
    pub flow: FlowId,
    /// Its key.
    pub key: FlowKey,
    /// Which side is behind the port.
    pub local: LocalSide,
}

/// A TCP handshake was completed, or both sides of another transport have spoken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowEstablished {
    /// This flow.
    pub flow: FlowId,
}

/// A run of payload in one direction, ended by the other side speaking, by a pause, or by the end
/// of the flow. Role reversal is read from these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burst<'a> {
    /// The flow.
    pub flow: FlowId,
    /// 0 for the flow's first burst.
    pub index: u32,
    /// Who sent it.
    pub side: Side,
    /// Its first payload byte.
    pub start: Time,
    /// Its last payload byte.
    pub end: Time,
    /// Since the burst before ended, or since the flow was established. None where TCP sent it
    /// together with what had not been acknowledged: it was said while that was on its way.
    pub pause_before: Span,
    /// Payload bytes.
    pub bytes: u64,
    /// Segments or datagrams that carried them.
    pub segments: u32,
    /// What it looks like.
    pub shape: Shape,
    /// Whether it obeys the protocol that the flow was identified as.
    pub grammar: Grammar,
    /// Its first bytes, at most 256.
    #[serde(borrow, with = "digits::bytes")]
    pub excerpt: Cow<'a, [u8]>,
}

/// What a burst looks like. Measured over its first 4 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Printable ASCII, tab, CR, LF, ESC and valid UTF-8, in percent of the bytes that are not NUL.
    pub printable_percent: u8,
    /// How it ends.
    pub tail: Tail,
    /// Whether it repeats what the other side has just sent.
    pub echo: Echo,
    /// Of what no protocol explains.
    pub texture: Option<Texture>,
}

/// What can be said of bytes that nobody understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Texture {
    /// NUL bytes, in percent of all.
    pub nul_percent: u8,
    /// Line ends (LF or CR).
    pub line_count: u16,
    /// The longest line's length in bytes.
    pub line_bytes_max: u16,
    /// Shannon entropy in hundredths of a bit per byte.
    pub entropy_centibits: u16,
    /// What they look like, going by the first of them.
    pub likeness: Likeness,
}

/// What bytes look like that no protocol claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Likeness {
    /// Something to read.
    Text,
    /// Random ones: encrypted, or compressed, from the first byte on.
    Random,
    /// Anything else.
    Binary,
}

impl Likeness {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Text, Self::Random, Self::Binary];

    /// What it is called in the output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Random => "random",
            Self::Binary => "binary",
        }
    }
}

/// How a burst ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tail {
    /// With a line end.
    LineEnd,
    /// With a short unfinished line such as `# `, `$ `, `> ` or `login: `: an invitation to type.
    Prompt,
    /// In the middle of a line.
    Open,
}

/// Whether a burst starts with the bytes that the other side sent just before (as a PTY does).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Echo {
    /// It does not.
    None,
    /// It does.
    Repeats,
}

/// Whether a burst obeys the grammar of the flow's identified protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grammar {
    /// No protocol claims the flow (so far).
    None,
    /// A protocol claims the flow and has no follower for what comes after its opening.
    Unchecked,
    /// It obeys.
    Obeyed,
    /// It does not: the conversation has left its protocol here or before.
    Left,
}

/// Packets and bytes of one side of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Packets.
    pub packets: u64,
    /// Transport payload bytes, by sequence number where there is one, so retransmission is not
    /// counted twice.
    pub payload_bytes: u64,
    /// IP bytes (Zeek's `orig_ip_bytes`).
    pub ip_bytes: u64,
}

/// How a TCP conversation went; names and meanings are Zeek's `conn_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are Zeek's and documented there")]
pub enum ConnState {
    S0,
    S1,
    SF,
    Rej,
    S2,
    S3,
    RstO,
    RstR,
    RstOS0,
    RstRH,
    SH,
    SHR,
    Oth,
}

/// The end of a flow, and at once its record in the output of `flows`. From a flow log it is the
/// whole flow: nobody need have told before that it was opened and accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowClosed<'a> {
    /// The flow.
    pub flow: FlowId,
    /// Its key.
    pub key: FlowKey,
    /// Which side is behind the port.
    pub local: LocalSide,
    /// First packet.
    pub start: Time,
    /// Last packet.
    pub end: Time,
    /// How it went.
    pub state: ConnState,
    /// What the originator sent.
    pub originator: Counts,
    /// What the responder sent.
    pub responder: Counts,
    /// Payload that arrived from the responder after the originator's FIN or RST.
    pub responder_bytes_after_close: u64,
    /// Bursts of both sides.
    pub burst_count: u32,
    /// Identified protocols, outermost first; empty where no probe claims it.
    #[serde(borrow)]
    pub protocols: Vec<Name<'a>>,
    /// What the first words of originator and responder look like, where no probe claims it.
    pub likeness: [Option<Likeness>; 2],
    /// The TLS or QUIC client's fingerprint.
    pub ja4: Option<Cow<'a, str>>,
    /// Community id, version 1, seed 0.
    pub community_id: Cow<'a, str>,
    /// What was odd about its packets.
    pub flaws: Flaws,
}

/// A protocol's name as it stands in the output: lower case, the registry's.
pub type Name<'a> = Cow<'a, str>;

/// What was odd about packets or streams: a set of bits. Malformed input is evidence, not an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaws(pub u32);

impl Flaws {
    /// No flaw.
    pub const NONE: Self = Self(0);
    /// The capture cut the packet short (snap length or truncated file).
    pub const TRUNCATED: Self = Self(1);
    /// A header length or offset that cannot be.
    pub const BAD_HEADER: Self = Self(1 << 1);
    /// Payload bytes that were never seen.
    pub const GAP: Self = Self(1 << 2);
    /// The same sequence numbers carried different bytes.
    pub const OVERLAP_DIFFERS: Self = Self(1 << 3);
    /// The flow was under way when the capture began.
    pub const MIDSTREAM: Self = Self(1 << 4);
    /// Segments were out of order.
    pub const REORDERED: Self = Self(1 << 5);
    /// IP fragments.
    pub const FRAGMENTED: Self = Self(1 << 6);
    /// Only one side was seen although both must have sent.
    pub const ONE_SIDED: Self = Self(1 << 7);
    /// Data after the sender had closed its side.
    pub const DATA_AFTER_CLOSE: Self = Self(1 << 8);
    /// The flow was evicted to keep within a limit.
    pub const EVICTED: Self = Self(1 << 9);
    /// The packet's time is before its predecessor's or implausibly far ahead.
    pub const TIME_JUMP: Self = Self(1 << 10);
    /// IP fragments that overlap: receivers differ in which of the bytes they believe.
    pub const FRAGMENT_OVERLAP: Self = Self(1 << 11);
    /// It came through a tunnel; see [`crate::Tunnelled`].
    pub const TUNNELLED: Self = Self(1 << 12);

    /// Every flaw and its name, the same in every form of output.
    pub const NAMES: &'static [(Self, &'static str)] = &[
        (Self::TRUNCATED, "truncated"),
        (Self::BAD_HEADER, "bad_header"),
        (Self::GAP, "gap"),
        (Self::OVERLAP_DIFFERS, "overlap_differs"),
        (Self::MIDSTREAM, "midstream"),
        (Self::REORDERED, "reordered"),
        (Self::FRAGMENTED, "fragmented"),
        (Self::ONE_SIDED, "one_sided"),
        (Self::DATA_AFTER_CLOSE, "data_after_close"),
        (Self::EVICTED, "evicted"),
        (Self::TIME_JUMP, "time_jump"),
        (Self::FRAGMENT_OVERLAP, "fragment_overlap"),
        (Self::TUNNELLED, "tunnelled"),
    ];

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are in this set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
