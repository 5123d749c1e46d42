//! `docker events --format '{{json .}}'`, Docker's API stream `/events`, which is the same, and
//! `podman events --format json`.
//!
//! Sources: Docker Engine API, `SystemEvents`; Podman, `libpod/events`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use observation::{
    ContainerFact, ContainerId, ContainerState, ExecStarted, Fact, Network, NetworkAttached,
    Observation, Runtime, SourceId, Time,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::parsed::{Parsed, Reason};
use crate::{hex, rfc3339};

/// Reads one line. Observations of a line are numbered from 0 in their `order`.
pub fn parse(line: &[u8], witness: SourceId, out: &mut dyn FnMut(Observation<'_>)) -> Parsed {
    // An array would be taken for the members in their order.
    if !line.trim_ascii_start().starts_with(b"{") {
        return Parsed::NotUnderstood(Reason::NotJson);
    }
    let Ok(event) = serde_json::from_slice::<Event<'_>>(line) else {
        return Parsed::NotUnderstood(Reason::no_json(line));
    };
    let Some(at) = event.at() else { return Parsed::NotUnderstood(Reason::BadTime) };
    let fact = match event.fact(at) {
        Ok(Some(fact)) => fact,
        Ok(None) => return Parsed::Unused,
        Err(reason) => return Parsed::NotUnderstood(reason),
    };
    out(Observation { at, witness, order: 0, fact });
    Parsed::Understood
}

/// The line of either runtime; what the other one does not write is absent.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, rename = "Type")]
    kind: Option<Cow<'a, str>>,
    /// Docker.
    #[serde(borrow, default, rename = "Action")]
    action: Option<Cow<'a, str>>,
    /// Docker, before API 1.22 and beside `Action` until 1.47.
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
    /// Podman.
    #[serde(borrow, default, rename = "Status")]
    podman_status: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "Actor")]
    actor: Option<Actor<'a>>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "ID")]
    podman_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    from: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "Image")]
    podman_image: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "Name")]
    podman_name: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "Network", alias = "network")]
    podman_network: Option<Cow<'a, str>>,
    #[serde(default, rename = "ContainerExitCode")]
    podman_exit_code: Option<i32>,
    #[serde(borrow, default, rename = "Attributes")]
    podman_attributes: Option<Attributes<'a>>,
    #[serde(default, rename = "timeNano")]
    time_nanos: Option<u64>,
    #[serde(default)]
    time: Option<u64>,
    /// Podman's API, otherwise in Docker's shape.
    #[serde(default, rename = "HealthStatus")]
    podman_health: Option<IgnoredAny>,
    /// Podman: text, or a number in some versions.
    #[serde(default, rename = "Time")]
    podman_time: Option<Value>,
}

#[derive(Deserialize)]
struct Actor<'a> {
    #[serde(borrow, default, rename = "ID")]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "Attributes")]
    attributes: Option<Attributes<'a>>,
}

/// What the runtime says of the object, and among it the container's labels.
type Attributes<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

impl<'a> Event<'a> {
    fn at(&self) -> Option<Time> {
        if let Some(nanos) = self.time_nanos.filter(|nanos| *nanos > 0) {
            return Some(Time(nanos));
        }
        let seconds = match (&self.podman_time, self.time) {
            (Some(Value::String(text)), _) => return rfc3339::parse(text),
            (Some(Value::Number(seconds)), _) => seconds.as_u64(),
            (_, seconds) => seconds,
        };
        seconds?.checked_mul(1_000_000_000).map(Time)
    }

