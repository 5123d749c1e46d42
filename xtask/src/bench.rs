//! Benches beside a peer in the same run, alternating; figures are ratios of CPU seconds.

pub(crate) mod channels;
pub(crate) mod live;
mod protocols;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::run;

const ROUNDS: usize = 5;

/// What is measured.
#[derive(clap::Subcommand)]
pub(crate) enum What {
    /// Packets per second, CPU seconds and peak memory of `flows` and `scan` on two captures,
    /// beside `tcpdump -r FILE -w /dev/null` and `tshark -n -q -z conv,tcp`.
    Packets {
        /// Folder with mix.pcap and bulk.pcap, as the evaluation's mkcorpus makes them.
        folder: PathBuf,
    },
    /// Identification: `flows` and `scan` in one lane beside ndpiReader and tshark, and in two
    /// beside one; CPU seconds, packets per second, peak memory and their ratios.
    Protocols {
        /// Folder with mix.pcap and bulk.pcap, as the evaluation's mkcorpus makes them.
        #[arg(long, default_value = "captures")]
        folder: PathBuf,
        /// How many alternating runs of each command.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Takes the release build that is there, whatever it was built from.
        #[arg(long)]
        no_build: bool,
    },
    /// A simulated day of Zeek's connections, judged, beside a bare parse of the same file; and the
    /// memory that ten days take.
    Channels(channels::Arguments),
    /// Connections per second and throughput of a container with and without `watch`, in
    /// alternating runs (root, Docker).
    Live {
        /// How many pairs of runs of each kind.
        #[arg(long, default_value_t = 5)]
        pairs: u32,
        /// How long each run takes.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Takes the release build that is there, whatever it was built from.
        #[arg(long)]
        no_build: bool,
    },
}

/// One run's cost.
#[derive(Clone, Copy)]
struct Cost {
    cpu_s: f64,
    wall_s: f64,
    peak_mb: f64,
}

pub(crate) fn run(what: &What) -> Result<()> {
    let is_built = matches!(
        what,
        What::Live { no_build: true, .. }
            | What::Protocols { no_build: true, .. }
            | What::Channels(channels::Arguments { no_build: true, .. })
    );
    if !is_built {
        run::must("cargo build --quiet --release --package tidewaiter")?;
    }
    match what {
        What::Live { pairs, seconds, .. } => live::run(*pairs, *seconds),
        What::Packets { folder } => packets(folder),
        What::Protocols { folder, rounds, .. } => protocols::run(folder, *rounds),
        What::Channels(arguments) => channels::run(arguments),
    }
}

fn packets(folder: &Path) -> Result<()> {
    let program = crate::program().display().to_string();
    println!(
        "{:<10} {:<34} {:>8} {:>8} {:>9} {:>10}",
        "capture", "command", "CPU s", "wall s", "peak MB", "x tcpdump"
    );
    for capture in ["mix", "bulk"] {
        let file = folder.join(format!("{capture}.pcap")).display().to_string();
        if !Path::new(&file).exists() {
            bail!("{file} is not there; make it with the evaluation's mkcorpus");
        }
        let commands = [
            ("tcpdump", format!("tcpdump -r {file} -w /dev/null")),
            ("tshark -z conv,tcp", format!("tshark -n -q -z conv,tcp -r {file}")),
            ("tidewaiter flows", format!("{program} flows --format zeek-json {file}")),
            ("tidewaiter scan", format!("{program} scan --lanes 1 --format ndjson {file}")),
        ];
        let mut costs = vec![Vec::new(); commands.len()];
        for _ in 0..ROUNDS {
            for ((_, line), costs) in commands.iter().zip(&mut costs) {
                costs.push(measure(line)?);
            }
        }
        let medians: Vec<Cost> = costs.iter_mut().map(|costs| median(costs)).collect();
        let floor = medians.first().map_or(1.0, |cost| cost.cpu_s);
        for ((name, _), cost) in commands.iter().zip(&medians) {
            println!(
                "{capture:<10} {name:<34} {:>8.2} {:>8.2} {:>9.0} {:>10.2}",
                cost.cpu_s,
                cost.wall_s,
                cost.peak_mb,
                cost.cpu_s / floor
            );
        }
    }
    Ok(())
}

fn median(costs: &mut [Cost]) -> Cost {
    costs.sort_by(|left, right| left.cpu_s.total_cmp(&right.cpu_s));
    costs.get(costs.len() / 2).copied().unwrap_or(Cost { cpu_s: 0.0, wall_s: 0.0, peak_mb: 0.0 })
}

/// Runs it under `/usr/bin/time`-like accounting of our own: /proc's figures of waited-for
/// children.
fn measure(line: &str) -> Result<Cost> {
    let before = children_cpu_s()?;
    let began = Instant::now();
    let mut words = line.split_whitespace();
    let mut child = Command::new(words.next().unwrap_or("true"))
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("starting `{line}`"))?;
    let mut peak_kb = 0_u64;
    while child.try_wait()?.is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kb = peak.and_then(|text| text.split_whitespace().next()?.parse().ok());
        peak_kb = peak_kb.max(kb.unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Ok(Cost {
        cpu_s: children_cpu_s()? - before,
        wall_s: began.elapsed().as_secs_f64(),
        peak_mb: peak_kb as f64 / 1024.0,
    })
}

/// User and system seconds of all children that were waited for (proc(5), cutime and cstime).
fn children_cpu_s() -> Result<f64> {
    const TICKS_A_SECOND: f64 = 100.0;
    let text = fs::read_to_string("/proc/self/stat")?;
    let after_name = text.rsplit_once(')').context("/proc/self/stat")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    let sum = ticks(13).zip(ticks(14)).map(|(user, system)| user + system);
    Ok(sum.context("/proc/self/stat")? / TICKS_A_SECOND)
}
