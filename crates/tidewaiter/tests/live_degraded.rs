//! Watching with less than it would like, without a capability: it starts, says what it does
//! without, and still finds the brief's own attack.
//!
//! Needs what `live_watch.rs` needs, and util-linux's `setpriv`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::indexing_slicing, clippy::panic, reason = "the same")]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{live, run};

const FAR_END: &str = "198.51.100.10";

static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A watch under `setpriv`, without some capabilities.
struct Watch {
    child: Child,
    alerts: Arc<Mutex<Vec<Value>>>,
    errors: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Watch {
    fn without(capabilities: &[&str], store: &Path) -> Self {
        let dropped: Vec<_> = capabilities.iter().map(|name| format!("-{name}")).collect();
        let dropped = dropped.join(",");
        let mut command = Command::new("setpriv");
        command.args(["--inh-caps", &dropped, "--bounding-set", &dropped]);
        command.arg(env!("CARGO_BIN_EXE_tidewaiter"));
        command.args(["watch", "--format", "json", "--for", "100", "--store"]).arg(store);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (alerts, errors) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::default());
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (heard, complained) = (Arc::clone(&alerts), Arc::<Mutex<String>>::clone(&errors));
        let readers = vec![
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    heard.lock().unwrap().push(serde_json::from_str(&line).unwrap());
                }
            }),
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    complained.lock().unwrap().push_str(&(line + "\n"));
                }
            }),
        ];
        let watch = Self { child, alerts, errors, readers };
        watch.says("watching");
        watch
    }

    fn errors(&self) -> String {
        self.errors.lock().unwrap().clone()
    }

    fn says(&self, wanted: &str) {
        let until = Instant::now() + Duration::from_secs(20);
        while !self.errors().contains(wanted) {
            assert!(Instant::now() < until, "not {wanted}: {}", self.errors());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The last revision of the alert about this port, once it is High.
    fn high(&self, port: u16) -> Value {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let last = {
                let alerts = self.alerts.lock().unwrap();
                alerts.iter().rev().find(|alert| alert["peer"]["port"] == port).cloned()
            };
            match last {
                Some(alert) if alert["level"] == "High" => return alert,
                last => assert!(Instant::now() < until, "{last:#?}\n{}", self.errors()),
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn stop(mut self) -> String {
        run("kill", &["-TERM", &self.child.id().to_string()]);
        self.child.wait().unwrap();
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        self.errors().lines().last().unwrap_or_default().to_owned()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The brief's own command, beside a far end that gives one command.
fn literal(port: u16) {
    let script = format!("(echo 'id; uname -a'; sleep 1) | timeout 15 nc -l -p {port} -q 1");
    let mut far_end = Command::new("ip")
        .args(["netns", "exec", "wan", "sh", "-c", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_millis(500));
    let port = port.to_string();
    run("timeout", &["20", "docker", "run", "--rm", "alpine", "telnet", FAR_END, &port]);
    let _ = far_end.kill();
    let _ = far_end.wait();
}

#[test]
fn without_cap_bpf_it_says_so_and_finds_the_literal_attack() {
    if !live("without_cap_bpf_it_says_so_and_finds_the_literal_attack") {
        return;
    }
    let _turn = turn();
    let store = tempfile::tempdir().unwrap();
    // CAP_SYS_ADMIN would stand in for CAP_BPF.
    let watch = Watch::without(&["bpf", "sys_admin"], store.path());
    watch.says("cannot see: socket events");
    literal(24_081);
    let alert = watch.high(24_081);
    assert!(alert["blind"].to_string().contains("ocket"), "{alert:#}");
    assert_eq!(alert["subjects"][0]["container"]["image"], "alpine");
    let last_line = watch.stop();
    assert!(last_line.contains("dropped 0"), "{last_line}");
}

#[test]
fn without_cap_sys_nice_it_finds_the_literal_attack() {
    if !live("without_cap_sys_nice_it_finds_the_literal_attack") {
        return;
    }
    let _turn = turn();
    let store = tempfile::tempdir().unwrap();
    let watch = Watch::without(&["sys_nice"], store.path());
    watch.says("cannot see: every process that lives for milliseconds");
    literal(24_082);
    let alert = watch.high(24_082);
    assert_eq!(alert["subjects"][0]["container"]["image"], "alpine");
    watch.stop();
}
