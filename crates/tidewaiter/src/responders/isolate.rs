//! Isolate: a container's packets are dropped, in both directions and below the container's reach,
//! while its process, addresses, sockets and counters stay for an investigator.
//! `docker network disconnect` would take the address and the counters away and leave the session
//! open; `docker pause` would let the kernel go on acknowledging and queue the next commands.
//!
//! *Architecture invariant:* [`plan`] only reads; [`apply`] makes exactly what the plan says, or
//! nothing; [`undo`] takes away exactly that, and what is not ours is never touched.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use sys::bpf::{CgroupCut, Mounted, ensure_bpffs};
use sys::link::Links;
use sys::netns::PinnedNetns;
use sys::nft::{CutKind, CutName, Nft, Removal};

use super::receipt::{DeviceTable, InnerTable, Made};
use super::target::{Live, Wire};

/// Where the kernel's own bpf file system belongs.
const BPF_FOLDER: &str = "/sys/fs/bpf";
/// Lives of a container that stay cut off when it has been started again.
const LIFE_COUNT_MAX: u32 = 16;
/// Interfaces of one container.
const INTERFACE_COUNT_MAX: usize = 16;

/// What isolating a container means, decided before anything is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// What would be made.
    pub(crate) made: Made,
    /// What is weaker than it should be, in words.
    pub(crate) weaknesses: Vec<String>,
}

/// Decides how a container would be cut off, or says why it cannot be.
pub(crate) fn plan(live: &Live, alert: &str) -> Result<Cut, String> {
    let alert = alert.get(..10).unwrap_or(alert);
    let cut = format!("{alert}{}", live.short());
    match &live.network {
        Wire::Host { cgroup: Some(cgroup) } => Ok(Cut {
            made: Made::Cgroup {
                pin: Path::new(BPF_FOLDER).join("tidewaiter").join(&cut),
                cgroup: cgroup.clone(),
            },
            weaknesses: vec![
                "it shares the host's network: frames that it sends through a raw packet socket \
                 pass by a cgroup's cut"
                    .to_owned(),
            ],
        }),
        Wire::Host { cgroup: None } => {
            Err("it shares the host's network and has no cgroup v2 of its own".to_owned())
        }
        Wire::Namespace { inode, .. } => tables(live, *inode, &cut),
    }
}

/// What would be made, or was, in words.
pub(crate) fn describe(made: &Made) -> Vec<String> {
    match made {
        Made::Nothing => Vec::new(),
        Made::Evidence(link) => vec![format!("sealed {} as number {}", link.case, link.sequence)],
        Made::Tables { host, inside, inner } => {
            let drops = |place: &str, table: &DeviceTable| {
                let name = crate::sinks::escaped(&table.interface);
                let cut = &table.cut;
                format!("{place}: nft table netdev tidewaiter_{cut} drops every frame at {name}")
            };
            let host = host.iter().map(|table| drops("on the host", table));
            let inside = inside.iter().map(|table| drops("in its namespace", table));
            let inner = format!(
                "in its namespace (net:[{}]): nft table inet tidewaiter_{} drops all but lo",
                inner.namespace, inner.cut
            );
            host.chain(inside).chain([inner]).collect()
        }
        Made::Cgroup { pin, cgroup } => vec![
            format!("every packet of the cgroup {} is dropped", cgroup.display()),
            format!("the program that drops it is pinned at {}", pin.display()),
        ],
    }
}

/// Makes the cut. Where a part of it stands already, by an earlier try, it is left; where a part
/// fails, what this call made is taken back.
pub(crate) fn apply(made: &Made) -> anyhow::Result<Vec<String>> {
    let mut notes = Vec::new();
    match made {
        Made::Tables { inner, .. } => {
            let namespace = open_namespace(inner)?
                .context("its network namespace is gone: it vanished before it could be cut")?;
            let mut done = Vec::new();
            if let Err(error) = make_tables(made, &namespace, &mut done) {
                take_back(&done, &namespace);
                return Err(error);
            }
        }
        Made::Cgroup { pin, cgroup } => {
            if ensure_bpffs(Path::new(BPF_FOLDER))? == Mounted::Now {
                notes.push(format!("mounted a bpf file system at {BPF_FOLDER}; undo leaves it"));
            }
            let stands = match CgroupCut::reopen(pin) {
                Ok(cut) if cut.covers(cgroup)? => true,
                Ok(cut) => {
                    set_aside(cut, pin)?;
                    false
                }
                Err(_) => false,
            };
            if !stands {
                let mut cut = CgroupCut::apply(cgroup)?;
                cut.pin(pin)?;
            }
        }
        Made::Nothing | Made::Evidence(_) => bail!("this is no isolation"),
    }
    Ok(notes)
}

