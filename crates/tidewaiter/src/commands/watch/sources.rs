//! Starts the live sources, and ends them.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::Context;
use observation::{SourceId, SourceKind, SourceState, Time};

use super::coverage::RingState;
use crate::pipeline::Totals;
use crate::record::Recorder;
use crate::sources::captures::Reading;
use crate::sources::live::attachment::Attacher;
use crate::sources::live::feed::{Feed, FeedLoss, Feeds, Parcel};
use crate::sources::live::held::{HeldCounts, HeldLimits, HeldPackets};
use crate::sources::live::itself::Itself;
use crate::sources::live::manifest::{PortCheck, Sums};
use crate::sources::live::packets::{HostUse, PacketSource, Ports, RingCounts, Shared, Side};
use crate::sources::live::processes::{self, ProcessReader};
use crate::sources::live::runtime::{Inspector, Runtime, Surroundings};
use crate::sources::live::snapshots::Snapshots;
use crate::sources::live::{
    COUNTERS, HOST_PACKETS, INSPECTOR, PACKETS, PROCESSES, RUNTIME, RecordCounts, SOCKETS, Stop,
    Voice, sockets,
};
use crate::sources::runtime_api::RuntimeApi;
use crate::timestamp;

/// Runtimes of one machine.
const RUNTIME_COUNT_MAX: u16 = 8;

/// The sources, running.
pub(super) struct Live {
    shared: Shared,
    snapshots: Arc<Snapshots>,
    containers: Arc<RingCounts>,
    host: Arc<RingCounts>,
    records: Vec<(&'static str, Arc<RecordCounts>)>,
    reader: Arc<ProcessReader>,
    threads: Vec<JoinHandle<()>>,
    runtime_count: u16,
    /// What the queue lost, by source.
    pub(super) losses: Vec<FeedLoss>,
    /// This very program.
    pub(super) itself: Itself,
}

/// What they have to say at their end.
pub(super) struct Ended {
    pub(super) totals: Totals,
    pub(super) rings: [RingState; 2],
    pub(super) checks: Vec<PortCheck>,
    pub(super) sums: Sums,
    pub(super) evidence: HeldCounts,
}

impl Live {
    /// Opens the ring first, so that whatever starts afterwards is seen from its first packet.
    /// Runtimes are asked for what they have told since the watch before.
    pub(super) fn start(
        recorder: Option<Arc<Recorder>>,
        seed: u64,
        since: Option<Time>,
    ) -> anyhow::Result<(Self, Receiver<Parcel>)> {
        let (mut feeds, parcels) = Feeds::new();
        let ports = Ports::open(timestamp::now()).context("listing this host's interfaces")?;
        let shared = Shared {
            ports: Arc::new(Mutex::new(ports)),
            held: Arc::new(Mutex::new(HeldPackets::new(HeldLimits::default()))),
            recorder,
            host_use: Arc::new(HostUse::new()),
            stop: Stop::default(),
        };
        let voice = Arc::new(Voice::new(feeds.of(COUNTERS)));
        let attacher = Arc::new(Attacher::start(voice, Arc::clone(&shared.ports))?);
        let process_voice = Arc::new(Voice::new(feeds.of(PROCESSES)));
        let reader = Arc::new(ProcessReader::new(
            process_voice,
            Arc::clone(&attacher),
            Arc::clone(&shared.host_use),
        )?);
        let mut live = Self {
            shared,
            snapshots: Arc::default(),
            containers: Arc::default(),
            host: Arc::default(),
            records: Vec::new(),
            reader,
            threads: Vec::new(),
            runtime_count: 0,
            losses: Vec::new(),
            itself: Itself::look(),
        };
        live.packets(feeds.of(PACKETS), feeds.of(HOST_PACKETS), seed)?;
        live.kernel_events(Voice::new(feeds.of(SOCKETS)))?;
        live.runtimes(&mut feeds, &attacher, since)?;
        live.losses = feeds.into_losses();
        Ok((live, parcels))
    }

    fn packets(&mut self, feed: Feed, host_feed: Feed, seed: u64) -> anyhow::Result<()> {
        let (shared, counts) = (self.shared.clone(), Arc::clone(&self.containers));
        let source = PacketSource::open(Side::Containers, feed, shared, counts, seed)
            .context("without packets there is nothing to judge; run as root, or see `doctor`")?;
        self.spawn("packets", move || source.follow())?;
        let (shared, counts) = (self.shared.clone(), Arc::clone(&self.host));
        let voice = Voice::new(host_feed.clone());
        match PacketSource::open(Side::Host, host_feed, shared, counts, seed) {
            Ok(source) => self.spawn("host-packets", move || source.follow()),
            Err(error) => {
                let detail = format!("packets of the host's own interfaces: {error}");
                voice.stand(SourceKind::Packets, SourceState::Closed, &detail);
                Ok(())
            }
        }
    }

    fn kernel_events(&mut self, socket_voice: Voice) -> anyhow::Result<()> {
        let counts = Arc::<RecordCounts>::default();
        self.records.push(("socket events", Arc::clone(&counts)));
        let (reader, stop) = (Arc::clone(&self.reader), self.shared.stop.clone());
        self.spawn("sockets", move || sockets::follow(&socket_voice, &reader, &counts, &stop))?;
        let (reader, stop) = (Arc::clone(&self.reader), self.shared.stop.clone());
        self.spawn("processes", move || processes::follow(&reader, &stop))
    }

