//! The constants in decibans, read from the engine's sources.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::TermKey;
use crate::root;

/// `const NAME_DB: i16 = POINTS;`, wherever it stands in the engine.
pub(super) struct Constant {
    /// The strategy, else the file.
    pub(super) home: String,
    pub(super) name: String,
    pub(super) points_db: i64,
    terms: Terms,
}

/// Which terms it may stand behind.
#[derive(Clone)]
enum Terms {
    /// Those of these strategies.
    Of(Vec<String>),
    /// Those of this family that are no strategy's.
    OfNobody(&'static str),
    /// None by itself: a threshold, or a price within a test.
    None,
}

/// Files whose terms are no strategy's, and what their family is.
const OF_NOBODY: [(&str, &str); 3] =
    [("baseline/mod.rs", "destination"), ("evidence.rs", "prior"), ("marks.rs", "runtime")];
/// What is written as a number and subtracted.
const SUBTRACTED: [&str; 1] = ["LEARNED_DB_MAX"];

impl Constant {
    /// Whether a term of this strategy with these points may be this constant's. One that is a
    /// bound stands behind all terms up to it of the rhythm's family, which are computed.
    pub(super) fn may_be(&self, (strategy, family, points_db): &TermKey) -> bool {
        let within = points_db.signum() == self.points_db.signum()
            && points_db.abs() <= self.points_db.abs();
        match &self.terms {
            Terms::None => false,
            Terms::OfNobody(of) => strategy.is_empty() && family == of && within,
            Terms::Of(strategies) if !strategies.contains(strategy) => false,
            Terms::Of(_) if self.is_bound() => family == "rhythm" && within,
            Terms::Of(_) => {
                *points_db == self.points_db && family != "rhythm"
                    || self.is_rhythm(family, *points_db)
            }
        }
    }

    /// Whether it weighs nothing by itself.
    pub(super) fn is_threshold(&self) -> bool {
        matches!(self.terms, Terms::None)
    }

    fn is_bound(&self) -> bool {
        self.name.ends_with("_MAX") || self.name.ends_with("_MIN")
    }

    fn is_rhythm(&self, family: &str, points_db: i64) -> bool {
        family == "rhythm" && self.name.starts_with("STREAM") && points_db == self.points_db
    }
}

/// All of them: those of the strategies, of what strategies share, and of the rest of the engine.
pub(super) fn constants() -> Result<Vec<Constant>> {
    let engine = root().join("crates/engine/src");
    let mut files = Vec::new();
    sources(&engine, &mut files)?;
    let read = |path: &Path| fs::read_to_string(path).with_context(|| path.display().to_string());
    let texts: Vec<(String, String)> = files
        .iter()
        .map(|path| {
            let name = path.strip_prefix(&engine).unwrap_or(path).to_string_lossy().into_owned();
            Ok((name, read(path)?))
        })
        .collect::<Result<_>>()?;
    let (mut own, mut shared, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for (file, text) in &texts {
        let (home, terms) = whose(file, &texts);
        let all = match (&terms, file.starts_with("strategies/")) {
            (Terms::Of(strategies), true) if strategies.len() == 1 => &mut own,
            (_, true) => &mut shared,
            (_, false) => &mut rest,
        };
        all.extend(text.lines().filter_map(|line| constant(&home, &terms, line)));
    }
    own.extend(shared);
    own.extend(rest);
    Ok(own)
}

/// Every source below a folder, in the order of its path.
fn sources(folder: &Path, all: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            sources(&path, all)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            all.push(path);
        }
    }
    Ok(())
}

/// Where constants of this file belong, and what terms they stand behind.
fn whose(file: &str, texts: &[(String, String)]) -> (String, Terms) {
    let Some(place) = file.strip_prefix("strategies/") else {
        let family = OF_NOBODY.iter().find(|(known, _)| *known == file);
        let terms = family.map_or(Terms::None, |(_, family)| Terms::OfNobody(family));
        return (file.to_owned(), terms);
    };
    if let Some((strategy, _)) = place.split_once('/') {
        return (strategy.to_owned(), Terms::Of(vec![strategy.to_owned()]));
    }
    let module = place.trim_end_matches(".rs");
    let uses = |text: &str| {
        [format!("{module}::"), format!("{module},"), format!("{module}}}")]
            .iter()
            .any(|word| text.contains(word.as_str()))
    };
    let users = texts.iter().filter_map(|(file, text)| {
        let (strategy, _) = file.strip_prefix("strategies/")?.split_once('/')?;
        uses(text).then(|| strategy.to_owned())
    });
    (module.to_owned(), Terms::Of(users.collect()))
}

fn constant(home: &str, terms: &Terms, line: &str) -> Option<Constant> {
    let (name, value) = declared(line)?;
    let points_db: f64 = value.strip_suffix(';')?.replace('_', "").parse().ok()?;
    let sign = if SUBTRACTED.contains(&name) { -1 } else { 1 };
    // Prices within a test are floats, and whole numbers all the same.
    let points_db = sign * points_db as i64;
    // A threshold on sums stands beside the prior.
    let terms = match terms {
        Terms::OfNobody("prior") if name != "PRIOR_DB" => Terms::None,
        terms => terms.clone(),
    };
    Some(Constant { home: home.to_owned(), name: name.to_owned(), points_db, terms })
}

/// The name and the value of a constant in decibans.
fn declared(line: &str) -> Option<(&str, &str)> {
    let (_, declared) = line.split_once("const ")?;
    let (name, rest) = declared.split_once(": ")?;
    let (_, value) = rest.split_once(" = ")?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let is_db = name.ends_with("_DB") || name.contains("_DB_");
    (is_name && is_db).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A constant whose value is not a number, or that `constant` does not see, would be missing
    /// from what `calibrate` prints.
    #[test]
    fn every_constant_in_decibans_is_listed() {
        let mut files = Vec::new();
        sources(&root().join("crates/engine/src"), &mut files).unwrap();
        let texts: Vec<String> =
            files.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        let in_sources: Vec<&str> = texts
            .iter()
            .flat_map(|text| text.lines())
            .filter_map(|line| declared(line).map(|(name, _)| name))
            .collect();
        let listed = constants().unwrap();
        assert_eq!(listed.len(), in_sources.len());
        for name in ["LEARNED_DB_MAX", "MARK_DB", "PRIOR_DB", "TOGETHER_PRICE_DB", "TRIAL_DB"] {
            assert!(listed.iter().any(|constant| constant.name == name), "{name}");
        }
    }

    #[test]
    fn what_strategies_share_stands_behind_the_terms_of_each() {
        let listed = constants().unwrap();
        let trial = listed.iter().find(|constant| constant.name == "TRIAL_DB").unwrap();
        let key = |strategy: &str| (strategy.to_owned(), "session".to_owned(), trial.points_db);
        assert!(trial.may_be(&key("mail_c2")) && !trial.may_be(&key("beacon")));
        let learned = listed.iter().find(|constant| constant.name == "LEARNED_DB_MAX").unwrap();
        assert!(learned.may_be(&(String::new(), "destination".to_owned(), -3)));
        assert!(!learned.may_be(&("beacon".to_owned(), "destination".to_owned(), -3)));
    }
}
