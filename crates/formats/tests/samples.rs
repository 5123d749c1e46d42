//! Every capture and every line of a runtime in the shared samples, where they lie beside the
//! workspace, as in CI.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "clippy takes only #[test] functions for tests, not what they call"
)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use formats::{
    Capture, CaptureFault, Format, Limits, LineLimits, Lines, Parsed, Reason, Tally, detect,
    docker_events, docker_inspect,
    zeek::{Kind, Reader, Writing},
};
use observation::{Fact, SourceId, Time};

/// The files below a folder of the samples; `None`, said aloud, where there are none.
fn files(folder: &str) -> Option<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(folder);
    if !root.is_dir() {
        println!("SKIPPED: no samples at {}", root.display());
        return None;
    }
    let (mut folders, mut files) = (vec![root], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    assert!(!files.is_empty());
    Some(files)
}

#[test]
fn every_capture_is_read_to_its_end_or_to_where_it_was_cut() {
    for folder in ["samples/pcap", "corpus"] {
        for path in files(folder).unwrap_or_default() {
            let is_capture =
                matches!(detect(&fs::read(&path).unwrap()), Format::Pcap | Format::Pcapng);
            let extension = path.extension().and_then(|extension| extension.to_str());
            assert_eq!(
                is_capture,
                matches!(extension, Some("pcap" | "pcapng" | "cap")),
                "{}",
                path.display()
            );
            if !is_capture {
                continue;
            }
            let file = File::open(&path).unwrap();
            let mut capture = Capture::open(file, SourceId(1), Limits::default()).unwrap();
            while let Some(next) = capture.next() {
                match next {
                    Ok(packet) => assert!(packet.at > Time(0), "{}", path.display()),
                    Err(error) => {
                        let is_cut = matches!(
                            error.fault,
                            CaptureFault::Truncated | CaptureFault::FrameTooLong { .. }
                        );
                        assert!(is_cut, "{}: {error}", path.display());
                    }
                }
            }
            assert!(capture.packet_count() > 0, "{}", path.display());
            assert_eq!(capture.damage().bad_block_count, 0, "{}", path.display());
        }
    }
}

#[test]
fn every_line_of_docker_events_is_understood_or_of_no_use() {
    let mut total = Tally::default();
    for path in files("samples/docker").unwrap_or_default() {
        if detect(&fs::read(&path).unwrap()) != Format::DockerEvents {
            continue;
        }
        let mut lines = Lines::open(File::open(&path).unwrap(), LineLimits::default());
        while let Some(line) = lines.next() {
            let line = line.unwrap();
            let parsed = docker_events::parse(line, SourceId(1), &mut |observation| {
                assert!(observation.at > Time(0));
            });
            // Some samples were shortened by hand and name containers `abc`.
            if parsed != Parsed::NotUnderstood(Reason::BadId) {
                total.add(parsed);
            }
        }
        assert!(lines.line_count() > 0, "{}", path.display());
    }
    assert_eq!(total.first_reason, None, "{total:?}");
}

#[test]
fn every_description_of_a_live_container_is_understood() {
    for path in files("samples/docker/live").unwrap_or_default() {
        let document = fs::read(&path).unwrap();
        if detect(&document) != Format::DockerInspect {
            continue;
        }
        let mut container_count = 0;
        let tally = docker_inspect::parse(&document, None, SourceId(1), &mut |observation| {
            if let Fact::Container(fact) = observation.fact {
                assert!(!fact.command.is_empty() && fact.privilege.is_some());
                assert!(fact.image_id.is_some() && fact.created == Some(observation.at));
                container_count += 1;
            }
        });
        assert_eq!((tally.understood_count, tally.not_understood_count), (container_count, 0));
        assert!(container_count > 0, "{}", path.display());
    }
}

#[test]
fn every_row_of_zeek_is_understood_or_of_no_use() {
    let mut kinds = Vec::new();
    for folder in
        ["samples/zeek/json", "samples/zeek/rita-json", "samples/zeek/tsv", "samples/zeek/labeled"]
    {
        for path in files(folder).unwrap_or_default() {
            let writing = match detect(&fs::read(&path).unwrap()) {
                Format::ZeekJson => Writing::Json,
                Format::ZeekTsv => Writing::Tsv,
                other => panic!("{}: {other:?}", path.display()),
            };
            let mut reader = Reader::new(writing);
            let mut lines = Lines::open(File::open(&path).unwrap(), LineLimits::default());
            let mut tally = Tally::default();
            while let Some(line) = lines.next() {
                let parsed = reader.line(line.unwrap(), &mut |seen| {
                    assert!(seen.observation.at > Time(0), "{}", path.display());
                    kinds.push(seen.kind);
                });
                parsed.into_iter().for_each(|parsed| tally.add(parsed));
            }
            // One row of this sample has lost some of its tabs.
            let damaged_count = u64::from(path.ends_with("tsv/notice.log"));
            assert_eq!(tally.not_understood_count, damaged_count, "{}: {tally:?}", path.display());
            assert!(tally.understood_count + tally.unused_count > 0, "{}", path.display());
        }
    }
    let expected = [Kind::Conn, Kind::Dns, Kind::Http, Kind::Ssl];
    assert!(kinds.is_empty() || expected.iter().all(|kind| kinds.contains(kind)));
}
