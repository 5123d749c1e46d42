//! Cuts with nftables, and what is seen inside a namespace, on real veth pairs.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs, reason = "tests state facts the short way")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::{NET_ADMIN, NET_RAW, SYS_ADMIN, Sandbox, may};
use sys::bpf::Transport;
use sys::netns::{PinnedNetns, SocketState};
use sys::nft::{CutKind, CutName, Nft, Removal, RuleCounter};
use sys::process::Process;
use sys::ring::{InterfaceFilter, Ring, RingConfig};

const CAPS: &[(u32, &str)] = &[NET_ADMIN, NET_RAW, SYS_ADMIN];

fn name(sandbox: &Sandbox) -> CutName {
    CutName::new(&sandbox.namespace.replace('-', "")).unwrap()
}

fn pinned(sandbox: &Sandbox) -> PinnedNetns {
    PinnedNetns::open(Path::new(&sandbox.path())).unwrap()
}

/// Whether the host reaches the inside.
fn host_pings(sandbox: &Sandbox) -> bool {
    let words = ["ping", "-c1", "-W1", &sandbox.inner_address];
    Command::new("busybox").args(words).output().unwrap().status.success()
}

fn inner_pings(sandbox: &Sandbox, target: &str) -> bool {
    sandbox.command(&["busybox", "ping", "-c1", "-W1", target]).status().unwrap().success()
}

fn dropped(counters: &[RuleCounter], chain: &str) -> (u64, u64) {
    let of_chain = counters.iter().filter(|counter| counter.chain == chain);
    of_chain.fold((0, 0), |sum, c| (sum.0 + c.packet_count, sum.1 + c.byte_count))
}

