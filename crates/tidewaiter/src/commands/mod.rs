//! The command line: one file for each command, each with its arguments and its `run`.

mod ads;
mod alerts;
mod baseline;
mod completions;
mod coverage;
mod demo;
mod doctor;
mod evidence;
mod explain;
mod flows;
mod respond;
mod rules;
mod scan;
mod suppress;
mod validate;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// How a command ended, when it did not fail. (A failure is an error and exits with 1, a usage
/// error with 2.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did what was asked: 0.
    Done,
    /// It found something at or above `--fail-on`: 3. This says more than `Damaged`.
    Found,
    /// It finished, but input was damaged or lost: 4.
    Damaged,
    /// What it was asked to check did not pass; it has said why: 1.
    Refused,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Found => Self::from(3),
            Outcome::Damaged => Self::from(4),
            Outcome::Refused => Self::FAILURE,
        }
    }
}

/// Finds command-and-control that hides in the application-layer traffic of containers (MITRE
/// ATT&CK T1071), says why it believes so, and helps to respond.
#[derive(Debug, Parser)]
#[command(name = "tidewaiter", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "\
Exit codes:
  0  done
  1  failed; the message says what to do
  2  the command line was wrong
  3  an alert at or above --fail-on
  4  finished, but some input was damaged or lost (the last line counts it)

Start here:
  tidewaiter demo                        the attack and its innocent twin, replayed
  sudo tidewaiter watch                  watch this host's containers
  tidewaiter scan capture.pcapng         judge a capture, logs, or a folder of both
  tidewaiter doctor                      what can be seen here, and what is missing")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Watch(watch::Arguments),
    Scan(scan::Arguments),
    Demo(demo::Arguments),
    Flows(flows::Arguments),
    Alerts(alerts::Arguments),
    Suppress(suppress::Arguments),
    Baseline(baseline::Arguments),
    Explain(explain::Arguments),
    Respond(respond::Arguments),
    Evidence(evidence::Arguments),
    Rules(rules::Arguments),
    Coverage(coverage::Arguments),
    Ads(ads::Arguments),
    Validate(validate::Arguments),
    Doctor(doctor::Arguments),
    Completions(completions::Arguments),
}

/// Runs the chosen command.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    match &arguments.command {
        Command::Watch(arguments) => watch::run(arguments),
        Command::Scan(arguments) => scan::run(arguments),
        Command::Demo(arguments) => demo::run(arguments),
        Command::Flows(arguments) => flows::run(arguments),
        Command::Alerts(arguments) => alerts::run(arguments),
        Command::Suppress(arguments) => suppress::run(arguments),
        Command::Baseline(arguments) => baseline::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Respond(arguments) => respond::run(arguments),
        Command::Rules(arguments) => rules::run(arguments),
        Command::Evidence(arguments) => evidence::run(arguments),
        Command::Coverage(arguments) => coverage::run(arguments),
        Command::Ads(arguments) => ads::run(arguments),
        Command::Validate(arguments) => validate::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
        Command::Completions(arguments) => completions::run(arguments),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
