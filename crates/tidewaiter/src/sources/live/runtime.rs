//! One container runtime: its events as they come, and what it says of each container.

mod inspect;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use formats::{Parsed, docker_events};
use observation::{ContainerId, ContainerState, Fact, GapCause, SourceKind, SourceState, Time};

use super::{RecordCounts, Stop, Voice};
use crate::record::Recorder;
use crate::sources::runtime_api::{EventRead, EventStream, RuntimeApi};
use crate::timestamp;
pub(crate) use inspect::{Asking, Inspector, Surroundings};

/// How long a runtime that went away is left alone before it is asked again.
const RETRY: Duration = Duration::from_secs(2);
const STOP_LOOK: Duration = Duration::from_millis(100);

/// One runtime's events.
pub(crate) struct Runtime {
    api: RuntimeApi,
    voice: Arc<Voice>,
    inspector: Arc<Inspector>,
    recorder: Option<Arc<Recorder>>,
    /// The last event's time: from here on it is asked again after a break.
    last: Option<Time>,
    /// How its lines fared.
    pub(crate) counts: Arc<RecordCounts>,
}

impl Runtime {
    pub(crate) fn new(
        api: RuntimeApi,
        voice: Arc<Voice>,
        inspector: Arc<Inspector>,
        recorder: Option<Arc<Recorder>>,
        last: Option<Time>,
    ) -> Self {
        Self { api, voice, inspector, recorder, last, counts: Arc::default() }
    }

    /// Follows it until the stop, through its restarts.
    pub(crate) fn follow(mut self, stop: &Stop) {
        let name = self.api.socket().display().to_string();
        let mut was_open = true;
        while !stop.is_set() {
            match self.api.events(self.last.map(after)) {
                Ok(stream) => {
                    self.voice.stand(SourceKind::RuntimeEvents, SourceState::Open, &name);
                    was_open = true;
                    self.list();
                    self.read(stream, stop);
                    if !stop.is_set() {
                        let from = self.last.unwrap_or_else(timestamp::now);
                        // Nobody says how many: a daemon forgets its events when it ends.
                        self.voice.gap(from, 1, GapCause::Silent);
                        was_open = false;
                        let detail = format!("{name}: the runtime went away");
                        let state = SourceState::Closed;
                        self.voice.stand(SourceKind::RuntimeEvents, state, &detail);
                    }
                }
                Err(error) if was_open => {
                    was_open = false;
                    let detail = format!("{name}: {error}");
                    self.voice.stand(SourceKind::RuntimeEvents, SourceState::Closed, &detail);
                }
                Err(_) => {}
            }
            let retry_at = Instant::now() + RETRY;
            while !stop.is_set() && Instant::now() < retry_at {
                thread::sleep(STOP_LOOK);
            }
        }
    }

    /// Asks for every container that runs. After the stream was opened, so that none falls between.
    fn list(&self) {
        let Ok(list) = self.api.containers() else { return };
        for container in list.as_array().into_iter().flatten() {
            if let Some(id) = container.get("Id").and_then(serde_json::Value::as_str) {
                self.inspector.ask(id, timestamp::now(), Asking::Quick);
            }
        }
    }

    fn read(&mut self, mut stream: EventStream, stop: &Stop) {
        while !stop.is_set() {
            match stream.next() {
                EventRead::Quiet => {}
                EventRead::Line(line) => self.take(line),
                EventRead::Overlong => {
                    self.counts.read.fetch_add(1, Ordering::Relaxed);
                    self.counts.not_understood.fetch_add(1, Ordering::Relaxed);
                }
                EventRead::Ended(_) => return,
            }
        }
    }

    fn take(&mut self, line: &[u8]) {
        if let Some(recorder) = &self.recorder {
            recorder.event(line);
        }
        self.counts.read.fetch_add(1, Ordering::Relaxed);
        let (voice, inspector, last) = (&self.voice, &self.inspector, &mut self.last);
        if let Some(exec) = started_exec(line) {
            inspector.ask(&exec, timestamp::now(), Asking::Exec);
        }
        let parsed = docker_events::parse(line, voice.source(), &mut |observation| {
            *last = Some(last.map_or(observation.at, |last| last.max(observation.at)));
            if let Some(id) = ended(&observation.fact) {
                inspector.ended(id);
            }
            if let Some((id, asking)) = question(&observation.fact) {
                inspector.ask(&hex(id), observation.at, asking);
            }
            voice.say(observation.at, observation.fact);
        });
        if let Parsed::NotUnderstood(_) = parsed {
            self.counts.not_understood.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The container that has ended.
fn ended(fact: &Fact<'_>) -> Option<ContainerId> {
    match fact {
        Fact::Container(container) => {
            let ended =
                matches!(container.state, ContainerState::Exited(_) | ContainerState::Removed);
            ended.then_some(container.id)
        }
        _ => None,
    }
}

/// Whom to ask about after an event. At `network connect` the runtime answers only once the
/// container's process is there, which is before its program runs.
fn question(fact: &Fact<'_>) -> Option<(ContainerId, Asking)> {
    match fact {
        Fact::NetworkAttached(attached) if attached.detached.is_none() => {
            Some((attached.id, Asking::Slow))
        }
        Fact::Container(container) => match container.state {
            ContainerState::Created | ContainerState::Running => {
                Some((container.id, Asking::Quick))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The runtime's id for a program that it starts in a container.
fn started_exec(line: &[u8]) -> Option<String> {
    // Looked for first, because few lines have it and each would be parsed twice.
    const MARK: &[u8] = b"exec_start";
    if !line.windows(MARK.len()).any(|window| window == MARK) {
        return None;
    }
    let event: serde_json::Value = serde_json::from_slice(line).ok()?;
    let id = event.pointer("/Actor/Attributes/execID")?.as_str()?;
    Some(id.to_owned())
}

fn after(last: Time) -> (u64, u32) {
    let next = last.0.saturating_add(1);
    (next / 1_000_000_000, u32::try_from(next % 1_000_000_000).unwrap_or(0))
}

/// An id as the runtime writes it.
pub(crate) fn hex(id: ContainerId) -> String {
    use std::fmt::Write;
    id.0.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
