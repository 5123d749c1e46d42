//! Decides: who it was (ledger), what they do (channels), what was expected, which strategy accuses
//! whom, and why (evidence). It sees no packet.
//!
//! *Architecture invariant:* no clock, no file, no socket, no environment; the final alerts do not
//! depend on the order in which sources deliver within `LATE_MS_MAX`.

#![no_std]

extern crate alloc;

mod alert;
mod alerts;
mod attack;
mod channel;
mod clients;
mod context;
mod engine;
mod evidence;
mod fair;
mod flows;
mod health;
mod judge;
mod ledger;
mod limits;
mod roles;
mod shell;
mod strategies;
mod timers;
mod words;

pub use alert::{
    Actor, Alert, AlertId, AlertUpdate, Blind, ContainerView, Counted, Evidence, Excerpt, Family,
    FlowView, Level, Maturity, Peer, PeerName, Prevalence, ProcessView, Status, Subject,
};
pub use attack::{ATTACK_VERSION, Tactic, technique};
pub use engine::{Engine, LoadError, StrategyInfo, Tally, strategies};
pub use limits::Limits;
