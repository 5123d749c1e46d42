//! Who says it, and where on the network.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The witness of an Observation: one configured source. The program hands the numbers out.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct SourceId(pub u16);

/// An IPv4 or IPv6 address. IPv4-mapped IPv6 addresses are kept as they were on the wire.
pub type IpAddress = IpAddr;
