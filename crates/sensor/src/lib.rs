//! Gives packets meaning: decoding, flows, streams, bursts, protocols. It knows no container.
//!
//! *Architecture invariant:* no clock, no file, no socket, no container; time comes with the
//! packets, seeds and limits as arguments, and the same packets give the same Observations
//! whatever the number of lanes.

#![no_std]

extern crate alloc;

mod clock;
mod community;
mod decode;
mod flow;
mod hash;
mod limits;
mod packet;
mod ports;
mod protocols;
mod sensor;
mod shard;
mod shard_state;
mod tally;
mod timers;

pub use clock::Watermark;
pub use limits::{Lane, Limits};
pub use packet::{Direction, LinkType, Packet};
pub use sensor::{Rank, Sensor};
pub use shard::{SHARD_COUNT, Shard, shard_of};
pub use tally::{NotUnderstood, Tally};
