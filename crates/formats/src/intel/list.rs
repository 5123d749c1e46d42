//! Plain lists: one indicator a line, comments behind `#`, `;` or `//`; a hosts file is one too.

use super::{Entry, FeedTally, Shared, Take, give, read_value};

/// Takes one line of a list in.
pub(super) fn line(line: &str, tally: &mut FeedTally, take: &mut Take<'_>) {
    let text = without_comment(line);
    if text.is_empty() {
        return;
    }
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    // `0.0.0.0 evil.example`: a hosts file that leads names nowhere.
    let listed = match (first, words.next()) {
        ("0.0.0.0" | "127.0.0.1" | "::" | "::1", Some(name)) => name,
        _ => first,
    };
    match read_value(listed.trim_matches(['"', '\'', ','])) {
        Some(value) => {
            let shared = Shared::No;
            let entry = Entry { value, confidence: None, seen: None, expires: None, shared };
            give(entry, tally, take);
        }
        None => tally.not_understood_count += 1,
    }
}

/// A `#` inside a URL is none.
fn without_comment(line: &str) -> &str {
    if line.starts_with(['#', ';', '!']) || line.starts_with("//") {
        return "";
    }
    let end = ["\t#", " #", " ;", "\t;", " //"].iter().filter_map(|mark| line.find(mark)).min();
    line.get(..end.unwrap_or(line.len())).unwrap_or_default().trim()
}
