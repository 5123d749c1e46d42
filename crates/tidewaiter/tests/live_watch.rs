//! Watching a real Docker engine: who is named, how soon, what is kept, and what a replay says.
//!
//! Needs root, an engine with an image `alpine` that has telnet, netcat on the host, and a network
//! namespace `wan` that holds 198.51.100.10 (`cargo xtask lab` makes them).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::indexing_slicing, clippy::panic, reason = "the same")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Container, Operator, live, run, said, tidewaiter, within};

const FAR_END: &str = "198.51.100.10";
/// What an alert may take from the far end's first answer.
const ALERT_TIME_MAX: Duration = Duration::from_secs(2);

/// One at a time: each one counts what it sees.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

type Lines = Arc<Mutex<Vec<(Instant, Value)>>>;

/// A watch with a store of its own.
struct Watch {
    child: Child,
    folder: tempfile::TempDir,
    lines: Lines,
    errors: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Watch {
    fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts it, with the runtime behind another socket where one is given, and waits until it
    /// says that it watches.
    fn start_with(socket: Option<&Path>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidewaiter"));
        command.args(["watch", "--format", "json", "--store"]).arg(folder.path().join("store"));
        command.arg("--record").arg(folder.path().join("recording"));
        if let Some(socket) = socket {
            command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
        }
        Self::run(command, folder)
    }

    /// Starts it again on the same store, however it ended before.
    fn again(mut self) -> Self {
        let _ = self.child.wait();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidewaiter"));
        command.args(["watch", "--format", "json", "--store"]).arg(folder.path().join("store"));
        Self::run(command, folder)
    }

    fn run(mut command: Command, folder: tempfile::TempDir) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (lines, errors) = (Lines::default(), Arc::<Mutex<String>>::default());
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (heard, complained) = (Arc::clone(&lines), Arc::clone(&errors));
        let readers = vec![
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    let alert = serde_json::from_str(&line).unwrap();
                    heard.lock().unwrap().push((Instant::now(), alert));
                }
            }),
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    complained.lock().unwrap().push_str(&(line + "\n"));
                }
            }),
        ];
        let watch = Self { child, folder, lines, errors, readers };
        assert!(
            within(Duration::from_secs(15), || watch.errors().contains("watching")),
            "{}",
            watch.errors()
        );
        watch
    }

    fn errors(&self) -> String {
        self.errors.lock().unwrap().clone()
    }

    fn store(&self) -> String {
        self.folder.path().join("store").display().to_string()
    }

    fn recording(&self) -> PathBuf {
        self.folder.path().join("recording")
    }

    /// The first revision of the alert about this port of the far end that satisfies `wanted`, and
    /// when it came.
    fn alert(&self, port: u16, wanted: impl Fn(&Value) -> bool) -> Option<(Instant, Value)> {
        let mut found = None;
        within(Duration::from_secs(5), || {
            let lines = self.lines.lock().unwrap();
            let mut about = lines.iter().filter(|(_, alert)| alert["peer"]["port"] == port);
            found = about.find(|(_, alert)| wanted(alert)).cloned();
            found.is_some()
        });
        found
    }

    /// Ends it as people do: the exit code and the last line.
    fn stop(&mut self) -> (Option<i32>, String) {
        run("kill", &["-TERM", &self.child.id().to_string()]);
        let code = self.child.wait().unwrap().code();
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        (code, self.errors().lines().last().unwrap_or_default().to_owned())
    }

    /// Level and sum of the last revision of each alert.
    fn verdicts(&self) -> BTreeMap<String, (String, i64)> {
        let lines = self.lines.lock().unwrap();
        lines.iter().map(|(_, alert)| verdict(alert)).collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn verdict(alert: &Value) -> (String, (String, i64)) {
    let level = alert["level"].as_str().unwrap().to_owned();
    (alert["id"].as_str().unwrap().to_owned(), (level, alert["sum_db"].as_i64().unwrap()))
}

/// A far end that gives one command to whoever comes.
struct Commander(Child);

impl Commander {
    fn on(port: u16) -> Self {
        let script = format!("(echo 'id; uname -a'; sleep 1) | timeout 15 nc -l -p {port} -q 1");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", "wan", "sh", "-c", &script]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let listens = || {
            let listening = run("ip", &["netns", "exec", "wan", "ss", "-Hltn"]);
            String::from_utf8_lossy(&listening.stdout).contains(&format!(":{port} "))
        };
        assert!(within(Duration::from_secs(5), listens), "the far end does not listen");
        Self(child)
    }
}

