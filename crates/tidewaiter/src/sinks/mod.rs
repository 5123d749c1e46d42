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
use observation::{ContainerId, Span, Time};

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
    /// What a person has already seen of the alerts shown last.
    seen: BTreeMap<AlertId, Seen>,
    out: Box<dyn Write>,
}

/// Of so many alerts a sink remembers what it showed; of older ones it shows the whole table again.
const SEEN_COUNT_MAX: usize = 4096;
/// A person is told at most this often that an incident goes on as before.
const GOES_ON_EVERY: Span = Span::from_secs(60);

/// What a person saw of an alert when it was shown last.
struct Seen {
    level: Level,
    strategy: String,
    subject_count: u32,
    /// The first container, where it was known.
    container: Option<ContainerId>,
    last_seen: Time,
}

/// How much of a revised alert a person wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Whole,
    Line,
    Nothing,
}

impl Seen {
    fn of(alert: &Alert) -> Self {
        let container = alert.subjects.first().and_then(|subject| subject.container.as_ref());
        Self {
            container: container.map(|container| container.id),
            level: alert.level,
            strategy: alert.strategy.to_string(),
            subject_count: alert.subject_count,
            last_seen: alert.last_seen,
        }
    }

    /// How much a person who has seen `self` is to be shown of `now`.
    fn still_to_show(&self, now: &Self) -> Shown {
        if self.level != now.level || self.strategy != now.strategy {
            return Shown::Whole;
        }
        let goes_on = now.last_seen.since(self.last_seen) >= GOES_ON_EVERY;
        let concerns_others =
            self.subject_count != now.subject_count || self.container != now.container;
        if goes_on || concerns_others { Shown::Line } else { Shown::Nothing }
    }
}

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

    /// The whole table when there is something new to read in it; a line when it concerns more
    /// subjects or goes on for long.
    fn table(&mut self, alert: &Alert, occasion: Occasion) -> String {
        let now = Seen::of(alert);
        let shown = match self.seen.get(&alert.id) {
            Some(before) if occasion == Occasion::Revised => before.still_to_show(&now),
            _ => Shown::Whole,
        };
        let text = match shown {
            Shown::Whole => alert_table(alert, occasion, &self.commands) + "\n",
            Shown::Line => revision_line(alert),
            Shown::Nothing => return String::new(),
        };
        if self.seen.len() >= SEEN_COUNT_MAX {
            self.seen.pop_first();
        }
        self.seen.insert(alert.id, now);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(level: Level, subject_count: u32, at_secs: u64) -> Seen {
        let last_seen = Time(0) + Span::from_secs(at_secs);
        let strategy = "beacon".to_owned();
        Seen { level, strategy, subject_count, container: None, last_seen }
    }

    #[test]
    fn a_person_is_told_once_a_minute_that_it_goes_on() {
        let first = seen(Level::Medium, 1, 100);
        assert_eq!(first.still_to_show(&seen(Level::Medium, 1, 159)), Shown::Nothing);
        assert_eq!(first.still_to_show(&seen(Level::Medium, 1, 160)), Shown::Line);
    }

    #[test]
    fn another_level_and_another_container_are_told_at_once() {
        let first = seen(Level::Medium, 1, 100);
        assert_eq!(first.still_to_show(&seen(Level::High, 1, 100)), Shown::Whole);
        assert_eq!(first.still_to_show(&seen(Level::Medium, 2, 101)), Shown::Line);
        let named = Seen { container: Some(ContainerId([7; 32])), ..seen(Level::Medium, 1, 101) };
        assert_eq!(first.still_to_show(&named), Shown::Line);
        let other = Seen { strategy: "telnet_c2".to_owned(), ..seen(Level::Medium, 1, 101) };
        assert_eq!(first.still_to_show(&other), Shown::Whole);
    }
}
