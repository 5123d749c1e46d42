//! Which of the host's interfaces lead to containers, and which are the host's own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use sys::link::Link;

/// The filter of a ring has room for so many.
const LISTED_COUNT_MAX: usize = 1500;

/// What an interface is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The host's end of a veth: a container, or a namespace that nobody claims, is behind it.
    Port,
    /// Repeats what its ports carry.
    Bridge,
    /// Carries the host's own traffic: uplink, loopback, macvlan parent, tunnel.
    Host,
}

/// The host's interfaces as they are now.
#[derive(Debug, Default)]
pub(crate) struct Interfaces {
    known: BTreeMap<u32, Known>,
    /// Names of interfaces over which the host routes to more than one neighbour.
    routed: BTreeSet<String>,
}

#[derive(Debug)]
struct Known {
    name: String,
    kind: String,
    has_master: bool,
}

impl Interfaces {
    /// Takes in that an interface is there or has changed.
    pub(crate) fn put(&mut self, link: &Link) {
        let known = Known {
            name: link.name.clone(),
            kind: link.kind.clone(),
            has_master: link.master.is_some(),
        };
        self.known.insert(link.ifindex, known);
    }

    /// Takes in that an interface is gone. Its number may still stand on packets that wait.
    pub(crate) fn remove(&mut self, ifindex: u32) {
        self.known.remove(&ifindex);
    }

    /// Reads the host's routes, which decide whether a veth without a bridge is an uplink.
    pub(crate) fn read_routes(&mut self) {
        let ipv4 = fs::read_to_string("/proc/net/route").unwrap_or_default();
        let ipv6 = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
        self.routed = routed_ipv4(&ipv4).chain(routed_ipv6(&ipv6)).map(str::to_owned).collect();
    }

    /// What this interface is. One that is not known yet was made a moment ago: a port.
    pub(crate) fn class(&self, ifindex: u32) -> Class {
        self.known.get(&ifindex).map_or(Class::Port, |known| self.class_of(known))
    }

    /// Its name.
    pub(crate) fn name(&self, ifindex: u32) -> Option<&str> {
        self.known.get(&ifindex).map(|known| known.name.as_str())
    }

    /// All of one class, by number; as many as a ring's filter can name.
    pub(crate) fn of_class(&self, wanted: impl Fn(Class) -> bool) -> Vec<u32> {
        let found = self.known.iter().filter(|(_, known)| wanted(self.class_of(known)));
        found.map(|(ifindex, _)| *ifindex).take(LISTED_COUNT_MAX).collect()
    }

    fn class_of(&self, known: &Known) -> Class {
        match known.kind.as_str() {
            "bridge" | "openvswitch" => Class::Bridge,
            "veth" if known.has_master || !self.routed.contains(&known.name) => Class::Port,
            _ => Class::Host,
        }
    }
}

/// A route to one address alone leads to a container (as Calico's do), any wider one to a network.
fn routed_ipv4(table: &str) -> impl Iterator<Item = &str> {
    table.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, mask) = (words.next()?, words.nth(6)?);
        (mask != "FFFFFFFF").then_some(name)
    })
}

fn routed_ipv6(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let (to, length, name) = (words.first()?, words.get(1)?, words.last()?);
        // Every interface has a link-local and a multicast route.
        let own = to.starts_with("fe80") || to.starts_with("ff");
        (!own && *length != "80").then_some(*name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(ifindex: u32, name: &str, kind: &str, master: Option<u32>) -> Link {
        Link {
            ifindex,
            name: name.into(),
            kind: kind.into(),
            master,
            peer: None,
            peer_netnsid: None,
            flags: 1,
            hardware_type: 1,
            address: Vec::new(),
            counters: sys::link::LinkCounters::default(),
        }
    }

    #[test]
    fn a_veth_in_a_bridge_is_a_port_and_a_veth_that_routes_is_an_uplink() {
        let mut interfaces = Interfaces::default();
        interfaces.put(&link(2, "eth0", "", None));
        interfaces.put(&link(3, "docker0", "bridge", None));
        interfaces.put(&link(4, "vethab", "veth", Some(3)));
        interfaces.put(&link(5, "wan0", "veth", None));
        interfaces.put(&link(6, "cali1", "veth", None));
        interfaces.routed = routed_ipv4(ROUTES).map(str::to_owned).collect();
        assert_eq!(interfaces.class(2), Class::Host);
        assert_eq!(interfaces.class(3), Class::Bridge);
        assert_eq!(interfaces.class(4), Class::Port);
        assert_eq!(interfaces.class(5), Class::Host);
        assert_eq!(interfaces.class(6), Class::Port);
        assert_eq!(interfaces.class(99), Class::Port);
        assert_eq!(interfaces.of_class(|class| class == Class::Host), [2, 5]);
    }

    const ROUTES: &str = "\
Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
wan0\t006433C6\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
cali1\t0A01A8C0\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0
";

    #[test]
    fn link_local_routes_make_no_uplink() {
        let table = "\
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 vethab
ff000000000000000000000000000000 08 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 vethab
fd00beef000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 wan0
";
        assert_eq!(routed_ipv6(table).collect::<Vec<_>>(), ["wan0"]);
    }
}
