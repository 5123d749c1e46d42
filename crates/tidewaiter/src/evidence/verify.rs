//! Compares evidence folders with their manifests, and the manifests with the chain, and names
//! what differs.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::Context;

use super::manifest::{
    BLOCK_BYTES, FORMAT, FileEntry, Link, MANIFEST_NAME, Manifest, hash_file, sha256_hex,
};
use super::seal::links;

/// The largest manifest that is read: the list of blocks of [`super::seal::FILE_BYTES_MAX`] fits.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;

/// Something that is not as it was sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A file's bytes differ; from `from` to `to` is the first block that does.
    Changed { file: String, from: u64, to: u64, sealed_bytes: u64, found_bytes: u64 },
    /// A sealed file is not there.
    Missing { file: String },
    /// There is a file, folder or link that was not sealed.
    Added { file: String },
    /// There is no manifest, or it cannot be read.
    NoManifest { why: String },
    /// The manifest is not the one that the chain names.
    ManifestChanged { sealed: String, found: String },
    /// The chain does not name this folder.
    NotInChain,
    /// The manifest names another predecessor than the chain does.
    Unlinked { named: String, chained: String },
    /// The chain's own record is damaged, cut or out of order.
    Chain { why: String },
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { file, from, to, sealed_bytes, found_bytes } => {
                write!(out, "{} changed: ", file.escape_debug())?;
                if sealed_bytes != found_bytes {
                    write!(out, "{sealed_bytes} bytes were sealed, {found_bytes} are there; ")?;
                }
                write!(out, "first difference within bytes {from} to {to}")
            }
            Self::Missing { file } => write!(out, "{} is missing", file.escape_debug()),
            Self::Added { file } => write!(out, "{} was not sealed", file.escape_debug()),
            Self::NoManifest { why } => write!(out, "no manifest: {why}"),
            Self::ManifestChanged { sealed, found } => {
                write!(out, "{MANIFEST_NAME} changed: sealed as {sealed}, found {found}")
            }
            Self::NotInChain => write!(out, "the chain does not name this folder"),
            Self::Unlinked { named, chained } => {
                write!(out, "the manifest follows {named}, the chain says {chained}")
            }
            Self::Chain { why } => write!(out, "the chain is broken: {why}"),
        }
    }
}

/// What verifying one folder found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    /// The folder below the evidence root.
    pub(crate) case: String,
    /// Sealed files that are as they were.
    pub(crate) intact_count: usize,
    /// Everything that is not as it was sealed.
    pub(crate) faults: Vec<Fault>,
}

/// Verifies one folder: its files, its manifest, its place in the chain.
pub(crate) fn verify(root: &Path, case: &str) -> Verified {
    let folder = root.join(case);
    let mut verified = Verified { case: case.to_owned(), intact_count: 0, faults: Vec::new() };
    let chain = match links(root) {
        Ok(chain) => chain,
        Err(error) => {
            verified.faults.push(Fault::Chain { why: format!("{error:#}") });
            Vec::new()
        }
    };
    let bytes = match read_manifest(&folder) {
        Ok(bytes) => bytes,
        Err(error) => {
            verified.faults.push(Fault::NoManifest { why: format!("{error:#}") });
            return verified;
        }
    };
    place_in_chain(&chain, case, &sha256_hex(&bytes), &mut verified.faults);
    let manifest: Manifest = match parse(&bytes) {
        Ok(manifest) => manifest,
        Err(error) => {
            verified.faults.push(Fault::NoManifest { why: format!("{error:#}") });
            return verified;
        }
    };
    linked(&chain, &manifest, &mut verified.faults);
    files(&folder, &manifest, &mut verified);
    verified
}

/// Verifies the chain itself; `recorded` are the links that the store's receipts remember.
pub(crate) fn verify_chain(root: &Path, recorded: &[Link]) -> Vec<Fault> {
    let chain = match links(root) {
        Ok(chain) => chain,
        Err(error) => return vec![Fault::Chain { why: format!("{error:#}") }],
    };
    let mut faults = Vec::new();
    for (expected, link) in (1_u64..).zip(&chain) {
        if link.sequence != expected {
            let why = format!("number {expected} is missing, {} stands there", link.sequence);
            faults.push(Fault::Chain { why });
            break;
        }
    }
    for link in &chain {
        if !root.join(&link.case).is_dir() {
            let why = format!("the folder {} of number {} is gone", link.case, link.sequence);
            faults.push(Fault::Chain { why });
        }
    }
    for link in recorded.iter().filter(|link| !chain.contains(link)) {
        let why = format!("a receipt remembers number {} ({})", link.sequence, link.case);
        faults.push(Fault::Chain { why });
    }
    faults
}

/// Reads and decodes the manifest of a folder.
pub(crate) fn manifest_of(folder: &Path) -> anyhow::Result<Manifest> {
    parse(&read_manifest(folder)?)
}

