//! Which containers are a case's own: those that its lines made, in `before` too.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::lab::Lab;

/// How they are told from others.
pub(super) enum Own {
    /// All that came since then (seconds): nothing else plays, and the runtime's client runs with
    /// the documented words alone, as a recording keeps them.
    Since(u64),
    /// The client writes each one's id into a file of this folder. The container knows nothing of
    /// it.
    Files { folder: TempDir, told_count: AtomicU32 },
}

impl Own {
    /// From the next second on: the engine tells its events by the second.
    pub(super) fn since_now() -> Self {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        thread::sleep(Duration::from_secs(now.as_secs() + 1).saturating_sub(now));
        Self::Since(now.as_secs() + 1)
    }

    pub(super) fn by_files() -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for the containers' ids")?;
        Ok(Self::Files { folder, told_count: AtomicU32::new(0) })
    }

    /// The client's words, with a file for the id of what they make.
    pub(super) fn told(&self, words: impl Iterator<Item = String>) -> Vec<String> {
        let mut words: Vec<String> = words.collect();
        let makes = words.first().is_some_and(|verb| verb == "run" || verb == "create");
        if let (Self::Files { folder, told_count }, true) = (self, makes) {
            let number = told_count.fetch_add(1, Ordering::Relaxed);
            let file = folder.path().join(number.to_string());
            words.insert(1, format!("--cidfile={}", file.display()));
        }
        words
    }

    /// The full ids of those that there are, or were.
    pub(super) fn containers(&self, lab: &Lab) -> Result<Vec<String>> {
        match self {
            Self::Since(since) => {
                let listed = lab.engine.docker_output(&format!(
                    "events --since {since} --until {} --filter event=create \
                     --format {{{{.ID}}}}",
                    seconds_now() + 1
                ))?;
                Ok(listed.lines().map(str::to_owned).collect())
            }
            Self::Files { folder, .. } => {
                let mut ids = Vec::new();
                for entry in fs::read_dir(folder.path())? {
                    ids.extend(fs::read_to_string(entry?.path()).ok());
                }
                // The client makes the file before it knows the id.
                ids.retain(|id| !id.is_empty());
                Ok(ids)
            }
        }
    }

    /// How many of its containers were never made, where that is known: of them nothing is said,
    /// which proves nothing.
    pub(super) fn missing_count(&self, made: &[String]) -> usize {
        match self {
            Self::Since(_) => 0,
            Self::Files { told_count, .. } => {
                (told_count.load(Ordering::Relaxed) as usize).saturating_sub(made.len())
            }
        }
    }
}

fn seconds_now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(own: &Own, line: &str) -> String {
        own.told(line.split(' ').map(str::to_owned)).join(" ")
    }

    #[test]
    fn only_what_makes_a_container_is_told_where_to_write_its_id() -> Result<()> {
        let own = Own::by_files()?;
        let Own::Files { folder, .. } = &own else { unreachable!() };
        let folder = folder.path().display();
        assert_eq!(told(&own, "run alpine true"), format!("run --cidfile={folder}/0 alpine true"));
        assert_eq!(told(&own, "create alpine"), format!("create --cidfile={folder}/1 alpine"));
        assert_eq!(told(&own, "exec shop run"), "exec shop run");
        assert_eq!(told(&Own::since_now(), "run alpine true"), "run alpine true");
        Ok(())
    }

    #[test]
    fn a_container_that_was_never_made_is_missed() -> Result<()> {
        let own = Own::by_files()?;
        told(&own, "run alpine true");
        told(&own, "exec shop true");
        assert_eq!(own.missing_count(&[]), 1);
        assert_eq!(own.missing_count(&["an id".to_owned()]), 0);
        Ok(())
    }

    #[test]
    fn two_cases_never_share_a_folder() -> Result<()> {
        let (one, other) = (Own::by_files()?, Own::by_files()?);
        assert_ne!(told(&one, "run alpine"), told(&other, "run alpine"));
        Ok(())
    }
}
