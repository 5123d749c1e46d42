//! What belongs to this very program: it never accuses itself.

use std::fs;

use observation::{ContainerId, Fact, Observation};
use sys::process::container_of;

/// This process, and the container that it runs in, where it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Itself {
    pid: u32,
    /// The container.
    pub(crate) container: Option<ContainerId>,
}

impl Itself {
    /// Looks at this process.
    pub(crate) fn look() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let container = container_in(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"));
        Self { pid: std::process::id(), container }
    }

    /// Whether it is about this program and must not reach the engine.
    pub(crate) fn is_meant(&self, observation: &Observation<'_>) -> bool {
        match &observation.fact {
            Fact::SocketOpened(socket) => socket.pid == self.pid,
            Fact::ProcessStarted(started) => {
                started.process.pid == self.pid || self.is(started.container)
            }
            Fact::NetworkAttached(attached) => self.is(Some(attached.id)),
            _ => false,
        }
    }

    fn is(&self, container: Option<ContainerId>) -> bool {
        container.is_some() && container == self.container
    }
}

/// By the cgroup; in a cgroup namespace of its own, by the files that the runtime mounts.
fn container_in(cgroup: &str, mounts: &str) -> Option<ContainerId> {
    let by_cgroup = cgroup.lines().find_map(|line| container_of(line.splitn(3, ':').nth(2)?));
    let found = by_cgroup.or_else(|| {
        let hostname = mounts.lines().filter(|line| line.contains(" /etc/hostname "));
        hostname.flat_map(|line| line.split(' ')).find_map(|word| {
            let (_, after) = word.split_once("/containers/")?;
            container_of(&format!("/docker/{}", after.split('/').next()?))
        })
    });
    found.map(|found| ContainerId(found.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5455d941aa00bb11cc22dd33ee44ff5566778899aabbccddeeff001122337202";

    #[test]
    fn its_container_is_found_by_cgroup_or_by_mount() {
        assert!(container_in(&format!("0::/docker/{ID}\n"), "").is_some());
        let mount = format!(
            "612 590 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/sda1 rw"
        );
        assert!(container_in("0::/\n", &mount).is_some());
        assert!(container_in("0::/user.slice\n", "1 2 0:1 / / rw - ext4 x rw").is_none());
    }
}
