//! ADS documents validated on a real Docker engine: what alerts, what does not, what is left.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{docker, live, said, tidewaiter};

/// One at a time: what is left over is looked for on the whole engine.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

const LABEL: &str = "label=tidewaiter.validate";

fn left_over() -> String {
    let containers = docker(&["ps", "--all", "--quiet", "--filter", LABEL]);
    containers + &docker(&["network", "ls", "--quiet", "--filter", LABEL])
}

fn document(folder: &Path, commands: &[&str]) -> String {
    let path = folder.join("ads.md");
    let text = format!("## 9. Validation (again)\n```bash\n{}\n```\n", commands.join("\n"));
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn report(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(output)))
}

#[test]
fn the_literal_telnet_command_of_an_ads_document_alerts() {
    if !live("the literal telnet command") {
        return;
    }
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = document(
        folder.path(),
        &[
            "docker run --rm alpine telnet c2.example.com 4444",
            "docker run --rm -i alpine telnet c2.example.com 4444",
        ],
    );
    let output = tidewaiter(&["validate", &path, "--run", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for command in report(&output)["commands"].as_array().unwrap() {
        let alert = &command["ran"]["alert"];
        assert_eq!(alert["strategy"], "telnet_c2", "{command}");
        assert_eq!(alert["level"], "High", "{command}");
        assert!(alert["seconds"].as_f64().unwrap() < 5.0, "{command}");
    }
    assert_eq!(left_over(), "");
}

#[test]
fn an_ordinary_command_does_not_alert_and_a_refused_one_is_not_run() {
    if !live("an ordinary command") {
        return;
    }
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = document(
        folder.path(),
        &[
            "docker run --rm alpine wget -q -O - http://updates.example.com/",
            "docker run --rm alpine no-such-program",
            "docker run --rm -v /:/host alpine touch /host/tmp/tidewaiter-was-here",
        ],
    );
    let output = tidewaiter(&["validate", &path, "--run", "--format", "json", "--wait", "3"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let report = report(&output);
    assert_eq!(report["passed_count"], 0);
    assert_eq!(report["commands"][0]["ran"]["exit_code"], 0, "{report}");
    assert!(report["commands"][1]["ran"]["ended"].as_str().unwrap().contains("no such program"));
    assert!(report["commands"][2]["refused"].as_str().unwrap().contains("mounts"));
    assert!(!Path::new("/tmp/tidewaiter-was-here").exists());
    assert_eq!(left_over(), "");
}

#[test]
fn a_missing_image_is_named_and_not_pulled() {
    if !live("a missing image") {
        return;
    }
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = document(folder.path(), &["docker run --rm tidewaiter-no-such-image:1 id"]);
    let output = tidewaiter(&["validate", &path, "--run"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("tidewaiter-no-such-image:1"), "{}", said(&output));
    assert_eq!(left_over(), "");
}

#[test]
fn a_signal_in_the_middle_leaves_nothing_behind() {
    if !live("a signal") {
        return;
    }
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = document(folder.path(), &["docker run --rm -i alpine sleep 60"]);
    for signal in ["-INT", "-TERM"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidewaiter"))
            .args(["validate", &path, "--run"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        while docker(&["ps", "--quiet", "--filter", LABEL]).is_empty() {
            assert!(Instant::now() < until, "the container never ran");
            std::thread::sleep(Duration::from_millis(50));
        }
        support::run("kill", &[signal, &child.id().to_string()]);
        assert_eq!(child.wait().unwrap().code(), Some(1));
        assert_eq!(left_over(), "", "after {signal}");
    }
}

#[test]
fn what_a_killed_run_left_is_removed_by_the_next() {
    if !live("a killed run") {
        return;
    }
    let _turn = turn();
    // A process id beyond the kernel's largest: its owner is surely gone.
    let name = "tidewaiter-validate-4194999-1-0";
    docker(&["network", "create", "--label", "tidewaiter.validate=4194999-1-0", name]);
    let folder = tempfile::tempdir().unwrap();
    let path = document(folder.path(), &["docker run --rm alpine true"]);
    let output = tidewaiter(&["validate", &path, "--run", "--wait", "1"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert_eq!(left_over(), "");
}
