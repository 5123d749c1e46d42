//! A Tidewaiter that watches, and what it said so far.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::lab::Lab;
use crate::run;

const START_SECONDS_MAX: u64 = 15;

/// The last revision of one alert.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// When its first line arrived.
    pub first: Instant,
    /// When the line arrived that raised it to its present severity.
    pub raised: Instant,
    /// OCSF severity of the latest revision.
    pub severity: u64,
    /// The latest revision.
    pub finding: Value,
}

impl Said {
    /// The full ids of the accused containers.
    pub(super) fn containers(&self) -> Vec<&str> {
        let evidences = self.finding.get("evidences").and_then(Value::as_array);
        evidences
            .into_iter()
            .flatten()
            .filter_map(|evidence| evidence.pointer("/container/uid").and_then(Value::as_str))
            .collect()
    }
}

type Log = Arc<Mutex<BTreeMap<String, Said>>>;

/// A running `tidewaiter watch`.
pub(super) struct Watch {
    child: Child,
    _store: TempDir,
    said: Log,
    reader: Option<JoinHandle<()>>,
    errors: Option<JoinHandle<String>>,
}

impl Watch {
    pub(super) fn start(lab: &Lab, record: Option<PathBuf>) -> Result<Self> {
        Self::start_at(&lab.engine.host, record, &[])
    }

    /// Watches the containers of the engine behind this socket, with this list of indicators.
    pub(super) fn start_at(host: &str, record: Option<PathBuf>, intel: &[String]) -> Result<Self> {
        let store = tempfile::tempdir().context("making a store")?;
        let mut command = Command::new(crate::program());
        command.args(["watch", "--format", "ndjson", "--store"]).arg(store.path());
        if !intel.is_empty() {
            let list = store.path().join("intel.txt");
            std::fs::write(&list, intel.join("\n") + "\n")?;
            command.arg("--intel").arg(list);
        }
        if let Some(folder) = record {
            if let Some(parent) = folder.parent() {
                std::fs::create_dir_all(parent)?;
            }
            command.arg("--record").arg(folder);
        }
        command.env("DOCKER_HOST", host);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("starting tidewaiter watch")?;
        let said = Log::default();
        let output = child.stdout.take().context("its output")?;
        let log = Arc::clone(&said);
        let reader = thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).for_each(|line| note(&log, &line));
        });
        let errors = child.stderr.take().context("its errors")?;
        let (ready, errors) = follow_errors(errors);
        let (reader, errors) = (Some(reader), Some(errors));
        let mut this = Self { child, _store: store, said, reader, errors };
        let began = Instant::now();
        while !*ready.lock().unwrap_or_else(std::sync::PoisonError::into_inner) {
            if began.elapsed() > Duration::from_secs(START_SECONDS_MAX) {
                let said = this.end()?;
                bail!("tidewaiter watch did not say that it watches: {said}");
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(this)
    }

    /// The alerts that name one of these containers.
    pub(super) fn about(&self, containers: &[String]) -> Vec<Said> {
        let said = self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        said.values()
            .filter(|said| said.containers().iter().any(|id| containers.iter().any(|c| c == id)))
            .cloned()
            .collect()
    }

    /// Every alert so far.
    pub(super) fn all(&self) -> Vec<Said> {
        let said = self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        said.values().cloned().collect()
    }

    /// Stops it as a user would, and gives the last line.
    pub(super) fn stop(self) -> Result<String> {
        let said = self.stop_and_tell()?;
        Ok(said.lines().last().unwrap_or_default().to_owned())
    }

    /// Stops it as a user would, and gives all that it said about itself.
    pub(super) fn stop_and_tell(mut self) -> Result<String> {
        self.end()
    }

    /// Once: whoever has its number afterwards is another process.
    fn end(&mut self) -> Result<String> {
        let Some(reader) = self.reader.take() else { return Ok(String::new()) };
        run::succeeds(&format!("kill -INT {}", self.child.id()));
        self.child.wait()?;
        reader.join().ok();
        let said = self.errors.take().and_then(|errors| errors.join().ok());
        Ok(said.unwrap_or_default())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end().ok();
    }
}

/// Collects standard error; ready once it has said what it watches.
fn follow_errors(errors: std::process::ChildStderr) -> (Arc<Mutex<bool>>, JoinHandle<String>) {
    let ready = Arc::new(Mutex::new(false));
    let is_ready = Arc::clone(&ready);
    let thread = thread::spawn(move || {
        let mut all = String::new();
        let mut reader = BufReader::new(errors.take(16 * 1024 * 1024));
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
            if line.contains("watching") {
                *is_ready.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = true;
            }
            all.push_str(&line);
            line.clear();
        }
        all
    });
    (ready, thread)
}

fn note(log: &Log, line: &str) {
    let now = Instant::now();
    let Ok(finding) = serde_json::from_str::<Value>(line) else { return };
    let Some(uid) = finding.pointer("/finding_info/uid").and_then(Value::as_str) else { return };
    let severity = finding.get("severity_id").and_then(Value::as_u64).unwrap_or_default();
    let uid = uid.to_owned();
    let mut said = log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let earlier = said.get(&uid);
    let first = earlier.map_or(now, |earlier| earlier.first);
    let raised = match earlier {
        Some(earlier) if earlier.severity == severity => earlier.raised,
        _ => now,
    };
    said.insert(uid, Said { first, raised, severity, finding });
}
