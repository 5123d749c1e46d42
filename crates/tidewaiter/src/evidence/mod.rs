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
mod verify;

pub(crate) use manifest::{AskedOutcome, Host, Link, Manifest, hex, sha256_hex};
pub(crate) use seal::{Case, Question, Sealed, links, make_folder};
pub(crate) use verify::{Fault, Verified, manifest_of, verify, verify_chain};
