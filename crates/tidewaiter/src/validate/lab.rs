//! The isolated network of a validation and the containers in it: made, labelled, removed.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};

use super::client::ask;
use super::command::{Placement, Program, RunCommand};
use crate::sinks::escaped;

/// Everything that is made carries this label, with the run's token as its value.
const LABEL: &str = "tidewaiter.validate";
/// From this Docker on, a container in an internal network is not led to another resolver, so that
/// the names are also written into its hosts file.
const FORWARDS_NO_MORE_MAJOR: u32 = 25;

/// How long a network is tried to be removed.
const NETWORK_IN_USE_MAX: Duration = Duration::from_secs(5);
/// The runtime takes two networks of one name, so that every token is another.
static MADE_COUNT: AtomicU32 = AtomicU32::new(0);

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
        let (millis, number) =
            (crate::timestamp::now().as_millis(), MADE_COUNT.fetch_add(1, Ordering::Relaxed));
        let token = format!("{}-{millis}-{number}", std::process::id());
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
        remove_container(self.program, container)
    }

    /// Removes everything that carries the label of this run; what could not be is the error.
    pub(crate) fn remove(&mut self) -> anyhow::Result<()> {
        if std::mem::replace(&mut self.removed, true) {
            return Ok(());
        }
        let removed = remove_labelled(self.program, &self.label());
        removed.with_context(|| {
            format!(
                "removing what this run made; `{0} ps -a` and `{0} network ls` with \
                 `--filter label={1}` list it",
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

/// Removes what carries the label. One thing that cannot be removed does not keep the next.
fn remove_labelled(program: Program, label: &str) -> anyhow::Result<()> {
    let filter = format!("label={label}");
    let mut problems = Vec::new();
    let containers = ask(program, &["ps", "--all", "--quiet", "--filter", &filter])?;
    for container in containers.lines() {
        problems.extend(remove_container(program, container).err());
    }
    let networks = ask(program, &["network", "ls", "--quiet", "--filter", &filter])?;
    for network in networks.lines() {
        problems.extend(remove_network(program, network).err());
    }
    match problems.pop() {
        Some(problem) => Err(problem),
        None => Ok(()),
    }
}

/// That it is gone, or about to be by its own `--rm`, is no fault.
fn remove_container(program: Program, container: &str) -> anyhow::Result<()> {
    match ask(program, &["rm", "--force", "--volumes", container]) {
        Err(error) => {
            let said = error.to_string().to_ascii_lowercase();
            let gone = ["no such container", "already in progress"];
            if gone.iter().any(|words| said.contains(words)) { Ok(()) } else { Err(error) }
        }
        Ok(_) => Ok(()),
    }
}

/// A container that removes itself (`--rm`) may hold its network for a moment longer.
fn remove_network(program: Program, network: &str) -> anyhow::Result<()> {
    let until = Instant::now() + NETWORK_IN_USE_MAX;
    loop {
        match ask(program, &["network", "rm", network]) {
            Ok(_) => return Ok(()),
            Err(error) if error.to_string().contains("not found") => return Ok(()),
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::super::client::Running;
    use super::super::command::{Danger, Reading, read};
    use super::super::destinations::Destinations;
    use super::super::document::Snippet;
    use super::super::far_end::{FarEnd, Reached};
    use super::*;

    fn live(test: &str) -> bool {
        let wanted = std::env::var("TIDEWAITER_LIVE").is_ok_and(|value| value == "1");
        if !wanted {
            eprintln!("SKIPPED: {test}: needs root, a Docker engine and TIDEWAITER_LIVE=1");
        }
        wanted
    }

    /// Runs a command in a lab of its own; what reached the far end, and what the client said.
    fn in_a_lab(text: &str) -> (Reached, String) {
        let documented = read(Snippet { line: 1, text: text.into() }, Danger::Refused);
        let Reading::Run(command) = documented.reading else { panic!("{documented:?}") };
        let mut lab = Lab::make(Program::Docker).unwrap();
        let mut to = Destinations::default();
        to.add(&command);
        let far_end = FarEnd::start(lab.gateway(), &to).unwrap();
        let prepared = lab.prepare(1, &command, to.names.iter());
        let words: Vec<_> = prepared.words.iter().map(String::as_str).collect();
        let mut client =
            Running::start(Program::Docker, &words, std::process::Stdio::null()).unwrap();
        while client.ended().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let (output, errors) = client.said();
        lab.remove().unwrap();
        let label = format!("label={LABEL}={}", lab.token);
        let left = ask(Program::Docker, &["ps", "-aq", "--filter", &label]).unwrap();
        let networks = ask(Program::Docker, &["network", "ls", "-q", "--filter", &label]).unwrap();
        assert_eq!((left.as_str(), networks.as_str()), ("", ""), "nothing is left");
        (far_end.take_reached(), output + &errors)
    }

    #[test]
    fn the_literal_command_finds_its_name_and_is_spoken_to() {
        if !live("the literal command in the isolated network") {
            return;
        }
        let (reached, said) = in_a_lab("docker run --rm alpine telnet c2.example.com 4444");
        assert!(reached.asked.contains("c2.example.com"), "{reached:?} {said}");
        assert_eq!(reached.connection_count, 1, "{said}");
    }

    #[test]
    fn nothing_outside_can_be_reached_from_it() {
        const OUTSIDE: &str = "198.51.100.10";
        let reaches = |words: &[&str]| ask(Program::Docker, words).is_ok();
        if !live("the isolation of the network") {
            return;
        }
        if !reaches(&["run", "--rm", "alpine", "ping", "-c", "1", "-w", "2", OUTSIDE]) {
            eprintln!(
                "SKIPPED: the isolation of the network: needs {OUTSIDE}, which the lab makes"
            );
            return;
        }
        let (_, said) = in_a_lab(&format!("docker run --rm alpine ping -c 1 -w 2 {OUTSIDE}"));
        assert!(said.contains("100% packet loss"), "{said}");
        // A name that stands nowhere in the command as one: only our resolver is asked for it.
        let (reached, said) = in_a_lab("docker run --rm alpine sh -c 'nslookup example\"\".org'");
        assert!(said.contains("NXDOMAIN"), "{said}");
        assert!(reached.asked.contains("example.org"), "only our resolver was asked");
    }
}
