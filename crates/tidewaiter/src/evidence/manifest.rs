//! The manifest of an evidence folder: what was asked, what came, and the hash of every file.
//!
//! It is JSON with its members in one fixed order, so that the same evidence gives the same bytes,
//! and it holds the hash of the manifest that was sealed before it in the same store.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a manifest says it is; another value is a manifest that this version cannot judge.
pub(crate) const FORMAT: &str = "tidewaiter-evidence/1";

/// The manifest's own name inside the folder.
pub(crate) const MANIFEST_NAME: &str = "manifest.json";

/// Files are also hashed in blocks of this size, so that a changed byte is found to within a block.
pub(crate) const BLOCK_BYTES: usize = 4096;

/// Everything that is sealed about one preservation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// [`FORMAT`].
    pub(crate) format: String,
    /// The folder below the evidence root, `<alert>/<number>`.
    pub(crate) case: String,
    /// The alert that it answers.
    pub(crate) alert: String,
    /// Position in the store's chain, from 1.
    pub(crate) sequence: u64,
    /// The manifest sealed before this one; `None` for the first.
    pub(crate) previous: Option<Link>,
    /// The tool that wrote it.
    pub(crate) tool: String,
    /// The machine that it was taken on.
    pub(crate) host: Host,
    /// When collecting began (UTC).
    pub(crate) began: String,
    /// When it was sealed (UTC).
    pub(crate) sealed: String,
    /// What was asked, in order, with what came of it.
    pub(crate) asked: Vec<Asked>,
    /// Every file, sorted by name.
    pub(crate) files: Vec<FileEntry>,
}

/// One link of the chain: a sealed folder and the hash of its manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    /// Position in the chain.
    pub(crate) sequence: u64,
    /// The folder below the evidence root.
    pub(crate) case: String,
    /// SHA-256 of its `manifest.json`.
    pub(crate) sha256: String,
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Host {
    /// Its name.
    pub(crate) name: String,
    /// Kernel release.
    pub(crate) kernel: String,
    /// The boot that it was taken in.
    pub(crate) boot: String,
}

/// One thing that was asked of the machine or the runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// What was wanted (`packets`, `inspect`, `sockets` …).
    pub(crate) what: String,
    /// Of whom: a container's full id, or empty.
    pub(crate) of: String,
    /// How it was asked, in words that somebody else can repeat.
    pub(crate) how: String,
    /// When (UTC).
    pub(crate) at: String,
    /// What came of it.
    pub(crate) outcome: AskedOutcome,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AskedOutcome {
    /// It lies in this file.
    Saved {
        /// The file's name.
        file: String,
        /// Why it is less than everything; empty when it is complete.
        cut: String,
    },
    /// It could not be had.
    Failed {
        /// Why.
        why: String,
    },
}

/// One sealed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileEntry {
    /// Its name inside the folder.
    pub(crate) name: String,
    /// Its size.
    pub(crate) bytes: u64,
    /// SHA-256 of all of it.
    pub(crate) sha256: String,
    /// SHA-256 of each [`BLOCK_BYTES`]; empty when the file is a single block.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) blocks: Vec<String>,
}

impl Manifest {
    /// Its bytes as they are written and hashed.
    pub(crate) fn encode(&self) -> anyhow::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self).context("encoding the manifest")?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// Hashes a file as it lies on the disk now.
pub(crate) fn hash_file(path: &Path, name: &str) -> anyhow::Result<FileEntry> {
    let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut whole = Sha256::new();
    let mut blocks = Vec::new();
    let mut bytes = 0_u64;
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    loop {
        block.clear();
        let count = file
            .by_ref()
            .take(BLOCK_BYTES as u64)
            .read_to_end(&mut block)
            .with_context(|| format!("reading {}", path.display()))?;
        if count == 0 {
            break;
        }
        whole.update(&block);
        blocks.push(hex(&Sha256::digest(&block)));
        bytes = bytes.saturating_add(count as u64);
    }
    if blocks.len() <= 1 {
        blocks.clear();
    }
    Ok(FileEntry { name: name.to_owned(), bytes, sha256: hex(&whole.finalize()), blocks })
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_one_block_has_no_block_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, b"abc").unwrap();
        let entry = hash_file(&path, "a").unwrap();
        assert_eq!(entry.bytes, 3);
        assert_eq!(
            entry.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(entry.blocks.is_empty());
    }

    #[test]
    fn a_longer_file_lists_its_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, vec![7_u8; BLOCK_BYTES + 1]).unwrap();
        let entry = hash_file(&path, "a").unwrap();
        assert_eq!(entry.blocks.len(), 2);
        assert_eq!(entry.blocks[1], sha256_hex(&[7]));
    }

    #[test]
    fn an_empty_file_has_the_hash_of_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, b"").unwrap();
        let entry = hash_file(&path, "a").unwrap();
        assert_eq!((entry.bytes, entry.sha256), (0, sha256_hex(b"")));
    }
}
