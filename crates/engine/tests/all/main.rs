//! What the engine says about the world, and what never changes it.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests, which clippy does not know"
)]

mod attribution;
mod busy;
mod flood;
mod gaps;
mod hostile;
mod properties;
mod records;
mod rename;
mod table;
mod talk;
mod world;