impl Drop for Commander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The brief's command, literally: no `-i`, so that it lives for some milliseconds.
fn telnet(options: &[&str], port: u16) {
    let port = port.to_string();
    let telnet = ["alpine", "telnet", FAR_END, &port];
    let words = [&["docker", "run", "--rm"], options, &telnet].concat();
    // Only the client is stopped when it hangs; the container has ended long before.
    let words = [&["20"], words.as_slice()].concat();
    run("timeout", &words);
}

fn is_complete(alert: &Value) -> bool {
    alert["level"] == "High" && alert["subjects"][0]["process"]["arguments"].is_array()
}

fn attribution(alert: &Value) -> (String, String, String) {
    let subject = &alert["subjects"][0];
    let words = |value: &Value| {
        let words = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        words.collect::<Vec<_>>().join(" ")
    };
    let image = subject["container"]["image"].as_str().unwrap_or_default().to_owned();
    (image, words(&subject["container"]["command"]), words(&subject["process"]["arguments"]))
}

#[test]
fn a_container_of_some_milliseconds_is_named_every_time_and_seen_to_the_byte() {
    if !live("a_container_of_some_milliseconds_is_named_every_time_and_seen_to_the_byte") {
        return;
    }
    let _turn = turn();
    let mut watch = Watch::start();
    for port in 24_001..24_011 {
        let _far_end = Commander::on(port);
        telnet(&[], port);
        let ended = Instant::now();
        let (high_at, alert) = watch.alert(port, is_complete).expect("no alert");
        assert!(high_at.saturating_duration_since(ended) < ALERT_TIME_MAX);
        let command = format!("telnet {FAR_END} {port}");
        assert_eq!(attribution(&alert), ("alpine".into(), command.clone(), command));
        let client = alert["subjects"][0]["started_by"]["command"].as_str().unwrap_or_default();
        assert!(client.contains("docker run --rm alpine"), "{client}");
    }
    let coverage = tidewaiter(&["coverage", "--store", &watch.store(), "--format", "json"]);
    let coverage: Value = serde_json::from_slice(&coverage.stdout).unwrap();
    assert_eq!(coverage["pid"], watch.child.id());
    assert_eq!(coverage["sums"]["unexplained_count"], 0, "{coverage}");
    let (code, last_line) = watch.stop();
    assert_eq!(code, Some(0), "{last_line}");
    assert!(last_line.contains("dropped 0"), "{last_line}");
}

#[test]
fn whose_it_is_on_the_hosts_network_and_in_a_borrowed_namespace() {
    if !live("whose_it_is_on_the_hosts_network_and_in_a_borrowed_namespace") {
        return;
    }
    let _turn = turn();
    let mut watch = Watch::start();
    let lender = Container::start(&["alpine", "sleep", "60"]);
    let borrowed = format!("container:{}", lender.id);
    for (port, network) in [(24_021, "host"), (24_022, borrowed.as_str())] {
        let _far_end = Commander::on(port);
        telnet(&["--network", network], port);
        let (_, alert) = watch.alert(port, is_complete).expect("no alert");
        let command = format!("telnet {FAR_END} {port}");
        assert_eq!(attribution(&alert), ("alpine".into(), command.clone(), command));
    }
    let port = 24_023;
    let _far_end = Commander::on(port);
    lender.inside(&["telnet", FAR_END, &port.to_string()]);
    let (_, alert) = watch.alert(port, is_complete).expect("no alert");
    assert_eq!(alert["subjects"][0]["container"]["id"], lender.id);
    assert_eq!(attribution(&alert).2, format!("telnet {FAR_END} {port}"));
    // What the host itself does there is nobody's business.
    let _far_end = Commander::on(24_024);
    run("timeout", &["2", "nc", "-w", "1", FAR_END, "24024"]);
    assert!(watch.alert(24_024, |_| true).is_none());
    watch.stop();
}

