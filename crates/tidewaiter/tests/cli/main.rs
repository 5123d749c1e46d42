//! The real program, run as people run it: exit codes, last lines, what it prints and what it
//! refuses.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod bad_rows;
mod baselines;
mod intel;
mod rules;
mod support;
mod suppressions;

use std::fs;

use support::{
    HOSTILE, Run, capture_of, command, inspect_of, program, sessions, text_session, web_request,
};

#[test]
fn a_usage_error_is_2_and_a_missing_file_is_1_and_says_which() {
    assert_eq!(program(&["scan"]).code, 2);
    assert_eq!(program(&["nonsense"]).code, 2);
    for command in ["scan", "flows"] {
        let run = program(&[command, "/nonexistent/capture.pcap"]);
        assert_eq!(run.code, 1);
        assert!(run.errors.contains("/nonexistent/capture.pcap"), "{}", run.errors);
    }
}

#[test]
fn every_command_explains_itself_with_examples() {
    let help = program(&["--help"]);
    assert_eq!(help.code, 0);
    let commands = help.output.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names: Vec<_> = commands
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        let help = program(&[name, "--help"]);
        assert_eq!(help.code, 0, "{name}");
        assert!(help.output.contains("Examples:"), "{name} has no examples");
    }
}

#[test]
fn a_sound_capture_is_0_and_the_last_line_counts_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session.pcapng");
    fs::write(&path, capture_of(&text_session())).unwrap();
    let run = Run::scan(folder.path(), &["--lanes", "1", path.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{}", run.errors);
    let count = text_session().len();
    assert!(run.last_line().starts_with(&format!("read {count} packets")), "{}", run.errors);
    assert!(run.last_line().contains("dropped 0; alerts: "), "{}", run.errors);
}

#[test]
fn a_capture_that_breaks_off_is_4_after_all_before_it_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let whole = capture_of(&text_session());
    let path = folder.path().join("cut.pcapng");
    fs::write(&path, &whole[..whole.len() - 30]).unwrap();
    let run = Run::scan(folder.path(), &[path.to_str().unwrap()]);
    assert_eq!(run.code, 4, "{}", run.errors);
    assert!(run.errors.contains("cut.pcapng: the capture"), "{}", run.errors);
    assert!(run.last_line().contains("1 files broken off"), "{}", run.errors);
    assert!(!run.last_line().starts_with("read 0 packets"), "{}", run.errors);
    assert_eq!(program(&["flows", path.to_str().unwrap()]).code, 4);
}

#[test]
fn random_bytes_are_named_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (noise, good) = (folder.path().join("noise.log"), folder.path().join("a.pcapng"));
    let bytes: Vec<u8> =
        (0..9999_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(&noise, bytes).unwrap();
    fs::write(good, capture_of(&text_session())).unwrap();
    let run = Run::scan(folder.path(), &[folder.path().to_str().unwrap()]);
    assert_eq!(run.code, 4, "{}", run.errors);
    assert!(run.errors.contains("noise.log: no capture and no log"), "{}", run.errors);
    assert!(!run.last_line().starts_with("read 0 packets"), "{}", run.errors);
    let alone = Run::scan(folder.path(), &[noise.to_str().unwrap()]);
    assert_eq!(alone.code, 1, "{}", alone.errors);
}

#[test]
fn a_file_name_cannot_command_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x\u{1b}[2J\n\u{202e}.pcap");
    fs::write(&path, b"\xd4\xc3\xb2\xa1\x02\x00").unwrap();
    let run = Run::scan(folder.path(), &[path.to_str().unwrap()]);
    assert!(!run.errors.contains('\u{1b}') && !run.errors.contains('\u{202e}'), "{}", run.errors);
    assert!(run.errors.contains("\\u{1b}"), "{}", run.errors);
}

#[test]
fn lanes_and_the_order_of_files_change_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    // More packets than a block holds, so that blocks cross threads while others are filled.
    let packets = sessions(300);
    assert!(packets.len() > 4096);
    let (a, b) = (folder.path().join("a.pcapng"), folder.path().join("b.pcapng"));
    let (first, second) = packets.split_at(packets.len() / 2);
    fs::write(&a, capture_of(first)).unwrap();
    fs::write(&b, capture_of(second)).unwrap();
    let (a, b) = (a.to_str().unwrap(), b.to_str().unwrap());
    let base = ["--format", "json", "--level", "info"];
    let outputs: Vec<_> = [["1", a, b], ["2", b, a], ["7", a, b]]
        .iter()
        .map(|[lanes, first, second]| {
            let rest = ["--lanes", lanes, first, second];
            let store = tempfile::tempdir().unwrap();
            let run = Run::scan(store.path(), &[base.as_slice(), rest.as_slice()].concat());
            assert_eq!(run.code, 0, "{}", run.errors);
            (run.output.clone(), run.last_line().to_owned())
        })
        .collect();
    assert!(outputs[0].0.contains("\"strategy\":\"telnet_c2\""), "{}", outputs[0].1);
    assert_eq!(outputs[0], outputs[1]);
    assert_eq!(outputs[0], outputs[2]);
}

