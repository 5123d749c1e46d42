//! `doctor`: what can be seen here, what is missing, and how to grant it. Every answer is a trial,
//! not a guess: the ring is opened, the programs are loaded, the socket is asked.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::Outcome;
use crate::responders::conditions;
use crate::sinks::escaped_whole;
use crate::sources::runtime_api::RuntimeApi;
use crate::store::StoreChoice;

/// Say what can be seen on this machine, what is missing and how to grant it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo tidewaiter doctor      what `watch` would see
  tidewaiter doctor           what an ordinary user would

What is opened for the trial is closed again; only the store's folder is made if it is missing.
It exits with 1 when `watch` could not start here. `scan`, `flows` and `demo` need none of this.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    store: StoreChoice,
}

/// What a trial showed.
enum Health {
    /// It works.
    Good,
    /// `watch` does without, and sees less.
    Less,
    /// `watch` cannot start.
    Missing,
}

struct Finding {
    what: &'static str,
    health: Health,
    detail: String,
    /// What to do about it; empty when there is nothing to do.
    remedy: String,
}

impl Finding {
    fn good(what: &'static str, detail: impl Into<String>) -> Self {
        Self { what, health: Health::Good, detail: detail.into(), remedy: String::new() }
    }

    fn less(what: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, health: Health::Less, detail: detail.into(), remedy: remedy.into() }
    }

    fn missing(what: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, health: Health::Missing, detail: detail.into(), remedy: remedy.into() }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let mut findings = vec![kernel(), capabilities()];
    findings.extend(runtimes());
    findings.extend([packets(), counters(), executions(), cgroups(), sockets(), cutting()]);
    findings.push(store(&arguments.store));
    findings.extend(cuts(&arguments.store));
    let mut out = io::stdout().lock();
    for finding in &findings {
        let mark = match finding.health {
            Health::Good => "ok",
            Health::Less => "less",
            Health::Missing => "MISSING",
        };
        writeln!(out, "{mark:<8} {:<16} {}", finding.what, escaped_whole(&finding.detail))?;
        if !finding.remedy.is_empty() {
            writeln!(out, "{:<25} -> {}", "", finding.remedy)?;
        }
    }
    let is_missing = |finding: &&Finding| matches!(finding.health, Health::Missing);
    let missing: Vec<_> = findings.iter().filter(is_missing).map(|it| it.what).collect();
    if missing.is_empty() {
        writeln!(out, "`tidewaiter watch` can start here.")?;
        return Ok(Outcome::Done);
    }
    let missing = missing.join(", ");
    writeln!(
        out,
        "`tidewaiter watch` cannot start here: {missing}. `scan`, `flows` and `demo` can."
    )?;
    Ok(Outcome::Refused)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn kernel() -> Finding {
    let release = read("/proc/sys/kernel/osrelease");
    let detail = format!("Linux {release}, {}", std::env::consts::ARCH);
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (5, 8) => {
            Finding::good("kernel", detail)
        }
        _ => {
            let remedy = "socket events need Linux 5.8 or later; everything else works";
            Finding::less("kernel", detail, remedy)
        }
    }
}

/// The capabilities that something here uses, by number, and what uses them.
const CAPABILITIES: &[(u32, &str, &str)] = &[
    (2, "CAP_DAC_READ_SEARCH", "opening executables of other users"),
    (12, "CAP_NET_ADMIN", "process and socket events, isolation"),
    (13, "CAP_NET_RAW", "packets"),
    (19, "CAP_SYS_PTRACE", "executables and namespaces of other users' processes"),
    (21, "CAP_SYS_ADMIN", "entering a container's network namespace for isolation"),
    (23, "CAP_SYS_NICE", "reading processes that live for milliseconds on a busy machine"),
    (39, "CAP_BPF", "which process opened each socket"),
];

fn capabilities() -> Finding {
    let status = read("/proc/self/status");
    let held = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok())
        .unwrap_or_default();
    let lacks = CAPABILITIES.iter().filter(|(number, _, _)| held >> number & 1 == 0);
    let lacking: Vec<_> = lacks.map(|(_, name, used_for)| format!("{name} ({used_for})")).collect();
    if lacking.is_empty() {
        return Finding::good("capabilities", "all that are used are held");
    }
    let remedy = "run with sudo, or as a service with AmbientCapabilities= for these";
    Finding::less("capabilities", format!("without {}", lacking.join(", ")), remedy)
}

fn runtimes() -> Vec<Finding> {
    let found = RuntimeApi::discover();
    if found.is_empty() {
        let detail = "no socket of Docker or Podman was found";
        let remedy = "start the engine, or set DOCKER_HOST=unix:///path/to/its.sock";
        return vec![Finding::missing("runtime", detail, remedy)];
    }
    found.iter().map(runtime).collect()
}

