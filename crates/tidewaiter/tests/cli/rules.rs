//! Sigma rules of one's own.

use std::fs;

use serde_json::Value;

use crate::support::{Run, capture_of, inspect_of, program, text_session, web_request};

fn rule(number: u32, source: &str, detection: &str) -> String {
    format!(
        "title: Rule {number}\nid: 7f9c1d5e-0000-4000-8000-{number:012}\nlevel: critical\n\
         tags: [attack.t1571]\nlogsource: {source}\ndetection:\n  selection: {detection}\n  \
         condition: selection\n"
    )
}

/// What a scan with these rules prints as JSON.
fn scanned(capture: &[u8], rules: &[String]) -> (Vec<Value>, Run) {
    let folder = tempfile::tempdir().unwrap();
    let (path, dir) = (folder.path().join("a.pcapng"), folder.path().join("rules"));
    let inspect = folder.path().join("inspect.json");
    fs::write(&path, capture).unwrap();
    fs::write(&inspect, inspect_of("shop")).unwrap();
    fs::create_dir(&dir).unwrap();
    for (number, text) in rules.iter().enumerate() {
        fs::write(dir.join(format!("{number}.yml")), text).unwrap();
    }
    let (path, dir) = (path.to_str().unwrap(), dir.to_str().unwrap());
    let inspect = inspect.to_str().unwrap();
    let arguments = ["--rules", dir, "--containers", inspect, "--format", "json", path];
    let run = Run::scan(folder.path(), &arguments);
    let alerts = run.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (alerts, run)
}

#[test]
fn a_match_is_an_alert_of_the_rules_own_level_and_names_the_container() {
    let request = rule(1, "{category: proxy}", "{c-uri|endswith: index.html, cs-method: GET}");
    let flow = rule(2, "{product: zeek, service: conn}", "{proto: tcp, service: http}");
    let other = rule(3, "{category: network_connection}", "{DestinationPort: 9}");
    let (alerts, run) = scanned(&capture_of(&web_request()), &[request, flow, other]);
    let of = |number: u32| {
        let id = format!("7f9c1d5e-0000-4000-8000-{number:012}");
        alerts.iter().filter(|alert| alert["strategy"] == id.as_str()).collect::<Vec<_>>()
    };
    assert_eq!((of(1).len(), of(2).len(), of(3).len()), (1, 1, 0), "{}", run.errors);
    assert_eq!(of(1)[0]["level"], "Critical");
    assert_eq!(of(1)[0]["subjects"][0]["container"]["name"], "shop");
    assert_eq!(of(1)[0]["techniques"][0], "T1571");
    assert!(run.errors.contains("3 used, 0 not"), "{}", run.errors);
}

#[test]
fn a_rule_adds_nothing_to_what_the_strategies_say() {
    let capture = capture_of(&text_session());
    let (without, _) = scanned(&capture, &[]);
    let everything = rule(1, "{category: network_connection}", "{proto: tcp}");
    let (with, _) = scanned(&capture, &[everything]);
    let of_strategies = |alerts: &[Value]| {
        let ours = alerts.iter().filter(|alert| alert["strategy"] == "telnet_c2");
        ours.map(|alert| alert["sum_db"].clone()).collect::<Vec<_>>()
    };
    assert!(!without.is_empty());
    assert_eq!(of_strategies(&with), of_strategies(&without));
    assert_eq!(with.len(), without.len() + 1);
}

#[test]
fn check_lists_what_can_be_used_and_why_the_rest_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let good = rule(1, "{category: dns}", "{query|endswith: .example}");
    let windows = rule(2, "{category: process_creation, product: windows}", "{Image: x}");
    let field = rule(3, "{category: dns}", "{TargetObject: x}");
    fs::write(folder.path().join("a.yml"), &good).unwrap();
    fs::write(folder.path().join("b.yml"), windows).unwrap();
    fs::write(folder.path().join("c.yml"), field).unwrap();
    fs::write(folder.path().join("d.yml"), good).unwrap();
    fs::write(folder.path().join("e.yml"), "title: [\u{1b}").unwrap();
    let run = program(&["rules", "check", folder.path().to_str().unwrap()]);
    assert_eq!(run.code, 1, "{}", run.errors);
    for expected in [
        "1 used, 4 not",
        "about lookups: Rule 1",
        "about Linux containers",
        "lookups have no field TargetObject",
        "another rule has the id",
    ] {
        assert!(run.output.contains(expected), "{expected:?} is not in {}", run.output);
    }
    assert!(!run.output.contains('\u{1b}'));
    assert_eq!(program(&["rules", "check", "/nonexistent"]).code, 1);
}
