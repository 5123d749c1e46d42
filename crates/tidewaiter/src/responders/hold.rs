//! Hold: whether a cut that stands still covers its container, and making it whole again. A network
//! that is connected after the cut, and a restart, give a container ways out that nobody has cut.
//!
//! *Architecture invariant:* [`conditions`] only reads. [`mend`] only widens what somebody has
//! ordered and nobody has undone; what stood before stands until the wider cut does.

use anyhow::Context;

use super::apply::{Done, cut_off, intent, undo};
use super::isolate::{self, Cut};
use super::receipt::{self, DeviceTable, ISOLATE, Made, Progress, Standing, standing};
use super::target::{Gone, Live, Target, look_up};
use crate::sinks::escaped;
use crate::sources::runtime_api::RuntimeApi;
use crate::store::Store;
use crate::timestamp;

/// How a cut that stands fares now.
#[derive(Debug)]
pub(crate) enum Condition {
    /// It covers every way out; what it has dropped so far.
    Whole(String),
    /// There is a way out.
    Hole(Box<Hole>),
    /// Its container does not run, for this reason: there is nothing to cut now.
    Asleep(String),
    /// Nobody can tell, for this reason.
    Unknown(String),
}

/// A way out of a cut.
#[derive(Debug)]
pub(crate) struct Hole {
    /// What is open.
    pub(crate) why: String,
    live: Live,
    cut: Cut,
}

impl Hole {
    pub(super) fn new(why: &str, live: &Live, cut: &Cut) -> Self {
        Self { why: why.to_owned(), live: live.clone(), cut: cut.clone() }
    }
}

impl Condition {
    /// For people: a title and what there is to say.
    pub(crate) fn in_words(&self) -> (&'static str, String) {
        match self {
            Self::Whole(counters) => ("holds", counters.clone()),
            Self::Hole(hole) => ("HOLE", hole.why.clone()),
            Self::Asleep(why) => ("asleep", format!("{why}; there is nothing to cut now")),
            Self::Unknown(why) => ("UNKNOWN", why.clone()),
        }
    }

    /// Whether its container may get out.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self, Self::Hole(_) | Self::Unknown(_))
    }
}

/// Every cut that the store knows to stand, and how it fares.
pub(crate) fn conditions(store: &Store) -> anyhow::Result<Vec<(Standing, Condition)>> {
    let all = standing(store)?;
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let apis = RuntimeApi::discover();
    Ok(all.into_iter().map(|one| (condition(&one, &apis), one)).map(|(c, one)| (one, c)).collect())
}

fn condition(standing: &Standing, apis: &[RuntimeApi]) -> Condition {
    let live = match look_up(&standing.detail.container, &standing.detail.name, apis) {
        Target::Live(live) => live,
        Target::Gone(Gone { why, .. }) => return Condition::Asleep(why),
        Target::Unnamed(_) => return Condition::Unknown("no runtime names it".to_owned()),
    };
    let cut = match isolate::plan(&live, &standing.alert) {
        Ok(cut) => cut,
        Err(why) => return Condition::Unknown(why),
    };
    match holds(&standing.detail.made, &cut) {
        Ok(counters) => Condition::Whole(counters),
        Err(why) => Condition::Hole(Box::new(Hole { why, live: *live, cut })),
    }
}

/// Whether what was made still covers all that would be cut now: what it has dropped so far, or
/// what is open.
pub(super) fn holds(made: &Made, now: &Cut) -> Result<String, String> {
    match uncovered(made, &now.made) {
        Some(why) => Err(why),
        None => isolate::verify(made),
    }
}

/// What of the wider cut the narrower one lacks.
fn uncovered(narrow: &Made, wide: &Made) -> Option<String> {
    let (
        Made::Tables { host, inside, inner },
        Made::Tables { host: host_now, inside: inside_now, inner: inner_now },
    ) = (narrow, wide)
    else {
        let is_other = std::mem::discriminant(narrow) != std::mem::discriminant(wide);
        return is_other.then(|| "it has moved to another kind of network".to_owned());
    };
    if inner.namespace != inner_now.namespace {
        let why = "it was started again, in a network namespace that is not cut";
        return Some(why.to_owned());
    }
    let open = |tables: &[DeviceTable], all: &[DeviceTable]| {
        let is_cut = |ifindex| tables.iter().any(|table| table.ifindex == ifindex);
        all.iter().find(|table| !is_cut(table.ifindex)).map(|table| escaped(&table.interface))
    };
    let interface = open(host, host_now).or_else(|| open(inside, inside_now))?;
    Some(format!("the interface {interface} came after the cut and is not cut"))
}

