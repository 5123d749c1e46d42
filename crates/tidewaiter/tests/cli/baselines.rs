//! Baselines as people use them: learned by `scan`, shown, approved, ended, forgotten.

use std::fs;

use serde_json::{Value, json};

use crate::support::{HOSTILE, Run, START_NS, inspect_of, program};

/// A store, and the logs of a container that calls its vendor by a timer.
struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new(image: &str, days: u64) -> Self {
        let case = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(case.path("inspect.json"), inspect_of(image)).unwrap();
        let first_s = START_NS / 1_000_000_000 + 3600;
        let rows: Vec<String> = (0..days * 60).map(|number| row(number, first_s)).collect();
        fs::write(case.path("conn.log"), rows.join("\n")).unwrap();
        case
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let store = self.path("store");
        program(&[arguments, ["--store", store.as_str()].as_slice()].concat())
    }

    /// The alert that a scan gives.
    fn scan(&self, options: &[&str]) -> Value {
        let (log, inspect) = (self.path("conn.log"), self.path("inspect.json"));
        let head = ["scan", "--format", "json", "--containers", &inspect, &log];
        let run = self.run(&[head.as_slice(), options].concat());
        assert_eq!(run.output.lines().count(), 1, "{} {}", run.output, run.errors);
        serde_json::from_str(&run.output).unwrap()
    }

    fn listed(&self) -> Vec<Value> {
        let run = self.run(&["baseline", "list", "--format", "ndjson"]);
        assert_eq!(run.code, 0, "{}", run.errors);
        run.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn workload(&self) -> String {
        self.listed()[0]["workload"].as_str().unwrap().to_owned()
    }

    fn approve(&self, options: &[&str]) -> Run {
        let workload = self.workload();
        let head = ["baseline", "approve", &workload[..8], "--reason", "its vendor"];
        self.run(&[head.as_slice(), options].concat())
    }
}

/// Every 24 minutes, give or take one.
fn row(number: u64, first_s: u64) -> String {
    let at = first_s + number * 1440 + number * 37 % 60;
    json!({
        "ts": at, "uid": format!("C{number}"), "proto": "tcp", "service": "ssl",
        "id.orig_h": "172.17.0.2", "id.orig_p": 20_000 + number % 40_000,
        "id.resp_h": "198.51.100.10", "id.resp_p": 443, "duration": 0.2,
        "orig_bytes": 500, "resp_bytes": 900, "conn_state": "SF", "history": "ShADadFf",
        "missed_bytes": 0, "orig_pkts": 6, "orig_ip_bytes": 820, "resp_pkts": 6,
        "resp_ip_bytes": 1220,
    })
    .to_string()
}

#[test]
fn what_is_learned_is_shown_and_lowers_nothing_before_somebody_approves() {
    let case = Case::new("alpine", 8);
    let plain = case.scan(&[]);
    assert_eq!(case.scan(&[])["sum_db"], plain["sum_db"], "learning lowers nothing");
    let [baseline] = case.listed().try_into().unwrap();
    assert_eq!((&baseline["complete"], &baseline["call_count"]), (&true.into(), &480.into()));
    assert_eq!(baseline["approval"], Value::Null);
    let text = case.run(&["baseline"]);
    assert!(text.output.contains("learned on 9 days, NOT APPROVED"), "{}", text.output);

    let preview = case.approve(&[]);
    assert_eq!(preview.code, 0, "{}", preview.errors);
    assert!(preview.output.contains("lowered 1 of 1 alerts"), "{}", preview.output);
    assert!(preview.output.contains("nothing was changed"), "{}", preview.output);
    assert_eq!(case.scan(&[])["sum_db"], plain["sum_db"]);

    let made = case.approve(&["--apply"]);
    assert!(made.output.contains("approved by "), "{} {}", made.output, made.errors);
    let lowered = case.scan(&[]);
    let sum = |alert: &Value| alert["sum_db"].as_i64().unwrap();
    assert!((1..=8).contains(&(sum(&plain) - sum(&lowered))), "{plain:#} {lowered:#}");
    assert!(preview.output.contains(&format!("{:+} dB", sum(&lowered))), "{}", preview.output);
    let show = case.run(&["baseline", "show", &case.workload()]);
    assert!(show.output.contains("reason its vendor"), "{}", show.output);
    let place = "90 %  on 9 of 9 days, 480 calls, last 2026-12-02";
    assert!(show.output.contains(place), "{}", show.output);
    assert!(show.output.contains("198[.]51[.]100[.]10 tcp/443"), "{}", show.output);
    assert!(show.output.contains("approved until "), "{}", show.output);

    let forgotten = case.run(&["baseline", "forget", &case.workload()]);
    assert!(forgotten.output.starts_with("forgotten: "), "{}", forgotten.errors);
    assert!(case.listed().is_empty());
    assert_eq!(case.scan(&[])["sum_db"], plain["sum_db"]);
    assert_eq!(case.listed().len(), 1, "it is learned anew");
}

#[test]
fn what_is_not_known_for_long_enough_is_refused_and_the_time_can_be_set() {
    let case = Case::new("alpine", 3);
    case.scan(&[]);
    let refused = case.approve(&["--apply"]);
    assert_eq!((refused.code, refused.output.as_str()), (1, ""));
    assert!(refused.errors.contains("on 4 of 7 days"), "{}", refused.errors);
    case.scan(&["--learn-for", "2d"]);
    assert_eq!(case.approve(&["--apply"]).code, 0);
}

#[test]
fn nothing_known_is_said_and_what_is_unknown_is_1() {
    let case = Case::new("alpine", 1);
    let list = case.run(&["baseline"]);
    assert_eq!((list.code, list.output.as_str()), (0, ""));
    assert!(list.errors.contains("no baseline in "), "{}", list.errors);
    for command in [
        ["baseline", "show", "5455"].as_slice(),
        &["baseline", "forget", "5455"],
        &["baseline", "approve", "5455", "--reason", "x"],
    ] {
        let run = case.run(command);
        assert_eq!(run.code, 1);
        assert!(run.errors.contains("no workload with a baseline"), "{}", run.errors);
    }
    assert_eq!(case.run(&["baseline", "approve", "5455"]).code, 2);
    case.scan(&[]);
    let workload = case.workload();
    assert_eq!(case.run(&["baseline", "approve", &workload, "--reason", " "]).code, 1);
}

#[test]
fn a_hostile_name_forges_no_line() {
    let case = Case::new(HOSTILE, 1);
    case.scan(&[]);
    for command in [
        ["baseline"].as_slice(),
        &["baseline", "show", ""],
        &["baseline", "list", "--format", "ndjson"],
    ] {
        let run = case.run(command);
        assert_eq!(run.code, 0, "{}", run.errors);
        assert!(run.output.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')));
        assert!(!run.output.lines().any(|line| line.starts_with("FORGED")), "{}", run.output);
    }
}

#[test]
fn a_container_of_tests_is_said_to_be_one() {
    let case = Case::new("web-test", 1);
    let alert = case.scan(&[]).to_string();
    assert!(alert.contains("marked as development or test: `test` in its name"), "{alert}");
    let alert = case.scan(&["--test-marks", "staging,qa"]).to_string();
    assert!(!alert.contains("marked as development"), "{alert}");
}
