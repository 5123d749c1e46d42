//! Says what is watched and what cannot be seen, at the start and whenever it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use observation::{SourceId, SourceKind, SourceState, SourceStatus};

use super::coverage::SourceStanding;
use crate::sinks::escaped;
use crate::sources::live::itself::Itself;

/// A source that has not spoken by then is called silent.
const PATIENCE: Duration = Duration::from_secs(5);

/// How each source stands, as far as it has been said aloud.
#[derive(Debug)]
pub(super) struct Standing {
    expected: BTreeSet<SourceId>,
    known: BTreeMap<SourceId, (SourceKind, SourceState, String)>,
    started: Instant,
    said: Said,
    itself: Itself,
    complaint: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    NotYet,
    Start,
}

impl Standing {
    pub(super) fn new(expected: BTreeSet<SourceId>, itself: Itself) -> Self {
        Self {
            expected,
            known: BTreeMap::new(),
            started: Instant::now(),
            said: Said::NotYet,
            itself,
            complaint: String::new(),
        }
    }

    /// Takes in a source's word; says it when the start has been said.
    pub(super) fn note(&mut self, status: &SourceStatus<'_>) {
        let now = (status.kind, status.state, status.detail.to_string());
        let before = self.known.insert(status.source, now.clone());
        if self.said == Said::Start && before.as_ref() != Some(&now) {
            eprintln!("tidewaiter: {} {}", state_name(now.1), escaped(&now.2));
        }
    }

    /// Says the start, once every source has spoken or has had its time.
    pub(super) fn speak(&mut self) {
        let complete = self.expected.iter().all(|source| self.known.contains_key(source));
        if self.said == Said::Start || !complete && self.started.elapsed() < PATIENCE {
            return;
        }
        self.said = Said::Start;
        let seen: Vec<_> = self.details(|state| state == SourceState::Open).collect();
        eprintln!("tidewaiter: watching this host: {}", seen.join(", "));
        for blind in self.details(|state| state != SourceState::Open) {
            eprintln!("tidewaiter: cannot see: {blind}");
        }
        if thread::spawn(sys::thread::react_at_once).join().is_ok_and(|tried| tried.is_err()) {
            eprintln!(
                "tidewaiter: cannot see: every process that lives for milliseconds, on a busy \
                 machine: without CAP_SYS_NICE its readers wait for their turn"
            );
        }
        if self.itself.container.is_some() {
            eprintln!("tidewaiter: its own container is not judged");
        }
    }

    /// Says what went wrong, once for each kind of wrong.
    pub(super) fn complain(&mut self, complaint: &str) {
        if self.complaint != complaint {
            eprintln!("tidewaiter: {}", escaped(complaint));
            complaint.clone_into(&mut self.complaint);
        }
    }

    /// How they stand.
    pub(super) fn sources(&self) -> Vec<SourceStanding> {
        let all = self.known.iter().map(|(source, (kind, state, detail))| SourceStanding {
            source: source.0,
            kind: *kind,
            state: *state,
            detail: detail.clone(),
        });
        all.collect()
    }

    fn details(&self, wanted: impl Fn(SourceState) -> bool) -> impl Iterator<Item = String> {
        let found = self.known.values().filter(move |(_, state, _)| wanted(*state));
        found.map(|(_, _, detail)| escaped(detail))
    }
}

/// A state in a word.
pub(in crate::commands) const fn state_name(state: SourceState) -> &'static str {
    match state {
        SourceState::Open => "open:",
        SourceState::Degraded => "degraded:",
        SourceState::Closed => "closed:",
    }
}
