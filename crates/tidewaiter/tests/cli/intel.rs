//! Threat intelligence from files, as `scan` reads it.

use std::fs;

use serde_json::Value;

use crate::support::{Run, capture_of, web_request};

/// The alerts of an ordinary web request with this feed, and what was said.
fn scanned(name: &str, feed: &str) -> (Vec<Value>, Run) {
    let folder = tempfile::tempdir().unwrap();
    let (capture, path) = (folder.path().join("a.pcapng"), folder.path().join(name));
    fs::write(&capture, capture_of(&web_request())).unwrap();
    fs::write(&path, feed).unwrap();
    let intel = ["--intel", path.to_str().unwrap(), "--format", "json"];
    let run = Run::scan(folder.path(), &[&intel[..], &[capture.to_str().unwrap()]].concat());
    let alerts = run.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (alerts, run)
}

#[test]
fn a_listed_far_end_is_told_with_its_feed_and_what_is_too_broad_is_counted() {
    let (alerts, run) = scanned("list.txt", "198.51.100.10\n0.0.0.0/0\ncom\n10.0.0.0/8\n");
    assert_eq!(alerts.len(), 1, "{}", run.errors);
    assert_eq!(
        (&alerts[0]["strategy"], &alerts[0]["level"]),
        (&"threat_intel".into(), &"Medium".into())
    );
    assert!(alerts[0].to_string().contains("listed by list.txt, fresh"), "{}", alerts[0]);
    let said = "1 indicators in 12 bytes; refused 3 (2 too wide networks, 1 public suffixes)";
    assert!(run.errors.contains(said), "{}", run.errors);
    let (none, run) = scanned("list.txt", "198.51.100.11\nexample.org\n");
    assert!(none.is_empty(), "{}", run.errors);
}

#[test]
fn the_host_of_a_request_is_looked_up() {
    let (alerts, run) = scanned("names", "# hosts\nHTTP://example.com/index.html\n");
    assert_eq!(alerts.len(), 1, "{}", run.errors);
    assert!(alerts[0].to_string().contains("URL example.com/index.html"), "{}", alerts[0]);
}

#[test]
fn a_broken_feed_is_refused_and_says_why() {
    let (_, run) = scanned("page.csv", "<html>\n<h1>Too many requests</h1>\n</html>\n");
    assert_eq!(run.code, 1);
    assert!(run.errors.contains("page.csv") && run.errors.contains("not understood"));
    let (_, run) = scanned("bundle.json", "{\"type\":\"bundle\",");
    assert_eq!(run.code, 1);
    assert!(run.errors.contains("no JSON"), "{}", run.errors);
}

#[test]
fn a_misp_folder_is_one_feed() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, feed) = (folder.path().join("a.pcapng"), folder.path().join("misp"));
    fs::write(&capture, capture_of(&web_request())).unwrap();
    fs::create_dir(&feed).unwrap();
    let uuid = "0e95725d-7320-415d-80f7-004da920fc11";
    fs::write(feed.join("manifest.json"), format!("{{\"{uuid}\":{{}}}}")).unwrap();
    let event =
        r#"{"Event":{"Attribute":[{"type":"ip-dst","value":"198.51.100.10","to_ids":true}]}}"#;
    fs::write(feed.join(format!("{uuid}.json")), event).unwrap();
    // What the manifest does not list is not read.
    fs::write(feed.join("notes.txt"), "no indicators here\n").unwrap();
    let arguments =
        ["--intel", feed.to_str().unwrap(), "--format", "ndjson", capture.to_str().unwrap()];
    let run = Run::scan(folder.path(), &arguments);
    assert!(run.output.contains("listed by misp"), "{}", run.errors);
}
