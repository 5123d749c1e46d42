//! What must survive: alerts with their verdicts, and receipts. One SQLite file; a commit has
//! reached the disk before anything is shown. Evidence lies in folders beside it.

mod alerts;
mod baselines;
mod receipts;
mod schema;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use rusqlite::Connection;

pub(crate) use alerts::{Closing, Filter, Found, Standing, StoredAlert, Verdict};
pub(crate) use receipts::{NewReceipt, Receipt};

/// How long a writer waits for another one (`watch` beside `alerts close`).
const BUSY_MS_MAX: u64 = 10_000;

/// So much of a passing store stays in memory.
const PASSING_KIB_MAX: i32 = 4096;

/// The store: a folder with one database.
pub(crate) struct Store {
    connection: Connection,
    folder: PathBuf,
    /// Changes when another program writes to it.
    data_version: Option<i64>,
}

impl Store {
    /// Opens the store in `folder`, which is made if it is missing, readable by its owner only.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(|| {
            format!("making the store's folder {}; choose another with --store", folder.display())
        })?;
        let file = folder.join("tidewaiter.db");
        let opened = Connection::open(&file)
            .map_err(anyhow::Error::from)
            .and_then(|connection| Self::prepared(connection, folder));
        opened.with_context(|| {
            format!(
                "opening the store {}; if it is damaged, move it away or choose another folder \
                 with --store",
                file.display()
            )
        })
    }

    /// A store for one run, forgotten in the end: in memory, and what is much in a file without a
    /// name in the folder for temporary ones.
    pub(crate) fn passing() -> anyhow::Result<Self> {
        let mut connection = Connection::open("")?;
        connection.pragma_update(None, "cache_size", -PASSING_KIB_MAX)?;
        connection.pragma_update(None, "journal_mode", "MEMORY")?;
        schema::migrate(&mut connection)?;
        Ok(Self { connection, folder: PathBuf::new(), data_version: None })
    }

    fn prepared(mut connection: Connection, folder: &Path) -> anyhow::Result<Self> {
        connection.busy_timeout(Duration::from_millis(BUSY_MS_MAX))?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if mode != "wal" {
            return Err(anyhow!("this file system does not support a write-ahead log ({mode})"));
        }
        connection.pragma_update(None, "synchronous", "FULL")?;
        schema::migrate(&mut connection)?;
        Ok(Self { connection, folder: folder.to_path_buf(), data_version: None })
    }

    /// The folder that it lies in; empty for a passing one.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Where the store lies; every command that uses it has this.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct StoreChoice {
    /// The folder of the store [default: /var/lib/tidewaiter as root, else
    /// $XDG_STATE_HOME/tidewaiter or ~/.local/state/tidewaiter].
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
}

impl StoreChoice {
    /// Opens it.
    pub(crate) fn open(&self) -> anyhow::Result<Store> {
        match &self.store {
            Some(folder) => Store::open(folder),
            None => Store::open(&default_folder()?),
        }
    }
}

/// `/var/lib/tidewaiter` for root, the user's own state folder for others.
pub(crate) fn default_folder() -> anyhow::Result<PathBuf> {
    // Without `libc` in this crate: /proc/self belongs to the effective user.
    if is_root() {
        return Ok(PathBuf::from("/var/lib/tidewaiter"));
    }
    let absolute = |name: &str| {
        std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("tidewaiter"))
        .context("neither XDG_STATE_HOME nor HOME is set: say where the store lies with --store")
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// SQLite's integers are signed; a time past the year 2262 is kept as the last that fits.
fn as_integer(time: observation::Time) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

fn as_time(integer: i64) -> observation::Time {
    observation::Time(u64::try_from(integer).unwrap_or(0))
}
