//! Receipts: what a responder did, and what undoing it needs.

use anyhow::Context;
use observation::Time;
use rusqlite::{Row, params};

use super::{Store, as_integer, as_time};

/// A Receipt before the store has given it its number.
#[derive(Clone, Debug)]
pub(crate) struct NewReceipt {
    /// The alert's id as shown.
    pub(crate) alert: String,
    /// When it was done.
    pub(crate) at: Time,
    /// What was done: `isolate`, `preserve` …
    pub(crate) action: String,
    /// What exactly, and what its undo needs; the responder's own form.
    pub(crate) detail: serde_json::Value,
}

/// A Receipt as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    /// Its number.
    pub(crate) id: i64,
    /// What was done.
    pub(crate) receipt: NewReceipt,
    /// When it was undone.
    pub(crate) undone_at: Option<Time>,
}

const COLUMNS: &str = "SELECT id, alert, at, action, json, undone_at FROM receipts";

impl Store {
    /// Keeps a receipt and gives it its number.
    pub(crate) fn save_receipt(&mut self, receipt: &NewReceipt) -> anyhow::Result<i64> {
        self.connection
            .execute(
                "INSERT INTO receipts (alert, at, action, json) VALUES (?, ?, ?, ?)",
                params![
                    receipt.alert,
                    as_integer(receipt.at),
                    receipt.action,
                    receipt.detail.to_string()
                ],
            )
            .context("writing a receipt to the store")?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Replaces a receipt's detail: an intent is written before the act, its outcome after.
    pub(crate) fn complete_receipt(
        &mut self,
        id: i64,
        detail: &serde_json::Value,
    ) -> anyhow::Result<()> {
        self.connection
            .execute("UPDATE receipts SET json = ? WHERE id = ?", params![detail.to_string(), id])
            .context("writing a receipt's outcome to the store")?;
        Ok(())
    }

    /// An alert's receipts, oldest first.
    pub(crate) fn receipts(&self, alert: &str) -> anyhow::Result<Vec<Receipt>> {
        let query = format!("{COLUMNS} WHERE alert = ? ORDER BY id");
        let mut statement = self.connection.prepare_cached(&query)?;
        let rows = statement.query_map([alert], stored_receipt)?;
        rows.map(|row| row.context("reading a receipt from the store")).collect()
    }

    /// What stands: every receipt that nobody has undone, oldest first.
    pub(crate) fn standing_receipts(&self) -> anyhow::Result<Vec<Receipt>> {
        let query = format!("{COLUMNS} WHERE undone_at IS NULL ORDER BY id");
        let mut statement = self.connection.prepare_cached(&query)?;
        let rows = statement.query_map([], stored_receipt)?;
        rows.map(|row| row.context("reading a receipt from the store")).collect()
    }

    /// Records that a receipt's action was undone.
    pub(crate) fn mark_undone(&mut self, id: i64, at: Time) -> anyhow::Result<()> {
        self.connection
            .execute("UPDATE receipts SET undone_at = ? WHERE id = ?", params![as_integer(at), id])
            .context("writing an undo to the store")?;
        Ok(())
    }
}

fn stored_receipt(row: &Row<'_>) -> rusqlite::Result<Receipt> {
    let json: String = row.get(4)?;
    let detail = serde_json::from_str(&json).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(4, rusqlite::types::Type::Text, Box::new(error))
    })?;
    Ok(Receipt {
        id: row.get(0)?,
        receipt: NewReceipt {
            alert: row.get(1)?,
            at: as_time(row.get(2)?),
            action: row.get(3)?,
            detail,
        },
        undone_at: row.get::<_, Option<i64>>(5)?.map(as_time),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_stands_until_it_is_undone() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        let receipt = NewReceipt {
            alert: "A".into(),
            at: Time(1),
            action: "isolate".into(),
            detail: serde_json::json!({ "table": "tidewaiter" }),
        };
        let id = store.save_receipt(&receipt).unwrap();
        assert_eq!(store.standing_receipts().unwrap().len(), 1);
        store.mark_undone(id, Time(2)).unwrap();
        assert!(store.standing_receipts().unwrap().is_empty());
        let kept = store.receipts("A").unwrap();
        assert_eq!(kept[0].undone_at, Some(Time(2)));
        assert_eq!(kept[0].receipt.detail["table"], "tidewaiter");
        assert!(store.receipts("B").unwrap().is_empty());
    }
}
