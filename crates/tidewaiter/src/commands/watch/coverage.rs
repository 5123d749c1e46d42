//! How much of the host a watch really sees, as it keeps it in the store for `coverage`.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use observation::{SourceKind, SourceState, Time};
use serde::{Deserialize, Serialize};

use crate::sources::live::held::HeldCounts;
use crate::sources::live::manifest::{PortCheck, Sums};

const FILE: &str = "coverage.json";
/// A watch that stands so does not write more.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Everything that `coverage` shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Coverage {
    /// The watch's process.
    pub(crate) pid: u32,
    /// When it began.
    pub(crate) started: Time,
    /// When this was written.
    pub(crate) updated: Time,
    /// Its sources.
    pub(crate) sources: Vec<SourceStanding>,
    /// The ring over container ports.
    pub(crate) containers: RingState,
    /// The ring over the host's own interfaces.
    pub(crate) host: RingState,
    /// Observations that the engine had no room for.
    pub(crate) queue_lost_count: u64,
    /// Each port's comparison.
    pub(crate) ports: Vec<PortCheck>,
    /// All ports'.
    pub(crate) sums: Sums,
    /// What is held in memory for evidence.
    #[serde(default)]
    pub(crate) evidence: HeldCounts,
    /// The isolations that stand, as `coverage` finds them.
    #[serde(default)]
    pub(crate) cuts: Vec<CutStanding>,
}

/// One isolation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CutStanding {
    /// Its receipt's number.
    pub(crate) receipt: i64,
    /// The container's full id.
    pub(crate) container: String,
    /// Its name.
    pub(crate) name: String,
    /// Whether the container may get out.
    pub(crate) open: bool,
    /// How it fares, in words.
    pub(crate) detail: String,
}

/// One source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SourceStanding {
    /// Its number.
    pub(crate) source: u16,
    /// Its kind.
    pub(crate) kind: SourceKind,
    /// Its state.
    pub(crate) state: SourceState,
    /// Its name, and why it does not deliver.
    pub(crate) detail: String,
}

/// One ring's counts.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RingState {
    /// Packets read.
    pub(crate) read_count: u64,
    /// Of these, understood.
    pub(crate) understood_count: u64,
    /// Dropped by the kernel.
    pub(crate) dropped_count: u64,
}

/// Puts it into the store; a reader sees the old one or the new one.
pub(super) fn write(store: &Path, coverage: &Coverage) -> std::io::Result<()> {
    let partial = store.join(".coverage.json.part");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    file.write_all(&serde_json::to_vec(coverage)?)?;
    fs::rename(partial, store.join(FILE))
}

/// Reads it; `None` when no watch has used this store.
pub(crate) fn read(store: &Path) -> anyhow::Result<Option<Coverage>> {
    use std::io::Read;
    let file = match fs::File::open(store.join(FILE)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(serde_json::from_slice(&bytes)?))
}
