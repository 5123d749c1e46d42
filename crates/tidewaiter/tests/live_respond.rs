//! Responses on a real Docker engine: the cut, what it leaves, its undo, and sealed evidence.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use support::{
    Container, Network, alert_about, comes_to, docker, live, received, run, said, status,
    tidewaiter,
};

/// One at a time: containers on one bridge would disturb each other's timing.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A far end on this host that counts what comes and keeps talking, on a network of its own.
struct FarEnd {
    network: String,
    port: u16,
    address: String,
    heard_bytes: Arc<AtomicU64>,
}

impl FarEnd {
    fn start() -> Self {
        let network = format!("tidewaiter-test-{}", std::process::id());
        docker(&["network", "create", &network]);
        let template = "{{(index .IPAM.Config 0).Gateway}}";
        let address = docker(&["network", "inspect", &network, "--format", template]);
        let listener = TcpListener::bind((address.as_str(), 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard_bytes = Arc::new(AtomicU64::new(0));
        let heard = Arc::clone(&heard_bytes);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heard = Arc::clone(&heard);
                thread::spawn(move || converse(stream, &heard));
            }
        });
        Self { network, port, address, heard_bytes }
    }

    fn heard(&self) -> u64 {
        self.heard_bytes.load(Ordering::Relaxed)
    }

    /// What a container runs: ticks to the far end, and prints what it hears.
    fn talk(&self) -> String {
        let (address, port) = (&self.address, self.port);
        format!("while true; do echo tick; sleep 0.05; done | nc {address} {port}")
    }

    fn hears_within(&self, span: Duration) -> bool {
        let (before, until) = (self.heard(), Instant::now() + span);
        while Instant::now() < until && self.heard() == before {
            thread::sleep(Duration::from_millis(10));
        }
        self.heard() > before
    }
}

impl Drop for FarEnd {
    fn drop(&mut self) {
        // Containers of the test are dropped before it, because they are made after it.
        run("docker", &["network", "rm", &self.network]);
    }
}

fn converse(mut stream: TcpStream, heard: &AtomicU64) {
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                heard.fetch_add(count as u64, Ordering::Relaxed);
            }
            Err(_) => {}
        }
        if stream.write_all(b"command\n").is_err() {
            return;
        }
    }
}

fn respond(store: &Path, alert: &str, words: &[&str]) -> std::process::Output {
    let store = store.display().to_string();
    tidewaiter(&[&["respond", alert, "--store", &store], words].concat())
}

fn logged(container: &Container) -> usize {
    let output = run("docker", &["logs", &container.id]);
    output.stdout.len()
}

#[test]
fn an_established_session_stops_at_once_and_everything_else_stays() {
    if !live("an established session") {
        return;
    }
    let _turn = turn();
    let store = tempfile::tempdir().unwrap();
    let far_end = FarEnd::start();
    let container =
        Container::start(&["--network", &far_end.network, "alpine", "sh", "-c", &far_end.talk()]);
    let alert = alert_about(store.path(), &container.id, 1);
    assert!(far_end.hears_within(Duration::from_secs(10)));
    assert!(container.inside(&["arping", "-c", "1", "-w", "2", "-I", "eth0", &far_end.address]));
    let pid = container.field("{{.State.Pid}}");
    let address_of = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = container.field(address_of);
    assert!(!address.is_empty());

    let plan = respond(store.path(), &alert, &[]);
    assert!(plan.status.success() && said(&plan).contains("Nothing was done"), "{}", said(&plan));
    assert!(far_end.hears_within(Duration::from_secs(2)), "a plan acts on nothing");

    let done = respond(store.path(), &alert, &["--only", "isolate", "--apply"]);
    assert!(done.status.success() && said(&done).contains("ISOLATED"), "{}", said(&done));
    let (heard, printed, counted) = (far_end.heard(), logged(&container), received(&pid));
    thread::sleep(Duration::from_secs(2));
    // The command has ended; what it made stands.
    assert_eq!(far_end.heard(), heard, "nothing leaves");
    assert_eq!(logged(&container), printed, "nothing arrives");
    assert!(!container.inside(&["arping", "-c", "2", "-w", "2", "-I", "eth0", &far_end.address]));
    assert_eq!(container.field("{{.State.Running}} {{.State.Pid}}"), format!("true {pid}"));
    assert_eq!(container.field(address_of), address);
    assert!(received(&pid) >= counted && counted > 0, "the counters stay");

    let again = respond(store.path(), &alert, &["--only", "isolate", "--apply"]);
    assert!(said(&again).contains("STANDS"), "{}", said(&again));

    let shown = respond(store.path(), &alert, &["--undo"]);
    assert!(said(&shown).contains("Nothing was undone"), "{}", said(&shown));
    assert!(!far_end.hears_within(Duration::from_secs(1)), "showing an undo undoes nothing");
    let undone = respond(store.path(), &alert, &["--undo", "--apply"]);
    assert!(undone.status.success(), "{}", said(&undone));
    assert!(far_end.hears_within(Duration::from_secs(20)), "the same session goes on");
    let tables = said(&run("nft", &["list", "tables"]));
    assert!(!tables.contains(&alert[..10]), "{tables}");
}

