//! Containers, as their runtime tells them.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{IpAddress, PortId, Time, digits};

/// A container's full id: 32 bytes, written as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContainerId(#[serde(with = "digits::bytes32")] pub [u8; 32]);

/// An image's digest: SHA-256 of its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ImageId(#[serde(with = "digits::bytes32")] pub [u8; 32]);

/// The container runtime that told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "product names")]
pub enum Runtime {
    Docker,
    Podman,
    Containerd,
    CriO,
    Unknown,
}

/// What a runtime knows of a container now. A later fact about the same id adds to the earlier one
/// and never takes away what it does not mention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerFact<'a> {
    /// Its full id.
    pub id: ContainerId,
    /// Who says so.
    pub runtime: Runtime,
    /// Where it stands.
    pub state: ContainerState,
    /// Its name, without the leading slash; empty when not said.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// The image as it was asked for (`alpine:latest`); empty when not said.
    #[serde(borrow)]
    pub image: Cow<'a, str>,
    /// The image's digest.
    pub image_id: Option<ImageId>,
    /// Registry digests (`alpine@sha256:…`); empty for an image built here, or when not said.
    #[serde(borrow)]
    pub registry_digests: Vec<Cow<'a, str>>,
    /// Entry point and command together; empty when not said.
    #[serde(borrow)]
    pub command: Vec<Cow<'a, str>>,
    /// `KEY=value` environment. Its destinations are declared ones.
    #[serde(borrow)]
    pub environment: Vec<Cow<'a, str>>,
    /// Labels as `key=value`.
    #[serde(borrow)]
    pub labels: Vec<Cow<'a, str>>,
    /// Published (`0.0.0.0:8080->80/tcp`) and exposed (`80/tcp`) ports, and extra hosts
    /// (`db:10.0.0.5`), as the runtime writes them.
    #[serde(borrow)]
    pub extra_hosts: Vec<Cow<'a, str>>,
    /// `Some` once the runtime has described how it runs.
    pub privilege: Option<Privilege>,
    /// The host's pid of its first process; 0 when not said.
    pub pid: u32,
    /// Its cgroup v2 id; 0 when not said.
    pub cgroup: u64,
    /// Which network it joined.
    #[serde(borrow)]
    pub network: Network<'a>,
    /// When it was created, where said.
    pub created: Option<Time>,
}

/// Where a container stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerState {
    /// It exists.
    Created,
    /// Its process runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Its first process ended, with this exit code where known.
    Exited(Option<i32>),
    /// It no longer exists.
    Removed,
    /// The fact says nothing about it.
    Unsaid,
}

/// How a container was started, as far as it matters to a verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "the runtime's own independent switches")]
pub struct Privilege {
    /// `--privileged`.
    pub privileged: bool,
    /// Runs as uid 0.
    pub root: bool,
    /// Capabilities were added to the runtime's default set.
    pub capabilities_added: bool,
    /// A runtime's socket is mounted into it.
    pub runtime_socket: bool,
    /// `--rm`: it vanishes with its process.
    pub auto_remove: bool,
    /// `-i`: its standard input is open.
    pub open_stdin: bool,
    /// `-t`.
    pub tty: bool,
    /// A restart policy or an orchestrator keeps it running.
    pub kept_running: bool,
}

/// The network mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network<'a> {
    /// Own namespace on the runtime's networks.
    Own,
    /// The host's namespace.
    Host,
    /// Another container's namespace.
    Container(ContainerId),
    /// No network.
    None,
    /// Own namespace, on the parent interface of this name.
    #[serde(borrow)]
    Macvlan(Cow<'a, str>),
    /// The fact says nothing about it.
    Unsaid,
}

/// A container was attached to, or detached from, a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAttached<'a> {
    /// The container.
    pub id: ContainerId,
    /// The network's name; empty when not said.
    #[serde(borrow)]
    pub network: Cow<'a, str>,
    /// Its addresses there; empty when not (yet) known.
    pub addresses: Vec<IpAddress>,
    /// Names under which its neighbours find it.
    #[serde(borrow)]
    pub aliases: Vec<Cow<'a, str>>,
    /// The host's own addresses there: whoever is let in by a proxy or by source NAT appears as
    /// one.
    #[serde(default)]
    pub gateways: Vec<IpAddress>,
    /// The capture port (host-side veth) that leads to it.
    pub port: Option<PortId>,
    /// The inode of its network namespace; 0 when not known.
    pub netns: u64,
    /// `None` while attached.
    pub detached: Option<Time>,
}

/// A program was started inside a running container through the runtime (`docker exec`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecStarted<'a> {
    /// The container.
    pub id: ContainerId,
    /// The command as the runtime tells it.
    #[serde(borrow)]
    pub command: Cow<'a, str>,
}
