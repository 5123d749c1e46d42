//! The runtime's own client program, started directly with words, never through a shell.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::command::Program;

/// How long the client may take over a question; a container's removal is the slowest.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of an output is kept.
const OUTPUT_BYTES_MAX: u64 = 16 * 1024;
const TICK: Duration = Duration::from_millis(10);

/// Asks and waits; an answer other than success is an error with what the client said.
pub(crate) fn ask(program: Program, words: &[&str]) -> anyhow::Result<String> {
    let asked = || format!("{} {}", program.name(), words.join(" "));
    let mut running = Running::start(program, words, Stdio::null())?;
    let until = Instant::now() + ANSWER_TIMEOUT;
    let code = loop {
        if let Some(code) = running.ended()? {
            break code;
        }
        if Instant::now() > until {
            bail!("`{}` did not answer within {} s", asked(), ANSWER_TIMEOUT.as_secs());
        }
        thread::sleep(TICK);
    };
    let (output, errors) = running.said();
    if code != 0 {
        bail!("`{}` said: {}", asked(), errors.trim());
    }
    Ok(output.trim().to_owned())
}

/// A client that runs; it is ended when it is dropped.
pub(crate) struct Running {
    child: Child,
    output: Option<JoinHandle<String>>,
    errors: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts it in a process group of its own: Ctrl-C is ours to handle.
    pub(crate) fn start(program: Program, words: &[&str], stdin: Stdio) -> anyhow::Result<Self> {
        let mut child = Command::new(program.name())
            .args(words)
            .process_group(0)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting `{}`; is it installed?", program.name()))?;
        let output = child.stdout.take().map(collect);
        let errors = child.stderr.take().map(collect);
        Ok(Self { child, output, errors })
    }

    /// Its exit code, once it has ended; -1 where a signal ended it.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<i32>> {
        let status = self.child.try_wait().context("waiting for the client")?;
        Ok(status.map(|status| status.code().unwrap_or(-1)))
    }

    /// What it wrote to its output and its errors, the beginning of each.
    pub(crate) fn said(mut self) -> (String, String) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let join = |thread: Option<JoinHandle<String>>| {
            thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
        };
        (join(self.output.take()), join(self.errors.take()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads to the end, so that the writer never waits, and keeps the beginning.
fn collect(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut kept = Vec::new();
        let _ = from.by_ref().take(OUTPUT_BYTES_MAX).read_to_end(&mut kept);
        let _ = std::io::copy(&mut from, &mut std::io::sink());
        String::from_utf8_lossy(&kept).into_owned()
    })
}
