//! What `docker inspect ID…` and `podman inspect` print (an array), and what the API's
//! `/containers/ID/json` answers (an object).
//!
//! Sources: Docker Engine API, `ContainerInspectResponse`; Podman, `InspectContainerData`.

use std::borrow::Cow;
use std::net::IpAddr;

use observation::{
    ContainerFact, ContainerId, ContainerState, Fact, ImageId, Network, NetworkAttached,
    Observation, Privilege, Runtime, SourceId, Time,
};
use serde_json::Value;

use crate::elements::each_element;
use crate::parsed::{Parsed, Reason, Tally};
use crate::{hex, rfc3339};

/// A longer description of one container is not looked at.
pub const CONTAINER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A longer document is not looked at.
pub const DOCUMENT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Reads a whole document: one [`ContainerFact`] a container, then one [`NetworkAttached`] for
/// each network that it is on. Observations are numbered from 0 in their `order`.
///
/// `at` is when the runtime was asked. Without it, as with a file of unknown age, the facts are
/// given the time of the container's creation, since they hold for its whole life or not at all.
pub fn parse(
    document: &[u8],
    at: Option<Time>,
    witness: SourceId,
    out: &mut dyn FnMut(Observation<'_>),
) -> Tally {
    let mut tally = Tally::default();
    if document.len() > DOCUMENT_BYTES_MAX {
        tally.add(Parsed::NotUnderstood(Reason::TooLong));
        return tally;
    }
    let mut order = 0;
    let mut numbered = |at: Time, fact: Fact<'_>| {
        out(Observation { at, witness, order, fact });
        order += 1;
    };
    let whole = each_element(document, &mut |element| {
        tally.add(one(element, at, &mut numbered));
    });
    if whole.is_err() {
        tally.add(Parsed::NotUnderstood(Reason::no_json(document)));
    }
    tally
}

/// The registry digests (`alpine@sha256:…`) of an image, out of `docker image inspect` or the
/// API's `/images/ID/json`: only the image knows them. Calls `out` once an image that has an id.
pub fn registry_digests(document: &[u8], out: &mut dyn FnMut(ImageId, Vec<&str>)) {
    if document.len() > DOCUMENT_BYTES_MAX {
        return;
    }
    // What is damaged after the last whole image tells nothing of the images before it.
    let _ = each_element(document, &mut |element| {
        if element.len() > CONTAINER_BYTES_MAX {
            return;
        }
        let Ok(image) = serde_json::from_str::<Value>(element) else { return };
        if let (Some(id), true) = (text_at(&image, "/Id").and_then(hex::image_id), is_image(&image))
        {
            out(id, texts_at(&image, "/RepoDigests").collect());
        }
    });
}