/// What it cut was started again, and its name is wanted. Sockets of a life before still send what
/// they were given, so every life stays cut off, as far as there is room.
fn set_aside(mut cut: CgroupCut, pin: &Path) -> anyhow::Result<()> {
    let is_free = |place: &PathBuf| !place.exists();
    let place = asides(pin).find(is_free).unwrap_or_else(|| aside(pin, 0));
    release(&place)?;
    cut.rename(&place)?;
    Ok(())
}

/// Where the cuts of lives before are pinned.
fn asides(pin: &Path) -> impl Iterator<Item = PathBuf> {
    (0..LIFE_COUNT_MAX).map(|life| aside(pin, life))
}

fn aside(pin: &Path, life: u32) -> PathBuf {
    let mut name = pin.as_os_str().to_owned();
    name.push(format!("_life{life}"));
    PathBuf::from(name)
}

/// Takes back the cut that is pinned there.
fn release(pin: &Path) -> anyhow::Result<Removal> {
    match CgroupCut::reopen(pin) {
        Ok(cut) => {
            cut.undo()?;
            Ok(Removal::Removed)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Removal::WasAbsent),
        Err(error) => Err(error.into()),
    }
}

/// Whether a cut holds: what its rules have dropped so far, or what of it is missing.
pub(crate) fn verify(made: &Made) -> Result<String, String> {
    match made {
        Made::Tables { host, inside, inner } => {
            let mut nft = Nft::here().map_err(|error| error.to_string())?;
            let mut said = Vec::new();
            for table in host {
                let place = format!("at {}", table.interface);
                said.push(dropped(&mut nft, CutKind::Device, &table.cut, &place)?);
            }
            let namespace = open_namespace(inner)
                .map_err(|error| format!("{error:#}"))?
                .ok_or("its network namespace is gone")?;
            let mut nft = Nft::inside(&namespace).map_err(|error| error.to_string())?;
            for table in inside {
                let place = format!("at {} inside", crate::sinks::escaped(&table.interface));
                said.push(dropped(&mut nft, CutKind::Device, &table.cut, &place)?);
            }
            said.push(dropped(&mut nft, CutKind::Namespace, &inner.cut, "inside")?);
            Ok(said.join("; "))
        }
        Made::Cgroup { pin, cgroup } => {
            let cut = CgroupCut::reopen(pin).map_err(|error| error.to_string())?;
            if !cut.covers(cgroup).map_err(|error| error.to_string())? {
                return Err("its cgroup was made anew, by a restart, and is not cut".to_owned());
            }
            let counters = cut.counters().map_err(|error| error.to_string())?;
            let (to, from) = (counters.ingress.packet_count, counters.egress.packet_count);
            Ok(format!("dropped so far: {to} packets to it, {from} from it"))
        }
        Made::Nothing | Made::Evidence(_) => Err("this is no isolation".to_owned()),
    }
}

/// Takes a cut away; says what was removed and what had gone by itself.
pub(crate) fn undo(made: &Made) -> anyhow::Result<Vec<String>> {
    let mut said = Vec::new();
    match made {
        Made::Tables { host, inside, inner } => {
            let mut nft = Nft::here()?;
            for table in host {
                let removal = nft.remove(CutKind::Device, &CutName::new(&table.cut)?)?;
                said.push(removed(removal, &format!("the table at {}", table.interface)));
            }
            match open_namespace(inner)? {
                None => said.push("its namespace is gone, and the table in it".to_owned()),
                Some(namespace) => {
                    let mut nft = Nft::inside(&namespace)?;
                    for table in inside {
                        let removal = nft.remove(CutKind::Device, &CutName::new(&table.cut)?)?;
                        said.push(removed(removal, "the interface's table in its namespace"));
                    }
                    let removal = nft.remove(CutKind::Namespace, &CutName::new(&inner.cut)?)?;
                    said.push(removed(removal, "the table in its namespace"));
                }
            }
        }
        Made::Cgroup { pin, .. } => {
            let removal = release(pin)?;
            for place in asides(pin) {
                release(&place)?;
            }
            said.push(removed(removal, &format!("the program pinned at {}", pin.display())));
        }
        Made::Nothing | Made::Evidence(_) => bail!("there is nothing to undo"),
    }
    Ok(said)
}