    fn fact(&self, at: Time) -> Result<Option<Fact<'_>>, Reason> {
        let action = self.action().ok_or(Reason::Missing("Action"))?;
        // Docker before API 1.22 told of nothing but containers.
        match self.kind.as_deref() {
            None | Some("container") => self.container_fact(action),
            Some("network") => self.network_fact(action, at),
            Some(_) => Ok(None),
        }
    }

    fn container_fact<'s>(&'s self, action: &'s str) -> Result<Option<Fact<'s>>, Reason> {
        let (verb, detail) = action.split_once(": ").unwrap_or((action, ""));
        let state = match verb {
            "create" => ContainerState::Created,
            "start" | "unpause" => ContainerState::Running,
            "pause" => ContainerState::Paused,
            "die" | "died" => ContainerState::Exited(self.exit_code()),
            "destroy" | "remove" => ContainerState::Removed,
            "rename" => ContainerState::Unsaid,
            // Podman tells of the program that it starts only that it does.
            "exec_start" | "exec" => {
                let id = self.container_id()?;
                return Ok(Some(Fact::ExecStarted(ExecStarted { id, command: detail.into() })));
            }
            _ => return Ok(None),
        };
        let id = self.container_id()?;
        let name = self.podman_name.as_deref().or_else(|| self.attribute("name"));
        let image =
            self.attribute("image").or(self.from.as_deref()).or(self.podman_image.as_deref());
        Ok(Some(Fact::Container(ContainerFact {
            id,
            runtime: self.runtime(),
            state,
            name: name.unwrap_or_default().trim_start_matches('/').into(),
            image: image.unwrap_or_default().into(),
            image_id: None,
            registry_digests: Vec::new(),
            command: Vec::new(),
            environment: Vec::new(),
            labels: self.labels(),
            extra_hosts: Vec::new(),
            privilege: None,
            pid: 0,
            cgroup: 0,
            network: Network::Unsaid,
            created: (state == ContainerState::Created).then(|| self.at()).flatten(),
        })))
    }

    fn network_fact(&self, action: &str, at: Time) -> Result<Option<Fact<'_>>, Reason> {
        let detached = match action {
            "connect" => None,
            "disconnect" => Some(at),
            _ => return Ok(None),
        };
        // Docker's actor is the network and names the container; with Podman it is the container.
        let (id, network) = match self.attribute("container") {
            Some(id) => (hex::container_id(id).ok_or(Reason::BadId)?, self.attribute("name")),
            None => {
                let network = self.podman_network.as_deref();
                (self.container_id()?, network.or_else(|| self.attribute("network")))
            }
        };
        Ok(Some(Fact::NetworkAttached(NetworkAttached {
            id,
            network: network.unwrap_or_default().into(),
            addresses: Vec::new(),
            aliases: Vec::new(),
            gateways: Vec::new(),
            port: None,
            netns: 0,
            detached,
        })))
    }

    fn action(&self) -> Option<&str> {
        self.action.as_deref().or(self.status.as_deref()).or(self.podman_status.as_deref())
    }

    fn runtime(&self) -> Runtime {
        // Over the API that Docker's clients use too, only its pod gives Podman away.
        let in_pod = self.attribute("podId").is_some();
        if self.podman_status.is_some() || self.podman_health.is_some() || in_pod {
            Runtime::Podman
        } else {
            Runtime::Docker
        }
    }

    fn container_id(&self) -> Result<ContainerId, Reason> {
        let actor = self.actor.as_ref().and_then(|actor| actor.id.as_deref());
        let id = actor.or(self.id.as_deref()).or(self.podman_id.as_deref());
        id.and_then(hex::container_id).ok_or(Reason::BadId)
    }

    fn attributes(&self) -> Option<&Attributes<'a>> {
        let actor = self.actor.as_ref().and_then(|actor| actor.attributes.as_ref());
        actor.or(self.podman_attributes.as_ref())
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes()?.get(name).map(Cow::as_ref)
    }

    fn exit_code(&self) -> Option<i32> {
        match self.attribute("exitCode").or_else(|| self.attribute("containerExitCode")) {
            Some(text) => text.parse().ok(),
            None => self.podman_exit_code,
        }
    }

    fn labels(&self) -> Vec<Cow<'_, str>> {
        let attributes = self.attributes().into_iter().flatten();
        attributes
            .filter(|(name, _)| !OWN_ATTRIBUTES.contains(&name.as_ref()))
            .map(|(name, value)| format!("{name}={value}").into())
            .collect()
    }
}

