//! `alerts`: what was found, and what people said about it.

use std::io::{self, Write};

use anyhow::bail;
use clap::{Subcommand, ValueEnum};
use engine::{Alert, Level};
use observation::Time;

use super::Outcome;
use crate::sinks::{Commands, Format, Occasion, Sink, defanged, defanged_address, escaped};
use crate::store::{Closing, Filter, Found, Standing, Store, StoreChoice, StoredAlert, Verdict};
use crate::suppressions::Suppressions;
use crate::timestamp;

/// List, show and close alerts.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "\
Examples:
  tidewaiter alerts                                  the newest first
  tidewaiter alerts --peer 198.51.100.10             who else went there?
  tidewaiter alerts list --level high --format ndjson
  tidewaiter alerts --suppressed                     what a suppression hides
  tidewaiter alerts show 01JD8T6V3M
  tidewaiter alerts close 01JD8T6V3M --verdict benign --note 'the backup job, agreed with ops'")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List alerts, newest first (the default).
    List(List),
    /// Show one alert.
    Show(Show),
    /// Record a verdict; the alert stays and is no longer listed by --open.
    Close(Close),
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only alerts at or above this level.
    #[arg(long, value_name = "LEVEL", default_value = "low")]
    level: LevelChoice,
    /// Only alerts whose far end has this address or name.
    #[arg(long, value_name = "ADDRESS|NAME")]
    peer: Option<String>,
    /// Only alerts that nobody has closed.
    #[arg(long)]
    open: bool,
    /// Only alerts that a suppression hides; else the table leaves them out and counts them.
    #[arg(long)]
    suppressed: bool,
    /// At most so many.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u32,
    /// `table` is one line an alert here.
    #[arg(long, default_value = "table")]
    format: Format,
    #[command(flatten)]
    store: StoreChoice,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The alert's id, or any unambiguous beginning of it.
    alert: String,
    #[arg(long, default_value = "table")]
    format: Format,
    #[command(flatten)]
    store: StoreChoice,
}

#[derive(Debug, clap::Args)]
struct Close {
    /// The alert's id, or any unambiguous beginning of it.
    alert: String,
    /// What it turned out to be.
    #[arg(long)]
    verdict: Verdict,
    /// Why; the next person reads it.
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    store: StoreChoice,
}

