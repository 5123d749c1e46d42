//! `validate`: whether a documented detection really detects.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use super::Outcome;
use crate::validate::{
    DOCUMENT_BYTES_MAX, Danger, Documented, Patience, Pull, Report, read_command, read_document,
    run as run_commands, stop_on_signals,
};

/// Run an ADS document's own validation commands and say whether an alert came.
///
/// Without --run it only shows the commands that the Validation section gives, and what would be
/// done with each. With --run each `docker run` or `podman run` is started, never through a shell,
/// in a network without a way out. A resolver there answers the names of the commands, and a far
/// end on their ports gives harmless commands. All of it is removed at the end, also after Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidewaiter validate ads.md                  what would be run
  sudo tidewaiter validate ads.md --run       0: every command alerted at Medium or above; 3: not
  sudo tidewaiter validate ads.md --run --format json")]
pub(crate) struct Arguments {
    /// The document, in Markdown.
    document: PathBuf,
    /// Run the commands.
    #[arg(long)]
    run: bool,
    /// Let a missing image be pulled.
    #[arg(long, requires = "run")]
    pull: bool,
    /// Let options stay that reach out of the container (--privileged, mounts, the host's network).
    #[arg(long)]
    allow_dangerous: bool,
    /// End a command after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = seconds())]
    run_for: u16,
    /// Wait for its alert for so many seconds more.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = seconds())]
    wait: u16,
    #[arg(long, default_value = "table")]
    format: ReportFormat,
}

fn seconds() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=3600)
}

/// How the report is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ReportFormat {
    /// For people.
    Table,
    /// One JSON object.
    Json,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let text = read_text(&arguments.document)?;
    let found = read_document(&text);
    if found.headings.is_empty() {
        bail!("{} has no Validation section", arguments.document.display());
    }
    let danger = if arguments.allow_dangerous { Danger::Allowed } else { Danger::Refused };
    let documented: Vec<Documented> =
        found.snippets.iter().cloned().map(|snippet| read_command(snippet, danger)).collect();
    let path = arguments.document.display().to_string();
    let ran = match arguments.run {
        false => None,
        true => {
            let seconds = |count: u16| Duration::from_secs(count.into());
            let patience =
                Patience { run: seconds(arguments.run_for), alert: seconds(arguments.wait) };
            let pull = if arguments.pull { Pull::WhenMissing } else { Pull::Never };
            Some(run_commands(&documented, patience, pull, &*stop_on_signals()?)?)
        }
    };
    let report =
        Report { path: &path, found: &found, documented: &documented, ran: ran.as_deref() };
    match arguments.format {
        ReportFormat::Table => println!("{}", report.table()),
        ReportFormat::Json => println!("{}", report.json()),
    }
    let all_passed = report.passed_count() == documented.len() && !documented.is_empty();
    Ok(if !arguments.run || all_passed { Outcome::Done } else { Outcome::Found })
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut bytes = Vec::new();
    file.take(DOCUMENT_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("reading {}", path.display()))?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        bail!("{} is larger than {DOCUMENT_BYTES_MAX} bytes", path.display());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
