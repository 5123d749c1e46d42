//! Sockets with their owners: which process and cgroup opened each one, and its addresses.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use observation::{
    Endpoint, Fact, GapCause, SocketOpened, SocketTuple, SourceKind, SourceState, Time, Transport,
};
use sys::bpf::{SocketEvent, SocketEvents};

use super::processes::{ProcessReader, Whose};
use super::{RecordCounts, Stop, Voice, be_on_time};
use crate::timestamp;

const WAIT: Duration = Duration::from_millis(250);
const REST: Duration = Duration::from_millis(1);
/// Events taken before the stop flag is looked at.
const BATCH_COUNT_MAX: usize = 1 << 16;
/// A machine has some hundred.
const HOST_CGROUP_COUNT_MAX: usize = 4096;

/// Follows socket events until the stop. Without them, says what is missing and why.
pub(crate) fn follow(voice: &Voice, reader: &ProcessReader, counts: &RecordCounts, stop: &Stop) {
    let opened = match reader.cgroups() {
        Some(cgroups) => SocketEvents::open(cgroups).map_err(|error| error.to_string()),
        None => Err("only version 1 of cgroups is mounted here".to_owned()),
    };
    let mut events = match opened {
        Ok(events) => events,
        Err(why) => {
            let detail = format!(
                "socket events: {why}; flows are not joined to processes, and containers on the \
                 host's network cannot be told from the host"
            );
            voice.stand(SourceKind::SocketEvents, SourceState::Degraded, &detail);
            return;
        }
    };
    voice.stand(SourceKind::SocketEvents, SourceState::Open, "socket events");
    let mut take = Taking { voice, reader, host_cgroups: BTreeSet::new() };
    be_on_time();
    let (mut lost, mut checked_at) = (0, timestamp::now());
    while !stop.is_set() {
        if let Err(error) = events.wait(WAIT) {
            voice.stand(SourceKind::SocketEvents, SourceState::Closed, &error.to_string());
            return;
        }
        let mut read = 0;
        // The first event is taken at once, since its process may be gone in a moment. Where one
        // follows the other, each of them would wake us anew, at its sender's cost.
        loop {
            let fresh = events.drain(|event| take.event(event));
            read += fresh;
            if fresh == 0 || read > BATCH_COUNT_MAX {
                break;
            }
            thread::sleep(REST);
        }
        counts.read.fetch_add(u64::try_from(read).unwrap_or(0), Ordering::Relaxed);
        counts.not_understood.store(events.not_understood_count(), Ordering::Relaxed);
        let lost_now = events.lost_count().unwrap_or(lost);
        if lost_now > lost {
            counts.lost.store(lost_now, Ordering::Relaxed);
            voice.gap(checked_at, lost_now - lost, GapCause::KernelDrop);
            lost = lost_now;
        }
        checked_at = timestamp::now();
    }
}

/// Hands on the sockets of containers, and of whoever else is not plainly the host.
struct Taking<'a> {
    voice: &'a Voice,
    reader: &'a ProcessReader,
    /// Cgroups of the host's own services, which open most sockets of a machine.
    host_cgroups: BTreeSet<u64>,
}

impl Taking<'_> {
    fn event(&mut self, event: SocketEvent) {
        match event {
            SocketEvent::Opened(opened) => self.opened(&opened),
            SocketEvent::Tuple(tuple) if self.host_cgroups.contains(&tuple.cgroup) => {}
            SocketEvent::Tuple(tuple) => {
                let fact = SocketTuple {
                    cookie: tuple.cookie,
                    cgroup: tuple.cgroup,
                    transport: transport(tuple.transport),
                    local: endpoint(tuple.local),
                    remote: endpoint(tuple.remote),
                };
                self.voice.say(Time(tuple.at_ns), Fact::SocketTuple(fact));
            }
        }
    }

    fn opened(&mut self, opened: &sys::bpf::SocketOpened) {
        let at = Time(opened.at_ns);
        // It may be gone in a moment, and its execution may have been missed.
        if self.reader.acted(opened.pid, at) == Some(Whose::Host) {
            if self.host_cgroups.len() < HOST_CGROUP_COUNT_MAX {
                self.host_cgroups.insert(opened.cgroup);
            }
            return;
        }
        self.host_cgroups.remove(&opened.cgroup);
        let fact = SocketOpened {
            cookie: opened.cookie,
            cgroup: opened.cgroup,
            pid: opened.pid,
            transport: transport(opened.transport),
            remote: endpoint(opened.remote),
        };
        self.voice.say(at, Fact::SocketOpened(fact));
    }
}

/// A socket for both families names an IPv4 address as a mapped one; its packets do not.
const fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint { address: address.ip().to_canonical(), port: address.port() }
}

const fn transport(transport: sys::bpf::Transport) -> Transport {
    match transport {
        sys::bpf::Transport::Tcp => Transport::Tcp,
        sys::bpf::Transport::Udp => Transport::Udp,
        sys::bpf::Transport::Other(1 | 58) => Transport::Icmp,
        sys::bpf::Transport::Other(number) => Transport::Other(number),
    }
}
