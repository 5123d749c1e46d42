//! The tables, and how an older store becomes a newer one.

use anyhow::{Context, bail};
use rusqlite::Connection;

/// Each entry takes a store from the version that is its index to the next.
/// Entries are never changed once released; a change of the tables is a new entry.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE alerts (
        id        TEXT PRIMARY KEY,            -- as shown, 26 characters
        revision  INTEGER NOT NULL,
        level     INTEGER NOT NULL,            -- 0 Info to 4 Critical
        status    TEXT NOT NULL,               -- what the engine says: 'new' or 'closed'
        strategy  TEXT NOT NULL,
        peer      TEXT,                        -- the far end's address
        opened_at INTEGER NOT NULL,            -- nanoseconds since 1970, as all times here
        last_seen INTEGER NOT NULL,
        json      TEXT NOT NULL,               -- the whole Alert
        verdict   TEXT,                        -- what a person said
        note      TEXT,
        closed_at INTEGER
    ) STRICT;
    CREATE INDEX alerts_by_peer ON alerts (peer);
    CREATE INDEX alerts_by_time ON alerts (opened_at);

    CREATE TABLE receipts (
        id        INTEGER PRIMARY KEY,
        alert     TEXT NOT NULL,
        at        INTEGER NOT NULL,
        action    TEXT NOT NULL,
        json      TEXT NOT NULL,               -- what was done, and what its undo needs
        undone_at INTEGER
    ) STRICT;
    CREATE INDEX receipts_by_alert ON receipts (alert);
",
    "
    ALTER TABLE alerts ADD COLUMN suppressed_by TEXT;   -- the suppression's id, while it hides it
    CREATE INDEX alerts_by_suppression ON alerts (suppressed_by);
",
    "
    CREATE TABLE baselines (
        workload  TEXT PRIMARY KEY,            -- as alerts show it
        last_seen INTEGER NOT NULL,
        json      TEXT NOT NULL                -- the whole Baseline
    ) STRICT;
    CREATE TABLE baseline_decisions (
        workload  TEXT PRIMARY KEY,
        at        INTEGER NOT NULL,
        json      TEXT NOT NULL                -- the Decision: what a person said last
    ) STRICT;
",
];

/// Brings the store to this program's version.
pub(super) fn migrate(connection: &mut Connection) -> anyhow::Result<()> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let Some(missing) = MIGRATIONS.get(version as usize..) else {
        bail!(
            "the store has version {version} and this tidewaiter knows only {}: \
             run the newer tidewaiter that wrote it, or choose another folder with --store",
            MIGRATIONS.len()
        );
    };
    for (reached, migration) in (version + 1..).zip(missing) {
        transaction
            .execute_batch(migration)
            .with_context(|| format!("bringing the store to version {reached}"))?;
        transaction.pragma_update(None, "user_version", reached)?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_store_is_brought_up_once_and_a_newer_one_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        connection.pragma_update(None, "user_version", 1000).unwrap();
        let refusal = migrate(&mut connection).unwrap_err().to_string();
        assert!(refusal.contains("newer tidewaiter"), "{refusal}");
    }
}
