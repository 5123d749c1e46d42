//! Process events and `/proc`, with real processes and real containers.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs, reason = "tests state facts the short way")]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use support::{Container, NET_ADMIN, SYS_ADMIN, eventually, may};
use sys::process::{
    Cgroups, ConnectorItem, ContainerRuntime, InImage, Interest, Process, ProcessConnector,
    ProcessEvent, ProcessEventKind, container_of,
};

const CAPS: &[(u32, &str)] = &[NET_ADMIN, SYS_ADMIN];

fn events_of(connector: &mut ProcessConnector, pid: u32) -> Vec<ProcessEvent> {
    let end = Instant::now() + Duration::from_secs(5);
    let mut events = Vec::new();
    while Instant::now() < end {
        if let Some(ConnectorItem::Event(event)) =
            connector.next(Duration::from_millis(100)).unwrap()
            && event.pid == pid
        {
            events.push(event);
            if matches!(event.kind, ProcessEventKind::Ended { .. }) {
                break;
            }
        }
    }
    events
}

#[test]
fn an_execution_and_its_end_are_seen_with_their_times() {
    if !may("an_execution_and_its_end_are_seen_with_their_times", CAPS) {
        return;
    }
    let mut connector = ProcessConnector::open(Interest::Everything).unwrap();
    let before = sys::clock::realtime_ns();
    let mut child = Command::new("/bin/sh").args(["-c", "exit 7"]).spawn().unwrap();
    child.wait().unwrap();
    let after = sys::clock::realtime_ns();
    let events = events_of(&mut connector, child.id());
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    let parent_pid = std::process::id();
    assert_eq!(
        kinds,
        [
            ProcessEventKind::Forked { parent_pid },
            ProcessEventKind::Executed,
            ProcessEventKind::Ended { exit_code: Some(7), signal: None },
        ]
    );
    // The two clocks are read one after the other, so a little slack is theirs.
    let (first, last) = (before - 1_000_000, after + 1_000_000);
    assert!(events.iter().all(|event| (first..=last).contains(&event.at_ns)), "{events:?}");
}

#[test]
fn who_asks_for_executions_hears_of_no_forks() {
    if !may("who_asks_for_executions_hears_of_no_forks", CAPS) {
        return;
    }
    let mut connector = ProcessConnector::open(Interest::Executions).unwrap();
    let mut child = Command::new("/bin/true").spawn().unwrap();
    child.wait().unwrap();
    let kinds: Vec<_> =
        events_of(&mut connector, child.id()).iter().map(|event| event.kind).collect();
    assert_eq!(kinds.len(), 2, "{kinds:?}");
    assert_eq!(kinds[0], ProcessEventKind::Executed);
}

#[test]
fn events_that_find_no_room_are_reported_as_lost() {
    if !may("events_that_find_no_room_are_reported_as_lost", CAPS) {
        return;
    }
    let mut connector = ProcessConnector::open(Interest::Everything).unwrap();
    connector.set_buffer_bytes(4096).unwrap();
    for _ in 0..40 {
        Command::new("/bin/true").status().unwrap();
    }
    let mut lost = 0;
    while let Some(item) = connector.next(Duration::from_millis(50)).unwrap() {
        lost += u32::from(item == ConnectorItem::Lost);
    }
    assert!(lost > 0);
}

#[test]
fn a_containers_process_names_its_container() {
    let test = "a_containers_process_names_its_container";
    if !may(test, CAPS) {
        return;
    }
    let Some(container) = Container::start(test, &[]) else { return };
    let cgroups = Cgroups::probe().unwrap();
    let process = Process::open(container.pid).unwrap();
    let record = process.read(Some(&cgroups));
    let named = record.container.unwrap();
    assert_eq!((named.hex(), named.runtime), (container.id.clone(), ContainerRuntime::Docker));
    assert_eq!(record.arguments, ["sleep", "60"]);
    assert_eq!(record.executable.as_deref(), Some("/bin/busybox"));
    assert_eq!((record.inner_pid, record.real_uid), (Some(1), Some(0)));
    let listed = cgroups.containers();
    let listed = listed.iter().find(|listed| listed.container == named).unwrap();
    assert_eq!(Some(listed.id), record.cgroup_id);
    assert_eq!(container_of(&listed.path), Some(named));
    assert_ne!(record.netns, Process::open(std::process::id()).unwrap().netns());
}

#[test]
fn what_was_written_after_the_start_is_not_the_images() {
    let test = "what_was_written_after_the_start_is_not_the_images";
    if !may(test, CAPS) {
        return;
    }
    let Some(container) = Container::start(test, &["--tmpfs", "/ram:exec"]) else { return };
    assert_eq!(Process::open(container.pid).unwrap().in_image(), InImage::Yes);
    // The program looks at its own name, so each copy keeps it.
    let line = "mkdir /w /v; for d in /w /v /ram; do cp /bin/busybox $d; done;
        /w/busybox sleep 50 & /ram/busybox sleep 51 & /v/busybox sleep 52 &
        /bin/busybox sleep 53 & sleep 1; rm /v/busybox; sleep 54";
    let mut shell = container.exec(line);
    for (seconds, path, expected) in [
        ("50", "/w/busybox", InImage::No),
        ("51", "/ram/busybox", InImage::No),
        ("52", "/v/busybox (deleted)", InImage::No),
        ("53", "/bin/busybox", InImage::Yes),
    ] {
        let attempt = || find(&container.id, seconds).filter(|found| found.0 == path);
        assert_eq!(eventually(path, attempt).1, expected, "{path}");
    }
    let _ = shell.kill();
    let _ = shell.wait();
}

/// The executable and verdict of the container's process that sleeps for so many seconds.
fn find(container: &str, seconds: &str) -> Option<(String, InImage)> {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    for pid in pids {
        let Ok(process) = Process::open(pid) else { continue };
        let record = process.read(None);
        let mine = record.container.is_some_and(|named| named.hex() == container);
        let asked = record.arguments.iter().rev().take(2).eq([seconds, "sleep"].iter());
        // Between fork and exec a child still is the shell.
        if mine && asked {
            return Some((record.executable?, process.in_image()));
        }
    }
    None
}

#[test]
fn a_host_process_belongs_to_no_image() {
    let process = Process::open(std::process::id()).unwrap();
    assert_eq!(process.in_image(), InImage::Unknown);
    assert_eq!(process.read(None).container, None);
}

#[test]
fn a_containers_interface_leads_to_its_veth() {
    let test = "a_containers_interface_leads_to_its_veth";
    if !may(test, CAPS) {
        return;
    }
    let Some(container) = Container::start(test, &[]) else { return };
    let inner = sys::link::interfaces_seen_by(container.pid).unwrap();
    let eth0 = inner.iter().find(|interface| interface.name == "eth0").unwrap();
    let veth = sys::link::Links::open().unwrap().link(eth0.iflink).unwrap().unwrap();
    assert_eq!((veth.kind.as_str(), veth.peer), ("veth", Some(eth0.ifindex)));
    assert!(veth.master.is_some(), "on the bridge");
}
