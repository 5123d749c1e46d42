//! Plays one case, and compares what was said with what should have been.

use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::case::{Case, Input, Verdict};
use super::own::Own;
use super::watch::{Said, Watch};
use crate::lab::far_end::FarEnd;
use crate::lab::{Lab, NAMESPACE};

const RUN_SECONDS_MAX: u64 = 18;
/// The machine may be slow to start the containers of an attack that has not been found yet, or of
/// what is watched to its end.
const COMMAND_SECONDS_MAX: u64 = 60;
/// Alerts come within this time of the conversation's end.
const SETTLE: Duration = Duration::from_millis(2500);
/// Silence is told after five seconds.
const SETTLE_MAX: Duration = Duration::from_millis(7500);
/// A container that was started has an address within this time.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(10);
const LINE_EVERY: Duration = Duration::from_millis(700);

/// What came of a case.
pub(super) struct Played {
    began: Instant,
    said: Vec<Said>,
    missing_count: usize,
}

/// Runs the case's commands beside its far end, and waits for the verdict on its own containers.
pub(super) fn play(lab: &Lab, watch: &Watch, case: &Case, own: &Own) -> Result<Played> {
    for line in &case.before {
        docker(lab, line, own)?.stdout(Stdio::null()).status()?;
    }
    if !case.before.is_empty() {
        thread::sleep(Duration::from_millis(1500));
    }
    let is_caller = case.far_end.as_ref().is_some_and(|far_end| far_end.calls.is_some());
    let mut far_end = if is_caller { None } else { far_end_of(lab, case)? };
    let began = Instant::now();
    let mut children = Vec::new();
    for line in &case.run {
        children.push(start(docker(lab, line, own)?, line, &case.input)?);
    }
    if is_caller {
        far_end = far_end_of(lab, case)?;
    }
    let caller = far_end.as_mut().filter(|_| is_caller);
    wait(&mut children, caller, watch, case, || own.containers(lab))?;
    let containers = own.containers(lab)?;
    settle(watch, case, &containers);
    let said = watch.about(&containers);
    let missing_count = own.missing_count(&containers);
    // First the far end: what it says to a container that is gone reaches the next that gets the
    // same address.
    drop(far_end);
    for id in &containers {
        lab.engine.docker_output(&format!("rm -f {id}")).ok();
    }
    for (mut child, _) in children {
        child.kill().ok();
        child.wait()?;
    }
    Ok(Played { began, said, missing_count })
}

impl Played {
    /// The row, and whether the verdict is as it should be.
    pub(super) fn row(&self, case: &Case) -> (String, Row) {
        let strongest = self.said.iter().max_by_key(|said| said.severity);
        let severity = strongest.map_or(0, |said| said.severity);
        let enough = case.alerts.is_none_or(|count| count == self.said.len());
        let right = case.verdict.accepts(severity) && enough && self.missing_count == 0;
        let after = strongest.map_or_else(String::new, |said| {
            format!("{:.2} s", said.raised.duration_since(self.began).as_secs_f32())
        });
        let mut row = format!(
            "{:<52} {:<13} {:<9} {after:>8}  {}{}\n",
            case.name,
            format!("{:?}", case.verdict),
            name(severity),
            self.said.len(),
            if right { "" } else { "   <== WRONG" },
        );
        if right {
            return (row, Row::Right);
        }
        if self.missing_count > 0 {
            row.push_str(&format!("    {} containers were not made\n", self.missing_count));
        }
        for said in &self.said {
            row.push_str(&format!("    {}\n", said.finding));
        }
        (row, Row::Wrong)
    }
}

/// Whether the verdict of a row is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Right,
    Wrong,
}

fn name(severity: u64) -> &'static str {
    ["silent", "Info", "Low", "Medium", "High", "Critical"]
        .get(usize::try_from(severity).unwrap_or(usize::MAX))
        .copied()
        .unwrap_or("?")
}

/// Starts the case's far end. Whom it calls may have to come to run first.
fn far_end_of(lab: &Lab, case: &Case) -> Result<Option<FarEnd>> {
    let Some(far_end) = &case.far_end else { return Ok(None) };
    let enter = enter(lab, far_end.inside.as_deref())?;
    let calls = far_end.calls.as_deref().map(|name| address_of(lab, name)).transpose()?;
    FarEnd::start(&enter, &far_end.script(calls)).map(Some)
}

