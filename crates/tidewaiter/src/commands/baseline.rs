//! `baseline`: what workloads usually do: learned by `watch` and `scan`, approved by a person.

use std::io::{self, Write};

use anyhow::{bail, ensure};
use clap::{Subcommand, ValueEnum};
use engine::{
    Approval, Approved, Baseline, Decision, Destination, Expectations, Host, Lineage, lowered,
    proposal,
};
use observation::{Span, Time};
use serde_json::{Value, json};

use super::Outcome;
use super::alerts::line;
use super::suppress::{author, span};
use crate::sinks::{ascii, defanged, defanged_address, escaped, escaped_whole, transport_name};
use crate::store::{Filter, Store, StoreChoice};
use crate::suppressions::REASON_CHARS_MAX;
use crate::timestamp::{self, readable, rfc3339};

/// List, show, approve and forget what workloads usually do.
///
/// `watch` and `scan --store` learn for each workload (image digest, command and owner together)
/// where its channels go. Learning changes no alert. What a person approves speaks against an
/// accusation from then on, within a cap, until the workload has not gone there for long. Another
/// version of an image inherits a proposal, which somebody has to approve as well. Throw-away runs
/// have no baseline.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "\
The confidence is how likely the workload goes there on its next day: seen on k of its n days, that
is (k + 1) / (n + 2). Days count and calls do not, since the calls of one day are one habit.

Examples:
  tidewaiter baseline                                  all workloads, the latest first
  tidewaiter baseline show 5455d941                    where one of them goes
  tidewaiter baseline approve 5455d941 --reason 'its vendor, agreed with ops'
                                                       what it would have lowered; nothing changes
  tidewaiter baseline approve 5455d941 --reason 'its vendor' --apply
  tidewaiter baseline forget 5455d941                  what was learned and approved
  tidewaiter baseline list --format ndjson             for other programs")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what was learned, the latest first (the default).
    List(List),
    /// Show where one workload goes.
    Show(Show),
    /// Approve where a workload goes. Shows what it would have lowered unless --apply.
    Approve(Approve),
    /// Forget what was learned of a workload and approved for it: it is learned anew.
    Forget(Forget),
}

#[derive(Debug, clap::Args)]
struct List {
    #[arg(long, default_value = "text")]
    format: Format,
    #[command(flatten)]
    store: StoreChoice,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The workload, or any unambiguous beginning of it.
    workload: String,
    #[arg(long, default_value = "text")]
    format: Format,
    #[command(flatten)]
    store: StoreChoice,
}

#[derive(Debug, clap::Args)]
struct Approve {
    /// The workload, or any unambiguous beginning of it.
    workload: String,
    /// Why it is permitted; the next person reads it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Make it; without this only what it would have lowered is shown.
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    store: StoreChoice,
}

#[derive(Debug, clap::Args)]
struct Forget {
    /// The workload, or any unambiguous beginning of it.
    workload: String,
    #[command(flatten)]
    store: StoreChoice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Ndjson,
}

/// What is expected; commands that judge have this.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ExpectationsChoice {
    /// Watch a workload for so long before its baseline can be approved.
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = span)]
    learn_for: Span,
    /// End an approval when the workload has not gone there for so long.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = span)]
    approvals_end_after: Span,
    /// Words in names and labels that mark a container as one of development or test, instead of
    /// the known ones: its alerts say so and rank a little lower.
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    test_marks: Option<Vec<String>>,
}

impl ExpectationsChoice {
    /// For the engine.
    pub(crate) fn read(&self) -> Expectations {
        let known = Expectations::default();
        Expectations {
            learn_for: self.learn_for,
            expires_after: self.approvals_end_after,
            marks: self.test_marks.clone().unwrap_or(known.marks),
        }
    }
}

const LINES_SHOWN_MAX: usize = 10;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    match &arguments.action {
        None => list(&arguments.list),
        Some(Action::List(arguments)) => list(arguments),
        Some(Action::Show(arguments)) => show(arguments),
        Some(Action::Approve(arguments)) => approve(arguments),
        Some(Action::Forget(arguments)) => forget(arguments),
    }
}

