//! Responders: what is done about an alert when somebody says so.
//!
//! *Architecture invariant:* making a [`Plan`] only reads; nothing acts unless it was told to; the
//! receipt is in the store before the act; an undo takes away what the receipt names and no more.

mod apply;
mod hold;
mod isolate;
mod plan;
mod preserve;
mod processes;
mod receipt;
mod sockets;
mod target;

pub(crate) use apply::{Done, apply, undo};
pub(crate) use hold::{Condition, conditions, mend};
pub(crate) use isolate::{describe, verify};
pub(crate) use plan::{Action, Plan, row};
pub(crate) use preserve::evidence_root;
pub(crate) use receipt::{Progress, Standing, remembered_links, standing};
pub(crate) use target::{Target, targets};
