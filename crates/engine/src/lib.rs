//! Decides: who it was (ledger), what they do (channels), what was expected, which strategy accuses
//! whom, and why (evidence). It sees no packet.
//!
//! *Architecture invariant:* no clock, no file, no socket, no environment; the final alerts do not
//! depend on the order in which sources deliver within `LATE_MS_MAX`.

#![no_std]

extern crate alloc;

mod alert;
mod engine;

pub use alert::{
    Actor, Alert, AlertId, AlertUpdate, Blind, ContainerView, Counted, Evidence, Excerpt, Family,
    FlowView, Level, Maturity, Peer, PeerName, Prevalence, ProcessView, Status, Subject,
};
pub use engine::{Engine, Limits, StrategyInfo, Tally, strategies};
