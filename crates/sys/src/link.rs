//! Interfaces, their peers and their exact counters: rtnetlink(7).
//!
//! A counter read here is immediate: at rest it equals the sum of the ring's `wire_len` to the
//! byte.

use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::native::{i32_at, text, u32_at, u64_at};
use crate::netlink::{self, Message, Received, Reply, Socket, attribute, attributes};
use crate::netns::PinnedNetns;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index in its namespace.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// Its kind (`veth`, `bridge`, `macvlan` …); empty for hardware.
    pub kind: String,
    /// The bridge or bond that it belongs to.
    pub master: Option<u32>,
    /// The veth's peer, or what a macvlan or VLAN lies on (`iflink`); in the namespace that
    /// `peer_netnsid` names, or in its own.
    pub peer: Option<u32>,
    /// This namespace's number for the peer's namespace.
    pub peer_netnsid: Option<i32>,
    /// `IFF_…`.
    pub flags: u32,
    /// The hardware type (`ARPHRD_…`).
    pub hardware_type: u16,
    /// Its link-layer address; empty when it has none.
    pub address: Vec<u8>,
    /// Its counters at this moment.
    pub counters: LinkCounters,
}

impl Link {
    /// Whether it is administratively up.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.flags & 1 != 0
    }
}

/// An interface's counters, as its own namespace counts them: on the host's end of a veth, `rx` is
/// what comes from the container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Frames received.
    pub rx_packets: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes received, with link headers.
    pub rx_bytes: u64,
    /// Bytes sent, with link headers.
    pub tx_bytes: u64,
    /// Receive errors.
    pub rx_errors: u64,
    /// Send errors.
    pub tx_errors: u64,
    /// Frames dropped on reception.
    pub rx_dropped: u64,
    /// Frames dropped before sending.
    pub tx_dropped: u64,
}

/// Asks about the interfaces of the namespace in which it was opened.
#[derive(Debug)]
pub struct Links {
    socket: Socket,
}

impl Links {
    /// Opens a socket in this thread's namespace; [`crate::netns`] opens it elsewhere.
    ///
    /// # Errors
    /// When the kernel has no netlink.
    pub fn open() -> Result<Self> {
        Ok(Self { socket: Socket::open(libc::NETLINK_ROUTE, 0)? })
    }

    /// All interfaces.
    ///
    /// # Errors
    /// When the kernel refuses, or the list changed during every attempt.
    pub fn all(&mut self) -> Result<Vec<Link>> {
        for _ in 0..ATTEMPT_COUNT_MAX {
            let message =
                Message::new(libc::RTM_GETLINK, libc::NLM_F_DUMP).put(&[0; LINK_HEADER_BYTES]);
            let mut links = Vec::new();
            match self.socket.request(message, |reply| links.extend(parse_link(reply))) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::of("listing interfaces", error)),
                Ok(()) => return Ok(links),
            }
        }
        Err(Error::invalid("listing interfaces", "the list kept changing"))
    }

    /// One interface; `None` when there is none of this index.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn link(&mut self, ifindex: u32) -> Result<Option<Link>> {
        let mut header = [0; LINK_HEADER_BYTES];
        if let Some(field) = header.get_mut(4..8) {
            field.copy_from_slice(&ifindex.to_ne_bytes());
        }
        let message = Message::new(libc::RTM_GETLINK, libc::NLM_F_ACK).put(&header);
        let mut link = None;
        match self.socket.request(message, |reply| link = link.take().or(parse_link(reply))) {
            Ok(()) => Ok(link),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(Error::of(format!("asking for interface {ifindex}"), error)),
        }
    }

    /// The number by which this namespace's interfaces name another namespace (`peer_netnsid`);
    /// `None` while none of them leads there.
    ///
    /// A container can make interfaces of any index in namespaces of its own: only together with
    /// this number does a peer's index say whose it is.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn number_of(&mut self, netns: &PinnedNetns) -> Result<Option<i32>> {
        let fd = netns.as_fd().as_raw_fd().to_ne_bytes();
        let message = Message::new(libc::RTM_GETNSID, libc::NLM_F_ACK)
            .put(&[0; NAMESPACE_HEADER_BYTES])
            .attribute(NAMESPACE_FD, &fd);
        let mut number = None;
        let asked = self.socket.request(message, |reply| {
            let attributes = reply.payload.get(NAMESPACE_HEADER_BYTES..).unwrap_or_default();
            if reply.kind == libc::RTM_NEWNSID {
                number = attribute(attributes, NAMESPACE_NUMBER).and_then(|value| i32_at(value, 0));
            }
        });
        asked.map_err(|error| Error::of("asking for a namespace's number", error))?;
        Ok(number.filter(|number| *number >= 0))
    }

    /// One interface's counters at this moment; `None` when it is gone.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn counters(&mut self, ifindex: u32) -> Result<Option<LinkCounters>> {
        Ok(self.link(ifindex)?.map(|link| link.counters))
    }
}