/// All that the store knows.
struct Known {
    baselines: Vec<Baseline>,
    decisions: Vec<Decision>,
    folder: String,
}

impl Known {
    fn of(store: &Store) -> anyhow::Result<Self> {
        let (baselines, decisions) = (store.baselines()?, store.decisions()?);
        Ok(Self { baselines, decisions, folder: store.folder().display().to_string() })
    }

    /// The one whose workload begins so, or an error that says what to do.
    fn find(&self, beginning: &str) -> anyhow::Result<&Baseline> {
        let found: Vec<&Baseline> =
            self.baselines.iter().filter(|it| it.workload.starts_with(beginning)).collect();
        match found.as_slice() {
            [one] => Ok(one),
            [] => bail!(
                "no workload with a baseline in {} begins with {beginning:?}: `tidewaiter baseline` \
                 lists them, and --store chooses another store",
                self.folder
            ),
            _ => bail!("more than one workload begins with {beginning:?}"),
        }
    }

    fn approval(&self, workload: &str) -> Option<&Approval> {
        self.decisions.iter().find_map(|decision| match decision {
            Decision::Approved(approval) if approval.workload == workload => Some(approval),
            _ => None,
        })
    }

    fn standing(&self, baseline: &Baseline) -> String {
        let Some(approval) = self.approval(&baseline.workload) else {
            let (seen, needed) = (baseline.all.day_count(), baseline.days_needed());
            let learned = match baseline.is_complete() {
                true => format!("learned on {seen} days, NOT APPROVED"),
                false => format!("learning, {seen} of {needed} days"),
            };
            return match proposal(baseline, &self.decisions) {
                Some(kin) => format!("{learned}; PROPOSED as for {}", short(&kin.workload)),
                None => learned,
            };
        };
        let (by, at) = (escaped(&approval.by), readable(approval.at));
        let holding = baseline.destinations.iter().filter(|(destination, _)| {
            matches!(self.word_on(baseline, destination), Word::Approved(_))
        });
        let count = holding.count();
        let ended = approval.destinations.len().saturating_sub(count);
        let ended = if ended > 0 { format!(", {ended} ENDED or gone") } else { String::new() };
        format!("approved by {by} at {at}: {count} destinations{ended}")
    }

    fn word_on(&self, baseline: &Baseline, destination: &Destination) -> Word {
        let approval = self.approval(&baseline.workload);
        let covers =
            |it: &&Approval| it.destinations.iter().any(|to| to.destination == *destination);
        let Some(approval) = approval.filter(covers) else { return Word::None };
        let visits = baseline.destinations.iter().find(|(to, _)| to == destination);
        let visits = visits.map(|(_, visits)| visits);
        // What was recorded long ago is judged by the time that it tells of.
        let now = baseline.all.last;
        if !approval.holds(visits, now, baseline.expires_after) {
            return Word::Ended;
        }
        let last = visits.map_or(Time(0), |visits| visits.last);
        Word::Approved(last.max(approval.at) + baseline.expires_after)
    }
}

/// What a person has said of a destination.
enum Word {
    None,
    /// It holds until then, if nobody goes there.
    Approved(Time),
    Ended,
}

fn list(arguments: &List) -> anyhow::Result<Outcome> {
    let known = Known::of(&arguments.store.open()?)?;
    let mut out = io::stdout().lock();
    for baseline in &known.baselines {
        match arguments.format {
            Format::Text => writeln!(out, "{}", head(&known, baseline))?,
            Format::Ndjson => writeln!(out, "{}", ascii(&object(&known, baseline)))?,
        }
    }
    out.flush()?;
    if known.baselines.is_empty() {
        eprintln!(
            "no baseline in {}: `watch` and `scan --store` learn them",
            escaped(&known.folder)
        );
    }
    Ok(Outcome::Done)
}

