//! What the witnesses can and cannot see. Blindness is a fact like any other.

use alloc::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{PortId, SourceId, Time};

/// What kind of witness a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SourceKind {
    /// Packets, live or from a capture.
    Packets,
    /// Flow logs without payload.
    FlowLog,
    /// The container runtime's events and descriptions.
    RuntimeEvents,
    /// Executions.
    ProcessEvents,
    /// Sockets with their owner.
    SocketEvents,
    /// Interface counters.
    Counters,
    /// System event logs.
    AuditLog,
}

/// Whether a source delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceState {
    /// It delivers from now on.
    Open,
    /// It is there and delivers less than it should (no CAP_BPF, say).
    Degraded,
    /// It has ended or was never there.
    Closed,
}

/// A source opened, degraded or closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus<'a> {
    /// The source.
    pub source: SourceId,
    /// Its kind.
    pub kind: SourceKind,
    /// Its state.
    pub state: SourceState,
    /// Its name for people, and why, when it does not deliver.
    #[serde(borrow)]
    pub detail: Cow<'a, str>,
}

/// A source lost data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The source.
    pub source: SourceId,
    /// From when.
    pub from: Time,
    /// Until when.
    pub to: Time,
    /// How many packets or records were lost, where the source can count them.
    pub lost_count: u64,
    /// Why.
    pub cause: GapCause,
}

/// Why data was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GapCause {
    /// The kernel dropped it before we read it.
    KernelDrop,
    /// Our own queue was full.
    QueueFull,
    /// The input is damaged here.
    Damaged,
    /// The source has said nothing for longer than it should.
    Silent,
}

/// The manifest check: what an interface's counters say, beside what the sensor saw at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortCounters {
    /// The port.
    pub port: PortId,
    /// When both counts began.
    pub since: Time,
    /// What the interface counted, towards the container and from it.
    pub counted: PortTraffic,
    /// What the sensor saw.
    pub seen: PortTraffic,
}

/// Frames and bytes (layer 2, with the Ethernet header) each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortTraffic {
    /// Frames towards the container.
    pub frames_in: u64,
    /// Bytes towards the container.
    pub bytes_in: u64,
    /// Frames from the container.
    pub frames_out: u64,
    /// Bytes from the container.
    pub bytes_out: u64,
}
