//! Which process and which cgroup opened a socket, and the addresses of its first packet.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::object::{self, Hook, MapKind, MapShape};
use super::programs::{self, SocketMaps, kind_of, layout};
use super::ringbuf::RingBuffer;
use crate::clock::Offsets;
use crate::error::{Error, Result};
use crate::native::{array_at, be16_at, u32_at, u64_at};
use crate::process::Cgroups;
use crate::syscall::{self, Readiness};

/// What a socket program saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketEvent {
    /// A process asked for a connection or sent a datagram.
    Opened(SocketOpened),
    /// A socket had its first packet.
    Tuple(SocketTuple),
}

/// A process asked for a connection, or sent its first datagram from this socket to this address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOpened {
    /// The socket's cookie: joins it to its [`SocketTuple`].
    pub cookie: u64,
    /// The caller's cgroup v2 id.
    pub cgroup: u64,
    /// The caller, as the host numbers it.
    pub pid: u32,
    /// Where to. On user-defined networks a lookup goes to 127.0.0.11.
    pub remote: SocketAddr,
    /// The transport.
    pub transport: Transport,
    /// By which call.
    pub call: SocketCall,
    /// When, in nanoseconds since the epoch.
    pub at_ns: u64,
}

/// The first packet of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketTuple {
    /// The socket's cookie.
    pub cookie: u64,
    /// The cgroup v2 id that owns the socket.
    pub cgroup: u64,
    /// The end on this host, as its namespace knows it.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// The transport; ports are 0 for other than TCP and UDP.
    pub transport: Transport,
    /// Which way that packet went.
    pub direction: SkbDirection,
    /// When, in nanoseconds since the epoch.
    pub at_ns: u64,
}

/// A socket's transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "protocol names")]
pub enum Transport {
    Tcp,
    Udp,
    /// Another IP protocol number.
    Other(u8),
}

/// How a process named the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketCall {
    /// `connect`.
    Connect,
    /// `sendto` or `sendmsg` on an unconnected socket.
    Send,
}

/// Which way a packet went, as its socket sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkbDirection {
    /// To the socket.
    Ingress,
    /// From the socket.
    Egress,
}

/// Socket events of every cgroup, from [`SocketEvents::open`] until it is dropped.
#[derive(Debug)]
pub struct SocketEvents {
    maps: SocketMaps,
    buffer: RingBuffer,
    not_understood_count: u64,
    // Closing a link takes its program off.
    _links: Vec<OwnedFd>,
}

impl SocketEvents {
    /// Loads the programs and attaches them at the root of the hierarchy.
    ///
    /// # Errors
    /// Without `CAP_BPF` and `CAP_NET_ADMIN` ([`Error::missing`] names them), or on a kernel that
    /// is older than 5.8. The caller goes on without, and says so.
    pub fn open(cgroups: &Cgroups) -> Result<Self> {
        let map = |kind, key_bytes, value_bytes, entry_count_max| {
            object::create_map(MapShape { kind, key_bytes, value_bytes, entry_count_max })
        };
        let maps = SocketMaps {
            events: map(MapKind::Ringbuf, 0, 0, BUFFER_BYTES)?,
            seen: map(MapKind::LruHash, 8, 8, SOCKET_COUNT_MAX)?,
            sent: map(MapKind::LruHash, 32, 8, DESTINATION_COUNT_MAX)?,
            lost: map(MapKind::Array, 4, 8, 1)?,
        };
        let buffer = RingBuffer::map(&maps.events, BUFFER_BYTES)?;
        let root = cgroups.root();
        let root = File::open(root)
            .map_err(|error| Error::of(format!("opening {}", root.display()), error))?;
        let mut links = Vec::new();
        for hook in HOOKS {
            let code = match hook {
                Hook::Ingress | Hook::Egress => programs::first_packet(hook, &maps),
                _ => programs::opened(hook, &maps),
            };
            let program = object::load_program(hook, &code)?;
            links.push(object::link(hook, &program, root.as_fd())?);
        }
        Ok(Self { maps, buffer, not_understood_count: 0, _links: links })
    }

    /// Waits until there are events.
    ///
    /// # Errors
    /// When the kernel refuses to wait.
    pub fn wait(&self, timeout: Duration) -> Result<Readiness> {
        syscall::wait_readable(self, timeout)
            .map_err(|error| Error::of("waiting for socket events", error))
    }

