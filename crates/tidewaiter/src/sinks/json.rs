//! Plain JSON: the alert itself, with ids and hashes as people write them and times in RFC 3339.
//!
//! A terminal obeys more than control characters, so every JSON text that we write is ASCII:
//! whatever is not stands there as `\uXXXX`, which is the same string to every JSON reader.

use std::fmt::Write;

use engine::{
    Alert, ContainerView, Counted, Evidence, FlowView, PeerRole, ProcessView, Status, Subject,
};
use observation::{Endpoint, Side};
use serde_json::{Value, json};

use super::escape::escaped_bytes;
use super::words;
use crate::timestamp::rfc3339;

/// A JSON text on one line and in ASCII.
pub(crate) fn ascii(value: &Value) -> String {
    let text = value.to_string();
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text;
    }
    // Outside of strings JSON is ASCII, so every other character stands inside a string.
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if matches!(character, ' '..='~') {
            out.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

/// The alert as one JSON object.
pub(super) fn object(alert: &Alert, suppressed_by: Option<&str>) -> Value {
    json!({
        "id": alert.id.to_string(),
        "revision": alert.revision,
        "status": match (alert.status, suppressed_by) {
            (_, Some(_)) => "suppressed",
            (Status::New, None) => "new",
            (Status::Closed, None) => "closed",
        },
        "suppressed_by": suppressed_by,
        "level": alert.level.name(),
        "strategy": alert.strategy,
        "techniques": alert.techniques,
        "summary": alert.summary,
        "first_seen": rfc3339(alert.first_seen),
        "last_seen": rfc3339(alert.last_seen),
        "opened_at": rfc3339(alert.opened_at),
        "subjects": alert.subjects.iter().map(subject).collect::<Vec<_>>(),
        "subject_count": alert.subject_count,
        "peer": {
            "address": alert.peer.endpoint.map(|endpoint| endpoint.address),
            "port": alert.peer.endpoint.map(|endpoint| endpoint.port),
            "transport": words::transport(alert.peer.transport),
            "role": match alert.peer.role {
                PeerRole::Called => "called",
                PeerRole::Caller => "caller",
            },
            "names": alert.peer.names.iter().map(|name| json!({
                "name": name.name,
                "asked_before_ms": name.asked_before.map(observation::Span::as_millis),
                "answered_by": name.answered_by,
            })).collect::<Vec<_>>(),
        },
        "evidence": evidence(alert),
        "sum_db": alert.sum_db,
        "witnesses": witnesses(alert),
        "blind": blind(alert),
        "lost_count": alert.lost_count,
        "low_if": alert.low_if,
        "prevalence": prevalence(alert),
    })
}

/// Every term, for and against.
pub(super) fn evidence(alert: &Alert) -> Value {
    alert.evidence.iter().map(term).collect()
}

fn term(term: &Evidence) -> Value {
    json!({
        "family": words::family(term.family),
        "witness": term.witness,
        "observed": term.observed,
        "expected": term.expected,
        "points_db": term.points_db,
        "strategy": term.strategy,
        "in_sum": term.counts == Counted::InSum,
    })
}

pub(super) fn witnesses(alert: &Alert) -> Value {
    alert.witnesses.iter().map(|kind| words::source_kind(*kind)).collect()
}

pub(super) fn blind(alert: &Alert) -> Value {
    let blind = alert.blind.iter();
    blind
        .map(|blind| json!({ "source": words::source_kind(blind.kind), "why": blind.why }))
        .collect()
}

pub(super) fn prevalence(alert: &Alert) -> Value {
    json!({
        "subject_count": alert.prevalence.subject_count,
        "subject_total": alert.prevalence.subject_total,
        "workload_count": alert.prevalence.workload_count,
        "workload_total": alert.prevalence.workload_total,
    })
}

fn subject(subject: &Subject) -> Value {
    json!({
        "port": subject.port.0,
        "address": subject.address,
        "container": subject.container.as_ref().map(container),
        "process": subject.process.as_ref().map(process),
        "started_by": subject.started_by.as_ref().map(|actor| json!({
            "pid": actor.pid,
            "uid": actor.uid,
            "command": actor.command,
        })),
        "flows": subject.flows.iter().map(flow).collect::<Vec<_>>(),
        "flow_count": subject.flow_count,
    })
}

fn container(container: &ContainerView) -> Value {
    json!({
        "id": words::container_id(container.id),
        "name": container.name,
        "image": container.image,
        "image_id": container.image_id.map(|id| format!("sha256:{}", words::hex(&id.0))),
        "registry_digests": container.registry_digests,
        "command": container.command,
        "workload": container.workload,
        "privilege": container.privilege,
        "network": container.network,
        "state": words::container_state(container.state),
        "runtime": words::runtime(container.runtime),
    })
}

fn process(process: &ProcessView) -> Value {
    json!({
        "pid": process.pid,
        "executable": process.executable,
        "arguments": process.arguments,
        "uid": process.uid,
        "sha256": process.sha256.map(|hash| words::hex(&hash)),
        "in_image": words::in_image(process.in_image),
    })
}

fn flow(flow: &FlowView) -> Value {
    json!({
        "local": endpoint(flow.local),
        "remote": endpoint(flow.remote),
        "transport": words::transport(flow.transport),
        "community_id": flow.community_id,
        "start": rfc3339(flow.start),
        "end": rfc3339(flow.end),
        "sent_bytes": flow.sent_bytes,
        "received_bytes": flow.received_bytes,
        "protocols": flow.protocols,
        "conn_state": flow.state.map(|state| words::conn_state(state).0),
        "excerpts": excerpts(flow),
    })
}

/// The first payload of both sides, escaped for people and in hexadecimal for programs.
pub(super) fn excerpts(flow: &FlowView) -> Value {
    let excerpts = flow.excerpts.iter();
    excerpts
        .map(|excerpt| {
            json!({
                "at": rfc3339(excerpt.at),
                "sent_by": match excerpt.side {
                    Side::Originator => "accused",
                    Side::Responder => "far end",
                },
                "text": escaped_bytes(&excerpt.bytes),
                "hex": words::hex(&excerpt.bytes),
                "burst_bytes": excerpt.burst_bytes,
            })
        })
        .collect()
}

fn endpoint(endpoint: Endpoint) -> Value {
    json!({ "address": endpoint.address, "port": endpoint.port })
}

#[cfg(test)]
mod tests {
    use super::super::sample::alert_named;
    use super::*;

    #[test]
    fn a_hostile_name_stays_one_string_on_one_ascii_line() {
        let hostile = "x\n\",\"level\":\"Info\x1b[2J\u{202e}\u{1f600}";
        let line = ascii(&object(&alert_named(hostile), None));
        assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["level"], "High");
        assert_eq!(read["subjects"][0]["container"]["name"], hostile);
    }
}