#[test]
fn lint_passes_known_gaps_and_fails_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ads.md");
    let sections = [
        "Goal",
        "Categorization",
        "Strategy Abstract",
        "Technical Context",
        "Blind Spots and Assumptions",
        "False Positives",
        "Validation",
        "Priority",
        "Response",
        "Additional Resources",
    ];
    let whole = sections.iter().fold("# T\n".to_owned(), |text, section| {
        let content =
            if *section == "Additional Resources" { "- None available" } else { "Words." };
        text + &format!("## {section}\n{content}\n")
    });
    fs::write(&path, &whole).unwrap();
    let run = program(&["ads", "lint", path.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{}", run.output);
    assert!(run.output.contains("None available"), "{}", run.output);
    fs::write(&path, whole.replace("## Validation\nWords.", "")).unwrap();
    let run = program(&["ads", "lint", path.to_str().unwrap()]);
    assert_eq!(run.code, 1, "{}", run.output);
    assert!(run.output.contains("problem  Validation: the section is missing"), "{}", run.output);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let run = support::piped_to_head(&["completions", "bash"]);
    assert_eq!(run.code, 0, "{}", run.errors);
    assert!(run.errors.is_empty(), "{}", run.errors);
}

#[test]
fn a_raw_shell_session_is_found_kept_and_explained() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, containers) = attack(&folder, "jovial_mendel");
    let run =
        Run::scan(folder.path(), &["--containers", &containers, "--fail-on", "high", &capture]);
    assert_eq!(run.code, 3, "{}", run.errors);
    assert!(run.last_line().contains("alerts: 1 "), "{}", run.errors);
    let headline = run.output.lines().next().unwrap();
    assert!(headline.contains("  telnet_c2  "), "{}", run.output);
    assert!(run.output.contains("jovial_mendel"), "{}", run.output);
    assert!(run.output.contains("198[.]51[.]100[.]10:4444"), "{}", run.output);

    let id = headline.split_whitespace().nth(2).unwrap();
    let store = folder.path().join("store");
    let store = store.to_str().unwrap();
    let explained = program(&["explain", id, "--store", store]);
    assert_eq!(explained.code, 0, "{}", explained.errors);
    assert!(explained.output.contains("HOW THE SUM CAME ABOUT"), "{}", explained.output);
    assert!(explained.output.contains("Strategy Abstract"), "{}", explained.output);

    let closed =
        ["alerts", "close", id, "--verdict", "benign", "--note", "a test", "--store", store];
    assert_eq!(program(&closed).code, 0);
    let list = program(&["alerts", "--peer", "198.51.100.10", "--store", store]);
    assert!(list.output.contains(id) && list.output.contains("benign"), "{}", list.output);
    let open = program(&["alerts", "list", "--open", "--store", store]);
    assert!(open.output.is_empty(), "{}", open.output);
    assert_eq!(program(&["explain", "ZZZZ", "--store", store]).code, 1);
}

#[test]
fn a_web_request_is_no_alert_and_fails_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.pcapng");
    fs::write(&path, capture_of(&web_request())).unwrap();
    let run = Run::scan(folder.path(), &["--fail-on", "low", path.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{}{}", run.output, run.errors);
    assert!(run.last_line().ends_with("alerts: none"), "{}", run.errors);
    let flows = program(&["flows", "--format", "zeek-json", path.to_str().unwrap()]);
    assert!(flows.output.contains("\"service\":\"http\""), "{}", flows.output);
}

#[test]
fn every_next_command_runs_as_it_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, containers) = attack(&folder, "jovial_mendel");
    let run = Run::scan(folder.path(), &["--containers", &containers, &capture]);
    let lines = run.output.lines().filter_map(|line| line.split_once("  tidewaiter "));
    let mut seen = Vec::new();
    for (_, line) in lines {
        let line = line.split("   ").next().unwrap();
        let words = shlex::split(line).unwrap();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // `respond` asks the machine's runtime, and nothing was preserved yet: what counts is that
        // the program knows the command and the alert.
        let run = program(&words);
        assert_ne!(run.code, 2, "{line}: {}", run.errors);
        assert!(!run.errors.contains("no alert in"), "{line}: {}", run.errors);
        seen.push(words[0].to_owned());
    }
    assert!(seen.len() >= 4, "{}", run.output);
}