/// What happened to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// It is new or has changed.
    Changed(Link),
    /// It is gone; its last state and counters.
    Removed(Link),
    /// Events were lost: list all interfaces anew.
    Lost,
}

/// Tells which interfaces come and go.
#[derive(Debug)]
pub struct LinkWatch {
    socket: Socket,
    queue: std::collections::VecDeque<LinkEvent>,
}

impl LinkWatch {
    /// Subscribes in this thread's namespace. Open it before listing, so that nothing falls
    /// between.
    ///
    /// # Errors
    /// When the kernel has no netlink.
    pub fn open() -> Result<Self> {
        let socket = Socket::open(libc::NETLINK_ROUTE, GROUP_LINK)?;
        socket.set_buffer(EVENT_BUFFER_BYTES)?;
        Ok(Self { socket, queue: std::collections::VecDeque::new() })
    }

    /// The next event; `None` when nothing came in time.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<LinkEvent>> {
        if let Some(event) = self.queue.pop_front() {
            return Ok(Some(event));
        }
        match self.socket.receive(timeout) {
            Err(error) => return Err(Error::of("receiving interface events", error)),
            Ok(Received::TimedOut) => return Ok(None),
            Ok(Received::Overrun) => return Ok(Some(LinkEvent::Lost)),
            Ok(Received::Datagram(bytes)) => {
                self.queue.extend(netlink::replies(bytes).filter_map(parse_event));
            }
        }
        Ok(self.queue.pop_front())
    }
}

impl AsFd for LinkWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// An interface inside a container, as its own `/sys` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InnerInterface {
    /// Its name inside.
    pub name: String,
    /// Its index inside.
    pub ifindex: u32,
    /// The index of its peer or parent on the host; its own index where it has none.
    pub iflink: u32,
}

/// The interfaces that a process sees, without entering its namespace.
///
/// A privileged container can mount something else over its `/sys`: where there is `CAP_SYS_ADMIN`,
/// ask its namespace itself.
///
/// # Errors
/// When the process is gone, has no `/sys`, or without `CAP_SYS_PTRACE`.
pub fn interfaces_seen_by(pid: u32) -> Result<Vec<InnerInterface>> {
    let root = format!("/proc/{pid}/root/sys/class/net");
    let entries = std::fs::read_dir(&root)
        .map_err(|error| Error::of(format!("listing {root}"), error).needs("CAP_SYS_PTRACE"))?;
    let mut found = Vec::new();
    for entry in entries.flatten().take(INNER_COUNT_MAX) {
        let number = |file: &str| read_number(&entry.path().join(file));
        if let (Some(ifindex), Some(iflink)) = (number("ifindex"), number("iflink")) {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.push(InnerInterface { name, ifindex, iflink });
        }
    }
    Ok(found)
}

