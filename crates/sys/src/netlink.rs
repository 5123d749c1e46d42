//! Netlink messages, built and taken apart: netlink(7). Rtnetlink, connector, sock_diag and
//! nftables share it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::native::{i32_at, u16_at, u32_at};
use crate::syscall::{self, checked, socket_length};

/// A message under construction.
#[derive(Debug)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// Starts a message of type `kind`; `NLM_F_REQUEST` is implied.
    pub(crate) fn new(kind: u16, flags: i32) -> Self {
        let flags = u16::try_from(flags | libc::NLM_F_REQUEST).unwrap_or(0);
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        Self { bytes }
    }

    /// Appends a protocol's own header.
    pub(crate) fn put(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self.pad()
    }

    /// Appends an attribute.
    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len() + 4).unwrap_or(4);
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad()
    }

    /// Appends a zero-terminated text.
    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    /// Appends attributes inside an attribute.
    pub(crate) fn nest(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        let mut filled = fill(self);
        let length = u16::try_from(filled.bytes.len() - start).unwrap_or(4);
        if let Some(field) = filled.bytes.get_mut(start..start + 2) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
        filled
    }

    /// The same, to be acknowledged.
    pub(crate) fn acknowledged(mut self) -> Self {
        let flag = u16::try_from(libc::NLM_F_ACK).unwrap_or(0);
        if let (Some(flags), Some(field)) = (u16_at(&self.bytes, 6), self.bytes.get_mut(6..8)) {
            field.copy_from_slice(&(flags | flag).to_ne_bytes());
        }
        self
    }

    /// The message with its length and `sequence` filled in.
    pub(crate) fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        for (at, value) in [(0, length), (8, sequence)] {
            if let Some(field) = self.bytes.get_mut(at..at + 4) {
                field.copy_from_slice(&value.to_ne_bytes());
            }
        }
        self.bytes
    }

    fn pad(mut self) -> Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }
}

/// A message that was received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) payload: &'a [u8],
}

/// The messages in a datagram; ends at the first one that claims more than there is.
pub(crate) fn replies(mut bytes: &[u8]) -> impl Iterator<Item = Reply<'_>> {
    std::iter::from_fn(move || {
        let length = u32_at(bytes, 0)? as usize;
        let payload = bytes.get(HEADER_BYTES..length)?;
        let reply = Reply {
            kind: u16_at(bytes, 4)?,
            flags: u16_at(bytes, 6)?,
            sequence: u32_at(bytes, 8)?,
            payload,
        };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(reply)
    })
}

/// The attributes in `bytes` as (type, value); ends at the first one that claims more than there
/// is.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of this type.
pub(crate) fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find_map(|(kind, value)| (kind == wanted).then_some(value))
}

/// What [`Socket::receive`] found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Received<'a> {
    /// A datagram.
    Datagram(&'a [u8]),
    /// The kernel had no room and threw messages away.
    Overrun,
    /// Nothing came in time.
    TimedOut,
}

