//! Evidence that was taken when an alert opened: the packets before it, the container's
//! configuration. `respond` seals from here, also when the container is gone.

use anyhow::Context;
use observation::Time;
use rusqlite::params;
use sha2::{Digest, Sha256};

use super::{Store, as_integer, as_time};

/// One piece of evidence.
#[derive(Clone, Debug)]
pub(crate) struct StoredEvidence {
    /// Its number.
    pub(crate) id: i64,
    /// When it was taken.
    pub(crate) at: Time,
    /// `packets`, `inspect` …
    pub(crate) kind: String,
    /// The file name under which it is sealed; chosen by us.
    pub(crate) name: String,
    /// SHA-256 of `bytes` when they were taken.
    pub(crate) sha256: [u8; 32],
    /// The thing itself.
    pub(crate) bytes: Vec<u8>,
}

impl Store {
    /// Keeps a piece of evidence with its hash; returns its number.
    pub(crate) fn save_evidence(
        &mut self,
        alert: &str,
        at: Time,
        (kind, name): (&str, &str),
        bytes: &[u8],
    ) -> anyhow::Result<i64> {
        let sha256: [u8; 32] = Sha256::digest(bytes).into();
        self.connection
            .execute(
                "INSERT INTO evidence (alert, at, kind, name, sha256, bytes)
                 VALUES (?, ?, ?, ?, ?, ?)",
                params![alert, as_integer(at), kind, name, sha256, bytes],
            )
            .context("writing evidence to the store")?;
        Ok(self.connection.last_insert_rowid())
    }

    /// An alert's evidence, oldest first.
    pub(crate) fn evidence(&self, alert: &str) -> anyhow::Result<Vec<StoredEvidence>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, at, kind, name, sha256, bytes FROM evidence WHERE alert = ? ORDER BY id",
        )?;
        let rows = statement.query_map([alert], |row| {
            Ok(StoredEvidence {
                id: row.get(0)?,
                at: as_time(row.get(1)?),
                kind: row.get(2)?,
                name: row.get(3)?,
                sha256: row.get(4)?,
                bytes: row.get(5)?,
            })
        })?;
        rows.map(|row| row.context("reading evidence from the store")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_comes_back_with_the_hash_of_what_was_taken() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        store
            .save_evidence("A", Time(5), ("packets", "packets.pcapng"), b"\x0a\x0d\x0d\x0a")
            .unwrap();
        let kept = store.evidence("A").unwrap();
        let [piece] = kept.as_slice() else { panic!("{kept:?}") };
        assert_eq!(piece.bytes, b"\x0a\x0d\x0d\x0a");
        assert_eq!(piece.sha256, <[u8; 32]>::from(Sha256::digest(&piece.bytes)));
        assert_eq!((piece.at, piece.kind.as_str()), (Time(5), "packets"));
    }
}
