//! The Observation and the closed list of facts.

use alloc::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{
    AuditEvent, Burst, ContainerFact, DnsExchange, EchoSymmetry, ExecStarted, FlowClosed,
    FlowEstablished, FlowId, FlowOpened, Gap, HttpExchange, NetworkAttached, PortCounters,
    ProcessEnded, ProcessStarted, ProtocolDetail, ProtocolIdentified, ProtocolLeft, SocketOpened,
    SocketTuple, SourceId, SourceStatus, Time, TlsHello, TlsSession, Tunnelled,
};

/// One fact, when it was true, and who witnessed it.
///
/// Observations are merged by (`at`, [`Observation::flow`], `order`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation<'a> {
    /// When it was true, by the witness's clock.
    pub at: Time,
    /// The witness.
    pub witness: SourceId,
    /// Position among the observations of the same flow, or of the same witness where there is no
    /// flow.
    pub order: u64,
    /// What is true.
    #[serde(borrow)]
    pub fact: Fact<'a>,
}

/// Everything that can be observed. Closed on purpose: a new kind of fact is a change of contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact<'a> {
    /// See [`FlowOpened`].
    FlowOpened(FlowOpened),
    /// See [`FlowEstablished`].
    FlowEstablished(FlowEstablished),
    /// See [`Burst`].
    #[serde(borrow)]
    Burst(Burst<'a>),
    /// See [`ProtocolIdentified`].
    ProtocolIdentified(ProtocolIdentified<'a>),
    /// See [`ProtocolLeft`].
    ProtocolLeft(ProtocolLeft<'a>),
    /// See [`DnsExchange`].
    Dns(DnsExchange<'a>),
    /// See [`HttpExchange`].
    Http(HttpExchange<'a>),
    /// See [`TlsHello`].
    TlsHello(TlsHello<'a>),
    /// See [`TlsSession`].
    TlsSession(TlsSession<'a>),
    /// See [`ProtocolDetail`].
    Detail(ProtocolDetail<'a>),
    /// See [`Tunnelled`].
    Tunnelled(Tunnelled),
    /// See [`EchoSymmetry`].
    EchoSymmetry(EchoSymmetry),
    /// See [`FlowClosed`].
    FlowClosed(FlowClosed<'a>),
    /// See [`ProcessStarted`].
    ProcessStarted(ProcessStarted<'a>),
    /// See [`ProcessEnded`].
    ProcessEnded(ProcessEnded),
    /// See [`SocketOpened`].
    SocketOpened(SocketOpened),
    /// See [`SocketTuple`].
    SocketTuple(SocketTuple),
    /// See [`ContainerFact`].
    Container(ContainerFact<'a>),
    /// See [`NetworkAttached`].
    NetworkAttached(NetworkAttached<'a>),
    /// See [`ExecStarted`].
    ExecStarted(ExecStarted<'a>),
    /// See [`PortCounters`].
    PortCounters(PortCounters),
    /// See [`AuditEvent`].
    Audit(AuditEvent<'a>),
    /// See [`SourceStatus`].
    SourceStatus(SourceStatus<'a>),
    /// See [`Gap`].
    Gap(Gap),
    /// See [`ReceiptFact`].
    Receipt(ReceiptFact<'a>),
}

/// The kinds of [`Fact`], for a strategy to say what it listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "one per Fact, documented there")]
pub enum FactKind {
    FlowOpened,
    FlowEstablished,
    Burst,
    ProtocolIdentified,
    ProtocolLeft,
    Dns,
    Http,
    TlsHello,
    TlsSession,
    Detail,
    Tunnelled,
    EchoSymmetry,
    FlowClosed,
    ProcessStarted,
    ProcessEnded,
    SocketOpened,
    SocketTuple,
    Container,
    NetworkAttached,
    ExecStarted,
    PortCounters,
    Audit,
    SourceStatus,
    Gap,
    Receipt,
}

/// A responder did something; the receipt itself is in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptFact<'a> {
    /// The alert that it answers.
    #[serde(borrow)]
    pub alert: Cow<'a, str>,
    /// What was done (`isolate`, `preserve`, `undo` …).
    #[serde(borrow)]
    pub action: Cow<'a, str>,
}

impl Observation<'_> {
    /// The flow that this is about; `FlowId(0)` where it is about none.
    #[must_use]
    pub const fn flow(&self) -> FlowId {
        match &self.fact {
            Fact::FlowOpened(fact) => fact.flow,
            Fact::FlowEstablished(fact) => fact.flow,
            Fact::Burst(fact) => fact.flow,
            Fact::ProtocolIdentified(fact) => fact.flow,
            Fact::ProtocolLeft(fact) => fact.flow,
            Fact::Dns(fact) => fact.flow,
            Fact::Http(fact) => fact.flow,
            Fact::TlsHello(fact) => fact.flow,
            Fact::TlsSession(fact) => fact.flow,
            Fact::Detail(fact) => fact.flow,
            Fact::Tunnelled(fact) => fact.flow,
            Fact::EchoSymmetry(fact) => fact.flow,
            Fact::FlowClosed(fact) => fact.flow,
            _ => FlowId(0),
        }
    }
}

impl Fact<'_> {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> FactKind {
        match self {
            Self::FlowOpened(_) => FactKind::FlowOpened,
            Self::FlowEstablished(_) => FactKind::FlowEstablished,
            Self::Burst(_) => FactKind::Burst,
            Self::ProtocolIdentified(_) => FactKind::ProtocolIdentified,
            Self::ProtocolLeft(_) => FactKind::ProtocolLeft,
            Self::Dns(_) => FactKind::Dns,
            Self::Http(_) => FactKind::Http,
            Self::TlsHello(_) => FactKind::TlsHello,
            Self::TlsSession(_) => FactKind::TlsSession,
            Self::Detail(_) => FactKind::Detail,
            Self::Tunnelled(_) => FactKind::Tunnelled,
            Self::EchoSymmetry(_) => FactKind::EchoSymmetry,
            Self::FlowClosed(_) => FactKind::FlowClosed,
            Self::ProcessStarted(_) => FactKind::ProcessStarted,
            Self::ProcessEnded(_) => FactKind::ProcessEnded,
            Self::SocketOpened(_) => FactKind::SocketOpened,
            Self::SocketTuple(_) => FactKind::SocketTuple,
            Self::Container(_) => FactKind::Container,
            Self::NetworkAttached(_) => FactKind::NetworkAttached,
            Self::ExecStarted(_) => FactKind::ExecStarted,
            Self::PortCounters(_) => FactKind::PortCounters,
            Self::Audit(_) => FactKind::Audit,
            Self::SourceStatus(_) => FactKind::SourceStatus,
            Self::Gap(_) => FactKind::Gap,
            Self::Receipt(_) => FactKind::Receipt,
        }
    }
}
