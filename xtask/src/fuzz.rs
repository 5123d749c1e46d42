//! Runs every fuzz target for some seconds, on plain stable: the coverage flags are passed by hand.

use std::fs;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::{root, run};

const TARGET: &str = "x86_64-unknown-linux-gnu";
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
    --cfg fuzzing";
/// Each target computes on one core all the time, and CI has two.
const TARGETS_AT_ONCE: usize = 2;

pub(crate) fn run(seconds: u32) -> Result<()> {
    let folder = root().join("fuzz");
    run::must_command(
        Command::new("cargo")
            .current_dir(&folder)
            .args(["build", "--quiet", "--release", "--target", TARGET, "--target-dir", "target"])
            .env("RUSTFLAGS", FLAGS),
    )
    .context("building the fuzz targets")?;
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.join("fuzz_targets"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort_unstable();
    if names.is_empty() {
        bail!("there are no fuzz targets");
    }
    for at_once in names.chunks(TARGETS_AT_ONCE) {
        let said: Vec<Result<String>> = thread::scope(|scope| {
            let mut running = Vec::new();
            for name in at_once {
                running.push(scope.spawn(move || target(name, seconds)));
            }
            let joined = running.into_iter().map(thread::ScopedJoinHandle::join);
            joined.map(|said| said.map_err(|_| anyhow!("a target's thread panicked"))?).collect()
        });
        for line in said {
            println!("{}", line?);
        }
    }
    println!("{} fuzz targets, {seconds} s each", names.len());
    Ok(())
}

/// Runs one, and says how often it was tried.
fn target(name: &str, seconds: u32) -> Result<String> {
    let folder = root().join("fuzz");
    let scratch = std::env::temp_dir().join(format!("twfuzz-{}-{name}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let corpus = folder.join("corpus").join(name);
    let dictionary = folder.join("dictionaries").join(format!("{name}.dict"));
    let mut command = Command::new(folder.join("target").join(TARGET).join("release").join(name));
    command.arg(&scratch);
    if corpus.is_dir() {
        command.arg(&corpus);
    }
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    command.args([&format!("-max_total_time={seconds}"), "-rss_limit_mb=2048", "-timeout=10"]);
    command.args(["-verbosity=0", "-print_final_stats=1", "-max_len=16384"]);
    command.arg(format!("-artifact_prefix={}/", folder.join("artifacts").display()));
    fs::create_dir_all(folder.join("artifacts"))?;
    let output = command.output().with_context(|| format!("starting fuzz target {name}"))?;
    fs::remove_dir_all(&scratch).ok();
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("fuzz target {name} failed:\n{said}");
    }
    let runs = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    Ok(format!("{name}: {} runs", runs.map_or("?", str::trim)))
}