fn one(text: &str, at: Option<Time>, out: &mut dyn FnMut(Time, Fact<'_>)) -> Parsed {
    if text.len() > CONTAINER_BYTES_MAX {
        return Parsed::NotUnderstood(Reason::TooLong);
    }
    let container = match serde_json::from_str::<Value>(text) {
        Ok(value) if value.is_object() => value,
        _ => return Parsed::NotUnderstood(Reason::NotJson),
    };
    if is_image(&container) {
        return Parsed::Unused;
    }
    let Some(id) = text_at(&container, "/Id").and_then(hex::container_id) else {
        return Parsed::NotUnderstood(Reason::BadId);
    };
    let created = text_at(&container, "/Created").and_then(rfc3339::parse);
    let Some(at) = at.or(created) else { return Parsed::NotUnderstood(Reason::BadTime) };
    let fact = container_fact(&container, id, created);
    let is_over = matches!(fact.state, ContainerState::Exited(_) | ContainerState::Removed);
    out(at, Fact::Container(fact));
    if !is_over {
        networks(&container, id, &mut |attached| out(at, Fact::NetworkAttached(attached)));
    }
    Parsed::Understood
}

fn is_image(value: &Value) -> bool {
    value.get("RepoTags").is_some() || value.get("RootFS").is_some()
}

fn container_fact(container: &Value, id: ContainerId, created: Option<Time>) -> ContainerFact<'_> {
    // Over the API that Docker's clients use too, Podman calls every runtime `oci`.
    let is_oci = text_at(container, "/HostConfig/Runtime") == Some("oci");
    let has_name = container.get("OCIRuntime").is_some() || container.get("ImageName").is_some();
    let runtime = if is_oci || has_name { Runtime::Podman } else { Runtime::Docker };
    let image = text_at(container, "/ImageName").or_else(|| text_at(container, "/Config/Image"));
    let pid = container.pointer("/State/Pid").and_then(Value::as_u64);
    ContainerFact {
        id,
        runtime,
        state: state(container),
        name: text_at(container, "/Name").unwrap_or_default().trim_start_matches('/').into(),
        image: image.unwrap_or_default().into(),
        image_id: text_at(container, "/Image").and_then(hex::image_id),
        registry_digests: podman_digest(container, image).into_iter().collect(),
        command: command(container),
        environment: texts_at(container, "/Config/Env").map(Cow::from).collect(),
        labels: labels(container).collect(),
        extra_hosts: texts_at(container, "/HostConfig/ExtraHosts")
            .map(Cow::from)
            .chain(published_ports(container))
            .chain(exposed_ports(container))
            .collect(),
        privilege: container
            .get("HostConfig")
            .filter(|host_config| host_config.is_object())
            .map(|host_config| privilege(container, host_config)),
        pid: pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default(),
        cgroup: 0,
        network: network_mode(container),
        created,
    }
}

/// Podman tells the digest of the image's manifest. An image that was built here has one too,
/// and no registry ever gave it out.
fn podman_digest(container: &Value, image: Option<&str>) -> Option<Cow<'static, str>> {
    let digest = text_at(container, "/ImageDigest").filter(|digest| !digest.is_empty())?;
    let image = image.filter(|image| !image.starts_with("localhost/"))?;
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let name = match name.rsplit_once(':') {
        // A colon before a slash belongs to the registry's port.
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    };
    Some(format!("{name}@{digest}").into())
}

fn command(container: &Value) -> Vec<Cow<'_, str>> {
    match text_at(container, "/Path").filter(|path| !path.is_empty()) {
        Some(path) => {
            std::iter::once(path).chain(texts_at(container, "/Args")).map(Cow::from).collect()
        }
        // Podman before 5 writes the entry point as one text.
        None => text_at(container, "/Config/Entrypoint")
            .filter(|entry_point| !entry_point.is_empty())
            .into_iter()
            .chain(texts_at(container, "/Config/Entrypoint"))
            .chain(texts_at(container, "/Config/Cmd"))
            .map(Cow::from)
            .collect(),
    }
}

fn labels(container: &Value) -> impl Iterator<Item = Cow<'_, str>> {
    let labels = container.pointer("/Config/Labels").and_then(Value::as_object);
    labels.into_iter().flatten().filter_map(|(name, value)| {
        let value = value.as_str()?;
        Some(format!("{name}={value}").into())
    })
}

/// As `docker ps` writes them: `0.0.0.0:8080->80/tcp`. What is bound now, or else what is asked
/// for.
fn published_ports(container: &Value) -> impl Iterator<Item = Cow<'_, str>> {
    let bound = container.pointer("/NetworkSettings/Ports").and_then(Value::as_object);
    let asked = container.pointer("/HostConfig/PortBindings").and_then(Value::as_object);
    let ports = bound.filter(|ports| !ports.is_empty()).or(asked);
    ports.into_iter().flatten().flat_map(|(port, bindings)| {
        bindings.as_array().into_iter().flatten().map(move |binding| {
            let address = text_at(binding, "/HostIp").unwrap_or_default();
            let host_port = text_at(binding, "/HostPort").unwrap_or_default();
            format!("{address}:{host_port}->{port}").into()
        })
    })
}

