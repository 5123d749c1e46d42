//! Baselines in the store: what was learned, and what a person has decided about it.

use anyhow::Context;
use engine::{Baseline, Decision};
use rusqlite::{Params, params};
use serde::de::DeserializeOwned;

use super::{Store, as_integer};

/// Baselines and decisions that are kept: the latest.
const BASELINE_COUNT_MAX: u32 = 4096;

impl Store {
    /// Keeps what was learned; gives how many older ones had to go for it.
    pub(crate) fn save_baselines(&mut self, learned: &[Baseline]) -> anyhow::Result<u64> {
        if learned.is_empty() {
            return Ok(0);
        }
        let transaction = self.connection.transaction()?;
        for baseline in learned {
            transaction.execute(
                "INSERT OR REPLACE INTO baselines (workload, last_seen, json) VALUES (?, ?, ?)",
                params![
                    baseline.workload,
                    as_integer(baseline.all.last),
                    serde_json::to_string(baseline)?
                ],
            )?;
        }
        let forgotten_count = transaction.execute(
            "DELETE FROM baselines WHERE workload NOT IN \
             (SELECT workload FROM baselines ORDER BY last_seen DESC, workload LIMIT ?)",
            [BASELINE_COUNT_MAX],
        )?;
        transaction.commit().context("writing what was learned to the store")?;
        Ok(forgotten_count as u64)
    }

    /// What was learned, the latest first.
    pub(crate) fn baselines(&self) -> anyhow::Result<Vec<Baseline>> {
        let query = "SELECT json FROM baselines ORDER BY last_seen DESC, workload LIMIT ?";
        self.rows(query, [BASELINE_COUNT_MAX])
    }

    /// What people have decided, the latest first.
    pub(crate) fn decisions(&self) -> anyhow::Result<Vec<Decision>> {
        let query = "SELECT json FROM baseline_decisions ORDER BY at DESC, workload LIMIT ?";
        self.rows(query, [BASELINE_COUNT_MAX])
    }

    /// Keeps a person's word on a workload's baseline, in place of the one before. What is
    /// forgotten goes at once.
    pub(crate) fn decide(&mut self, decision: &Decision) -> anyhow::Result<()> {
        let transaction = self.connection.transaction()?;
        let (workload, at) = match decision {
            Decision::Approved(approval) => (&approval.workload, approval.at),
            Decision::Forgotten { workload, at } => {
                transaction.execute("DELETE FROM baselines WHERE workload = ?", [workload])?;
                (workload, *at)
            }
        };
        transaction.execute(
            "INSERT OR REPLACE INTO baseline_decisions (workload, at, json) VALUES (?, ?, ?)",
            params![workload, as_integer(at), serde_json::to_string(decision)?],
        )?;
        transaction.commit().context("writing a decision to the store")
    }

    /// Whether another program has written to the store since this was asked last.
    pub(crate) fn has_changed_elsewhere(&mut self) -> anyhow::Result<bool> {
        let version = self.connection.query_row("PRAGMA data_version", [], |row| row.get(0))?;
        Ok(self.data_version.replace(version).is_some_and(|before: i64| before != version))
    }

    /// What another version of this program has written in another form is passed over, and that is
    /// said.
    fn rows<T: DeserializeOwned>(&self, query: &str, with: impl Params) -> anyhow::Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(query)?;
        let rows = statement.query_map(with, |row| row.get::<_, String>(0))?;
        let (mut read, mut unreadable_count) = (Vec::new(), 0_u64);
        for row in rows {
            match serde_json::from_str(&row?) {
                Ok(row) => read.push(row),
                Err(_) => unreadable_count += 1,
            }
        }
        if unreadable_count > 0 {
            eprintln!(
                "tidewaiter: {unreadable_count} baselines in the store cannot be read: another \
                 version wrote them"
            );
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use observation::Time;

    use super::*;

    /// A watch hears of what is approved while it runs.
    #[test]
    fn a_decision_of_another_program_is_noticed_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Store::open(folder.path()).unwrap();
        let mut person = Store::open(folder.path()).unwrap();
        assert!(!watch.has_changed_elsewhere().unwrap());
        let decision = Decision::Forgotten { workload: "00".repeat(16), at: Time(7) };
        person.decide(&decision).unwrap();
        assert!(watch.has_changed_elsewhere().unwrap());
        assert_eq!(watch.decisions().unwrap().as_slice(), std::slice::from_ref(&decision));
        assert!(!watch.has_changed_elsewhere().unwrap());
        watch.decide(&decision).unwrap();
        assert!(!watch.has_changed_elsewhere().unwrap(), "its own word is no news");
    }
    #[test]
    fn a_row_of_another_version_is_passed_over() {
        let mut store = Store::passing().unwrap();
        let decision = Decision::Forgotten { workload: "00".repeat(16), at: Time(7) };
        store.decide(&decision).unwrap();
        let insert = "INSERT INTO baseline_decisions VALUES ('x', 9, '{\"Adored\": 1}')";
        store.connection.execute(insert, []).unwrap();
        assert_eq!(store.decisions().unwrap(), [decision]);
    }
}
