//! Feeds as their makers write them, and as an attacker would.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::io::Cursor;

use formats::intel::{FeedTally, Refusal, Shared, events_of_manifest, read_feed};

/// What a feed lists, in words: value, confidence, day last seen, whether it expires.
fn read(text: &str) -> (Vec<String>, Result<FeedTally, String>) {
    let mut all = Vec::new();
    let reader = Cursor::new(text.as_bytes().to_vec());
    let tally = read_feed(reader, &mut |entry| {
        let days = entry.seen.map(|seen| seen.0 / 86_400_000_000_000);
        let shared = if entry.shared == Shared::Yes { " shared" } else { "" };
        let expires = if entry.expires.is_some() { " expires" } else { "" };
        let (value, confidence) = (&entry.value, entry.confidence);
        all.push(format!("{value:?} {confidence:?} {days:?}{expires}{shared}"));
    });
    (all, tally)
}

#[test]
fn a_plain_list_with_comments_and_mistakes() {
    let (all, tally) = read(
        "\u{feff}# a list\n198.51.100.10\n203.0.113.0/25 # a network\n\nevil.example.com\n\
         http://files.example.net/a#b ; where it lies\n; old\n// older\nnot a value at all\n\
         0.0.0.0 sink.example.org\n8.8.8.8\ncom\n0.0.0.0/0\n10.0.0.0/8\n",
    );
    assert_eq!(all.len(), 5, "{all:?}");
    assert!(all[3].contains("a#b"), "{all:?}");
    let tally = tally.unwrap();
    assert_eq!((tally.taken_count, tally.not_understood_count), (5, 0), "{tally:?}");
    assert_eq!(tally.refused, [2, 0, 2, 1], "{:?}", Refusal::ALL);
}

#[test]
fn feodo_tracker() {
    let (all, tally) = read(
        "################\n# Feodo Tracker Botnet C2 IP Blocklist (CSV)\n#\n\
         \"first_seen_utc\",\"dst_ip\",\"dst_port\",\"c2_status\",\"last_online\",\"malware\"\n\
         \"2026-11-20 08:15:04\",\"198.51.100.10\",\"443\",\"online\",\"2026-11-28\",\"Emotet\"\n\
         \"2026-11-20 08:15:04\",\"198.51.100.11\",\"8080\",\"offline\",\"\",\"Emotet\"\n\
         # END 2 entries\n",
    );
    assert_eq!(
        all,
        [
            "Address(198.51.100.10, Some(443)) None Some(20785)",
            "Address(198.51.100.11, Some(8080)) None Some(20777)"
        ]
    );
    assert_eq!(tally.unwrap(), FeedTally { taken_count: 2, ..FeedTally::default() });
}

#[test]
fn urlhaus_with_its_header_in_a_comment() {
    let (all, _) = read(
        "# URLhaus\n# id,dateadded,url,url_status,last_online,threat,tags,urlhaus_link,reporter\n\
         \"1\",\"2026-11-20 08:15:04\",\"http://198.51.100.10/a,b?x=\"\"1\"\"\",\"online\",\"\",\"m\",\
         \"elf,mirai\",\"https://urlhaus.example/1\",\"x\"\n",
    );
    assert_eq!(all, ["Url(\"http://198.51.100.10/a,b?x=\\\"1\\\"\") None Some(20777)"]);
}

#[test]
fn threatfox_with_kinds_spaces_and_confidence() {
    let header = "# \"first_seen_utc\",\"ioc_id\",\"ioc_value\",\"ioc_type\",\"threat_type\",\
                  \"fk_malware\",\"malware_alias\",\"malware_printable\",\"last_seen_utc\",\
                  \"confidence_level\",\"reference\",\"tags\",\"anonymous\",\"reporter\"\n";
    let row = |value: &str, kind: &str, confidence: &str| {
        format!(
            "\"2026-11-20 08:15:04\", \"1\", \"{value}\", \"{kind}\", \"botnet_cc\", \"x\", \"\", \
             \"X\", \"\", \"{confidence}\", \"\", \"\", \"0\", \"y\"\n"
        )
    };
    let hash = "7f".repeat(32);
    let (all, tally) = read(
        &[
            header.to_owned(),
            row("198.51.100.10:4444", "ip:port", "75"),
            row("evil.example.com", "domain", "100"),
            row("http://files.example.net/x", "url", "50"),
            row(&hash, "sha256_hash", "x"),
            row("d41d8cd98f00b204e9800998ecf8427e", "md5_hash", "75"),
            row("nonsense", "ip:port", "75"),
            "\"unclosed\n".to_owned(),
        ]
        .concat(),
    );
    assert_eq!(all.len(), 4, "{all:?}");
    assert_eq!(all[0], "Address(198.51.100.10, Some(4444)) Some(75) Some(20777)");
    assert_eq!(all[3].split(' ').next_back(), Some("Some(20777)"));
    let tally = tally.unwrap();
    assert_eq!((tally.unused_count, tally.not_understood_count), (1, 2));
}

