//! `respond`: what can be done about an alert, and doing it.

use std::io::{self, Write};

use anyhow::{Context, bail};

use super::Outcome;
use super::alerts::find;
use crate::responders::{
    Action, Condition, Done, Plan, Standing, Target, apply, conditions, describe, row, standing,
    targets, undo, verify,
};
use crate::sinks::{escaped, escaped_whole};
use crate::sources::runtime_api::RuntimeApi;
use crate::store::{Store, StoreChoice};
use crate::timestamp;

/// Respond to an alert: seal the evidence, then cut the container off. Shows a plan unless --apply.
///
/// An isolated container keeps its processes, addresses, sockets and counters, and stays isolated
/// after this command ends, until --undo --apply or until its network namespace ends.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo tidewaiter respond 01JD8T6V3M                          the plan; nothing is done
  sudo tidewaiter respond 01JD8T6V3M --apply                  seal the evidence, then isolate
  sudo tidewaiter respond 01JD8T6V3M --only preserve --apply
  sudo tidewaiter respond 01JD8T6V3M --undo                   what an undo would remove
  sudo tidewaiter respond 01JD8T6V3M --undo --apply
  sudo tidewaiter respond --status                            which cuts stand, and if they hold

While `watch` runs on the same store it cuts again what a restart or a network that was connected
later has opened. Without it, --status, `doctor` and `coverage` name the hole, and the same
`respond ALERT --apply` closes it.")]
pub(crate) struct Arguments {
    /// The alert's id, or any unambiguous beginning of it.
    #[arg(required_unless_present = "status")]
    alert: Option<String>,
    /// Do it; without this only the plan is shown.
    #[arg(long)]
    apply: bool,
    /// Only this.
    #[arg(long, value_name = "ACTION", conflicts_with = "undo")]
    only: Option<Action>,
    /// Take back the isolations that stand for this alert.
    #[arg(long)]
    undo: bool,
    /// Show every isolation that stands, and whether it still covers its container; exit with 4
    /// when one has a hole.
    #[arg(long, conflicts_with_all = ["apply", "only", "undo", "container", "alert"])]
    status: bool,
    /// Only this container of the alert: its name, or a beginning of its id.
    #[arg(long, value_name = "NAME|ID")]
    container: Option<String>,
    #[command(flatten)]
    store: StoreChoice,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let mut store = arguments.store.open()?;
    if arguments.status {
        return status(&store);
    }
    let stored = find(&store, arguments.alert())?;
    if arguments.undo {
        return take_back(&mut store, &stored.alert.id.to_string(), arguments);
    }
    let mut accused = targets(&stored.alert, &RuntimeApi::discover());
    if let Some(wanted) = &arguments.container {
        accused.retain(|target| is_wanted(target, wanted));
        if accused.is_empty() {
            bail!("the alert accuses no container called {wanted:?}");
        }
    }
    let actions = match arguments.only {
        Some(action) => vec![action],
        None => vec![Action::Preserve, Action::Isolate],
    };
    let plan = Plan::make(&store, &stored.alert, accused, &actions)?;
    let mut out = io::stdout().lock();
    write!(out, "{}", plan.table())?;
    if !arguments.apply {
        let only = match arguments.only {
            None => "",
            Some(Action::Preserve) => " --only preserve",
            Some(Action::Isolate) => " --only isolate",
        };
        writeln!(out, "\nNothing was done. {}", again(arguments, &format!("{only} --apply")))?;
        return Ok(Outcome::Done);
    }
    writeln!(out)?;
    let alert_json = serde_json::to_vec_pretty(&stored.alert).context("encoding the alert")?;
    let mut failed_count = 0;
    apply(&mut store, &plan, &alert_json, &mut |done| {
        failed_count += usize::from(matches!(done, Done::Failed(..)));
        write!(out, "{}", done_rows(&done))?;
        out.flush().context("writing to standard output")
    })?;
    if failed_count > 0 {
        bail!("{failed_count} of the actions failed; the others were done, see above");
    }
    Ok(Outcome::Done)
}

impl Arguments {
    fn alert(&self) -> &str {
        self.alert.as_deref().unwrap_or_default()
    }
}

