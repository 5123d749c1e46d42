//! What developers and CI run: `cargo xtask help`.
//!
//! *Architecture invariant:* nothing here is linked into the program; it drives the built binary as
//! a user would.

mod bench;
mod calibrate;
mod emulate;
mod fuzz;
mod lab;
mod run;
mod test;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tests, tidiness, the live lab, emulation, recordings and benches of Tidewaiter.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs every check and test. With CI=true or --live, the live ones too (root, Docker).
    Test {
        /// Installs and starts what the live tests need, and runs them.
        #[arg(long)]
        live: bool,
    },
    /// Checks what no compiler checks: allow lists, file sizes, documents.
    Tidy,
    /// Runs the attacks and their innocent twins in real containers, and compares the verdicts.
    Emulate(emulate::Arguments),
    /// Keeps the lab up until Ctrl-C, to try attacks by hand.
    Lab,
    /// Runs each fuzz target for some seconds.
    Fuzz {
        /// Seconds for each target.
        #[arg(long, default_value_t = 5)]
        seconds: u32,
    },
    /// Measures the program beside its peers in one run.
    Bench {
        #[command(subcommand)]
        what: bench::What,
    },
    /// Prints, for every constant in decibans, on how many attacks and innocents of the corpora its
    /// term stood: our fixtures, a simulated day, and the folders that are given.
    Calibrate(calibrate::Arguments),
    /// Internal: plays the far end of one emulation case (started inside a network namespace).
    #[command(hide = true)]
    FarEnd {
        /// The script, as JSON.
        script: String,
    },
    /// Internal: the far end of `bench live`.
    #[command(hide = true)]
    LoadSink,
    /// Internal: what `bench live` runs in a container.
    #[command(hide = true)]
    Load {
        /// The far end's address.
        far: String,
        /// What it does.
        load: bench::live::Load,
        /// For how long.
        seconds: u64,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Test { live } => test::run(if live { test::Mode::Live } else { test::Mode::FromEnv }),
        Task::Tidy => tidy::run(),
        Task::Emulate(arguments) => emulate::run(&arguments),
        Task::Lab => lab::keep_up(),
        Task::Fuzz { seconds } => fuzz::run(seconds),
        Task::Bench { what } => bench::run(&what),
        Task::Calibrate(arguments) => calibrate::run(&arguments),
        Task::FarEnd { script } => lab::far_end::play(&script),
        Task::LoadSink => bench::live::sink(),
        Task::Load { far, load, seconds } => bench::live::load(&far, load, seconds),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's root.
fn root() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}

/// The release build of the program.
fn program() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target.map_or_else(|| root().join("target"), PathBuf::from).join("release/tidewaiter")
}