    /// Gives each event that is there to `take`, a few thousand at most; returns how many.
    pub fn drain(&mut self, mut take: impl FnMut(SocketEvent)) -> usize {
        let offsets = Offsets::now();
        let not_understood_count = &mut self.not_understood_count;
        self.buffer.drain(DRAIN_COUNT_MAX, |record| match parse(record, offsets) {
            Some(event) => take(event),
            None => *not_understood_count += 1,
        })
    }

    /// How many events found no room since the programs were loaded.
    ///
    /// # Errors
    /// When the kernel refuses to read the counter.
    pub fn lost_count(&self) -> Result<u64> {
        object::read_entry(&self.maps.lost, 0).map(u64::from_ne_bytes)
    }

    /// How many first packets had no header that we understand (extension headers, long options).
    #[must_use]
    pub const fn not_understood_count(&self) -> u64 {
        self.not_understood_count
    }
}

impl AsFd for SocketEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.maps.events.as_fd()
    }
}

fn parse(record: &[u8], offsets: Offsets) -> Option<SocketEvent> {
    let kind = u32_at(record, layout::KIND)?;
    let hook = HOOKS.into_iter().find(|hook| u32::from(kind_of(*hook)) == kind)?;
    let at_ns = offsets.from_monotonic(u64_at(record, layout::AT)?);
    let cgroup = u64_at(record, layout::CGROUP)?;
    let direction = match hook {
        Hook::Ingress => SkbDirection::Ingress,
        Hook::Egress => SkbDirection::Egress,
        _ => return parse_opened(record, hook, cgroup, at_ns).map(SocketEvent::Opened),
    };
    let cookie = u64_at(record, layout::TUPLE_COOKIE)?;
    let (transport, from, to) = endpoints(record.get(layout::TUPLE_HEADER..)?)?;
    let (local, remote) = match direction {
        SkbDirection::Ingress => (to, from),
        SkbDirection::Egress => (from, to),
    };
    Some(SocketEvent::Tuple(SocketTuple {
        cookie,
        cgroup,
        local,
        remote,
        transport,
        direction,
        at_ns,
    }))
}

fn parse_opened(record: &[u8], hook: Hook, cgroup: u64, at_ns: u64) -> Option<SocketOpened> {
    let address: [u8; 16] = array_at(record, layout::OPENED_ADDRESS)?;
    let ip = match hook {
        Hook::Connect4 | Hook::Send4 => IpAddr::from(array_at::<4>(&address, 0)?),
        // A socket for both families reaches IPv4 by mapped addresses.
        _ => Ipv6Addr::from(address).to_canonical(),
    };
    let call = match hook {
        Hook::Send4 | Hook::Send6 => SocketCall::Send,
        _ => SocketCall::Connect,
    };
    let protocol = u8::try_from(u32_at(record, layout::PROTOCOL)?).ok()?;
    Some(SocketOpened {
        cookie: u64_at(record, layout::OPENED_COOKIE)?,
        cgroup,
        // The upper half of `pid_tgid` is what user space calls the pid.
        pid: u32::try_from(u64_at(record, layout::OPENED_PID)? >> 32).ok()?,
        remote: SocketAddr::new(ip, be16_at(record, layout::OPENED_PORT)?),
        transport: Transport::from(protocol),
        call,
        at_ns,
    })
}

/// Transport, source and destination of an IP header and the ports behind it.
fn endpoints(header: &[u8]) -> Option<(Transport, SocketAddr, SocketAddr)> {
    let version = header.first()? >> 4;
    let (protocol, from, to, ports) = match version {
        4 => {
            let length = usize::from(header.first()? & 0x0f) * 4;
            let address = |offset| array_at::<4>(header, offset).map(Ipv4Addr::from);
            (*header.get(9)?, address(12)?.into(), address(16)?.into(), length)
        }
        6 => {
            let address = |offset| array_at::<16>(header, offset).map(Ipv6Addr::from);
            let (protocol, ports) = match *header.get(6)? {
                // Hop-by-hop options come first, as in every multicast report of a new interface.
                0 => (*header.get(40)?, 48 + 8 * usize::from(*header.get(41)?)),
                protocol => (protocol, 40),
            };
            (protocol, IpAddr::from(address(8)?), IpAddr::from(address(24)?), ports)
        }
        _ => return None,
    };
    let transport = Transport::from(protocol);
    let (from_port, to_port) = match transport {
        Transport::Tcp | Transport::Udp => (be16_at(header, ports)?, be16_at(header, ports + 2)?),
        // Further extension headers hide the ports; what follows them was not captured.
        Transport::Other(0 | 43 | 44 | 51 | 60) if version == 6 => return None,
        Transport::Other(_) => (0, 0),
    };
    Some((transport, SocketAddr::new(from, from_port), SocketAddr::new(to, to_port)))
}

