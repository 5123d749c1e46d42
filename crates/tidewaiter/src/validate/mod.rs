//! `validate`: runs the commands that an ADS document's Validation section gives, in a network of
//! their own with a far end that speaks, and says whether an alert came.
//!
//! *Architecture invariant:* nothing of a document ever reaches a shell; only `docker run` and
//! `podman run` are started, with words; whatever is made carries a label and is removed.

mod client;
mod command;
mod destinations;
mod document;
mod far_end;
mod lab;
mod options;
mod report;
mod resolver;
mod run;
mod watcher;
mod words;

pub(crate) use command::{Danger, Documented, read as read_command};
pub(crate) use document::{DOCUMENT_BYTES_MAX, read as read_document};
pub(crate) use lab::Pull;
pub(crate) use report::Report;
pub(crate) use run::{Patience, run, stop_on_signals};
