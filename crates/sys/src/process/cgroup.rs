//! Which container a cgroup belongs to, and which number the kernel knows it by: cgroups(7).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::syscall;

/// A container as its cgroup's name tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContainerRef {
    /// Whose naming scheme it is.
    pub runtime: ContainerRuntime,
    /// The full id.
    pub id: [u8; 32],
}

impl ContainerRef {
    /// The id as 64 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        self.id.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Whose scheme named a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContainerRuntime {
    /// `/docker/<id>` or `docker-<id>.scope`.
    Docker,
    /// `libpod-<id>`, with or without `.scope`.
    Podman,
    /// `cri-containerd-<id>.scope`, `…:cri-containerd:<id>` or `nerdctl-<id>.scope`.
    Containerd,
    /// `crio-<id>.scope`.
    CriO,
    /// The bare id, in a directory that does not say whose it is (Kubernetes' cgroupfs driver).
    Unknown,
}

/// The container that a cgroup path belongs to.
///
/// The outermost id counts: a privileged container may create cgroups inside its own and give them
/// any name, also that of another container.
#[must_use]
pub fn container_of(cgroup_path: &str) -> Option<ContainerRef> {
    let mut parent = "";
    for component in cgroup_path.split('/').filter(|component| !component.is_empty()) {
        if let Some(found) = container_in(component, parent) {
            return Some(found);
        }
        parent = component;
    }
    None
}

fn container_in(component: &str, parent: &str) -> Option<ContainerRef> {
    let name = component.strip_suffix(".scope").unwrap_or(component);
    if let Some(id) = id_of(name) {
        let runtime = match parent {
            "docker" => ContainerRuntime::Docker,
            _ => ContainerRuntime::Unknown,
        };
        return Some(ContainerRef { runtime, id });
    }
    let (prefix, digits) = name.rsplit_once(['-', ':'])?;
    let runtime = match prefix.rsplit_once(':').map_or(prefix, |(_, last)| last) {
        "docker" => ContainerRuntime::Docker,
        "libpod" | "libpod-payload" => ContainerRuntime::Podman,
        "cri-containerd" | "nerdctl" => ContainerRuntime::Containerd,
        "crio" => ContainerRuntime::CriO,
        _ => return None,
    };
    Some(ContainerRef { runtime, id: id_of(digits)? })
}

fn id_of(digits: &str) -> Option<[u8; 32]> {
    let lower = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    if digits.len() != 64 || !digits.as_bytes().iter().all(lower) {
        return None;
    }
    let mut id = [0; 32];
    for (byte, pair) in id.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(id)
}

/// The path of version 2 in a `/proc/PID/cgroup` file, or else the first one that names a
/// container.
pub(super) fn path_in(file: &str) -> Option<String> {
    let path = |line: &str| {
        let path = line.splitn(3, ':').nth(2)?;
        Some(path.strip_suffix(" (deleted)").unwrap_or(path).to_owned())
    };
    let unified = file.lines().find(|line| line.starts_with("0::")).and_then(path);
    match unified {
        Some(unified) if container_of(&unified).is_some() => Some(unified),
        // Where only version 1 is in use, version 2 says "/" or is not there at all.
        other => file.lines().filter_map(path).find(|p| container_of(p).is_some()).or(other),
    }
}

/// The cgroup v2 hierarchy.
#[derive(Clone, Debug)]
pub struct Cgroups {
    root: PathBuf,
}

/// A container's cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerCgroup {
    /// Whose.
    pub container: ContainerRef,
    /// Its path below the root, with a leading slash.
    pub path: String,
    /// Its number, which kernel events carry.
    pub id: u64,
}

