//! Who can be acted upon: an alert's subjects, as their runtime and the kernel describe them now.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use engine::{Alert, Subject};
use serde_json::Value;

use crate::evidence::hex;
use crate::sinks::{defanged_address, escaped};
use crate::sources::runtime_api::{ApiError, RuntimeApi};

/// Containers of one alert that are looked up; an alert names no more subjects than that.
const CONTAINER_COUNT_MAX: usize = 64;

/// One of the accused, and what is there of it now.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// It runs.
    Live(Box<Live>),
    /// It has a name and can no longer be reached.
    Gone(Gone),
    /// No runtime names it.
    Unnamed(String),
}

/// A container that runs.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    /// Full id.
    pub(crate) id: String,
    /// Its name, raw.
    pub(crate) name: String,
    /// The runtime that knows it.
    pub(crate) api: RuntimeApi,
    /// Its description, as the runtime gave it.
    pub(crate) inspect: Vec<u8>,
    /// The host's pid of its first process.
    pub(crate) pid: u32,
    /// Where its packets go.
    pub(crate) network: Wire,
    /// What a responder should know before it acts.
    pub(crate) cautions: Vec<String>,
}

/// Where its packets go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// A network namespace.
    Namespace {
        /// Its inode.
        inode: u64,
        /// Other containers in it, `name id`.
        shared_with: Vec<String>,
    },
    /// The host's own namespace; only its cgroup tells its packets apart.
    Host {
        /// Its cgroup's directory, where cgroup v2 has one.
        cgroup: Option<PathBuf>,
    },
}

/// A container that cannot be reached.
#[derive(Clone, Debug)]
pub(crate) struct Gone {
    /// Full id.
    pub(crate) id: String,
    /// Its name, raw.
    pub(crate) name: String,
    /// Why it cannot be reached.
    pub(crate) why: String,
    /// Its description, where the runtime still has it.
    pub(crate) known: Option<(RuntimeApi, Vec<u8>)>,
}

impl Target {
    /// For people.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Live(live) => title(&live.name, &live.id),
            Self::Gone(gone) => title(&gone.name, &gone.id),
            Self::Unnamed(endpoint) => endpoint.clone(),
        }
    }
}

impl Live {
    /// The first 12 digits of its id.
    pub(crate) fn short(&self) -> &str {
        short(&self.id)
    }

    /// For people.
    pub(crate) fn title(&self) -> String {
        title(&self.name, &self.id)
    }
}

/// The first 12 digits of an id, as runtimes show them.
pub(crate) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

fn title(name: &str, id: &str) -> String {
    format!("{} {}", escaped(name), short(id))
}

/// Looks up every subject of an alert, each container once.
pub(crate) fn targets(alert: &Alert, apis: &[RuntimeApi]) -> Vec<Target> {
    let mut seen: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for subject in alert.subjects.iter().take(CONTAINER_COUNT_MAX) {
        let Some(view) = &subject.container else {
            found.push(Target::Unnamed(endpoint(subject)));
            continue;
        };
        let id = hex(&view.id.0);
        if !seen.contains(&id) {
            found.push(look_up(&id, &view.name, apis));
            seen.push(id);
        }
    }
    found
}

fn endpoint(subject: &Subject) -> String {
    match subject.address {
        Some(address) => format!("endpoint {}", defanged_address(address)),
        None => "an endpoint without an address".to_owned(),
    }
}

/// Asks each runtime for a container.
pub(crate) fn look_up(id: &str, name: &str, apis: &[RuntimeApi]) -> Target {
    let gone = |why: String, known| {
        Target::Gone(Gone { id: id.to_owned(), name: name.to_owned(), why, known })
    };
    let mut problems = Vec::new();
    for api in apis {
        let bytes = match api.inspect(id) {
            Ok(bytes) => bytes,
            Err(ApiError::NotFound) => continue,
            Err(error) => {
                problems.push(format!("{}: {error}", api.socket().display()));
                continue;
            }
        };
        let Ok(value) = serde_json::from_slice::<Value>(&bytes) else {
            problems.push(format!("{}: its answer is no JSON", api.socket().display()));
            continue;
        };
        return match live(id, api, &value, &bytes) {
            Ok(live) => Target::Live(Box::new(live)),
            Err(why) => gone(why, Some((api.clone(), bytes))),
        };
    }
    if !problems.is_empty() {
        return gone(format!("it could not be looked up: {}", problems.join("; ")), None);
    }
    match apis.is_empty() {
        true => gone("no container runtime's socket was found".to_owned(), None),
        false => gone("it has been removed; no runtime knows it any more".to_owned(), None),
    }
}

fn live(id: &str, api: &RuntimeApi, inspect: &Value, bytes: &[u8]) -> Result<Live, String> {
    let text = |path: &str| inspect.pointer(path).and_then(Value::as_str).unwrap_or("");
    let pid = inspect.pointer("/State/Pid").and_then(Value::as_u64).unwrap_or(0);
    let pid = u32::try_from(pid).unwrap_or(0);
    if pid == 0 {
        return Err(format!("it does not run (state `{}`)", escaped(text("/State/Status"))));
    }
    // The runtime's answer and the kernel's must be about the same thing: a pid can be reused.
    if !belongs_to(pid, id) {
        return Err(format!("its first process {pid} ended while it was looked up"));
    }
    let inode = namespace(pid).ok_or("its first process ended while it was looked up")?;
    let network = match namespace(std::process::id()) == Some(inode) {
        true => Wire::Host { cgroup: cgroup_of(pid) },
        false => Wire::Namespace { inode, shared_with: neighbours(id, inode, inspect, api) },
    };
    let name = text("/Name").trim_start_matches('/').to_owned();
    let (api, inspect_bytes) = (api.clone(), bytes.to_vec());
    let cautions = cautions(inspect);
    Ok(Live { id: id.to_owned(), name, api, inspect: inspect_bytes, pid, network, cautions })
}

