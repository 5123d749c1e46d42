//! Suppressions: what people have looked at and do not want to see again, as Sigma filter documents
//! in a folder. A suppressed alert is judged, kept and counted like any other; it is not shown.

mod document;
mod pattern;
mod selection;

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, ensure};
use engine::Alert;
use observation::Time;

use crate::sinks::{escaped, escaped_whole};
use crate::timestamp;
pub(crate) use document::{Draft, REASON_CHARS_MAX, Suppression, accusers};
pub(crate) use selection::Field;

/// A document is a page.
const DOCUMENT_BYTES_MAX: u64 = 64 << 10;
/// Who needs more has to change a strategy.
const DOCUMENT_COUNT_MAX: usize = 1000;

/// A suppression, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) suppression: Suppression,
    pub(crate) path: PathBuf,
}

/// All suppressions of some folders.
#[derive(Debug, Default)]
pub(crate) struct Suppressions {
    folders: Vec<PathBuf>,
    all: Vec<Kept>,
    /// What cannot be used, and why.
    unusable: Vec<(PathBuf, String)>,
    seen: Seen,
    said: BTreeSet<String>,
}

/// What the folders hold: another length or time of any document is a change.
type Seen = Vec<(PathBuf, u64, Option<SystemTime>)>;

impl Suppressions {
    /// Reads those of a store, if there is one, and of a folder that was named besides.
    pub(crate) fn of(store: Option<&Path>, also: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(also) = also {
            ensure!(also.is_dir(), "{} is no folder of suppressions", also.display());
        }
        let folders = [store.map(folder_of), also.map(Path::to_path_buf)];
        let folders = folders.into_iter().flatten().collect();
        let mut suppressions = Self { folders, ..Self::default() };
        suppressions.refresh();
        Ok(suppressions)
    }

    /// Reads them again if anything has changed.
    pub(crate) fn refresh(&mut self) {
        let (seen, mut unusable) = listed(&self.folders);
        if seen == self.seen && !self.seen.is_empty() {
            return;
        }
        self.all.clear();
        let mut ids = BTreeSet::new();
        for (path, _, _) in &seen {
            match read(path) {
                Ok(suppression) if !ids.insert(suppression.id.clone()) => {
                    let why = format!("another document has the id {}", suppression.id);
                    unusable.push((path.clone(), why));
                }
                Ok(suppression) => self.all.push(Kept { suppression, path: path.clone() }),
                Err(error) => unusable.push((path.clone(), format!("{error:#}"))),
            }
        }
        (self.seen, self.unusable) = (seen, unusable);
    }

    /// The one that hides this alert now.
    pub(crate) fn of_alert(&self, alert: &Alert, now: Time) -> Option<&Suppression> {
        let acting = self.all.iter().map(|kept| &kept.suppression);
        acting.filter(|it| now < it.expires).find(|it| it.matches(alert))
    }

    /// All of them, expired ones too.
    pub(crate) fn all(&self) -> &[Kept] {
        &self.all
    }

    /// Says, once each, which cannot be used and which no longer act.
    pub(crate) fn speak(&mut self, now: Time) {
        let mut lines = Vec::new();
        for (path, why) in &self.unusable {
            let (path, why) = (escaped(&path.display().to_string()), escaped_whole(why));
            lines.push(format!("the suppression {path} is not used: {why}"));
        }
        for kept in self.all.iter().filter(|kept| kept.suppression.expires <= now) {
            let (id, reason) = (&kept.suppression.id, escaped(&kept.suppression.reason));
            let at = timestamp::readable(kept.suppression.expires);
            let id = escaped(id);
            lines.push(format!("the suppression {id} ({reason}) has expired at {at}"));
        }
        for line in lines {
            if !self.said.contains(&line) {
                eprintln!("tidewaiter: {line}");
                self.said.insert(line);
            }
        }
    }
}

/// The folder in a store.
fn folder_of(store: &Path) -> PathBuf {
    store.join("suppressions")
}

/// Puts one into the store's folder; gives its path. A reader sees all of it or nothing.
pub(crate) fn keep(store: &Path, suppression: &Suppression) -> anyhow::Result<PathBuf> {
    use std::io::Write;
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let folder = folder_of(store);
    let name: String = suppression.id.chars().filter(char::is_ascii_alphanumeric).collect();
    let (path, partial) = (folder.join(format!("mf_{name}.yml")), folder.join(".part"));
    let text = suppression.to_yaml()?;
    let written = || -> std::io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, &path)
    };
    written().with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

fn listed(folders: &[PathBuf]) -> (Seen, Vec<(PathBuf, String)>) {
    let (mut seen, mut unusable) = (Seen::new(), Vec::new());
    for folder in folders {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                unusable.push((folder.clone(), error.to_string()));
                continue;
            }
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let ending = path.extension().and_then(|ending| ending.to_str());
            if !matches!(ending, Some("yml" | "yaml")) {
                continue;
            }
            let about = fs::metadata(&path).ok();
            let length = about.as_ref().map_or(0, fs::Metadata::len);
            let changed = about.and_then(|about| about.modified().ok());
            seen.push((path, length, changed));
        }
    }
    seen.sort();
    for (path, ..) in seen.drain(DOCUMENT_COUNT_MAX.min(seen.len())..) {
        unusable.push((path, format!("there are more than {DOCUMENT_COUNT_MAX}")));
    }
    (seen, unusable)
}

fn read(path: &Path) -> anyhow::Result<Suppression> {
    ensure!(fs::metadata(path)?.is_file(), "it is no file");
    let mut text = String::new();
    fs::File::open(path)?.take(DOCUMENT_BYTES_MAX + 1).read_to_string(&mut text)?;
    ensure!(
        text.len() as u64 <= DOCUMENT_BYTES_MAX,
        "it is larger than {DOCUMENT_BYTES_MAX} bytes"
    );
    Suppression::read(&text)
}