impl Cgroups {
    /// Finds the hierarchy: beside version 1 at `/sys/fs/cgroup/unified`, alone at
    /// `/sys/fs/cgroup`.
    /// `None` where only version 1 is mounted.
    #[must_use]
    pub fn probe() -> Option<Self> {
        ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
            .into_iter()
            .find(|path| is_version_2(path))
            .map(|path| Self { root: PathBuf::from(path) })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of a cgroup path, unless the path leads out of the hierarchy.
    #[must_use]
    pub fn directory(&self, cgroup_path: &str) -> Option<PathBuf> {
        let below = Path::new(cgroup_path.trim_start_matches('/'));
        let inside = below.components().all(|part| matches!(part, Component::Normal(_)));
        inside.then(|| self.root.join(below))
    }

    /// The number of a cgroup, while it exists.
    #[must_use]
    pub fn id(&self, cgroup_path: &str) -> Option<u64> {
        fs::symlink_metadata(self.directory(cgroup_path)?).ok().map(|meta| meta.ino())
    }

    /// All containers' cgroups that exist now, outermost only.
    #[must_use]
    pub fn containers(&self) -> Vec<ContainerCgroup> {
        let mut found = Vec::new();
        let mut pending = vec![(String::new(), 0)];
        while let Some((path, depth)) = pending.pop() {
            let directory = self.root.join(path.trim_start_matches('/'));
            let Ok(entries) = fs::read_dir(directory) else { continue };
            for entry in entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
                let path = format!("{path}/{}", entry.file_name().to_string_lossy());
                match (container_of(&path), entry.metadata()) {
                    (Some(container), Ok(meta)) => {
                        found.push(ContainerCgroup { container, path, id: meta.ino() });
                    }
                    (None, Ok(_)) if depth < DEPTH_MAX && pending.len() < DIRECTORY_COUNT_MAX => {
                        pending.push((path, depth + 1));
                    }
                    _ => {}
                }
            }
        }
        found
    }
}

fn is_version_2(path: &str) -> bool {
    syscall::file_system(Path::new(path)).is_ok_and(|magic| magic == CGROUP_2_MAGIC)
}

const CGROUP_2_MAGIC: u64 = 0x6367_7270;
/// Kubernetes nests four deep.
const DEPTH_MAX: u32 = 8;
const DIRECTORY_COUNT_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5455d94112345678123456781234567812345678123456781234567812347202";

    #[test]
    fn each_runtime_is_known_by_its_name() {
        for (path, runtime) in [
            (format!("/docker/{ID}"), ContainerRuntime::Docker),
            (format!("/system.slice/docker-{ID}.scope"), ContainerRuntime::Docker),
            (format!("/libpod_parent/libpod-{ID}"), ContainerRuntime::Podman),
            (format!("/machine.slice/libpod-{ID}.scope/container"), ContainerRuntime::Podman),
            (
                format!("/kubepods.slice/x.slice/cri-containerd-{ID}.scope"),
                ContainerRuntime::Containerd,
            ),
            (
                format!("/system.slice/kubepods-pod1.slice:cri-containerd:{ID}"),
                ContainerRuntime::Containerd,
            ),
            (format!("/kubepods.slice/crio-{ID}.scope"), ContainerRuntime::CriO),
            (format!("/kubepods/burstable/pod1/{ID}"), ContainerRuntime::Unknown),
        ] {
            let found = container_of(&path).unwrap();
            assert_eq!((found.runtime, found.hex().as_str()), (runtime, ID), "{path}");
        }
    }

    #[test]
    fn what_only_looks_like_a_container_is_none() {
        for path in [
            "/".to_owned(),
            "/user.slice/user-0.slice".to_owned(),
            format!("/machine.slice/libpod-conmon-{ID}.scope"),
            format!("/docker/{}", &ID[1..]),
            format!("/docker/{ID}0"),
            format!("/docker/{}", ID.to_uppercase()),
            format!("/evil-{ID}.scope"),
        ] {
            assert_eq!(container_of(&path), None, "{path}");
        }
    }

    #[test]
    fn a_container_cannot_take_anothers_name_by_a_cgroup_inside_its_own() {
        let other = ID.replace('5', "6");
        let found = container_of(&format!("/docker/{ID}/docker/{other}")).unwrap();
        assert_eq!(found.hex(), ID);
    }

    #[test]
    fn version_2_is_preferred_and_version_1_is_enough() {
        let file = format!("3:pids:/docker/{ID}\n0::/docker/{ID}/init\n");
        assert_eq!(path_in(&file).unwrap(), format!("/docker/{ID}/init"));
        let file = format!("3:pids:/docker/{ID}\n0::/\n");
        assert_eq!(path_in(&file).unwrap(), format!("/docker/{ID}"));
        assert_eq!(path_in("1:name=systemd:/\n0::/user.slice\n").unwrap(), "/user.slice");
        assert_eq!(
            path_in(&format!("0::/docker/{ID} (deleted)\n")).unwrap(),
            format!("/docker/{ID}")
        );
        assert_eq!(path_in(""), None);
    }

    #[test]
    fn a_path_that_leads_out_has_no_directory() {
        let cgroups = Cgroups { root: PathBuf::from("/sys/fs/cgroup") };
        assert_eq!(cgroups.directory("/../../etc"), None);
        assert_eq!(cgroups.directory("/docker"), Some(PathBuf::from("/sys/fs/cgroup/docker")));
    }
}
