//! Preserve: everything that isolation, time or `--rm` would take away, asked once and sealed.
//! The kernel is asked first, since what it knows of a process ends with it; the runtime, which
//! also remembers what has ended, comes last.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::processes;
use super::sockets;
use super::target::{Gone, Live, Target, short};
use crate::evidence::{Case, Host, Question, Sealed};
use crate::sources::runtime_api::{ApiError, Extent, RuntimeApi};
use crate::store::Store;
use crate::timestamp;

/// Lines of a container's log that are asked for.
const LOG_LINE_COUNT_MAX: u32 = 10_000;
/// Files that a spool may hold.
const SPOOL_FILE_COUNT_MAX: usize = 256;
/// The kernel's tables of a network namespace, as /proc shows them: proc(5).
const NAMESPACE_TABLES: &[&str] = &[
    "tcp",
    "tcp6",
    "udp",
    "udp6",
    "raw",
    "raw6",
    "icmp",
    "packet",
    "unix",
    "arp",
    "route",
    "ipv6_route",
    "if_inet6",
    "dev",
    "snmp",
    "netstat",
];

/// Where `watch` puts what it holds of an alert the moment that the alert opens.
pub(crate) fn spool(store: &Store, alert: &str) -> PathBuf {
    store.folder().join("spool").join(alert)
}

/// Where sealed evidence lies.
pub(crate) fn evidence_root(store: &Store) -> PathBuf {
    store.folder().join("evidence")
}

/// What would be asked of one target, in words.
pub(crate) fn questions(target: &Target) -> Vec<String> {
    match target {
        Target::Live(_) => vec![
            "sockets, addresses, routes and counters of its namespace (/proc/PID/net)".to_owned(),
            "its processes, with the hash of each executable (/proc)".to_owned(),
            "its description, processes, file changes, counters and log (runtime)".to_owned(),
        ],
        Target::Gone(gone) if gone.known.is_some() => {
            vec!["its description, file changes and log, which the runtime still has".to_owned()]
        }
        Target::Gone(_) | Target::Unnamed(_) => Vec::new(),
    }
}

/// What the spool holds of an alert, as `name (bytes)`.
pub(crate) fn spooled(store: &Store, alert: &str) -> Vec<String> {
    let name = |path: &PathBuf| {
        let bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        format!("{} ({bytes} bytes)", crate::sinks::escaped(&name))
    };
    spool_files(&spool(store, alert)).iter().map(name).collect()
}

/// Collects and seals. One thing that cannot be had never keeps the next from being asked.
pub(crate) fn preserve(
    store: &Store,
    alert: &str,
    alert_json: &[u8],
    targets: &[Target],
) -> anyhow::Result<Sealed> {
    let root = evidence_root(store);
    let mut case = Case::open(&root, alert, this_host(), now())?;
    for target in targets {
        if let Target::Live(live) = target {
            from_the_kernel(&mut case, live)?;
        }
    }
    from_the_spool(&mut case, store, alert)?;
    for target in targets {
        match target {
            Target::Live(live) => from_the_runtime(&mut case, live)?,
            Target::Gone(gone) => from_what_is_left(&mut case, gone)?,
            Target::Unnamed(endpoint) => {
                let question = ask("container", endpoint, "the alert's own subjects");
                case.fail(question, "no runtime names it");
            }
        }
    }
    case.save(ask("alert", "", "the store"), "alert.json", alert_json, "")?;
    case.seal(now())
}

fn from_the_kernel(case: &mut Case, live: &Live) -> anyhow::Result<()> {
    for table in NAMESPACE_TABLES {
        let path = format!("/proc/{}/net/{table}", live.pid);
        let question = ask("tables", &live.id, &format!("read {path}"));
        match fs::read(&path) {
            Ok(bytes) => {
                case.save(question, &format!("net-{table}-{}.txt", live.short()), &bytes, "")?;
            }
            Err(error) => case.fail(question, &error.to_string()),
        }
    }
    let question = ask("sockets", &live.id, "sock_diag in its namespace");
    match sockets::of_process(live.pid) {
        Ok(found) => {
            let bytes = serde_json::to_vec_pretty(&found.json).context("encoding sockets")?;
            case.save(question, &format!("sockets-{}.json", live.short()), &bytes, &found.cut)?;
        }
        Err(error) => case.fail(question, &error.to_string()),
    }
    processes_of(case, live)
}

fn processes_of(case: &mut Case, live: &Live) -> anyhow::Result<()> {
    let question = ask("processes", &live.id, "cgroup.procs, /proc/PID, hash of /proc/PID/exe");
    match processes::of_container(live.pid) {
        Ok(found) => {
            let bytes = serde_json::to_vec_pretty(&found.json).context("encoding processes")?;
            let name = format!("processes-{}.json", live.short());
            case.save(question, &name, &bytes, &found.cut)?;
            for strange in found.not_in_image {
                let how = format!("copy of {}", strange.path.display());
                let question = ask("executable", &live.id, &how);
                let name = format!("executable-{}-{}.bin", live.short(), strange.pid);
                case.copy(question, &name, &strange.path)?;
            }
        }
        Err(why) => case.fail(question, &why),
    }
    Ok(())
}