fn tables(live: &Live, inode: u64, cut: &str) -> Result<Cut, String> {
    let paths = vec![PathBuf::from(format!("/proc/{}/ns/net", live.pid))];
    let paths = sandbox(live).into_iter().chain(paths).collect();
    let inner = InnerTable { cut: cut.to_owned(), namespace: inode, paths };
    let namespace = open_namespace(&inner)
        .map_err(|error| format!("{error:#}"))?
        .ok_or("its network namespace is gone")?;
    let Interfaces { found, odd } = interfaces(&namespace).map_err(|error| error.to_string())?;
    let mut weaknesses = Vec::new();
    if found.is_empty() || !odd.is_empty() {
        weaknesses.push(
            "where no interface of the host is its own, packets are dropped inside its namespace, \
             and a container with NET_ADMIN could undo that"
                .to_owned(),
        );
    }
    // By the interface's number, so that a wider cut finds what stands already.
    let named = |letter: char, links: Vec<(u32, String)>| {
        let table = |(ifindex, interface)| DeviceTable {
            cut: format!("{cut}{letter}{ifindex:x}"),
            interface,
            ifindex,
        };
        links.into_iter().map(table).collect::<Vec<_>>()
    };
    let (host, inside) = (named('x', found), named('i', odd));
    Ok(Cut { made: Made::Tables { host, inside, inner }, weaknesses })
}

