//! `completions`: what a shell needs to complete our command line.

use std::io::{self, Write};

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use super::Outcome;

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidewaiter completions bash > /etc/bash_completion.d/tidewaiter
  tidewaiter completions zsh > \"${fpath[1]}/_tidewaiter\"")]
pub(crate) struct Arguments {
    /// The shell.
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    let mut command = super::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "tidewaiter", &mut script);
    io::stdout().write_all(&script).context("writing to standard output")?;
    Ok(Outcome::Done)
}
