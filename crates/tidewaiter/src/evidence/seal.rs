//! Collects evidence into a fresh folder and seals it: every file hashed, the manifest chained to
//! the one before, the folder read-only.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::manifest::{
    Asked, AskedOutcome, FORMAT, FileEntry, Host, Link, MANIFEST_NAME, Manifest, hash_file,
    sha256_hex,
};

/// The chain's own record beside the folders: one [`Link`] a line, oldest first.
pub(crate) const CHAIN_NAME: &str = "chain.jsonl";

/// Preservations of one alert; the next is refused, so that a loop cannot fill the disk.
pub(crate) const CASE_COUNT_MAX: u32 = 999;

/// Files of one case.
pub(crate) const FILE_COUNT_MAX: usize = 4096;

/// The largest single file that is taken in; what is longer is cut there, and the manifest says so.
pub(crate) const FILE_BYTES_MAX: u64 = 256 << 20;

/// A folder that is being filled and is not sealed yet.
pub(crate) struct Case {
    root: PathBuf,
    folder: PathBuf,
    name: String,
    alert: String,
    host: Host,
    began: String,
    asked: Vec<Asked>,
}

/// A sealed folder.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    /// Where it lies.
    pub(crate) folder: PathBuf,
    /// Its link in the chain.
    pub(crate) link: Link,
    /// Files, the manifest not counted.
    pub(crate) file_count: usize,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// What could not be had, as `what: why`.
    pub(crate) failed: Vec<String>,
}

/// What is asked, of whom and how; the first half of an [`Asked`].
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// See [`Asked::what`].
    pub(crate) what: &'static str,
    /// See [`Asked::of`].
    pub(crate) of: String,
    /// See [`Asked::how`].
    pub(crate) how: String,
    /// See [`Asked::at`].
    pub(crate) at: String,
}

impl Case {
    /// Makes the folder `<root>/<alert>/<number>` with the first free number.
    pub(crate) fn open(root: &Path, alert: &str, host: Host, at: String) -> anyhow::Result<Self> {
        if alert.is_empty() || !alert.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            bail!("an alert id has only letters and digits");
        }
        make_folder(&root.join(alert))?;
        for number in 1..=CASE_COUNT_MAX {
            let name = format!("{alert}/{number:03}");
            let folder = root.join(&name);
            match DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => {
                    let root = root.to_owned();
                    let alert = alert.to_owned();
                    let asked = Vec::new();
                    return Ok(Self { root, folder, name, alert, host, began: at, asked });
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("making {}", folder.display()));
                }
            }
        }
        bail!("{CASE_COUNT_MAX} preservations of alert {alert} exist; move some away first")
    }

    /// Saves an answer; `cut` says why it is less than everything, and is empty when it is not.
    pub(crate) fn save(
        &mut self,
        question: Question,
        file: &str,
        bytes: &[u8],
        cut: &str,
    ) -> anyhow::Result<()> {
        self.write(question, file, &mut &*bytes, cut)
    }

    /// Copies a file that lies elsewhere, at most [`FILE_BYTES_MAX`] of it.
    pub(crate) fn copy(
        &mut self,
        question: Question,
        file: &str,
        from: &Path,
    ) -> anyhow::Result<()> {
        match File::open(from) {
            Ok(mut source) => self.write(question, file, &mut source, ""),
            Err(error) => {
                self.fail(question, &format!("opening {}: {error}", from.display()));
                Ok(())
            }
        }
    }

    /// Records that something could not be had.
    pub(crate) fn fail(&mut self, question: Question, why: &str) {
        self.record(question, AskedOutcome::Failed { why: why.to_owned() });
    }

    /// Hashes what lies on the disk, writes the manifest and closes the folder.
    pub(crate) fn seal(self, at: String) -> anyhow::Result<Sealed> {
        let files = self.hash_all()?;
        // One sealing at a time in a store: the chain has no forks.
        let chain = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(self.root.join(CHAIN_NAME))
            .context("opening the evidence chain")?;
        chain.lock().context("locking the evidence chain")?;
        let previous = links(&self.root)?.pop();
        let sequence = previous.as_ref().map_or(1, |link| link.sequence.saturating_add(1));
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            case: self.name.clone(),
            alert: self.alert,
            sequence,
            previous,
            tool: concat!("tidewaiter ", env!("CARGO_PKG_VERSION")).to_owned(),
            host: self.host,
            began: self.began,
            sealed: at,
            asked: self.asked,
            files,
        };
        let bytes = manifest.encode()?;
        let mut file = create(&self.folder.join(MANIFEST_NAME))?;
        file.write_all(&bytes).context("writing the manifest")?;
        file.sync_all().context("writing the manifest")?;
        close(&self.folder)?;
        let link = Link { sequence, case: self.name, sha256: sha256_hex(&bytes) };
        append(&chain, &link)?;
        File::open(&self.root)
            .and_then(|root| root.sync_all())
            .context("writing the evidence folder")?;
        Ok(Sealed {
            folder: self.folder,
            link,
            file_count: manifest.files.len(),
            bytes: manifest.files.iter().map(|file| file.bytes).sum(),
            failed: manifest.asked.iter().filter_map(failure).collect(),
        })
    }

    fn write(
        &mut self,
        question: Question,
        file: &str,
        from: &mut dyn Read,
        cut: &str,
    ) -> anyhow::Result<()> {
        if self.asked.len() >= FILE_COUNT_MAX {
            bail!("a case holds at most {FILE_COUNT_MAX} answers");
        }
        let path = self.folder.join(plain_name(file)?);
        let mut out = create(&path)?;
        let copied = std::io::copy(&mut from.take(FILE_BYTES_MAX), &mut out)
            .with_context(|| format!("writing {}", path.display()))?;
        out.sync_all().with_context(|| format!("writing {}", path.display()))?;
        let mut cut = cut.to_owned();
        if copied == FILE_BYTES_MAX && from.read(&mut [0]).unwrap_or(0) > 0 {
            cut = format!("cut after {FILE_BYTES_MAX} bytes");
        }
        self.record(question, AskedOutcome::Saved { file: file.to_owned(), cut });
        Ok(())
    }

    fn record(&mut self, question: Question, outcome: AskedOutcome) {
        let Question { what, of, how, at } = question;
        self.asked.push(Asked { what: what.to_owned(), of, how, at, outcome });
    }

    fn hash_all(&self) -> anyhow::Result<Vec<FileEntry>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).context("reading the evidence folder")? {
            let name = entry.context("reading the evidence folder")?.file_name();
            names.push(name.into_string().map_err(|_| anyhow::anyhow!("a name is not UTF-8"))?);
        }
        names.sort_unstable();
        names.iter().map(|name| hash_file(&self.folder.join(name), name)).collect()
    }
}

