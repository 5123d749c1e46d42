//! From a captured frame to the innermost IP packet, and from there to a transport segment.
//!
//! Checksums are never verified: frames on a veth carry unfinished ones (offload).
//! No MTU is assumed: segmentation offload makes frames of up to 65,549 bytes, and a total length
//! of 0 where the frame is longer than the field can say.

mod fragments;
mod ip;
mod link;
mod transport;
mod tunnel;

pub(crate) use fragments::Fragments;
pub(crate) use ip::{Ip, Outer};
pub(crate) use transport::{Kind, Segment, TcpFlags, segment};

use crate::{NotUnderstood, Packet};

/// Tunnels in tunnels that are opened; a packet that nests deeper is taken at that depth.
const TUNNEL_DEPTH_MAX: u32 = 4;

/// The innermost IP packet of a frame.
pub(crate) fn frame<'a>(packet: &Packet<'a>) -> Result<Ip<'a>, NotUnderstood> {
    let captured = u32::try_from(packet.bytes.len()).unwrap_or(u32::MAX);
    let wire_len = packet.wire_len.max(captured);
    Ok(innermost(link::frame(packet.link, packet.bytes, wire_len)?))
}

/// What the tunnels of this packet carry; the packet itself where it is no tunnel.
pub(crate) fn innermost(mut outer: Ip<'_>) -> Ip<'_> {
    for _ in 0..TUNNEL_DEPTH_MAX {
        match tunnel::inner(&outer) {
            Some(inner) => outer = inner,
            None => break,
        }
    }
    outer
}

/// A big-endian 16-bit field.
fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|field| u16::from_be_bytes(*field))
}

/// A big-endian 32-bit field.
fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|field| u32::from_be_bytes(*field))
}
