//! Who started it: the runtime's client on the host whose words are the container's.

use alloc::borrow::Cow;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use observation::{ProcessStarted, Time};
use serde::{Deserialize, Serialize};

use super::Container;
use crate::alert::Actor;
use crate::limits::Limits;

/// A client runs at most this long before its container is created (an image may be pulled first).
const BEFORE_MS_MAX: u64 = 60_000;

/// A command line is kept up to here.
const WORD_COUNT_MAX: usize = 256;

const CLIENTS: &[&str] = &["docker", "podman", "nerdctl", "ctr"];
const VERBS: &[&str] = &["run", "create"];

/// One run of a runtime's client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Client {
    pid: u32,
    parent_pid: u32,
    uid: Option<u32>,
    arguments: Vec<String>,
    from: Time,
    to: Time,
}

impl Client {
    pub(crate) fn view(&self) -> Actor {
        Actor { pid: self.pid, uid: self.uid, command: self.arguments.join(" ") }
    }

    /// Whether its words name this image, and end with this command.
    fn could_have_made(&self, container: &Container) -> bool {
        let image = container.image();
        let Some(place) = self.arguments.iter().rposition(|word| names_image(word, image)) else {
            return false;
        };
        let words = self.arguments.get(place + 1..).unwrap_or_default();
        container.command().ends_with(words)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Actors {
    clients: VecDeque<Client>,
    client_count_max: usize,
    evicted_count: u64,
}

impl Actors {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            clients: VecDeque::new(),
            client_count_max: limits.client_count_max,
            evicted_count: 0,
        }
    }

    pub(super) fn observe(&mut self, at: Time, fact: &ProcessStarted<'_>) {
        // A program inside of a container could pretend: its words prove nothing about the host.
        if fact.container.is_some() {
            return;
        }
        let mut words = fact.arguments.iter();
        let Some(program) = words.next() else { return };
        let program = program.rsplit('/').next().unwrap_or_default();
        if !CLIENTS.contains(&program) || !words.any(|word| VERBS.contains(&word.as_ref())) {
            return;
        }
        // One execution may be told twice.
        let pid = fact.process.pid;
        if self.clients.iter().any(|known| known.pid == pid && known.to >= at) {
            return;
        }
        if self.clients.len() >= self.client_count_max {
            self.clients.pop_front();
            self.evicted_count += 1;
        }
        self.clients.push_back(Client {
            pid,
            parent_pid: fact.parent_pid,
            uid: fact.uid,
            arguments: words_of(fact),
            from: at,
            to: Time::NEVER,
        });
    }

    pub(super) fn ended(&mut self, at: Time, pid: u32) {
        for client in self.clients.iter_mut().filter(|client| client.pid == pid) {
            if client.from <= at {
                client.to = client.to.min(at);
            }
        }
    }

    /// Nobody has watched from then on for a while: who ran until then may have ended.
    pub(super) fn lost_sight(&mut self, from: Time) {
        for client in self.clients.iter_mut().filter(|client| client.from <= from) {
            client.to = client.to.min(from);
        }
    }

    /// The client that was running when the container was created, if only one could have made it.
    pub(super) fn of(&self, container: &Container) -> Option<&Client> {
        let created = container.created()?;
        let earliest = Time(created.0.saturating_sub(BEFORE_MS_MAX * 1_000_000));
        let fits = |client: &&Client| {
            client.from >= earliest
                && client.from <= created
                && created <= client.to
                && client.could_have_made(container)
        };
        let fitting = || self.clients.iter().filter(fits);
        // Podman without root runs itself again in a namespace of its own: one act, two processes.
        let mut first =
            fitting().filter(|client| !fitting().any(|other| other.pid == client.parent_pid));
        let only = first.next()?;
        first.next().is_none().then_some(only)
    }

    pub(super) const fn evicted_count(&self) -> u64 {
        self.evicted_count
    }
}

/// Whether a word on a command line means this image: as the runtime calls it, or shorter. Docker
/// keeps what was typed; Podman writes registry and tag in front and behind
/// (`localhost/alpine:latest`).
fn names_image(word: &str, image: &str) -> bool {
    let untagged = image.strip_suffix(":latest").unwrap_or(image);
    [image, untagged].into_iter().any(|name| {
        let Some(before) = name.strip_suffix(word).filter(|_| !word.is_empty()) else {
            return false;
        };
        before.is_empty() || is_registry(before)
    })
}

/// `localhost/`, `docker.io/library/`: a first part that is a host's name, as registries have.
fn is_registry(before: &str) -> bool {
    let Some(path) = before.strip_suffix('/') else { return false };
    let host = path.strip_suffix("/library").unwrap_or(path);
    host == "localhost" || (!host.contains('/') && host.contains(['.', ':']))
}

fn words_of(fact: &ProcessStarted<'_>) -> Vec<String> {
    let words = fact.arguments.iter().take(WORD_COUNT_MAX);
    words.map(|word| Cow::clone(word).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::names_image;

    #[test]
    fn an_image_is_called_by_what_was_typed_or_by_its_whole_name() {
        assert!(names_image("alpine", "alpine"));
        assert!(names_image("alpine", "alpine:latest"));
        assert!(names_image("alpine", "localhost/alpine:latest"));
        assert!(names_image("alpine:3.20", "docker.io/library/alpine:3.20"));
        assert!(names_image("team/shop", "registry.example:5000/team/shop:latest"));
    }

    #[test]
    fn another_image_that_ends_alike_is_another_image() {
        assert!(!names_image("pine", "alpine"));
        assert!(!names_image("alpine", "mine/alpine"));
        assert!(!names_image("alpine", "registry.example/team/alpine:latest"));
        assert!(!names_image("alpine", "alpine:3.20"));
        assert!(!names_image("", "alpine"));
    }
}
