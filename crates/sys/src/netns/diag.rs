//! The sockets of a network namespace, with their owners: sock_diag(7).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::bpf::Transport;
use crate::error::{Error, Result};
use crate::native::{array_at, be16_at, u32_at, u64_at};
use crate::netlink::{Message, Reply, Socket, attribute};

/// A TCP or UDP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketEntry {
    /// The transport.
    pub transport: Transport,
    /// Where it stands.
    pub state: SocketState,
    /// The end on this host.
    pub local: SocketAddr,
    /// The other end; unspecified where it has none.
    pub remote: SocketAddr,
    /// The user who made it.
    pub uid: u32,
    /// Its inode, which `/proc/PID/fd` shows; 0 when no process holds it any more.
    pub inode: u32,
    /// The cgroup v2 id that owns it; `None` before Linux 5.8.
    pub cgroup: Option<u64>,
    /// Its cookie, as socket events carry it.
    pub cookie: u64,
    /// Bytes that wait to be read (of a listener: connections that wait to be accepted).
    pub receive_queue: u32,
    /// Bytes that wait to be sent or acknowledged (of a listener: how many may wait).
    pub send_queue: u32,
    /// Payload that the other end acknowledged and that came from it; TCP only.
    pub tcp_bytes: Option<(u64, u64)>,
}

/// The sockets that were listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketList {
    /// The sockets.
    pub entries: Vec<SocketEntry>,
    /// How many more there were than are kept.
    pub omitted_count: u64,
}

/// Where a socket stands. An unconnected UDP socket is `Close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the states of RFC 9293, as Linux names them")]
pub enum SocketState {
    Established,
    SynSent,
    SynReceived,
    FinWait1,
    FinWait2,
    TimeWait,
    Close,
    CloseWait,
    LastAck,
    Listen,
    Closing,
    Other(u8),
}

/// Asks about the sockets of the namespace in which it was opened.
#[derive(Debug)]
pub struct SocketDiag {
    socket: Socket,
}

impl SocketDiag {
    /// Opens a socket in this thread's namespace.
    ///
    /// # Errors
    /// When the kernel has no sock_diag.
    pub fn open() -> Result<Self> {
        Ok(Self { socket: Socket::open(libc::NETLINK_SOCK_DIAG, 0)? })
    }

    /// All TCP and UDP sockets in every state.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn list(&mut self) -> Result<SocketList> {
        let mut list = SocketList::default();
        for transport in [Transport::Tcp, Transport::Udp] {
            for family in [FAMILY_INET, FAMILY_INET6] {
                let request = request(transport, family, &[0; SOCKET_ID_BYTES]);
                let message = Message::new(SOCK_DIAG_BY_FAMILY, libc::NLM_F_DUMP).put(&request);
                let asked = self.socket.request(message, |reply| {
                    let Some(entry) = parse(reply, transport) else { return };
                    if list.entries.len() < ENTRY_COUNT_MAX {
                        list.entries.push(entry);
                    } else {
                        list.omitted_count += 1;
                    }
                });
                match asked {
                    // A kernel without IPv6 or without this module has no such sockets.
                    Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                    Err(error) => return Err(Error::of("listing sockets", error)),
                    Ok(()) => {}
                }
            }
        }
        Ok(list)
    }

    /// The socket between these two ends; `None` when there is none (any more).
    ///
    /// # Errors
    /// When the ends are of different families, or the kernel refuses.
    pub fn find(
        &mut self,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<Option<SocketEntry>> {
        let family = match (local, remote) {
            (SocketAddr::V4(_), SocketAddr::V4(_)) => FAMILY_INET,
            (SocketAddr::V6(_), SocketAddr::V6(_)) => FAMILY_INET6,
            _ => return Err(Error::invalid("looking up a socket", "ends of different families")),
        };
        // UDP takes the ends the other way round, "for historical reasons" (net/ipv4/udp_diag.c).
        let id = match transport {
            Transport::Udp => socket_id(remote, local),
            _ => socket_id(local, remote),
        };
        let message = Message::new(SOCK_DIAG_BY_FAMILY, libc::NLM_F_ACK)
            .put(&request(transport, family, &id));
        let mut found = None;
        match self.socket.request(message, |reply| found = found.or(parse(reply, transport))) {
            Ok(()) => Ok(found),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(Error::of("looking up a socket", error)),
        }
    }
}

/// `struct inet_diag_req_v2`, for all states and with `tcp_info`.
fn request(transport: Transport, family: u8, id: &[u8; SOCKET_ID_BYTES]) -> Vec<u8> {
    let protocol = match transport {
        Transport::Tcp => 6,
        Transport::Udp => 17,
        Transport::Other(other) => other,
    };
    let mut bytes = vec![family, protocol, 1 << (INET_DIAG_INFO - 1), 0];
    bytes.extend_from_slice(&u32::MAX.to_ne_bytes());
    bytes.extend_from_slice(id);
    bytes
}

