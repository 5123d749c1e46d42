//! What a capture hands to the sensor.

use observation::{PortId, SourceId, Time};

/// One captured frame.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// When it was captured.
    pub at: Time,
    /// By which source.
    pub source: SourceId,
    /// What its first byte is.
    pub link: LinkType,
    /// At which capture port.
    pub port: PortId,
    /// Which way it went through the port.
    pub direction: Direction,
    /// Its length on the wire in bytes; `bytes` may be shorter.
    pub wire_len: u32,
    /// What was captured of it.
    pub bytes: &'a [u8],
}

/// Which way a packet went through its capture port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The source does not say.
    Unknown,
    /// Towards what is behind the port (on a host-side veth: into the container).
    Inward,
    /// From what is behind the port.
    Outward,
}

/// What a frame starts with; numbers are those of the tcpdump link-layer registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    /// 0: BSD loopback, protocol family in host byte order of the capturing machine.
    Null,
    /// 1.
    Ethernet,
    /// 101, 12, 14: starts with the IP header.
    RawIp,
    /// 108: OpenBSD loopback, family in network byte order.
    Loop,
    /// 113: Linux cooked capture, version 1.
    LinuxSll,
    /// 228.
    Ipv4,
    /// 229.
    Ipv6,
    /// 276: Linux cooked capture, version 2.
    LinuxSll2,
    /// Anything else: counted as not understood.
    Other(u32),
}
