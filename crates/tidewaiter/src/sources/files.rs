//! Files and folders given on a command line.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};

/// Files that one command reads.
const FILE_COUNT_MAX: usize = 60_000;
/// Folders inside folders.
const FOLDER_DEPTH_MAX: usize = 32;

/// A file to be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Input {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Whether somebody named this very file, or a folder that it lies in.
    pub(crate) named: Named,
    /// Its size on disk; 0 for a pipe.
    pub(crate) bytes: u64,
}

/// How a file came to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Named {
    /// It was named on the command line.
    Itself,
    /// A folder was.
    ByFolder,
}

/// All files that the paths lead to, each once, sorted by path: the order of the arguments never
/// reaches the output. Links inside folders are not followed.
pub(crate) fn expand(paths: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for path in paths {
        let metadata = fs::metadata(path).with_context(|| {
            format!("opening {}: is the name right, and may you read it", path.display())
        })?;
        if metadata.is_dir() {
            walk(path, 0, &mut inputs)?;
        } else {
            inputs.push(input(path.clone(), &metadata, Named::Itself));
        }
    }
    inputs.sort();
    inputs.dedup_by(|second, first| second.path == first.path);
    if inputs.is_empty() {
        bail!("there is no file to read in what was named");
    }
    Ok(inputs)
}

fn walk(folder: &Path, depth: usize, inputs: &mut Vec<Input>) -> anyhow::Result<()> {
    if depth > FOLDER_DEPTH_MAX {
        bail!("{} lies more than {FOLDER_DEPTH_MAX} folders deep", folder.display());
    }
    let entries =
        fs::read_dir(folder).with_context(|| format!("reading the folder {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("reading the folder {}", folder.display()))?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            walk(&path, depth + 1, inputs)?;
        } else if kind.is_file() {
            inputs.push(input(path, &entry.metadata()?, Named::ByFolder));
        }
        if inputs.len() > FILE_COUNT_MAX {
            bail!("more than {FILE_COUNT_MAX} files: name smaller folders");
        }
    }
    Ok(())
}

fn input(path: PathBuf, metadata: &Metadata, named: Named) -> Input {
    Input { path, named, bytes: metadata.len() }
}

/// A file whose reading is counted, for the progress bar.
pub(crate) struct Counted {
    file: File,
    read_bytes: Arc<AtomicU64>,
}

impl Counted {
    /// Opens a file; what is read of it is added to `read_bytes`.
    pub(crate) fn open(path: &Path, read_bytes: &Arc<AtomicU64>) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| {
            format!("opening {}: is the name right, and may you read it", path.display())
        })?;
        Ok(Self { file, read_bytes: Arc::clone(read_bytes) })
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read_bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_a_file_in_it_are_read_once_in_one_order() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("deep/b"));
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(&a, "1").unwrap();
        fs::write(&b, "22").unwrap();
        let first = expand(&[folder.path().to_path_buf(), b.clone()]).unwrap();
        let second = expand(&[b, folder.path().to_path_buf()]).unwrap();
        assert_eq!(first, second);
        assert_eq!(first.iter().map(|input| input.bytes).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = expand(&[PathBuf::from("/nonexistent/x.pcap")]).unwrap_err();
        assert!(format!("{error:#}").contains("/nonexistent/x.pcap"));
    }
}