#[test]
fn a_recording_gives_the_same_alerts_and_evidence_survives_its_container() {
    if !live("a_recording_gives_the_same_alerts_and_evidence_survives_its_container") {
        return;
    }
    let _turn = turn();
    let mut watch = Watch::start();
    let ports = 24_031..24_035;
    let _far_ends: Vec<_> = ports.clone().map(Commander::on).collect();
    thread::scope(|scope| {
        for port in ports.clone().skip(1) {
            scope.spawn(move || telnet(&[], port));
        }
        scope.spawn(|| telnet(&["--network", "host"], ports.start));
    });
    let alerts: Vec<_> =
        ports.clone().map(|port| watch.alert(port, is_complete).expect("no alert").1).collect();
    watch.stop();
    let folder = Path::new(&watch.store()).join("spool").join(alerts[1]["id"].as_str().unwrap());
    let flows = tidewaiter(&["flows", &folder.join("packets.pcapng").display().to_string()]);
    assert!(said(&flows).contains(":24032"), "{}", said(&flows));
    let container = alerts[1]["subjects"][0]["container"]["id"].as_str().unwrap();
    let inspect = folder.join(format!("inspect-{}.json", &container[..12]));
    let inspect: Value = serde_json::from_slice(&std::fs::read(inspect).unwrap()).unwrap();
    assert_eq!(inspect["Id"], container);
    let again = tempfile::tempdir().unwrap();
    let recording = watch.recording().display().to_string();
    let store = again.path().display().to_string();
    let scan = tidewaiter(&["scan", &recording, "--store", &store, "--format", "json"]);
    let replayed: BTreeMap<_, _> = String::from_utf8_lossy(&scan.stdout)
        .lines()
        .map(|line| verdict(&serde_json::from_str(line).unwrap()))
        .collect();
    assert_eq!(replayed, watch.verdicts());
}

/// How a watch ends before the next one starts.
#[derive(Clone, Copy)]
enum End {
    Clean,
    Kill,
}

#[test]
fn a_session_that_goes_on_across_a_restart_stays_one_alert() {
    if !live("a_session_that_goes_on_across_a_restart_stays_one_alert") {
        return;
    }
    let _turn = turn();
    for (port, end) in [(24_061, End::Clean), (24_062, End::Kill)] {
        let mut watch = Watch::start();
        let mut far_end = Operator::on(port);
        let shell = ["alpine", "nc", FAR_END, &port.to_string(), "-e", "sh"];
        let _container = Container::start(&shell);
        let is_high = |alert: &Value| matches!(alert["level"].as_str(), Some("High" | "Critical"));
        thread::sleep(Duration::from_millis(1500));
        far_end.says("id");
        let (_, before) = watch.alert(port, is_high).expect("no alert before");
        // Longer than a watch takes to keep what it has told.
        thread::sleep(Duration::from_secs(1));
        match end {
            End::Clean => drop(watch.stop()),
            End::Kill => watch.child.kill().unwrap(),
        }
        let mut watch = watch.again();
        assert!(watch.errors().contains("goes on from what"), "{}", watch.errors());
        let told = watch.lines.lock().unwrap().len();
        thread::sleep(Duration::from_millis(500));
        far_end.says("ls /");
        let commands = |alert: &Value| is_high(alert) && alert["revision"].as_u64() > Some(1);
        let (_, after) = watch.alert(port, commands).expect("no word after");
        assert_eq!(after["id"], before["id"], "another alert for the same session");
        assert!(watch.lines.lock().unwrap().len() > told, "the commands after were not seen");
        watch.stop();
        let listed = tidewaiter(&[
            "alerts",
            "--format",
            "json",
            "--level",
            "low",
            "--store",
            &watch.store(),
        ]);
        let about = String::from_utf8_lossy(&listed.stdout)
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|alert| alert["peer"]["port"] == port)
            .count();
        assert_eq!(about, 1, "{}", said(&listed));
    }
}