fn from_the_spool(case: &mut Case, store: &Store, alert: &str) -> anyhow::Result<()> {
    let folder = spool(store, alert);
    let files = spool_files(&folder);
    let how = |path: &Path| format!("copy of {}", path.display());
    if files.is_empty() {
        let why = "nothing was spooled: the alert did not come from `tidewaiter watch` here";
        case.fail(ask("packets", "", &how(&folder)), why);
    }
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let what = if name.ends_with(".pcapng") { "packets" } else { "spool" };
        let question = ask(what, "", &how(&path));
        case.copy(question, &format!("spool-{name}"), &path)?;
    }
    Ok(())
}

fn from_the_runtime(case: &mut Case, live: &Live) -> anyhow::Result<()> {
    let (id, short) = (&live.id, live.short());
    let question = ask("inspect", id, &format!("GET /containers/{id}/json"));
    case.save(question, &format!("inspect-{short}.json"), &live.inspect, "")?;
    let question = ask("top", id, &format!("GET /containers/{id}/top"));
    json(case, question, &format!("top-{short}.json"), live.api.top(id))?;
    let question = ask("stats", id, &format!("GET /containers/{id}/stats"));
    json(case, question, &format!("stats-{short}.json"), live.api.stats(id))?;
    lasting(case, &live.api, id)
}

/// What a runtime also has of a container that has ended.
fn lasting(case: &mut Case, api: &RuntimeApi, id: &str) -> anyhow::Result<()> {
    let short = short(id);
    let question = ask("changes", id, &format!("GET /containers/{id}/changes"));
    json(case, question, &format!("changes-{short}.json"), api.changes(id))?;
    let how = format!("GET /containers/{id}/logs, last {LOG_LINE_COUNT_MAX} lines");
    let question = ask("logs", id, &how);
    match api.logs(id, LOG_LINE_COUNT_MAX) {
        Ok(answer) => {
            let cut = if answer.extent == Extent::Cut { "the answer was larger" } else { "" };
            case.save(question, &format!("logs-{short}.bin"), &answer.bytes, cut)?;
        }
        Err(error) => case.fail(question, &error.to_string()),
    }
    Ok(())
}

fn from_what_is_left(case: &mut Case, gone: &Gone) -> anyhow::Result<()> {
    case.fail(ask("processes", &gone.id, "the runtimes here"), &gone.why);
    let Some((api, inspect)) = &gone.known else { return Ok(()) };
    let question = ask("inspect", &gone.id, &format!("GET /containers/{}/json", gone.id));
    case.save(question, &format!("inspect-{}.json", short(&gone.id)), inspect, "")?;
    lasting(case, api, &gone.id)
}

fn json(
    case: &mut Case,
    question: Question,
    file: &str,
    answer: Result<serde_json::Value, ApiError>,
) -> anyhow::Result<()> {
    match answer {
        Ok(value) => {
            let bytes = serde_json::to_vec_pretty(&value).context("encoding an answer")?;
            case.save(question, file, &bytes, "")
        }
        Err(error) => {
            case.fail(question, &error.to_string());
            Ok(())
        }
    }
}

/// The spool's own files, sorted; what has another kind of name was not put there by `watch`.
fn spool_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            safe_name(&name) == name
        })
        .take(SPOOL_FILE_COUNT_MAX)
        .collect();
    files.sort_unstable();
    files
}

fn safe_name(name: &str) -> String {
    let safe = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    name.chars().map(|letter| if safe(letter) { letter } else { '_' }).collect()
}

fn ask(what: &'static str, of: &str, how: &str) -> Question {
    Question { what, of: of.to_owned(), how: how.to_owned(), at: now() }
}

fn now() -> String {
    timestamp::rfc3339(timestamp::now())
}

fn this_host() -> Host {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    Host {
        name: read("/proc/sys/kernel/hostname"),
        kernel: read("/proc/sys/kernel/osrelease"),
        boot: read("/proc/sys/kernel/random/boot_id"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{manifest_of, verify};

    fn gone() -> Target {
        let (id, name) = ("ab".repeat(32), "x".to_owned());
        Target::Gone(Gone { id, name, why: "it has been removed".into(), known: None })
    }

    #[test]
    fn a_container_that_is_gone_is_preserved_from_the_spool() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let spool = spool(&store, "A1");
        fs::create_dir_all(&spool).unwrap();
        fs::write(spool.join("packets.pcapng"), b"packets").unwrap();
        fs::write(spool.join("inspect-abababababab.json"), b"{}").unwrap();
        let sealed = preserve(&store, "A1", b"{}", &[gone()]).unwrap();
        assert_eq!(sealed.failed, ["processes: it has been removed"]);
        let manifest = manifest_of(&sealed.folder).unwrap();
        let names: Vec<_> = manifest.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(
            names,
            ["alert.json", "spool-inspect-abababababab.json", "spool-packets.pcapng"]
        );
        assert_eq!(verify(&evidence_root(&store), &sealed.link.case).faults, []);
    }

    #[test]
    fn that_nothing_was_spooled_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let unnamed = Target::Unnamed("endpoint 172[.]17[.]0[.]2".into());
        let sealed = preserve(&store, "A1", b"{}", &[unnamed]).unwrap();
        assert_eq!(sealed.failed.len(), 2);
        assert!(sealed.failed[0].starts_with("packets: nothing was spooled"));
        assert!(sealed.failed[1].contains("no runtime names it"));
    }

    #[test]
    fn a_link_in_the_spool_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let spool = spool(&store, "A1");
        fs::create_dir_all(&spool).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", spool.join("packets.pcapng")).unwrap();
        assert_eq!(spooled(&store, "A1"), Vec::<String>::new());
    }
}
