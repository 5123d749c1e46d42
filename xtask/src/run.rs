//! Runs other programs, and says which one failed and how.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

/// Splits a plain command line into a [`Command`]; no shell is involved.
pub(crate) fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("true"));
    command.args(words);
    command
}

/// Runs it to its end, output going to ours.
pub(crate) fn must(line: &str) -> Result<()> {
    must_command(&mut command(line))
}

/// The same for a prepared command.
pub(crate) fn must_command(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command.status().with_context(|| format!("starting `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// Runs it and gives its standard output; standard error is shown only when it fails.
pub(crate) fn output(line: &str) -> Result<String> {
    output_of(&mut command(line))
}

/// The same for a prepared command.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("starting `{shown}`"))?;
    if !output.status.success() {
        bail!(
            "`{shown}` ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether it runs and succeeds; its output is thrown away.
pub(crate) fn succeeds(line: &str) -> bool {
    command(line)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs one step of a test run with a headline and its time.
pub(crate) fn step(name: &str, body: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("\n── {name}");
    // The tests' own output must not overtake the headline.
    std::io::stdout().flush().ok();
    let began = Instant::now();
    body().with_context(|| name.to_owned())?;
    println!("── {name}: ok, {:.1} s", began.elapsed().as_secs_f32());
    Ok(())
}

fn show(command: &Command) -> String {
    let mut shown = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        shown.push(' ');
        shown.push_str(&argument.to_string_lossy());
    }
    shown
}
