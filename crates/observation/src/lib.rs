//! The contract between sources, sensor, formats, engine, archive and fleet: the [`Observation`].
//!
//! An Observation is one [`Fact`] with its time and its witness.
//! It is what strategies see, what a recording keeps, and what hosts will send each other.
//!
//! *Architecture invariant:* this crate holds data and no logic; it depends on nothing that
//! could read a clock, a file or a socket, and every type of it can be encoded by `serde`.

#![no_std]

extern crate alloc;

mod container;
mod digits;
mod fact;
mod flow;
mod health;
mod identity;
mod process;
mod protocol;
mod time;

pub use container::{
    ContainerFact, ContainerId, ContainerState, ExecStarted, ImageId, Network, NetworkAttached,
    Privilege, Runtime,
};
pub use fact::{Fact, FactKind, Observation, ReceiptFact};
pub use flow::{
    Burst, ConnState, Counts, Echo, Endpoint, Flaws, FlowClosed, FlowEstablished, FlowId, FlowKey,
    FlowOpened, Grammar, Likeness, LocalSide, Name, PortId, Shape, Side, Tail, Texture, Transport,
};
pub use health::{Gap, GapCause, PortCounters, PortTraffic, SourceKind, SourceState, SourceStatus};
pub use identity::{IpAddress, SourceId};
pub use process::{
    AuditEvent, InImage, ProcessEnded, ProcessKey, ProcessStarted, SocketOpened, SocketTuple,
};
pub use protocol::{
    Certainty, Certificate, DetailKind, DnsAnswer, DnsData, DnsExchange, Ech, EchoSymmetry,
    Handshake, HttpExchange, ProtocolDetail, ProtocolIdentified, ProtocolLeft, Resumption,
    TlsHello, TlsSession, TunnelKind, Tunnelled,
};
pub use time::{Span, Time};
