//! One alert's folder in the spool, and the room that all of them have.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use formats::PcapngWriter;
use sensor::Packet;

use crate::record::APPLICATION;

/// What a packet costs in the file beside its bytes.
const RECORD_BYTES: u64 = 48;
/// Levels as `meta.json` names them, the one that makes room first at first.
const LEVELS: [&str; 5] = ["Info", "Low", "Medium", "High", "Critical"];

/// An open folder.
pub(super) struct AlertFolder {
    path: PathBuf,
    writer: Option<PcapngWriter<BufWriter<File>>>,
    /// Bytes of packets written.
    pub(super) packet_bytes: u64,
}

impl AlertFolder {
    /// Makes the folder, or goes on in it after a restart.
    pub(super) fn open(root: &Path, alert: &str) -> io::Result<Self> {
        let path = root.join(alert);
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Self { path, writer: None, packet_bytes: 0 })
    }

    /// Appends packets until `bytes_max`; they are readable at once.
    pub(super) fn packets(&mut self, packets: &[Packet<'_>], bytes_max: u64) -> io::Result<u64> {
        if packets.is_empty() {
            return Ok(0);
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                // A second section in the same file is plain pcapng.
                let path = self.path.join("packets.pcapng");
                let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
                none.insert(PcapngWriter::new(BufWriter::new(file), APPLICATION)?)
            }
        };
        let mut count = 0;
        for packet in packets {
            if self.packet_bytes >= bytes_max {
                break;
            }
            writer.packet(packet)?;
            self.packet_bytes += packet.bytes.len() as u64 + RECORD_BYTES;
            count += 1;
        }
        writer.flush()?;
        Ok(count)
    }

    /// Writes a whole file.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path.join(name);
        let partial = self.path.join(format!(".{name}.part"));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&partial)?.write_all(bytes)?;
        fs::rename(partial, path)
    }

    /// Writes `meta.json`.
    pub(super) fn meta(&self, bytes: &[u8]) -> io::Result<()> {
        self.put("meta.json", bytes)
    }

    /// Whether it was written.
    pub(super) fn has_meta(&self) -> bool {
        self.path.join("meta.json").exists()
    }
}

/// Removes the oldest folders of the lowest level until less than `bytes_max` is left.
pub(super) fn make_room(root: &Path, bytes_max: u64) {
    let mut folders: Vec<_> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| weighed(&entry.path()))
        .collect();
    let mut total: u64 = folders.iter().map(|folder| folder.bytes).sum();
    folders.sort_by_key(|folder| (folder.level, folder.modified));
    for folder in folders {
        if total < bytes_max {
            return;
        }
        if fs::remove_dir_all(&folder.path).is_ok() {
            total = total.saturating_sub(folder.bytes);
        }
    }
}

struct Weighed {
    path: PathBuf,
    bytes: u64,
    level: usize,
    modified: SystemTime,
}

fn weighed(path: &Path) -> Weighed {
    let files =
        || fs::read_dir(path).into_iter().flatten().flatten().filter_map(|f| f.metadata().ok());
    let meta = fs::read(path.join("meta.json")).unwrap_or_default();
    let meta: serde_json::Value = serde_json::from_slice(&meta).unwrap_or_default();
    let level = meta.get("level").and_then(serde_json::Value::as_str);
    Weighed {
        path: path.to_path_buf(),
        bytes: files().map(|file| file.len()).sum(),
        level: LEVELS.iter().position(|name| Some(*name) == level).unwrap_or(0),
        modified: files()
            .filter_map(|file| file.modified().ok())
            .max()
            .unwrap_or(SystemTime::UNIX_EPOCH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_level_makes_room_first_whatever_its_age() {
        let root = tempfile::tempdir().unwrap();
        for (name, level) in [("a", "High"), ("b", "Low"), ("c", "Low")] {
            let folder = AlertFolder::open(root.path(), name).unwrap();
            folder.meta(format!("{{\"level\":\"{level}\"}}").as_bytes()).unwrap();
            folder.put("packets.pcapng", &[0; 1000]).unwrap();
        }
        make_room(root.path(), 3000);
        let mut left: Vec<_> =
            fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["a", "c"]);
    }
}