/// A netlink socket; it stays in the network namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket of a netlink `protocol` that listens to a mask of old-style `groups`.
    pub(crate) fn open(protocol: i32, groups: u32) -> Result<Self> {
        let fd = syscall::socket(libc::AF_NETLINK, libc::SOCK_RAW, protocol)
            .map_err(|error| Error::of("opening a netlink socket", error))?;
        // SAFETY: the structure consists of integers, for which zero is a value.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = FAMILY_NETLINK;
        address.nl_groups = groups;
        // SAFETY: `address` is a whole `sockaddr_nl` and its length is announced.
        let returned = unsafe {
            libc::bind(
                fd.as_raw_fd(),
                (&raw const address).cast(),
                socket_length::<libc::sockaddr_nl>(),
            )
        };
        checked(i64::from(returned)).map_err(|error| Error::of("binding netlink", error))?;
        Ok(Self { fd, sequence: 0, buffer: vec![0; DATAGRAM_BYTES_MAX] })
    }

    /// Asks for a larger receive buffer; beyond the system's limit only with `CAP_NET_ADMIN`.
    pub(crate) fn set_buffer(&self, bytes: i32) -> Result<()> {
        let level = libc::SOL_SOCKET;
        syscall::set_option(&self.fd, level, libc::SO_RCVBUFFORCE, &bytes)
            .or_else(|_| syscall::set_option(&self.fd, level, libc::SO_RCVBUF, &bytes))
            .map_err(|error| Error::of("enlarging a netlink buffer", error))
    }

    /// The number for the next message.
    pub(crate) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// Sends messages in one datagram.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        // SAFETY: `bytes` is valid for reading its own length.
        let returned =
            unsafe { libc::send(self.fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        checked(returned as i64).map(drop)
    }

    /// Waits for a datagram.
    pub(crate) fn receive(&mut self, timeout: Duration) -> io::Result<Received<'_>> {
        match receive_now(&self.fd, &mut self.buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            outcome => return received(&self.buffer, outcome),
        }
        if syscall::wait_readable(&self.fd, timeout)? == syscall::Readiness::TimedOut {
            return Ok(Received::TimedOut);
        }
        let outcome = receive_now(&self.fd, &mut self.buffer);
        received(&self.buffer, outcome)
    }

    /// Sends `message` and gives each answer to `take`, until the kernel says that it is done.
    ///
    /// `NLM_F_ACK` or `NLM_F_DUMP` must be among its flags, or nothing would end the wait but time.
    pub(crate) fn request(
        &mut self,
        message: Message,
        mut take: impl FnMut(Reply<'_>),
    ) -> io::Result<()> {
        let sequence = self.next_sequence();
        self.send(&message.finish(sequence))?;
        loop {
            let datagram = match self.receive(ANSWER_TIMEOUT)? {
                Received::Datagram(datagram) => datagram,
                Received::Overrun => return Err(io::Error::from_raw_os_error(libc::ENOBUFS)),
                Received::TimedOut => return Err(io::ErrorKind::TimedOut.into()),
            };
            for reply in replies(datagram).filter(|reply| reply.sequence == sequence) {
                if reply.flags & DUMP_INTERRUPTED != 0 {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                match i32::from(reply.kind) {
                    libc::NLMSG_ERROR | libc::NLMSG_DONE => return outcome(reply.payload),
                    libc::NLMSG_NOOP => {}
                    _ => take(reply),
                }
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The verdict at the start of an error, acknowledgement or done message.
pub(crate) fn outcome(payload: &[u8]) -> io::Result<()> {
    match i32_at(payload, 0) {
        Some(code) if code < 0 => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        _ => Ok(()),
    }
}

/// Only the kernel's own datagrams: a host-network container with `CAP_NET_ADMIN` could send
/// others.
fn receive_now(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    for _ in 0..STRANGER_COUNT_MAX {
        // SAFETY: the structure consists of integers, for which zero is a value.
        let mut sender: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        let mut sender_length = socket_length::<libc::sockaddr_nl>();
        // SAFETY: `buffer` and `sender` are valid for writing the lengths that are announced.
        let returned = unsafe {
            libc::recvfrom(
                fd.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_DONTWAIT | libc::MSG_TRUNC,
                (&raw mut sender).cast(),
                &raw mut sender_length,
            )
        };
        let length = checked(returned as i64)?;
        if sender.nl_pid == 0 {
            return Ok(length);
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

fn received(buffer: &[u8], outcome: io::Result<usize>) -> io::Result<Received<'_>> {
    match outcome {
        // With `MSG_TRUNC` the kernel tells the true length: a datagram that did not fit is a loss.
        Ok(length) => Ok(buffer.get(..length).map_or(Received::Overrun, Received::Datagram)),
        Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(Received::Overrun),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Received::TimedOut),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Received::TimedOut),
        Err(error) => Err(error),
    }
}

const FAMILY_NETLINK: u16 = 16;
const _: () = assert!(FAMILY_NETLINK as i32 == libc::AF_NETLINK);
const HEADER_BYTES: usize = 16;
const NESTED: u16 = 1 << 15;
/// Without the flags for nesting and byte order.
const TYPE_MASK: u16 = 0x3fff;
/// `NLM_F_DUMP_INTR`: the answer mixes two states.
const DUMP_INTERRUPTED: u16 = 16;
/// The kernel fills dumps up to 32 KiB a datagram.
const DATAGRAM_BYTES_MAX: usize = 128 << 10;
const STRANGER_COUNT_MAX: usize = 64;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_read_back() {
        let bytes = Message::new(16, libc::NLM_F_ACK)
            .put(&[1, 2, 3])
            .nest(7, |inner| inner.text(1, "veth").attribute(2, &[9]))
            .finish(42);
        let reply = replies(&bytes).next().unwrap();
        assert_eq!((reply.kind, reply.sequence, reply.flags), (16, 42, 5));
        let nested = attribute(&reply.payload[4..], 7).unwrap();
        assert_eq!(attribute(nested, 1), Some(b"veth\0".as_slice()));
        assert_eq!(attribute(nested, 2), Some([9].as_slice()));
        assert_eq!(replies(&bytes).count(), 1);
    }

    #[test]
    fn lengths_that_lie_end_the_walk() {
        assert_eq!(replies(&[0; 64]).count(), 0);
        assert_eq!(replies(&[0xff; 64]).count(), 0);
        assert_eq!(replies(&[20, 0, 0, 0, 0, 0]).count(), 0);
        assert_eq!(attributes(&[3, 0, 1, 0, 0, 0, 0, 0]).count(), 0);
        assert_eq!(attributes(&[0, 0, 0, 0, 0, 0, 0, 0]).count(), 0);
        assert_eq!(attributes(&[9, 0, 1, 0, 0, 0, 0, 0]).count(), 0);
    }
}
