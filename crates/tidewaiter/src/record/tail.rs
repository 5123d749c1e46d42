//! The tails of files: what is not written yet waits in memory, and a thread of its own writes it,
//! so that no packet waits for a disk, and a kill loses no more than `EVERY` has brought.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often everything is written.
const EVERY: Duration = Duration::from_millis(250);
/// So much is written at once.
const WAKE_BYTES: usize = 1 << 20;
/// What waits for one file at most; beyond, records are refused and counted.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// How long room is waited for: a packet ring of 64 MiB holds 60 ms of traffic at 8 Gbit/s.
const PATIENCE: Duration = Duration::from_millis(20);
const PATIENCE_STEP: Duration = Duration::from_millis(1);
/// Memory that is kept for the next time.
const SPARE_BYTES_MAX: usize = 4 << 20;

/// What waits for one file. Writing to it never fails and never blocks.
#[derive(Clone)]
pub(super) struct Tail {
    waiting: Arc<Mutex<Vec<u8>>>,
    file: Arc<Mutex<File>>,
    bell: Arc<Bell>,
}

#[derive(Default)]
struct Bell {
    state: Mutex<Rung>,
    rung: Condvar,
}

#[derive(Default)]
struct Rung {
    called: bool,
    over: bool,
}

/// The thread that writes the tails.
pub(super) struct TailWriter {
    tails: Arc<Mutex<Vec<Tail>>>,
    bell: Arc<Bell>,
    thread: Mutex<Option<JoinHandle<u64>>>,
}

impl TailWriter {
    pub(super) fn start() -> io::Result<Self> {
        let (tails, bell) = (Arc::<Mutex<Vec<Tail>>>::default(), Arc::<Bell>::default());
        let (shared, rings) = (Arc::clone(&tails), Arc::clone(&bell));
        let thread =
            thread::Builder::new().name("recording".into()).spawn(move || work(&shared, &rings))?;
        Ok(Self { tails, bell, thread: Mutex::new(Some(thread)) })
    }

    /// Takes a file over.
    pub(super) fn take(&self, file: File) -> Tail {
        let tail = Tail {
            waiting: Arc::default(),
            file: Arc::new(Mutex::new(file)),
            bell: Arc::clone(&self.bell),
        };
        lock(&self.tails).push(tail.clone());
        tail
    }

    /// Writes what waits and ends; how many writes have failed. The second time there is nothing.
    pub(super) fn finish(&self) -> u64 {
        lock(&self.bell.state).over = true;
        self.bell.rung.notify_one();
        let thread = lock(&self.thread).take();
        thread.map_or(0, |thread| thread.join().unwrap_or(1))
    }
}

impl Tail {
    /// Whether there is room for more; waits a moment for it.
    pub(super) fn has_room(&self) -> bool {
        let mut left = PATIENCE;
        while lock(&self.waiting).len() > WAITING_BYTES_MAX {
            if left.is_zero() {
                return false;
            }
            left = left.saturating_sub(PATIENCE_STEP);
            thread::sleep(PATIENCE_STEP);
        }
        true
    }

    fn write_out(&self, spare: &mut Vec<u8>) -> io::Result<()> {
        spare.clear();
        spare.shrink_to(SPARE_BYTES_MAX);
        std::mem::swap(&mut *lock(&self.waiting), spare);
        lock(&self.file).write_all(spare)
    }
}

impl Write for Tail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (before, after) = {
            let mut waiting = lock(&self.waiting);
            let before = waiting.len();
            waiting.extend_from_slice(bytes);
            (before, waiting.len())
        };
        if before < WAKE_BYTES && after >= WAKE_BYTES {
            lock(&self.bell.state).called = true;
            self.bell.rung.notify_one();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn work(tails: &Mutex<Vec<Tail>>, bell: &Bell) -> u64 {
    let (mut spare, mut failed_count) = (Vec::new(), 0);
    loop {
        let over = bell.wait();
        let all = lock(tails).clone();
        for tail in &all {
            failed_count += u64::from(tail.write_out(&mut spare).is_err());
        }
        if over {
            return failed_count;
        }
    }
}

impl Bell {
    /// Waits for a call, or as long as nothing may wait longer; whether it is over.
    fn wait(&self) -> bool {
        let state = lock(&self.state);
        let quiet = |rung: &mut Rung| !rung.called && !rung.over;
        let waited = self.rung.wait_timeout_while(state, EVERY, quiet);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.called = false;
        state.over
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn what_is_said_is_in_the_file_within_a_second_without_a_flush() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let writer = TailWriter::start().unwrap();
        let mut tail = writer.take(File::create(&path).unwrap());
        tail.write_all(b"one\n").unwrap();
        let until = Instant::now() + Duration::from_secs(1);
        while std::fs::read(&path).unwrap() != b"one\n" {
            assert!(Instant::now() < until, "it waits for longer than it may");
            thread::sleep(Duration::from_millis(10));
        }
        tail.write_all(b"two\n").unwrap();
        assert_eq!(writer.finish(), 0);
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
        assert_eq!(writer.finish(), 0);
    }

    #[test]
    fn a_disk_that_takes_nothing_is_counted() {
        let writer = TailWriter::start().unwrap();
        let mut tail = writer.take(File::open("/dev/null").unwrap());
        tail.write_all(b"x").unwrap();
        assert!(writer.finish() > 0);
    }
}
