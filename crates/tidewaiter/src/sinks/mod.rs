//! Where alerts are shown: a table for people, OCSF lines for other systems, plain JSON.

mod escape;
mod json;
mod next;
mod ocsf;
mod table;

use std::io::{self, Write};

use engine::{Alert, Level};

pub(crate) use escape::{
    defanged, defanged_address, escaped, escaped_bytes, escaped_whole, shell_word,
};
pub(crate) use next::{Commands, next_commands};
pub(crate) use table::{alert_table, level_name};

/// How alerts are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people, with the reasons and the next steps.
    Table,
    /// One OCSF Detection Finding (1.8, class 2004) a line.
    Ndjson,
    /// One JSON object a line: the alert itself.
    Json,
}

/// Why an alert is shown now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// It is new.
    Opened,
    /// More is known.
    Revised,
    /// It was closed.
    Closed,
}

/// Shows alerts on a stream.
pub(crate) struct Sink {
    format: Format,
    level_min: Level,
    commands: Commands,
    out: Box<dyn Write>,
}

impl Sink {
    /// A sink on standard output that shows alerts from `level_min` on.
    pub(crate) fn stdout(format: Format, level_min: Level, commands: Commands) -> Self {
        let out = Box::new(io::BufWriter::new(io::stdout()));
        Self { format, level_min, commands, out }
    }

    /// Shows one alert, completely and at once.
    pub(crate) fn show(&mut self, alert: &Alert, occasion: Occasion) -> io::Result<()> {
        if alert.level < self.level_min {
            return Ok(());
        }
        match self.format {
            Format::Table => {
                writeln!(self.out, "{}", alert_table(alert, occasion, &self.commands))?;
            }
            Format::Ndjson => writeln!(self.out, "{}", ocsf::detection_finding(alert, occasion))?,
            Format::Json => writeln!(self.out, "{}", json::object(alert))?,
        }
        self.out.flush()
    }
}
