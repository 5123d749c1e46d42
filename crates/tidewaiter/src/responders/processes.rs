//! The processes of a container, as the kernel shows them: ids, command lines, the hash of each
//! executable, taken through a handle that a renamed or deleted file cannot mislead.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sys::process::{Cgroups, InImage, Process};

use crate::evidence::hex;

/// Processes that are described; more are counted.
const PROCESS_COUNT_MAX: usize = 512;
/// An executable that is larger is hashed as far as this, and the description says so.
const EXECUTABLE_BYTES_MAX: u64 = 256 << 20;
/// Executables that are copied because the image does not hold them.
const COPY_COUNT_MAX: usize = 8;
/// How much of one /proc file is kept.
const TEXT_BYTES_MAX: u64 = 256 << 10;

/// What was found.
pub(crate) struct Found {
    /// One object a process.
    pub(crate) json: Value,
    /// Why it is less than everything; empty when it is complete.
    pub(crate) cut: String,
    /// Executables that are not the image's own.
    pub(crate) not_in_image: Vec<Strange>,
}

/// An executable that did not come with the image.
pub(crate) struct Strange {
    /// Its process.
    pub(crate) pid: u32,
    /// Where it can be read while the process lives.
    pub(crate) path: PathBuf,
}

/// Everything in the cgroup of a container's first process, and below it.
pub(crate) fn of_container(first: u32) -> Result<Found, String> {
    let mut pids = pids_beside(first)?;
    let count = pids.len();
    pids.truncate(PROCESS_COUNT_MAX);
    let mut found = Found { json: Value::Null, cut: String::new(), not_in_image: Vec::new() };
    if count > PROCESS_COUNT_MAX {
        found.cut = format!("{PROCESS_COUNT_MAX} of {count} processes");
    }
    let cgroups = Cgroups::probe();
    let mut all = Vec::new();
    for pid in pids {
        let Ok(process) = Process::open(pid) else {
            all.push(json!({ "pid": pid, "gone": true }));
            continue;
        };
        let in_image = process.in_image();
        if in_image == InImage::No && found.not_in_image.len() < COPY_COUNT_MAX {
            let path = PathBuf::from(format!("/proc/{pid}/exe"));
            found.not_in_image.push(Strange { pid, path });
        }
        all.push(describe(pid, &process, cgroups.as_ref()));
    }
    found.json = Value::Array(all);
    Ok(found)
}

fn pids_beside(first: u32) -> Result<Vec<u32>, String> {
    let text = fs::read_to_string(format!("/proc/{first}/cgroup")).map_err(|e| e.to_string())?;
    let directory = text
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .filter(|path| *path != "/")
        .and_then(|path| Cgroups::probe()?.directory(path));
    let Some(directory) = directory else {
        return Err("its cgroup has no directory in cgroup v2".to_owned());
    };
    let mut pids = Vec::new();
    let mut folders = vec![directory];
    while let Some(folder) = folders.pop() {
        let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        if folders.len() < PROCESS_COUNT_MAX {
            folders.extend(below.map(|entry| entry.path()));
        }
    }
    pids.sort_unstable();
    pids.dedup();
    Ok(pids)
}

fn describe(pid: u32, process: &Process, cgroups: Option<&Cgroups>) -> Value {
    let record = process.read(cgroups);
    let (sha256, bytes) = match process.executable().ok().and_then(hash) {
        Some((sha256, bytes)) => (Some(sha256), Some(bytes)),
        None => (None, None),
    };
    let text = |file: &str| {
        let mut text = Vec::new();
        let file = File::open(format!("/proc/{pid}/{file}")).ok()?;
        file.take(TEXT_BYTES_MAX).read_to_end(&mut text).ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    };
    json!({
        "pid": pid,
        "inner_pid": record.inner_pid,
        "parent_pid": record.parent_pid,
        "real_uid": record.real_uid,
        "effective_uid": record.effective_uid,
        "started_ns": record.started_ns,
        "executable": record.executable,
        "executable_sha256": sha256,
        "executable_bytes": bytes,
        "in_image": format!("{:?}", process.in_image()),
        "arguments": record.arguments,
        "arguments_cut": record.arguments_cut,
        "cgroup": record.cgroup_path,
        "network_namespace": record.netns,
        "descriptors": descriptors(pid),
        "status": text("status"),
        "maps": text("maps"),
        "environment": text("environ").map(|text| {
            text.split_terminator('\0').map(str::to_owned).collect::<Vec<_>>()
        }),
    })
}

fn hash(file: File) -> Option<(String, u64)> {
    let mut file = file.take(EXECUTABLE_BYTES_MAX);
    let mut hasher = Sha256::new();
    let mut bytes = 0_u64;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = file.read(&mut buffer).ok()?;
        if count == 0 {
            return Some((hex(&hasher.finalize()), bytes));
        }
        hasher.update(buffer.get(..count)?);
        bytes = bytes.saturating_add(count as u64);
    }
}

/// `number -> what`, sorted by number.
fn descriptors(pid: u32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut found: Vec<(u32, String)> = entries
        .take(PROCESS_COUNT_MAX)
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let what = fs::read_link(entry.path()).ok()?;
            Some((number, what.to_string_lossy().into_owned()))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(number, what)| format!("{number} -> {what}")).collect()
}
