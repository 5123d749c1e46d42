//! What a Receipt says: what was changed exactly, whether it was seen to hold, how it is undone.
//!
//! It is in the store before anything is done, as an intent, so that whatever a crash left standing
//! is known and can be undone.

use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::evidence::Link;
use crate::store::{NewReceipt, Receipt, Store};
use crate::timestamp;

/// The name of the action that seals evidence.
pub(crate) const PRESERVE: &str = "preserve";
/// The name of the action that cuts a container off.
pub(crate) const ISOLATE: &str = "isolate";

/// The responders' part of a [`Receipt`], as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Detail {
    /// How far it came.
    pub(crate) progress: Progress,
    /// The container's full id, or empty where it is about all of an alert's.
    pub(crate) container: String,
    /// Its name.
    pub(crate) name: String,
    /// What was changed, or is about to be, in words.
    pub(crate) changed: Vec<String>,
    /// What was seen to hold afterwards; empty while it was not.
    pub(crate) verified: String,
    /// What undoing it needs.
    pub(crate) made: Made,
}

/// How far an action came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Progress {
    /// About to be done; after a crash nobody knows how much of it was.
    Intent,
    /// Done and verified.
    Done,
    /// It failed, for this reason; what it had made was taken back.
    Failed(String),
}

/// What an action made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Made {
    /// Nothing that could be undone.
    Nothing,
    /// A sealed folder, which is not undone.
    Evidence(Link),
    /// Tables that drop packets.
    Tables {
        /// The tables of the `netdev` family on the host, one an interface; none where no interface
        /// of the host is the container's own.
        host: Vec<DeviceTable>,
        /// The same inside the namespace, for interfaces that have no end of their own on the host.
        inside: Vec<DeviceTable>,
        /// The table of the `inet` family in the namespace.
        inner: InnerTable,
    },
    /// A drop program on a cgroup, pinned here.
    Cgroup {
        /// The pin's directory in a bpf file system.
        pin: PathBuf,
        /// The cgroup's directory.
        cgroup: PathBuf,
    },
}

/// A table that drops the frames of one interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceTable {
    /// The cut's id, see [`sys::nft::CutName`].
    pub(crate) cut: String,
    /// The interface whose frames it drops.
    pub(crate) interface: String,
    /// Its index.
    pub(crate) ifindex: u32,
}

/// A table in a container's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InnerTable {
    /// The cut's id, see [`sys::nft::CutName`].
    pub(crate) cut: String,
    /// The namespace's inode.
    pub(crate) namespace: u64,
    /// Files that lead to the namespace, while it lives.
    pub(crate) paths: Vec<PathBuf>,
}

/// A receipt of an isolation with its detail read.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// The receipt's number.
    pub(crate) id: i64,
    /// Its alert.
    pub(crate) alert: String,
    /// When.
    pub(crate) at: observation::Time,
    /// Its detail.
    pub(crate) detail: Detail,
}

/// Writes the intent; returns the receipt's number.
pub(crate) fn intend(
    store: &mut Store,
    alert: &str,
    action: &str,
    detail: &Detail,
) -> anyhow::Result<i64> {
    store.save_receipt(&NewReceipt {
        alert: alert.to_owned(),
        at: timestamp::now(),
        action: action.to_owned(),
        detail: serde_json::to_value(detail).context("encoding a receipt")?,
    })
}

/// Writes what came of an intent.
pub(crate) fn complete(store: &mut Store, id: i64, detail: &Detail) -> anyhow::Result<()> {
    store.complete_receipt(id, &serde_json::to_value(detail).context("encoding a receipt")?)
}

/// Every isolation that stands as far as the store knows, intents included.
pub(crate) fn standing(store: &Store) -> anyhow::Result<Vec<Standing>> {
    let receipts = store.standing_receipts()?;
    Ok(receipts.into_iter().filter_map(standing_isolation).collect())
}

fn standing_isolation(receipt: Receipt) -> Option<Standing> {
    let Receipt { id, receipt, undone_at: None } = receipt else { return None };
    if receipt.action != ISOLATE {
        return None;
    }
    let detail: Detail = serde_json::from_value(receipt.detail).ok()?;
    match detail.progress {
        Progress::Failed(_) => None,
        Progress::Intent | Progress::Done => {
            Some(Standing { id, alert: receipt.alert, at: receipt.at, detail })
        }
    }
}

/// The chain links that the store's receipts remember.
pub(crate) fn remembered_links(store: &Store) -> anyhow::Result<Vec<Link>> {
    let receipts = store.standing_receipts()?;
    let link = |receipt: Receipt| match serde_json::from_value::<Detail>(receipt.receipt.detail) {
        Ok(Detail { made: Made::Evidence(link), .. }) => Some(link),
        _ => None,
    };
    Ok(receipts.into_iter().filter_map(link).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(progress: Progress) -> Detail {
        Detail {
            progress,
            container: "ab".into(),
            name: "x".into(),
            changed: vec![],
            verified: String::new(),
            made: Made::Nothing,
        }
    }

    #[test]
    fn an_intent_stands_until_it_is_known_to_have_failed() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        let id = intend(&mut store, "A", ISOLATE, &detail(Progress::Intent)).unwrap();
        assert_eq!(standing(&store).unwrap().len(), 1);
        complete(&mut store, id, &detail(Progress::Done)).unwrap();
        assert_eq!(standing(&store).unwrap()[0].detail.progress, Progress::Done);
        complete(&mut store, id, &detail(Progress::Failed("x".into()))).unwrap();
        assert_eq!(standing(&store).unwrap().len(), 0);
    }

    #[test]
    fn what_was_undone_stands_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        let id = intend(&mut store, "A", ISOLATE, &detail(Progress::Done)).unwrap();
        store.mark_undone(id, observation::Time(1)).unwrap();
        assert_eq!(standing(&store).unwrap().len(), 0);
    }

    #[test]
    fn a_preservation_is_no_isolation_and_its_link_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        let link = Link { sequence: 1, case: "A/001".into(), sha256: "00".into() };
        let sealed = Detail { made: Made::Evidence(link.clone()), ..detail(Progress::Done) };
        intend(&mut store, "A", PRESERVE, &sealed).unwrap();
        assert_eq!(standing(&store).unwrap().len(), 0);
        assert_eq!(remembered_links(&store).unwrap(), [link]);
    }
}
