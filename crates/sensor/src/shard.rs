//! Which shard a packet belongs to: a symmetric hash of its innermost address pair.

use observation::IpAddress;

use crate::{Packet, decode, hash};

/// One of `SHARD_COUNT` parts of all traffic. Both directions of a flow are in the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(pub u8);

/// How many shards there are: fixed, so that the number of lanes never shows in the output.
pub const SHARD_COUNT: u8 = 64;

const SHARD_BITS: u32 = 6;
const _: () = assert!(1 << SHARD_BITS == SHARD_COUNT);

/// The packet's shard. A lane takes those with `shard % lanes == lane`.
/// Packets without an address pair are in shard 0.
#[must_use]
pub fn shard_of(packet: &Packet<'_>) -> Shard {
    decode::frame(packet).map_or(Shard(0), |ip| of_pair(&ip.from, &ip.to))
}

/// The shard of a pair of addresses.
pub(crate) fn of_pair(from: &IpAddress, to: &IpAddress) -> Shard {
    Shard((hash::of_pair(from, to) >> (64 - SHARD_BITS)) as u8)
}