/// A level on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum LevelChoice {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl From<LevelChoice> for Level {
    fn from(choice: LevelChoice) -> Self {
        match choice {
            LevelChoice::Info => Self::Info,
            LevelChoice::Low => Self::Low,
            LevelChoice::Medium => Self::Medium,
            LevelChoice::High => Self::High,
            LevelChoice::Critical => Self::Critical,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    match &arguments.action {
        None => list(&arguments.list),
        Some(Action::List(arguments)) => list(arguments),
        Some(Action::Show(arguments)) => show(arguments),
        Some(Action::Close(arguments)) => close(arguments),
    }
}

/// The one alert that an id's beginning names, or an error that says what to do.
pub(crate) fn find(store: &Store, beginning: &str) -> anyhow::Result<StoredAlert> {
    match store.alert_by_prefix(beginning)? {
        Found::One(stored) => Ok(*stored),
        Found::None => bail!(
            "no alert in {} begins with {beginning:?}: `tidewaiter alerts` lists them, \
             and --store chooses another store",
            store.folder().display()
        ),
        Found::Many(ids) => {
            bail!("more than one alert begins with {beginning:?}: {}", ids.join(", "))
        }
    }
}

fn list(arguments: &List) -> anyhow::Result<Outcome> {
    let store = arguments.store.open()?;
    let filter = Filter {
        level_min: arguments.level.into(),
        peer: arguments.peer.clone(),
        standing: if arguments.open { Standing::Open } else { Standing::All },
        count_max: arguments.limit,
    };
    let suppressions = Suppressions::of(Some(store.folder()), None)?;
    let now = timestamp::now();
    let mut hidden_count = 0_u64;
    let found = store.alerts(&filter, |stored| {
        let is_hidden = hidden_by(stored, &suppressions, now).is_some();
        hidden_count += u64::from(is_hidden);
        match (arguments.suppressed, is_hidden) {
            (true, is_hidden) => is_hidden,
            (false, true) => arguments.format != Format::Table,
            (false, false) => true,
        }
    })?;
    if arguments.format == Format::Table {
        let mut out = io::stdout().lock();
        for stored in &found {
            writeln!(out, "{}", line(stored))?;
        }
        out.flush()?;
        if found.is_empty() {
            eprintln!("no such alert in {}", escaped(&store.folder().display().to_string()));
        }
        if hidden_count > 0 {
            eprintln!("suppressed {hidden_count}");
        }
        return Ok(Outcome::Done);
    }
    let mut sink = Sink::stdout(arguments.format, Level::Info, arguments.store.commands());
    for stored in &found {
        let hidden = hidden_by(stored, &suppressions, now);
        sink.show(&stored.alert, occasion(stored), hidden.as_deref())?;
    }
    Ok(Outcome::Done)
}

/// The id of what hides an alert: what hid it while it happened, or what has come since.
fn hidden_by(stored: &StoredAlert, suppressions: &Suppressions, now: Time) -> Option<String> {
    let acting = || suppressions.of_alert(&stored.alert, now);
    stored.suppressed_by.clone().or_else(|| acting().map(|suppression| suppression.id.clone()))
}

fn show(arguments: &Show) -> anyhow::Result<Outcome> {
    let store = arguments.store.open()?;
    let stored = find(&store, &arguments.alert)?;
    let suppressions = Suppressions::of(Some(store.folder()), None)?;
    let hidden = hidden_by(&stored, &suppressions, timestamp::now());
    let mut sink = Sink::stdout(arguments.format, Level::Info, arguments.store.commands());
    sink.show(&stored.alert, occasion(&stored), hidden.as_deref())?;
    if let (Format::Table, Some(id)) = (arguments.format, &hidden) {
        println!("suppressed by {}; `tidewaiter suppress --list` says why", escaped(id));
    }
    if let (Format::Table, Some(closing)) = (arguments.format, &stored.closing) {
        println!("{}", closing_line(closing));
    }
    Ok(Outcome::Done)
}

fn close(arguments: &Close) -> anyhow::Result<Outcome> {
    let mut store = arguments.store.open()?;
    let stored = find(&store, &arguments.alert)?;
    let closing =
        Closing { verdict: arguments.verdict, note: arguments.note.clone(), at: timestamp::now() };
    store.close_alert(stored.alert.id, &closing)?;
    println!("{} {}", stored.alert.id, closing_line(&closing));
    Ok(Outcome::Done)
}

/// The verdict in one line.
pub(crate) fn closing_line(closing: &Closing) -> String {
    let (verdict, at) = (closing.verdict.name(), timestamp::readable(closing.at));
    let note = escaped(&closing.note);
    format!("closed as {verdict} at {at}{}{note}", if note.is_empty() { "" } else { ": " })
}

fn occasion(stored: &StoredAlert) -> Occasion {
    match (&stored.closing, stored.alert.revision) {
        (Some(_), _) => Occasion::Closed,
        (None, 0 | 1) => Occasion::Opened,
        (None, _) => Occasion::Revised,
    }
}

/// One line of the list: when, level, id, strategy, who, where to, verdict.
pub(super) fn line(stored: &StoredAlert) -> String {
    let alert = &stored.alert;
    format!(
        "{}  {:<8}  {}  {:<12}  {:<28}  {}{}",
        timestamp::readable(alert.opened_at),
        alert.level.name(),
        alert.id.to_string().chars().take(10).collect::<String>(),
        escaped(&alert.strategy),
        accused(alert),
        far_end(alert),
        stored.closing.as_ref().map(|c| format!("  {}", c.verdict.name())).unwrap_or_default(),
    )
}

fn accused(alert: &Alert) -> String {
    let Some(subject) = alert.subjects.first() else {
        return "unknown".to_owned();
    };
    let name = match (&subject.container, subject.address) {
        (Some(container), _) if container.name.is_empty() => "unnamed container".to_owned(),
        (Some(container), _) => escaped(&container.name),
        (None, Some(address)) => defanged_address(address),
        (None, None) => "unknown".to_owned(),
    };
    match alert.subject_count {
        0 | 1 => name,
        count => format!("{name} and {} more", count - 1),
    }
}

fn far_end(alert: &Alert) -> String {
    let name = alert.peer.names.first().map(|name| defanged(&name.name));
    let endpoint = alert
        .peer
        .endpoint
        .map(|endpoint| format!("{}:{}", defanged_address(endpoint.address), endpoint.port));
    [endpoint, name].into_iter().flatten().collect::<Vec<_>>().join("  ")
}

impl StoreChoice {
    /// How commands must be written so that they find this store again.
    pub(crate) fn commands(&self) -> Commands {
        self.store.as_deref().map_or(Commands::Default, Commands::of)
    }
}
