//! Carries a plan out, in its order, and keeps a receipt of each act.

use anyhow::Context;

use super::hold::{self, Hole};
use super::isolate::{self, Cut};
use super::plan::{Isolation, Plan};
use super::preserve;
use super::receipt::{self, Detail, ISOLATE, Made, PRESERVE, Progress, Standing};
use super::target::{Live, Target};
use crate::evidence::Sealed;
use crate::store::Store;
use crate::timestamp;

/// What came of one act.
pub(crate) enum Done {
    /// Evidence lies here.
    Sealed(i64, Sealed),
    /// A target is cut off, by this receipt; what was seen to hold, and what else to know.
    Isolated(i64, String, String, Vec<String>),
    /// It stood already.
    StoodAlready(i64, String, String),
    /// Nothing could be done, as the plan said.
    Skipped(String, String),
    /// It failed, for this reason.
    Failed(String, String),
}

/// Carries the plan out. Preserving that fails does not keep an attacker's line open: it is said,
/// and the isolation follows.
pub(crate) fn apply(
    store: &mut Store,
    plan: &Plan,
    alert_json: &[u8],
    said: &mut dyn FnMut(Done) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if plan.preserves {
        let done = seal(store, plan, alert_json);
        said(done.unwrap_or_else(|error| Done::Failed("evidence".into(), format!("{error:#}"))))?;
    }
    for (index, isolation) in &plan.isolations {
        let Some(target) = plan.targets.get(*index) else { continue };
        said(isolate_one(store, &plan.alert, target, isolation)?)?;
    }
    Ok(())
}

/// Undoes one isolation; says what was removed.
pub(crate) fn undo(store: &mut Store, standing: &Standing) -> anyhow::Result<Vec<String>> {
    let said = isolate::undo(&standing.detail.made)
        .with_context(|| format!("undoing receipt {}; it still stands", standing.id))?;
    store.mark_undone(standing.id, timestamp::now())?;
    Ok(said)
}

fn seal(store: &mut Store, plan: &Plan, alert_json: &[u8]) -> anyhow::Result<Done> {
    let mut detail = Detail {
        progress: Progress::Intent,
        container: String::new(),
        name: String::new(),
        changed: vec!["evidence is sealed into a folder of the store".to_owned()],
        verified: String::new(),
        made: Made::Nothing,
    };
    let id = receipt::intend(store, &plan.alert, PRESERVE, &detail)?;
    match preserve::preserve(store, &plan.alert, alert_json, &plan.targets) {
        Ok(sealed) => {
            let root = preserve::evidence_root(store);
            let verified = crate::evidence::verify(&root, &sealed.link.case);
            detail.progress = Progress::Done;
            detail.made = Made::Evidence(sealed.link.clone());
            detail.changed = isolate::describe(&detail.made);
            let faults = verified.faults.len();
            detail.verified = format!("{} files intact, {faults} faults", verified.intact_count);
            receipt::complete(store, id, &detail)?;
            Ok(Done::Sealed(id, sealed))
        }
        Err(error) => {
            detail.progress = Progress::Failed(format!("{error:#}"));
            receipt::complete(store, id, &detail)?;
            Err(error)
        }
    }
}

fn isolate_one(
    store: &mut Store,
    alert: &str,
    target: &Target,
    isolation: &Isolation,
) -> anyhow::Result<Done> {
    let title = target.title();
    match (isolation, target) {
        (Isolation::Stands(standing, counters), _) => {
            Ok(Done::StoodAlready(standing.id, title, counters.clone()))
        }
        (Isolation::Cut(cut), Target::Live(live)) => cut_off(store, alert, live, cut),
        (Isolation::Again(standing, why, cut), Target::Live(live)) => {
            hold::mend(store, alert, standing, &Hole::new(why, live, cut))
        }
        (Isolation::Cannot(why), _) => Ok(Done::Skipped(title, why.clone())),
        (Isolation::Cut(_) | Isolation::Again(..), _) => {
            Ok(Done::Skipped(title, "it does not run".to_owned()))
        }
    }
}

/// What a receipt says before its cut is made.
pub(super) fn intent(live: &Live, cut: &Cut) -> Detail {
    Detail {
        progress: Progress::Intent,
        container: live.id.clone(),
        name: live.name.clone(),
        changed: isolate::describe(&cut.made),
        verified: String::new(),
        made: cut.made.clone(),
    }
}

/// Cuts a container off under a receipt of its own.
pub(super) fn cut_off(
    store: &mut Store,
    alert: &str,
    live: &Live,
    cut: &Cut,
) -> anyhow::Result<Done> {
    let mut detail = intent(live, cut);
    let id = receipt::intend(store, alert, ISOLATE, &detail)?;
    let outcome = isolate::apply(&cut.made).and_then(|notes| {
        let holds = isolate::verify(&cut.made).map_err(|why| anyhow::anyhow!("{why}"))?;
        Ok((notes, holds))
    });
    let done = match outcome {
        Ok((notes, holds)) => {
            detail.progress = Progress::Done;
            detail.verified.clone_from(&holds);
            detail.changed.extend(notes.iter().cloned());
            Done::Isolated(id, live.title(), holds, notes)
        }
        Err(error) => {
            let taken_back = isolate::undo(&cut.made);
            let mut why = format!("{error:#}");
            if let Err(error) = taken_back {
                why = format!("{why}; and what was made could not be taken back: {error:#}");
            }
            detail.progress = Progress::Failed(why.clone());
            Done::Failed(live.title(), why)
        }
    };
    receipt::complete(store, id, &detail)?;
    Ok(done)
}
