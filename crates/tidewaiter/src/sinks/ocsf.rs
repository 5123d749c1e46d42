//! OCSF 1.8, Detection Finding (class 2004): <https://schema.ocsf.io/1.8.0/classes/detection_finding>.

use engine::{
    Actor, Alert, ContainerView, FlowView, Level, Peer, PeerRole, ProcessView, Status, Subject,
};
use observation::{Endpoint, IpAddress};
use serde_json::{Map, Value, json};

use super::{Occasion, attack, json as plain, words};

const SCHEMA_VERSION: &str = "1.8.0";
const CLASS_UID: u32 = 2004;

/// The alert as one OCSF event.
pub(super) fn detection_finding(
    alert: &Alert,
    occasion: Occasion,
    suppressed_by: Option<&str>,
) -> Value {
    let (activity_id, activity_name) = match occasion {
        Occasion::Opened => (1, "Create"),
        Occasion::Revised => (2, "Update"),
        Occasion::Closed => (3, "Close"),
    };
    let (status_id, status) = match (occasion, alert.status, suppressed_by) {
        (_, _, Some(_)) => (3, "Suppressed"),
        (Occasion::Closed, _, None) | (_, Status::Closed, None) => (4, "Resolved"),
        (_, Status::New, None) => (1, "New"),
    };
    let time = match occasion {
        Occasion::Opened => alert.opened_at,
        Occasion::Revised | Occasion::Closed => alert.last_seen.max(alert.opened_at),
    };
    json!({
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": CLASS_UID,
        "class_name": "Detection Finding",
        "activity_id": activity_id,
        "activity_name": activity_name,
        "type_uid": CLASS_UID * 100 + activity_id,
        "type_name": format!("Detection Finding: {activity_name}"),
        "time": time.as_millis(),
        "severity_id": severity_id(alert.level),
        "severity": severity_name(alert.level),
        "status_id": status_id,
        "status": status,
        "is_alert": alert.level >= Level::Medium,
        "message": alert.summary,
        "metadata": {
            "version": SCHEMA_VERSION,
            "product": {
                "name": "Tidewaiter",
                "vendor_name": "Tidewaiter",
                "version": env!("CARGO_PKG_VERSION"),
            },
            "log_name": "alerts",
            "log_version": "1",
            "uid": format!("{}.{}", alert.id, alert.revision),
        },
        "finding_info": finding_info(alert),
        "evidences": evidences(alert),
        "observables": observables(alert),
        "unmapped": { "tidewaiter": {
            "sum_db": alert.sum_db,
            "why": plain::evidence(alert),
            "witnesses": plain::witnesses(alert),
            "blind": plain::blind(alert),
            "lost_count": alert.lost_count,
            "low_if": alert.low_if,
            "prevalence": plain::prevalence(alert),
            "subject_count": alert.subject_count,
            "revision": alert.revision,
            "suppressed_by": suppressed_by,
        } },
    })
}

fn finding_info(alert: &Alert) -> Value {
    json!({
        "uid": alert.id.to_string(),
        "title": format!("{} ({})", alert.summary, alert.strategy),
        "desc": alert.summary,
        "analytic": {
            "uid": alert.strategy,
            "name": alert.strategy,
            "type_id": 1,
            "type": "Rule",
        },
        "attacks": alert.techniques.iter().map(|id| technique(id)).collect::<Vec<_>>(),
        "first_seen_time": alert.first_seen.as_millis(),
        "last_seen_time": alert.last_seen.as_millis(),
        "created_time": alert.opened_at.as_millis(),
        "data_sources": plain::witnesses(alert),
    })
}

/// A technique as OCSF wants it: a sub-technique stands beside the technique that it belongs to.
fn technique(id: &str) -> Value {
    let mut object = Map::new();
    let parent = id.split('.').next().unwrap_or(id);
    object.insert("version".to_owned(), json!(attack::VERSION));
    object.insert("technique".to_owned(), named(parent));
    if parent != id {
        object.insert("sub_technique".to_owned(), named(id));
    }
    if let Some((uid, name)) = attack::tactic_of(id) {
        object.insert("tactic".to_owned(), json!({ "uid": uid, "name": name }));
    }
    Value::Object(object)
}

