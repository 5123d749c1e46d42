//! Zeek's logs as they should not be: told twice, backwards, or of another century. What is said of
//! a beacon in them stays the same.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::Run;

const START_S: u64 = 1_795_550_400;
const HOUR_COUNT: u64 = 3;
/// A row of conn.log: when, whose, to whom.
type Row = (f64, u8, &'static str);

/// A beacon of container 1, and what six containers do besides, in the order of time.
fn rows() -> Vec<Row> {
    const FARS: [&str; 7] =
        ["", "64.2.0.1", "64.2.0.2", "64.2.0.3", "64.2.0.4", "64.2.0.5", "64.2.0.6"];
    let mut dice = 7_u64;
    let mut part = || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        ((dice >> 33) as f64 + 0.5) / f64::from(1_u32 << 31)
    };
    let end_s = (START_S + HOUR_COUNT * 3600) as f64;
    let mut rows = Vec::new();
    for (container, far) in (1..=6).zip(&FARS[1..]) {
        let mut at = START_S as f64;
        while at < end_s {
            at -= part().ln() * 150.0;
            rows.push((at, container, *far));
        }
    }
    let mut at = START_S as f64 + 10.0;
    while at < end_s {
        rows.push((at, 1, "37.1.1.9"));
        at += 60.0 * (0.8 + 0.4 * part());
    }
    rows.sort_by(|left, right| left.0.total_cmp(&right.0));
    rows
}

fn written<'a>(rows: impl IntoIterator<Item = &'a Row>) -> String {
    let mut text = String::new();
    for (at, container, far) in rows {
        let port = 20_000 + (at * 7.0) as u64 % 40_000;
        writeln!(
            text,
            "{{\"ts\":{at:.6},\"uid\":\"C{port}x{container}\",\"id.orig_h\":\"172.18.0.{container}\",\
             \"id.orig_p\":{port},\"id.resp_h\":\"{far}\",\"id.resp_p\":443,\"proto\":\"tcp\",\
             \"service\":\"ssl\",\"duration\":0.2,\"orig_bytes\":500,\"resp_bytes\":900,\
             \"conn_state\":\"SF\",\"orig_pkts\":5,\"orig_ip_bytes\":700,\"resp_pkts\":5,\
             \"resp_ip_bytes\":1100}}"
        )
        .unwrap();
    }
    text
}

fn inspected() -> String {
    let one = |number: u8| {
        json!({
            "Id": format!("{number:02x}").repeat(32),
            "Name": format!("/app{number}"),
            "Created": "2026-11-01T00:00:00Z",
            "State": { "Status": "running", "Running": true, "Pid": 4000 + u32::from(number),
                       "StartedAt": "2026-11-01T00:00:00Z" },
            "Image": format!("sha256:{}", format!("{number:02x}").repeat(32)),
            "Config": { "Image": format!("shop/app{number}"), "Env": [], "Cmd": ["/app"] },
            "HostConfig": { "NetworkMode": "shop" },
            "NetworkSettings": { "Networks": { "shop": {
                "IPAddress": format!("172.18.0.{number}") } } },
        })
    };
    Value::from((1..=6).map(one).collect::<Vec<_>>()).to_string()
}

/// What is told of the files in a folder at Medium and above: whom each alert accuses of what, and
/// the last line.
fn judged(files: &[(&str, String)]) -> (Vec<Value>, String) {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    fs::create_dir(&logs).unwrap();
    for (name, text) in files {
        fs::write(logs.join(name), text).unwrap();
    }
    let containers = folder.path().join("containers.json");
    fs::write(&containers, inspected()).unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (containers, logs) = (path(&containers), path(&logs));
    let level = ["--format", "ndjson", "--level", "medium"];
    let run = Run::scan(
        folder.path(),
        &[level.as_slice(), &["--containers", &containers, &logs]].concat(),
    );
    assert_eq!(run.code, 0, "{}", run.errors);
    let alerts = run.output.lines().map(|line| {
        let alert: Value = serde_json::from_str(line).unwrap();
        let of = |pointer: &str| alert.pointer(pointer).cloned().unwrap_or_default();
        json!([
            of("/severity_id"),
            of("/evidences/0/src_endpoint/ip"),
            of("/evidences/0/dst_endpoint/ip"),
            of("/unmapped/tidewaiter/why"),
        ])
    });
    (alerts.collect(), run.last_line().to_owned())
}

fn is_the_beacon(alerts: &[Value]) -> bool {
    matches!(alerts, [alert] if alert[1] == "172.18.0.1" && alert[2] == "37.1.1.9")
}

#[test]
fn logs_that_are_there_twice_are_counted_once() {
    let rows = rows();
    let (once, line) = judged(&[("conn.log", written(&rows))]);
    assert!(is_the_beacon(&once), "{once:?} {line}");
    assert!(!line.contains("read twice"), "{line}");
    // Rotated by the hour while the whole day is still there, and the whole day copied besides.
    let (first, second) = rows.split_at(rows.len() / 2);
    let files = [
        ("conn.00.log", written(first)),
        ("conn.12.log", written(second)),
        ("conn.copy.log", written(&rows)),
        ("conn.log", written(&rows)),
    ];
    let (twice, line) = judged(&files);
    assert_eq!(once, twice);
    let count = 2 * rows.len();
    assert!(line.contains(&format!("{count} rows read twice and counted once")), "{line}");
}

#[test]
fn a_log_in_any_order_says_the_same() {
    let rows = rows();
    let (in_order, _) = judged(&[("conn.log", written(&rows))]);
    let (backwards, _) = judged(&[("conn.log", written(rows.iter().rev()))]);
    assert_eq!(in_order, backwards);
    // Every seventh row, then every seventh of the others, and so on.
    let shuffled = (0..7).flat_map(|from| rows.iter().skip(from).step_by(7));
    let (shuffled, _) = judged(&[("conn.log", written(shuffled))]);
    assert_eq!(in_order, shuffled);
}

/// More rows of another century than are held to be put in order: the others come late, which is
/// counted, and the neighbour's beacon is found in them.
#[test]
fn rows_of_1970_and_of_2100_hide_nobody() {
    const WILD_COUNT: u32 = 80_000;
    let rows = rows();
    let mut text = String::new();
    for number in 0..WILD_COUNT {
        let start_s = if number % 2 == 0 { 5.0 } else { 4_102_444_800.0 };
        text += &written([&(start_s + f64::from(number), 6, "64.2.0.6")]);
    }
    let (wild, line) = judged(&[("conn.log", text + &written(&rows))]);
    assert!(is_the_beacon(&wild), "{wild:?} {line}");
    assert!(line.contains("rows out of order"), "{line}");
}
