//! The constants in decibans, read from the strategies' sources.

use std::fs;

use anyhow::{Context as _, Result};

use super::TermKey;
use crate::root;

/// `const NAME_DB: i16 = POINTS;` of a strategy.
pub(super) struct Constant {
    pub(super) strategy: String,
    pub(super) name: String,
    pub(super) points_db: i64,
}

impl Constant {
    /// Whether a term of this strategy with these points may be this constant's. One that is a
    /// bound stands behind all terms up to it of the rhythm's family, which are computed.
    pub(super) fn may_be(&self, (strategy, family, points_db): &TermKey) -> bool {
        if *strategy != self.strategy {
            return false;
        }
        let is_bound = self.name.ends_with("_MAX") || self.name.ends_with("_MIN");
        if is_bound {
            return family == "rhythm"
                && points_db.signum() == self.points_db.signum()
                && points_db.abs() <= self.points_db.abs();
        }
        *points_db == self.points_db && family != "rhythm" || self.is_rhythm(family, *points_db)
    }

    fn is_rhythm(&self, family: &str, points_db: i64) -> bool {
        family == "rhythm" && self.name.starts_with("STREAM") && points_db == self.points_db
    }
}

/// All of them, by strategy and in the order of their sources.
pub(super) fn constants() -> Result<Vec<Constant>> {
    let folder = root().join("crates/engine/src/strategies");
    let mut folders: Vec<_> = fs::read_dir(&folder)
        .with_context(|| folder.display().to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("mod.rs").is_file())
        .collect();
    folders.sort();
    let mut all = Vec::new();
    for path in folders {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(path.join("mod.rs"))?;
        all.extend(text.lines().filter_map(|line| constant(&name, line)));
    }
    Ok(all)
}

fn constant(strategy: &str, line: &str) -> Option<Constant> {
    let (_, declared) = line.split_once("const ")?;
    let (name, value) = declared.split_once(": i16 = ")?;
    let points_db = value.strip_suffix(';')?.parse().ok()?;
    let is_db = name.ends_with("_DB") || name.contains("_DB_");
    let (strategy, name) = (strategy.to_owned(), name.to_owned());
    is_db.then_some(Constant { strategy, name, points_db })
}
