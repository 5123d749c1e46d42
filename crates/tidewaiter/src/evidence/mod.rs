//! Evidence: collected into a folder, sealed with hashes, chained, verified.
//!
//! `<store>/evidence/<ALERT ID>/<number>/` holds the files and `manifest.json`;
//! `<store>/evidence/chain.jsonl` names every manifest's hash in the order of sealing, and every
//! manifest holds the hash of the one before.
//!
//! *Architecture invariant:* nothing here asks the machine or a runtime for anything; responders
//! do that and hand the answers over.

mod manifest;
mod seal;
mod show;
mod verify;

pub(crate) use manifest::{Host, Link, hex};
pub(crate) use seal::{Case, Question, Sealed, links};
pub(crate) use show::lines as describe_case;
pub(crate) use verify::{Fault, Verified, manifest_of, verify, verify_chain};
