//! The isolated network of a validation and the containers in it: made, labelled, removed.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use super::client::ask;
use super::command::{Placement, Program, RunCommand};
use crate::sinks::escaped;

/// Everything that is made carries this label, with the run's token as its value.
const LABEL: &str = "tidewaiter.validate";
/// From this Docker on, a container in an internal network is not led to another resolver, so that
/// the names are also written into its hosts file.
const FORWARDS_NO_MORE_MAJOR: u32 = 25;

/// A network without a way out, and what runs in it. All of it is removed when this is dropped.
pub(crate) struct Lab {
    program: Program,
    token: String,
    network: String,
    gateway: Ipv4Addr,
    names_in_hosts: NamesInHosts,
    scratch: tempfile::TempDir,
    removed: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum NamesInHosts {
    Needed,
    NotNeeded,
}

/// What a command becomes.
pub(crate) struct Prepared {
    /// The client's words, from `run` on.
    pub(crate) words: Vec<String>,
    /// What was added to the document's command.
    pub(crate) added: Vec<String>,
    /// Where the client writes the container's id.
    pub(crate) id_file: PathBuf,
}

impl Lab {
    /// Makes the network.
    pub(crate) fn make(program: Program) -> anyhow::Result<Self> {
        let token = format!("{}-{}", std::process::id(), crate::timestamp::now().as_millis());
        let network = format!("tidewaiter-validate-{token}");
        let scratch = tempfile::tempdir().context("making a scratch folder")?;
        let mut lab = Self {
            program,
            token,
            network,
            gateway: Ipv4Addr::UNSPECIFIED,
            names_in_hosts: NamesInHosts::NotNeeded,
            scratch,
            removed: false,
        };
        let label = lab.label();
        ask(program, &["network", "create", "--internal", "--label", &label, &lab.network])?;
        lab.gateway = lab.find_gateway()?;
        if program == Program::Docker {
            let version = ask(program, &["version", "--format", "{{.Server.Version}}"])?;
            let major = version.split('.').next().and_then(|major| major.parse().ok());
            if major.is_none_or(|major: u32| major >= FORWARDS_NO_MORE_MAJOR) {
                lab.names_in_hosts = NamesInHosts::Needed;
            }
        }
        Ok(lab)
    }

    /// This host's address in the network.
    pub(crate) const fn gateway(&self) -> Ipv4Addr {
        self.gateway
    }

    /// The words of a command in this lab.
    pub(crate) fn prepare<'n>(
        &self,
        number: usize,
        command: &RunCommand,
        names: impl Iterator<Item = &'n String>,
    ) -> Prepared {
        let id_file = self.scratch.path().join(format!("{number}.id"));
        let mut added = vec![
            "--pull=never".to_owned(),
            format!("--label={}", self.label()),
            format!("--cidfile={}", id_file.display()),
        ];
        if command.name.is_none() {
            added.push(format!("--name={}-{number}", self.network));
        }
        if command.network == Placement::Isolated {
            added.push(format!("--network={}", self.network));
            added.push(format!("--dns={}", self.gateway));
            if self.names_in_hosts == NamesInHosts::Needed {
                added.extend(names.map(|name| format!("--add-host={name}:{}", self.gateway)));
            }
        }
        let mut words = vec!["run".to_owned()];
        words.extend(added.iter().cloned());
        words.extend(command.options.iter().cloned());
        words.push(command.image.clone());
        words.extend(command.arguments.iter().cloned());
        Prepared { words, added, id_file }
    }