fn listed(words: &[&str]) -> String {
    let output = Command::new("nft").args(words).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_device_cut_stops_both_ways_and_arp_and_its_undo_restores() {
    if !may("a_device_cut_stops_both_ways_and_arp_and_its_undo_restores", CAPS) {
        return;
    }
    let (sandbox, neighbour) = (Sandbox::new(), Sandbox::new());
    assert!(sandbox.ping() && host_pings(&sandbox) && sandbox.arping());
    let mut nft = Nft::here().unwrap();
    let cut = name(&sandbox);
    nft.cut_device(&cut, sandbox.host_ifindex).unwrap();
    assert!(nft.exists(CutKind::Device, &cut).unwrap());
    let filter = InterfaceFilter::Only(vec![sandbox.host_ifindex]);
    let mut ring = Ring::open(&RingConfig::default().with_size(2 << 20), &filter).unwrap();
    assert!(!sandbox.ping() && !host_pings(&sandbox) && !sandbox.arping());
    assert!(neighbour.ping() && neighbour.arping(), "the neighbour goes on");
    let counters = nft.counters(CutKind::Device, &cut).unwrap();
    let (from, towards) = (dropped(&counters, "ingress"), dropped(&counters, "egress"));
    assert!(from.0 >= 2 && towards.0 >= 1, "{counters:?}");
    ring.wait(Duration::from_secs(1)).unwrap();
    assert!(ring.next_block().is_some(), "the attempts are still seen");
    let ruleset = listed(&["list", "ruleset"]);
    assert!(ruleset.contains(&format!("table netdev {}", cut.table())), "{ruleset}");
    assert!(nft.cuts().unwrap().contains(&(CutKind::Device, cut.clone())));
    assert_eq!(nft.remove(CutKind::Device, &cut).unwrap(), Removal::Removed);
    assert!(sandbox.ping() && host_pings(&sandbox) && sandbox.arping());
    assert_eq!(nft.remove(CutKind::Device, &cut).unwrap(), Removal::WasAbsent);
    assert!(!nft.exists(CutKind::Device, &cut).unwrap());
    assert!(nft.counters(CutKind::Device, &cut).unwrap().is_empty());
}

#[test]
fn a_namespace_cut_leaves_loopback_but_not_dockers_resolver() {
    if !may("a_namespace_cut_leaves_loopback_but_not_dockers_resolver", CAPS) {
        return;
    }
    let sandbox = Sandbox::new();
    let netns = pinned(&sandbox);
    assert!(sandbox.ping() && host_pings(&sandbox));
    assert!(inner_pings(&sandbox, "127.0.0.1") && inner_pings(&sandbox, "127.0.0.11"));
    let cut = name(&sandbox);
    Nft::inside(&netns).unwrap().cut_namespace(&cut).unwrap();
    // The cut has outlived the socket that made it.
    let mut nft = Nft::inside(&netns).unwrap();
    assert!(nft.exists(CutKind::Namespace, &cut).unwrap());
    assert!(!sandbox.ping() && !host_pings(&sandbox));
    assert!(inner_pings(&sandbox, "127.0.0.1") && !inner_pings(&sandbox, "127.0.0.11"));
    let counters = nft.counters(CutKind::Namespace, &cut).unwrap();
    assert_eq!(counters.len(), 4);
    assert_eq!(counters.iter().filter(|c| c.chain == "output" && c.packet_count > 0).count(), 2);
    assert!(dropped(&counters, "input").0 >= 1, "{counters:?}");
    let output = Command::new("ip")
        .args(["netns", "exec", &sandbox.namespace, "nft", "list", "ruleset"])
        .output()
        .unwrap();
    let ruleset = String::from_utf8(output.stdout).unwrap();
    assert!(ruleset.contains(&format!("table inet {}", cut.table())), "{ruleset}");
    assert!(ruleset.contains("iif != \"lo\" counter") && ruleset.contains("oif != \"lo\" counter"));
    assert!(ruleset.contains("ip daddr 127.0.0.11 counter"), "{ruleset}");
    assert_eq!(nft.remove(CutKind::Namespace, &cut).unwrap(), Removal::Removed);
    assert!(sandbox.ping() && host_pings(&sandbox) && inner_pings(&sandbox, "127.0.0.11"));
}

#[test]
fn whoever_rules_inside_cannot_undo_a_device_cut() {
    if !may("whoever_rules_inside_cannot_undo_a_device_cut", CAPS) {
        return;
    }
    let sandbox = Sandbox::new();
    let (mut host, mut inner) = (Nft::here().unwrap(), Nft::inside(&pinned(&sandbox)).unwrap());
    let cut = name(&sandbox);
    inner.cut_namespace(&cut).unwrap();
    host.cut_device(&cut, sandbox.host_ifindex).unwrap();
    assert!(sandbox.command(&["nft", "flush", "ruleset"]).status().unwrap().success());
    assert!(!inner.exists(CutKind::Namespace, &cut).unwrap(), "that one is within their reach");
    assert!(!sandbox.ping() && !sandbox.arping());
    // Another address and a bounce of the interface do not help either.
    for words in [["link", "set", "eth0", "down"], ["link", "set", "eth0", "up"]] {
        assert!(sandbox.command(&[&["ip"][..], &words].concat()).status().unwrap().success());
    }
    assert!(!sandbox.ping() && !sandbox.arping());
    host.remove(CutKind::Device, &cut).unwrap();
    // The kernel remembers for a moment that the neighbour did not answer.
    assert!((0..5).any(|_| sandbox.ping()));
}

#[test]
fn a_live_session_stops_at_once_and_goes_on_after_the_undo() {
    if !may("a_live_session_stops_at_once_and_goes_on_after_the_undo", CAPS) {
        return;
    }
    let sandbox = Sandbox::new();
    let netns = pinned(&sandbox);
    let listener = TcpListener::bind((sandbox.host_address.as_str(), 0)).unwrap();
    let server = listener.local_addr().unwrap();
    let mut inner = netns.run(|| TcpStream::connect(server).unwrap()).unwrap();
    let (mut outer, _) = listener.accept().unwrap();
    let mut nft = Nft::here().unwrap();
    let cut = name(&sandbox);
    let mut answer = [0; 3];
    inner.write_all(b"one").unwrap();
    outer.read_exact(&mut answer).unwrap();
    nft.cut_device(&cut, sandbox.host_ifindex).unwrap();
    inner.write_all(b"two").unwrap();
    outer.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(outer.read(&mut answer).is_err(), "nothing comes through");
    nft.remove(CutKind::Device, &cut).unwrap();
    outer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    outer.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"two");
}

#[test]
fn a_macvlan_container_names_its_parent_and_is_cut_inside() {
    if !may("a_macvlan_container_names_its_parent_and_is_cut_inside", CAPS) {
        return;
    }
    let (parent, sandbox) = (Sandbox::new(), Sandbox::new());
    let (link, inside) = (parent.host_link.as_str(), sandbox.namespace.as_str());
    let words = ["link", "add", "link", link, "name", "mac0", "netns", inside, "type", "macvlan"];
    support::ip(&words);
    // On the parent's veth, so that the other end of it is the neighbour on the wire.
    support::ip(&["-n", inside, "address", "add", "198.18.255.1/30", "dev", "mac0"]);
    support::ip(&["-n", inside, "link", "set", "mac0", "up"]);
    support::ip(&["-n", &parent.namespace, "address", "add", "198.18.255.2/30", "dev", "eth0"]);
    assert!(inner_pings(&sandbox, "198.18.255.2"));
    let netns = pinned(&sandbox);
    let links = netns.links().unwrap().all().unwrap();
    let mac0 = links.iter().find(|link| link.name == "mac0").unwrap();
    assert_eq!((mac0.kind.as_str(), mac0.peer), ("macvlan", Some(parent.host_ifindex)));
    let (mut nft, cut) = (Nft::inside(&netns).unwrap(), name(&sandbox));
    nft.cut_device(&cut, mac0.ifindex).unwrap();
    assert!(!inner_pings(&sandbox, "198.18.255.2"));
    nft.remove(CutKind::Device, &cut).unwrap();
    assert!(inner_pings(&sandbox, "198.18.255.2"));
}

