//! Alerts in the store: what the engine says, and beside it what a person said.

use anyhow::Context;
use engine::{Alert, AlertId, AlertUpdate, Level, Status};
use observation::Time;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::{Store, as_integer, as_time};

/// An alert as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct StoredAlert {
    /// What the engine said last.
    pub(crate) alert: Alert,
    /// What a person said, once somebody has closed it.
    pub(crate) closing: Option<Closing>,
    /// The suppression that hid it when it was written last.
    pub(crate) suppressed_by: Option<String>,
}

/// What a suppression has hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hits {
    pub(crate) alert_count: u32,
    pub(crate) last_at: Option<Time>,
}

/// A person's word on an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) verdict: Verdict,
    pub(crate) note: String,
    pub(crate) at: Time,
}

/// What the alert turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Verdict {
    /// It was an attack.
    TruePositive,
    /// What the alert says did not happen.
    FalsePositive,
    /// It did happen, and it is permitted.
    Benign,
}

impl Verdict {
    const ALL: [Self; 3] = [Self::TruePositive, Self::FalsePositive, Self::Benign];

    /// As it is written on the command line and in the store.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::TruePositive => "true-positive",
            Self::FalsePositive => "false-positive",
            Self::Benign => "benign",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.name() == name)
    }
}

/// Which alerts are wanted, newest first.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) level_min: Level,
    /// An address or a name of the far end.
    pub(crate) peer: Option<String>,
    pub(crate) standing: Standing,
    pub(crate) count_max: u32,
}

impl Default for Filter {
    fn default() -> Self {
        Self { level_min: Level::Info, peer: None, standing: Standing::All, count_max: u32::MAX }
    }
}

/// Whether alerts that somebody has closed are wanted too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    All,
    Open,
}

/// What an id's beginning leads to.
#[derive(Debug)]
pub(crate) enum Found {
    One(Box<StoredAlert>),
    None,
    /// The ids that begin so, at most [`FOUND_COUNT_MAX`].
    Many(Vec<String>),
}

/// How many ids an ambiguous beginning lists.
const FOUND_COUNT_MAX: u32 = 10;

const COLUMNS: &str = "SELECT json, verdict, note, closed_at, suppressed_by FROM alerts";

