//! Without capabilities: each refusal says what is missing, so that the caller can go on without
//! it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs, reason = "tests state facts the short way")]

mod support;

use std::path::Path;
use std::process::Command;

use support::{NET_ADMIN, SYS_ADMIN, Sandbox, TestCgroup, may};
use sys::bpf::{CgroupCut, SocketEvents};
use sys::caps::Capabilities;
use sys::netns::PinnedNetns;
use sys::nft::{CutName, Nft};
use sys::process::{Cgroups, Process};
use sys::ring::{InterfaceFilter, Ring, RingConfig};

const CAPS: &[(u32, &str)] = &[NET_ADMIN, SYS_ADMIN, (8, "CAP_SETPCAP")];

#[test]
fn whoever_lacks_a_capability_is_told_which() {
    if !may("whoever_lacks_a_capability_is_told_which", CAPS) {
        return;
    }
    let (cgroup, sandbox) = (TestCgroup::new(), Sandbox::new());
    // This test program again, as root without any capability.
    let output = Command::new("setpriv")
        .args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "without_capabilities", "--ignored"])
        .env("SYS_TEST_CGROUP", &cgroup.path)
        .env("SYS_TEST_VETH", sandbox.host_ifindex.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "the child of whoever_lacks_a_capability_is_told_which"]
fn without_capabilities() {
    assert!(Capabilities::effective().names().is_empty());
    let open = Ring::open(&RingConfig::default(), &InterfaceFilter::Drop(Vec::new()));
    let ring = open.unwrap_err();
    assert_eq!(ring.missing(), Some("CAP_NET_RAW"));
    assert!(ring.to_string().contains("run as root or grant CAP_NET_RAW"), "{ring}");
    let cgroups = Cgroups::probe().unwrap();
    let events = SocketEvents::open(&cgroups).unwrap_err();
    assert_eq!(events.missing(), Some("CAP_BPF and CAP_NET_ADMIN"), "{events}");
    let path = std::env::var("SYS_TEST_CGROUP").unwrap();
    let cut = CgroupCut::apply(Path::new(&path)).unwrap_err();
    assert_eq!(cut.missing(), Some("CAP_BPF and CAP_NET_ADMIN"), "{cut}");
    let own = PinnedNetns::own().unwrap();
    assert_eq!(own.run(|| ()).unwrap_err().missing(), Some("CAP_SYS_ADMIN"));
    let veth = std::env::var("SYS_TEST_VETH").unwrap().parse().unwrap();
    let nft = Nft::here().unwrap().cut_device(&CutName::new("x").unwrap(), veth).unwrap_err();
    assert_eq!(nft.missing(), Some("CAP_NET_ADMIN"), "{nft}");
    let other = Process::open(1).unwrap();
    assert_eq!(other.executable().unwrap_err().missing(), Some("CAP_SYS_PTRACE"));
    // What needs nothing still tells.
    assert!(other.read(Some(&cgroups)).parent_pid.is_some());
    assert!(!sys::link::Links::open().unwrap().all().unwrap().is_empty());
}
