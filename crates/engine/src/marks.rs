//! Marks of development and test: what people call containers that are nobody's production.
//!
//! Whoever attacks may write them too, so that they are said, subtract little and hide nothing.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use crate::alert::{Family, LOW_DB_MIN};
use crate::baseline::tag;
use crate::evidence::Term;
use crate::ledger::{Container, OWNERS};

/// The words that are known unless the operator names others.
pub(crate) const WORDS: &[&str] =
    &["dev", "devel", "development", "test", "testing", "tests", "ci", "debug"];

/// Runtime, against: of two containers that do the same, the one that is marked so is about half
/// as likely attacked. Small, since whoever attacks may write a mark.
pub(crate) const MARK_DB: i16 = -2;

/// Where a mark stands, and which word it is.
fn mark<'w>(container: &Container, words: &'w [String]) -> Option<(&'static str, &'w str)> {
    let project = OWNERS.iter().find_map(|key| container.label(key));
    let texts = [
        ("name", Some(container.name())),
        ("project", project),
        ("image tag", Some(tag(container.image()))),
    ];
    let in_text = |(place, text): (&'static str, Option<&str>)| {
        let text = text.unwrap_or_default();
        let word = words.iter().find(|word| has_word(text, word))?;
        Some((place, word.as_str()))
    };
    let in_labels = || {
        let is_it = |word: &&String| container.labels().any(|label| is_marked(label, word));
        Some(("label", words.iter().find(is_it)?.as_str()))
    };
    texts.into_iter().find_map(in_text).or_else(in_labels)
}

/// `env=dev` and `com.example.debug=true`: a label says many things, and only a whole one counts.
fn is_marked(label: &str, word: &str) -> bool {
    let Some((key, value)) = label.split_once('=') else { return false };
    let is_set = || value.is_empty() || ["1", "true", "yes"].iter().any(|yes| same(value, yes));
    same(value, word) || (same(key.rsplit(['.', '/']).next().unwrap_or(key), word) && is_set())
}

fn same(text: &str, word: &str) -> bool {
    text.eq_ignore_ascii_case(word)
}

/// Whether a word stands in a text by itself.
fn has_word(text: &str, word: &str) -> bool {
    text.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|part| same(part, word))
}

/// What a mark is worth in a sum that is otherwise this. It makes nothing less than Low.
pub(crate) fn term(container: &Container, words: &[String], sum_db: i16) -> Option<Term> {
    let (place, word) = mark(container, words)?;
    let to_low_db = LOW_DB_MIN.saturating_sub(sum_db);
    Some(Term {
        family: Family::Runtime,
        witness: Cow::Borrowed("runtime"),
        observed: format!("marked as development or test: `{word}` in its {place}"),
        expected: Cow::Borrowed("no such mark"),
        points_db: MARK_DB.max(to_low_db).min(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stands_by_itself() {
        assert!(has_word("shop-DEV_1", "dev") && has_word("ci", "ci"));
        assert!(!has_word("device", "dev") && !has_word("pacific", "ci") && !has_word("", "dev"));
    }

    #[test]
    fn a_label_counts_as_a_whole() {
        assert!(is_marked("env=Dev", "dev") && is_marked("com.example.debug=true", "debug"));
        assert!(is_marked("test=", "test"));
        assert!(!is_marked("source=https://example.com/ci/tools", "ci"));
        assert!(!is_marked("com.example.debug=false", "debug") && !is_marked("dev", "dev"));
    }
}
