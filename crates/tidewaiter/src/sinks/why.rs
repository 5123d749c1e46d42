//! The part of an alert that says why: every term for and against, the sum, the witnesses.

use std::fmt::{self, Write};

use engine::{Alert, Counted, Evidence, Family, Level};

use super::escape::escaped;
use super::words;

/// Widths of the columns; longer texts go on in the next line.
const OBSERVED_CHARS: usize = 44;
const EXPECTED_CHARS: usize = 24;

/// The table of terms and what stands below it.
pub(super) fn write_why(out: &mut String, alert: &Alert) -> fmt::Result {
    let (expected, observed) = (EXPECTED_CHARS, OBSERVED_CHARS);
    let label = "WHY";
    writeln!(out, "{label:<28} {:<observed$}  {:<expected$}   dB", "OBSERVED", "EXPECTED")?;
    let speaks_against = |term: &&Evidence| term.family != Family::Prior && term.points_db < 0;
    for term in alert.evidence.iter().filter(|term| !speaks_against(term)) {
        write_term(out, term)?;
    }
    writeln!(out, "AGAINST")?;
    let against: Vec<_> = alert.evidence.iter().filter(speaks_against).collect();
    for term in &against {
        write_term(out, term)?;
    }
    if against.is_empty() {
        writeln!(out, "  nothing")?;
    }
    let sum_width = 28 + 1 + observed + 2 + expected;
    writeln!(
        out,
        "{:<sum_width$} {:>+4}",
        format!("SUM  {}", thresholds(alert.level)),
        alert.sum_db
    )?;
    write_witnesses(out, alert)
}

fn write_term(out: &mut String, term: &Evidence) -> fmt::Result {
    let witness = match term.witness.as_ref() {
        "" => String::new(),
        witness => format!("[{}]", escaped(witness)),
    };
    let points = match term.counts {
        Counted::InSum => format!("{:>+4}", term.points_db),
        // A stronger term of the same family stands for it.
        Counted::Outweighed => format!("({:+})", term.points_db),
    };
    let observed = wrapped(&escaped(&term.observed), OBSERVED_CHARS);
    // The engine writes a dash where nothing is expected.
    let expected = wrapped(&escaped(&term.expected.replace('–', "-")), EXPECTED_CHARS);
    for index in 0..observed.len().max(expected.len()) {
        let cell = |lines: &[String]| lines.get(index).cloned().unwrap_or_default();
        let (label, points) = if index == 0 {
            (format!("  {:<12} {witness:<13}", words::family(term.family)), points.as_str())
        } else {
            (String::new(), "")
        };
        let (observed, expected) = (cell(&observed), cell(&expected));
        let line = format!(
            "{label:<28} {observed:<OBSERVED_CHARS$}  {expected:<EXPECTED_CHARS$} {points}"
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn write_witnesses(out: &mut String, alert: &Alert) -> fmt::Result {
    let witnesses: Vec<_> = alert.witnesses.iter().map(|kind| words::source_kind(*kind)).collect();
    writeln!(out, "WITNESSES  {}", or_none(&witnesses.join(", ")))?;
    let blind: Vec<_> = alert
        .blind
        .iter()
        .map(|blind| format!("{} ({})", words::source_kind(blind.kind), escaped(&blind.why)))
        .collect();
    writeln!(out, "BLIND      {}", or_none(&blind.join(", ")))?;
    writeln!(out, "LOST       {} packets and records while it happened", alert.lost_count)?;
    let low_if: Vec<_> = alert.low_if.iter().map(|reason| escaped(reason)).collect();
    if low_if.is_empty() { Ok(()) } else { writeln!(out, "LOW IF     {}", low_if.join(", or ")) }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

/// `High from +13, Critical from +25`.
fn thresholds(level: Level) -> String {
    let above = match level {
        Level::Info => Some(Level::Low),
        Level::Low => Some(Level::Medium),
        Level::Medium => Some(Level::High),
        Level::High => Some(Level::Critical),
        Level::Critical => None,
    };
    let own = match level {
        Level::Info => "Info below".to_owned(),
        _ => format!("{} from {:+}", level.name(), sum_min(level)),
    };
    above.map_or_else(
        || own.clone(),
        |above| format!("{own}, {} from {:+}", above.name(), sum_min(above)),
    )
}

/// The least sum that has this level: asked of the engine, so that the two cannot disagree.
fn sum_min(level: Level) -> i16 {
    (-100..=100).find(|sum_db| Level::of(*sum_db) >= level).unwrap_or(i16::MAX)
}

/// Breaks a text at spaces into lines of at most `width` characters, and longer words anywhere.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut rest: String = word.to_owned();
        while let Some(line) = lines.last_mut() {
            let free = width.saturating_sub(line.len() + usize::from(!line.is_empty()));
            if rest.len() <= free {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(&rest);
                break;
            }
            if line.is_empty() {
                // The text is escaped, so it is ASCII and every index is a boundary.
                let tail = rest.split_off(width.min(rest.len()));
                line.push_str(&rest);
                rest = tail;
            }
            lines.push(String::new());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::sample::alert_named;
    use super::*;

    fn why(observed: &str) -> String {
        let mut out = String::new();
        write_why(&mut out, &alert_named(observed)).unwrap();
        out
    }

    #[test]
    fn terms_against_stand_apart_and_the_sum_says_its_thresholds() {
        let why = why("ad-hoc container");
        let (first, second) = why.split_once("AGAINST").unwrap();
        assert!(first.contains("text, far end commands"), "{why}");
        assert!(first.contains("(+9)"), "{why}");
        assert!(second.contains("nothing was sent back"), "{why}");
        assert!(second.contains("SUM  High from +13, Critical from +25"), "{why}");
    }

    #[test]
    fn a_long_word_is_broken_and_nothing_is_hidden() {
        assert_eq!(wrapped("ab cdefgh i", 4), ["ab", "cdef", "gh i"]);
        assert_eq!(wrapped("", 4), [""]);
        let lines = wrapped(&"x".repeat(100), OBSERVED_CHARS);
        assert_eq!(lines.concat().len(), 100);
    }
}
