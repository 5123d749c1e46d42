//! What the engine says about the world, and what never changes it.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests, which clippy does not know"
)]

mod attribution;
mod bad_input;
mod baselines;
mod busy;
mod declarations;
mod echoes;
mod errands;
mod fan_in;
mod first_word;
mod flood;
mod followed;
mod freight;
mod gaps;
mod habits;
mod hostile;
mod innocent_names;
mod intel;
mod lookups;
mod marks;
mod masks;
mod ports;
mod properties;
mod records;
mod relays;
mod rename;
mod scans;
mod seats;
mod servers;
mod strays;
mod table;
mod talk;
mod timing;
mod tls;
mod web;
mod world;