/// All links of the chain, oldest first; a line that is no link is an error that says which.
pub(crate) fn links(root: &Path) -> anyhow::Result<Vec<Link>> {
    let text = match fs::read_to_string(root.join(CHAIN_NAME)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context("reading the evidence chain"),
    };
    let line = |(number, line): (usize, &str)| {
        serde_json::from_str(line)
            .with_context(|| format!("{CHAIN_NAME}, line {}: not a link", number + 1))
    };
    text.lines().enumerate().map(line).collect()
}

/// Makes a folder that only its owner can enter, and its parents.
pub(crate) fn make_folder(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("making {}", path.display()))
}

/// `create_new` refuses to follow a link or to write over anything.
fn create(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("creating {}", path.display()))
}

fn append(mut chain: &File, link: &Link) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(link).context("encoding a link")?;
    line.push(b'\n');
    chain.write_all(&line).context("writing the evidence chain")?;
    chain.sync_all().context("writing the evidence chain")
}

fn close(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).context("closing the evidence folder")? {
        let path = entry.context("closing the evidence folder")?.path();
        fs::set_permissions(&path, Permissions::from_mode(0o400))
            .with_context(|| format!("closing {}", path.display()))?;
    }
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o500)))
        .with_context(|| format!("closing {}", folder.display()))
}

fn plain_name(name: &str) -> anyhow::Result<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
        bail!("`{}` is no name for an evidence file", name.escape_debug());
    }
    Ok(name)
}

fn failure(asked: &Asked) -> Option<String> {
    match &asked.outcome {
        AskedOutcome::Failed { why } => Some(format!("{}: {why}", asked.what)),
        AskedOutcome::Saved { .. } => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn host() -> Host {
        Host { name: "node-7".into(), kernel: "6.1".into(), boot: "b".into() }
    }

    pub(crate) fn question(what: &'static str) -> Question {
        Question { what, of: String::new(), how: "by hand".into(), at: "t".into() }
    }

    pub(crate) fn sealed(root: &Path, alert: &str, bytes: &[u8]) -> Sealed {
        let mut case = Case::open(root, alert, host(), "t0".into()).unwrap();
        case.save(question("inspect"), "inspect.json", bytes, "").unwrap();
        case.fail(question("sockets"), "the namespace is gone");
        case.seal("t1".into()).unwrap()
    }

    #[test]
    fn the_same_evidence_gives_the_same_bytes() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let a = sealed(one.path(), "A1", b"x");
        let b = sealed(two.path(), "A1", b"x");
        assert_eq!(a.link, b.link);
        assert_ne!(sealed(one.path(), "A1", b"x").link.sha256, a.link.sha256);
    }

    #[test]
    fn each_manifest_holds_the_hash_of_the_one_before() {
        let root = tempfile::tempdir().unwrap();
        let first = sealed(root.path(), "A1", b"x");
        let second = sealed(root.path(), "B2", b"y");
        let manifest: Manifest =
            serde_json::from_slice(&fs::read(second.folder.join(MANIFEST_NAME)).unwrap()).unwrap();
        assert_eq!(manifest.previous, Some(first.link));
        assert_eq!(manifest.sequence, 2);
    }

    #[test]
    fn a_second_preservation_of_an_alert_gets_its_own_folder() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(sealed(root.path(), "A1", b"x").link.case, "A1/001");
        assert_eq!(sealed(root.path(), "A1", b"x").link.case, "A1/002");
    }

    #[test]
    fn sealed_files_are_read_only_and_private() {
        let root = tempfile::tempdir().unwrap();
        let sealed = sealed(root.path(), "A1", b"x");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&sealed.folder), 0o500);
        assert_eq!(mode(&sealed.folder.join("inspect.json")), 0o400);
        assert_eq!(mode(&sealed.folder.join(MANIFEST_NAME)), 0o400);
        assert_eq!(mode(&root.path().join(CHAIN_NAME)), 0o600);
    }

    #[test]
    fn what_could_not_be_had_is_in_the_seal() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(
            sealed(root.path(), "A1", b"x").failed,
            ["sockets: the namespace is gone".to_owned()]
        );
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let mut case = Case::open(root.path(), "A1", host(), "t".into()).unwrap();
        for name in ["../a", "/etc/a", "", ".hidden", "a b", "a\u{202e}"] {
            assert!(case.save(question("x"), name, b"", "").is_err(), "{name}");
        }
        assert!(Case::open(root.path(), "../x", host(), "t".into()).is_err());
    }
}
