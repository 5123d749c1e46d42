//! The Alert: what an analyst reads. Everything needed to print it is inside, so that a stored
//! alert of a container that is long gone can still be explained.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use observation::{
    ConnState, ContainerId, ContainerState, Endpoint, ImageId, InImage, IpAddress, PortId,
    Privilege, Runtime, Side, SourceKind, Span, Time, Transport,
};
use serde::{Deserialize, Serialize};

/// A hash of subject, peer and opening observation: a replay gives the same id.
/// Written as 26 characters of Crockford's base 32; commands take any unambiguous beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlertId(pub u128);

impl fmt::Display for AlertId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        for place in (0..26_u32).rev() {
            let digit = (self.0 >> (place * 5)) & 31;
            let byte = DIGITS.get(digit as usize).copied().unwrap_or(b'0');
            fmt::Write::write_char(out, char::from(byte))?;
        }
        Ok(())
    }
}

/// What the engine says about an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AlertUpdate {
    /// New.
    Opened(Alert),
    /// Same id, more known.
    Revised(Alert),
    /// An unnamed endpoint turned out to be this container; the alert now says so.
    Adopted(Alert, ContainerId),
    /// Merged into another alert, or its subject and peer are gone.
    Closed(AlertId),
}

impl AlertUpdate {
    /// The alert that it is about.
    #[must_use]
    pub const fn id(&self) -> AlertId {
        match self {
            Self::Opened(alert) | Self::Revised(alert) | Self::Adopted(alert, _) => alert.id,
            Self::Closed(id) => *id,
        }
    }
}

/// Thresholds on the sum of evidence, see [`Level::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the levels are their names")]
pub enum Level {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

/// From this sum on an alert is Low.
pub(crate) const LOW_DB_MIN: i16 = -10;
/// From this sum on an alert is Medium: twice as likely an attack as not.
pub(crate) const MEDIUM_DB_MIN: i16 = 3;
/// From this sum on an alert is High: twenty times as likely.
pub(crate) const HIGH_DB_MIN: i16 = 13;
/// From this sum on an alert is Critical.
pub(crate) const CRITICAL_DB_MIN: i16 = 25;

const _: () = assert!(LOW_DB_MIN < MEDIUM_DB_MIN);
const _: () = assert!(MEDIUM_DB_MIN < HIGH_DB_MIN);
const _: () = assert!(HIGH_DB_MIN < CRITICAL_DB_MIN);

impl Level {
    /// The level of a sum of decibans, prior included.
    #[must_use]
    pub const fn of(sum_db: i16) -> Self {
        match sum_db {
            CRITICAL_DB_MIN.. => Self::Critical,
            HIGH_DB_MIN.. => Self::High,
            MEDIUM_DB_MIN.. => Self::Medium,
            LOW_DB_MIN.. => Self::Low,
            _ => Self::Info,
        }
    }

    /// Its name as people read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "Info",
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }
}

/// How settled a strategy is. Sandbox strategies alert and never trigger a responder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Maturity {
    Sandbox,
    Stable,
    Deprecated,
}

/// Whether anybody has closed the alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Status {
    New,
    Closed,
}

/// Facts of one family tell one story: only the strongest term of each counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the families of ARCHITECTURE.md")]
pub enum Family {
    Prior,
    Session,
    Rhythm,
    Destination,
    Identity,
    Process,
    Runtime,
    Intelligence,
    Health,
}

/// One signed term of an alert's sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its family.
    pub family: Family,
    /// Who witnessed it: `network`, `runtime`, `process`; empty for the prior.
    pub witness: Cow<'static, str>,
    /// What was observed.
    pub observed: String,
    /// What would have been expected of this workload.
    pub expected: Cow<'static, str>,
    /// Decibans: above zero speaks for an attack, below zero against.
    pub points_db: i16,
    /// The strategy that says so.
    pub strategy: Cow<'static, str>,
    /// Whether it is its family's strongest term and so part of the sum.
    pub counts: Counted,
}

/// Whether a term is part of the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Counted {
    /// It is.
    InSum,
    /// A stronger term of the same family stands for it.
    Outweighed,
}

/// See the crate's documentation; every list is bounded, with its true count beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// Rises with every update.
    pub revision: u32,
    /// New or closed.
    pub status: Status,
    /// Level of `sum_db`.
    pub level: Level,
    /// The strongest strategy so far: the headline.
    pub strategy: Cow<'static, str>,
    /// ATT&CK technique ids of all strategies that speak.
    pub techniques: Vec<Cow<'static, str>>,
    /// What happened, in one sentence, without names that an attacker could choose.
    pub summary: Cow<'static, str>,
    /// When the first accused observation was made.
    pub first_seen: Time,
    /// When the latest was.
    pub last_seen: Time,
    /// The observation time at which the alert was opened.
    pub opened_at: Time,
    /// The accused, at most `SUBJECT_COUNT_MAX`, in order of their first observation.
    pub subjects: Vec<Subject>,
    /// How many there are.
    pub subject_count: u32,
    /// The far end.
    pub peer: Peer,
    /// Every term, for and against, the prior first.
    pub evidence: Vec<Evidence>,
    /// Sum of what counts.
    pub sum_db: i16,
    /// The kinds of source that witnessed it.
    pub witnesses: Vec<SourceKind>,
    /// What could not be seen, and why.
    pub blind: Vec<Blind>,
    /// Packets and records lost while it happened.
    pub lost_count: u64,
    /// What would have made it Low.
    pub low_if: Vec<Cow<'static, str>>,
    /// How common the destination is.
    pub prevalence: Prevalence,
}