fn belongs_to(pid: u32, id: &str) -> bool {
    let path = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    path.lines()
        .filter_map(|line| line.rsplit(':').next())
        .filter_map(sys::process::container_of)
        .any(|container| container.hex() == id)
}

/// The inode of a process's network namespace.
pub(crate) fn namespace(pid: u32) -> Option<u64> {
    fs::metadata(format!("/proc/{pid}/ns/net")).ok().map(|metadata| metadata.ino())
}

fn cgroup_of(pid: u32) -> Option<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    // The root of all is never a container's own, and cutting it would cut the host off.
    (path != "/").then_some(())?;
    sys::process::Cgroups::probe()?.directory(path)
}

/// Other running containers in the same namespace. What runs nowhere near is not asked.
fn neighbours(id: &str, inode: u64, inspect: &Value, api: &RuntimeApi) -> Vec<String> {
    let Ok(list) = api.containers() else { return Vec::new() };
    let owner = inspect.pointer("/HostConfig/NetworkMode").and_then(Value::as_str).unwrap_or("");
    let owner = owner.strip_prefix("container:").unwrap_or(id);
    let mut found = Vec::new();
    for other in list.as_array().into_iter().flatten() {
        let other_id = other.get("Id").and_then(Value::as_str).unwrap_or("");
        let mode = other.pointer("/HostConfig/NetworkMode").and_then(Value::as_str).unwrap_or("");
        let joined = other_id == owner || mode.strip_prefix("container:") == Some(owner);
        if other_id == id || !joined {
            continue;
        }
        let pid = api.inspect(other_id).ok().and_then(|bytes| pid_of(&bytes));
        if pid.and_then(namespace) == Some(inode) {
            let name = other.pointer("/Names/0").and_then(Value::as_str).unwrap_or("");
            found.push(title(name.trim_start_matches('/'), other_id));
        }
    }
    found
}

fn pid_of(inspect: &[u8]) -> Option<u32> {
    let value: Value = serde_json::from_slice(inspect).ok()?;
    u32::try_from(value.pointer("/State/Pid")?.as_u64()?).ok().filter(|pid| *pid != 0)
}

fn cautions(inspect: &Value) -> Vec<String> {
    let is = |path: &str| inspect.pointer(path).and_then(Value::as_bool) == Some(true);
    let text = |path: &str| inspect.pointer(path).and_then(Value::as_str).unwrap_or("");
    let mut found = Vec::new();
    if is("/HostConfig/AutoRemove") {
        found.push("it was started with --rm: it vanishes with its first process".to_owned());
    }
    let restart = text("/HostConfig/RestartPolicy/Name");
    if !matches!(restart, "" | "no") {
        found.push(format!(
            "its restart policy is `{}`: after a restart it is on a new network, uncut until \
             `watch` or this command cuts it again",
            escaped(restart)
        ));
    }
    if is("/HostConfig/Privileged") {
        found.push("it is privileged: as the host's root it could undo anything".to_owned());
    }
    if is("/State/Paused") {
        found.push("it is paused".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;

    const ID: &str = "5455d941aa00000000000000000000000000000000000000000000000000abcd";

    fn runtime_that_answers(answer: &'static str) -> (tempfile::TempDir, RuntimeApi) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().take(4) {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        (folder, RuntimeApi::at(path))
    }

    fn why(answer: &'static str) -> String {
        let (_folder, api) = runtime_that_answers(answer);
        match look_up(ID, "x", &[api]) {
            Target::Gone(gone) => gone.why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_container_that_is_gone_says_how_it_is_gone() {
        assert!(why("HTTP/1.1 404 Not Found\r\n\r\n{}").contains("removed"));
        let exited = "HTTP/1.1 200 OK\r\n\r\n{\"State\":{\"Pid\":0,\"Status\":\"exited\"}}";
        assert!(why(exited).contains("exited"));
        assert!(why("garbage").contains("could not be looked up"));
    }

    #[test]
    fn a_pid_that_is_somebody_elses_is_not_acted_upon() {
        let reused = "HTTP/1.1 200 OK\r\n\r\n{\"State\":{\"Pid\":1,\"Status\":\"running\"}}";
        assert!(why(reused).contains("ended while"));
    }

    #[test]
    fn without_any_runtime_that_is_what_is_said() {
        let Target::Gone(gone) = look_up(ID, "x", &[]) else { panic!("gone") };
        assert!(gone.why.contains("no container runtime"));
    }

    #[test]
    fn cautions_name_what_ends_or_undoes_an_isolation() {
        let inspect: Value = serde_json::from_str(
            r#"{"HostConfig":{"AutoRemove":true,"Privileged":true,
            "RestartPolicy":{"Name":"always"}}}"#,
        )
        .unwrap();
        assert_eq!(cautions(&inspect).len(), 3);
        let plain: Value =
            serde_json::from_str(r#"{"HostConfig":{"RestartPolicy":{"Name":"no"}}}"#).unwrap();
        assert_eq!(cautions(&plain).len(), 0);
    }
}
