//! What the live tests share: a namespace behind a veth, and the loud refusal where root is
//! missing.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests state facts the short way"
)]

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Whether live tests are wanted (`TIDEWAITER_LIVE=1`, which `cargo xtask test --live` sets once it
/// has installed what they need) and all of these capabilities (by number) are effective. Otherwise
/// the test says so, and fails under `CI=true`: a live test that did not run proves nothing.
pub fn may(test: &str, capabilities: &[(u32, &str)]) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let mask = u64::from_str_radix(line.trim(), 16).unwrap();
    let mut missing: Vec<_> = capabilities
        .iter()
        .filter(|(bit, _)| mask >> bit & 1 == 0)
        .map(|(_, name)| *name)
        .collect();
    if std::env::var("TIDEWAITER_LIVE").as_deref() != Ok("1") {
        missing.push("TIDEWAITER_LIVE=1 and busybox, iproute2, socat (`cargo xtask test --live`)");
    }
    if missing.is_empty() {
        return true;
    }
    eprintln!("NOT RUN: {test} needs {}", missing.join(", "));
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{test} must run in CI");
    false
}

pub const NET_ADMIN: (u32, &str) = (12, "CAP_NET_ADMIN");
pub const NET_RAW: (u32, &str) = (13, "CAP_NET_RAW");
pub const SYS_ADMIN: (u32, &str) = (21, "CAP_SYS_ADMIN");
pub const BPF: (u32, &str) = (39, "CAP_BPF");

/// A network namespace with `eth0`, whose peer is on the host.
pub struct Sandbox {
    pub namespace: String,
    pub host_link: String,
    pub host_ifindex: u32,
    pub host_address: String,
    pub inner_address: String,
}

static COUNTER: AtomicU32 = AtomicU32::new(0);

impl Sandbox {
    pub fn new() -> Self {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let pid = std::process::id();
        let namespace = format!("sys-{pid}-{number}");
        let host_link = format!("sys{pid}v{number}");
        // RFC 2544's benchmarking range is nobody's, a /30 for each sandbox.
        let slot = (pid * 8 + number) % 0x4000;
        let net = |host: u32| {
            let address = slot * 4 + host;
            format!("198.19.{}.{}", address >> 8 & 0xff, address & 0xff)
        };
        let (host_address, inner_address) = (net(1), net(2));
        ip(&["netns", "add", &namespace]);
        // Without these neither end speaks on its own, so that every frame is the test's.
        for family in ["default", "all"] {
            let key = format!("net.ipv6.conf.{family}.disable_ipv6=1");
            run("ip", &["netns", "exec", &namespace, "busybox", "sysctl", "-qw", &key]);
        }
        ip(&[
            "link", "add", &host_link, "type", "veth", "peer", "name", "eth0", "netns", &namespace,
        ]);
        let key = format!("net.ipv6.conf.{host_link}.disable_ipv6=1");
        run("busybox", &["sysctl", "-qw", &key]);
        ip(&["address", "add", &format!("{host_address}/30"), "dev", &host_link]);
        ip(&["link", "set", &host_link, "up"]);
        ip(&["-n", &namespace, "address", "add", &format!("{inner_address}/30"), "dev", "eth0"]);
        ip(&["-n", &namespace, "link", "set", "lo", "up"]);
        ip(&["-n", &namespace, "link", "set", "eth0", "up"]);
        let path = format!("/sys/class/net/{host_link}/ifindex");
        let host_ifindex = std::fs::read_to_string(path).unwrap().trim().parse().unwrap();
        Self { namespace, host_link, host_ifindex, host_address, inner_address }
    }

    /// The namespace's file.
    pub fn path(&self) -> String {
        format!("/run/netns/{}", self.namespace)
    }

    /// A command inside.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace]).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Whether one echo request from inside is answered within a second.
    pub fn ping(&self) -> bool {
        let words = ["busybox", "ping", "-c1", "-W1", &self.host_address];
        self.command(&words).status().unwrap().success()
    }

    /// Whether the host answers an ARP request from inside within a second.
    pub fn arping(&self) -> bool {
        let words = ["busybox", "arping", "-c1", "-w1", "-I", "eth0", &self.host_address];
        self.command(&words).status().unwrap().success()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Most of it is gone already, except where a test failed; nobody needs to read that.
        let quietly = |program: &str, words: &[&str]| {
            let _ = Command::new(program).args(words).output();
        };
        quietly("ip", &["link", "delete", &self.host_link]);
        quietly("ip", &["netns", "delete", &self.namespace]);
        let table = format!("tidewaiter_{}", self.namespace.replace('-', ""));
        quietly("nft", &["delete", "table", "netdev", &table]);
    }
}

pub fn ip(words: &[&str]) {
    run("ip", words);
}

pub fn run(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {error}", words.join(" "));
}

/// A running container that is removed at the end.
pub struct Container {
    pub id: String,
    pub pid: u32,
}

impl Container {
    /// Starts one that sleeps; `None` (loudly, and never under `CI=true`) without a Docker engine.
    pub fn start(test: &str, options: &[&str]) -> Option<Self> {
        let sleep = ["alpine", "sleep", "60"];
        let words = [&["run", "-d", "--rm"], options, &sleep].concat();
        let output = Command::new("docker").args(&words).output();
        let Some(output) = output.ok().filter(|output| output.status.success()) else {
            eprintln!("NOT RUN: {test} needs a Docker engine with the image alpine");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{test} must run in CI");
            return None;
        };
        let id = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        let words = ["inspect", "-f", "{{.State.Pid}}", &id];
        let output = Command::new("docker").args(words).output().unwrap();
        let pid = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        Some(Self { id, pid })
    }

    /// Runs a shell line inside and leaves it running.
    pub fn exec(&self, line: &str) -> std::process::Child {
        let mut command = Command::new("docker");
        command.args(["exec", &self.id, "/bin/sh", "-c", line]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "-f", &self.id]).output();
    }
}

/// Tries until it succeeds, for five seconds.
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(std::time::Instant::now() < end, "{what}: not within five seconds");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// A cgroup v2 of the test's own.
pub struct TestCgroup {
    pub path: std::path::PathBuf,
}

impl TestCgroup {
    pub fn new() -> Self {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let root = sys::process::Cgroups::probe().unwrap().root().to_owned();
        let path = root.join(format!("sys-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self { path }
    }

    pub fn id(&self) -> u64 {
        std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&self.path).unwrap())
    }

    /// A command that moves itself into the cgroup first; its pid stays.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        let script = format!("echo $$ > {}/cgroup.procs; exec {line}", self.path.display());
        command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        command
    }
}

impl Drop for TestCgroup {
    fn drop(&mut self) {
        // A process that has just ended may hold it for a moment.
        for _ in 0..100 {
            if std::fs::remove_dir(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
