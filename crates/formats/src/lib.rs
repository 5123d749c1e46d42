//! Gives hostile bytes meaning: captures become [`sensor::Packet`]s, log lines become
//! [`observation::Observation`]s. One file a format.
//!
//! *Architecture invariant:* a format opens no file and no socket; it is handed bytes or a reader.
//! Parsing never panics and never allocates without bound, and what was not understood is counted.

mod bytes;
mod capture;
mod detect;
pub mod docker_events;
pub mod docker_inspect;
mod elements;
mod hex;
mod input;
pub mod intel;
mod lines;
mod parsed;
mod pcap;
mod pcapng;
mod pcapng_time;
mod pcapng_writer;
pub mod recording;
mod rfc3339;
pub mod zeek;
mod zstd;

pub use capture::{Capture, CaptureError, CaptureFault, Damage, Limits};
pub use detect::{Format, HEAD_BYTES, detect};
pub use lines::{LineLimits, LineSplitter, Lines, LinesError};
pub use parsed::{Parsed, Reason, Tally};
pub use pcapng_writer::{INTERFACE_COUNT_MAX, PcapngWriter};
