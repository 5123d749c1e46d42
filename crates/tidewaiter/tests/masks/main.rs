//! Shells behind the openings of protocols, and the same openings with what belongs behind them:
//! captures made in memory from the specifications, scanned by the real binary.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod datagrams;
mod innocent;
mod openings;
mod talk;

use std::fs;
use std::process::Command;

use datagrams::DATAGRAMS;
use openings::{Opening, STREAMS, Said};
use serde_json::Value;
use talk::Talk;

/// From this level on something is an accusation.
const LOUD: [&str; 3] = ["Medium", "High", "Critical"];
/// They accuse whoever speaks such a protocol with strangers, whether or not he keeps to it.
const BY_ERRAND: [&str; 4] = ["irc_c2", "mining", "proxy_c2", "tunnel_c2"];

#[test]
fn a_shell_that_reads_lines_is_noticed_behind_every_opening() {
    all_are_noticed(Talk::lines);
}

#[test]
fn a_shell_on_a_terminal_is_noticed_behind_every_opening() {
    all_are_noticed(Talk::terminal);
}

fn openings() -> impl Iterator<Item = &'static Opening> {
    STREAMS.iter().chain(DATAGRAMS)
}

fn all_are_noticed(shell: fn(Talk) -> Talk) {
    let missed: Vec<String> = openings()
        .filter(|opening| loud(&shell(opened(opening, opening.turns))).is_empty())
        .map(|opening| opening.name.to_owned())
        .collect();
    assert!(missed.is_empty(), "nobody noticed the shell behind {missed:?}");
}

#[test]
fn what_belongs_behind_an_opening_accuses_nobody() {
    let mut accused = Vec::new();
    for innocent in innocent::INNOCENT {
        let opening = openings().find(|opening| opening.name == innocent.behind).unwrap();
        let mut talk = opened(opening, opening.turns);
        for (round, (by, bytes)) in innocent.turns.iter().enumerate() {
            talk = talk.wait(if round % 2 == 0 { 700 } else { 3 }).says(*by, bytes);
        }
        let found = loud(&talk);
        if !found.is_empty() {
            accused.push((innocent.behind, found));
        }
    }
    assert!(accused.is_empty(), "{accused:#?}");
}

/// Otherwise the tests above would be about something else.
#[test]
fn every_opening_is_known_by_its_bytes() {
    for opening in openings() {
        let flows = run(&["flows", "--format", "zeek-json"], &opened(opening, opening.turns));
        let service = word(flows.first().unwrap(), "service");
        assert!(opening.name.starts_with(&service) && !service.is_empty(), "{service}");
    }
}

fn opened(opening: &Opening, turns: &[Said]) -> Talk {
    let talk = Talk::new(opening.transport, opening.port);
    turns.iter().fold(talk, |talk, (by, bytes)| talk.wait(2).says(*by, bytes))
}

/// The strategies that accuse, and how loudly.
fn loud(talk: &Talk) -> Vec<(String, String)> {
    run(&["scan", "--format", "json"], talk)
        .iter()
        .map(|alert| (word(alert, "strategy"), word(alert, "level")))
        .filter(|(strategy, level)| {
            LOUD.contains(&level.as_str()) && !BY_ERRAND.contains(&strategy.as_str())
        })
        .collect()
}

/// What a command prints of a talk, line by line.
fn run(words: &[&str], talk: &Talk) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.pcap");
    fs::write(&file, talk.pcap()).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_tidewaiter")).args(words).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn word(alert: &Value, key: &str) -> String {
    alert.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
