//! Executions, ends, forks and changes of user as they happen: the kernel's process connector,
//! `linux/cn_proc.h`.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::clock::Offsets;
use crate::error::{Error, Result};
use crate::native::{u32_at, u64_at};
use crate::netlink::{self, Message, Received, Socket};

/// Which events the kernel is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Executions and ends.
    Executions,
    /// Forks and changes of user as well.
    Everything,
}

/// Something happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessEvent {
    /// The process, as the host numbers it.
    pub pid: u32,
    /// When, in nanoseconds since the epoch.
    pub at_ns: u64,
    /// What.
    pub kind: ProcessEventKind,
}

/// What happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEventKind {
    /// It was made by `parent_pid`.
    Forked {
        /// Its parent.
        parent_pid: u32,
    },
    /// It runs another program now.
    Executed,
    /// It runs as another user now.
    UserChanged {
        /// Its real user id.
        real_uid: u32,
        /// Its effective user id.
        effective_uid: u32,
    },
    /// It ended.
    Ended {
        /// Its exit code, when it exited by itself.
        exit_code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
    },
}

/// What the connector delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectorItem {
    /// An event.
    Event(ProcessEvent),
    /// The kernel had no room for some events, how many it does not say.
    Lost,
}

/// An open process connector.
#[derive(Debug)]
pub struct ProcessConnector {
    socket: Socket,
    offsets: Offsets,
    /// The event time at which `offsets` were taken.
    offsets_at_ns: u64,
}

impl ProcessConnector {
    /// Subscribes. The connector works in the host's network and pid namespaces only.
    ///
    /// # Errors
    /// When the kernel has no process connector, or (before 6.6) without `CAP_NET_ADMIN`.
    pub fn open(interest: Interest) -> Result<Self> {
        let mut socket = Socket::open(libc::NETLINK_CONNECTOR, CONNECTOR_PROCESS)
            .map_err(|error| error.needs("CAP_NET_ADMIN"))?;
        socket.set_buffer(BUFFER_BYTES)?;
        let mask = match interest {
            Interest::Executions => EXECUTED | ENDED,
            Interest::Everything => EXECUTED | ENDED | FORKED | USER_CHANGED,
        };
        // Kernels before 6.6 understand the first form only, later ones let the second one replace
        // it.
        for payload in [&[LISTEN][..], &[LISTEN, mask]] {
            let sequence = socket.next_sequence();
            socket.send(&listen(payload).finish(sequence)).map_err(|error| {
                Error::of("subscribing to process events", error).needs("CAP_NET_ADMIN")
            })?;
        }
        Ok(Self { socket, offsets: Offsets::now(), offsets_at_ns: 0 })
    }

    /// Changes how many bytes of events the kernel keeps while nobody reads.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn set_buffer_bytes(&self, bytes: u32) -> Result<()> {
        self.socket.set_buffer(i32::try_from(bytes).unwrap_or(i32::MAX))
    }

    /// The next event; `None` when nothing came in time.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<ConnectorItem>> {
        for _ in 0..SKIP_COUNT_MAX {
            let parsed = match self.socket.receive(timeout) {
                Err(error) => return Err(Error::of("receiving process events", error)),
                Ok(Received::TimedOut) => return Ok(None),
                Ok(Received::Overrun) => return Ok(Some(ConnectorItem::Lost)),
                Ok(Received::Datagram(bytes)) => {
                    netlink::replies(bytes).next().and_then(|reply| parse(reply.payload))
                }
            };
            // Acknowledgements and threads are passed over.
            let Some(event) = parsed else { continue };
            if event.at_ns.abs_diff(self.offsets_at_ns) > OFFSETS_AGE_NS_MAX {
                (self.offsets, self.offsets_at_ns) = (Offsets::now(), event.at_ns);
            }
            let at_ns = self.offsets.from_monotonic(event.at_ns);
            return Ok(Some(ConnectorItem::Event(ProcessEvent { at_ns, ..event })));
        }
        Ok(None)
    }
}