#[test]
fn a_network_that_is_connected_after_the_cut_is_a_hole_that_is_named_and_closed() {
    if !live("a network after the cut") {
        return;
    }
    let _turn = turn();
    let store = tempfile::tempdir().unwrap();
    let far_end = FarEnd::start();
    let second = Network::new();
    let container = Container::start(&["--network", &far_end.network, "alpine", "sleep", "300"]);
    let alert = alert_about(store.path(), &container.id, 11);
    let done = respond(store.path(), &alert, &["--only", "isolate", "--apply"]);
    assert!(said(&done).contains("ISOLATED"), "{}", said(&done));
    assert_eq!(status(store.path()).status.code(), Some(0), "{}", said(&status(store.path())));

    docker(&["network", "connect", &second.0, &container.id]);
    let arping = ["arping", "-c", "2", "-w", "2", "-I", "eth1", &second.gateway()];
    assert!(container.inside(&arping), "without a watch it is a way out");
    let hole = status(store.path());
    assert_eq!(hole.status.code(), Some(4), "{}", said(&hole));
    assert!(said(&hole).contains("HOLE") && said(&hole).contains("came after the cut"));
    let doctor = tidewaiter(&["doctor", "--store", &store.path().display().to_string()]);
    assert!(said(&doctor).contains("have a hole"), "{}", said(&doctor));

    {
        let _watch = Watch::start(store.path());
        comes_to(store.path(), "holds");
        assert!(!container.inside(&arping), "the watch closes what stood open");
        docker(&["network", "disconnect", &second.0, &container.id]);
        docker(&["network", "connect", &second.0, &container.id]);
        comes_to(store.path(), "holds");
        assert!(!container.inside(&["arping", "-c", "2", "-w", "2", &second.gateway()]));
    }
    let undone = respond(store.path(), &alert, &["--undo", "--apply"]);
    assert!(undone.status.success(), "{}", said(&undone));
    let tables = said(&run("nft", &["list", "tables"]));
    assert!(!tables.contains(&alert[..10]), "{tables}");
}

#[test]
fn a_restart_does_not_undo_the_cut_while_somebody_watches() {
    if !live("a restart after the cut") {
        return;
    }
    let _turn = turn();
    for (number, network) in [(12, None), (13, Some("host"))] {
        let store = tempfile::tempdir().unwrap();
        let far_end = FarEnd::start();
        let network = network.unwrap_or(&far_end.network);
        let talk = format!("sleep 1; {}", far_end.talk());
        let container = Container::start(&["--network", network, "alpine", "sh", "-c", &talk]);
        let alert = alert_about(store.path(), &container.id, number);
        assert!(far_end.hears_within(Duration::from_secs(10)));
        let done = respond(store.path(), &alert, &["--only", "isolate", "--apply"]);
        assert!(said(&done).contains("ISOLATED"), "{}", said(&done));
        let watch = Watch::start(store.path());
        let heard = far_end.heard();
        docker(&["restart", "-t", "0", &container.id]);
        thread::sleep(Duration::from_secs(3));
        assert_eq!(far_end.heard(), heard, "it talks again after its restart");
        comes_to(store.path(), "holds");
        drop(watch);
        docker(&["restart", "-t", "0", &container.id]);
        assert!(far_end.hears_within(Duration::from_secs(10)), "without a watch it talks");
        let hole = status(store.path());
        assert!(said(&hole).contains("HOLE"), "{}", said(&hole));
        let again = respond(store.path(), &alert, &["--only", "isolate", "--apply"]);
        assert!(said(&again).contains("ISOLATED"), "{}", said(&again));
        let heard = far_end.heard();
        thread::sleep(Duration::from_secs(2));
        assert_eq!(far_end.heard(), heard);
        let undone = respond(store.path(), &alert, &["--undo", "--apply"]);
        assert!(undone.status.success(), "{}", said(&undone));
        assert!(said(&status(store.path())).contains("no isolation stands"));
    }
}

