//! A recording: a folder in which `watch --record` keeps what it saw and from which `scan` makes
//! the same alerts again.
//!
//! Packets are pcapng (see [`crate::PcapngWriter`]), the runtime's events are its own lines
//! (see [`crate::docker_events`]).
//! Its descriptions of containers are kept with the time at which they were asked for, and what
//! this machine told otherwise (processes, sockets, counters, gaps) as [`Observation`]s.
//! Both are JSON lines.

use std::io::{self, Write};

use observation::{Observation, SourceId, Time};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::docker_inspect;
use crate::parsed::{Parsed, Reason, Tally};

/// The captured packets.
pub const PACKETS_FILE: &str = "packets.pcapng";
/// The runtime's events as its API gave them.
pub const EVENTS_FILE: &str = "events.ndjson";
/// The runtime's descriptions of containers, each with its time.
pub const INSPECT_FILE: &str = "inspect.ndjson";
/// What the machine itself told.
pub const SYSTEM_FILE: &str = "system.ndjson";

/// Writes one Observation as one line of [`SYSTEM_FILE`].
///
/// # Errors
/// When `out` cannot be written.
pub fn write_observation(out: &mut dyn Write, observation: &Observation<'_>) -> io::Result<()> {
    write_line(out, &OwnLine { tidewaiter: VERSION, observation })
}

/// Reads one line of [`SYSTEM_FILE`]. Time, witness and order are those that were recorded.
pub fn parse_observation(line: &[u8], out: &mut dyn FnMut(Observation<'_>)) -> Parsed {
    let observation = match own_line(line) {
        Ok(observation) => observation,
        Err(reason) => return Parsed::NotUnderstood(reason),
    };
    match serde_json::from_str(observation.get()) {
        Ok(observation) => {
            out(observation);
            Parsed::Understood
        }
        Err(_) => Parsed::NotUnderstood(Reason::Missing("observation")),
    }
}

/// Writes one answer of the runtime to an inspect request as one line of [`INSPECT_FILE`].
///
/// # Errors
/// When `out` cannot be written, or when the answer is no JSON ([`io::ErrorKind::InvalidData`]).
pub fn write_inspect(out: &mut dyn Write, at: Time, answer: &[u8]) -> io::Result<()> {
    // Line ends in JSON are mere space; inside of strings they are escaped.
    let one_line: Vec<u8> = answer
        .iter()
        .map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte })
        .collect();
    let inspect: &RawValue = serde_json::from_slice(&one_line)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    write_line(out, &InspectLine { at: at.0, inspect })
}

/// Reads one line of [`INSPECT_FILE`], as [`docker_inspect::parse`] does its document.
pub fn parse_inspect(
    line: &[u8],
    witness: SourceId,
    out: &mut dyn FnMut(Observation<'_>),
) -> Tally {
    match object::<InspectLine<'_>>(line) {
        Some(line) => {
            docker_inspect::parse(line.inspect.get().as_bytes(), Some(Time(line.at)), witness, out)
        }
        None => {
            let mut tally = Tally::default();
            tally.add(Parsed::NotUnderstood(Reason::NotJson));
            tally
        }
    }
}

#[derive(Serialize)]
struct OwnLine<'a> {
    tidewaiter: u32,
    observation: &'a Observation<'a>,
}

/// The same, read; the observation is looked at only when the version is known.
#[derive(Deserialize)]
struct RawOwnLine<'a> {
    tidewaiter: u32,
    #[serde(borrow)]
    observation: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
struct InspectLine<'a> {
    at: u64,
    #[serde(borrow)]
    inspect: &'a RawValue,
}

fn own_line(line: &[u8]) -> Result<&RawValue, Reason> {
    let line: RawOwnLine<'_> = object(line).ok_or(Reason::NotJson)?;
    if line.tidewaiter == VERSION { Ok(line.observation) } else { Err(Reason::Version) }
}

/// A JSON object. An array would be taken for the members in their order.
fn object<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Option<T> {
    line.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(line).ok())?
}