impl AsFd for ProcessConnector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// `struct cn_msg` with a `struct proc_input`.
fn listen(payload: &[u32]) -> Message {
    let length = u16::try_from(size_of_val(payload)).unwrap_or(0);
    let mut bytes = Vec::new();
    for word in [CONNECTOR_PROCESS, CONNECTOR_VALUE, 0, 0] {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&[0; 2]);
    for word in payload {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    // The connector's messages bear the type of a finished dump.
    Message::new(MESSAGE_TYPE, 0).put(&bytes)
}

/// `struct cn_msg` with a `struct proc_event`; its time still is `CLOCK_MONOTONIC`.
fn parse(payload: &[u8]) -> Option<ProcessEvent> {
    if u32_at(payload, 0)? != CONNECTOR_PROCESS {
        return None;
    }
    let event = payload.get(CONNECTOR_HEADER_BYTES..)?;
    let data = event.get(EVENT_HEADER_BYTES..)?;
    // Each event names a thread and then its process; where they differ, a mere thread is meant.
    let (thread, pid) = (u32_at(data, 0)?, u32_at(data, 4)?);
    let (pid, kind) = match u32_at(event, 0)? {
        FORKED => {
            let (child_thread, child) = (u32_at(data, 8)?, u32_at(data, 12)?);
            if child_thread != child {
                return None;
            }
            (child, ProcessEventKind::Forked { parent_pid: pid })
        }
        EXECUTED => (pid, ProcessEventKind::Executed),
        USER_CHANGED => {
            let (real_uid, effective_uid) = (u32_at(data, 8)?, u32_at(data, 12)?);
            (pid, ProcessEventKind::UserChanged { real_uid, effective_uid })
        }
        ENDED if thread == pid => (pid, ended(u32_at(data, 8)?)),
        _ => return None,
    };
    Some(ProcessEvent { pid, at_ns: u64_at(event, 8)?, kind })
}

/// The status as `wait(2)` encodes it.
fn ended(status: u32) -> ProcessEventKind {
    let signal = (status & 0x7f) as i32;
    match signal {
        0 => ProcessEventKind::Ended { exit_code: Some((status >> 8 & 0xff) as i32), signal: None },
        _ => ProcessEventKind::Ended { exit_code: None, signal: Some(signal) },
    }
}

/// `CN_IDX_PROC` and `CN_VAL_PROC`.
const CONNECTOR_PROCESS: u32 = 1;
const CONNECTOR_VALUE: u32 = 1;
/// `NLMSG_DONE`.
const MESSAGE_TYPE: u16 = 3;
/// `PROC_CN_MCAST_LISTEN`.
const LISTEN: u32 = 1;
const FORKED: u32 = 0x1;
const EXECUTED: u32 = 0x2;
const USER_CHANGED: u32 = 0x4;
const ENDED: u32 = 0x8000_0000;
const CONNECTOR_HEADER_BYTES: usize = 20;
const EVENT_HEADER_BYTES: usize = 16;
/// Room for some ten thousand events while the reader does not run.
const BUFFER_BYTES: i32 = 8 << 20;
/// A flood of uninteresting events must not keep the caller from its stop flag.
const SKIP_COUNT_MAX: usize = 256;
const OFFSETS_AGE_NS_MAX: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn event(what: u32, data: [u32; 4]) -> Vec<u8> {
        let mut words = vec![1, 1, 0, 0, 0, what, 0, 0, 0];
        words.extend(data);
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes[28] = 9;
        bytes
    }

    #[test]
    fn an_execution_names_the_process_not_the_thread() {
        let parsed = parse(&event(EXECUTED, [8, 7, 0, 0])).unwrap();
        assert_eq!(parsed, ProcessEvent { pid: 7, at_ns: 9, kind: ProcessEventKind::Executed });
    }

    #[test]
    fn a_thread_is_neither_born_nor_ended() {
        assert!(parse(&event(FORKED, [7, 7, 8, 7])).is_none());
        assert!(parse(&event(FORKED, [7, 7, 8, 8])).is_some());
        assert!(parse(&event(ENDED, [8, 7, 0, 17])).is_none());
        assert!(parse(&event(ENDED, [7, 7, 0, 17])).is_some());
    }

    #[test]
    fn an_exit_code_is_not_a_signal() {
        let code = |status| parse(&event(ENDED, [7, 7, status, 17])).unwrap().kind;
        assert_eq!(code(0x7f00), ProcessEventKind::Ended { exit_code: Some(127), signal: None });
        assert_eq!(code(0x0009), ProcessEventKind::Ended { exit_code: None, signal: Some(9) });
    }

    #[test]
    fn a_short_event_is_none() {
        let whole = event(EXECUTED, [7, 7, 0, 0]);
        assert!((0..44).all(|length| parse(&whole[..length]).is_none()));
    }
}
