//! What live tests share: whether they may run, the runtime's client, a store with one alert.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "each live test uses a part of it")]

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Whether live tests run; loud when they do not.
pub(crate) fn live(test: &str) -> bool {
    let wanted = std::env::var("TIDEWAITER_LIVE").is_ok_and(|value| value == "1");
    if !wanted {
        eprintln!("SKIPPED: {test}: needs root, a Docker engine and TIDEWAITER_LIVE=1");
    }
    wanted
}

/// Runs a program and gives what it said; the test fails when it cannot be started.
pub(crate) fn run(program: &str, words: &[&str]) -> Output {
    Command::new(program)
        .args(words)
        .output()
        .unwrap_or_else(|error| panic!("starting {program}: {error}"))
}

/// Runs the runtime's client; the test fails when it does.
pub(crate) fn docker(words: &[&str]) -> String {
    let output = run("docker", words);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {}: {errors}", words.join(" "));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs tidewaiter.
pub(crate) fn tidewaiter(words: &[&str]) -> Output {
    run(env!("CARGO_BIN_EXE_tidewaiter"), words)
}

/// What a program wrote, both streams.
pub(crate) fn said(output: &Output) -> String {
    let (out, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{errors}")
}

/// A container that is removed when the test ends, however it ends.
pub(crate) struct Container {
    /// Full id.
    pub(crate) id: String,
}

impl Container {
    /// Starts `docker run -d` with these words.
    pub(crate) fn start(words: &[&str]) -> Self {
        let all = [&["run", "-d", "--label", "tidewaiter.test=respond"], words].concat();
        let id = docker(&all);
        Self { id: id.lines().last().unwrap_or_default().to_owned() }
    }

    /// Runs a command inside; whether it succeeded.
    pub(crate) fn inside(&self, words: &[&str]) -> bool {
        run("docker", &[&["exec", &self.id], words].concat()).status.success()
    }

    /// A field of its description.
    pub(crate) fn field(&self, template: &str) -> String {
        docker(&["inspect", "--format", template, &self.id])
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        run("docker", &["rm", "-f", &self.id]);
    }
}

/// A far end that says what it is told to, when it is told to.
pub(crate) struct Operator(Child);

impl Operator {
    /// Listens in the namespace `wan`, for a minute.
    pub(crate) fn on(port: u16) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", "wan", "timeout", "60", "nc", "-l", "-p"]);
        command.arg(port.to_string()).stdin(Stdio::piped()).stdout(Stdio::null());
        let child = command.spawn().unwrap();
        let listens = || {
            let listening = run("ip", &["netns", "exec", "wan", "ss", "-Hltn"]);
            String::from_utf8_lossy(&listening.stdout).contains(&format!(":{port} "))
        };
        assert!(within(Duration::from_secs(5), listens), "the far end does not listen");
        Self(child)
    }

    /// Says a line.
    pub(crate) fn says(&mut self, line: &str) {
        writeln!(self.0.stdin.as_mut().unwrap(), "{line}").unwrap();
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether it comes to hold within this time.
pub(crate) fn within(span: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + span;
    while !holds() {
        if Instant::now() > until {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

/// A second network, removed when the test ends.
pub(crate) struct Network(pub(crate) String);

impl Network {
    /// Makes it.
    pub(crate) fn new() -> Self {
        let name = format!("tidewaiter-second-{}", std::process::id());
        docker(&["network", "create", &name]);
        Self(name)
    }

    /// The host's address on it.
    pub(crate) fn gateway(&self) -> String {
        docker(&["network", "inspect", &self.0, "--format", "{{(index .IPAM.Config 0).Gateway}}"])
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        run("docker", &["network", "rm", &self.0]);
    }
}

/// `respond --status`.
pub(crate) fn status(store: &Path) -> std::process::Output {
    tidewaiter(&["respond", "--status", "--store", &store.display().to_string()])
}

/// Waits until the isolations of this store are as they should be.
pub(crate) fn comes_to(store: &Path, wanted: &str) {
    let until = Instant::now() + Duration::from_secs(15);
    loop {
        let now = said(&status(store));
        if now.contains(wanted) {
            return;
        }
        assert!(Instant::now() < until, "not {wanted}: {now}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// The bytes that a container has received at `eth0`.
pub(crate) fn received(pid: &str) -> u64 {
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap();
    let line = table.lines().find(|line| line.trim_start().starts_with("eth0:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Puts an alert that accuses a container into a store, as `watch` would have; gives its id.
pub(crate) fn alert_about(store: &Path, container: &str, number: u128) -> String {
    use engine::{
        Alert, AlertId, ContainerView, Level, Peer, PeerRole, Prevalence, Status, Subject,
    };
    use observation::{ContainerId, ContainerState, PortId, Runtime, Time, Transport};

    // The command makes the tables; this only fills one row in.
    tidewaiter(&["alerts", "--store", &store.display().to_string()]);
    let mut id = [0_u8; 32];
    for (byte, digits) in id.iter_mut().zip(container.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    }
    let view = ContainerView {
        id: ContainerId(id),
        name: "accused".into(),
        image: "alpine".into(),
        image_id: None,
        registry_digests: vec![],
        command: vec![],
        workload: String::new(),
        privilege: None,
        network: "own".into(),
        state: ContainerState::Running,
        runtime: Runtime::Docker,
    };
    let subject = Subject {
        port: PortId::UNKNOWN,
        address: None,
        container: Some(view),
        process: None,
        started_by: None,
        flows: vec![],
        flow_count: 0,
    };
    let alert = Alert {
        id: AlertId((1 << 120) + number),
        revision: 1,
        status: Status::New,
        level: Level::High,
        strategy: "telnet_c2".into(),
        techniques: vec![],
        summary: "for a test of responders".into(),
        first_seen: Time(1),
        last_seen: Time(1),
        opened_at: Time(1),
        subjects: vec![subject],
        subject_count: 1,
        peer: Peer {
            endpoint: None,
            transport: Transport::Tcp,
            names: vec![],
            role: PeerRole::Called,
        },
        evidence: vec![],
        sum_db: 15,
        witnesses: vec![],
        blind: vec![],
        lost_count: 0,
        low_if: vec![],
        prevalence: Prevalence::default(),
    };
    let shown = alert.id.to_string();
    let database = rusqlite::Connection::open(store.join("tidewaiter.db")).unwrap();
    let json = serde_json::to_string(&alert).unwrap();
    let insert = "INSERT INTO alerts (id, revision, level, status, strategy, opened_at, last_seen, \
                  json) VALUES (?, 1, 3, 'new', 'telnet_c2', 1, 1, ?)";
    database.execute(insert, [&shown, &json]).unwrap();
    shown
}
