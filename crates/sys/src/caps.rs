//! What this process may do and what this kernel can: capabilities(7), for `doctor`.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::process::Cgroups;
use crate::syscall::checked;

/// The effective capabilities of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(u64);

impl Capabilities {
    /// Reads them; none where `/proc` does not tell.
    #[must_use]
    pub fn effective() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        Self(line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0))
    }

    /// Whether a capability is effective, by its name (`CAP_BPF`).
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        let number = NAMES.iter().position(|known| *known == name);
        number.is_some_and(|number| self.0 >> number & 1 == 1)
    }

    /// The names of those that are effective; ones that we do not know by name are left out.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        NAMES.iter().copied().filter(|name| self.has(name)).collect()
    }

    /// Those of `wanted` that are not effective.
    #[must_use]
    pub fn missing<'a>(self, wanted: &[&'a str]) -> Vec<&'a str> {
        wanted.iter().copied().filter(|name| !self.has(name)).collect()
    }
}

/// How cgroups are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupMode {
    /// Version 2 alone.
    Unified,
    /// Version 2 beside version 1.
    Hybrid,
    /// Version 1 alone: no cgroup id, no socket programs.
    Legacy,
}

/// What matters of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The kernel's release (`6.18.44`).
    pub kernel: String,
    /// The machine's architecture (`x86_64`).
    pub architecture: String,
    /// Whether the kernel describes its own types (BTF); our programs do not need it.
    pub has_btf: bool,
    /// How cgroups are mounted.
    pub cgroups: CgroupMode,
    /// Whether capabilities here are those of the host, not of a user namespace.
    pub in_initial_user_namespace: bool,
    /// Whether this process sees the host's processes, not those of a pid namespace.
    pub in_initial_pid_namespace: bool,
    /// `kernel.unprivileged_bpf_disabled`, where it can be read.
    pub unprivileged_bpf_disabled: Option<u32>,
}

impl Machine {
    /// Looks.
    #[must_use]
    pub fn survey() -> Self {
        let text = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned());
        let identity = text("/proc/self/uid_map").unwrap_or_default();
        let pid_namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        Self {
            kernel: text("/proc/sys/kernel/osrelease").unwrap_or_default(),
            architecture: std::env::consts::ARCH.to_owned(),
            has_btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
            cgroups: cgroup_mode(),
            in_initial_user_namespace: identity.split_whitespace().eq(["0", "0", "4294967295"]),
            in_initial_pid_namespace: pid_namespace.as_os_str() == INITIAL_PID_NAMESPACE,
            unprivileged_bpf_disabled: text("/proc/sys/kernel/unprivileged_bpf_disabled")
                .ok()
                .and_then(|value| value.parse().ok()),
        }
    }
}

fn cgroup_mode() -> CgroupMode {
    match Cgroups::probe() {
        None => CgroupMode::Legacy,
        Some(cgroups) if cgroups.root().ends_with("unified") => CgroupMode::Hybrid,
        Some(_) => CgroupMode::Unified,
    }
}

/// Random bytes from the kernel, for hash seeds.
///
/// # Errors
/// When the kernel has none to give.
pub fn random_seed() -> Result<[u8; 32]> {
    let mut seed = [0_u8; 32];
    // SAFETY: `seed` is valid for writing its own length.
    let returned = unsafe { libc::getrandom(seed.as_mut_ptr().cast(), seed.len(), 0) };
    match checked(returned as i64) {
        Ok(length) if length == seed.len() => Ok(seed),
        Ok(_) => Err(Error::invalid("drawing a random seed", "the kernel gave too few bytes")),
        Err(error) => Err(Error::of("drawing a random seed", error)),
    }
}

/// The kernel gives the first pid namespace this inode (`PROC_PID_INIT_INO`).
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

/// By number, `linux/capability.h`.
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_names_its_capabilities() {
        let some = Capabilities(1 << 13 | 1 << 39);
        assert_eq!(some.names(), ["CAP_NET_RAW", "CAP_BPF"]);
        assert!(some.has("CAP_BPF") && !some.has("CAP_NET_ADMIN") && !some.has("CAP_NONE"));
        assert_eq!(some.missing(&["CAP_BPF", "CAP_NET_ADMIN"]), ["CAP_NET_ADMIN"]);
    }

    #[test]
    fn two_seeds_differ() {
        assert_ne!(random_seed().unwrap(), random_seed().unwrap());
    }

    #[test]
    fn this_machine_has_a_kernel_release() {
        let machine = Machine::survey();
        assert!(machine.kernel.starts_with(|digit: char| digit.is_ascii_digit()));
    }
}
