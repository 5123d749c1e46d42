//! Rules of one's own: Sigma rules over flows, lookups, requests and programs. A match is an alert
//! of the rule's own level; it adds nothing to what the strategies say.

mod alerts;
mod document;
mod events;
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use engine::{AlertUpdate, Engine};
use observation::Observation;

use crate::sinks::{escaped, escaped_whole};
use alerts::Told;
pub(crate) use document::UserRule;

const RULE_BYTES_MAX: u64 = 256 << 10;
const RULE_COUNT_MAX: usize = 20_000;
const FOLDER_DEPTH_MAX: usize = 8;

/// Where rules lie; commands that judge have this.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct RulesChoice {
    /// Sigma rules in this folder: a match is an alert of the rule's own level. `rules check` says
    /// which of them can be used.
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
}

/// What a folder holds.
#[derive(Default)]
pub(crate) struct Checked {
    pub(crate) usable: Vec<(PathBuf, UserRule)>,
    /// And why.
    pub(crate) unusable: Vec<(PathBuf, String)>,
}

/// All rules of a run, and what they have found.
#[derive(Default)]
pub(crate) struct Rules {
    all: Vec<UserRule>,
    told: Told,
}

impl RulesChoice {
    /// Reads them, and says how many cannot be used.
    pub(crate) fn read(&self) -> anyhow::Result<Rules> {
        let Some(folder) = &self.rules else { return Ok(Rules::default()) };
        let checked = check(folder)?;
        let shown = escaped(&folder.display().to_string());
        let (usable, unusable) = (checked.usable.len(), checked.unusable.len());
        eprintln!(
            "tidewaiter: rules {shown}: {usable} used, {unusable} not; `rules check` says why"
        );
        let all = checked.usable.into_iter().map(|(_, rule)| rule).collect();
        Ok(Rules { all, told: Told::default() })
    }
}

impl Rules {
    /// Looks whether any rule matches; tells the alerts that come of it.
    pub(crate) fn look(
        &mut self,
        observation: &Observation<'_>,
        engine: &Engine,
        out: &mut impl FnMut(AlertUpdate),
    ) {
        if self.all.is_empty() {
            return;
        }
        let Some(subject) = events::subject(&observation.fact) else { return };
        if self.all.iter().all(|rule| rule.subject != subject) {
            return;
        }
        let Some(seen) = events::Seen::of(observation, engine, subject) else { return };
        for rule in self.all.iter().filter(|rule| rule.subject == subject) {
            if rule.matches(seen.event()) {
                self.told.matched(rule, &seen, engine, out);
            }
        }
    }

    /// The input has ended: counts are told as they are now.
    pub(crate) fn finish(&mut self, out: &mut impl FnMut(AlertUpdate)) {
        self.told.finish(out);
    }

    /// Matches that found no room among the alerts.
    pub(crate) const fn dropped_count(&self) -> u64 {
        self.told.dropped_count()
    }
}

/// Reads every rule of a folder, and of the folders in it.
pub(crate) fn check(folder: &Path) -> anyhow::Result<Checked> {
    ensure!(folder.is_dir(), "{} is no folder of rules", folder.display());
    let mut paths = Vec::new();
    collect(folder, 0, &mut paths).with_context(|| format!("reading {}", folder.display()))?;
    paths.sort();
    let mut checked = Checked::default();
    let mut ids = BTreeSet::new();
    for (count, path) in paths.into_iter().enumerate() {
        let read = if count < RULE_COUNT_MAX {
            text(&path).and_then(|text| UserRule::read(&text))
        } else {
            Err(anyhow::anyhow!("there are more than {RULE_COUNT_MAX}"))
        };
        match read {
            Ok(rule) if !ids.insert(rule.id.clone()) => {
                checked.unusable.push((path, format!("another rule has the id {}", rule.id)));
            }
            Ok(rule) => checked.usable.push((path, rule)),
            Err(error) => {
                let why = escaped_whole(format!("{error:#}").trim());
                checked.unusable.push((path, why));
            }
        }
    }
    Ok(checked)
}

fn collect(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        // A link may lead anywhere, also back here: it is followed to a file and no further.
        if fs::symlink_metadata(&path).is_ok_and(|about| about.is_dir()) {
            if depth < FOLDER_DEPTH_MAX {
                collect(&path, depth + 1, paths)?;
            }
        } else if matches!(ending, Some("yml" | "yaml")) {
            paths.push(path);
        }
    }
    Ok(())
}

fn text(path: &Path) -> anyhow::Result<String> {
    ensure!(fs::metadata(path)?.is_file(), "it is no file");
    let mut text = String::new();
    fs::File::open(path)?.take(RULE_BYTES_MAX + 1).read_to_string(&mut text)?;
    ensure!(text.len() as u64 <= RULE_BYTES_MAX, "it is larger than {RULE_BYTES_MAX} bytes");
    Ok(text)
}
