//! Processes and their sockets, as kernel events tell them.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{ContainerId, Endpoint, Time, Transport, digits};

/// A process: the pid alone is reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessKey {
    /// The pid in the host's namespace.
    pub pid: u32,
    /// When it was first seen to run, as its witness knows it.
    pub started: Time,
}

/// Whether the executable's file belongs to the container's image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InImage {
    /// It lies in a lower (image) layer.
    Yes,
    /// It was written into the container, a mount or memory after it started.
    No,
    /// Could not be told.
    Unknown,
}

/// A program was executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStarted<'a> {
    /// The process.
    pub process: ProcessKey,
    /// Its parent's pid; 0 when unknown.
    pub parent_pid: u32,
    /// Its real user id, `None` when unknown.
    pub uid: Option<u32>,
    /// The container whose cgroup it runs in; `None` for host processes and where unknown.
    pub container: Option<ContainerId>,
    /// The cgroup v2 id (the directory's inode); 0 when unknown.
    pub cgroup: u64,
    /// The path executed, as the kernel resolved it; empty when unknown.
    #[serde(borrow)]
    pub executable: Cow<'a, str>,
    /// The arguments; empty when they could not be read.
    #[serde(borrow)]
    pub arguments: Vec<Cow<'a, str>>,
    /// SHA-256 of the executable through a pinned handle.
    #[serde(with = "digits::bytes32_option")]
    pub sha256: Option<[u8; 32]>,
    /// Whether the executable is the image's.
    pub in_image: InImage,
}

/// A process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessEnded {
    /// Its pid.
    pub pid: u32,
    /// Its exit code, where known.
    pub exit_code: Option<i32>,
}

/// A process asked for a connection or sent its first datagram (cgroup `connect4`, `sendmsg4` …).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketOpened {
    /// The socket's cookie: joins it to its [`SocketTuple`].
    pub cookie: u64,
    /// The cgroup v2 id of the caller.
    pub cgroup: u64,
    /// The caller.
    pub pid: u32,
    /// The transport.
    pub transport: Transport,
    /// Where to. On user-defined networks a lookup goes to 127.0.0.11.
    pub remote: Endpoint,
}

/// The first packet of a socket, with the cgroup that owns the socket (`cgroup_skb`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketTuple {
    /// The socket's cookie.
    pub cookie: u64,
    /// The cgroup v2 id that owns the socket.
    pub cgroup: u64,
    /// The transport.
    pub transport: Transport,
    /// The end on this host.
    pub local: Endpoint,
    /// The other end.
    pub remote: Endpoint,
}

/// An entry of a system event log that no other fact covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent<'a> {
    /// What happened, in the log's own term.
    #[serde(borrow)]
    pub action: Cow<'a, str>,
    /// Who did it, in the log's own term; empty when unknown.
    #[serde(borrow)]
    pub actor: Cow<'a, str>,
    /// To what.
    #[serde(borrow)]
    pub target: Cow<'a, str>,
}
