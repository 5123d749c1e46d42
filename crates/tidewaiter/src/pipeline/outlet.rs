//! Store and sink in one order: commit, and only then show.

use std::collections::BTreeMap;

use anyhow::Context;
use engine::{Alert, AlertId, AlertUpdate, Level};
use observation::Time;

use super::totals::LevelCounts;
use crate::sinks::{Occasion, Sink};
use crate::store::Store;
use crate::suppressions::Suppressions;
use crate::timestamp;

/// When alerts are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Showing {
    /// Each update as it comes, after it was committed.
    AsTheyCome,
    /// Each alert once, in its final form, by time: the same bytes for the same input.
    AtTheEnd,
}

/// So many updates share one commit where nobody waits for each.
pub(super) const COMMIT_UPDATE_COUNT: usize = 256;

/// Where what the engine says goes.
pub(super) struct Outlet {
    pub(super) store: Store,
    pub(super) suppressions: Suppressions,
    sink: Sink,
    showing: Showing,
    /// Updates that wait for their commit, the latest of each alert.
    waiting: BTreeMap<AlertId, AlertUpdate>,
    /// Every alert of this run that stands.
    /// One small entry an alert; the engine's own limits bound how fast they come.
    alerts: BTreeMap<AlertId, Standing>,
}

/// An alert of this run: when it opened, and how it stands now.
#[derive(Clone, Copy, Debug)]
struct Standing {
    opened_at: Time,
    level: Level,
    seen: Seen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Openly,
    Suppressed,
}

impl Outlet {
    pub(super) fn new(store: Store, sink: Sink, showing: Showing) -> Self {
        let (waiting, alerts) = (BTreeMap::new(), BTreeMap::new());
        Self { store, suppressions: Suppressions::default(), sink, showing, waiting, alerts }
    }

    /// Alerts of this run by level.
    pub(super) fn counts(&self) -> LevelCounts {
        let mut counts = LevelCounts::default();
        for standing in self.alerts.values() {
            match standing.seen {
                Seen::Openly => counts.add(standing.level),
                Seen::Suppressed => counts.add_suppressed(),
            }
        }
        counts
    }

    /// The alerts of this run, by the time at which they opened.
    pub(super) fn alert_ids(&self) -> Vec<AlertId> {
        let mut order: Vec<_> =
            self.alerts.iter().map(|(id, standing)| (standing.opened_at, *id)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, id)| id).collect()
    }

    /// Takes in what the engine has just said. What is shown as it comes is committed first, and
    /// stays in `fresh`; what is shown in the end is taken out of it.
    pub(super) fn settle(&mut self, fresh: &mut Vec<AlertUpdate>) -> anyhow::Result<()> {
        if fresh.is_empty() {
            return Ok(());
        }
        fresh.iter().for_each(|update| self.note(update));
        match self.showing {
            Showing::AsTheyCome => self.tell(fresh),
            Showing::AtTheEnd => {
                self.waiting.extend(fresh.drain(..).map(|update| (update.id(), update)));
                if self.waiting.len() < COMMIT_UPDATE_COUNT { Ok(()) } else { self.commit() }
            }
        }
    }

    /// The input has ended: commits what waits, and shows what was to be shown in the end.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        self.commit()?;
        match self.showing {
            Showing::AsTheyCome => Ok(()),
            Showing::AtTheEnd => self.show_all(),
        }
    }

    /// How an alert stands now.
    fn note(&mut self, update: &AlertUpdate) {
        match update {
            AlertUpdate::Opened(alert)
            | AlertUpdate::Revised(alert)
            | AlertUpdate::Adopted(alert, _) => {
                let seen = match self.suppressions.of_alert(alert, timestamp::now()) {
                    Some(_) => Seen::Suppressed,
                    None => Seen::Openly,
                };
                let (opened_at, level) = (alert.opened_at, alert.level);
                self.alerts.insert(alert.id, Standing { opened_at, level, seen });
            }
            // Merged into another one, or taken back: it no longer stands on its own.
            AlertUpdate::Closed(id) => {
                self.alerts.remove(id);
            }
        }
    }

    fn tell(&mut self, fresh: &[AlertUpdate]) -> anyhow::Result<()> {
        let now = timestamp::now();
        let hidden = |alert: &Alert| hidden_by(&self.suppressions, alert, now);
        self.store.save_alerts(fresh.iter(), hidden)?;
        for update in fresh {
            match (shown(update), update) {
                (Some((alert, occasion)), _) => {
                    let hidden = hidden_by(&self.suppressions, alert, now);
                    self.sink.tell(alert, occasion, hidden.as_deref())?;
                }
                (None, AlertUpdate::Closed(id)) => {
                    if let Some(stored) = self.store.alert(*id)? {
                        let hidden = stored.suppressed_by.as_deref();
                        self.sink.tell(&stored.alert, Occasion::Closed, hidden)?;
                    }
                }
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn commit(&mut self) -> anyhow::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let now = timestamp::now();
        let hidden = |alert: &Alert| hidden_by(&self.suppressions, alert, now);
        self.store.save_alerts(self.waiting.values(), hidden)?;
        self.waiting.clear();
        Ok(())
    }

    fn show_all(&mut self) -> anyhow::Result<()> {
        for id in self.alert_ids() {
            let stored = self.store.alert(id)?.context("an alert vanished from the store")?;
            let hidden = stored.suppressed_by.as_deref();
            self.sink.tell(&stored.alert, Occasion::Opened, hidden)?;
        }
        Ok(())
    }
}

fn hidden_by(suppressions: &Suppressions, alert: &Alert, now: Time) -> Option<String> {
    suppressions.of_alert(alert, now).map(|suppression| suppression.id.clone())
}

fn shown(update: &AlertUpdate) -> Option<(&Alert, Occasion)> {
    match update {
        AlertUpdate::Opened(alert) => Some((alert, Occasion::Opened)),
        AlertUpdate::Revised(alert) | AlertUpdate::Adopted(alert, _) => {
            Some((alert, Occasion::Revised))
        }
        AlertUpdate::Closed(_) => None,
    }
}