#[test]
fn kill_9_costs_a_recording_a_second_at_most() {
    if !live("kill_9_costs_a_recording_a_second_at_most") {
        return;
    }
    let _turn = turn();
    let mut watch = Watch::start();
    let _far_end = Commander::on(24_071);
    telnet(&[], 24_071);
    watch.alert(24_071, is_complete).expect("no alert");
    thread::sleep(Duration::from_secs(1));
    watch.child.kill().unwrap();
    watch.child.wait().unwrap();
    let again = tempfile::tempdir().unwrap();
    let store = again.path().display().to_string();
    let recording = watch.recording().display().to_string();
    let scan = tidewaiter(&["scan", &recording, "--store", &store, "--format", "json"]);
    let levels: Vec<_> = String::from_utf8_lossy(&scan.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|alert| alert["peer"]["port"] == 24_071)
        .map(|alert| alert["level"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(levels, ["High"], "{}", said(&scan));
}

#[test]
fn what_was_shown_survives_kill_9() {
    if !live("what_was_shown_survives_kill_9") {
        return;
    }
    let _turn = turn();
    let mut watch = Watch::start();
    let _far_end = Commander::on(24_041);
    telnet(&[], 24_041);
    let (_, alert) = watch.alert(24_041, |_| true).expect("no alert");
    watch.child.kill().unwrap();
    watch.child.wait().unwrap();
    let id = alert["id"].as_str().unwrap();
    let shown = tidewaiter(&["alerts", "show", id, "--store", &watch.store()]);
    assert!(shown.status.success(), "{}", said(&shown));
}

/// A runtime's socket that takes connections and answers each with these bytes, or not at all.
fn odd_runtime(folder: &Path, answer: Option<&'static [u8]>) -> PathBuf {
    let path = folder.join("odd.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 512]);
            match answer {
                Some(answer) => drop(stream.write_all(answer)),
                None => kept.push(stream),
            }
        }
    });
    path
}

#[test]
fn a_runtime_that_is_absent_hangs_or_talks_nonsense_is_named_and_the_rest_goes_on() {
    if !live("a_runtime_that_is_absent_hangs_or_talks_nonsense_is_named_and_the_rest_goes_on") {
        return;
    }
    let _turn = turn();
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let odd = [
        (folders[0].path().join("absent.sock"), "nobody answers"),
        (odd_runtime(folders[1].path(), None), "did not answer"),
        (odd_runtime(folders[2].path(), Some(b"\x16\x03\x01 no")), "garbage"),
    ];
    for (port, (socket, complaint)) in (24_051..).zip(odd) {
        let mut watch = Watch::start_with(Some(&socket));
        let hears = within(Duration::from_secs(10), || watch.errors().contains(complaint));
        assert!(hears, "{complaint}: {}", watch.errors());
        let _far_end = Commander::on(port);
        telnet(&[], port);
        // Its cgroup still says which container it was, and its bundle what it ran.
        let known = |alert: &Value| !alert["subjects"][0]["process"].is_null();
        let (_, alert) = watch.alert(port, known).expect("no alert");
        assert_eq!(attribution(&alert).2, format!("telnet {FAR_END} {port}"));
        assert!(!alert["subjects"][0]["container"]["id"].is_null());
        watch.stop();
    }
}