fn show(arguments: &Show) -> anyhow::Result<Outcome> {
    let known = Known::of(&arguments.store.open()?)?;
    let baseline = known.find(&arguments.workload)?;
    let mut out = io::stdout().lock();
    if arguments.format == Format::Ndjson {
        writeln!(out, "{}", ascii(&object(&known, baseline)))?;
        return Ok(Outcome::Done);
    }
    writeln!(out, "{}", head(&known, baseline))?;
    if let Some(approval) = known.approval(&baseline.workload) {
        writeln!(out, "  reason {}", escaped(&approval.reason))?;
    }
    for (destination, visits) in &baseline.destinations {
        let word = match known.word_on(baseline, destination) {
            Word::None => String::new(),
            Word::Approved(until) => format!("  approved until {}", readable(until)),
            Word::Ended => "  approval ENDED".to_owned(),
        };
        writeln!(
            out,
            "  {:>3} %  on {} of {} days, {} calls, last {}  {}{word}",
            baseline.confidence_percent(visits),
            visits.day_count(),
            baseline.all.day_count(),
            visits.call_count,
            readable(visits.last),
            place(destination),
        )?;
    }
    if baseline.dropped_count > 0 {
        writeln!(out, "  and {} that found no room", baseline.dropped_count)?;
    }
    Ok(Outcome::Done)
}

fn approve(arguments: &Approve) -> anyhow::Result<Outcome> {
    let mut store = arguments.store.open()?;
    let known = Known::of(&store)?;
    let baseline = known.find(&arguments.workload)?;
    let reason = arguments.reason.trim();
    ensure!(!reason.is_empty(), "--reason is empty: the next person has to know why");
    ensure!(
        reason.chars().count() <= REASON_CHARS_MAX,
        "--reason is longer than {REASON_CHARS_MAX} characters"
    );
    let destinations = to_approve(&known, baseline);
    if destinations.is_empty() {
        let (seen, needed) = (baseline.all.day_count(), baseline.days_needed());
        eprintln!(
            "tidewaiter: refused: {} was seen on {seen} of {needed} days, which is not enough to \
             know what it does; nothing was approved for another version of it",
            short(&baseline.workload)
        );
        return Ok(Outcome::Refused);
    }
    let approval = Approval {
        workload: baseline.workload.clone(),
        lineage: baseline.lineage.clone(),
        at: timestamp::now(),
        by: author(),
        reason: reason.to_owned(),
        destinations,
    };
    let mut out = io::stdout().lock();
    preview(&mut out, &store, &approval)?;
    if !arguments.apply {
        writeln!(out, "nothing was changed; --apply makes it")?;
        return Ok(Outcome::Done);
    }
    let (by, at) = (escaped(&approval.by), readable(approval.at));
    store.decide(&Decision::Approved(approval))?;
    writeln!(out, "approved by {by} at {at}")?;
    Ok(Outcome::Done)
}

/// What is known well enough, and what was approved for another version.
fn to_approve(known: &Known, baseline: &Baseline) -> Vec<Approved> {
    let complete = baseline.is_complete();
    let mut all = if complete { baseline.destinations_to_approve() } else { Vec::new() };
    for inherited in
        proposal(baseline, &known.decisions).into_iter().flat_map(|it| &it.destinations)
    {
        if !all.iter().any(|own| own.destination == inherited.destination) {
            all.push(inherited.clone());
        }
    }
    all
}