fn named(id: &str) -> Value {
    match attack::technique_name(id) {
        Some(name) => json!({ "uid": id, "name": name }),
        None => json!({ "uid": id }),
    }
}

fn evidences(alert: &Alert) -> Vec<Value> {
    alert.subjects.iter().map(|subject| evidence(subject, alert)).collect()
}

/// One accused and the far end: nothing that is not accused stands here.
fn evidence(subject: &Subject, alert: &Alert) -> Value {
    let flow = subject.flows.first();
    let mut object = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            object.insert(key.to_owned(), value);
        }
    };
    put("container", subject.container.as_ref().map(container));
    put("process", subject.process.as_ref().map(process));
    put("actor", subject.started_by.as_ref().map(actor));
    let (own, peer) = (source(subject, flow), destination(alert));
    let (from, to) = match alert.peer.role {
        PeerRole::Called => (own, peer),
        PeerRole::Caller => (peer, own),
    };
    put("src_endpoint", from);
    put("dst_endpoint", to);
    put("connection_info", Some(connection_info(flow, &alert.peer)));
    put(
        "data",
        flow.map(|flow| {
            json!({
                "sent_bytes": flow.sent_bytes,
                "received_bytes": flow.received_bytes,
                "conn_state": flow.state.map(|state| words::conn_state(state).0),
                "protocols": flow.protocols,
                "payload": plain::excerpts(flow),
                "flow_count": subject.flow_count,
            })
        }),
    );
    Value::Object(object)
}

fn container(container: &ContainerView) -> Value {
    // OCSF requires an image's uid; where no digest is known, its name is the best one.
    let digest = container.image_id.map(|id| format!("sha256:{}", words::hex(&id.0)));
    let uid = digest.unwrap_or_else(|| container.image.clone());
    let image = json!({ "uid": uid, "name": container.image });
    json!({
        "uid": words::container_id(container.id),
        "name": container.name,
        "runtime": words::runtime(container.runtime),
        "image": image,
    })
}

fn process(process: &ProcessView) -> Value {
    let path = process.executable.as_str();
    let mut file = json!({
        "type_id": 1,
        "name": path.rsplit('/').next().unwrap_or(path),
        "path": path,
    });
    if let (Some(hash), Some(file)) = (process.sha256, file.as_object_mut()) {
        let hash = json!({ "algorithm_id": 3, "algorithm": "SHA-256", "value": words::hex(&hash) });
        file.insert("hashes".to_owned(), json!([hash]));
    }
    let mut object = json!({
        "pid": process.pid,
        "cmd_line": process.arguments.join(" "),
        "file": file,
    });
    if let (Some(uid), Some(object)) = (process.uid, object.as_object_mut()) {
        object.insert("user".to_owned(), json!({ "uid": uid.to_string() }));
    }
    object
}

/// Who started the container: the runtime's client on the host.
fn actor(actor: &Actor) -> Value {
    let process = json!({ "pid": actor.pid, "cmd_line": actor.command });
    match actor.uid {
        Some(uid) => json!({ "process": process, "user": { "uid": uid.to_string() } }),
        None => json!({ "process": process }),
    }
}

fn source(subject: &Subject, flow: Option<&FlowView>) -> Option<Value> {
    let address = flow.map(|flow| flow.local.address).or(subject.address)?;
    let port = flow.map(|flow| flow.local.port);
    Some(endpoint(address, port, None))
}

fn destination(alert: &Alert) -> Option<Value> {
    let name = alert.peer.names.first().map(|name| name.name.as_str());
    match (alert.peer.endpoint, name) {
        (Some(Endpoint { address, port }), name) => Some(endpoint(address, Some(port), name)),
        (None, Some(name)) => Some(json!({ "domain": name })),
        (None, None) => None,
    }
}

fn endpoint(address: IpAddress, port: Option<u16>, domain: Option<&str>) -> Value {
    let mut object = Map::new();
    object.insert("ip".to_owned(), json!(address));
    if let Some(port) = port {
        object.insert("port".to_owned(), json!(port));
    }
    if let Some(domain) = domain {
        object.insert("domain".to_owned(), json!(domain));
    }
    Value::Object(object)
}