fn sandbox(live: &Live) -> Option<PathBuf> {
    let inspect: serde_json::Value = serde_json::from_slice(&live.inspect).ok()?;
    let path = inspect.pointer("/NetworkSettings/SandboxKey")?.as_str()?;
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// What leads out of a namespace.
#[derive(Default)]
struct Interfaces {
    /// The host's ends of its veths.
    found: Vec<(u32, String)>,
    /// Those, as the namespace calls them, that have no end of their own on the host.
    odd: Vec<(u32, String)>,
}

/// The host's ends of the namespace's veths, and what of it has no end of its own on the host.
/// The namespace itself is asked, since a container can lie in its own `/sys`, and the host's end
/// has to agree, since a container can choose indexes: nobody's neighbour is cut by mistake.
fn interfaces(namespace: &PinnedNetns) -> sys::Result<Interfaces> {
    let mut here = Links::open()?;
    let number = here.number_of(namespace)?;
    let mut all = Interfaces::default();
    for inner in namespace.links()?.all()? {
        const LOOPBACK: u32 = 1 << 3;
        if inner.flags & LOOPBACK != 0 || all.found.len() + all.odd.len() == INTERFACE_COUNT_MAX {
            continue;
        }
        let outer = match (inner.kind.as_str(), inner.peer, inner.peer_netnsid) {
            ("veth", Some(peer), Some(_)) => here.link(peer)?,
            // Kernel-made tunnel ends (`tunl0`, `sit0` …) carry nothing while they are down.
            _ if !inner.is_up() => continue,
            _ => None,
        };
        match outer {
            Some(outer)
                if outer.kind == "veth"
                    && outer.peer == Some(inner.ifindex)
                    && outer.peer_netnsid.is_some()
                    && outer.peer_netnsid == number =>
            {
                all.found.push((outer.ifindex, outer.name));
            }
            _ => all.odd.push((inner.ifindex, inner.name)),
        }
    }
    Ok(all)
}

/// Opens the namespace by whatever still leads to it; `None` when nothing does.
fn open_namespace(inner: &InnerTable) -> anyhow::Result<Option<PinnedNetns>> {
    let mut refusal = None;
    for path in &inner.paths {
        match PinnedNetns::open(path) {
            // A path can lead to another namespace after a restart, and a pid to another process.
            Ok(namespace) if namespace.inode() == inner.namespace => return Ok(Some(namespace)),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => refusal = Some(error),
        }
    }
    match refusal {
        Some(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(error.into()),
        _ => Ok(None),
    }
}

fn make_tables(
    made: &Made,
    namespace: &PinnedNetns,
    done: &mut Vec<(Place, CutKind, CutName)>,
) -> anyhow::Result<()> {
    let Made::Tables { host, inside, inner } = made else { return Ok(()) };
    let (mut here, mut there) = (Nft::here()?, Nft::inside(namespace)?);
    let of_host = host.iter().map(|table| (Place::Host, table));
    for (place, table) in of_host.chain(inside.iter().map(|table| (Place::Namespace, table))) {
        let name = CutName::new(&table.cut)?;
        let nft = match place {
            Place::Host => &mut here,
            Place::Namespace => &mut there,
        };
        if made_now(nft.cut_device(&name, table.ifindex))? {
            done.push((place, CutKind::Device, name));
        }
    }
    let name = CutName::new(&inner.cut)?;
    if made_now(there.cut_namespace(&name))? {
        done.push((Place::Namespace, CutKind::Namespace, name));
    }
    Ok(())
}

/// Where a table stands.
#[derive(Clone, Copy)]
enum Place {
    Host,
    Namespace,
}

fn made_now(result: sys::Result<()>) -> anyhow::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn take_back(done: &[(Place, CutKind, CutName)], namespace: &PinnedNetns) {
    for (place, kind, name) in done.iter().rev() {
        let nft = match place {
            Place::Host => Nft::here(),
            Place::Namespace => Nft::inside(namespace),
        };
        let _ = nft.and_then(|mut nft| nft.remove(*kind, name));
    }
}

fn dropped(nft: &mut Nft, kind: CutKind, cut: &str, place: &str) -> Result<String, String> {
    let name = CutName::new(cut).map_err(|error| error.to_string())?;
    let counters = nft.counters(kind, &name).map_err(|error| error.to_string())?;
    let wanted: &[&str] = match kind {
        CutKind::Device => &["ingress", "egress"],
        CutKind::Namespace => &["input", "output"],
    };
    let count = |chain: &&str| -> Result<String, String> {
        let of_chain: Vec<_> = counters.iter().filter(|rule| rule.chain == **chain).collect();
        if of_chain.is_empty() {
            return Err(anyhow!("the rule for {chain} {place} is missing").to_string());
        }
        let packets: u64 = of_chain.iter().map(|rule| rule.packet_count).sum();
        Ok(format!("{chain} {packets}"))
    };
    let counts = wanted.iter().map(count).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("packets dropped {place}: {}", counts.join(", ")))
}

fn removed(removal: Removal, what: &str) -> String {
    match removal {
        Removal::Removed => format!("removed {what}"),
        Removal::WasAbsent => format!("{what} was gone already"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone() -> Made {
        let inner = InnerTable {
            cut: "01JD8T6V3Mabababababab".into(),
            namespace: 1,
            paths: vec!["/proc/self/ns/net".into(), "/run/netns/there-is-none".into()],
        };
        Made::Tables { host: vec![], inside: vec![], inner }
    }

    #[test]
    fn a_path_that_leads_to_another_namespace_is_not_entered() {
        let Made::Tables { inner, .. } = gone() else { panic!("tables") };
        assert!(open_namespace(&inner).unwrap().is_none());
        let error = apply(&gone()).unwrap_err().to_string();
        assert!(error.contains("vanished"), "{error}");
    }

    #[test]
    fn undoing_where_nothing_is_left_is_no_failure() {
        assert_eq!(undo(&gone()).unwrap(), ["its namespace is gone, and the table in it"]);
    }

    #[test]
    fn every_name_of_a_cut_is_one_that_the_kernel_takes() {
        let longest = format!("{}{}x{}", "Z".repeat(10), "f".repeat(12), INTERFACE_COUNT_MAX);
        assert!(CutName::new(&longest).is_ok());
    }
}
