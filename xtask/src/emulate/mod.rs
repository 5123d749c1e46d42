//! Runs a strategy's `attack.toml` against a watching Tidewaiter: real engine, real containers,
//! real kernel; rows of the table side by side, as far as they have nothing in common.

mod attribution;
mod board;
mod case;
mod claim;
mod fixture;
mod ordinary;
mod own;
mod played;
mod podman;
mod restart;
mod table;
mod watch;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::lab::Lab;
use crate::{root, run};

use case::{Attack, Case};
use own::Own;
use played::Row;
use table::Table;
use watch::Watch;

/// Where the strategies' folders lie.
const STRATEGIES: &str = "crates/engine/src/strategies";

/// How many cases are played at the same time. They mostly wait: four do not fill two cores, and
/// play the 24 tables in five minutes instead of seventeen.
const LANES: usize = 4;

/// What to emulate.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The strategy whose attack.toml is run.
    #[arg(default_value = "telnet_c2")]
    strategy: String,
    /// Every strategy's table.
    #[arg(long, conflicts_with_all = ["strategy", "record"])]
    all: bool,
    /// How many cases are played at the same time; recordings are made one after the other.
    #[arg(long, default_value_t = LANES)]
    lanes: usize,
    /// Only cases whose name contains this.
    #[arg(long)]
    case: Option<String>,
    /// Instead of the table: so many literal runs, each checked for the right container, image,
    /// process and command line.
    #[arg(long, value_name = "RUNS")]
    attribution: Option<u32>,
    /// Instead of the table: ordinary container traffic for so many seconds, which must stay below
    /// Medium.
    #[arg(long, value_name = "SECONDS")]
    ordinary: Option<u64>,
    /// Instead of the table: the brief's command through Podman, and its innocent twin.
    #[arg(long)]
    podman: bool,
    /// Instead of the table: the brief's command before and after a restart of the runtime.
    #[arg(long)]
    restart: bool,
    /// Records each case into a folder of this one, as `watch --record` does, and keeps of it what
    /// concerns containers: a fixture.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Takes the release build that is there, whatever it was built from.
    #[arg(long)]
    no_build: bool,
}

impl Arguments {
    /// The tables of all strategies, as CI runs them.
    pub(crate) fn tables() -> Self {
        Self {
            strategy: "telnet_c2".to_owned(),
            all: true,
            lanes: LANES,
            case: None,
            attribution: None,
            ordinary: None,
            podman: false,
            restart: false,
            record: None,
            no_build: false,
        }
    }

    /// Attribution in so many literal runs.
    pub(crate) fn attribution(runs: u32) -> Self {
        Self { attribution: Some(runs), ..Self::tables() }
    }

    /// The brief's command through Podman.
    pub(crate) fn podman() -> Self {
        Self { podman: true, ..Self::tables() }
    }

    /// The brief's command, and the runtime's restart.
    pub(crate) fn restart() -> Self {
        Self { restart: true, ..Self::tables() }
    }

    /// So many seconds of ordinary traffic.
    pub(crate) fn ordinary(seconds: u64) -> Self {
        Self { ordinary: Some(seconds), ..Self::tables() }
    }

    /// What was chosen of a strategy's cases.
    fn table(&self, strategy: &str) -> Result<Table> {
        let path = root().join(STRATEGIES).join(strategy).join("attack.toml");
        let attack = Attack::read(&path)?;
        let is_chosen = |case: &Case| {
            self.case.as_ref().is_none_or(|part| case.name.contains(part.as_str()))
                && (self.record.is_some() || case.patience_s.is_none())
        };
        let places = attack.case.iter().enumerate();
        let chosen: Vec<usize> =
            places.filter(|(_, case)| is_chosen(case)).map(|(place, _)| place).collect();
        Ok(Table { strategy: strategy.to_owned(), attack, chosen })
    }
}

/// Brings up a lab and runs what was asked for in it.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if !arguments.no_build {
        run::must("cargo build --quiet --release --package tidewaiter")?;
    }
    let lab = Lab::up()?;
    run_in(&lab, arguments)
}

/// The same in a lab that is up.
pub(crate) fn run_in(lab: &Lab, arguments: &Arguments) -> Result<()> {
    if let Some(runs) = arguments.attribution {
        return attribution::run(lab, runs);
    }
    if let Some(seconds) = arguments.ordinary {
        return ordinary::run(lab, seconds);
    }
    if arguments.podman {
        return podman::run(lab);
    }
    if arguments.restart {
        return restart::run(lab);
    }
    if let Some(folder) = &arguments.record {
        return record(lab, &arguments.table(&arguments.strategy)?, folder);
    }
    let ids = if arguments.all { strategies()? } else { vec![arguments.strategy.clone()] };
    let tables: Vec<Table> =
        ids.iter().map(|id| arguments.table(id)).collect::<Result<Vec<_>>>()?;
    if tables.iter().all(|table| table.chosen.is_empty()) {
        bail!("no case has that name");
    }
    table::play(lab, &tables, arguments.lanes)
}

/// What a strategy's cases are, by their folders' names: whether each is an attack.
pub(crate) fn answers(strategy: &str) -> Result<BTreeMap<String, bool>> {
    let attack = Attack::read(&root().join(STRATEGIES).join(strategy).join("attack.toml"))?;
    let answer = |case: &Case| (case.folder_name(), case.verdict.is_attack());
    Ok(attack.case.iter().map(answer).collect())
}

/// The strategies that have cases which the live table plays, in the order of their ids.
fn strategies() -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(root().join(STRATEGIES))? {
        let path = entry?.path();
        let Some(id) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if !path.is_dir() {
            continue;
        }
        let attack = Attack::read(&path.join("attack.toml"))?;
        if attack.case.iter().any(|case| case.patience_s.is_none()) {
            ids.push(id.to_owned());
        } else {
            println!("{id}: every case needs patience; played by `--record` only");
        }
    }
    ids.sort();
    Ok(ids)
}

/// Plays each case before a watch of its own that records, one after the other.
fn record(lab: &Lab, table: &Table, folder: &Path) -> Result<()> {
    let mut failed = 0;
    for case in table.cases() {
        let folder = folder.join(case.folder_name());
        let watch = Watch::start_at(&lab.engine.host, Some(folder.clone()), &table.attack.intel)?;
        let (row, verdict) = played::play(lab, &watch, case, &Own::since_now())?.row(case);
        print!("{row}");
        failed += u32::from(verdict == Row::Wrong);
        watch.stop()?;
        fixture::clean(&folder)?;
    }
    if failed > 0 {
        bail!("{failed} verdicts of {} are not as they should be", table.strategy);
    }
    Ok(())
}
