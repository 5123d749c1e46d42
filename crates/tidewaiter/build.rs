//! Collects the recordings that `demo` replays, so that the program carries them with it.
//! Where there are none yet, it carries none, and `demo` says so.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let manifest = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let fixtures = Path::new(&manifest).join("../../fixtures/telnet_c2");
    println!("cargo::rerun-if-changed={}", fixtures.display());
    let mut source = String::new();
    for (name, folder) in [("HIT", fixtures.join("hit")), ("MISS", fixtures.join("miss"))] {
        let _ = writeln!(source, "pub(super) static {name}: &[(&str, &[u8])] = &[");
        for path in files(&folder)? {
            let file = path.file_name().unwrap_or_default();
            let _ = writeln!(
                source,
                "    ({file:?}, include_bytes!({:?})),",
                path.display().to_string()
            );
        }
        source.push_str("];\n");
    }
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&out).join("recordings.rs"), source)
}

/// A recording's files by name; what is written beside them for people is left out.
fn files(folder: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path().canonicalize()?;
        let is_data = path.extension().is_some_and(|ending| {
            ["pcapng", "pcap", "ndjson", "gz", "zst"].iter().any(|known| ending == *known)
        });
        if is_data {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