/// As `docker ps` writes those that are only exposed: `80/tcp`.
fn exposed_ports(container: &Value) -> impl Iterator<Item = Cow<'_, str>> {
    let exposed = container.pointer("/Config/ExposedPorts").and_then(Value::as_object);
    exposed.into_iter().flatten().map(|(port, _)| Cow::from(port.as_str()))
}

fn privilege(container: &Value, host_config: &Value) -> Privilege {
    let is_set = |pointer: &str| container.pointer(pointer).and_then(Value::as_bool) == Some(true);
    let user = text_at(container, "/Config/User").unwrap_or_default();
    let user = user.split_once(':').map_or(user, |(user, _)| user);
    let restart = text_at(host_config, "/RestartPolicy/Name").unwrap_or_default();
    let binds = texts_at(host_config, "/Binds").filter_map(|bind| bind.split(':').next());
    let mounts = container.get("Mounts").and_then(Value::as_array).into_iter().flatten();
    let sources = mounts.filter_map(|mount| text_at(mount, "/Source"));
    let is_orchestrated = labels(container)
        .any(|label| ORCHESTRATOR_LABELS.iter().any(|prefix| label.starts_with(prefix)));
    Privilege {
        privileged: is_set("/HostConfig/Privileged"),
        root: matches!(user, "" | "0" | "root"),
        capabilities_added: texts_at(host_config, "/CapAdd").next().is_some(),
        runtime_socket: binds.chain(sources).any(reaches_runtime_socket),
        auto_remove: is_set("/HostConfig/AutoRemove"),
        open_stdin: is_set("/Config/OpenStdin"),
        tty: is_set("/Config/Tty"),
        kept_running: !matches!(restart, "" | "no") || is_orchestrated,
    }
}

/// Whether a mount of this host path brings a runtime's socket into the container: the socket
/// itself, or a directory above it.
fn reaches_runtime_socket(source: &str) -> bool {
    let path = source.trim_end_matches('/');
    let path = path.strip_prefix("/var").filter(|rest| rest.starts_with("/run")).unwrap_or(path);
    let is_socket = RUNTIME_SOCKETS.iter().any(|socket| path.ends_with(socket));
    let is_above = RUNTIME_SOCKET_FOLDERS.contains(&path) && source.starts_with('/');
    is_socket || is_above
}

fn network_mode(container: &Value) -> Network<'_> {
    match text_at(container, "/HostConfig/NetworkMode") {
        None | Some("") => Network::Unsaid,
        Some("host") => Network::Host,
        Some("none") => Network::None,
        Some(mode) => match mode.strip_prefix("container:") {
            // A name, or a short id, names no container for certain.
            Some(other) => hex::container_id(other).map_or(Network::Unsaid, Network::Container),
            None => Network::Own,
        },
    }
}

fn state(container: &Value) -> ContainerState {
    let exited = || {
        let code = container.pointer("/State/ExitCode").and_then(Value::as_i64);
        ContainerState::Exited(code.and_then(|code| i32::try_from(code).ok()))
    };
    match text_at(container, "/State/Status") {
        Some("created" | "configured" | "initialized") => ContainerState::Created,
        Some("running" | "stopping") => ContainerState::Running,
        Some("paused") => ContainerState::Paused,
        // `restarting`: its process has ended and the next one has not begun.
        Some("exited" | "dead" | "stopped" | "restarting" | "removing") => exited(),
        _ => ContainerState::Unsaid,
    }
}

