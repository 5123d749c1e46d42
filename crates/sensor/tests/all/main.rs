//! What the sensor tells of packets, and what never changes it.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests, which clippy does not know"
)]

mod carriers;
mod conversations;
mod floods;
mod hostile;
mod properties;
mod streams;
mod wire;