    /// Ends and removes one container; that it is gone already is no fault.
    pub(crate) fn end(&self, container: &str) -> anyhow::Result<()> {
        match ask(self.program, &["rm", "--force", container]) {
            Err(error) if error.to_string().contains("No such container") => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Removes everything that carries the label of this run; what could not be is the error.
    pub(crate) fn remove(&mut self) -> anyhow::Result<()> {
        if std::mem::replace(&mut self.removed, true) {
            return Ok(());
        }
        let removed = remove_labelled(self.program, &self.label());
        removed.with_context(|| {
            format!(
                "removing what this run made; `{} ps -a --filter label={}` lists it",
                self.program.name(),
                self.label()
            )
        })
    }

    fn label(&self) -> String {
        format!("{LABEL}={}", self.token)
    }

    fn find_gateway(&self) -> anyhow::Result<Ipv4Addr> {
        let text = ask(self.program, &["network", "inspect", &self.network])?;
        let value: serde_json::Value =
            serde_json::from_str(&text).context("reading the network's description")?;
        // Docker and Podman write it differently.
        let configured = ["/0/IPAM/Config/0/Gateway", "/0/subnets/0/gateway"];
        let gateway = configured.iter().find_map(|path| value.pointer(path)?.as_str());
        let gateway =
            gateway.ok_or_else(|| anyhow!("the network {} has no gateway", self.network))?;
        gateway.parse().with_context(|| format!("`{}` is no IPv4 address", escaped(gateway)))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("tidewaiter: {}", crate::sinks::escaped_whole(&format!("{error:#}")));
        }
    }
}

/// Removes what runs left behind whose process no longer lives; returns how many things.
pub(crate) fn remove_leftovers(program: Program) -> anyhow::Result<usize> {
    let mut tokens = Vec::new();
    let container = format!("{{{{.Label \"{LABEL}\"}}}}");
    let filter = format!("label={LABEL}");
    let listed = ask(program, &["ps", "--all", "--filter", &filter, "--format", &container])?;
    tokens.extend(listed.lines().map(str::to_owned));
    let names = ask(program, &["network", "ls", "--filter", &filter, "--format", "{{.Name}}"])?;
    let tail = |name: &str| name.strip_prefix("tidewaiter-validate-").map(str::to_owned);
    tokens.extend(names.lines().filter_map(tail));
    tokens.sort_unstable();
    tokens.dedup();
    tokens.retain(|token| owner_is_gone(token));
    for token in &tokens {
        remove_labelled(program, &format!("{LABEL}={token}"))?;
    }
    Ok(tokens.len())
}

fn owner_is_gone(token: &str) -> bool {
    let pid = token.split('-').next().and_then(|pid| pid.parse::<u32>().ok());
    pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

fn remove_labelled(program: Program, label: &str) -> anyhow::Result<()> {
    let filter = format!("label={label}");
    let containers = ask(program, &["ps", "--all", "--quiet", "--filter", &filter])?;
    for container in containers.lines() {
        match ask(program, &["rm", "--force", "--volumes", container]) {
            Err(error) if !error.to_string().contains("No such container") => return Err(error),
            _ => {}
        }
    }
    let networks = ask(program, &["network", "ls", "--quiet", "--filter", &filter])?;
    for network in networks.lines() {
        ask(program, &["network", "rm", network])?;
    }
    Ok(())
}

/// Refuses where an image is not here; nothing is pulled unless `pull` says so.
pub(crate) fn need_images(wanted: &[(Program, &str)], pull: Pull) -> anyhow::Result<()> {
    let mut missing = Vec::new();
    for &(program, image) in wanted {
        if image.starts_with('-') {
            bail!("`{}` is no image", escaped(image));
        }
        if ask(program, &["image", "inspect", "--format", "{{.Id}}", image]).is_ok() {
            continue;
        }
        match pull {
            Pull::WhenMissing => {
                eprintln!("pulling {}", escaped(image));
                ask(program, &["pull", "--quiet", image])?;
            }
            Pull::Never => missing.push(format!("{} ({})", escaped(image), program.name())),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "missing on this machine: image {}; bring it here, or allow it to be pulled with --pull",
        missing.join(", ")
    )
}

/// Whether a missing image may be pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pull {
    /// It is an error that says which.
    Never,
    /// The user said so.
    WhenMissing,
}