fn networks<'a>(container: &'a Value, id: ContainerId, out: &mut dyn FnMut(NetworkAttached<'a>)) {
    if matches!(network_mode(container), Network::Host | Network::None | Network::Container(_)) {
        return;
    }
    let settings = container.get("NetworkSettings").unwrap_or(&Value::Null);
    let named = settings.get("Networks").and_then(Value::as_object);
    match named.filter(|networks| !networks.is_empty()) {
        Some(networks) => {
            for (name, endpoint) in networks {
                out(attached(id, name, endpoint));
            }
        }
        // Before networks had names, and rootless Podman today: the addresses stand by themselves.
        None => {
            let attached = attached(id, "", settings);
            if !attached.addresses.is_empty() {
                out(attached);
            }
        }
    }
}

fn attached<'a>(id: ContainerId, network: &'a str, endpoint: &'a Value) -> NetworkAttached<'a> {
    let addresses_at = |pointers: [&str; 2]| -> Vec<IpAddr> {
        let texts = pointers.into_iter().filter_map(|pointer| text_at(endpoint, pointer));
        texts.filter_map(|text| text.parse().ok()).collect()
    };
    let mut aliases: Vec<Cow<'a, str>> = Vec::new();
    for alias in texts_at(endpoint, "/Aliases").chain(texts_at(endpoint, "/DNSNames")) {
        if aliases.len() < ALIAS_COUNT_MAX && !aliases.iter().any(|known| known == alias) {
            aliases.push(alias.into());
        }
    }
    NetworkAttached {
        id,
        network: network.into(),
        addresses: addresses_at(["/IPAddress", "/GlobalIPv6Address"]),
        aliases,
        gateways: addresses_at(["/Gateway", "/IPv6Gateway"]),
        port: None,
        netns: 0,
        detached: None,
    }
}

fn text_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn texts_at<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a str> {
    let array = value.pointer(pointer).and_then(Value::as_array);
    array.into_iter().flatten().filter_map(Value::as_str)
}

/// More aliases than this are not kept: each is compared with all others.
const ALIAS_COUNT_MAX: usize = 256;
/// Labels that Compose, Kubernetes and Swarm put on what they keep running.
const ORCHESTRATOR_LABELS: [&str; 3] =
    ["com.docker.compose.project=", "io.kubernetes.pod.name=", "com.docker.swarm.service.id="];
/// A leading `/var` has been taken off: `/var/run` is `/run`.
const RUNTIME_SOCKETS: [&str; 4] =
    ["/docker.sock", "/podman.sock", "/containerd.sock", "/crio.sock"];
