//! An alert for people.

use std::fmt::Write;

use engine::{Alert, Level};

use super::escape::escaped;
use super::next::{next_commands, short_id};
use super::{Commands, Occasion};

/// The level in capitals.
pub(crate) fn level_name(level: Level) -> String {
    level.name().to_ascii_uppercase()
}

/// The whole alert.
pub(crate) fn alert_table(alert: &Alert, occasion: Occasion, commands: &Commands) -> String {
    let occasion = match occasion {
        Occasion::Opened => "new",
        Occasion::Revised => "revised",
        Occasion::Closed => "closed",
    };
    let mut out = String::new();
    let (level, strategy, id) = (level_name(alert.level), &alert.strategy, short_id(alert));
    let _ = writeln!(out, "{level}  {strategy}  {id}  {}  {occasion}", alert.techniques.join(" "));
    let _ = writeln!(out, "{}", escaped(&alert.summary));
    for (number, step) in (1..).zip(next_commands(alert, commands)) {
        let label = if number == 1 { "NEXT" } else { "" };
        let _ = writeln!(out, "{label:<4}  {number}  {}  {}", step.command_line(), step.why);
    }
    out
}
