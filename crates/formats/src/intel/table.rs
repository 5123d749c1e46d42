//! CSV as abuse.ch writes it (Feodo Tracker, URLhaus, ThreatFox): a header line, often behind `#`,
//! names the columns; every value may stand in quotes. Without a header it is a plain list.

use observation::Time;

use super::value::{Unused, of_kind};
use super::{Entry, FeedTally, Shared, Take, Value, give, list, read_value};
use crate::rfc3339;

const COLUMN_COUNT_MAX: usize = 64;

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    /// Values of one kind.
    Value(&'static str),
    /// Values of the kind that another column names.
    Listed,
    Kind,
    Port,
    Seen,
    Confidence,
    Other,
}

/// The state between lines: the header.
#[derive(Debug, Default)]
pub(super) struct Table {
    columns: Vec<Column>,
}

impl Column {
    fn named(name: &str) -> Self {
        match name {
            "dst_ip" | "ip" | "ip_address" | "ipaddress" | "src_ip" => Self::Value("ip"),
            "url" => Self::Value("url"),
            "domain" | "host" | "hostname" | "fqdn" => Self::Value("domain"),
            "sha256" | "sha256_hash" => Self::Value("sha256"),
            "ja4" => Self::Value("ja4"),
            "ioc_value" | "ioc" | "indicator" | "value" => Self::Listed,
            "ioc_type" | "type" | "indicator_type" => Self::Kind,
            "dst_port" | "port" => Self::Port,
            "first_seen_utc" | "first_seen" | "firstseen" | "dateadded" | "date_added"
            | "last_seen_utc" | "last_seen" | "last_online" | "lastseen" => Self::Seen,
            "confidence_level" | "confidence" => Self::Confidence,
            _ => Self::Other,
        }
    }

    const fn lists(&self) -> bool {
        matches!(self, Self::Value(_) | Self::Listed)
    }
}

impl Table {
    pub(super) fn line(&mut self, line: &str, tally: &mut FeedTally, take: &mut Take<'_>) {
        if line.is_empty() {
            return;
        }
        if self.columns.is_empty() && self.is_header(line) {
            return;
        }
        if self.columns.is_empty() {
            return list::line(line, tally, take);
        }
        if line.starts_with('#') {
            return;
        }
        let Some(values) = fields(line) else {
            tally.not_understood_count += 1;
            return;
        };
        self.row(&values, tally, take);
    }

    fn is_header(&mut self, line: &str) -> bool {
        let Some(names) = fields(line.trim_start_matches('#').trim()) else { return false };
        let names = names.iter().map(|name| name.trim().to_ascii_lowercase());
        let columns: Vec<Column> = names.map(|name| Column::named(&name)).collect();
        let is_header = columns.len() >= 2 && columns.iter().any(Column::lists);
        if is_header {
            self.columns = columns;
        }
        is_header
    }

    fn row(&self, values: &[String], tally: &mut FeedTally, take: &mut Take<'_>) {
        let all = || self.columns.iter().zip(values);
        let of = |wanted: &Column| {
            all().find(|(column, _)| *column == wanted).map(|(_, value)| value.trim())
        };
        let seen = all().filter(|(column, _)| **column == Column::Seen);
        let seen = seen.filter_map(|(_, value)| time(value.trim())).max();
        let confidence = of(&Column::Confidence).and_then(|value| value.parse::<u8>().ok());
        let port = of(&Column::Port).and_then(|value| value.parse::<u16>().ok());
        let port = port.filter(|port| *port > 0);
        let mut is_understood = false;
        for (column, text) in all() {
            let text = text.trim();
            let value = match column {
                Column::Value(kind) => of_kind(kind, text),
                Column::Listed => match of(&Column::Kind) {
                    Some(kind) => of_kind(&kind.to_ascii_lowercase(), text),
                    None => Ok(read_value(text)),
                },
                _ => continue,
            };
            let value = match value {
                Ok(Some(Value::Address(address, None))) => Value::Address(address, port),
                Ok(Some(value)) => value,
                Ok(None) => continue,
                Err(Unused) => {
                    tally.unused_count += 1;
                    is_understood = true;
                    continue;
                }
            };
            is_understood = true;
            give(Entry { value, confidence, seen, expires: None, shared: Shared::No }, tally, take);
        }
        tally.not_understood_count += u64::from(!is_understood);
    }
}

/// `2026-11-24 21:24:24`, also with `UTC` behind it, as RFC 3339, or a date alone.
fn time(text: &str) -> Option<Time> {
    let text = text.strip_suffix("UTC").unwrap_or(text).trim();
    let with_clock = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    rfc3339::parse(&with_clock).or_else(|| rfc3339::parse(&format!("{with_clock}Z")))
}

/// The values of one line: RFC 4180, with spaces behind commas as ThreatFox has them.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    let mut rest = line.trim();
    loop {
        if all.len() >= COLUMN_COUNT_MAX {
            return None;
        }
        rest = rest.trim_start();
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_value(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (value, after) = rest.split_at(end);
                (value.trim_end().to_owned(), after)
            }
        };
        all.push(value);
        match after.trim_start().strip_prefix(',') {
            Some(next) => rest = next,
            None if after.trim().is_empty() => return Some(all),
            None => return None,
        }
    }
}

/// A value up to its closing quote, and what follows.
fn quoted_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"')?;
        value.push_str(part);
        match after.strip_prefix('"') {
            Some(next) => {
                value.push('"');
                rest = next;
            }
            None => return Some((value, after)),
        }
    }
}