const RUNTIME_SOCKET_FOLDERS: [&str; 7] =
    ["", "/var", "/run", "/run/docker", "/run/podman", "/run/containerd", "/run/crio"];

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    const DOCKER: &str = r#"{"Id":"$ID","Created":"1970-01-01T00:00:07Z","Path":"nc",
        "Args":["-l","9"],"State":{"Status":"running","Running":true,"Pid":311,"ExitCode":0},
        "Image":"sha256:$ID","Name":"/brave_bell","HostConfig":{"Binds":["/var/run:/host"],
        "NetworkMode":"shop","PortBindings":{},"RestartPolicy":{"Name":"always"},
        "AutoRemove":true,"CapAdd":["NET_ADMIN"],"ExtraHosts":["db:10.0.0.5"],
        "Privileged":false},"Mounts":[],"Config":{"User":"0:0","Tty":true,"OpenStdin":true,
        "Env":["DB=db:5432","X"],"Cmd":["-l","9"],"Image":"shop/api:3","Entrypoint":["nc"],
        "Labels":{"tier":"web"},"ExposedPorts":{"81/tcp":{}}},"NetworkSettings":{"Ports":{"80/tcp":[{"HostIp":"0.0.0.0",
        "HostPort":"8080"}],"81/tcp":null},"Networks":{"shop":{"Aliases":["api","001122334455"],
        "DNSNames":["brave_bell","api"],"IPAddress":"10.9.0.3","GlobalIPv6Address":"fd00::3",
        "Gateway":"10.9.0.1","IPv6Gateway":""},
        "back":{"Aliases":null,"IPAddress":"","GlobalIPv6Address":""}}}}"#;

    fn parse_all(document: &str, at: Option<Time>, out: &mut dyn FnMut(Observation<'_>)) -> Tally {
        parse(document.replace("$ID", ID).as_bytes(), at, SourceId(1), out)
    }

    /// Calls `check` with the first container's fact.
    fn container(document: &str, check: impl FnOnce(ContainerFact<'_>)) {
        let mut check = Some(check);
        let tally = parse_all(document, Some(Time(1)), &mut |observation| {
            if let Fact::Container(fact) = observation.fact {
                (check.take().unwrap())(fact);
            }
        });
        assert_eq!((tally.understood_count, check.is_none()), (1, true), "{document}");
    }

    #[test]
    fn everything_that_docker_tells_of_a_container() {
        container(DOCKER, |fact| {
            let id = hex::container_id(ID).unwrap();
            let expected = ContainerFact {
                id,
                runtime: Runtime::Docker,
                state: ContainerState::Running,
                name: "brave_bell".into(),
                image: "shop/api:3".into(),
                image_id: Some(ImageId(id.0)),
                registry_digests: vec![],
                command: vec!["nc".into(), "-l".into(), "9".into()],
                environment: vec!["DB=db:5432".into(), "X".into()],
                labels: vec!["tier=web".into()],
                extra_hosts: vec![
                    "db:10.0.0.5".into(),
                    "0.0.0.0:8080->80/tcp".into(),
                    "81/tcp".into(),
                ],
                privilege: Some(Privilege {
                    privileged: false,
                    root: true,
                    capabilities_added: true,
                    runtime_socket: true,
                    auto_remove: true,
                    open_stdin: true,
                    tty: true,
                    kept_running: true,
                }),
                pid: 311,
                cgroup: 0,
                network: Network::Own,
                created: Some(Time(7_000_000_000)),
            };
            assert_eq!(fact, expected);
        });
    }

    #[test]
    fn each_network_with_its_addresses_and_names() {
        let mut networks = Vec::new();
        parse_all(&format!("[{DOCKER}]"), Some(Time(5)), &mut |observation| {
            assert_eq!(observation.at, Time(5));
            if let Fact::NetworkAttached(attached) = observation.fact {
                let aliases = attached.aliases.join(" ");
                let addresses = attached.addresses.clone();
                networks.push((
                    observation.order,
                    attached.network.to_string(),
                    addresses,
                    aliases,
                ));
            }
        });
        let addresses = vec!["10.9.0.3".parse().unwrap(), "fd00::3".parse().unwrap()];
        let expected = [
            (1, "back".into(), vec![], String::new()),
            (2, "shop".into(), addresses, "api 001122334455 brave_bell".into()),
        ];
        assert_eq!(networks, expected);
    }

    #[test]
    fn without_a_time_the_facts_hold_since_the_creation() {
        let mut times = Vec::new();
        parse_all(DOCKER, None, &mut |observation| times.push(observation.at.0));
        assert_eq!(times, [7_000_000_000; 3]);
    }

    #[test]
    fn the_plainest_container_has_no_privilege() {
        let plain = r#"{"Id":"$ID","HostConfig":{"NetworkMode":"default","Binds":["data:/run"],
            "RestartPolicy":{"Name":"no"}},"Config":{"User":"1000"},
            "Mounts":[{"Source":"/srv/docker","Destination":"/var/run"}]}"#;
        container(plain, |fact| assert_eq!(fact.privilege, Some(Privilege::default())));
        container(r#"{"Id":"$ID"}"#, |fact| {
            assert_eq!((fact.privilege, fact.network), (None, Network::Unsaid));
        });
    }

    #[test]
    fn a_mount_that_reaches_a_runtime_socket() {
        for source in ["/var/run/docker.sock", "/run/podman/podman.sock", "/", "/var/run/", "/run"]
        {
            assert!(reaches_runtime_socket(source), "{source}");
        }
        for source in ["docker", "/srv", "/var/lib", "", "/running", "/run/lock"] {
            assert!(!reaches_runtime_socket(source), "{source}");
        }
    }

    #[test]
    fn network_modes() {
        for (mode, expected) in [
            ("host".to_owned(), Network::Host),
            ("none".to_owned(), Network::None),
            ("bridge".to_owned(), Network::Own),
            (format!("container:{ID}"), Network::Container(hex::container_id(ID).unwrap())),
            ("container:web".to_owned(), Network::Unsaid),
        ] {
            let document = format!(r#"{{"Id":"$ID","HostConfig":{{"NetworkMode":"{mode}"}}}}"#);
            container(&document, |fact| assert_eq!(fact.network, expected, "{mode}"));
        }
    }

    #[test]
    fn an_exited_container_is_on_no_network() {
        let exited = DOCKER.replace("\"running\"", "\"exited\"").replace(":0},", ":127},");
        let mut count = 0;
        parse_all(&exited, None, &mut |_| count += 1);
        assert_eq!(count, 1);
        container(&exited, |fact| assert_eq!(fact.state, ContainerState::Exited(Some(127))));
    }

    #[test]
    fn podman_writes_another_shape() {
        let podman = r#"[{"Id":"$ID","Created":"1970-01-01T01:00:07+01:00","Name":"worker",
            "OCIRuntime":"runc","Image":"$ID","ImageName":"r.example:5000/api:3",
            "ImageDigest":"sha256:aa","State":{"Status":"initialized"},"Config":{
            "Entrypoint":"/entry","Cmd":["-v"]},"HostConfig":{"NetworkMode":"bridge"},
            "NetworkSettings":{"IPAddress":"10.88.0.2","Networks":{}}}]"#;
        container(podman, |fact| {
            assert_eq!((fact.runtime, fact.state), (Runtime::Podman, ContainerState::Created));
            assert_eq!(fact.registry_digests, ["r.example:5000/api@sha256:aa"]);
            assert_eq!(fact.command, ["/entry", "-v"]);
            assert_eq!(fact.image_id.map(|id| id.0), hex::container_id(ID).map(|id| id.0));
            assert_eq!(fact.created, Some(Time(7_000_000_000)));
        });
        let mut addresses = Vec::new();
        parse_all(podman, None, &mut |observation| {
            if let Fact::NetworkAttached(attached) = observation.fact {
                addresses = attached.addresses;
            }
        });
        assert_eq!(addresses, ["10.88.0.2".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn one_bad_container_costs_only_itself() {
        let document = format!(r#"[{{"Id":"short"}},7,{{"Id":7}},{DOCKER},{{"Id":"#);
        let tally = parse_all(&document, Some(Time(1)), &mut |_| {});
        let expected = Tally {
            understood_count: 1,
            unused_count: 0,
            not_understood_count: 4,
            first_reason: Some(Reason::BadId),
        };
        assert_eq!(tally, expected);
    }

    #[test]
    fn an_image_tells_its_registry_digests_and_no_fact() {
        let image =
            format!(r#"[{{"Id":"sha256:{ID}","RepoTags":[],"RepoDigests":["a@sha256:1"]}}]"#);
        let mut digests = Vec::new();
        registry_digests(image.as_bytes(), &mut |id, texts| {
            assert_eq!(Some(id), hex::image_id(ID));
            digests.extend(texts.iter().map(ToString::to_string));
        });
        assert_eq!(digests, ["a@sha256:1"]);
        let tally = parse_all(&image, Some(Time(1)), &mut |_| panic!("an image is no container"));
        assert_eq!(tally.unused_count, 1);
        registry_digests(DOCKER.replace("$ID", ID).as_bytes(), &mut |_, _| panic!("no image"));
    }
}