/// Attributes that the runtime itself writes among the labels.
const OWN_ATTRIBUTES: [&str; 9] = [
    "image",
    "name",
    "exitCode",
    "containerExitCode",
    "execDuration",
    "execID",
    "oldName",
    "podId",
    "signal",
];

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    /// The line's fact as the debugger prints it, its time, and what became of the line.
    fn fact(line: &str) -> (Parsed, u64, String) {
        let (mut at, mut text) = (0, String::new());
        let line = line.replace("$ID", ID);
        let parsed = parse(line.as_bytes(), SourceId(3), &mut |observation| {
            assert_eq!(observation.witness, SourceId(3));
            (at, text) = (observation.at.0, format!("{:?}", observation.fact));
        });
        (parsed, at, text)
    }

    fn container(line: &str) -> (ContainerState, String, String, Vec<String>) {
        let line = line.replace("$ID", ID);
        let mut facts = Vec::new();
        let parsed = parse(line.as_bytes(), SourceId(3), &mut |observation| {
            if let Fact::Container(fact) = observation.fact {
                assert_eq!(Some(fact.id), hex::container_id(ID));
                let labels = fact.labels.iter().map(ToString::to_string).collect();
                facts.push((fact.state, fact.name.into(), fact.image.into(), labels));
            }
        });
        assert_eq!(parsed, Parsed::Understood, "{line}");
        facts.pop().unwrap()
    }

    #[test]
    fn a_created_container_has_name_image_and_labels() {
        let line = r#"{"status":"create","id":"$ID","from":"shop/api:3","Type":"container",
            "Action":"create","Actor":{"ID":"$ID","Attributes":{"image":"shop/api:3","tier":"web",
            "name":"brave_bell"}},"scope":"local","time":1700000000,"timeNano":1700000000123456789}"#;
        let expected = (
            ContainerState::Created,
            "brave_bell".into(),
            "shop/api:3".into(),
            vec!["tier=web".into()],
        );
        assert_eq!(container(line), expected);
        assert_eq!(fact(line).1, 1_700_000_000_123_456_789);
    }

    #[test]
    fn the_states_of_a_life() {
        for (action, attributes, state) in [
            ("start", "", ContainerState::Running),
            ("pause", "", ContainerState::Paused),
            ("unpause", "", ContainerState::Running),
            ("die", r#""exitCode":"137""#, ContainerState::Exited(Some(137))),
            ("die", "", ContainerState::Exited(None)),
            ("destroy", "", ContainerState::Removed),
            ("rename", r#""name":"new","oldName":"/old""#, ContainerState::Unsaid),
        ] {
            let line = format!(
                r#"{{"Type":"container","Action":"{action}","Actor":{{"ID":"$ID",
                "Attributes":{{{attributes}}}}},"time":5}}"#
            );
            let (seen, _, _, labels) = container(&line);
            assert_eq!((seen, labels), (state, vec![]), "{action}");
            assert_eq!(
                fact(&line).1,
                5_000_000_000,
                "whole seconds where there are no nanoseconds"
            );
        }
    }

    #[test]
    fn a_network_is_connected_and_disconnected() {
        let line = |action: &str| {
            format!(
                r#"{{"Type":"network","Action":"{action}","Actor":{{"ID":"ab","Attributes":
                {{"container":"$ID","name":"shop","type":"bridge"}}}},"timeNano":77}}"#
            )
        };
        let (parsed, at, text) = fact(&line("connect"));
        assert_eq!((parsed, at), (Parsed::Understood, 77));
        assert!(text.contains("\"shop\"") && text.contains("detached: None"), "{text}");
        assert!(fact(&line("disconnect")).2.contains("detached: Some(Time(77))"));
        assert_eq!(fact(&line("create")).0, Parsed::Unused);
    }

    #[test]
    fn an_exec_is_its_command_and_its_creation_is_not_yet_one() {
        let line = |action: &str| {
            format!(
                r#"{{"Type":"container","Action":"{action}: sh -c nc: 1","Actor":{{"ID":"$ID",
                "Attributes":{{"execID":"e"}}}},"timeNano":1}}"#
            )
        };
        let (parsed, _, text) = fact(&line("exec_start"));
        assert_eq!(parsed, Parsed::Understood);
        assert!(text.contains("command: \"sh -c nc: 1\""), "{text}");
        assert_eq!(fact(&line("exec_create")).0, Parsed::Unused);
    }

    #[test]
    fn podman_says_the_same_in_other_words() {
        let died = r#"{"ID":"$ID","ContainerExitCode":3,"Name":"worker","Status":"died",
            "Image":"shop/api:3","Time":"1970-01-01T00:00:05.5Z","Type":"container",
            "Attributes":{"tier":"web"}}"#;
        let expected = (
            ContainerState::Exited(Some(3)),
            "worker".into(),
            "shop/api:3".into(),
            vec!["tier=web".into()],
        );
        assert_eq!(container(died), expected);
        let (_, at, text) = fact(died);
        assert_eq!(at, 5_500_000_000);
        assert!(text.contains("Podman"), "{text}");
        for key in ["Network", "network"] {
            let connected = format!(
                r#"{{"ID":"$ID","Name":"worker","{key}":"shop","Status":"connect","time":5,
                "timeNano":5000000001,"Type":"network"}}"#
            );
            let (_, at, text) = fact(&connected);
            assert_eq!(at, 5_000_000_001);
            assert!(text.contains("network: \"shop\""), "{text}");
        }
    }

    #[test]
    fn podmans_api_writes_dockers_shape_with_its_own_words() {
        let line = |kind: &str, action: &str| {
            format!(
                r#"{{"status":"{action}","id":"$ID","Type":"{kind}","Action":"{action}","Actor":
                {{"ID":"$ID","Attributes":{{"name":"worker","network":"shop","podId":"",
                "containerExitCode":"3","image":"shop/api:3"}}}},"timeNano":1,"HealthStatus":""}}"#
            )
        };
        let (state, name, _, labels) = container(&line("container", "died"));
        assert_eq!((state, name.as_str()), (ContainerState::Exited(Some(3)), "worker"));
        assert_eq!(labels, ["network=shop"]);
        assert!(fact(&line("container", "remove")).2.contains("runtime: Podman, state: Removed"));
        assert!(fact(&line("network", "connect")).2.contains("network: \"shop\""));
    }

    #[test]
    fn what_is_not_understood_says_why() {
        let reason = |line: &str| match fact(line).0 {
            Parsed::NotUnderstood(reason) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason("container create $ID"), Reason::NotJson);
        assert_eq!(reason("[]"), Reason::NotJson);
        let not_utf8 = parse(b"{\"id\":\"\xff\"}", SourceId(1), &mut |_| {});
        assert_eq!(not_utf8, Parsed::NotUnderstood(Reason::NotUtf8));
        assert_eq!(reason(r#"{"Type":"container","Action":"start"}"#), Reason::BadTime);
        assert_eq!(reason(r#"{"Type":"container","time":1}"#), Reason::Missing("Action"));
        let short =
            r#"{"Type":"container","Action":"start","Actor":{"ID":"001122334455"},"time":1}"#;
        assert_eq!(reason(short), Reason::BadId);
        assert_eq!(fact(r#"{"Type":"image","Action":"pull","time":1}"#).0, Parsed::Unused);
    }
}
