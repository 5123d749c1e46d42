//! `cargo xtask test`: every check and test, in the order in which a failure is cheapest.

use std::env;

use anyhow::Result;

use crate::emulate::{self, Arguments};
use crate::lab::Lab;
use crate::{fuzz, run, tidy};

const FUZZ_SECONDS: u32 = 4;
const ATTRIBUTION_RUNS: u32 = 100;
/// Ten minutes outside CI: `cargo xtask emulate --ordinary 600`.
const ORDINARY_SECONDS: u64 = 180;

/// Which tests are run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The live ones too; what they need is installed.
    Live,
    /// As the environment says: live where `CI` is `true`.
    FromEnv,
}

pub(crate) fn run(mode: Mode) -> Result<()> {
    let live = mode == Mode::Live || env::var("CI").is_ok_and(|value| value == "true");
    run::step("formatting", || run::must("cargo fmt --all --check"))?;
    run::step("tidiness", tidy::run)?;
    run::step("lints", || {
        run::must("cargo clippy --quiet --workspace --all-targets -- -D warnings")
    })?;
    run::step("tests", tests)?;
    if !live {
        println!(
            "\nLEFT OUT: the live tests (emulation table, attribution, Podman, ordinary traffic, response, \
             validation), cargo deny and the fuzz targets.\n\
             They need root and install Debian packages: `cargo xtask test --live`."
        );
        return Ok(());
    }
    run::step("licences, bans and sources", deny)?;
    run::step("fuzz targets", || fuzz::run(FUZZ_SECONDS))?;
    run::step("release build", || run::must("cargo build --quiet --release --package tidewaiter"))?;
    let lab = Lab::up()?;
    run::step("emulation", || emulate::run_in(&lab, &Arguments::tables()))?;
    run::step("attribution", || emulate::run_in(&lab, &Arguments::attribution(ATTRIBUTION_RUNS)))?;
    run::step("podman", || emulate::run_in(&lab, &Arguments::podman()))?;
    run::step("the runtime's restart", || emulate::run_in(&lab, &Arguments::restart()))?;
    run::step("ordinary traffic", || {
        emulate::run_in(&lab, &Arguments::ordinary(ORDINARY_SECONDS))
    })?;
    run::step("live tests", || live_tests(&lab))
}

/// Everything that needs no lab. What does need one skips itself here and is run again below, where
/// a missing prerequisite is a failure.
fn tests() -> Result<()> {
    let mut command = run::command("cargo test --quiet --workspace");
    command.env_remove("CI").env_remove("TIDEWAITER_LIVE");
    run::must_command(&mut command)
}

/// The tests of `crates/tidewaiter/tests/live_*.rs` and of `sys`, which skip themselves elsewhere.
fn live_tests(lab: &Lab) -> Result<()> {
    let mut command =
        run::command("cargo test --quiet --package tidewaiter --package sys -- --test-threads 1");
    command.env("CI", "true").env("TIDEWAITER_LIVE", "1").env("DOCKER_HOST", &lab.engine.host);
    run::must_command(&mut command)
}

fn deny() -> Result<()> {
    if !run::succeeds("cargo deny --version") {
        // It runs for two seconds: optimising it would take minutes.
        let mut install = run::command("cargo install --quiet --locked cargo-deny");
        install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0").env("CARGO_PROFILE_RELEASE_LTO", "off");
        run::must_command(&mut install)?;
    }
    run::must("cargo deny --workspace check bans licenses sources")
}
