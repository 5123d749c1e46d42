//! The live sources: rings, kernel events, runtimes, counters, and the queue that joins them.

pub(crate) mod attachment;
pub(crate) mod bundle;
pub(crate) mod feed;
pub(crate) mod held;
pub(crate) mod interfaces;
pub(crate) mod itself;
pub(crate) mod manifest;
pub(crate) mod packets;
pub(crate) mod processes;
pub(crate) mod reorder;
pub(crate) mod runtime;
pub(crate) mod snapshots;
pub(crate) mod sockets;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use observation::{
    Fact, Gap, GapCause, Observation, SourceId, SourceKind, SourceState, SourceStatus, Time,
};

use crate::timestamp;
use feed::Feed;

/// The live witnesses. Runtimes are numbered from [`RUNTIME`] on.
pub(crate) const PACKETS: SourceId = SourceId(1);
/// The ring on the host's own interfaces.
pub(crate) const HOST_PACKETS: SourceId = SourceId(2);
/// Executions.
pub(crate) const PROCESSES: SourceId = SourceId(3);
/// Sockets with their owners.
pub(crate) const SOCKETS: SourceId = SourceId(4);
/// Interface counters.
pub(crate) const COUNTERS: SourceId = SourceId(5);
/// The first runtime.
pub(crate) const RUNTIME: SourceId = SourceId(16);
/// Who asks the first runtime about its containers.
pub(crate) const INSPECTOR: SourceId = SourceId(32);

/// Tells every source that the run is over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on.
    pub(crate) fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it is over.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How a source's records fared, for the last line.
#[derive(Debug, Default)]
pub(crate) struct RecordCounts {
    /// Read.
    pub(crate) read: AtomicU64,
    /// Of these, not understood.
    pub(crate) not_understood: AtomicU64,
    /// Known to be missing.
    pub(crate) lost: AtomicU64,
}

/// A source's voice: numbers its Observations and sends them.
#[derive(Debug)]
pub(crate) struct Voice {
    feed: Feed,
    order: AtomicU64,
}

impl Voice {
    pub(crate) const fn new(feed: Feed) -> Self {
        Self { feed, order: AtomicU64::new(0) }
    }

    /// The source that speaks.
    pub(crate) const fn source(&self) -> SourceId {
        self.feed.source()
    }

    /// Says one thing.
    pub(crate) fn say(&self, at: Time, fact: Fact<'_>) {
        let order = self.order.fetch_add(1, Ordering::Relaxed);
        self.feed.send(&Observation { at, witness: self.source(), order, fact });
    }

    /// Says how the source stands from now on.
    pub(crate) fn stand(&self, kind: SourceKind, state: SourceState, detail: &str) {
        let source = self.source();
        let status = SourceStatus { source, kind, state, detail: detail.into() };
        self.say(timestamp::now(), Fact::SourceStatus(status));
    }

    /// Says that something is missing.
    pub(crate) fn gap(&self, from: Time, lost_count: u64, cause: GapCause) {
        let to = timestamp::now();
        self.say(to, Fact::Gap(Gap { source: self.source(), from, to, lost_count, cause }));
    }
}

/// Gives this thread precedence: a container may live for milliseconds. Without CAP_SYS_NICE it
/// goes on as it is, and `doctor` says so.
pub(crate) fn be_on_time() {
    let _ = sys::thread::react_at_once();
}
