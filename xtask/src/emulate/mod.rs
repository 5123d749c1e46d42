//! Runs a strategy's `attack.toml` against a watching Tidewaiter: real engine, real containers,
//! real kernel, one row of the table after the other.

mod attribution;
mod case;
mod fixture;
mod ordinary;
mod played;
mod podman;
mod restart;
mod watch;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::lab::Lab;
use crate::{root, run};

use case::{Attack, Case};
use watch::Watch;

/// Where the strategies' folders lie.
const STRATEGIES: &str = "crates/engine/src/strategies";

/// What to emulate.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The strategy whose attack.toml is run.
    #[arg(default_value = "telnet_c2")]
    strategy: String,
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
    /// The whole table of a strategy, as CI runs it.
    pub(crate) fn table(strategy: &str) -> Self {
        Self {
            strategy: strategy.to_owned(),
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
        Self { attribution: Some(runs), ..Self::table("telnet_c2") }
    }

    /// The brief's command through Podman.
    pub(crate) fn podman() -> Self {
        Self { podman: true, ..Self::table("telnet_c2") }
    }

    /// The brief's command, and the runtime's restart.
    pub(crate) fn restart() -> Self {
        Self { restart: true, ..Self::table("telnet_c2") }
    }

    /// So many seconds of ordinary traffic.
    pub(crate) fn ordinary(seconds: u64) -> Self {
        Self { ordinary: Some(seconds), ..Self::table("telnet_c2") }
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
    table(lab, arguments)
}

/// What a strategy's cases are, by their folders' names: whether each is an attack.
pub(crate) fn answers(strategy: &str) -> Result<BTreeMap<String, bool>> {
    let attack = Attack::read(&root().join(STRATEGIES).join(strategy).join("attack.toml"))?;
    let answer = |case: &Case| (case.folder_name(), case.verdict.is_attack());
    Ok(attack.case.iter().map(answer).collect())
}

/// The strategies that have cases which the live table plays, in the order of their ids.
pub(crate) fn strategies() -> Result<Vec<String>> {
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

fn table(lab: &Lab, arguments: &Arguments) -> Result<()> {
    let folder = root().join(STRATEGIES).join(&arguments.strategy);
    let attack = Attack::read(&folder.join("attack.toml"))?;
    let chosen: Vec<&Case> = attack
        .case
        .iter()
        .filter(|case| arguments.case.as_ref().is_none_or(|part| case.name.contains(part.as_str())))
        .filter(|case| arguments.record.is_some() || case.patience_s.is_none())
        .collect();
    if chosen.is_empty() {
        bail!("no case of {} has that name", arguments.strategy);
    }
    let shared = match arguments.record {
        None => Some(Watch::start_at(&lab.engine.host, None, &attack.intel)?),
        Some(_) => None,
    };
    println!("{:<52} {:<13} {:<9} {:>8}  alerts", "case", "expected", "seen", "after");
    let mut failed = 0;
    for case in &chosen {
        let own = match &arguments.record {
            Some(folder) => {
                let record = Some(folder.join(case.folder_name()));
                Some(Watch::start_at(&lab.engine.host, record, &attack.intel)?)
            }
            None => None,
        };
        let Some(watch) = own.as_ref().or(shared.as_ref()) else { continue };
        let mut right = played::play(lab, watch, case)?.row(case);
        if !right && own.is_none() {
            // One wrong verdict may be the machine's doing (a container that took seconds to
            // start);
            // two are ours. Either way it stands in the output.
            println!("    once more:");
            right = played::play(lab, watch, case)?.row(case);
        }
        failed += u32::from(!right);
        if let (Some(folder), Some(watch)) = (&arguments.record, own) {
            watch.stop()?;
            fixture::clean(&folder.join(case.folder_name()))?;
        }
    }
    if let Some(watch) = shared {
        println!("{}", watch.stop()?);
    }
    println!("{} passed, {failed} failed", chosen.len() - failed as usize);
    if failed > 0 {
        bail!("{failed} verdicts of {} are not as they should be", arguments.strategy);
    }
    Ok(())
}