#[test]
fn a_cut_is_made_whole_or_not_at_all() {
    if !may("a_cut_is_made_whole_or_not_at_all", CAPS) {
        return;
    }
    let sandbox = Sandbox::new();
    let mut nft = Nft::here().unwrap();
    let cut = name(&sandbox);
    let absent = nft.cut_device(&cut, 0x7fff_fff0).unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
    assert!(!nft.exists(CutKind::Device, &cut).unwrap(), "no empty table is left");
    nft.cut_device(&cut, sandbox.host_ifindex).unwrap();
    let again = nft.cut_device(&cut, sandbox.host_ifindex).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    assert_eq!(nft.counters(CutKind::Device, &cut).unwrap().len(), 2, "the first one stands");
    let other = name(&Sandbox::new());
    assert_eq!(nft.remove(CutKind::Device, &other).unwrap(), Removal::WasAbsent);
    // A container that ends takes its device along; what is left of the cut can still be undone.
    support::ip(&["link", "delete", &sandbox.host_link]);
    assert_eq!(nft.remove(CutKind::Device, &cut).unwrap(), Removal::Removed);
    assert!(!nft.exists(CutKind::Device, &cut).unwrap());
}

#[test]
fn the_host_itself_is_never_cut_off() {
    if !may("the_host_itself_is_never_cut_off", CAPS) {
        return;
    }
    let cut = CutName::new("syshost").unwrap();
    let own = PinnedNetns::own().unwrap();
    for mut nft in [Nft::here().unwrap(), Nft::inside(&own).unwrap()] {
        assert!(nft.cut_device(&cut, 1).unwrap_err().to_string().contains("only a container's"));
        assert!(nft.cut_namespace(&cut).unwrap_err().to_string().contains("the host's"));
        assert!(!nft.exists(CutKind::Namespace, &cut).unwrap());
    }
}

#[test]
fn a_namespace_shows_its_interfaces_and_sockets() {
    if !may("a_namespace_shows_its_interfaces_and_sockets", CAPS) {
        return;
    }
    let sandbox = Sandbox::new();
    let netns = pinned(&sandbox);
    assert_ne!(netns.inode(), PinnedNetns::own().unwrap().inode());
    let links = netns.links().unwrap().all().unwrap();
    let eth0 = links.iter().find(|link| link.name == "eth0").unwrap();
    assert_eq!(eth0.peer, Some(sandbox.host_ifindex));
    let listener = netns.run(|| TcpListener::bind("0.0.0.0:4444").unwrap()).unwrap();
    let list = netns.socket_diag().unwrap().list().unwrap();
    let entry = list.entries.iter().find(|entry| entry.local.port() == 4444).unwrap();
    assert_eq!((entry.state, entry.transport, entry.uid), (SocketState::Listen, Transport::Tcp, 0));
    let own = Process::open(std::process::id()).unwrap();
    assert!(own.holds_socket(entry.inode).unwrap());
    drop(listener);
    assert!(!own.holds_socket(entry.inode).unwrap());
    let inner = netns.run(|| PinnedNetns::own().unwrap().inode()).unwrap();
    assert_eq!(inner, netns.inode());
    assert_ne!(PinnedNetns::own().unwrap().inode(), netns.inode(), "this thread stayed outside");
}

#[test]
fn the_hosts_end_names_its_namespace_by_number() {
    if !may("the_hosts_end_names_its_namespace_by_number", CAPS) {
        return;
    }
    let (sandbox, neighbour) = (Sandbox::new(), Sandbox::new());
    let mut links = sys::link::Links::open().unwrap();
    let number = links.number_of(&pinned(&sandbox)).unwrap();
    let host_end = links.link(sandbox.host_ifindex).unwrap().unwrap();
    assert!(number.is_some());
    assert_eq!(host_end.peer_netnsid, number);
    assert_ne!(links.number_of(&pinned(&neighbour)).unwrap(), number);
    let unconnected = std::process::Command::new("unshare")
        .args(["-n", "sleep", "5"])
        .spawn()
        .map(|child| (Process::open(child.id()), child));
    if let Ok((Ok(process), mut child)) = unconnected {
        std::thread::sleep(Duration::from_millis(200));
        let alone = PinnedNetns::of_process(&process).unwrap();
        assert_eq!(links.number_of(&alone).unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
