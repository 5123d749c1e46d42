//! From the sources' threads to the engine's: one bounded queue of encoded Observations.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use observation::{FlowId, Observation, SourceId, Time};

/// Observations that wait for the engine. At about 300 bytes each this is 20 MB.
const PARCEL_COUNT_MAX: usize = 1 << 16;
/// How long a source waits for room in all before it loses one Observation. A packet ring of 64 MiB
/// holds 60 ms of traffic at 8 Gbit/s.
const PATIENCE: Duration = Duration::from_millis(20);
const PATIENCE_STEP: Duration = Duration::from_millis(1);

/// An Observation on its way between threads: encoded, with the key that it is merged by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parcel {
    /// When it was true.
    pub(crate) at: Time,
    /// Its flow.
    pub(crate) flow: FlowId,
    /// Its position.
    pub(crate) order: u64,
    /// The Observation in postcard's encoding.
    pub(crate) bytes: Vec<u8>,
}

impl Parcel {
    /// Packs an Observation; `None` when it cannot be encoded, which our own types always can.
    pub(crate) fn of(observation: &Observation<'_>) -> Option<Self> {
        let bytes = postcard::to_allocvec(observation).ok()?;
        Some(Self { at: observation.at, flow: observation.flow(), order: observation.order, bytes })
    }

    /// Unpacks it.
    pub(crate) fn open(&self) -> Option<Observation<'_>> {
        postcard::from_bytes(&self.bytes).ok()
    }
}

/// One source's way to the engine.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    queue: SyncSender<Parcel>,
    lost_count: Arc<AtomicU64>,
    source: SourceId,
}

/// What one source's feed has lost since it was asked last.
#[derive(Clone, Debug)]
pub(crate) struct FeedLoss {
    /// The source.
    pub(crate) source: SourceId,
    lost_count: Arc<AtomicU64>,
}

/// The queue's two ends; [`Feeds::of`] gives each source its own.
#[derive(Debug)]
pub(crate) struct Feeds {
    queue: SyncSender<Parcel>,
    losses: Vec<FeedLoss>,
}

impl Feeds {
    /// An empty queue.
    pub(crate) fn new() -> (Self, Receiver<Parcel>) {
        let (queue, parcels) = sync_channel(PARCEL_COUNT_MAX);
        (Self { queue, losses: Vec::new() }, parcels)
    }

    /// The feed of this source.
    pub(crate) fn of(&mut self, source: SourceId) -> Feed {
        let lost_count = Arc::new(AtomicU64::new(0));
        self.losses.push(FeedLoss { source, lost_count: Arc::clone(&lost_count) });
        Feed { queue: self.queue.clone(), lost_count, source }
    }

    /// What the feeds lost. Ends the making of new ones, so that the queue ends with its sources.
    pub(crate) fn into_losses(self) -> Vec<FeedLoss> {
        self.losses
    }
}

impl FeedLoss {
    /// How many Observations were lost since the last call.
    pub(crate) fn take(&self) -> u64 {
        self.lost_count.swap(0, Ordering::Relaxed)
    }
}

impl Feed {
    /// The source that it belongs to.
    pub(crate) const fn source(&self) -> SourceId {
        self.source
    }

    /// Hands over an Observation. Waits a moment for room; then it is lost, and counted.
    pub(crate) fn send(&self, observation: &Observation<'_>) {
        let Some(mut parcel) = Parcel::of(observation) else {
            self.lost_count.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let mut left = PATIENCE;
        loop {
            match self.queue.try_send(parcel) {
                Ok(()) => return,
                Err(TrySendError::Full(back)) if !left.is_zero() => {
                    parcel = back;
                    left = left.saturating_sub(PATIENCE_STEP);
                    thread::sleep(PATIENCE_STEP);
                }
                // A queue that is closed belongs to an engine that has ended; nobody counts then.
                Err(_) => {
                    self.lost_count.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use observation::{Fact, ProcessEnded};

    fn ended(pid: u32) -> Observation<'static> {
        let fact = Fact::ProcessEnded(ProcessEnded { pid, exit_code: None });
        Observation { at: Time(1), witness: SourceId(3), order: 0, fact }
    }

    #[test]
    fn an_observation_arrives_as_it_was_sent() {
        let (mut feeds, parcels) = Feeds::new();
        feeds.of(SourceId(3)).send(&ended(7));
        let parcel = parcels.recv().unwrap();
        assert_eq!(parcel.open().unwrap(), ended(7));
    }

    #[test]
    fn a_full_queue_loses_and_counts_and_does_not_block() {
        let (queue, parcels) = sync_channel(1);
        let lost_count = Arc::new(AtomicU64::new(0));
        let feed = Feed { queue, lost_count: Arc::clone(&lost_count), source: SourceId(3) };
        let loss = FeedLoss { source: SourceId(3), lost_count };
        feed.send(&ended(1));
        feed.send(&ended(2));
        assert_eq!(loss.take(), 1);
        assert_eq!(loss.take(), 0);
        assert_eq!(parcels.recv().unwrap().open().unwrap(), ended(1));
    }
}
