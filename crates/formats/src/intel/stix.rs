//! STIX 2.1 bundles: indicators with simple patterns, each a comparison or several of which any
//! will do. <https://docs.oasis-open.org/cti/stix/v2.1/stix-v2.1.html>, section 9.

use std::borrow::Cow;

use observation::Time;
use serde::Deserialize;

use super::value::{address, domain, network, url};
use super::{Entry, FeedTally, Shared, Take, Value, give};
use crate::hex::bytes32;
use crate::rfc3339;

/// Comparisons in one pattern.
const COMPARISON_COUNT_MAX: usize = 1024;

#[derive(Deserialize)]
struct Bundle<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    objects: Vec<Object<'a>>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pattern: Cow<'a, str>,
    #[serde(borrow, default)]
    pattern_type: Cow<'a, str>,
    #[serde(borrow, default)]
    valid_from: Cow<'a, str>,
    #[serde(borrow, default)]
    valid_until: Cow<'a, str>,
    #[serde(borrow, default)]
    modified: Cow<'a, str>,
    confidence: Option<u8>,
    #[serde(default)]
    revoked: bool,
}

/// `None` where it is something else.
pub(super) fn read(
    text: &[u8],
    take: &mut Take<'_>,
) -> Result<Option<FeedTally>, serde_json::Error> {
    let bundle: Bundle<'_> = serde_json::from_slice(text)?;
    if bundle.kind != "bundle" {
        return Ok(None);
    }
    let mut tally = FeedTally::default();
    for object in bundle.objects.iter().filter(|object| object.kind == "indicator") {
        let is_stix = object.pattern_type.is_empty() || object.pattern_type == "stix";
        if object.revoked || !is_stix {
            tally.unused_count += 1;
            continue;
        }
        let Some(comparisons) = comparisons(&object.pattern) else {
            tally.not_understood_count += 1;
            continue;
        };
        for (path, text) in comparisons {
            match value(&path, &text) {
                Some(value) => give(object.entry(value), &mut tally, take),
                None => tally.unused_count += 1,
            }
        }
    }
    Ok(Some(tally))
}

impl Object<'_> {
    fn entry<'v>(&self, value: Value<'v>) -> Entry<'v> {
        let seen: Option<Time> =
            [&self.valid_from, &self.modified].into_iter().find_map(|text| rfc3339::parse(text));
        let expires = rfc3339::parse(&self.valid_until);
        let confidence = self.confidence.filter(|percent| *percent <= 100);
        Entry { value, confidence, seen, expires, shared: Shared::No }
    }
}

fn value<'a>(path: &str, text: &'a str) -> Option<Value<'a>> {
    let path = path.replace(['\'', '"'], "");
    match path.as_str() {
        "ipv4-addr:value" | "ipv6-addr:value" | "network-traffic:dst_ref.value" => {
            network(text).or_else(|| address(text))
        }
        "domain-name:value" => domain(text),
        "url:value" => url(text),
        "file:hashes.SHA-256" | "file:hashes.SHA256" => bytes32(text).map(Value::Sha256),
        _ => None,
    }
}

/// The comparisons of a pattern of which any will do; `None` for any other pattern.
fn comparisons(pattern: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = pattern.trim();
    loop {
        rest = rest.trim_start().strip_prefix('[')?;
        loop {
            let (path, text, after) = comparison(rest)?;
            if found.len() >= COMPARISON_COUNT_MAX {
                return None;
            }
            found.push((path, text));
            rest = after.trim_start();
            match rest.strip_prefix("OR") {
                Some(next) => rest = next,
                None => break,
            }
        }
        rest = rest.strip_prefix(']')?.trim_start();
        if rest.is_empty() {
            return Some(found);
        }
        rest = rest.strip_prefix("OR")?;
    }
}

/// `path = 'text'`, and what follows.
fn comparison(text: &str) -> Option<(String, String, &str)> {
    let text = text.trim_start();
    let (path, rest) = text.split_at(operator(text)?);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').or_else(|| rest.strip_prefix("ISSUBSET"))?;
    let rest = rest.trim_start().strip_prefix('\'')?;
    let mut value = String::new();
    let mut letters = rest.char_indices();
    while let Some((place, letter)) = letters.next() {
        match letter {
            '\\' => value.push(letters.next()?.1),
            '\'' => return Some((path.trim().to_owned(), value, rest.get(place + 1..)?)),
            letter => value.push(letter),
        }
    }
    None
}

/// Where the operator begins: keys in quotes may hold anything.
fn operator(text: &str) -> Option<usize> {
    let mut quote = None;
    for (place, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), letter) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '=' | ' ') => return Some(place),
            (None, ']' | '[') => return None,
            (None, _) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str, value: &str) -> (String, String) {
        (path.to_owned(), value.to_owned())
    }

    #[test]
    fn a_simple_pattern_is_a_comparison_or_several_of_which_any_will_do() {
        assert_eq!(
            comparisons("[ipv4-addr:value = '198.51.100.10']"),
            Some(vec![one("ipv4-addr:value", "198.51.100.10")])
        );
        assert_eq!(
            comparisons(
                "[url:value='http://a/\\'b' OR file:hashes.'SHA-256' = 'x'] OR [a:b = 'c']"
            ),
            Some(vec![
                one("url:value", "http://a/'b"),
                one("file:hashes.'SHA-256'", "x"),
                one("a:b", "c")
            ])
        );
    }

    #[test]
    fn any_other_pattern_is_not_understood() {
        for pattern in [
            "",
            "[",
            "[a:b = 'c' AND d:e = 'f']",
            "[a:b != 'c']",
            "[a:b LIKE 'c%']",
            "[a:b = 'c'] FOLLOWEDBY [d:e = 'f']",
            "[a:b = 'c",
            "[a:b = 'c\\",
        ] {
            assert_eq!(comparisons(pattern), None, "{pattern}");
        }
    }
}
