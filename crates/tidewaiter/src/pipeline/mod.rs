//! The straight line from Observations to alerts that are kept and shown: the same for live and
//! replay.

mod facts;
mod host_gate;
mod judge;
mod lanes;
mod merge;
mod order;
mod outlet;
mod replay;
mod rows;
mod totals;

pub(crate) use facts::{FACT_BYTES_MAX, Facts, SortedFacts};
pub(crate) use judge::Judge;
pub(crate) use lanes::Note;
pub(crate) use merge::Merge;
pub(crate) use outlet::Showing;
pub(crate) use replay::{Listener, replay};
pub(crate) use rows::Rows;
pub(crate) use totals::Totals;