fn read_number(path: &std::path::Path) -> Option<u32> {
    // Not blocking, because a container could have put a pipe there.
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .ok()?;
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn parse_event(reply: Reply<'_>) -> Option<LinkEvent> {
    // A bridge repeats its ports' messages in its own family, without most attributes.
    if reply.payload.first() != Some(&0) {
        return None;
    }
    match reply.kind {
        libc::RTM_NEWLINK => parse_link(reply).map(LinkEvent::Changed),
        libc::RTM_DELLINK => {
            let link = parse_link(Reply { kind: libc::RTM_NEWLINK, ..reply })?;
            Some(LinkEvent::Removed(link))
        }
        _ => None,
    }
}

/// `struct ifinfomsg` and its attributes.
fn parse_link(reply: Reply<'_>) -> Option<Link> {
    if reply.kind != libc::RTM_NEWLINK {
        return None;
    }
    let mut link = Link {
        ifindex: u32_at(reply.payload, 4)?,
        name: String::new(),
        kind: String::new(),
        master: None,
        peer: None,
        peer_netnsid: None,
        flags: u32_at(reply.payload, 8)?,
        hardware_type: crate::native::u16_at(reply.payload, 2)?,
        address: Vec::new(),
        counters: LinkCounters::default(),
    };
    for (kind, value) in attributes(reply.payload.get(LINK_HEADER_BYTES..)?) {
        match kind {
            libc::IFLA_IFNAME => link.name = text(value),
            libc::IFLA_ADDRESS => link.address = value.to_vec(),
            libc::IFLA_MASTER => link.master = u32_at(value, 0),
            libc::IFLA_LINK => link.peer = u32_at(value, 0).filter(|peer| *peer != 0),
            libc::IFLA_LINK_NETNSID => link.peer_netnsid = i32_at(value, 0),
            libc::IFLA_LINKINFO => {
                link.kind = attribute(value, libc::IFLA_INFO_KIND).map(text).unwrap_or_default();
            }
            libc::IFLA_STATS64 => link.counters = parse_counters(value).unwrap_or_default(),
            _ => {}
        }
    }
    Some(link)
}

/// `struct rtnl_link_stats64`.
fn parse_counters(bytes: &[u8]) -> Option<LinkCounters> {
    Some(LinkCounters {
        rx_packets: u64_at(bytes, 0)?,
        tx_packets: u64_at(bytes, 8)?,
        rx_bytes: u64_at(bytes, 16)?,
        tx_bytes: u64_at(bytes, 24)?,
        rx_errors: u64_at(bytes, 32)?,
        tx_errors: u64_at(bytes, 40)?,
        rx_dropped: u64_at(bytes, 48)?,
        tx_dropped: u64_at(bytes, 56)?,
    })
}

/// `struct ifinfomsg`.
const LINK_HEADER_BYTES: usize = 16;
/// `struct rtgenmsg`, padded.
const NAMESPACE_HEADER_BYTES: usize = 4;
/// `NETNSA_…` of `linux/net_namespace.h`.
const NAMESPACE_NUMBER: u16 = 1;
const NAMESPACE_FD: u16 = 3;
/// `RTMGRP_LINK`.
const GROUP_LINK: u32 = 1;
const EVENT_BUFFER_BYTES: i32 = 1 << 20;
const INNER_COUNT_MAX: usize = 256;
const ATTEMPT_COUNT_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_a_link_of_its_own_index() {
        let mut links = Links::open().unwrap();
        let all = links.all().unwrap();
        let lo = all.iter().find(|link| link.name == "lo").unwrap();
        assert_eq!(lo.hardware_type, 772);
        assert_eq!(links.link(lo.ifindex).unwrap().unwrap().name, "lo");
        assert!(links.counters(lo.ifindex).unwrap().is_some());
    }

    #[test]
    fn an_interface_that_does_not_exist_has_no_counters() {
        assert_eq!(Links::open().unwrap().counters(0x7fff_fff0).unwrap(), None);
    }

    #[test]
    fn a_short_message_is_no_link() {
        for payload in [&[][..], &[0; 7], &[0; 15]] {
            let reply = Reply { kind: libc::RTM_NEWLINK, flags: 0, sequence: 0, payload };
            assert!(parse_link(reply).is_none());
        }
    }
}
