//! Feeds of threat intelligence from files: read once, and by a watch again whenever they change.
//! A feed that has broken keeps its last good word, and that is said.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail, ensure};
use engine::{About, Indicator, Indicators, Reach};
use formats::intel::{
    Entry, FeedTally, MANIFEST, Refusal, Shared, Value, events_of_manifest, read_feed,
};
use observation::Time;

use crate::pipeline::Judge;
use crate::sinks::{escaped, escaped_whole};

/// The engine looks into so many feeds.
const FEED_COUNT_MAX: usize = 64;
/// Files in one feed's folder.
const FILE_COUNT_MAX: usize = 100_000;
/// More memory than this is no feed's.
const INDICATOR_COUNT_MAX: u64 = 20_000_000;
/// How often a watch looks whether a feed has changed. It is read when it has stood still so long.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How soon it ends.
const REST: Duration = Duration::from_millis(100);

/// Where feeds lie; commands that judge have this.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct IntelChoice {
    /// Threat intelligence: a file, or a folder of files or of a MISP feed. May be given more than
    /// once. Nothing in it is ever resolved or contacted.
    #[arg(long, value_name = "PATH")]
    intel: Vec<PathBuf>,
}

/// A feed, read.
struct Feed {
    indicators: Indicators,
    tally: FeedTally,
}

/// What a feed's files look like: another length or time of any of them is a change.
type Stamp = Vec<(PathBuf, u64, Option<SystemTime>)>;

impl IntelChoice {
    /// Reads all feeds for one replay; one that is broken is an error.
    pub(crate) fn teach(&self, judge: &mut Judge) -> anyhow::Result<()> {
        self.check()?;
        for (place, path) in self.intel.iter().enumerate() {
            let feed = read(path).with_context(|| format!("--intel {}", path.display()))?;
            say(path, &feed);
            judge.learn(place, feed.indicators);
        }
        Ok(())
    }

    /// Reads all feeds, and again whenever they change. A watch goes on without one that is broken.
    pub(crate) fn follow(&self, judge: &mut Judge) -> anyhow::Result<Follower> {
        self.check()?;
        let mut followed = Vec::new();
        for (place, path) in self.intel.iter().enumerate() {
            let stamp = stamp(path);
            let mut count = 0;
            match read(path) {
                Ok(feed) => {
                    say(path, &feed);
                    count = feed.indicators.count();
                    judge.learn(place, feed.indicators);
                }
                Err(error) => complain(path, &error, count),
            }
            followed.push(Followed { path: path.clone(), stamp, moving: None, count });
        }
        Follower::start(followed)
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(self.intel.len() <= FEED_COUNT_MAX, "more than {FEED_COUNT_MAX} times --intel");
        Ok(())
    }
}

/// A feed that a watch follows.
struct Followed {
    path: PathBuf,
    stamp: Stamp,
    /// What it looked like when it was last seen to differ.
    moving: Option<Stamp>,
    /// Of its last good word.
    count: usize,
}

/// The thread that reads feeds again, so that judging never waits for a file.
pub(crate) struct Follower {
    fresh: Receiver<(usize, Indicators)>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Follower {
    fn start(mut followed: Vec<Followed>) -> anyhow::Result<Self> {
        let (sender, fresh) = sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let thread = thread::Builder::new().name("intel".into()).spawn(move || {
            if followed.is_empty() {
                return;
            }
            while rest(&is_over) {
                for (place, feed) in followed.iter_mut().enumerate() {
                    if look(place, feed, &sender).is_err() {
                        return;
                    }
                }
            }
        })?;
        Ok(Self { fresh, stop, thread })
    }

    /// Hands over what was read meanwhile.
    pub(crate) fn teach(&self, judge: &mut Judge) {
        while let Ok((place, indicators)) = self.fresh.try_recv() {
            judge.learn(place, indicators);
        }
    }

    /// Ends it.
    pub(crate) fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.fresh);
        let _ = self.thread.join();
    }
}

/// Waits until it is time to look; `false` when it is over.
fn rest(is_over: &AtomicBool) -> bool {
    let mut left = LOOK_EVERY;
    while !left.is_zero() && !is_over.load(Ordering::Relaxed) {
        thread::sleep(REST);
        left = left.saturating_sub(REST);
    }
    !is_over.load(Ordering::Relaxed)
}

/// Reads a feed again if it has changed and stood still since.
fn look(
    place: usize,
    feed: &mut Followed,
    fresh: &SyncSender<(usize, Indicators)>,
) -> Result<(), ()> {
    let now = stamp(&feed.path);
    if now == feed.stamp {
        feed.moving = None;
        return Ok(());
    }
    // Somebody may be in the middle of writing it.
    if feed.moving.as_ref() != Some(&now) {
        feed.moving = Some(now);
        return Ok(());
    }
    (feed.stamp, feed.moving) = (now, None);
    match read(&feed.path) {
        Ok(read) if read.indicators.count() == 0 && feed.count > 0 => {
            complain(&feed.path, &anyhow!("it lists nothing any more"), feed.count);
        }
        Ok(read) => {
            say(&feed.path, &read);
            feed.count = read.indicators.count();
            fresh.send((place, read.indicators)).map_err(|_| ())?;
        }
        Err(error) => complain(&feed.path, &error, feed.count),
    }
    Ok(())
}

