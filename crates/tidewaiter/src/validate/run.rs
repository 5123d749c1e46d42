//! Runs what a document gives, one command after the other, and waits for its alert.

use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use engine::Level;

use super::client::Running;
use super::command::{Documented, Program, Reading, RunCommand, Stdin};
use super::destinations::Destinations;
use super::far_end::{FarEnd, Reached};
use super::lab::{Lab, Prepared, Pull, need_images, remove_leftovers};
use super::watcher::{Heard, Watcher, passes};

const TICK: Duration = Duration::from_millis(20);
/// After an alert counts it may still rise; so long it is listened to.
const RISE: Duration = Duration::from_secs(2);
/// Starting `watch`, making and removing networks: what a run takes beside its commands.
const OVERHEAD: Duration = Duration::from_secs(120);
/// The client's own exit codes (docker-run(1), "Exit status").
const CLIENT_FAILED: i32 = 125;
const NOT_EXECUTABLE: i32 = 126;
const NO_SUCH_PROGRAM: i32 = 127;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// A command runs at most so long.
    pub(crate) run: Duration,
    /// After its end an alert may come for so long.
    pub(crate) alert: Duration,
}

/// One command that was run.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    /// Its line in the document.
    pub(crate) line: usize,
    /// What was added to it.
    pub(crate) added: Vec<String>,
    /// The container's full id; empty when none was made.
    pub(crate) container: String,
    /// How it ended.
    pub(crate) ended: Ended,
    /// How long it ran.
    pub(crate) seconds: f64,
    /// What reached the far end.
    pub(crate) reached: Reached,
    /// The alert that came, and after how many seconds.
    pub(crate) alert: Option<Came>,
}

/// An alert that came.
#[derive(Clone, Debug)]
pub(crate) struct Came {
    pub(crate) id: String,
    pub(crate) level: Level,
    pub(crate) strategy: String,
    /// After the command's start.
    pub(crate) seconds: f64,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, with this exit code.
    Exit(i32),
    /// The client could not make the container; what it said.
    Client(String),
    /// The image has no such program.
    NoProgram(String),
    /// It was ended here, because its time was over or the alert had come.
    ByUs,
}

impl Ran {
    /// Whether an alert at Medium or above came.
    pub(crate) fn passed(&self) -> bool {
        self.alert.as_ref().is_some_and(|came| passes(came.level))
    }
}

/// Sets the stop on SIGINT and SIGTERM, so that everything made is removed.
pub(crate) fn stop_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("handling signals")?;
    }
    Ok(stop)
}

/// Runs every command that can be; whatever was made is removed, also after an error or a stop.
pub(crate) fn run(
    documented: &[Documented],
    patience: Patience,
    pull: Pull,
    stop: &AtomicBool,
) -> anyhow::Result<Vec<Ran>> {
    let commands: Vec<(usize, &RunCommand)> = documented
        .iter()
        .filter_map(|documented| match &documented.reading {
            Reading::Run(command) => Some((documented.line, command)),
            Reading::Refused(_) => None,
        })
        .collect();
    let images: Vec<_> =
        commands.iter().map(|(_, command)| (command.program, command.image.as_str())).collect();
    need_images(&images, pull)?;
    let count = u32::try_from(commands.len()).unwrap_or(u32::MAX);
    let life = (patience.run + patience.alert + RISE).saturating_mul(count) + OVERHEAD;
    let mut watcher = Watcher::start(life, stop)?;
    let mut all = Vec::new();
    for program in [Program::Docker, Program::Podman] {
        let mine: Vec<_> =
            commands.iter().filter(|(_, command)| command.program == program).collect();
        if mine.is_empty() {
            continue;
        }
        if remove_leftovers(program)? > 0 {
            eprintln!("removed what an earlier, killed validation left behind");
        }
        let mut lab = Lab::make(program)?;
        let mut to = Destinations::default();
        mine.iter().for_each(|(_, command)| to.add(command));
        let far_end = FarEnd::start(lab.gateway(), &to)?;
        for problem in &far_end.missing {
            eprintln!("the far end does not listen on {problem}");
        }
        for (line, command) in mine {
            let prepared = lab.prepare(all.len() + 1, command, to.names.iter());
            let mut one = One { command, prepared, lab: &lab, far_end: &far_end, stop, patience };
            all.push(one.run(*line, &mut watcher)?);
        }
        drop(far_end);
        lab.remove()?;
    }
    all.sort_by_key(|ran| ran.line);
    Ok(all)
}

struct One<'a> {
    command: &'a RunCommand,
    prepared: Prepared,
    lab: &'a Lab,
    far_end: &'a FarEnd,
    stop: &'a AtomicBool,
    patience: Patience,
}

impl One<'_> {
    fn run(&mut self, line: usize, watcher: &mut Watcher) -> anyhow::Result<Ran> {
        let _ = self.far_end.take_reached();
        let words: Vec<&str> = self.prepared.words.iter().map(String::as_str).collect();
        let stdin = match self.command.stdin {
            Stdin::Open => Stdio::piped(),
            Stdin::Closed => Stdio::null(),
        };
        let began = Instant::now();
        let mut running = Running::start(self.command.program, &words, stdin)?;
        let code = self.wait(watcher, began + self.patience.run, Some(&mut running))?;
        let ran_for = began.elapsed();
        let container = self.container();
        if code.is_none() && !container.is_empty() {
            self.lab.end(&container)?;
        }
        let (_, errors) = running.said();
        let ended = match code {
            None => Ended::ByUs,
            Some(CLIENT_FAILED) => Ended::Client(first_line(&errors)),
            Some(NO_SUCH_PROGRAM | NOT_EXECUTABLE) => Ended::NoProgram(first_line(&errors)),
            Some(code) => Ended::Exit(code),
        };
        if !matches!(ended, Ended::Client(_)) {
            self.wait(watcher, Instant::now() + self.patience.alert, None)?;
        }
        let came = watcher.about(&container).map(|heard| came(heard, began));
        Ok(Ran {
            line,
            added: std::mem::take(&mut self.prepared.added),
            container,
            ended,
            seconds: ran_for.as_secs_f64(),
            reached: self.far_end.take_reached(),
            alert: came,
        })
    }

    /// Waits for the end of the client, for an alert that counts and a moment longer, or until the
    /// time is over; gives the exit code, if it ended.
    fn wait(
        &self,
        watcher: &mut Watcher,
        mut until: Instant,
        mut running: Option<&mut Running>,
    ) -> anyhow::Result<Option<i32>> {
        let mut counted = false;
        loop {
            if let Some(code) = running.as_mut().map(|client| client.ended()).transpose()?.flatten()
            {
                return Ok(Some(code));
            }
            if self.stop.load(Ordering::Relaxed) {
                bail!("stopped by a signal");
            }
            watcher.check()?;
            let alert = watcher.about(&self.container());
            if !counted && alert.is_some_and(|heard| passes(heard.level)) {
                counted = true;
                until = until.min(Instant::now() + RISE);
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            thread::sleep(TICK);
        }
    }

    /// The id that the client wrote, once it has.
    fn container(&self) -> String {
        let id = fs::read_to_string(&self.prepared.id_file).unwrap_or_default();
        let id = id.trim();
        let whole = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if whole { id.to_owned() } else { String::new() }
    }
}

fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("").to_owned()
}

fn came(heard: Heard, began: Instant) -> Came {
    let seconds = heard.at.saturating_duration_since(began).as_secs_f64();
    Came { id: heard.id, level: heard.level, strategy: heard.strategy, seconds }
}
