//! The lab's own Docker engine: own data root, exec root, pid file, bridge and socket, so that one
//! that already runs on the machine is left alone.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::run;

const BRIDGE: &str = "twlab0";
const FOLDER: &str = "/var/lib/tidewaiter-lab";
const STATE: &str = "/run/tidewaiter-lab";
const GATEWAY: &str = "172.29.0.1";
const READY_SECONDS_MAX: u64 = 60;

/// A Docker engine that the lab started.
pub(crate) struct Engine {
    /// What `DOCKER_HOST` has to be.
    pub host: String,
    /// The address of its bridge on this machine: the containers' gateway and resolver.
    pub gateway: String,
    daemon: Mutex<Child>,
}

impl Engine {
    /// Starts it and waits until it answers.
    pub(crate) fn start() -> Result<Self> {
        let socket = PathBuf::from(STATE).join("docker.sock");
        fs::create_dir_all(FOLDER)?;
        fs::create_dir_all(STATE)?;
        if !run::succeeds(&format!("ip link show {BRIDGE}")) {
            run::must(&format!("ip link add {BRIDGE} type bridge"))?;
            run::must(&format!("ip address add {GATEWAY}/16 dev {BRIDGE}"))?;
            run::must(&format!("ip link set {BRIDGE} up"))?;
        }
        let host = format!("unix://{}", socket.display());
        let daemon = Mutex::new(daemon(&host)?);
        let engine = Self { host, gateway: GATEWAY.to_owned(), daemon };
        engine.wait_until_ready()?;
        Ok(engine)
    }

    /// Ends the daemon and starts it anew, as an upgrade does.
    pub(crate) fn restart(&self) -> Result<()> {
        let mut running = self.daemon.lock().unwrap_or_else(PoisonError::into_inner);
        run::must(&format!("kill {}", running.id()))?;
        running.wait()?;
        *running = daemon(&self.host)?;
        drop(running);
        self.wait_until_ready()
    }

    /// The `docker` client, talking to this engine.
    pub(crate) fn docker(&self) -> Command {
        let mut docker = Command::new("/usr/bin/docker");
        docker.env("DOCKER_HOST", &self.host);
        docker
    }

    /// Runs `docker` with these words and gives its output.
    pub(crate) fn docker_output(&self, line: &str) -> Result<String> {
        let mut docker = self.docker();
        docker.args(line.split_whitespace());
        run::output_of(&mut docker)
    }

    /// A network with IPv6, for the cases that need it.
    pub(crate) fn create_network_v6(&self) -> Result<()> {
        if self.docker_output("network inspect twlab6").is_err() {
            self.docker_output(
                "network create --ipv6 --subnet fd00:beef::/64 --subnet 172.28.0.0/16 twlab6",
            )?;
        }
        Ok(())
    }

    fn wait_until_ready(&self) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(READY_SECONDS_MAX) {
            if self.docker_output("version").is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
        bail!("dockerd did not answer within {READY_SECONDS_MAX} s; see {STATE}/dockerd.log")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Ok(left) = self.docker_output("ps -aq") {
            for id in left.split_whitespace() {
                self.docker_output(&format!("rm -f {id}")).ok();
            }
        }
        let daemon = self.daemon.get_mut().unwrap_or_else(PoisonError::into_inner);
        run::must(&format!("kill {}", daemon.id())).ok();
        daemon.wait().ok();
        run::must(&format!("ip link delete {BRIDGE}")).ok();
    }
}

fn daemon(host: &str) -> Result<Child> {
    let log =
        File::options().create(true).append(true).open(Path::new(STATE).join("dockerd.log"))?;
    Command::new("/usr/sbin/dockerd")
        .args(["--data-root", &format!("{FOLDER}/data")])
        .args(["--exec-root", &format!("{STATE}/exec")])
        .args(["--pidfile", &format!("{STATE}/docker.pid")])
        .args(["--host", host])
        .args(["--bridge", BRIDGE, "--dns", GATEWAY, "--storage-driver", "overlay2"])
        .args(["--config-file", &empty_configuration()?])
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("starting dockerd")
}

/// The machine's own /etc/docker/daemon.json may contradict our options.
fn empty_configuration() -> Result<String> {
    let path = Path::new(STATE).join("daemon.json");
    fs::write(&path, "{}")?;
    Ok(path.display().to_string())
}
