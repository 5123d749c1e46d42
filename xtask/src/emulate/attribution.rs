//! The brief's command so many times, each run to a port of its own: was the right container, image
//! and process named? A process that is not known must be unknown, never wrong.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::own::Own;
use super::played::docker;
use super::watch::Watch;
use crate::lab::far_end::{FarEnd, Script, Step, Transport};
use crate::lab::{Lab, NAMESPACE};

const FIRST_PORT: u16 = 20_000;
const PATIENCE: Duration = Duration::from_secs(6);
/// Executable and command line have to be known in at least this share of the runs.
const KNOWN_PERCENT_MIN: u32 = 98;

/// How one run was attributed.
struct Attributed {
    container: Outcome,
    image: Outcome,
    process: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Right,
    Unknown,
    Wrong,
}

pub(super) fn run(lab: &Lab, runs: u32) -> Result<()> {
    let watch = Watch::start(lab, None)?;
    let mut all = Vec::new();
    for number in 0..runs {
        let port = FIRST_PORT + u16::try_from(number)?;
        let attributed = once(lab, &watch, port)?;
        if attributed.process != Outcome::Right || attributed.container != Outcome::Right {
            println!(
                "port {port}: container {:?}, process {:?}",
                attributed.container, attributed.process
            );
        }
        all.push(attributed);
    }
    println!("{}", watch.stop()?);
    let count = |pick: fn(&Attributed) -> Outcome, outcome| {
        all.iter().filter(|attributed| pick(attributed) == outcome).count()
    };
    let containers = count(|attributed| attributed.container, Outcome::Right);
    let images = count(|attributed| attributed.image, Outcome::Right);
    let processes = count(|attributed| attributed.process, Outcome::Right);
    let wrong = count(|attributed| attributed.container, Outcome::Wrong)
        + count(|attributed| attributed.image, Outcome::Wrong)
        + count(|attributed| attributed.process, Outcome::Wrong);
    println!(
        "{runs} literal runs: container right in {containers}, image in {images}, \
         process, executable and command line in {processes}; wrong {wrong}"
    );
    let total = runs as usize;
    let known_enough = processes * 100 >= total * KNOWN_PERCENT_MIN as usize;
    if containers < total || images < total || wrong > 0 || !known_enough {
        bail!("attribution is not as good as it has to be");
    }
    Ok(())
}

fn once(lab: &Lab, watch: &Watch, port: u16) -> Result<Attributed> {
    let script = Script {
        transport: Transport::Tcp,
        port,
        calls: None,
        steps: vec![Step::Say("id; uname -a\n".to_owned()), Step::Expect(500)],
    };
    let _far_end = FarEnd::start(&format!("ip netns exec {NAMESPACE}"), &script)?;
    let own = Own::by_files()?;
    let line = format!("docker run --rm alpine telnet c2.example.com {port}");
    docker(lab, &line, &own)?.stdin(std::process::Stdio::null()).output()?;
    let id = own.containers(lab)?.pop().context("the run made no container")?;
    let began = Instant::now();
    let mut best = Attributed {
        container: Outcome::Unknown,
        image: Outcome::Unknown,
        process: Outcome::Unknown,
    };
    // What is known may grow with a revision; the last word counts.
    while began.elapsed() < PATIENCE {
        for said in watch.all() {
            if let Some(evidence) = evidence_of(&said.finding, port) {
                best = judge(evidence, &id, port);
            }
        }
        if best.process == Outcome::Right && best.container == Outcome::Right {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(best)
}

fn evidence_of(finding: &Value, port: u16) -> Option<&Value> {
    finding.get("evidences")?.as_array()?.iter().find(|evidence| {
        evidence.pointer("/dst_endpoint/port").and_then(Value::as_u64) == Some(u64::from(port))
    })
}

fn judge(evidence: &Value, id: &str, port: u16) -> Attributed {
    let text = |pointer: &str| evidence.pointer(pointer).and_then(Value::as_str);
    let outcome = |said: Option<&str>, right: &dyn Fn(&str) -> bool| match said {
        None | Some("" | "unknown") => Outcome::Unknown,
        Some(said) if right(said) => Outcome::Right,
        Some(_) => Outcome::Wrong,
    };
    let command = format!("telnet c2.example.com {port}");
    let process = outcome(text("/process/cmd_line"), &|said| said == command);
    // The command line names this run's own port: a pid that carries it is this run's.
    let known = text("/process/file/path").is_some_and(|path| path.ends_with("/busybox"))
        && evidence.pointer("/process/pid").and_then(Value::as_u64).is_some();
    Attributed {
        container: outcome(text("/container/uid"), &|said| said == id),
        image: outcome(text("/container/image/name"), &|said| said.starts_with("alpine")),
        process: if known || process == Outcome::Wrong { process } else { Outcome::Unknown },
    }
}
