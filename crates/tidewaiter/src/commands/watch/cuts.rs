//! Keeps the isolations whole that somebody has ordered: a restart of the container, or a network
//! that is connected after the cut, is cut as soon as it is seen.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use observation::{Fact, FlowId};

use crate::responders::{Condition, Done, Progress, Standing, conditions, mend};
use crate::sinks::escaped;
use crate::sources::live::feed::Parcel;
use crate::sources::live::runtime::hex;
use crate::store::Store;

/// Without word of a container every cut is looked at this often: somebody may have ordered another
/// one meanwhile, or have emptied a table.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After word of one it is looked at so often, for so many looks: the word of a start comes before
/// there is anything to cut.
const LOOK_SOON: Duration = Duration::from_millis(150);
const SOON_COUNT: u32 = 12;

/// The thread that keeps cuts whole, and whom it keeps.
pub(super) struct Cuts {
    wake: SyncSender<()>,
    kept: Arc<Mutex<BTreeSet<String>>>,
    thread: JoinHandle<()>,
}

impl Cuts {
    /// Starts it for the store in this folder.
    pub(super) fn start(folder: &Path) -> anyhow::Result<Self> {
        let store = Store::open(folder)?;
        let kept = Arc::<Mutex<BTreeSet<String>>>::default();
        // One call is enough however many there are: every cut is looked at then.
        let (wake, calls) = sync_channel(1);
        let mut keeper = Keeper { store, kept: Arc::clone(&kept), complaint: String::new() };
        let thread =
            thread::Builder::new().name("cuts".into()).spawn(move || keeper.work(&calls))?;
        Ok(Self { wake, kept, thread })
    }

    /// Takes notice of a fact that may be about the start or the network of a container that is cut
    /// off. Called before the facts are put in order, which would take longer than its first words.
    pub(super) fn notice(&self, parcel: &Parcel) {
        if parcel.flow != FlowId(0) || lock(&self.kept).is_empty() {
            return;
        }
        let Some(observation) = parcel.open() else { return };
        let id = match &observation.fact {
            Fact::NetworkAttached(attached) => attached.id,
            Fact::Container(container) => container.id,
            Fact::ProcessStarted(started) => match started.container {
                Some(id) => id,
                None => return,
            },
            _ => return,
        };
        if lock(&self.kept).contains(&hex(id)) {
            // A full channel means that it is called already.
            let _ = self.wake.try_send(());
        }
    }

    /// Ends it; what stands, stands.
    pub(super) fn finish(self) {
        drop(self.wake);
        let _ = self.thread.join();
    }
}

struct Keeper {
    store: Store,
    kept: Arc<Mutex<BTreeSet<String>>>,
    complaint: String,
}

impl Keeper {
    fn work(&mut self, calls: &Receiver<()>) {
        let mut soon = 0_u32;
        loop {
            if let Err(error) = self.look() {
                self.complain(&format!("looking after the isolations: {error:#}"));
            }
            match calls.recv_timeout(if soon > 0 { LOOK_SOON } else { LOOK_EVERY }) {
                Ok(()) => soon = SOON_COUNT,
                Err(RecvTimeoutError::Timeout) => soon = soon.saturating_sub(1),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn look(&mut self) -> anyhow::Result<()> {
        let all = conditions(&self.store)?;
        let ids = all.iter().map(|(standing, _)| standing.detail.container.clone());
        *lock(&self.kept) = ids.collect();
        for (standing, condition) in &all {
            // An intent is somebody's who is just cutting it off, or has failed to.
            if let (Condition::Hole(hole), Progress::Done) = (condition, &standing.detail.progress)
            {
                let done = mend(&mut self.store, &standing.alert, standing, hole)?;
                self.tell(standing, &hole.why, &done);
            }
        }
        Ok(())
    }

    fn tell(&mut self, standing: &Standing, why: &str, done: &Done) {
        let name = escaped(&standing.detail.name);
        match done {
            Done::Isolated(receipt, _, holds, _) => {
                eprintln!(
                    "tidewaiter: cut off {name} again, because {why} (receipt {receipt}): {holds}"
                );
            }
            Done::Failed(_, failure) => {
                let failure = escaped(failure);
                self.complain(&format!("{name} is not cut off: {why}; {failure}"));
            }
            _ => {}
        }
    }

    fn complain(&mut self, complaint: &str) {
        if self.complaint != complaint {
            eprintln!("tidewaiter: {complaint}");
            complaint.clone_into(&mut self.complaint);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