fn connection_info(flow: Option<&FlowView>, peer: &Peer) -> Value {
    let (direction_id, direction) = match peer.role {
        PeerRole::Called => (2, "Outbound"),
        PeerRole::Caller => (1, "Inbound"),
    };
    let mut object = json!({
        "protocol_name": words::transport(peer.transport),
        "protocol_num": words::protocol_number(peer.transport),
        "direction_id": direction_id,
        "direction": direction,
    });
    if let (Some(flow), Some(object)) = (flow, object.as_object_mut()) {
        object.insert("community_uid".to_owned(), json!(flow.community_id));
    }
    object
}

fn observables(alert: &Alert) -> Value {
    let mut list = Vec::new();
    let mut put = |name: &str, type_id: u8, kind: &str, value: String| {
        list.push(json!({ "name": name, "type_id": type_id, "type": kind, "value": value }));
    };
    let end = match alert.peer.role {
        PeerRole::Called => "dst",
        PeerRole::Caller => "src",
    };
    if let Some(endpoint) = alert.peer.endpoint {
        put(
            &format!("evidences[].{end}_endpoint.ip"),
            2,
            "IP Address",
            endpoint.address.to_string(),
        );
    }
    for name in &alert.peer.names {
        put(&format!("evidences[].{end}_endpoint.domain"), 1, "Hostname", name.name.clone());
    }
    for subject in &alert.subjects {
        if let Some(container) = &subject.container {
            let id = words::container_id(container.id);
            put("evidences[].container.uid", 10, "Resource UID", id);
        }
        if let Some(hash) = subject.process.as_ref().and_then(|process| process.sha256) {
            put("evidences[].process.file.hashes[].value", 8, "Hash", words::hex(&hash));
        }
    }
    Value::Array(list)
}

const fn severity_id(level: Level) -> u8 {
    match level {
        Level::Info => 1,
        Level::Low => 2,
        Level::Medium => 3,
        Level::High => 4,
        Level::Critical => 5,
    }
}

const fn severity_name(level: Level) -> &'static str {
    match level {
        Level::Info => "Informational",
        _ => level.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::alert_named;
    use super::*;

    #[test]
    fn the_briefs_case_is_a_detection_finding() {
        let event = detection_finding(&alert_named("c2.example.com"), Occasion::Opened, None);
        assert_eq!(event["class_uid"], 2004);
        assert_eq!(event["type_uid"], 200_401);
        assert_eq!(event["severity_id"], 4);
        assert_eq!(event["metadata"]["version"], "1.8.0");
        assert_eq!(event["evidences"][0]["dst_endpoint"]["ip"], "198.51.100.10");
        assert_eq!(event["evidences"][0]["dst_endpoint"]["domain"], "c2.example.com");
        assert_eq!(event["evidences"][0]["connection_info"]["protocol_name"], "tcp");
        let attack = &event["finding_info"]["attacks"][0];
        assert_eq!(attack["technique"]["name"], "Application Layer Protocol");
        assert_eq!(attack["tactic"]["uid"], "TA0011");
        assert_eq!(event["unmapped"]["tidewaiter"]["sum_db"], 15);
    }

    #[test]
    fn what_is_suppressed_says_so_in_the_fields_own_word() {
        let event = detection_finding(&alert_named("x"), Occasion::Opened, Some("0e95725d"));
        assert_eq!((&event["status_id"], &event["status"]), (&json!(3), &json!("Suppressed")));
        assert_eq!(event["unmapped"]["tidewaiter"]["suppressed_by"], "0e95725d");
    }

    #[test]
    fn a_revision_is_an_update_of_the_same_finding() {
        let mut alert = alert_named("x");
        let first = detection_finding(&alert, Occasion::Opened, None);
        alert.revision = 2;
        let second = detection_finding(&alert, Occasion::Revised, None);
        assert_eq!(first["finding_info"]["uid"], second["finding_info"]["uid"]);
        assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
        assert_eq!(second["activity_id"], 2);
    }
}