    fn runtimes(
        &mut self,
        feeds: &mut Feeds,
        attacher: &Attacher,
        since: Option<Time>,
    ) -> anyhow::Result<()> {
        let apis = RuntimeApi::discover();
        if apis.is_empty() {
            let voice = Voice::new(feeds.of(RUNTIME));
            let detail = "container runtime: no socket of Docker or Podman; containers have no \
                          names ($DOCKER_HOST chooses one)";
            voice.stand(SourceKind::RuntimeEvents, SourceState::Closed, detail);
        }
        for (number, api) in (0..RUNTIME_COUNT_MAX).zip(apis) {
            let around = Surroundings {
                voice: Arc::new(Voice::new(feeds.of(SourceId(INSPECTOR.0 + number)))),
                snapshots: Arc::clone(&self.snapshots),
                recorder: self.shared.recorder.clone(),
                host_use: Arc::clone(&self.shared.host_use),
                owners: Arc::clone(&attacher.owners),
                reader: Arc::clone(&self.reader),
            };
            let inspector = Arc::new(Inspector::start(&api, around)?);
            self.reader.ask_through(&inspector);
            self.records.push(("descriptions", Arc::clone(&inspector.counts)));
            let voice = Arc::new(Voice::new(feeds.of(SourceId(RUNTIME.0 + number))));
            let recorder = self.shared.recorder.clone();
            let runtime = Runtime::new(api, voice, inspector, recorder, since);
            self.records.push(("runtime events", Arc::clone(&runtime.counts)));
            let stop = self.shared.stop.clone();
            self.spawn("runtime", move || runtime.follow(&stop))?;
            self.runtime_count += 1;
        }
        Ok(())
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
        self.threads.push(thread::Builder::new().name(name.into()).spawn(run)?);
        Ok(())
    }

    /// The sources that say how they stand at the start.
    pub(super) fn expected_sources(&self) -> BTreeSet<SourceId> {
        let runtimes = 0..self.runtime_count.max(1);
        let runtimes = runtimes.map(|number| SourceId(RUNTIME.0 + number));
        [PACKETS, PROCESSES, SOCKETS].into_iter().chain(runtimes).collect()
    }

    /// The runtimes' event streams.
    pub(super) fn event_sources(&self) -> BTreeSet<SourceId> {
        (0..self.runtime_count).map(|number| SourceId(RUNTIME.0 + number)).collect()
    }

    /// The last packets of each port.
    pub(super) fn held(&self) -> Arc<Mutex<HeldPackets>> {
        Arc::clone(&self.shared.held)
    }

    /// What the limits did to it.
    pub(super) fn held_counts(&self) -> HeldCounts {
        lock(&self.shared.held).counts
    }

    /// The last descriptions of containers.
    pub(super) fn snapshots(&self) -> Arc<Snapshots> {
        Arc::clone(&self.snapshots)
    }

    /// Both rings' counts.
    pub(super) fn rings(&self) -> [RingState; 2] {
        [&self.containers, &self.host].map(|counts| {
            let tally = counts.tally();
            let totals = Totals::of_packets(&Reading::default(), &tally);
            RingState {
                read_count: tally.packets,
                understood_count: totals.understood_count,
                dropped_count: counts.dropped.load(Ordering::Relaxed),
            }
        })
    }

    /// Each port's comparison.
    pub(super) fn checks(&self) -> Vec<PortCheck> {
        lock(&self.shared.ports).manifest.checks()
    }

    /// All ports'.
    pub(super) fn sums(&self) -> Sums {
        lock(&self.shared.ports).manifest.sums()
    }

    /// Ends the sources and waits for those that have packets to hand over.
    pub(super) fn end(mut self) -> Ended {
        self.shared.stop.now();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        let rings = self.rings();
        let tally = self.containers.tally().plus(&self.host.tally());
        let reading = Reading { packet_count: tally.packets, ..Reading::default() };
        let mut totals = Totals::of_packets(&reading, &tally);
        for ring in rings {
            totals.dropped("packets without room in the ring", ring.dropped_count);
        }
        // They were judged; only what is held of them, in case there is an alert, is less.
        let evidence = self.held_counts();
        totals.forgotten("packets held as evidence without their ends", evidence.cut_count);
        totals.forgotten("older packets no longer held as evidence", evidence.evicted_count);
        let processes = &self.reader.counts;
        let records = self.records.iter().map(|(name, counts)| (*name, counts.as_ref()));
        for (name, counts) in records.chain([("processes", processes)]) {
            let read = counts.read.load(Ordering::Relaxed);
            let not_understood = counts.not_understood.load(Ordering::Relaxed).min(read);
            totals.record_count += read;
            totals.understood_count += read - not_understood;
            totals.not_understood(name, not_understood);
            totals.dropped(name, counts.lost.load(Ordering::Relaxed));
        }
        let (checks, sums) = (self.checks(), self.sums());
        Ended { totals, rings, checks, sums, evidence }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