impl Store {
    /// Keeps what the engine says: all of it or none. When this returns, it is on the disk.
    /// What a person said about an alert stays. `suppressed_by` names what hides it.
    pub(crate) fn save_alerts<'a>(
        &mut self,
        updates: impl IntoIterator<Item = &'a AlertUpdate>,
        suppressed_by: impl Fn(&Alert) -> Option<String>,
    ) -> anyhow::Result<()> {
        let transaction = self.connection.transaction()?;
        for update in updates {
            match update {
                AlertUpdate::Opened(alert)
                | AlertUpdate::Revised(alert)
                | AlertUpdate::Adopted(alert, _) => {
                    upsert(&transaction, alert, suppressed_by(alert))?;
                }
                AlertUpdate::Closed(id) => close_by_engine(&transaction, *id)?,
            }
        }
        transaction.commit().context("writing alerts to the store")
    }

    /// Alerts that pass the filter, newest first; of the others not even the count is limited.
    pub(crate) fn alerts(
        &self,
        filter: &Filter,
        mut is_wanted: impl FnMut(&StoredAlert) -> bool,
    ) -> anyhow::Result<Vec<StoredAlert>> {
        let mut query = format!("{COLUMNS} WHERE level >= ?");
        let mut values = vec![Value::from(level_number(filter.level_min))];
        if filter.standing == Standing::Open {
            query.push_str(" AND closed_at IS NULL");
        }
        if let Some(peer) = &filter.peer {
            query.push_str(
                " AND (peer = ? OR EXISTS (SELECT 1 FROM json_each(alerts.json, '$.peer.names') \
                 WHERE json_extract(value, '$.name') = ?))",
            );
            values.extend([Value::from(peer.clone()), Value::from(peer.to_ascii_lowercase())]);
        }
        query.push_str(" ORDER BY opened_at DESC, id");
        let mut statement = self.connection.prepare_cached(&query)?;
        let mut found = Vec::new();
        for row in statement.query_map(params_from_iter(values), stored_alert)? {
            let stored = row.context("reading an alert from the store")?;
            if found.len() >= filter.count_max as usize {
                break;
            }
            if is_wanted(&stored) {
                found.push(stored);
            }
        }
        Ok(found)
    }

    /// Marks alerts as hidden by a suppression.
    pub(crate) fn suppress(&mut self, alerts: &[AlertId], suppression: &str) -> anyhow::Result<()> {
        let transaction = self.connection.transaction()?;
        for id in alerts {
            transaction.execute(
                "UPDATE alerts SET suppressed_by = ? WHERE id = ?",
                params![suppression, id.to_string()],
            )?;
        }
        transaction.commit().context("marking alerts as suppressed")
    }

    /// Takes a suppression's marks away; gives how many there were.
    pub(crate) fn unsuppress(&mut self, suppression: &str) -> anyhow::Result<usize> {
        let cleared = "UPDATE alerts SET suppressed_by = NULL WHERE suppressed_by = ?";
        self.connection.execute(cleared, [suppression]).context("taking back a suppression")
    }

    /// What a suppression has hidden.
    pub(crate) fn hits(&self, suppression: &str) -> anyhow::Result<Hits> {
        let query = "SELECT count(*), max(last_seen) FROM alerts WHERE suppressed_by = ?";
        let mut statement = self.connection.prepare_cached(query)?;
        let hits = statement.query_row([suppression], |row| {
            let last_at = row.get::<_, Option<i64>>(1)?.map(as_time);
            Ok(Hits { alert_count: row.get(0)?, last_at })
        })?;
        Ok(hits)
    }

    /// The alert with exactly this id.
    pub(crate) fn alert(&self, id: AlertId) -> anyhow::Result<Option<StoredAlert>> {
        let query = format!("{COLUMNS} WHERE id = ?");
        let mut statement = self.connection.prepare_cached(&query)?;
        Ok(statement.query_row([id.to_string()], stored_alert).optional()?)
    }

    /// The alert whose id begins so, in either case.
    pub(crate) fn alert_by_prefix(&self, beginning: &str) -> anyhow::Result<Found> {
        let beginning = beginning.to_ascii_uppercase();
        let query = "SELECT id FROM alerts WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT ?";
        let mut statement = self.connection.prepare_cached(query)?;
        let length = u32::try_from(beginning.chars().count())?;
        let rows = statement.query_map(params![length, beginning, FOUND_COUNT_MAX], |row| {
            row.get::<_, String>(0)
        })?;
        let ids = rows.collect::<Result<Vec<_>, _>>()?;
        let [id] = ids.as_slice() else {
            return Ok(if ids.is_empty() { Found::None } else { Found::Many(ids) });
        };
        let mut statement = self.connection.prepare_cached(&format!("{COLUMNS} WHERE id = ?"))?;
        let stored = statement.query_row([id], stored_alert)?;
        Ok(Found::One(Box::new(stored)))
    }

    /// Records a person's word. The engine's later updates do not take it away.
    pub(crate) fn close_alert(&mut self, id: AlertId, closing: &Closing) -> anyhow::Result<()> {
        self.connection
            .execute(
                "UPDATE alerts SET verdict = ?, note = ?, closed_at = ? WHERE id = ?",
                params![
                    closing.verdict.name(),
                    closing.note,
                    as_integer(closing.at),
                    id.to_string()
                ],
            )
            .context("writing the verdict to the store")?;
        Ok(())
    }
}

fn upsert(
    connection: &Connection,
    alert: &Alert,
    suppressed_by: Option<String>,
) -> anyhow::Result<()> {
    let json = serde_json::to_string(alert).context("encoding an alert")?;
    let peer = alert.peer.endpoint.map(|endpoint| endpoint.address.to_string());
    let mut statement = connection.prepare_cached(
        "INSERT INTO alerts
             (id, revision, level, status, strategy, peer, opened_at, last_seen, json,
              suppressed_by)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET
             revision = excluded.revision, level = excluded.level, status = excluded.status,
             strategy = excluded.strategy, peer = excluded.peer, opened_at = excluded.opened_at,
             last_seen = excluded.last_seen, json = excluded.json,
             suppressed_by = excluded.suppressed_by",
    )?;
    statement.execute(params![
        alert.id.to_string(),
        alert.revision,
        level_number(alert.level),
        status_name(alert.status),
        alert.strategy,
        peer,
        as_integer(alert.opened_at),
        as_integer(alert.last_seen),
        json,
        suppressed_by,
    ])?;
    Ok(())
}

fn close_by_engine(connection: &Connection, id: AlertId) -> anyhow::Result<()> {
    let closed = "UPDATE alerts SET status = 'closed', json = json_set(json, '$.status', 'Closed') \
                  WHERE id = ?";
    connection.prepare_cached(closed)?.execute([id.to_string()])?;
    Ok(())
}

fn stored_alert(row: &Row<'_>) -> rusqlite::Result<StoredAlert> {
    let json: String = row.get(0)?;
    let alert = serde_json::from_str(&json).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })?;
    let verdict: Option<String> = row.get(1)?;
    let note: Option<String> = row.get(2)?;
    let closed_at: Option<i64> = row.get(3)?;
    let closing =
        verdict.as_deref().and_then(Verdict::named).zip(closed_at).map(|(verdict, closed_at)| {
            Closing { verdict, note: note.unwrap_or_default(), at: as_time(closed_at) }
        });
    Ok(StoredAlert { alert, closing, suppressed_by: row.get(4)? })
}