/// `struct inet_diag_sockid` with no interface and no cookie.
fn socket_id(source: SocketAddr, destination: SocketAddr) -> [u8; SOCKET_ID_BYTES] {
    let mut bytes = Vec::with_capacity(SOCKET_ID_BYTES);
    bytes.extend_from_slice(&source.port().to_be_bytes());
    bytes.extend_from_slice(&destination.port().to_be_bytes());
    for end in [source, destination] {
        let mut address = [0; 16];
        match end.ip() {
            IpAddr::V4(ip) => address[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => address = ip.octets(),
        }
        bytes.extend_from_slice(&address);
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&[0xff; 8]);
    bytes.try_into().unwrap_or([0; SOCKET_ID_BYTES])
}

/// `struct inet_diag_msg` and its attributes.
fn parse(reply: Reply<'_>, transport: Transport) -> Option<SocketEntry> {
    if reply.kind != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let bytes = reply.payload;
    let family = *bytes.first()?;
    let end = |address: usize, port: usize| -> Option<SocketAddr> {
        let ip = match family {
            FAMILY_INET => IpAddr::from(Ipv4Addr::from(array_at::<4>(bytes, address)?)),
            FAMILY_INET6 => Ipv6Addr::from(array_at::<16>(bytes, address)?).to_canonical(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, be16_at(bytes, port)?))
    };
    let attributes = bytes.get(MESSAGE_BYTES..)?;
    let info = attribute(attributes, INET_DIAG_INFO).filter(|_| transport == Transport::Tcp);
    Some(SocketEntry {
        transport,
        state: SocketState::from(*bytes.get(1)?),
        local: end(8, 4)?,
        remote: end(24, 6)?,
        uid: u32_at(bytes, 64)?,
        inode: u32_at(bytes, 68)?,
        cgroup: attribute(attributes, INET_DIAG_CGROUP_ID).and_then(|value| u64_at(value, 0)),
        cookie: u64::from(u32_at(bytes, 44)?) | u64::from(u32_at(bytes, 48)?) << 32,
        receive_queue: u32_at(bytes, 56)?,
        send_queue: u32_at(bytes, 60)?,
        tcp_bytes: info.and_then(|info| Some((u64_at(info, 120)?, u64_at(info, 128)?))),
    })
}

impl From<u8> for SocketState {
    fn from(state: u8) -> Self {
        match state {
            1 => Self::Established,
            2 => Self::SynSent,
            // 12 is a connection that the listener has not yet made a socket of.
            3 | 12 => Self::SynReceived,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 => Self::Close,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            other => Self::Other(other),
        }
    }
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const FAMILY_INET: u8 = 2;
const FAMILY_INET6: u8 = 10;
const INET_DIAG_INFO: u16 = 2;
const INET_DIAG_CGROUP_ID: u16 = 21;
const SOCKET_ID_BYTES: usize = 48;
/// `struct inet_diag_msg`.
const MESSAGE_BYTES: usize = 72;
const ENTRY_COUNT_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    #[test]
    fn a_connection_is_found_from_both_ends_and_with_its_listener() {
        for host in ["127.0.0.1", "::1"] {
            let listener = TcpListener::bind((host, 0)).unwrap();
            let server = listener.local_addr().unwrap();
            let stream = TcpStream::connect(server).unwrap();
            let client = stream.local_addr().unwrap();
            let mut diag = SocketDiag::open().unwrap();
            let ours = diag.find(Transport::Tcp, client, server).unwrap().unwrap();
            assert_eq!(
                (ours.state, ours.local, ours.remote),
                (SocketState::Established, client, server)
            );
            assert!(ours.inode > 0 && ours.cookie > 0 && ours.cgroup.is_some());
            let list = diag.list().unwrap();
            assert_eq!(list.omitted_count, 0);
            assert!(list.entries.contains(&ours));
            let is =
                |local, state| list.entries.iter().any(|e| e.local == local && e.state == state);
            assert!(is(server, SocketState::Listen) && is(server, SocketState::Established));
        }
    }

    #[test]
    fn a_datagram_socket_is_found_by_its_own_end() {
        let (one, other) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let (local, remote) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        one.connect(remote).unwrap();
        let found = SocketDiag::open().unwrap().find(Transport::Udp, local, remote).unwrap();
        assert_eq!(found.unwrap().local, local);
    }

    #[test]
    fn what_is_closed_is_not_found() {
        let mut diag = SocketDiag::open().unwrap();
        let (local, remote) = ("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
        assert_eq!(diag.find(Transport::Tcp, local, remote).unwrap(), None);
        assert!(diag.find(Transport::Tcp, local, "[::1]:2".parse().unwrap()).is_err());
    }

    #[test]
    fn a_short_answer_is_no_socket() {
        let payload = [2_u8; MESSAGE_BYTES - 1];
        let reply = Reply { kind: SOCK_DIAG_BY_FAMILY, flags: 0, sequence: 0, payload: &payload };
        assert_eq!(parse(reply, Transport::Tcp), None);
    }
}
