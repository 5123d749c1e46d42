//! Suppressions, from the preview to their end: nothing is dropped silently.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{HOSTILE, Run, capture_of, inspect_of, program, text_session};

/// A store with the alert of one session.
struct Case {
    folder: tempfile::TempDir,
    id: String,
}

impl Case {
    fn new(image: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.pcapng"), capture_of(&text_session())).unwrap();
        fs::write(folder.path().join("inspect.json"), inspect_of(image)).unwrap();
        let mut case = Self { folder, id: String::new() };
        let run = case.scan(&["--format", "json"]);
        let alert: Value = serde_json::from_str(run.output.lines().next().unwrap()).unwrap();
        case.id = alert["id"].as_str().unwrap().to_owned();
        case
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn scan(&self, options: &[&str]) -> Run {
        let (capture, inspect) = (self.path("a.pcapng"), self.path("inspect.json"));
        let files = ["--containers", &inspect, &capture];
        Run::scan(self.folder.path(), &[options, files.as_slice()].concat())
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let store = self.path("store");
        program(&[arguments, ["--store", store.as_str()].as_slice()].concat())
    }

    fn suppress(&self, options: &[&str]) -> Run {
        let head = ["suppress", &self.id, "--reason", "agreed with ops"];
        self.run(&[head.as_slice(), options].concat())
    }

    fn documents(&self) -> Vec<PathBuf> {
        let folder = fs::read_dir(Path::new(&self.path("store")).join("suppressions"));
        folder.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }
}

#[test]
fn a_preview_changes_nothing_and_apply_hides_and_counts() {
    let case = Case::new("alpine");
    let preview = case.suppress(&["--for", "30d"]);
    assert_eq!(preview.code, 0, "{}", preview.errors);
    assert!(preview.output.contains("hidden 1 of 1 alerts"), "{}", preview.output);
    assert!(preview.output.contains("nothing was changed"), "{}", preview.output);
    assert!(case.documents().is_empty());
    assert!(case.run(&["alerts"]).output.contains("telnet_c2"));

    let made = case.suppress(&["--for", "30d", "--apply"]);
    assert_eq!(made.code, 0, "{}", made.errors);
    let listed = case.run(&["alerts"]);
    assert_eq!(listed.output, "", "{}", listed.errors);
    assert_eq!(listed.last_line(), "suppressed 1");
    assert!(case.run(&["alerts", "--suppressed"]).output.contains("telnet_c2"));

    // Judged again, it is kept, counted and told to programs, and not shown to people.
    let again = case.scan(&["--fail-on", "low"]);
    assert_eq!((again.code, again.output.as_str()), (0, ""), "{}", again.errors);
    assert!(again.last_line().ends_with("alerts: none, suppressed 1"), "{}", again.errors);
    let event: Value = serde_json::from_str(&case.scan(&["--format", "ndjson"]).output).unwrap();
    assert_eq!((&event["status_id"], &event["status"]), (&Value::from(3), &"Suppressed".into()));

    let all = case.run(&["suppress", "--list"]).output;
    assert!(all.contains("hits   1, last ") && all.contains("agreed with ops"), "{all}");
}

#[test]
fn what_is_removed_or_has_expired_no_longer_acts_and_is_said() {
    let case = Case::new("alpine");
    case.suppress(&["--apply"]);
    let [document] = case.documents().try_into().unwrap();
    let text = fs::read_to_string(&document).unwrap();
    let expires = text.lines().find(|line| line.contains("expires:")).unwrap();
    fs::write(&document, text.replace(expires, "  expires: 2026-01-31")).unwrap();
    let run = case.scan(&["--level", "low"]);
    assert!(run.errors.contains("has expired at 2026-01-31"), "{}", run.errors);
    assert!(run.output.contains("telnet_c2"), "{}", run.output);
    assert!(case.run(&["suppress", "--list"]).output.contains("EXPIRED"));

    fs::write(&document, &text).unwrap();
    assert_eq!(case.scan(&[]).output, "");
    let id = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    let removed = case.run(&["suppress", "--remove", &id[..8]]);
    assert!(removed.output.contains("1 alerts are shown again"), "{}", removed.errors);
    assert!(case.documents().is_empty());
    assert!(case.run(&["alerts"]).output.contains("telnet_c2"));
    assert_eq!(case.run(&["suppress", "--remove", &id[..8]]).code, 1);
}

#[test]
fn one_that_is_too_broad_is_refused_however_it_comes() {
    let case = Case::new("alpine");
    for scope in ["strategy", "port,strategy", "image-name", "image"] {
        let run = case.suppress(&["--apply", "--scope", scope]);
        assert_eq!(run.code, 1, "{scope}");
        assert!(run.errors.contains("neither a workload nor a destination"), "{}", run.errors);
    }
    assert!(case.documents().is_empty());
    case.suppress(&["--apply"]);
    let [document] = case.documents().try_into().unwrap();
    let text = fs::read_to_string(&document).unwrap();
    let widened: Vec<_> = text
        .lines()
        .filter(|line| !line.contains("dst_endpoint.ip"))
        .map(|line| match line.split_once("container.workload:") {
            Some((indent, _)) => format!("{indent}container.workload: '*'"),
            None => line.to_owned(),
        })
        .collect();
    fs::write(&document, widened.join("\n")).unwrap();
    let run = case.scan(&[]);
    assert!(run.errors.contains("is not used: it is too broad"), "{}", run.errors);
    assert!(run.output.contains("telnet_c2"), "{}", run.output);
}

#[test]
fn a_hostile_image_name_hides_itself_alone_and_forges_no_line() {
    let hostile = format!("*{HOSTILE}");
    let case = Case::new(&hostile);
    let scope = ["--scope", "image-name,destination", "--apply"];
    let made = case.suppress(&scope);
    assert_eq!(made.code, 0, "{}", made.errors);
    let listed = case.run(&["suppress", "--list"]).output;
    assert!(!listed.contains('\u{1b}') && !listed.lines().any(|l| l.starts_with("FORGED")));
    assert_eq!(case.scan(&[]).output, "");
    // Another container at the same place is another.
    fs::write(case.folder.path().join("inspect.json"), inspect_of("alpine")).unwrap();
    assert!(case.scan(&[]).output.contains("telnet_c2"));
}

#[test]
fn a_folder_of_ones_own_is_honoured_and_a_broken_document_is_said() {
    let case = Case::new("alpine");
    case.suppress(&["--apply"]);
    let (from, to) = (case.path("store/suppressions"), case.path("elsewhere"));
    fs::rename(from, &to).unwrap();
    fs::write(Path::new(&to).join("broken.yml"), "title: x\nfilter: [").unwrap();
    assert!(case.scan(&[]).output.contains("telnet_c2"));
    let run = case.scan(&["--suppressions", &to]);
    assert_eq!(run.output, "");
    assert!(run.errors.contains("broken.yml is not used: no Sigma filter"), "{}", run.errors);
    assert_eq!(case.scan(&["--suppressions", &case.path("nowhere")]).code, 1);
}

#[test]
fn a_suppression_needs_a_reason_and_an_end() {
    let case = Case::new("alpine");
    assert_eq!(case.run(&["suppress", &case.id]).code, 2);
    assert_eq!(case.run(&["suppress", &case.id, "--reason", " "]).code, 1);
    assert_eq!(case.suppress(&["--for", "900d"]).code, 2);
    assert_eq!(case.run(&["suppress"]).code, 2);
}