fn write_line(out: &mut dyn Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// Rises when an Observation of an older recording can no longer be read.
const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use observation::{
        Burst, ContainerId, Echo, Fact, FlowId, Grammar, InImage, Likeness, ProcessKey,
        ProcessStarted, Shape, Side, Span, Tail, Texture,
    };

    use super::*;

    fn round_trip(fact: Fact<'_>) -> String {
        let at = Time(u64::MAX - 1);
        let observation = Observation { at, witness: SourceId(9), order: u64::MAX, fact };
        let mut line = Vec::new();
        write_observation(&mut line, &observation).unwrap();
        let mut seen_count = 0;
        let parsed = parse_observation(&line, &mut |seen| {
            assert_eq!(seen, observation);
            seen_count += 1;
        });
        assert_eq!((parsed, seen_count), (Parsed::Understood, 1));
        let line = String::from_utf8(line).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        line
    }

    #[test]
    fn a_process_comes_back_as_it_was() {
        let line = round_trip(Fact::ProcessStarted(ProcessStarted {
            process: ProcessKey { pid: 7, started: Time(1) },
            parent_pid: 1,
            uid: Some(0),
            container: Some(ContainerId([0xab; 32])),
            cgroup: 9_007_199_254_740_993,
            executable: "/bin/sh\n\u{1b}[31m".into(),
            arguments: vec!["sh".into(), "\"\\".into()],
            sha256: Some([1; 32]),
            in_image: InImage::No,
        }));
        assert!(line.starts_with(r#"{"tidewaiter":1,"observation":{"at":"#), "{line}");
        assert!(line.contains(&format!("\"{}\"", "ab".repeat(32))), "{line}");
        assert!(line.contains("9007199254740993"), "more than a double can hold: {line}");
    }

    #[test]
    fn an_excerpt_of_any_bytes_comes_back_as_it_was() {
        let line = round_trip(Fact::Burst(Burst {
            flow: FlowId(u64::MAX),
            index: 0,
            side: Side::Responder,
            start: Time(1),
            end: Time(2),
            pause_before: Span(3),
            bytes: 4,
            segments: 1,
            shape: Shape {
                printable_percent: 50,
                tail: Tail::LineEnd,
                echo: Echo::None,
                texture: Some(Texture {
                    nul_percent: 25,
                    line_count: 1,
                    line_bytes_max: 3,
                    entropy_centibits: 200,
                    likeness: Likeness::Binary,
                }),
            },
            grammar: Grammar::None,
            excerpt: Cow::Borrowed(b"id\n\x00\xff"),
        }));
        assert!(line.contains(r#""excerpt":"69640a00ff""#), "{line}");
    }

    #[test]
    fn another_version_and_other_lines_are_refused_with_their_reason() {
        let reason = |line: &[u8]| match parse_observation(line, &mut |_| panic!("no fact")) {
            Parsed::NotUnderstood(reason) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(b"{\"tidewaiter\":2,\"observation\":{}}"), Reason::Version);
        assert_eq!(
            reason(b"{\"tidewaiter\":1,\"observation\":{}}"),
            Reason::Missing("observation")
        );
        assert_eq!(reason(b"[1,{}]"), Reason::NotJson);
        assert_eq!(reason(b"{\"tidewaiter\":1,\"observation\":{"), Reason::NotJson);
    }

    #[test]
    fn a_description_of_many_lines_becomes_one_and_keeps_its_time() {
        let id = "cd".repeat(32);
        let answer = format!("[\n  {{\r\n \"Id\": \"{id}\", \"Name\": \"/a\\nb\"\n}}\n]\n");
        let mut line = Vec::new();
        write_inspect(&mut line, Time(77), answer.as_bytes()).unwrap();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let mut seen = Vec::new();
        let tally = parse_inspect(&line, SourceId(2), &mut |observation| {
            if let Fact::Container(fact) = observation.fact {
                seen.push((observation.at, observation.witness, fact.name.into_owned()));
            }
        });
        assert_eq!(tally.understood_count, 1);
        assert_eq!(seen, [(Time(77), SourceId(2), "a\nb".to_owned())]);
        assert_eq!(parse_inspect(b"7", SourceId(2), &mut |_| {}).not_understood_count, 1);
        let refused = write_inspect(&mut line, Time(1), b"no such container").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    }
}