/// A source that was missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blind {
    /// Its kind.
    pub kind: SourceKind,
    /// Why.
    pub why: String,
}

/// One of the accused: a container, or an endpoint that no container claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Where it was seen; `UNKNOWN` port in a plain capture.
    pub port: PortId,
    /// Its address on the wire, where it had one.
    pub address: Option<IpAddress>,
    /// The container, once known.
    pub container: Option<ContainerView>,
    /// The process that did it, once known; never guessed.
    pub process: Option<ProcessView>,
    /// Who started the container or the `exec`, where it can be known.
    pub started_by: Option<Actor>,
    /// Its flows to the peer, at most `FLOW_COUNT_MAX`, the first ones.
    pub flows: Vec<FlowView>,
    /// How many there are.
    pub flow_count: u32,
}

/// What is known of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerView {
    /// Full id.
    pub id: ContainerId,
    /// Name.
    pub name: String,
    /// Image as it was asked for.
    pub image: String,
    /// Image digest.
    pub image_id: Option<ImageId>,
    /// Registry digests; empty for an image built here.
    pub registry_digests: Vec<String>,
    /// Command.
    pub command: Vec<String>,
    /// Image, command and owner, hashed: what replicas have in common. Empty where no runtime has
    /// described it, and in alerts of older versions.
    #[serde(default)]
    pub workload: String,
    /// How it was started.
    pub privilege: Option<Privilege>,
    /// The network mode in words (`own`, `host`, `container:<id>` …).
    pub network: String,
    /// Where it stands.
    pub state: ContainerState,
    /// Runtime.
    pub runtime: Runtime,
}

/// What is known of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessView {
    /// Host pid.
    pub pid: u32,
    /// Executable's path.
    pub executable: String,
    /// Arguments.
    pub arguments: Vec<String>,
    /// User id.
    pub uid: Option<u32>,
    /// SHA-256 of the executable.
    pub sha256: Option<[u8; 32]>,
    /// Whether it is the image's.
    pub in_image: InImage,
}

/// Who started it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The client's pid on the host.
    pub pid: u32,
    /// Its user id, where known.
    pub uid: Option<u32>,
    /// Its command line.
    pub command: String,
}

/// The far end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Address and port; `None` when a name never led to an address.
    pub endpoint: Option<Endpoint>,
    /// The transport.
    pub transport: Transport,
    /// Names that led there, at most `NAME_COUNT_MAX`.
    pub names: Vec<PeerName>,
    /// Who opened the flows.
    #[serde(default)]
    pub role: PeerRole,
}

/// Whether the accused called the far end, or was called by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerRole {
    /// The accused opened the flows.
    #[default]
    Called,
    /// The far end did; its port is that of its first flow.
    Caller,
}

/// A name that led to the peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerName {
    /// The name.
    pub name: String,
    /// How long before the flow it was asked; `None` where a log does not say.
    pub asked_before: Option<Span>,
    /// Who answered.
    pub answered_by: Option<IpAddress>,
}

/// One flow of an accused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowView {
    /// The accused's end.
    pub local: Endpoint,
    /// The far end.
    pub remote: Endpoint,
    /// The transport.
    pub transport: Transport,
    /// Community id.
    pub community_id: String,
    /// First packet.
    pub start: Time,
    /// Last packet so far.
    pub end: Time,
    /// Payload bytes that the accused sent.
    pub sent_bytes: u64,
    /// Payload bytes that it received.
    pub received_bytes: u64,
    /// Identified protocols.
    pub protocols: Vec<String>,
    /// How it ended; `None` while it lives.
    pub state: Option<ConnState>,
    /// The first bursts' beginnings, at most `EXCERPT_COUNT_MAX`.
    pub excerpts: Vec<Excerpt>,
}

/// The beginning of a burst, raw: sinks escape it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excerpt {
    /// When.
    pub at: Time,
    /// Who sent it, as if the accused had opened the flow: the originator stands for it.
    pub side: Side,
    /// Its first bytes.
    pub bytes: Vec<u8>,
    /// How many bytes the burst had.
    pub burst_bytes: u64,
}

/// How common the destination is among all that was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prevalence {
    /// Containers (or unnamed endpoints) that went there.
    pub subject_count: u32,
    /// Of how many.
    pub subject_total: u32,
    /// Workloads that went there.
    pub workload_count: u32,
    /// Of how many.
    pub workload_total: u32,
}