fn complain(path: &Path, error: &anyhow::Error, count: usize) {
    let (path, error) =
        (escaped(&path.display().to_string()), escaped_whole(&format!("{error:#}")));
    let kept = match count {
        0 => "it is not used".to_owned(),
        count => format!("its last good {count} indicators stay"),
    };
    eprintln!("tidewaiter: intel {path} is broken: {error}; {kept}");
}

fn say(path: &Path, feed: &Feed) {
    let (path, tally) = (escaped(&path.display().to_string()), &feed.tally);
    let count = feed.indicators.count();
    let refused: Vec<String> = Refusal::ALL
        .iter()
        .zip(tally.refused)
        .filter(|(_, count)| *count > 0)
        .map(|(why, count)| format!("{count} {why}"))
        .collect();
    let refused =
        if refused.is_empty() { String::new() } else { format!(" ({})", refused.join(", ")) };
    eprintln!(
        "tidewaiter: intel {path}: {count} indicators in {} bytes; refused {}{refused}, unused {}, \
         not understood {}",
        feed.indicators.bytes(),
        tally.refused_count(),
        tally.unused_count,
        tally.not_understood_count,
    );
}

fn read(path: &Path) -> anyhow::Result<Feed> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let (mut indicators, mut tally) = (Indicators::named(&name), FeedTally::default());
    for file in files(path)? {
        read_file(&file, &mut indicators, &mut tally)
            .with_context(|| file.display().to_string())?;
    }
    // A page of excuses instead of a list is no list.
    ensure!(
        tally.not_understood_count <= tally.taken_count,
        "{} of its entries are not understood, and only {} are",
        tally.not_understood_count,
        tally.taken_count
    );
    Ok(Feed { indicators: indicators.sorted(), tally })
}

fn read_file(
    path: &Path,
    indicators: &mut Indicators,
    tally: &mut FeedTally,
) -> anyhow::Result<()> {
    let file = fs::File::open(path)?;
    let about = file.metadata()?;
    ensure!(about.is_file(), "it is no file");
    let written = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let written = written.and_then(|since| u64::try_from(since.as_nanos()).ok()).map(Time);
    let (before, mut count) = (tally.taken_count, 0);
    let read = read_feed(file, &mut |entry| {
        count += 1;
        if before + count <= INDICATOR_COUNT_MAX {
            add(indicators, entry, written);
        }
    });
    tally.join(read.map_err(|why| anyhow!(why))?);
    ensure!(tally.taken_count <= INDICATOR_COUNT_MAX, "over {INDICATOR_COUNT_MAX} indicators");
    Ok(())
}

/// A list says nothing about the age of what it lists: whoever wrote it stood to it then.
fn add(indicators: &mut Indicators, entry: &Entry<'_>, written: Option<Time>) {
    let indicator = match entry.value {
        Value::Address(address, port) => Indicator::Address(address, port),
        Value::Network(address, bits) => Indicator::Network(address, bits),
        Value::Domain(name) => Indicator::Domain(name),
        Value::Url(url) => Indicator::Url(url),
        Value::Ja4(ja4) => Indicator::Ja4(ja4),
        Value::Sha256(hash) => Indicator::Sha256(hash),
    };
    let reach = if entry.shared == Shared::Yes { Reach::Shared } else { Reach::Own };
    let seen = entry.seen.or(written);
    let about = About { confidence: entry.confidence, seen, expires: entry.expires, reach };
    indicators.add(indicator, &about);
}

/// The files of a feed: those that a manifest lists, or all of a folder, or one.
fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    match fs::read(path.join(MANIFEST)) {
        Ok(manifest) => {
            let events = events_of_manifest(&manifest).map_err(|why| anyhow!(why))?;
            return Ok(events.into_iter().map(|name| path.join(name)).collect());
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => bail!("{MANIFEST}: {error}"),
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !is_hidden && fs::metadata(entry.path()).is_ok_and(|about| about.is_file()) {
            files.push(entry.path());
        }
    }
    ensure!(files.len() <= FILE_COUNT_MAX, "more than {FILE_COUNT_MAX} files");
    ensure!(!files.is_empty(), "the folder is empty");
    files.sort();
    Ok(files)
}

fn stamp(path: &Path) -> Stamp {
    let files = files(path).unwrap_or_default();
    let of = |path: PathBuf| {
        let about = fs::metadata(&path).ok();
        let length = about.as_ref().map_or(0, fs::Metadata::len);
        (path, length, about.and_then(|about| about.modified().ok()))
    };
    files.into_iter().map(of).collect()
}
