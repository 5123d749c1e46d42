//! Gives packets meaning: decoding, flows, streams, bursts, protocols. It knows no container.
//!
//! *Architecture invariant:* no clock, no file, no socket, no container; time comes with the
//! packets, seeds and limits as arguments, and the same packets give the same Observations
//! whatever the number of lanes.

#![no_std]

extern crate alloc;

mod packet;
mod protocols;

pub use packet::{Direction, LinkType, Packet};
