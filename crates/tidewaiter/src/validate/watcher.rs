//! A `tidewaiter watch` beside the validation: this program as a child, with its own store.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use engine::Level;
use serde_json::Value;

/// How long `watch` may take until it says that it watches.
const START_TIMEOUT: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(20);
/// How much of its messages is kept for an error.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// One alert is a few KB; a longer line is not one.
const LINE_BYTES_MAX: u64 = 4 << 20;
/// Alerts that are kept.
const HEARD_COUNT_MAX: usize = 1024;

/// An alert and when its line came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Its id.
    pub(crate) id: String,
    /// Its latest level.
    pub(crate) level: Level,
    /// Its latest headline strategy.
    pub(crate) strategy: String,
    /// Full ids of the accused containers.
    pub(crate) containers: Vec<String>,
    /// When its first line came that was as good as the latest one (see [`passes`]).
    pub(crate) at: Instant,
}

#[derive(Default)]
struct Log {
    heard: Vec<Heard>,
    messages: String,
    watching: bool,
}

/// A watch that runs; it is ended when it is dropped.
pub(crate) struct Watcher {
    child: Child,
    log: Arc<Mutex<Log>>,
    readers: Vec<JoinHandle<()>>,
    _store: tempfile::TempDir,
}

impl Watcher {
    /// Starts it for at most `life` and waits until it watches.
    pub(crate) fn start(life: Duration, stop: &AtomicBool) -> anyhow::Result<Self> {
        let store = tempfile::tempdir().context("making a store for this validation")?;
        let own = std::env::current_exe().context("finding this program")?;
        let mut child = Command::new(own)
            // The end is set here too: should we be killed, it does not watch for ever.
            .args(["watch", "--format", "json", "--level", "info"])
            .args(["--for", &life.as_secs().to_string()])
            .arg("--store")
            .arg(store.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting tidewaiter watch")?;
        let log = Arc::new(Mutex::new(Log::default()));
        let mut readers = Vec::new();
        if let Some(output) = child.stdout.take() {
            let log = Arc::clone(&log);
            readers.push(thread::spawn(move || each_line(output, |line| note(&log, line))));
        }
        if let Some(errors) = child.stderr.take() {
            let log = Arc::clone(&log);
            readers.push(thread::spawn(move || each_line(errors, |line| message(&log, line))));
        }
        let mut this = Self { child, log, readers, _store: store };
        this.wait_until_watching(stop)?;
        Ok(this)
    }

    /// The strongest alert that accuses this container.
    pub(crate) fn about(&self, container: &str) -> Option<Heard> {
        let log = lock(&self.log);
        let accuses = |heard: &&Heard| heard.containers.iter().any(|id| id == container);
        log.heard.iter().filter(accuses).max_by_key(|heard| heard.level).cloned()
    }

    /// An error when it has ended by itself.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait().context("waiting for tidewaiter watch")? {
            None => Ok(()),
            Some(status) => {
                // Its last words may still be on their way.
                thread::sleep(TICK);
                bail!("tidewaiter watch ended ({status}): {}", lock(&self.log).messages.trim())
            }
        }
    }

    fn wait_until_watching(&mut self, stop: &AtomicBool) -> anyhow::Result<()> {
        let until = Instant::now() + START_TIMEOUT;
        while !lock(&self.log).watching {
            self.check()?;
            if stop.load(Ordering::Relaxed) {
                bail!("stopped by a signal");
            }
            if Instant::now() > until {
                let messages = lock(&self.log).messages.trim().to_owned();
                bail!("tidewaiter watch did not begin to watch: {messages}");
            }
            thread::sleep(TICK);
        }
        Ok(())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Its store goes with us, so there is nothing that a gentler end would save.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

/// Whether a level counts as an alert that came.
pub(crate) fn passes(level: Level) -> bool {
    level >= Level::Medium
}

fn note(log: &Mutex<Log>, line: &str) {
    let Some(new) = heard(line, Instant::now()) else { return };
    let heard = &mut lock(log).heard;
    match heard.iter().position(|known| known.id == new.id) {
        Some(at) => {
            if let Some(known) = heard.get_mut(at) {
                let at = if passes(known.level) == passes(new.level) { known.at } else { new.at };
                *known = Heard { at, ..new };
            }
        }
        None if heard.len() < HEARD_COUNT_MAX => heard.push(new),
        None => {}
    }
}

/// One line of `watch --format json`.
fn heard(line: &str, at: Instant) -> Option<Heard> {
    let alert: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| alert.get(name)?.as_str();
    let level = [Level::Info, Level::Low, Level::Medium, Level::High, Level::Critical]
        .into_iter()
        .find(|level| Some(level.name()) == text("level"))?;
    let subjects = alert.get("subjects")?.as_array()?;
    let ids = subjects.iter().filter_map(|subject| subject.pointer("/container/id")?.as_str());
    Some(Heard {
        id: text("id")?.to_owned(),
        level,
        strategy: text("strategy")?.to_owned(),
        containers: ids.map(str::to_owned).collect(),
        at,
    })
}

fn message(log: &Mutex<Log>, line: &str) {
    let mut log = lock(log);
    log.watching |= line.contains("watching");
    if log.messages.len() + line.len() < MESSAGE_BYTES_MAX {
        log.messages.push_str(line);
        log.messages.push('\n');
    }
}

fn each_line(from: impl Read, mut take: impl FnMut(&str)) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        match from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => take(String::from_utf8_lossy(&line).trim_end()),
        }
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(level: &str) -> String {
        format!(
            r#"{{"id":"01A","level":"{level}","strategy":"telnet_c2",
            "subjects":[{{"container":null}},{{"container":{{"id":"ab"}}}}]}}"#
        )
    }

    #[test]
    fn the_time_is_that_of_the_first_line_that_counts() {
        let log = Mutex::new(Log::default());
        note(&log, &line("Low"));
        let low = lock(&log).heard[0].at;
        note(&log, &line("Medium"));
        let medium = lock(&log).heard[0].at;
        note(&log, &line("High"));
        let heard = &lock(&log).heard[0];
        assert!(medium > low);
        assert_eq!((heard.at, heard.level), (medium, Level::High));
        assert_eq!(heard.containers, ["ab"]);
    }

    #[test]
    fn a_line_that_is_no_alert_is_passed_over() {
        for line in ["", "{}", "watching", r#"{"id":"1","level":"Loud"}"#] {
            assert_eq!(heard(line, Instant::now()), None);
        }
    }
}