fn runtime(api: &RuntimeApi) -> Finding {
    let socket = api.socket().display();
    match api.version() {
        Ok(version) => {
            let text = |key: &str| {
                version.get(key).and_then(|value| value.as_str()).unwrap_or("unknown").to_owned()
            };
            let count = api.containers().ok().and_then(|list| list.as_array().map(Vec::len));
            let running = count.map_or_else(|| "?".to_owned(), |count| count.to_string());
            let detail = format!(
                "{socket} answers: version {}, API {}, {running} containers run",
                text("Version"),
                text("ApiVersion")
            );
            Finding::good("runtime", detail)
        }
        Err(error) => {
            let remedy = "join the group docker (which is as good as root), or run with sudo";
            Finding::missing("runtime", format!("{socket}: {error}"), remedy)
        }
    }
}

fn packets() -> Finding {
    use sys::ring::{InterfaceFilter, Ring, RingConfig};
    let small = RingConfig::default().with_size(2 << 20);
    match Ring::open(&small, &InterfaceFilter::Only(Vec::new())) {
        Ok(_) => Finding::good("packets", "a capture ring over all interfaces can be opened"),
        Err(error) => Finding::missing("packets", error.to_string(), remedy(&error)),
    }
}

fn counters() -> Finding {
    match sys::link::Links::open().and_then(|mut links| links.all()) {
        Ok(links) => {
            let detail = format!("counters of {} interfaces can be read", links.len());
            Finding::good("counters", detail)
        }
        Err(error) => {
            Finding::less("counters", error.to_string(), "the manifest check stays blind")
        }
    }
}

fn executions() -> Finding {
    use sys::process::{Interest, ProcessConnector};
    match ProcessConnector::open(Interest::Executions) {
        Ok(_) => Finding::good("process events", "executions are told as they happen"),
        Err(error) => {
            let remedy = format!("{}; without, processes stay `unknown`", remedy(&error));
            Finding::less("process events", error.to_string(), remedy)
        }
    }
}

fn cgroups() -> Finding {
    match sys::process::Cgroups::probe() {
        Some(cgroups) => {
            let root = cgroups.root().display().to_string();
            let layout = if root.ends_with("/unified") { "beside version 1" } else { "alone" };
            let detail = format!("version 2 at {root}, {layout}");
            Finding::good("cgroups", detail)
        }
        None => {
            let remedy = "boot with systemd.unified_cgroup_hierarchy=1; without, sockets are not \
                          joined to containers";
            Finding::less("cgroups", "no version 2 hierarchy is mounted", remedy)
        }
    }
}

fn sockets() -> Finding {
    let Some(cgroups) = sys::process::Cgroups::probe() else {
        return Finding::less("socket events", "need cgroups version 2", "");
    };
    match sys::bpf::SocketEvents::open(&cgroups) {
        Ok(_) => Finding::good("socket events", "the process behind each socket is told by eBPF"),
        Err(error) => {
            let remedy =
                format!("{}; without, host-network containers are not told apart", remedy(&error));
            Finding::less("socket events", error.to_string(), remedy)
        }
    }
}

/// A cut for host-network containers outlives us only when it is pinned.
fn cutting() -> Finding {
    let mounts = read("/proc/self/mounts");
    let bpffs = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let path = fields.next()?;
        (fields.next()? == "bpf").then(|| path.to_owned())
    });
    match bpffs {
        Some(path) => Finding::good("isolation", format!("a bpf file system is mounted at {path}")),
        None if Path::new("/sys/fs/bpf").is_dir() => {
            let detail = "/sys/fs/bpf is not mounted; `respond` mounts it when it is needed";
            Finding::good("isolation", detail)
        }
        None => Finding::less(
            "isolation",
            "no place for a bpf file system",
            "mount it: mount -t bpf bpf /sys/fs/bpf",
        ),
    }
}

fn store(choice: &StoreChoice) -> Finding {
    match choice.open() {
        Ok(store) => Finding::good("store", format!("{} can be written", store.folder().display())),
        Err(error) => {
            Finding::missing("store", format!("{error:#}"), "choose another folder with --store")
        }
    }
}

fn remedy(error: &sys::Error) -> String {
    match error.missing() {
        Some(capabilities) => format!("run with sudo, or grant {capabilities}"),
        None => "this kernel or sandbox refuses it".to_owned(),
    }
}

/// The isolations that stand; nothing where there are none.
fn cuts(choice: &StoreChoice) -> Option<Finding> {
    let all = choice.open().and_then(|store| conditions(&store)).ok()?;
    let open: Vec<_> = all.iter().filter(|(_, condition)| condition.is_open()).collect();
    match (all.len(), open.as_slice()) {
        (0, _) => None,
        (count, []) => Some(Finding::good("isolations", format!("{count} stand and hold"))),
        (count, [(standing, condition), ..]) => {
            let (name, (_, why)) = (&standing.detail.name, condition.in_words());
            let detail = format!("{} of {count} have a hole: {name}: {why}", open.len());
            let remedy = "`tidewaiter respond --status` names each one and what closes it";
            Some(Finding::less("isolations", detail, remedy))
        }
    }
}
