//! Which format a file has, by its first bytes and never by its name.

use std::io::Cursor;

use crate::capture::{Magic, magic};
use crate::input::{GZIP_MAGIC, Input, ZSTD_MAGIC};

/// How many bytes of a file [`detect`] should be given: a compressed one gives nothing before its
/// first block, of up to 128 KiB, is whole.
pub const HEAD_BYTES: usize = 256 * 1024;

/// What a file holds, plain or compressed alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Classic pcap, for [`crate::Capture`].
    Pcap,
    /// pcapng, for [`crate::Capture`].
    Pcapng,
    /// JSON lines, for [`crate::docker_events`].
    DockerEvents,
    /// One JSON document, for [`crate::docker_inspect`].
    DockerInspect,
    /// JSON lines, for [`crate::recording::parse_observation`].
    Observations,
    /// JSON lines, for [`crate::recording::parse_inspect`].
    Inspections,
    /// Zeek's logs as JSON lines, for [`crate::zeek`].
    ZeekJson,
    /// Zeek's logs in columns, for [`crate::zeek`].
    ZeekTsv,
    /// Nothing that this version reads.
    Unknown,
}

/// Tells the format from the first [`HEAD_BYTES`] of a file, or all of it where it is shorter.
#[must_use]
pub fn detect(head: &[u8]) -> Format {
    if !head.starts_with(&GZIP_MAGIC) && !head.starts_with(&ZSTD_MAGIC) {
        return detect_plain(head);
    }
    let expanded_bytes_max = EXPANDED_BYTES_MAX as u64;
    let mut input = Input::open(Cursor::new(head.to_vec()), EXPANDED_BYTES_MAX, expanded_bytes_max);
    // The head ends in the middle: what came before is what is looked at.
    input.fill(EXPANDED_BYTES_MAX);
    detect_plain(input.bytes())
}

fn detect_plain(head: &[u8]) -> Format {
    match magic(head) {
        Magic::Pcap => return Format::Pcap,
        Magic::Pcapng => return Format::Pcapng,
        Magic::None => {}
    }
    if head.trim_ascii_start().starts_with(b"#separator ") {
        return Format::ZeekTsv;
    }
    let keys = keys(head);
    let has = |key: &str| keys.contains(&key.as_bytes());
    if has("tidewaiter") {
        Format::Observations
    } else if has("at") && has("inspect") {
        Format::Inspections
    } else if has("Type") && (has("Action") || has("Status") || has("status")) {
        Format::DockerEvents
    } else if has("Id") && INSPECT_KEYS.into_iter().any(has) {
        Format::DockerInspect
    } else if crate::zeek::Kind::of_keys(&keys).is_some() {
        Format::ZeekJson
    } else {
        Format::Unknown
    }
}

/// The keys of the first JSON object, which may be the first element of an array, as far as the
/// head reaches.
pub(crate) fn keys(head: &[u8]) -> Vec<&[u8]> {
    let mut keys = Vec::new();
    let text = head.trim_ascii_start();
    let object_depth = match text.first() {
        Some(b'[') => 2,
        Some(b'{') => 1,
        _ => return keys,
    };
    let (mut depth, mut at, mut expects) = (0_u32, 0, Expects::Value);
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => {
                depth += 1;
                let is_object = *byte == b'{' && depth == object_depth;
                expects = if is_object { Expects::Key } else { Expects::Value };
            }
            b'}' | b']' => {
                // The first object is over, or there is none.
                if depth <= object_depth {
                    break;
                }
                depth -= 1;
            }
            b',' if depth == object_depth => expects = Expects::Key,
            b'"' => {
                let Some(len) = string_len(text.get(at..).unwrap_or_default()) else { break };
                if depth == object_depth && expects == Expects::Key {
                    keys.extend(text.get(at..at + len));
                    expects = Expects::Value;
                    if keys.len() == KEY_COUNT_MAX {
                        break;
                    }
                }
                at += len + 1;
            }
            _ => {}
        }
    }
    keys
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expects {
    Key,
    Value,
}

/// Bytes of a string up to its closing quote.
fn string_len(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

const INSPECT_KEYS: [&str; 5] = ["State", "HostConfig", "Config", "Path", "RepoTags"];
/// What is looked at after decompression.
const EXPANDED_BYTES_MAX: usize = 64 * 1024;
const KEY_COUNT_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const HEADS: [(&[u8], Format); 11] = [
        (&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0], Format::Pcap),
        (&[0xa1, 0xb2, 0x3c, 0x4d], Format::Pcap),
        (&[0x0a, 0x0d, 0x0d, 0x0a, 28], Format::Pcapng),
        (
            br#"{"status":"start","id":"a","Type":"container","Action":"start"}"#,
            Format::DockerEvents,
        ),
        (br#"{"Type":"network","Action":"connect","Actor":{"ID":"}"#, Format::DockerEvents),
        (
            br#"{"ID":"a","Name":"\"Action","Status":"died","Type":"container"}"#,
            Format::DockerEvents,
        ),
        (b"[\n {\n \"Id\": \"a\",\n \"Args\": [\"}\"], \"State\": {", Format::DockerInspect),
        (br#"{"Id":"sha256:1","RepoTags":["a"]"#, Format::DockerInspect),
        (br#"{"tidewaiter":1,"observation":{"at":1}}"#, Format::Observations),
        (br#"{"at":1,"inspect":{"Id":"a"}}"#, Format::Inspections),
        (br#"{"timestamp":"2026","event_type":"flow","flow_id":1}"#, Format::Unknown),
    ];

    #[test]
    fn each_format_by_its_first_bytes() {
        for (head, format) in HEADS {
            assert_eq!(detect(head), format, "{}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn the_same_within_gzip() {
        for (head, format) in HEADS {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(head).unwrap();
            assert_eq!(detect(&gzip.finish().unwrap()), format);
        }
    }

    #[test]
    fn what_only_looks_alike_is_unknown() {
        for head in [
            &b""[..],
            b"{",
            b"[]",
            b"{\"a\":{\"tidewaiter\":1}}",
            b"{\"a\":\"tidewaiter\"}",
            b"{}{\"tidewaiter\":1}",
            b"{\"tidewaiter",
            b"\"tidewaiter\":1",
            b"container create",
            &[0x1f, 0x8b, 0x08],
            &[0x28, 0xb5, 0x2f, 0xfd, 0xff],
        ] {
            assert_eq!(detect(head), Format::Unknown, "{}", String::from_utf8_lossy(head));
        }
    }
}