#[test]
fn a_container_with_net_admin_cannot_undo_it() {
    if !live("NET_ADMIN") {
        return;
    }
    let _turn = turn();
    let store = tempfile::tempdir().unwrap();
    let far_end = FarEnd::start();
    let container = Container::start(&[
        "--cap-add",
        "NET_ADMIN",
        "--network",
        &far_end.network,
        "alpine",
        "sh",
        "-c",
        &far_end.talk(),
    ]);
    let alert = alert_about(store.path(), &container.id, 2);
    assert!(far_end.hears_within(Duration::from_secs(10)));
    let done = respond(store.path(), &alert, &["--only", "isolate", "--apply"]);
    assert!(done.status.success(), "{}", said(&done));

    // The image has no nft: the host's, with all rights inside the namespace, is no weaker.
    let pid = container.field("{{.State.Pid}}");
    let flushed = run("nsenter", &["-t", &pid, "-n", "nft", "flush", "ruleset"]);
    assert!(flushed.status.success(), "{}", said(&flushed));
    assert!(container.inside(&["ip", "link", "set", "eth0", "down"]));
    assert!(container.inside(&["ip", "link", "set", "eth0", "up"]));
    assert!(!far_end.hears_within(Duration::from_secs(3)));
    assert!(!container.inside(&["arping", "-c", "2", "-w", "2", "-I", "eth0", &far_end.address]));

    let plan = said(&respond(store.path(), &alert, &["--only", "isolate"]));
    assert!(plan.contains("no longer holds"), "what was flushed is noticed: {plan}");
    let again = respond(store.path(), &alert, &["--only", "isolate", "--apply"]);
    assert!(said(&again).contains("ISOLATED"), "{}", said(&again));
    let undone = respond(store.path(), &alert, &["--undo", "--apply"]);
    assert!(undone.status.success(), "{}", said(&undone));
}

#[test]
fn a_container_on_the_hosts_network_is_cut_by_its_cgroup() {
    if !live("host network") {
        return;
    }
    let _turn = turn();
    let store = tempfile::tempdir().unwrap();
    let far_end = FarEnd::start();
    let container = Container::start(&["--network", "host", "alpine", "sh", "-c", &far_end.talk()]);
    let alert = alert_about(store.path(), &container.id, 3);
    assert!(far_end.hears_within(Duration::from_secs(10)));
    let done = respond(store.path(), &alert, &["--only", "isolate", "--apply"]);
    assert!(done.status.success() && said(&done).contains("ISOLATED"), "{}", said(&done));
    let heard = far_end.heard();
    thread::sleep(Duration::from_secs(2));
    assert_eq!(far_end.heard(), heard);
    assert_eq!(container.field("{{.State.Running}}"), "true");
    // The host itself goes on.
    assert!(TcpStream::connect((far_end.address.as_str(), far_end.port)).is_ok());
    let undone = respond(store.path(), &alert, &["--undo", "--apply"]);
    assert!(undone.status.success(), "{}", said(&undone));
    assert!(far_end.hears_within(Duration::from_secs(20)));
}

#[test]
fn a_container_in_anothers_namespace_is_cut_there_and_the_other_is_named() {
    if !live("--network container:X") {
        return;
    }
    let _turn = turn();
    let store = tempfile::tempdir().unwrap();
    let far_end = FarEnd::start();
    let owner = Container::start(&["--network", &far_end.network, "alpine", "sleep", "300"]);
    let network = format!("container:{}", owner.id);
    let container =
        Container::start(&["--network", &network, "alpine", "sh", "-c", &far_end.talk()]);
    let alert = alert_about(store.path(), &container.id, 4);
    assert!(far_end.hears_within(Duration::from_secs(10)));
    let done = respond(store.path(), &alert, &["--only", "isolate", "--apply"]);
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&done).contains("also hit") && said(&done).contains(&owner.id[..12]));
    let heard = far_end.heard();
    thread::sleep(Duration::from_secs(1));
    assert_eq!(far_end.heard(), heard);
    // An alert about the owner finds that it stands already.
    let other = alert_about(store.path(), &owner.id, 5);
    let stands = said(&respond(store.path(), &other, &["--only", "isolate"]));
    assert!(stands.contains("stands"), "{stands}");
    let undone = respond(store.path(), &alert, &["--undo", "--apply"]);
    assert!(undone.status.success(), "{}", said(&undone));
}