#[test]
fn a_hostile_container_forges_nothing_in_any_form() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, containers) = attack(&folder, HOSTILE);
    let scan = |format: &str| {
        Run::scan(folder.path(), &["--containers", &containers, "--format", format, &capture])
    };
    let table = scan("table").output;
    let ours = ['\n', '→', '←'];
    assert!(table.chars().all(|c| matches!(c, ' '..='~') || ours.contains(&c)), "{table}");
    assert!(!table.lines().any(|line| line.starts_with("FORGED")), "{table}");
    for format in ["ndjson", "json"] {
        let output = scan(format).output;
        assert!(output.bytes().all(|b| matches!(b, b' '..=b'~' | b'\n')), "{output}");
        assert_eq!(output.lines().count(), 1, "{output}");
        let value: serde_json::Value = serde_json::from_str(&output).unwrap();
        let name = if format == "json" {
            &value["subjects"][0]["container"]["name"]
        } else {
            assert_eq!(value["class_uid"], 2004);
            &value["evidences"][0]["container"]["name"]
        };
        assert_eq!(name, HOSTILE);
    }
}

/// What was shown is in the store, however the program ended: kill it the moment it has shown
/// something, before it can do anything else.
#[test]
fn killed_after_the_first_byte_nothing_shown_is_lost() {
    use std::io::Read;
    let folder = tempfile::tempdir().unwrap();
    let (capture, containers) = attack(&folder, "jovial_mendel");
    let store = folder.path().join("store");
    let store = store.to_str().unwrap();
    let arguments = ["scan", "--store", store, "--containers", &containers, &capture];
    let mut child = command(&arguments).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut first = [0; 64];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let shown = String::from_utf8_lossy(&first);
    let id = shown.split_whitespace().nth(2).unwrap();
    assert_eq!(program(&["alerts", "show", id, "--store", store]).code, 0, "{shown}");
}

/// Without `--store` a scan needs no folder that it may write, and says that nothing was kept.
#[test]
fn a_scan_without_a_store_keeps_nothing_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, containers) = attack(&folder, "jovial_mendel");
    let before = fs::read_dir(folder.path()).unwrap().count();
    let done = command(&["scan", "--containers", &containers, &capture])
        .env_remove("XDG_STATE_HOME")
        .env_remove("HOME")
        .current_dir(&folder)
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let shown = String::from_utf8(done.stdout).unwrap();
    assert!(
        shown.contains("telnet_c2") && shown.contains("the same scan with --store DIR"),
        "{shown}"
    );
    assert!(!shown.contains("tidewaiter explain"), "{shown}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), before);
}

#[test]
fn zeek_json_holds_every_conversation_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.pcapng");
    fs::write(&path, capture_of(&sessions(50))).unwrap();
    let run = program(&["flows", "--format", "zeek-json", path.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{}", run.errors);
    assert!(run.last_line().ends_with("50 flows"), "{}", run.errors);
    let mut ports = Vec::new();
    for line in run.output.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["conn_state"], "SF", "{line}");
        assert_eq!(record["id.resp_h"], "198.51.100.10", "{line}");
        assert_eq!(record["port"], 7, "{line}");
        ports.push(record["id.orig_p"].as_u64().unwrap());
    }
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 50);
}

fn attack(folder: &tempfile::TempDir, name: &str) -> (String, String) {
    let (capture, containers) =
        (folder.path().join("a.pcapng"), folder.path().join("inspect.json"));
    fs::write(&capture, capture_of(&text_session())).unwrap();
    fs::write(&containers, inspect_of(name)).unwrap();
    (capture.to_str().unwrap().to_owned(), containers.to_str().unwrap().to_owned())
}

#[test]
fn a_log_in_which_nothing_was_written_is_no_damage_and_an_empty_capture_is() {
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("recording");
    fs::create_dir(&recording).unwrap();
    fs::write(recording.join("packets.pcapng"), capture_of(&web_request())).unwrap();
    fs::write(recording.join("events.ndjson"), "").unwrap();
    let run = Run::scan(folder.path(), &[recording.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{}", run.errors);
    fs::write(recording.join("more.pcapng"), "").unwrap();
    let run = Run::scan(folder.path(), &[recording.to_str().unwrap()]);
    assert_eq!(run.code, 4, "{}", run.errors);
}