fn read_manifest(folder: &Path) -> anyhow::Result<Vec<u8>> {
    let path = folder.join(MANIFEST_NAME);
    let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
    let mut bytes = Vec::new();
    file.take(MANIFEST_BYTES_MAX)
        .read_to_end(&mut bytes)
        .with_context(|| format!("reading {}", path.display()))?;
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> anyhow::Result<Manifest> {
    let manifest: Manifest = serde_json::from_slice(bytes).context("decoding the manifest")?;
    if manifest.format != FORMAT {
        anyhow::bail!("its format is `{}`, not {FORMAT}", manifest.format.escape_debug());
    }
    Ok(manifest)
}

fn place_in_chain(chain: &[Link], case: &str, found: &str, faults: &mut Vec<Fault>) {
    match chain.iter().find(|link| link.case == case) {
        None => faults.push(Fault::NotInChain),
        Some(link) if link.sha256 != found => {
            let (sealed, found) = (link.sha256.clone(), found.to_owned());
            faults.push(Fault::ManifestChanged { sealed, found });
        }
        Some(_) => {}
    }
}

fn linked(chain: &[Link], manifest: &Manifest, faults: &mut Vec<Fault>) {
    let before = manifest.sequence.checked_sub(1);
    let chained = chain.iter().find(|link| Some(link.sequence) == before);
    if chained != manifest.previous.as_ref() {
        let name = |link: Option<&Link>| {
            link.map_or_else(
                || "nothing".to_owned(),
                |link| format!("{} {}", link.case, link.sha256),
            )
        };
        let (named, chained) = (name(manifest.previous.as_ref()), name(chained));
        faults.push(Fault::Unlinked { named, chained });
    }
}

fn files(folder: &Path, manifest: &Manifest, verified: &mut Verified) {
    let mut sealed: BTreeMap<&str, &FileEntry> =
        manifest.files.iter().map(|file| (file.name.as_str(), file)).collect();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            verified.faults.push(Fault::NoManifest { why: error.to_string() });
            return;
        }
    };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort_unstable();
    for name in names {
        let name = name.to_string_lossy().into_owned();
        if name == MANIFEST_NAME {
            continue;
        }
        let path = folder.join(&name);
        // A link could lead to a good copy today and to a bad one tomorrow: it is not followed.
        let is_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
        match sealed.remove(name.as_str()) {
            Some(entry) if is_file => match hash_file(&path, &name) {
                Ok(found) if found == *entry => verified.intact_count += 1,
                Ok(found) => verified.faults.push(difference(entry, &found)),
                Err(_) => verified.faults.push(Fault::Missing { file: name }),
            },
            Some(_) | None => verified.faults.push(Fault::Added { file: name }),
        }
    }
    let missing = sealed.into_keys().map(|name| Fault::Missing { file: name.to_owned() });
    verified.faults.extend(missing);
}

