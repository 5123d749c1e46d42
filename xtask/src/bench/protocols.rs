//! Identification beside two that identify: CPU seconds, packets per second and memory, as ratios
//! over alternating runs; and what a second lane brings.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::{Cost, measure};

/// One command, and what it cost in each round.
struct Runner {
    name: &'static str,
    line: String,
    costs: Vec<Cost>,
}

/// A program beside which we are measured, and the Debian package that brings it.
const PEERS: [(&str, &str, &str); 2] = [
    ("ndpiReader", "libndpi-bin", "ndpiReader -q -n 1 -i"),
    ("tshark", "tshark", "tshark -n -q -z io,phs -r"),
];

pub(super) fn run(folder: &Path, rounds: usize) -> Result<()> {
    let mut missing = Vec::new();
    for (name, package, _) in PEERS {
        if !is_installed(name) {
            missing.push(format!("{name} (apt-get install {package})"));
        }
    }
    let mut measured = 0;
    for capture in ["mix", "bulk"] {
        let file = folder.join(format!("{capture}.pcap"));
        if !file.exists() {
            missing.push(format!("{} (the evaluation's mkcorpus makes it)", file.display()));
            continue;
        }
        if measured == 0 {
            heading();
        }
        compare(capture, &file, rounds.max(1))?;
        measured += 1;
    }
    for what in &missing {
        println!("missing: {what}");
    }
    if measured == 0 {
        bail!("nothing was measured: give --folder with mix.pcap and bulk.pcap");
    }
    Ok(())
}

fn heading() {
    println!(
        "{:<7} {:<24} {:>21} {:>7} {:>8} {:>22} {:>12}",
        "capture",
        "command",
        "CPU s (min-max)",
        "kpps",
        "peak MB",
        "CPU / ndpiReader",
        "CPU / tshark"
    );
}

fn compare(capture: &str, file: &Path, rounds: usize) -> Result<()> {
    let packet_count = packets_of(file)?;
    let mut runners = runners(file);
    for _ in 0..rounds {
        for runner in &mut runners {
            runner.costs.push(measure(&runner.line)?);
        }
    }
    for runner in &runners {
        let costs = || runner.costs.iter().map(|cost| cost.cpu_s);
        let cpu_s = middle(costs());
        let (least, most) = (costs().fold(f64::MAX, f64::min), costs().fold(0.0, f64::max));
        let spent = format!("{cpu_s:.2} ({least:.2}-{most:.2})");
        println!(
            "{capture:<7} {:<24} {spent:>21} {:>7.0} {:>8.0} {:>22} {:>12}",
            runner.name,
            packet_count as f64 / cpu_s.max(0.01) / 1000.0,
            middle(runner.costs.iter().map(|cost| cost.peak_mb)),
            ratio(&runners, runner, "ndpiReader"),
            ratio(&runners, runner, "tshark"),
        );
    }
    for command in ["flows", "scan"] {
        let of = |lanes: &str| {
            let name = format!("tidewaiter {command}, {lanes}");
            runners.iter().find(|runner| runner.name == name)
        };
        if let (Some(one), Some(two)) = (of("1 lane"), of("2 lanes")) {
            let quicker = ratios(one, two, |cost| cost.wall_s);
            println!(
                "{capture:<7} {command}: two lanes are {:.2} times as quick as one",
                middle(quicker)
            );
        }
    }
    Ok(())
}

fn runners(file: &Path) -> Vec<Runner> {
    let program = crate::program().display().to_string();
    let file = file.display();
    let mut runners = Vec::new();
    for (name, _, line) in PEERS {
        if is_installed(name) {
            runners.push(Runner { name, line: format!("{line} {file}"), costs: Vec::new() });
        }
    }
    let ours = [
        ("tidewaiter flows, 1 lane", format!("flows --lanes 1 --format zeek-json {file}")),
        ("tidewaiter flows, 2 lanes", format!("flows --lanes 2 --format zeek-json {file}")),
        ("tidewaiter scan, 1 lane", format!("scan --lanes 1 {file}")),
        ("tidewaiter scan, 2 lanes", format!("scan --lanes 2 {file}")),
    ];
    for (name, line) in ours {
        runners.push(Runner { name, line: format!("{program} {line}"), costs: Vec::new() });
    }
    runners
}

/// The median ratio of the CPU seconds of two commands, round by round, and its range.
fn ratio(runners: &[Runner], runner: &Runner, peer: &str) -> String {
    let Some(peer) = runners.iter().find(|other| other.name == peer) else {
        return "-".to_owned();
    };
    let ratios = || ratios(runner, peer, |cost| cost.cpu_s);
    let (least, most) = (ratios().fold(f64::MAX, f64::min), ratios().fold(0.0, f64::max));
    format!("{:.2} ({least:.2}-{most:.2})", middle(ratios()))
}

fn ratios(left: &Runner, right: &Runner, of: fn(&Cost) -> f64) -> impl Iterator<Item = f64> {
    left.costs.iter().zip(&right.costs).map(move |(left, right)| of(left) / of(right).max(0.01))
}

fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// How many packets a capture has, by our own account; the file is in memory afterwards.
fn packets_of(file: &Path) -> Result<u64> {
    let output = Command::new(crate::program())
        .args(["flows", "--lanes", "1"])
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .context("starting tidewaiter flows")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let words = said.lines().last().unwrap_or_default().split_whitespace();
    let count = words.skip_while(|word| *word != "read").nth(1).and_then(|word| word.parse().ok());
    count.with_context(|| format!("{}: {said}", file.display()))
}

fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}