/// Every isolation that stands.
fn status(store: &Store) -> anyhow::Result<Outcome> {
    let all = conditions(store)?;
    let mut out = io::stdout().lock();
    if all.is_empty() {
        writeln!(out, "no isolation stands")?;
        return Ok(Outcome::Done);
    }
    let mut hole_count = 0;
    for (one, condition) in &all {
        write!(out, "{}", condition_rows(one, condition))?;
        hole_count += usize::from(condition.is_open());
    }
    out.flush()?;
    Ok(if hole_count == 0 { Outcome::Done } else { Outcome::Damaged })
}

fn condition_rows(one: &Standing, condition: &Condition) -> String {
    let name = escaped(&one.detail.name);
    let at = timestamp::readable(one.at);
    let mut out = format!("receipt {}: isolation of {name}, {at}\n", one.id);
    let (title, text) = condition.in_words();
    row(&mut out, title, &text);
    if let Condition::Hole(_) = condition {
        let close = format!("`tidewaiter respond {} --only isolate --apply`", one.alert);
        row(&mut out, "close", &close);
    }
    out
}

fn take_back(store: &mut Store, alert: &str, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let mut found: Vec<Standing> = standing(store)?;
    found.retain(|standing| standing.alert == alert);
    if let Some(wanted) = &arguments.container {
        found.retain(|one| one.detail.name == *wanted || one.detail.container.starts_with(wanted));
    }
    let mut out = io::stdout().lock();
    if found.is_empty() {
        writeln!(out, "no isolation stands for alert {alert}")?;
        return Ok(Outcome::Done);
    }
    for one in &found {
        write!(out, "{}", standing_rows(one))?;
        if arguments.apply {
            for line in undo(store, one)? {
                write!(out, "{}", text_row("undone", &line))?;
            }
        }
        out.flush()?;
    }
    if !arguments.apply {
        writeln!(out, "\nNothing was undone. {}", again(arguments, " --undo --apply"))?;
    }
    Ok(Outcome::Done)
}

fn is_wanted(target: &Target, wanted: &str) -> bool {
    let (id, name) = match target {
        Target::Live(live) => (&live.id, &live.name),
        Target::Gone(gone) => (&gone.id, &gone.name),
        Target::Unnamed(_) => return false,
    };
    name == wanted || (!wanted.is_empty() && id.starts_with(wanted))
}

/// The same command again, with these words behind it.
fn again(arguments: &Arguments, words: &str) -> String {
    let store = match &arguments.store.store {
        Some(folder) => format!(" --store {}", escaped(&folder.display().to_string())),
        None => String::new(),
    };
    format!("`tidewaiter respond {}{words}{store}` does it.", escaped(arguments.alert()))
}

fn standing_rows(one: &Standing) -> String {
    let name = escaped(&one.detail.name);
    let at = timestamp::readable(one.at);
    let mut out = format!("receipt {}: isolation of {name}, {at}\n", one.id);
    for line in describe(&one.detail.made) {
        row(&mut out, "made", &line);
    }
    match verify(&one.detail.made) {
        Ok(holds) => row(&mut out, "holds", &holds),
        Err(why) => row(&mut out, "lost", &why),
    }
    out
}

fn done_rows(done: &Done) -> String {
    let mut out = String::new();
    match done {
        Done::Sealed(receipt, sealed) => {
            let folder = escaped(&sealed.folder.display().to_string());
            let (files, bytes) = (sealed.file_count, sealed.bytes);
            let text = format!("{files} files, {bytes} bytes in {folder} (receipt {receipt})");
            row(&mut out, "SEALED", &text);
            row(&mut out, "sha256", &sealed.link.sha256);
            for failed in &sealed.failed {
                row(&mut out, "missing", &escaped_whole(failed));
            }
        }
        Done::Isolated(receipt, title, holds, notes) => {
            row(&mut out, "ISOLATED", &format!("{title} (receipt {receipt})"));
            row(&mut out, "holds", holds);
            notes.iter().for_each(|note| row(&mut out, "note", note));
        }
        Done::StoodAlready(receipt, title, counters) => {
            row(&mut out, "STANDS", &format!("{title}: already, by receipt {receipt}"));
            row(&mut out, "holds", counters);
        }
        Done::Skipped(title, why) => row(&mut out, "NOT DONE", &format!("{title}: {why}")),
        Done::Failed(title, why) => {
            row(&mut out, "FAILED", &format!("{title}: {}", escaped_whole(why)));
        }
    }
    out
}

fn text_row(title: &str, text: &str) -> String {
    let mut out = String::new();
    row(&mut out, title, text);
    out
}