/// The address of a container, once it has one; an address is what it is.
fn address_of(lab: &Lab, name: &str) -> Result<IpAddr> {
    if let Ok(address) = name.parse() {
        return Ok(address);
    }
    let began = Instant::now();
    let asked = format!(
        "inspect -f {{{{range.NetworkSettings.Networks}}}}{{{{.IPAddress}}}}{{{{end}}}} {name}"
    );
    loop {
        let address = lab.engine.docker_output(&asked).unwrap_or_default();
        match address.trim().parse() {
            Ok(address) => return Ok(address),
            Err(error) if began.elapsed() > ADDRESS_PATIENCE => {
                return Err(error).with_context(|| format!("{name} has no address: `{address}`"));
            }
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn enter(lab: &Lab, inside: Option<&str>) -> Result<String> {
    let Some(name) = inside else { return Ok(format!("ip netns exec {NAMESPACE}")) };
    if name == "host" {
        return Ok("env".to_owned());
    }
    let pid = lab.engine.docker_output(&format!("inspect -f {{{{.State.Pid}}}} {name}"))?;
    Ok(format!("nsenter --net=/proc/{pid}/ns/net"))
}

/// The documented line, with `docker` talking to the lab's engine; no shell in between.
pub(super) fn docker(lab: &Lab, line: &str, own: &Own) -> Result<Command> {
    let words = shlex::split(line).with_context(|| format!("splitting `{line}`"))?;
    let mut docker = lab.engine.docker();
    docker.args(own.told(words.into_iter().skip(1)));
    Ok(docker)
}

type Running = (Child, Option<ChildStdin>);

fn start(mut docker: Command, line: &str, input: &Input) -> Result<Running> {
    let open = *input != Input::Closed;
    docker.stdin(if open { Stdio::piped() } else { Stdio::null() });
    docker.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = docker.spawn().with_context(|| format!("starting `{line}`"))?;
    let stdin = child.stdin.take();
    let mut stdout = child.stdout.take().context("its output")?;
    match (input.clone(), stdin) {
        (Input::Answer, Some(mut stdin)) => {
            thread::spawn(move || {
                let mut buffer = [0_u8; 4096];
                while stdout.read(&mut buffer).is_ok_and(|length| length > 0) {
                    let answer = b"bin  dev  etc  home  lib  proc  root  sys  tmp  usr  var\n";
                    if stdin.write_all(answer).is_err() {
                        break;
                    }
                }
            });
            return Ok((child, None));
        }
        (Input::Lines(lines), Some(mut stdin)) => {
            thread::spawn(move || {
                for line in lines {
                    thread::sleep(LINE_EVERY);
                    if writeln!(stdin, "{line}").is_err() {
                        return;
                    }
                }
                thread::sleep(Duration::from_secs(2));
            });
        }
        (Input::Raw(text), Some(mut stdin)) => {
            thread::spawn(move || {
                thread::sleep(LINE_EVERY);
                stdin.write_all(text.as_bytes()).ok();
                thread::sleep(Duration::from_secs(3));
            });
        }
        (Input::Held, Some(stdin)) => {
            drain(stdout);
            return Ok((child, Some(stdin)));
        }
        _ => {}
    }
    drain(stdout);
    Ok((child, None))
}

fn drain(mut stdout: std::process::ChildStdout) {
    thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()).ok());
}

/// Waits until every command has ended, the verdict is there already, or patience is at an end.
fn wait(
    children: &mut [Running],
    mut caller: Option<&mut FarEnd>,
    watch: &Watch,
    case: &Case,
    created: impl Fn() -> Result<Vec<String>>,
) -> Result<()> {
    let began = Instant::now();
    let longest = match case.settle_s {
        None if !case.verdict.ends_early() => RUN_SECONDS_MAX,
        _ => COMMAND_SECONDS_MAX,
    };
    let patience = Duration::from_secs(case.patience_s.unwrap_or(longest));
    while began.elapsed() < patience {
        let mut running = false;
        if let Some(caller) = caller.as_mut() {
            // What is called may go on for ever.
            if caller.has_ended()? {
                return Ok(());
            }
            running = true;
        }
        for (child, _) in children.iter_mut() {
            running |= child.try_wait()?.is_none();
        }
        if !running || (case.verdict.ends_early() && reached(watch, case, &created()?)) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// An attack may be judged early; what has to stay quiet gets the whole time.
fn settle(watch: &Watch, case: &Case, containers: &[String]) {
    let began = Instant::now();
    let quiet = case.verdict == Verdict::BelowMedium;
    let least = case.settle_s.map_or(SETTLE, Duration::from_secs);
    while began.elapsed() < least
        || (!quiet && began.elapsed() < SETTLE_MAX && !reached(watch, case, containers))
    {
        if case.verdict.ends_early() && reached(watch, case, containers) {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn reached(watch: &Watch, case: &Case, containers: &[String]) -> bool {
    case.alerts.is_none()
        && watch.about(containers).iter().any(|said| case.verdict.accepts(said.severity))
}
