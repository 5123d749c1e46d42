//! What an OCI runtime is told to make: its `create --bundle DIR ID` comes before the container's
//! program runs, whichever engine is above it (OCI runtime specification, `config.json`).

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use observation::ContainerId;
use serde_json::Value;
use sys::process::container_of;

const CONFIG_BYTES_MAX: u64 = 4 << 20;

/// What a runtime was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// To make this container out of this bundle.
    Create(ContainerId, PathBuf),
    /// To remove it.
    Delete(ContainerId),
}

/// The order in a runtime's command line, if it is one.
pub(crate) fn order(arguments: &[String]) -> Option<Order> {
    let mut words = arguments.iter().skip(1).map(String::as_str);
    let verb = words.find(|word| ["create", "delete"].contains(word))?;
    let id = container_of(&format!("/docker/{}", arguments.last()?))?;
    let id = ContainerId(id.id);
    if verb == "delete" {
        return Some(Order::Delete(id));
    }
    let mut words = words.skip_while(|word| !["--bundle", "-b"].contains(word));
    words.next();
    words.next().map(|folder| Order::Create(id, PathBuf::from(folder)))
}

/// What a bundle says of its container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bundle {
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    /// `KEY=value`.
    pub(crate) environment: Vec<String>,
    /// Whether it keeps the network namespace of the runtime, which is the host's.
    pub(crate) network: BundleNetwork,
}

/// Where a container's network namespace comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum BundleNetwork {
    /// The host's.
    Host,
    /// One of its own, or one that was made for it before.
    Own,
    /// The bundle does not say.
    #[default]
    Unsaid,
}

/// Reads a bundle. `host_netns` is the inode of the host's network namespace.
pub(crate) fn read(folder: &Path, host_netns: u64) -> Option<Bundle> {
    const NONBLOCK: i32 = 0o4000;
    let mut options = File::options();
    let file = options.read(true).custom_flags(NONBLOCK).open(folder.join("config.json")).ok()?;
    let mut text = String::new();
    file.take(CONFIG_BYTES_MAX).read_to_string(&mut text).ok()?;
    let is_host = |path: &str| std::fs::metadata(path).is_ok_and(|at| at.ino() == host_netns);
    Some(parse(&serde_json::from_str(&text).ok()?, &is_host))
}

fn parse(config: &Value, is_host: &dyn Fn(&str) -> bool) -> Bundle {
    let texts = |pointer: &str| {
        let all = config.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    Bundle {
        command: texts("/process/args"),
        environment: texts("/process/env"),
        network: network_of(config, is_host),
    }
}

fn network_of(config: &Value, is_host: &dyn Fn(&str) -> bool) -> BundleNetwork {
    let Some(namespaces) = config.pointer("/linux/namespaces").and_then(Value::as_array) else {
        return BundleNetwork::Unsaid;
    };
    let is_network = |one: &&Value| one.get("type").and_then(Value::as_str) == Some("network");
    let Some(network) = namespaces.iter().find(is_network) else { return BundleNetwork::Host };
    match network.get("path").and_then(Value::as_str) {
        Some(path) if is_host(path) => BundleNetwork::Host,
        _ => BundleNetwork::Own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5455d941aa00bb11cc22dd33ee44ff5566778899aabbccddeeff001122337202";

    fn words(line: &str) -> Vec<String> {
        line.replace("ID", ID).split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_runtimes_orders_are_told_from_other_programs() {
        let create = order(&words("runc --root /run/x create --bundle /run/b/ID --pid-file /p ID"));
        assert!(matches!(create, Some(Order::Create(_, path)) if path.ends_with(ID)));
        assert!(matches!(order(&words("runc delete --force ID")), Some(Order::Delete(_))));
        assert_eq!(order(&words("runc start ID")), None);
        assert_eq!(order(&words("git branch create topic")), None);
        assert_eq!(order(&[]), None);
    }

    #[test]
    fn without_a_network_namespace_it_is_the_hosts() {
        let network = |text: &str| {
            parse(&serde_json::from_str(text).unwrap(), &|path| path == "/proc/1/ns/net").network
        };
        let none = r#"{"linux":{"namespaces":[{"type":"pid"}]}}"#;
        assert_eq!(network(none), BundleNetwork::Host);
        let own = r#"{"linux":{"namespaces":[{"type":"network"}]}}"#;
        assert_eq!(network(own), BundleNetwork::Own);
        let made = r#"{"linux":{"namespaces":[{"type":"network","path":"/run/netns/x"}]}}"#;
        assert_eq!(network(made), BundleNetwork::Own);
        let host = made.replace("/run/netns/x", "/proc/1/ns/net");
        assert_eq!(network(&host), BundleNetwork::Host);
        assert_eq!(network("{}"), BundleNetwork::Unsaid);
    }

    #[test]
    fn the_command_is_known_before_it_runs() {
        let text = r#"{"process":{"args":["telnet","c2.example","4444"],"env":["A=b"]}}"#;
        let bundle = parse(&serde_json::from_str(text).unwrap(), &|_| false);
        assert_eq!(bundle.command, ["telnet", "c2.example", "4444"]);
        assert_eq!(bundle.environment, ["A=b"]);
    }
}