const fn level_number(level: Level) -> u8 {
    match level {
        Level::Info => 0,
        Level::Low => 1,
        Level::Medium => 2,
        Level::High => 3,
        Level::Critical => 4,
    }
}

const fn status_name(status: Status) -> &'static str {
    match status {
        Status::New => "new",
        Status::Closed => "closed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::sample::alert_named;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("deep/store")).unwrap();
        (folder, store)
    }

    fn one(store: &Store, beginning: &str) -> StoredAlert {
        match store.alert_by_prefix(beginning).unwrap() {
            Found::One(stored) => *stored,
            other => panic!("{beginning}: {other:?}"),
        }
    }

    #[test]
    fn an_alert_comes_back_as_it_was() {
        let (_folder, mut store) = store();
        let alert = alert_named("x\n\u{202e}\"\u{0}");
        store.save_alerts(&[AlertUpdate::Opened(alert.clone())], |_| None).unwrap();
        let shown: String = alert.id.to_string().chars().take(10).collect();
        assert_eq!(one(&store, &shown).alert, alert);
        assert_eq!(one(&store, &shown.to_lowercase()).alert, alert);
    }

    #[test]
    fn an_ambiguous_beginning_lists_what_it_could_mean() {
        let (_folder, mut store) = store();
        for id in [1, 2] {
            let alert = Alert { id: AlertId(id), ..alert_named("x") };
            store.save_alerts(&[AlertUpdate::Opened(alert)], |_| None).unwrap();
        }
        assert!(
            matches!(store.alert_by_prefix("000").unwrap(), Found::Many(ids) if ids.len() == 2)
        );
        assert!(matches!(store.alert_by_prefix("ZZ").unwrap(), Found::None));
        assert!(matches!(store.alert_by_prefix("%").unwrap(), Found::None));
        assert_eq!(one(&store, &AlertId(2).to_string()).alert.id, AlertId(2));
    }

    #[test]
    fn a_verdict_survives_what_the_engine_says_later() {
        let (_folder, mut store) = store();
        let mut alert = alert_named("x");
        store.save_alerts(&[AlertUpdate::Opened(alert.clone())], |_| None).unwrap();
        let closing = Closing { verdict: Verdict::Benign, note: "agreed".into(), at: Time(7) };
        store.close_alert(alert.id, &closing).unwrap();
        alert.revision = 2;
        store.save_alerts(&[AlertUpdate::Revised(alert.clone())], |_| None).unwrap();
        store.save_alerts(&[AlertUpdate::Closed(alert.id)], |_| None).unwrap();
        let stored = store.alert(alert.id).unwrap().unwrap();
        assert_eq!(stored.closing, Some(closing));
        assert_eq!((stored.alert.revision, stored.alert.status), (2, Status::Closed));
        let open = Filter { standing: Standing::Open, ..Filter::default() };
        assert!(store.alerts(&open, |_| true).unwrap().is_empty());
    }

    #[test]
    fn a_peer_is_found_by_address_and_by_name() {
        let (_folder, mut store) = store();
        store.save_alerts(&[AlertUpdate::Opened(alert_named("c2.example.com"))], |_| None).unwrap();
        let count = |peer: &str| {
            let filter = Filter { peer: Some(peer.to_owned()), ..Filter::default() };
            store.alerts(&filter, |_| true).unwrap().len()
        };
        assert_eq!(count("198.51.100.10"), 1);
        assert_eq!(count("C2.example.com"), 1);
        assert_eq!(count("198.51.100.1"), 0);
        let high = Filter { level_min: Level::Critical, ..Filter::default() };
        assert!(store.alerts(&high, |_| true).unwrap().is_empty());
    }

    #[test]
    fn what_hides_an_alert_is_kept_counted_and_taken_back() {
        let (_folder, mut store) = store();
        let alert = alert_named("x");
        let id = alert.id;
        let updates = [AlertUpdate::Opened(alert.clone())];
        store.save_alerts(&updates, |_| Some("s".to_owned())).unwrap();
        assert_eq!(store.alert(id).unwrap().unwrap().suppressed_by.as_deref(), Some("s"));
        let hits = Hits { alert_count: 1, last_at: Some(alert.last_seen) };
        assert_eq!(store.hits("s").unwrap(), hits);
        assert_eq!(store.unsuppress("s").unwrap(), 1);
        assert_eq!(store.hits("s").unwrap(), Hits::default());
        store.suppress(&[id], "t").unwrap();
        // What it says now is no longer hidden by anything.
        store.save_alerts(&updates, |_| None).unwrap();
        assert_eq!(store.alert(id).unwrap().unwrap().suppressed_by, None);
    }

    #[test]
    fn the_folder_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, store) = store();
        let mode = std::fs::metadata(store.folder()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
