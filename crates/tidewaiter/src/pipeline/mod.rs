//! The straight line from Observations to alerts that are kept and shown: the same for live and
//! replay.

mod judge;
mod totals;

pub(crate) use judge::{Judge, Showing};
pub(crate) use totals::Totals;