#[test]
fn evidence_of_a_live_container_verifies_and_a_changed_byte_is_named() {
    if !live("evidence") {
        return;
    }
    let _turn = turn();
    let store = tempfile::tempdir().unwrap();
    let container = Container::start(&[
        "alpine",
        "sh",
        "-c",
        "echo hello; cp /bin/busybox /sleep; exec /sleep 300",
    ]);
    let alert = alert_about(store.path(), &container.id, 6);
    let folder = store.path().display().to_string();
    let done = respond(store.path(), &alert, &["--only", "preserve", "--apply"]);
    assert!(done.status.success() && said(&done).contains("SEALED"), "{}", said(&done));
    let shown = said(&tidewaiter(&["evidence", "show", &alert, "--store", &folder]));
    for part in ["/sleep", "in image: No", "inspect-", "changes-", "logs-", "executable-"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let verified = tidewaiter(&["evidence", "verify", "--store", &folder]);
    assert!(verified.status.success(), "{}", said(&verified));

    let case = store.path().join("evidence").join(&alert).join("001");
    let logs = case.join(format!("logs-{}.bin", &container.id[..12]));
    let mut bytes = std::fs::read(&logs).unwrap();
    assert!(bytes.windows(5).any(|window| window == b"hello"));
    bytes[3] ^= 1;
    std::fs::remove_file(&logs).unwrap();
    std::fs::write(&logs, bytes).unwrap();
    let verified = tidewaiter(&["evidence", "verify", &alert, "--store", &folder]);
    assert_eq!(verified.status.code(), Some(1));
    assert!(said(&verified).contains(&format!("logs-{}.bin changed", &container.id[..12])));
}

#[test]
fn a_container_that_vanished_is_said_to_be_gone() {
    if !live("a vanished container") {
        return;
    }
    let _turn = turn();
    let store = tempfile::tempdir().unwrap();
    let container = Container::start(&["alpine", "sleep", "300"]);
    let alert = alert_about(store.path(), &container.id, 7);
    drop(container);
    let done = respond(store.path(), &alert, &["--apply"]);
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&done).contains("SEALED") && said(&done).contains("NOT DONE"), "{}", said(&done));
    assert!(said(&done).contains("removed"), "{}", said(&done));
}

/// A `watch` that is ended when the test ends.
struct Watch(std::process::Child);

impl Watch {
    fn start(store: &Path) -> Self {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_tidewaiter"))
            .args(["watch", "--for", "120", "--store"])
            .arg(store)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let errors = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut lines = std::io::BufRead::lines(errors).map_while(Result::ok);
        assert!(lines.any(|line| line.contains("watching")), "watch ended before it watched");
        // Somebody has to go on reading, or the watch would stand still at a full pipe.
        thread::spawn(move || lines.for_each(drop));
        Self(child)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn packets_from_before_the_alert_are_sealed_though_the_container_is_gone() {
    if !live("evidence of a container that is gone") {
        return;
    }
    let _turn = turn();
    let store = tempfile::tempdir().unwrap();
    let folder = store.path().display().to_string();
    let far_end = FarEnd::start();
    let _watch = Watch::start(store.path());
    let (address, port) = (&far_end.address, far_end.port.to_string());
    // The literal form: no input, gone within 20 ms, removed by itself.
    run(
        "docker",
        &["run", "--rm", "--network", &far_end.network, "alpine", "telnet", address, &port],
    );
    let until = Instant::now() + Duration::from_secs(10);
    let alert = loop {
        let listed =
            tidewaiter(&["alerts", "--level", "medium", "--format", "json", "--store", &folder]);
        let line = String::from_utf8_lossy(&listed.stdout).lines().next().map(str::to_owned);
        if let Some(line) = line {
            let alert: serde_json::Value = serde_json::from_str(&line).unwrap();
            break alert["id"].as_str().unwrap().to_owned();
        }
        assert!(Instant::now() < until, "no alert: {}", said(&listed));
        thread::sleep(Duration::from_millis(100));
    };
    let spooled = store.path().join("spool").join(&alert).join("packets.pcapng");
    while !spooled.exists() {
        assert!(Instant::now() < until, "nothing was spooled");
        thread::sleep(Duration::from_millis(100));
    }
    let done = respond(store.path(), &alert, &["--apply"]);
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&done).contains("SEALED") && said(&done).contains("NOT DONE"), "{}", said(&done));
    let shown = said(&tidewaiter(&["evidence", "show", &alert, "--store", &folder]));
    let packets = shown.lines().find(|line| line.contains(" packets, ")).unwrap().trim();
    let count: u64 = packets.split(' ').next().unwrap().parse().unwrap();
    assert!(count >= 4, "handshake and payload: {shown}");
    assert!(shown.contains("telnet"), "its configuration: {shown}");
    assert!(shown.contains("intact"), "{shown}");
}
