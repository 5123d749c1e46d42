//! Checks what no compiler checks.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::root;

/// The crates that decide, and all that they may depend on: nothing here can read a clock, a file,
/// a socket or the environment.
const DECIDING: &[&str] = &["observation", "sensor", "engine"];
const ALLOWED: &[&str] = &[
    "observation",
    "serde",
    "postcard",
    "hashbrown",
    "foldhash",
    "libm",
    "psl",
    "sha1",
    "sha2",
    "x509-cert",
];

const LINES_MAX: usize = 450;
const COLUMNS_MAX: usize = 100;
const WORDS_FORBIDDEN: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];
const NAMES_FORBIDDEN: &[&str] = &["utils", "util", "common", "types", "helpers", "misc"];
const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "THREAT_MODEL.md",
    "CHANGELOG.md",
    "LICENSE",
];

pub(crate) fn run() -> Result<()> {
    let mut complaints = Vec::new();
    for name in DECIDING {
        deciding_crate(name, &mut complaints)?;
    }
    let mut sources = Vec::new();
    for folder in ["crates", "xtask/src", "fuzz/fuzz_targets"] {
        rust_files(&root().join(folder), &mut sources)?;
    }
    for path in &sources {
        source_file(path, &mut complaints)?;
    }
    dependencies_have_sentences(&mut complaints)?;
    for document in DOCUMENTS {
        if !root().join(document).is_file() {
            complaints.push(format!("{document} is missing"));
        }
    }
    for complaint in &complaints {
        eprintln!("tidy: {complaint}");
    }
    if !complaints.is_empty() {
        bail!("{} complaints", complaints.len());
    }
    println!("{} source files are tidy", sources.len());
    Ok(())
}

/// `no_std` alone stops nobody from writing `extern crate std`.
fn deciding_crate(name: &str, complaints: &mut Vec<String>) -> Result<()> {
    let folder = root().join("crates").join(name);
    let library = fs::read_to_string(folder.join("src/lib.rs"))?;
    if !library.contains("#![no_std]") {
        complaints.push(format!("crates/{name} decides and is not no_std"));
    }
    let mut files = Vec::new();
    rust_files(&folder.join("src"), &mut files)?;
    for path in files {
        let text = fs::read_to_string(&path)?;
        let tested = text.find("#[cfg(test)]").unwrap_or(text.len());
        if text.get(..tested).is_some_and(|code| code.contains("extern crate std")) {
            complaints.push(format!("{} brings std in", shown(&path)));
        }
    }
    let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml"))?.parse()?;
    let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
    for dependency in dependencies.into_iter().flat_map(toml::Table::keys) {
        if !ALLOWED.contains(&dependency.as_str()) {
            complaints.push(format!("crates/{name} may not depend on {dependency}"));
        }
    }
    Ok(())
}

fn source_file(path: &Path, complaints: &mut Vec<String>) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| shown(path))?;
    let shown = shown(path);
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    if stem.is_some_and(|stem| NAMES_FORBIDDEN.contains(&stem.as_str())) {
        complaints.push(format!("{shown} has a name that says nothing"));
    }
    let lines: Vec<&str> = text.lines().collect();
    let code = lines.iter().position(|line| line.trim() == "#[cfg(test)]").unwrap_or(lines.len());
    if code > LINES_MAX {
        complaints.push(format!("{shown} has {code} lines before its tests"));
    }
    let is_module = !shown.contains("/tests/") && !shown.contains("/examples/");
    if is_module && !lines.first().is_some_and(|line| line.starts_with("//!")) {
        complaints.push(format!("{shown} does not begin with what it is"));
    }
    for (number, line) in lines.iter().enumerate() {
        let at = number + 1;
        // An address or a literal of bytes cannot be broken.
        let is_whole = line.contains("://") || starts_literal(line) || number >= code;
        if line.chars().count() > COLUMNS_MAX && !is_whole {
            complaints.push(format!("{shown}:{at} is wider than {COLUMNS_MAX} columns"));
        }
        let own_list = shown.ends_with("tidy.rs");
        if !own_list && WORDS_FORBIDDEN.iter().any(|word| has_word(line, word)) {
            complaints.push(format!("{shown}:{at} is unfinished"));
        }
        if number < code && !own_list && !shown.starts_with("crates/sys/") && is_unsafe(line) {
            complaints.push(format!("{shown}:{at} is unsafe outside crates/sys"));
        }
    }
    Ok(())
}

fn starts_literal(line: &str) -> bool {
    ["\"", "b\"", "r#\""].iter().any(|start| line.trim_start().starts_with(start))
}

fn is_unsafe(line: &str) -> bool {
    let line = line.trim_start();
    !line.starts_with("//") && (line.contains("unsafe {") || line.contains("unsafe fn"))
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|part| part == word)
}

/// Every dependency in the workspace's manifest has its sentence above it.
fn dependencies_have_sentences(complaints: &mut Vec<String>) -> Result<()> {
    let text = fs::read_to_string(root().join("Cargo.toml"))?;
    let mut inside = false;
    let mut explained = false;
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
        } else if inside && line.starts_with('#') {
            explained = true;
        } else if inside && line.contains('=') && !line.contains("path =") {
            if !explained {
                complaints.push(format!("Cargo.toml: no sentence for `{line}`"));
            }
            explained = false;
        }
    }
    Ok(())
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                rust_files(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