fn difference(sealed: &FileEntry, found: &FileEntry) -> Fault {
    let same = |(one, two): &(&String, &String)| one == two;
    let block = sealed.blocks.iter().zip(&found.blocks).take_while(same).count() as u64;
    let size = BLOCK_BYTES as u64;
    let from = block.saturating_mul(size);
    let end = sealed.bytes.max(found.bytes).saturating_sub(1);
    Fault::Changed {
        file: sealed.name.clone(),
        from,
        to: end.min(from.saturating_add(size - 1)),
        sealed_bytes: sealed.bytes,
        found_bytes: found.bytes,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::seal::tests::sealed;
    use super::super::seal::{CHAIN_NAME, Sealed};
    use super::*;

    fn rewrite(sealed: &Sealed, name: &str, change: impl Fn(&mut Vec<u8>)) {
        let path = sealed.folder.join(name);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, bytes).unwrap();
    }

    fn open(sealed: &Sealed) {
        fs::set_permissions(&sealed.folder, fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn untouched_evidence_verifies() {
        let root = tempfile::tempdir().unwrap();
        sealed(root.path(), "A1", b"x");
        sealed(root.path(), "B2", b"y");
        for case in ["A1/001", "B2/001"] {
            let verified = verify(root.path(), case);
            assert_eq!((verified.intact_count, verified.faults), (1, vec![]));
        }
        assert_eq!(verify_chain(root.path(), &[]), []);
    }

    #[test]
    fn a_changed_byte_is_named_to_within_its_block() {
        let root = tempfile::tempdir().unwrap();
        let case = sealed(root.path(), "A1", &[7; 3 * BLOCK_BYTES]);
        rewrite(&case, "inspect.json", |bytes| bytes[BLOCK_BYTES + 5] ^= 1);
        let [Fault::Changed { file, from, to, .. }] = &verify(root.path(), "A1/001").faults[..]
        else {
            panic!("exactly one change");
        };
        assert_eq!(file, "inspect.json");
        assert!((*from..=*to).contains(&(BLOCK_BYTES as u64 + 5)));
        assert_eq!(to - from, BLOCK_BYTES as u64 - 1);
    }

    #[test]
    fn a_cut_file_is_named_with_both_lengths() {
        let root = tempfile::tempdir().unwrap();
        let case = sealed(root.path(), "A1", &[7; 10]);
        rewrite(&case, "inspect.json", |bytes| bytes.truncate(4));
        assert_eq!(
            verify(root.path(), "A1/001").faults,
            [Fault::Changed {
                file: "inspect.json".into(),
                from: 0,
                to: 9,
                sealed_bytes: 10,
                found_bytes: 4
            }]
        );
    }

    #[test]
    fn missing_and_added_files_are_named() {
        let root = tempfile::tempdir().unwrap();
        let case = sealed(root.path(), "A1", b"x");
        open(&case);
        fs::remove_file(case.folder.join("inspect.json")).unwrap();
        fs::write(case.folder.join("planted"), b"").unwrap();
        assert_eq!(
            verify(root.path(), "A1/001").faults,
            [
                Fault::Added { file: "planted".into() },
                Fault::Missing { file: "inspect.json".into() }
            ]
        );
    }

    #[test]
    fn a_link_to_a_good_copy_is_not_the_sealed_file() {
        let root = tempfile::tempdir().unwrap();
        let case = sealed(root.path(), "A1", b"x");
        open(&case);
        let copy = root.path().join("copy");
        fs::rename(case.folder.join("inspect.json"), &copy).unwrap();
        std::os::unix::fs::symlink(&copy, case.folder.join("inspect.json")).unwrap();
        assert_eq!(
            verify(root.path(), "A1/001").faults,
            [Fault::Added { file: "inspect.json".into() }]
        );
    }

    #[test]
    fn a_manifest_that_was_made_to_fit_is_not_the_one_in_the_chain() {
        let root = tempfile::tempdir().unwrap();
        let case = sealed(root.path(), "A1", b"x");
        rewrite(&case, "inspect.json", |bytes| *bytes = b"z".to_vec());
        let (old, new) = (sha256_hex(b"x"), sha256_hex(b"z"));
        rewrite(&case, MANIFEST_NAME, |bytes| {
            *bytes = String::from_utf8(bytes.clone()).unwrap().replace(&old, &new).into_bytes();
        });
        let faults = verify(root.path(), "A1/001").faults;
        assert!(matches!(faults[..], [Fault::ManifestChanged { .. }]), "{faults:?}");
    }

    #[test]
    fn a_chain_that_was_made_to_fit_as_well_breaks_at_the_next_link() {
        let root = tempfile::tempdir().unwrap();
        let case = sealed(root.path(), "A1", b"x");
        sealed(root.path(), "B2", b"y");
        rewrite(&case, MANIFEST_NAME, |bytes| bytes.insert(0, b' '));
        let forged = sha256_hex(&fs::read(case.folder.join(MANIFEST_NAME)).unwrap());
        let path = root.path().join(CHAIN_NAME);
        let text = fs::read_to_string(&path).unwrap().replace(&case.link.sha256, &forged);
        fs::write(&path, text).unwrap();
        assert_eq!(verify(root.path(), "A1/001").faults, []);
        let faults = verify(root.path(), "B2/001").faults;
        assert!(matches!(faults[..], [Fault::Unlinked { .. }]), "{faults:?}");
    }

    #[test]
    fn a_receipt_remembers_the_last_link_of_a_cut_chain() {
        let root = tempfile::tempdir().unwrap();
        let first = sealed(root.path(), "A1", b"x");
        let last = sealed(root.path(), "B2", b"y");
        let path = root.path().join(CHAIN_NAME);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.lines().next().unwrap().to_owned() + "\n").unwrap();
        assert_eq!(verify_chain(root.path(), std::slice::from_ref(&first.link)), []);
        assert_eq!(verify_chain(root.path(), &[first.link, last.link]).len(), 1);
        assert_eq!(verify(root.path(), "B2/001").faults, [Fault::NotInChain]);
    }

    #[test]
    fn a_removed_folder_and_a_removed_link_break_the_chain() {
        let root = tempfile::tempdir().unwrap();
        let case = sealed(root.path(), "A1", b"x");
        sealed(root.path(), "B2", b"y");
        open(&case);
        fs::remove_dir_all(&case.folder).unwrap();
        assert_eq!(verify_chain(root.path(), &[]).len(), 1);
        let path = root.path().join(CHAIN_NAME);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.lines().nth(1).unwrap().to_owned() + "\n").unwrap();
        assert_eq!(verify_chain(root.path(), &[]).len(), 1);
        fs::write(&path, "not a link\n").unwrap();
        assert!(matches!(verify_chain(root.path(), &[])[..], [Fault::Chain { .. }]));
    }

    #[test]
    fn a_folder_without_a_manifest_is_named() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("A1/001")).unwrap();
        assert!(matches!(verify(root.path(), "A1/001").faults[..], [Fault::NoManifest { .. }]));
    }
}
