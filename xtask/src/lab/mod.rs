//! The live lab: a Docker engine, images built from what Debian installs, a network namespace that
//! plays the outside world, and a resolver that knows the attackers' names.
//!
//! Nothing is pulled. Far ends live in 198.51.100.0/24 (RFC 5737) inside the namespace.

pub(crate) mod engine;
pub(crate) mod far_end;
mod images;
mod network;
pub(crate) mod podman;
mod resolver;

use std::path::PathBuf;

use anyhow::Result;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

pub(crate) use network::HOST_V4;
pub(crate) use resolver::is_ours;

use crate::run;

/// The far end's IPv4 address, in the lab's own namespace.
pub(crate) const FAR_END_V4: &str = "198.51.100.10";
/// The far end's IPv6 address.
pub(crate) const FAR_END_V6: &str = "fd00:c2::10";
/// The namespace that plays the outside world.
pub(crate) const NAMESPACE: &str = "wan";

/// A running lab. Dropping it takes down what it made, and nothing else.
pub(crate) struct Lab {
    /// The engine that containers run on.
    pub engine: engine::Engine,
    _network: network::Network,
    _resolver: resolver::Resolver,
}

impl Lab {
    /// Installs (with `apt-get`) what is missing, starts the engine and the network, builds images.
    pub(crate) fn up() -> Result<Self> {
        install(PACKAGES)?;
        let engine = engine::Engine::start()?;
        let network = network::Network::up()?;
        let resolver = resolver::Resolver::start(&engine.gateway)?;
        images::build(&engine)?;
        engine.create_network_v6()?;
        Ok(Self { engine, _network: network, _resolver: resolver })
    }

    /// One more image, with these programs and the libraries that they need.
    pub(crate) fn add_image(&self, tag: &str, programs: &[(&str, &str)]) -> Result<()> {
        images::image(&self.engine, tag, programs, "COPY . /\n")
    }
}

/// A lab for people: says how to use it, and stays until SIGINT or SIGTERM.
pub(crate) fn keep_up() -> Result<()> {
    let lab = Lab::up()?;
    println!("The lab is up. In another terminal:");
    println!("  export DOCKER_HOST={}", lab.engine.host);
    println!("  ip netns exec {NAMESPACE} nc -l -p 4444     # the far end, {FAR_END_V4}");
    println!("  docker run --rm alpine telnet c2.example.com 4444");
    println!("Ctrl-C takes it down.");
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    signals.forever().next();
    Ok(())
}

/// Debian packages that the lab cannot do without, each with the file that proves it is there.
const PACKAGES: &[(&str, &str)] = &[
    ("docker.io", "/usr/sbin/dockerd"),
    ("busybox-static", "/bin/busybox"),
    ("netcat-openbsd", "/bin/nc.openbsd"),
    ("nftables", "/usr/sbin/nft"),
    ("iptables", "/usr/sbin/iptables"),
    ("iproute2", "/usr/sbin/ip"),
    ("socat", "/usr/bin/socat"),
    ("openssl", "/usr/bin/openssl"),
    ("redis-server", "/usr/bin/redis-server"),
    ("tcpdump", "/usr/bin/tcpdump"),
    ("bash", "/bin/bash"),
];

fn install(packages: &[(&'static str, &str)]) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .filter(|(_, file)| !PathBuf::from(file).exists())
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("lab: installing {}", missing.join(", "));
    run::must("apt-get update -qq")?;
    let mut install = run::command("apt-get install -y -qq --no-install-recommends");
    install.args(&missing).env("DEBIAN_FRONTEND", "noninteractive");
    // A service that starts by itself would take the ports that the lab's far ends need.
    install.env("RUNLEVEL", "1").stdout(std::process::Stdio::null());
    run::must_command(&mut install)
}
