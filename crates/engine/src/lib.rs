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
mod attribution;
mod baseline;
mod cargo;
mod chain;
mod channel;
mod clients;
mod cloud;
mod context;
mod dirty;
mod engine;
mod evidence;
mod faint;
mod fair;
mod flows;
mod followed;
mod health;
mod index;
mod intel;
mod judge;
mod lasting;
mod led;
mod ledger;
mod limits;
mod lookups;
mod marks;
mod naming;
mod opening;
mod orders;
mod profiles;
mod protocols;
mod relays;
mod roles;
mod served;
mod services;
mod session;
mod shell;
mod stacks;
mod state;
mod strategies;
mod surveys;
mod timers;
mod typing;
mod web;
mod words;

pub use alert::{
    Actor, Alert, AlertId, AlertUpdate, Blind, ContainerView, Counted, Evidence, Excerpt, Family,
    FlowView, Level, Maturity, Peer, PeerName, PeerRole, Prevalence, ProcessView, Status, Subject,
};
pub use alerts::Following;
pub use attack::{ATTACK_VERSION, Tactic, technique};
pub use attribution::Attributed;
pub use baseline::{
    Approval, Approved, Baseline, Decision, Destination, Expectations, Host, Lineage, Visits,
    lowered, proposal,
};
pub use engine::{Engine, StrategyInfo, Tally, strategies};
pub use intel::{About, Indicator, Indicators, Reach};
pub use limits::Limits;
pub use state::LoadError;