/// Closes a hole under a receipt of its own, and takes away what the cut before made and the new
/// one does without.
pub(crate) fn mend(
    store: &mut Store,
    alert: &str,
    standing: &Standing,
    hole: &Hole,
) -> anyhow::Result<Done> {
    let done = widen(store, alert, standing, hole)?;
    match done {
        Done::Isolated(..) => {
            let rest = left_over(&standing.detail.made, &hole.cut.made);
            if rest != Made::Nothing {
                isolate::undo(&rest)
                    .with_context(|| format!("removing the rest of receipt {}", standing.id))?;
            }
            store.mark_undone(standing.id, timestamp::now())?;
            Ok(done)
        }
        // A table that was emptied stands in the way of its own repair: only then it goes first.
        Done::Failed(..) if isolate::verify(&standing.detail.made).is_err() => {
            undo(store, standing)?;
            cut_off(store, alert, &hole.live, &hole.cut)
        }
        done => Ok(done),
    }
}

/// Makes what is missing. Where that fails, the cut before stands as it did.
fn widen(store: &mut Store, alert: &str, standing: &Standing, hole: &Hole) -> anyhow::Result<Done> {
    let Hole { why, live, cut } = hole;
    let mut detail = intent(live, cut);
    detail.changed.insert(0, format!("takes the place of receipt {}: {why}", standing.id));
    let id = receipt::intend(store, alert, ISOLATE, &detail)?;
    let outcome = isolate::apply(&cut.made).and_then(|notes| {
        let holds = isolate::verify(&cut.made).map_err(|why| anyhow::anyhow!("{why}"))?;
        Ok((notes, holds))
    });
    let done = match outcome {
        Ok((notes, holds)) => {
            detail.progress = Progress::Done;
            detail.verified.clone_from(&holds);
            Done::Isolated(id, live.title(), holds, notes)
        }
        Err(error) => {
            detail.progress = Progress::Failed(format!("{error:#}"));
            Done::Failed(live.title(), format!("{error:#}"))
        }
    };
    receipt::complete(store, id, &detail)?;
    Ok(done)
}

/// What the cut before made and the new one has not.
fn left_over(before: &Made, now: &Made) -> Made {
    match (before, now) {
        (
            Made::Tables { host, inside, inner },
            Made::Tables { host: kept, inside: kept_inside, inner: inner_kept },
        ) => {
            let rest = |tables: &[DeviceTable], kept: &[DeviceTable]| {
                let is_kept = |cut: &str| kept.iter().any(|table| table.cut == cut);
                tables.iter().filter(|table| !is_kept(&table.cut)).cloned().collect()
            };
            let mut inner = inner.clone();
            if inner.cut == inner_kept.cut {
                // The table inside has the same name before and after: no path leads to it here.
                inner.paths.clear();
            }
            Made::Tables { host: rest(host, kept), inside: rest(inside, kept_inside), inner }
        }
        (Made::Cgroup { pin, .. }, Made::Cgroup { pin: kept, .. }) if pin == kept => Made::Nothing,
        _ => before.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responders::receipt::InnerTable;

    fn table(ifindex: u32) -> DeviceTable {
        DeviceTable { cut: format!("ax{ifindex:x}"), interface: format!("veth{ifindex}"), ifindex }
    }

    fn tables(namespace: u64, ports: &[u32]) -> Made {
        let host = ports.iter().copied().map(table).collect();
        let inner = InnerTable { cut: "a".into(), namespace, paths: vec!["/p".into()] };
        Made::Tables { host, inside: Vec::new(), inner }
    }

    #[test]
    fn a_later_interface_and_a_new_namespace_are_holes() {
        assert_eq!(uncovered(&tables(1, &[7]), &tables(1, &[7])), None);
        assert_eq!(uncovered(&tables(1, &[7, 8]), &tables(1, &[8])), None, "one less is no hole");
        assert!(uncovered(&tables(1, &[7]), &tables(1, &[7, 9])).unwrap().contains("veth9"));
        assert!(uncovered(&tables(1, &[7]), &tables(2, &[7])).unwrap().contains("started again"));
    }

    #[test]
    fn what_the_wider_cut_still_has_is_not_taken_away() {
        let Made::Tables { host, inner, .. } = left_over(&tables(1, &[7, 8]), &tables(1, &[8, 9]))
        else {
            panic!("tables stay tables");
        };
        assert_eq!(host, [table(7)]);
        assert!(inner.paths.is_empty(), "the table inside stands");
        let cgroup = Made::Cgroup { pin: "/sys/fs/bpf/a".into(), cgroup: "/c".into() };
        assert_eq!(left_over(&cgroup, &cgroup), Made::Nothing);
    }
}
