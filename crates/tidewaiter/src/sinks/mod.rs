//! Where alerts are shown: a table for people, OCSF lines for other systems, plain JSON.

mod attack;
mod conn;
mod escape;
mod json;
mod next;
mod ocsf;
#[cfg(test)]
pub(crate) mod sample;
mod table;
mod why;
mod words;

use std::collections::BTreeMap;
use std::io::{self, Write};

use engine::{Alert, AlertId, Level};

pub(crate) use attack::{sub_techniques, technique_name};
pub(crate) use conn::{write_conn, write_row};
pub(crate) use escape::{defanged, defanged_address, escaped, escaped_whole};
pub(crate) use json::ascii;
pub(crate) use next::Commands;
pub(crate) use table::alert_table;
use table::revision_line;
pub(crate) use words::{
    conn_state as conn_state_name, family as family_name, hex as hexadecimal,
    transport as transport_name,
};

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
    /// What a person has already seen of the alerts shown last: level and strategy.
    seen: BTreeMap<AlertId, (Level, String)>,
    out: Box<dyn Write>,
}

/// Of so many alerts a sink remembers what it showed; of older ones it shows the whole table again.
const SEEN_COUNT_MAX: usize = 4096;

impl Sink {
    /// A sink on standard output that shows alerts from `level_min` on.
    pub(crate) fn stdout(format: Format, level_min: Level, commands: Commands) -> Self {
        let out = Box::new(io::BufWriter::new(io::stdout()));
        Self { format, level_min, commands, seen: BTreeMap::new(), out }
    }

    /// Tells of an alert, unless a suppression hides it and the reader is a person: programs are
    /// told, and that it is suppressed.
    pub(crate) fn tell(
        &mut self,
        alert: &Alert,
        occasion: Occasion,
        suppressed_by: Option<&str>,
    ) -> io::Result<()> {
        match (self.format, suppressed_by) {
            (Format::Table, Some(_)) => Ok(()),
            _ => self.show(alert, occasion, suppressed_by),
        }
    }

    /// Shows one alert, completely and at once; `suppressed_by` is the id of what hides it.
    pub(crate) fn show(
        &mut self,
        alert: &Alert,
        occasion: Occasion,
        suppressed_by: Option<&str>,
    ) -> io::Result<()> {
        if alert.level < self.level_min {
            return Ok(());
        }
        let text = match self.format {
            Format::Table => self.table(alert, occasion),
            Format::Ndjson => {
                json::ascii(&ocsf::detection_finding(alert, occasion, suppressed_by)) + "\n"
            }
            Format::Json => json::ascii(&json::object(alert, suppressed_by)) + "\n",
        };
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// The whole table when there is something new to read in it, else one line.
    fn table(&mut self, alert: &Alert, occasion: Occasion) -> String {
        let now = (alert.level, alert.strategy.to_string());
        if self.seen.len() >= SEEN_COUNT_MAX {
            self.seen.pop_first();
        }
        let before = self.seen.insert(alert.id, now.clone());
        if occasion == Occasion::Revised && before.is_some_and(|before| before == now) {
            return revision_line(alert);
        }
        alert_table(alert, occasion, &self.commands) + "\n"
    }
}
