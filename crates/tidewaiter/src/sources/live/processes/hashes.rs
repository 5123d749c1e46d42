//! SHA-256 of executables through a pinned handle, beside the thread that reads processes: one of
//! 100 MB takes a tenth of a second, in which others would be gone unread.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use observation::{Fact, ProcessStarted, Time};
use sha2::{Digest, Sha256};

use crate::sources::live::Voice;

/// A larger executable is not hashed.
const EXECUTABLE_BYTES_MAX: u64 = 512 << 20;
/// Executables that wait; beyond, they are told of without a hash.
const WAITING_COUNT_MAX: usize = 1024;
/// Hashes remembered.
const KNOWN_COUNT_MAX: usize = 4096;

/// The very file that runs.
#[derive(Debug)]
pub(super) struct Pinned {
    file: File,
    version: Version,
}

/// What tells one version of a file from every other, also through the overlay mounts of many
/// containers, which differ in their device number only. The change time is the kernel's own:
/// nobody inside a container sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Pinned {
    pub(super) fn of(file: File) -> Option<Self> {
        let metadata = file.metadata().ok()?;
        let version = Version {
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        };
        (metadata.is_file() && version.bytes <= EXECUTABLE_BYTES_MAX)
            .then_some(Self { file, version })
    }
}

type Job = (Time, ProcessStarted<'static>, Pinned);

/// The hashing thread's door.
#[derive(Debug)]
pub(super) struct Hasher {
    jobs: SyncSender<Job>,
    voice: Arc<Voice>,
}

impl Hasher {
    /// Starts the thread; it ends with this.
    pub(super) fn start(voice: Arc<Voice>) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel(WAITING_COUNT_MAX);
        let speaker = Arc::clone(&voice);
        thread::Builder::new().name("hashes".into()).spawn(move || work(&waiting, &speaker))?;
        Ok(Self { jobs, voice })
    }

    /// Tells of the process once its executable has been hashed.
    pub(super) fn tell_hashed(&self, at: Time, started: ProcessStarted<'static>, pinned: Pinned) {
        if let Err(refused) = self.jobs.try_send((at, started, pinned)) {
            let (std::sync::mpsc::TrySendError::Full((at, started, _))
            | std::sync::mpsc::TrySendError::Disconnected((at, started, _))) = refused;
            self.voice.say(at, Fact::ProcessStarted(started));
        }
    }
}

fn work(waiting: &Receiver<Job>, voice: &Voice) {
    let mut known = Known::default();
    while let Ok((at, mut started, mut pinned)) = waiting.recv() {
        started.sha256 = known.get(&mut pinned);
        voice.say(at, Fact::ProcessStarted(started));
    }
}

/// Hashes by version, the latest ones.
#[derive(Debug, Default)]
struct Known {
    hashes: BTreeMap<Version, [u8; 32]>,
    order: VecDeque<Version>,
}

impl Known {
    fn get(&mut self, pinned: &mut Pinned) -> Option<[u8; 32]> {
        if let Some(hash) = self.hashes.get(&pinned.version) {
            return Some(*hash);
        }
        let hash = hash(&mut pinned.file)?;
        self.hashes.insert(pinned.version, hash);
        self.order.push_back(pinned.version);
        if self.order.len() > KNOWN_COUNT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
        Some(hash)
    }
}

fn hash(file: &mut File) -> Option<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut bytes = vec![0; 256 << 10];
    let mut left = EXECUTABLE_BYTES_MAX;
    loop {
        let count = file.read(&mut bytes).ok()?;
        if count == 0 {
            return Some(hasher.finalize().into());
        }
        left = left.checked_sub(count as u64)?;
        hasher.update(bytes.get(..count)?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_changed_file_has_another_hash_although_its_size_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        let mut known = Known::default();
        let mut hash_of = |content: &[u8]| {
            File::create(&path).unwrap().write_all(content).unwrap();
            known.get(&mut Pinned::of(File::open(&path).unwrap()).unwrap()).unwrap()
        };
        let first = hash_of(b"abc");
        assert_eq!(first[..4], [0xba, 0x78, 0x16, 0xbf]);
        thread::sleep(std::time::Duration::from_millis(20));
        assert_ne!(hash_of(b"abd"), first);
    }

    #[test]
    fn a_pipe_is_no_executable() {
        let (reader, _writer) = std::io::pipe().unwrap();
        assert!(Pinned::of(File::from(std::os::fd::OwnedFd::from(reader))).is_none());
    }
}