/// What an approval would have lowered of what the store holds.
fn preview(out: &mut impl Write, store: &Store, approval: &Approval) -> anyhow::Result<()> {
    writeln!(out, "{} would be expected to go to", short(&approval.workload))?;
    for approved in &approval.destinations {
        let (to, sure) = (place(&approved.destination), approved.confidence_percent());
        writeln!(out, "  {sure:>3} %  {to}")?;
    }
    let (mut count, mut total_count, mut lines) = (0_usize, 0_usize, Vec::new());
    // Nothing is kept but what is counted: a store may hold very many.
    store.alerts(&Filter::default(), |stored| {
        total_count += 1;
        if let Some((sum_db, level)) = lowered(&stored.alert, approval)
            && sum_db < stored.alert.sum_db
        {
            count += 1;
            if lines.len() < LINES_SHOWN_MAX {
                lines.push(format!("to {:<8} {sum_db:+} dB  {}", level.name(), line(stored)));
            }
        }
        false
    })?;
    writeln!(out, "it would have lowered {count} of {total_count} alerts of this store:")?;
    for line in &lines {
        writeln!(out, "  {line}")?;
    }
    if count > lines.len() {
        writeln!(out, "  and {} more", count - lines.len())?;
    }
    Ok(())
}

fn forget(arguments: &Forget) -> anyhow::Result<Outcome> {
    let mut store = arguments.store.open()?;
    let known = Known::of(&store)?;
    let baseline = known.find(&arguments.workload)?;
    let workload = baseline.workload.clone();
    store.decide(&Decision::Forgotten { workload, at: timestamp::now() })?;
    println!("forgotten: {}", head(&known, baseline));
    Ok(Outcome::Done)
}

/// One line of the list.
fn head(known: &Known, baseline: &Baseline) -> String {
    let Lineage { owner, name, image } = &baseline.lineage;
    let owner = if owner.is_empty() { String::new() } else { format!("{}/", escaped(owner)) };
    format!(
        "{}  {owner}{} ({})  {} destinations, {} calls, last {}  {}",
        short(&baseline.workload),
        escaped(name),
        escaped(image),
        baseline.destinations.len(),
        baseline.all.call_count,
        readable(baseline.all.last),
        known.standing(baseline),
    )
}

/// So many digits tell workloads apart; commands take any unambiguous beginning.
fn short(workload: &str) -> String {
    escaped_whole(&workload.chars().take(12).collect::<String>())
}

fn place(destination: &Destination) -> String {
    let Destination { host, port, transport, protocol } = destination;
    let host = match host {
        Host::Name(name) => defanged(name),
        Host::Address(address) => defanged_address(*address),
    };
    let protocol = if protocol.is_empty() { "unidentified" } else { protocol };
    format!("{host} {}/{port} {}", transport_name(*transport), escaped(protocol))
}

fn object(known: &Known, baseline: &Baseline) -> Value {
    let destination = |(to, visits): &(Destination, engine::Visits)| {
        let (name, address) = match &to.host {
            Host::Name(name) => (Some(name), None),
            Host::Address(address) => (None, Some(address)),
        };
        let (word, until) = match known.word_on(baseline, to) {
            Word::None => ("none", None),
            Word::Approved(until) => ("approved", Some(rfc3339(until))),
            Word::Ended => ("ended", None),
        };
        json!({
            "name": name, "address": address, "port": to.port,
            "transport": transport_name(to.transport), "protocol": to.protocol,
            "confidence_percent": baseline.confidence_percent(visits),
            "day_count": visits.day_count(), "call_count": visits.call_count,
            "first": rfc3339(visits.first), "last": rfc3339(visits.last),
            "approval": word, "approved_until": until,
        })
    };
    json!({
        "workload": baseline.workload,
        "owner": baseline.lineage.owner, "name": baseline.lineage.name,
        "image": baseline.lineage.image,
        "complete": baseline.is_complete(),
        "day_count": baseline.all.day_count(), "days_needed": baseline.days_needed(),
        "call_count": baseline.all.call_count, "dropped_count": baseline.dropped_count,
        "first": rfc3339(baseline.all.first), "last": rfc3339(baseline.all.last),
        "approval": known.approval(&baseline.workload).map(|it| json!({
            "by": it.by, "at": rfc3339(it.at), "reason": it.reason,
        })),
        "proposed_by": proposal(baseline, &known.decisions).map(|kin| &kin.workload),
        "destinations": baseline.destinations.iter().map(destination).collect::<Vec<_>>(),
    })
}
