//! Makes a fixture of a recording: what other processes of the machine did meanwhile is nobody's
//! business, and goes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

const SYSTEM_FILE: &str = "system.ndjson";

/// Keeps, of process and socket events, those of containers and of the runtime's clients.
pub(super) fn clean(folder: &Path) -> Result<()> {
    let path = folder.join(SYSTEM_FILE);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let lines: Vec<(&str, Value)> = text
        .lines()
        .map(|line| Ok((line, serde_json::from_str(line)?)))
        .collect::<Result<_>>()
        .with_context(|| path.display().to_string())?;
    let wanted: BTreeSet<u64> =
        lines.iter().filter_map(|(_, value)| wanted_process(fact(value)?)).collect();
    let mut kept = String::with_capacity(text.len());
    for (line, value) in &lines {
        let pid = fact(value).and_then(pid_of);
        if pid.is_none_or(|pid| wanted.contains(&pid)) {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    fs::write(&path, kept)?;
    for entry in fs::read_dir(folder)? {
        fs::set_permissions(entry?.path(), fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

fn fact(line: &Value) -> Option<&Value> {
    line.pointer("/observation/fact")
}

fn pid_of(fact: &Value) -> Option<u64> {
    let started = fact.pointer("/ProcessStarted/process/pid");
    started
        .or_else(|| fact.pointer("/ProcessEnded/pid"))
        .or_else(|| fact.pointer("/SocketOpened/pid"))?
        .as_u64()
}

/// The pid of a process in a container, or of `docker run` and its like.
fn wanted_process(fact: &Value) -> Option<u64> {
    let started = fact.get("ProcessStarted")?;
    let words: Vec<&str> =
        started.get("arguments")?.as_array()?.iter().filter_map(Value::as_str).collect();
    let is_client = words.first().is_some_and(|word| word.ends_with("docker"))
        && words.iter().take(3).any(|word| matches!(*word, "run" | "exec" | "create"));
    let in_container = started.get("container").is_some_and(|id| !id.is_null());
    (in_container || is_client).then(|| pid_of(fact)).flatten()
}
