//! The plan of a response: what would be done to whom, in which order, and what cannot be done.
//! Evidence comes before isolation.

use std::fmt::Write;

use engine::Alert;

use super::hold;
use super::isolate::{self, Cut};
use super::preserve;
use super::receipt::{self, Standing};
use super::target::{Target, Wire};
use crate::sinks::escaped;
use crate::store::Store;

/// What may be done. A further responder is a further variant; the compiler asks for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Action {
    /// Seal evidence.
    Preserve,
    /// Cut off from the network.
    Isolate,
}

/// A plan; making one only reads.
pub(crate) struct Plan {
    /// The alert's full id.
    pub(crate) alert: String,
    headline: String,
    /// Who is accused, and what there is of them now.
    pub(crate) targets: Vec<Target>,
    /// What `watch` spooled, in words.
    spooled: Vec<String>,
    /// Whether evidence is to be sealed.
    pub(crate) preserves: bool,
    /// For each target that is to be cut off, how.
    pub(crate) isolations: Vec<(usize, Isolation)>,
}

/// What isolating one target comes to.
#[derive(Clone, Debug)]
pub(crate) enum Isolation {
    /// It can be done so.
    Cut(Cut),
    /// It stands already and was seen to hold, with these counters.
    Stands(Box<Standing>, String),
    /// It was done and no longer holds, for this reason; it can be done again.
    Again(Box<Standing>, String, Cut),
    /// It cannot be done.
    Cannot(String),
}

impl Plan {
    /// Decides everything that the actions would do.
    pub(crate) fn make(
        store: &Store,
        alert: &Alert,
        targets: Vec<Target>,
        actions: &[Action],
    ) -> anyhow::Result<Self> {
        let id = alert.id.to_string();
        let standing = receipt::standing(store)?;
        let mut isolations = Vec::new();
        if actions.contains(&Action::Isolate) {
            for (index, target) in targets.iter().enumerate() {
                isolations.push((index, isolation(target, &id, &standing)));
            }
        }
        Ok(Self {
            spooled: preserve::spooled(store, &id),
            headline: format!("{}, {}", alert.level.name(), escaped(&alert.strategy)),
            alert: id,
            targets,
            preserves: actions.contains(&Action::Preserve),
            isolations,
        })
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut out = format!("Response to {} ({})\n", self.alert, self.headline);
        if self.preserves {
            self.preserve_rows(&mut out);
        }
        for (index, isolation) in &self.isolations {
            if let Some(target) = self.targets.get(*index) {
                let _ = writeln!(out, "\nisolate   {}", target.title());
                isolation_rows(&mut out, target, isolation);
            }
        }
        out
    }

    fn preserve_rows(&self, out: &mut String) {
        let _ = writeln!(out, "\npreserve  into a sealed folder of the store");
        match self.spooled.is_empty() {
            true => row(out, "cannot", "packets: nothing was spooled when the alert opened"),
            false => row(out, "spooled", &self.spooled.join(", ")),
        }
        for target in &self.targets {
            for question in preserve::questions(target) {
                row(out, "ask", &format!("{}: {question}", target.title()));
            }
            if let Target::Gone(gone) = target {
                row(out, "cannot", &format!("{}: {}", target.title(), gone.why));
            }
            if let Target::Unnamed(_) = target {
                let title = target.title();
                row(
                    out,
                    "cannot",
                    &format!("{title}: no runtime names it, so nobody can be asked"),
                );
            }
        }
    }
}

fn isolation(target: &Target, alert: &str, standing: &[Standing]) -> Isolation {
    let live = match target {
        Target::Live(live) => live,
        Target::Gone(gone) => {
            return Isolation::Cannot(format!("{}; there is nothing left to cut off", gone.why));
        }
        Target::Unnamed(_) => {
            let why = "what no runtime names cannot be isolated; block the far end instead";
            return Isolation::Cannot(why.to_owned());
        }
    };
    let earlier = standing.iter().find(|standing| concerns(standing, live));
    match (isolate::plan(live, alert), earlier) {
        (Err(why), _) => Isolation::Cannot(why),
        (Ok(cut), None) => Isolation::Cut(cut),
        (Ok(cut), Some(standing)) => match hold::holds(&standing.detail.made, &cut) {
            Ok(counters) => Isolation::Stands(Box::new(standing.clone()), counters),
            Err(why) => Isolation::Again(Box::new(standing.clone()), why, cut),
        },
    }
}

/// Whether an isolation that stands is about this container, or about the namespace it lives in.
fn concerns(standing: &Standing, live: &super::target::Live) -> bool {
    use super::receipt::Made;
    match (&standing.detail.made, &live.network) {
        (Made::Tables { inner, .. }, Wire::Namespace { inode, .. }) => {
            inner.namespace == *inode || standing.detail.container == live.id
        }
        _ => standing.detail.container == live.id,
    }
}

fn isolation_rows(out: &mut String, target: &Target, isolation: &Isolation) {
    match isolation {
        Isolation::Cannot(why) => return row(out, "cannot", why),
        Isolation::Stands(standing, counters) => {
            row(out, "stands", &format!("already, by receipt {}", standing.id));
            return row(out, "holds", counters);
        }
        Isolation::Again(standing, why, _) => {
            row(out, "lost", &format!("receipt {} no longer holds: {why}", standing.id));
        }
        Isolation::Cut(_) => {}
    }
    let (Isolation::Cut(cut) | Isolation::Again(_, _, cut)) = isolation else { return };
    for line in isolate::describe(&cut.made) {
        row(out, "do", &line);
    }
    row(out, "keep", "its processes, addresses, sockets and counters");
    let Target::Live(live) = target else { return };
    if let Wire::Namespace { shared_with, .. } = &live.network
        && !shared_with.is_empty()
    {
        let others = shared_with.join(", ");
        row(out, "also hit", &format!("{others}: in the same network namespace"));
    }
    for weakness in cut.weaknesses.iter().chain(&live.cautions) {
        row(out, "caution", weakness);
    }
}

pub(crate) fn row(out: &mut String, title: &str, text: &str) {
    let _ = writeln!(out, "  {title:<9} {text}");
}
