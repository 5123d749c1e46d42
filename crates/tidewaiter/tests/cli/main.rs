//! The real program, run as people run it: exit codes, last lines, what it prints and what it
//! refuses.

mod support;

use std::fs;

use support::{Run, capture_of, program, text_session};

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
    let packets = text_session();
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
