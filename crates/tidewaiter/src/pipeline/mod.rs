//! The straight line from Observations to alerts that are kept and shown: the same for live and
//! replay.

mod facts;
mod host_gate;
mod judge;
mod lanes;
mod order;
mod replay;
mod rows;
mod totals;

pub(crate) use facts::{FACT_BYTES_MAX, Facts, SortedFacts};
pub(crate) use judge::{Judge, Showing};
pub(crate) use replay::{Input, replay};
pub(crate) use rows::Rows;
pub(crate) use totals::Totals;