impl From<u8> for Transport {
    fn from(protocol: u8) -> Self {
        match protocol {
            6 => Self::Tcp,
            17 => Self::Udp,
            other => Self::Other(other),
        }
    }
}

const HOOKS: [Hook; 6] =
    [Hook::Connect4, Hook::Connect6, Hook::Send4, Hook::Send6, Hook::Ingress, Hook::Egress];
/// Some ten thousand events.
const BUFFER_BYTES: u32 = 1 << 20;
const SOCKET_COUNT_MAX: u32 = 1 << 15;
const DESTINATION_COUNT_MAX: u32 = 1 << 14;
/// The caller looks at its other sources after this many.
const DRAIN_COUNT_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const OFFSETS: Offsets = Offsets { monotonic_ns: 1000, boot_ns: 0 };

    fn record(hook: Hook, bytes: usize) -> Vec<u8> {
        let mut record = vec![0; bytes];
        record[0] = kind_of(hook);
        record[8] = 5;
        record[16] = 77;
        record
    }

    #[test]
    fn a_connection_names_its_caller_and_its_far_end() {
        let mut bytes = record(Hook::Connect4, layout::OPENED_BYTES);
        bytes[4] = 6;
        bytes[28] = 9;
        bytes[32] = 3;
        bytes[40..44].copy_from_slice(&[198, 51, 100, 10]);
        bytes[56..58].copy_from_slice(&4444_u16.to_be_bytes());
        let Some(SocketEvent::Opened(opened)) = parse(&bytes, OFFSETS) else { panic!() };
        assert_eq!(opened.remote, "198.51.100.10:4444".parse().unwrap());
        assert_eq!((opened.pid, opened.cookie, opened.cgroup, opened.at_ns), (9, 3, 77, 1005));
        assert_eq!((opened.transport, opened.call), (Transport::Tcp, SocketCall::Connect));
    }

    #[test]
    fn a_mapped_address_is_ipv4() {
        let mut bytes = record(Hook::Send6, layout::OPENED_BYTES);
        bytes[50..56].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 1]);
        let Some(SocketEvent::Opened(opened)) = parse(&bytes, OFFSETS) else { panic!() };
        assert_eq!(opened.remote.ip(), IpAddr::from([192, 0, 2, 1]));
        assert_eq!(opened.call, SocketCall::Send);
    }

    #[test]
    fn options_move_the_ports() {
        let mut bytes = record(Hook::Ingress, layout::TUPLE_BYTES);
        bytes[32] = 0x46;
        bytes[32 + 9] = 6;
        bytes[32 + 24..32 + 28].copy_from_slice(&[0x11, 0x5c, 0, 80]);
        let Some(SocketEvent::Tuple(tuple)) = parse(&bytes, OFFSETS) else { panic!() };
        assert_eq!((tuple.remote.port(), tuple.local.port()), (4444, 80));
        bytes[32] = 0x4f;
        assert_eq!(parse(&bytes, OFFSETS), None, "the ports lie behind what was captured");
    }

    #[test]
    fn a_multicast_report_is_icmp_behind_options_and_tcp_behind_them_is_not_understood() {
        let mut bytes = record(Hook::Egress, layout::TUPLE_BYTES);
        bytes[32] = 0x60;
        bytes[32 + 40] = 58;
        let Some(SocketEvent::Tuple(tuple)) = parse(&bytes, OFFSETS) else { panic!() };
        assert_eq!((tuple.transport, tuple.local.port()), (Transport::Other(58), 0));
        bytes[32 + 40] = 6;
        assert_eq!(parse(&bytes, OFFSETS), None);
    }

    #[test]
    fn what_is_no_ip_or_cut_short_is_not_understood() {
        let bytes = record(Hook::Egress, layout::TUPLE_BYTES);
        assert_eq!(parse(&bytes, OFFSETS), None);
        let bytes = record(Hook::Connect6, layout::OPENED_BYTES);
        assert!((0..57).all(|length| parse(&bytes[..length], OFFSETS).is_none()));
        assert_eq!(parse(&[9; 80], OFFSETS), None);
    }
}
