//! What one watch leaves to the next: the engine's state, so that a session that goes on across a
//! restart stays one alert.
//!
//! The file lies in the store and is replaced whole. It need not reach the disk: whatever ends the
//! machine ends what it is true of. It is taken up only by the very program that wrote it, since
//! the state does not describe itself, and only in the same boot and network namespace, since the
//! numbers of veths, processes and cgroups begin anew in another.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use engine::{AlertUpdate, Engine};
use observation::Time;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::pipeline::Judge;
use crate::timestamp;

const FILE: &str = "engine.state";
const VERSION: u32 = 1;
/// More is not kept: the next watch begins anew then, and this one says so.
const STATE_BYTES_MAX: u64 = 512 << 20;
const HEAD_BYTES_MAX: usize = 4096;
/// How often it is written when nothing happens.
const EVERY: Duration = Duration::from_secs(60);
/// How soon after something was told, so that a kill does not let it be told anew.
const SOON: Duration = Duration::from_millis(250);
/// Writing takes at most this share of the engine's time.
const SHARE: u32 = 50;

/// What a state is true of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Circumstances {
    version: u32,
    /// The SHA-256 of the program.
    program: String,
    boot: String,
    netns: u64,
}

/// The line before the state.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    circumstances: Circumstances,
    saved_at: Time,
    state_bytes: u64,
}

/// What the watch before has left.
pub(super) enum Left {
    /// Nothing: there was none.
    Nothing,
    /// Its engine, and when it was saved.
    State(Box<Engine>, Time),
    /// Something that is not true any more, or cannot be read, for this reason.
    Unusable(String),
}

/// Writes the state now and then.
pub(super) struct Keeper {
    path: PathBuf,
    circumstances: Circumstances,
    /// Not before.
    earliest: Instant,
    due: Instant,
}

impl Keeper {
    /// For the store in this folder.
    pub(super) fn new(store: &Path) -> io::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            path: store.join(FILE),
            circumstances: Circumstances::now()?,
            earliest: now,
            due: now + EVERY,
        })
    }

    /// What there is to go on from.
    pub(super) fn left(&self) -> Left {
        match read(&self.path, &self.circumstances) {
            Ok(left) => left,
            Err(error) => Left::Unusable(error.to_string()),
        }
    }

    /// Takes notice of what was just told.
    pub(super) fn note(&mut self, updates: &[AlertUpdate]) {
        if !updates.is_empty() {
            self.due = self.due.min(Instant::now() + SOON);
        }
    }

    /// Writes it, if it is time.
    pub(super) fn keep(&mut self, judge: &Judge) -> io::Result<()> {
        let began = Instant::now();
        if began < self.due.max(self.earliest) {
            return Ok(());
        }
        let written = self.write(&judge.save());
        let took = began.elapsed();
        self.earliest = began + took * SHARE;
        self.due = began + EVERY;
        written
    }

    /// Writes it now, because the watch ends.
    pub(super) fn keep_now(&self, judge: &Judge) -> io::Result<()> {
        self.write(&judge.save())
    }

    fn write(&self, state: &[u8]) -> io::Result<()> {
        let state_bytes = state.len() as u64;
        if state_bytes == 0 || state_bytes > STATE_BYTES_MAX {
            // The one before is no longer true.
            let _ = fs::remove_file(&self.path);
            return Err(io::Error::other(format!(
                "the engine's state has {state_bytes} bytes: a watch that starts anew will not go \
                 on from it"
            )));
        }
        let circumstances = self.circumstances.clone();
        let head = Head { circumstances, saved_at: timestamp::now(), state_bytes };
        let partial = self.path.with_extension("state.part");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&partial)?;
        file.write_all(&serde_json::to_vec(&head)?)?;
        file.write_all(b"\n")?;
        file.write_all(state)?;
        drop(file);
        fs::rename(partial, &self.path)
    }
}

impl Circumstances {
    fn now() -> io::Result<Self> {
        let program = Sha256::digest(fs::read("/proc/self/exe")?);
        Ok(Self {
            version: VERSION,
            program: crate::evidence::hex(&program),
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned(),
            netns: fs::metadata("/proc/self/ns/net")?.ino(),
        })
    }

    /// Why what was saved then is not true now.
    fn changed_since(&self, then: &Self) -> Option<&'static str> {
        if self.boot != then.boot {
            return Some("the machine was started again");
        }
        if self.netns != then.netns {
            return Some("it watched another network namespace");
        }
        let same = (self.version, &self.program) == (then.version, &then.program);
        (!same).then_some("another version of this program wrote it")
    }
}

fn read(path: &Path, now: &Circumstances) -> io::Result<Left> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Left::Nothing),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(STATE_BYTES_MAX + HEAD_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    let damaged = || Left::Unusable("it is damaged".to_owned());
    let end = bytes.iter().take(HEAD_BYTES_MAX).position(|byte| *byte == b'\n');
    let parts = end.and_then(|end| bytes.split_at_checked(end));
    let Some((head, [_, state @ ..])) = parts else { return Ok(damaged()) };
    let Ok(head) = serde_json::from_slice::<Head>(head) else { return Ok(damaged()) };
    if let Some(why) = now.changed_since(&head.circumstances) {
        return Ok(Left::Unusable(why.to_owned()));
    }
    if state.len() as u64 != head.state_bytes {
        return Ok(damaged());
    }
    Ok(match Engine::load(state) {
        Ok(engine) => Left::State(Box::new(engine), head.saved_at),
        Err(error) => Left::Unusable(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Limits;

    fn keeper(folder: &Path) -> Keeper {
        Keeper::new(folder).unwrap()
    }

    fn state() -> Vec<u8> {
        Engine::new(Limits::default(), 1).save()
    }

    #[test]
    fn the_next_watch_goes_on_from_what_was_left() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(keeper(folder.path()).left(), Left::Nothing));
        keeper(folder.path()).write(&state()).unwrap();
        assert!(matches!(keeper(folder.path()).left(), Left::State(..)));
    }

    #[test]
    fn what_is_true_no_more_is_not_taken_up() {
        let folder = tempfile::tempdir().unwrap();
        let mut other = keeper(folder.path());
        type Change = fn(&mut Circumstances);
        let changes: [(Change, &str); 4] = [
            (|it| it.boot = "another".into(), "started again"),
            (|it| it.netns += 1, "namespace"),
            (|it| it.program.push('0'), "another version"),
            (|it| it.version += 1, "another version"),
        ];
        for (change, expected) in changes {
            other.circumstances = Circumstances::now().unwrap();
            change(&mut other.circumstances);
            other.write(&state()).unwrap();
            match keeper(folder.path()).left() {
                Left::Unusable(why) => assert!(why.contains(expected), "{why}"),
                _ => panic!("{expected}"),
            }
        }
    }

    #[test]
    fn a_state_that_was_cut_or_changed_is_refused_and_never_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        keeper(folder.path()).write(&state()).unwrap();
        let path = folder.path().join(FILE);
        let whole = fs::read(&path).unwrap();
        for end in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..end]).unwrap();
            assert!(matches!(keeper(folder.path()).left(), Left::Unusable(_)), "{end}");
        }
        fs::write(&path, b"\xff\n".repeat(3000)).unwrap();
        assert!(matches!(keeper(folder.path()).left(), Left::Unusable(_)));
    }
}