#[test]
fn a_stix_bundle_with_simple_and_other_patterns() {
    let indicator = |pattern: &str, more: &str| {
        format!(
            r#"{{"type":"indicator","spec_version":"2.1","pattern_type":"stix","pattern":"{pattern}",
            "valid_from":"2026-11-20T00:00:00Z"{more}}}"#
        )
    };
    let hash = "7f".repeat(32);
    let objects = [
        indicator("[ipv4-addr:value = '198.51.100.10']", r#","confidence":85"#),
        indicator(
            "[domain-name:value = 'evil.example.com']",
            r#","valid_until":"2026-12-01T00:00:00Z""#,
        ),
        indicator(
            "[url:value = 'http://a.example/x' OR ipv4-addr:value ISSUBSET '203.0.113.0/24']",
            "",
        ),
        indicator(&format!("[file:hashes.'SHA-256' = '{hash}']"), ""),
        indicator("[ipv4-addr:value = '198.51.100.12']", r#","revoked":true"#),
        indicator("[domain-name:value = 'a' AND domain-name:value = 'b']", ""),
        indicator("[ipv4-addr:value = '0.0.0.0']", ""),
        r#"{"type":"malware","name":"x"}"#.to_owned(),
    ];
    let text = format!(r#"{{"type":"bundle","id":"bundle--1","objects":[{}]}}"#, objects.join(","));
    let (all, tally) = read(&text);
    assert_eq!(all.len(), 5, "{all:?}");
    assert_eq!(all[0], "Address(198.51.100.10, None) Some(85) Some(20777)");
    assert_eq!(all[1], "Domain(\"evil.example.com\") None Some(20777) expires");
    let tally = tally.unwrap();
    assert_eq!((tally.unused_count, tally.not_understood_count), (1, 1), "{tally:?}");
    assert_eq!(tally.refused_count(), 1);
}

#[test]
fn a_misp_event_and_its_manifest() {
    let hash = "7f".repeat(32);
    let text = r#"{"Event":{"uuid":"x","Attribute":[
        {"type":"ip-dst","value":"198.51.100.10","to_ids":true,"timestamp":"1795132800"},
        {"type":"ip-dst|port","value":"198.51.100.11|443","to_ids":true,"timestamp":1795132800},
        {"type":"comment","value":"read me","to_ids":false},
        {"type":"md5","value":"d41d8cd98f00b204e9800998ecf8427e","to_ids":true}],
      "Object":[{"name":"file","Attribute":[
        {"type":"filename|sha256","value":"x.exe|HASH","to_ids":true}]}]}}"#;
    let (all, tally) = read(&text.replace("HASH", &hash));
    assert_eq!(all.len(), 3, "{all:?}");
    assert_eq!(all[1], "Address(198.51.100.11, Some(443)) None Some(20777)");
    assert_eq!(tally.unwrap().unused_count, 2);
    let uuid = "0e95725d-7320-415d-80f7-004da920fc11";
    let manifest = format!(r#"{{"{uuid}":{{"info":"x"}},"../../etc/passwd":{{}}}}"#);
    assert_eq!(events_of_manifest(manifest.as_bytes()), Ok(vec![format!("{uuid}.json")]));
    assert!(events_of_manifest(b"[]").is_err());
}

#[test]
fn a_broken_document_says_so_and_other_json_is_no_feed() {
    assert!(read(r#"{"type":"bundle","objects":[{"#).1.unwrap_err().contains("no JSON"));
    assert!(read(r#"{"a":1}"#).1.unwrap_err().contains("neither"));
    assert!(read(&"[".repeat(100_000)).1.is_err());
}

#[test]
fn no_bytes_stop_the_reader() {
    let texts = [
        "# \"first_seen_utc\",\"ioc_value\",\"ioc_type\"\n\"2026-11-20\",\"198.51.100.10:1\",\"ip:port\"\n",
        r#"{"type":"bundle","objects":[{"type":"indicator","pattern":"[a:b = 'c']"}]}"#,
        r#"{"Event":{"Attribute":[{"type":"ip-dst","value":"1.2.3.4","to_ids":true}]}}"#,
        "198.51.100.10\n[2001:db8::1]:80\nt13d1516h2_8daaf6152771_b186095e22b6\n",
    ];
    let mut state = 7_u32;
    for text in texts {
        for _ in 0..2000 {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..3 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let place = (state >> 8) as usize % bytes.len();
                bytes[place] = (state >> 24) as u8;
            }
            let _ = read_feed(Cursor::new(bytes), &mut |_| {});
        }
    }
}
