//! What an evidence folder holds, for people: packets, configuration, sockets, processes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use formats::{Capture, Limits};
use observation::SourceId;
use serde_json::Value;

use super::manifest::{AskedOutcome, FileEntry, Manifest};
use crate::sinks::{escaped, escaped_whole};

/// Descriptions are read as far as this.
const JSON_BYTES_MAX: u64 = 32 << 20;
/// Processes or sockets that are listed; the rest are counted.
const LINE_COUNT_MAX: usize = 20;

/// The lines about a sealed folder.
pub(crate) fn lines(folder: &Path, manifest: &Manifest) -> Vec<String> {
    let mut lines = vec![
        format!("case      {}, number {} of the chain", manifest.case, manifest.sequence),
        format!("alert     {}", escaped(&manifest.alert)),
        format!("taken     {} to {}", escaped(&manifest.began), escaped(&manifest.sealed)),
        format!(
            "host      {}, kernel {}, {}",
            escaped(&manifest.host.name),
            escaped(&manifest.host.kernel),
            escaped(&manifest.tool)
        ),
    ];
    for file in &manifest.files {
        lines.push(format!("file      {:>10}  {}", file.bytes, escaped(&file.name)));
        lines.extend(about(folder, file).into_iter().map(|line| format!("            {line}")));
    }
    for asked in &manifest.asked {
        match &asked.outcome {
            AskedOutcome::Failed { why } => {
                let (what, how) = (escaped(&asked.what), escaped(&asked.how));
                lines.push(format!("missing   {what}: {} ({how})", escaped_whole(why)));
            }
            AskedOutcome::Saved { file, cut } if !cut.is_empty() => {
                lines.push(format!("cut       {}: {}", escaped(file), escaped(cut)));
            }
            AskedOutcome::Saved { .. } => {}
        }
    }
    lines
}

fn about(folder: &Path, file: &FileEntry) -> Vec<String> {
    let path = folder.join(&file.name);
    if file.name.ends_with(".pcapng") {
        return vec![packets(&path)];
    }
    if file.name.contains("inspect-") {
        return json(&path).map(|value| configuration(&value)).unwrap_or_default();
    }
    if file.name.starts_with("sockets-") {
        return json(&path).map(|value| sockets(&value)).unwrap_or_default();
    }
    if file.name.starts_with("processes-") {
        return json(&path).map(|value| processes(&value)).unwrap_or_default();
    }
    Vec::new()
}

fn packets(path: &Path) -> String {
    let opened = File::open(path).map_err(|error| error.to_string()).and_then(|file| {
        Capture::open(file, SourceId(0), Limits::default()).map_err(|error| error.to_string())
    });
    let mut capture = match opened {
        Ok(capture) => capture,
        Err(error) => return format!("unreadable: {}", escaped(&error)),
    };
    let (mut count, mut bytes) = (0_u64, 0_u64);
    let (mut first, mut last) = (None, None);
    while let Some(Ok(packet)) = capture.next() {
        count += 1;
        bytes = bytes.saturating_add(packet.wire_len.into());
        first.get_or_insert(packet.at);
        last = Some(packet.at);
    }
    match (first, last) {
        (Some(first), Some(last)) => format!(
            "{count} packets, {bytes} bytes, {} to {}",
            crate::timestamp::readable(first),
            crate::timestamp::readable(last)
        ),
        _ => "0 packets".to_owned(),
    }
}

fn json(path: &Path) -> Option<Value> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(JSON_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn configuration(inspect: &Value) -> Vec<String> {
    let text = |path: &str| match inspect.pointer(path) {
        Some(Value::String(text)) => escaped(text),
        Some(Value::Null) => "none".to_owned(),
        None => "unknown".to_owned(),
        Some(other) => escaped(&other.to_string()),
    };
    let words = |path: &str| {
        let list = inspect.pointer(path).and_then(Value::as_array);
        let words = list.into_iter().flatten().filter_map(Value::as_str).map(escaped);
        words.collect::<Vec<_>>().join(" ")
    };
    vec![
        format!("name {}, image {}", text("/Name"), text("/Config/Image")),
        format!("image digest {}", text("/Image")),
        format!("command {} {}", words("/Config/Entrypoint"), words("/Config/Cmd")),
        format!(
            "state {}, pid {}, started {}",
            text("/State/Status"),
            text("/State/Pid"),
            text("/State/StartedAt")
        ),
        format!(
            "network {}, privileged {}, capabilities added {}, mounts {}",
            text("/HostConfig/NetworkMode"),
            text("/HostConfig/Privileged"),
            text("/HostConfig/CapAdd"),
            text("/HostConfig/Binds")
        ),
    ]
}

fn processes(list: &Value) -> Vec<String> {
    let all = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut lines: Vec<String> = all.iter().take(LINE_COUNT_MAX).map(process).collect();
    if all.len() > LINE_COUNT_MAX {
        lines.push(format!("and {} more processes", all.len() - LINE_COUNT_MAX));
    }
    lines
}

fn sockets(found: &Value) -> Vec<String> {
    let all = found.get("sockets").and_then(Value::as_array);
    let all = all.map(Vec::as_slice).unwrap_or_default();
    let line = |socket: &Value| {
        let text = |name: &str| escaped(socket.get(name).and_then(Value::as_str).unwrap_or("?"));
        let number = |name: &str| socket.get(name).and_then(Value::as_u64).unwrap_or(0);
        format!(
            "{} {} {} -> {}, sent {}, received {}, waiting {}",
            text("transport"),
            text("state"),
            text("local"),
            text("remote"),
            number("acknowledged_bytes"),
            number("received_bytes"),
            number("receive_queue")
        )
    };
    let mut lines: Vec<String> = all.iter().take(LINE_COUNT_MAX).map(line).collect();
    if all.len() > LINE_COUNT_MAX {
        lines.push(format!("and {} more sockets", all.len() - LINE_COUNT_MAX));
    }
    lines
}

fn process(process: &Value) -> String {
    let pid = process.get("pid").and_then(Value::as_u64).unwrap_or(0);
    let text = |name: &str| process.get(name).and_then(Value::as_str).unwrap_or("unknown");
    let arguments = process.get("arguments").and_then(Value::as_array);
    let arguments: Vec<_> = arguments.into_iter().flatten().filter_map(Value::as_str).collect();
    format!(
        "pid {pid}  {}  {}  sha256 {}, in image: {}",
        escaped(text("executable")),
        escaped(&arguments.join(" ")),
        text("executable_sha256").get(..12).unwrap_or("unknown"),
        escaped(text("in_image"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_description_is_one_line_a_fact() {
        let inspect: Value = serde_json::from_str(
            r#"{"Name":"/x\n\u001b[2J","Config":{"Cmd":["sh","-c","a\nb"],"Image":7}}"#,
        )
        .unwrap();
        for line in configuration(&inspect) {
            assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
        }
    }

    #[test]
    fn a_file_that_only_claims_to_be_packets_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("packets.pcapng");
        std::fs::write(&path, b"no packets at all, but long enough to be read").unwrap();
        assert!(packets(&path).starts_with("unreadable"));
    }
}
