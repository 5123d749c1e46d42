//! The lab's own Podman: a service on its own socket, with its own storage, and an image built from
//! scratch. What a distribution's Podman would read from `/etc` comes from files of the lab's, so
//! that the brief's command runs as it is written.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::images;
use crate::run;

const STATE: &str = "/run/tidewaiter-lab/podman";
const STORAGE: &str = "/var/lib/tidewaiter-lab/podman";
const READY_SECONDS_MAX: u64 = 20;

/// Debian packages, each with the file that proves it is there.
const PACKAGES: &[(&str, &str)] = &[
    ("podman", "/usr/bin/podman"),
    ("conmon", "/usr/bin/conmon"),
    ("runc", "/usr/sbin/runc"),
    ("containernetworking-plugins", "/usr/lib/cni/bridge"),
];

/// A Podman service that the lab started. Dropping it ends it and removes its storage.
pub(crate) struct Podman {
    /// What `DOCKER_HOST` has to be.
    pub host: String,
    service: Child,
}

impl Podman {
    /// Installs what is missing, starts the service and builds the image `alpine`. Names are asked
    /// of `resolver`.
    pub(crate) fn start(resolver: &str) -> Result<Self> {
        super::install(PACKAGES)?;
        fs::create_dir_all(STATE)?;
        fs::create_dir_all(STORAGE)?;
        fs::write(Path::new(STATE).join("containers.conf"), configuration(resolver))?;
        fs::write(Path::new(STATE).join("storage.conf"), storage())?;
        let socket = PathBuf::from(STATE).join("podman.sock");
        fs::remove_file(&socket).ok();
        let host = format!("unix://{}", socket.display());
        let log = File::create(Path::new(STATE).join("service.log"))?;
        let service = podman()
            .args(["system", "service", "--time=0", &host])
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("starting podman's service")?;
        let podman = Self { host, service };
        podman.wait_until_ready(&socket)?;
        podman.build()?;
        Ok(podman)
    }

    /// The `podman` client with this lab's storage.
    pub(crate) fn podman(&self) -> Command {
        podman()
    }

    fn build(&self) -> Result<()> {
        let folder = images::context("podman-alpine", &[], images::BUSYBOX)?;
        let mut build = podman();
        build.args(["build", "-q", "-t", "alpine"]).arg(&folder);
        run::output_of(&mut build).context("building podman's image alpine")?;
        fs::remove_dir_all(&folder)?;
        Ok(())
    }

    fn wait_until_ready(&self, socket: &Path) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(READY_SECONDS_MAX) {
            if std::os::unix::net::UnixStream::connect(socket).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("podman's service did not start; see {STATE}/service.log")
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        run::output_of(podman().args(["rm", "--all", "--force", "--time", "0"])).ok();
        run::output_of(podman().args(["rmi", "--all", "--force"])).ok();
        run::must(&format!("kill {}", self.service.id())).ok();
        self.service.wait().ok();
        fs::remove_dir_all(STORAGE).ok();
    }
}

fn podman() -> Command {
    let mut podman = Command::new("/usr/bin/podman");
    podman.env("CONTAINERS_CONF", Path::new(STATE).join("containers.conf"));
    podman.env("CONTAINERS_STORAGE_CONF", Path::new(STATE).join("storage.conf"));
    podman
}

/// runc, since crun refuses a hybrid of both cgroup versions; limits as they are, since a lab may
/// run without CAP_SYS_RESOURCE; no systemd.
fn configuration(resolver: &str) -> String {
    format!(
        r#"[containers]
dns_servers = ["{resolver}"]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "cni"
"#
    )
}

fn storage() -> String {
    format!(
        "[storage]\ndriver = \"vfs\"\ngraphroot = \"{STORAGE}/root\"\nrunroot = \"{STATE}/run\"\n"
    )
}
