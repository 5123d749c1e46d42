//! Other addresses, ids, pids, ports and names of the same class.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use engine::Alert;
use observation::{ContainerId, DnsData, Endpoint, Fact, FlowId, Name, Network, PortId};

use crate::world::World;

fn address(address: &mut IpAddr) {
    if let IpAddr::V4(v4) = address {
        let [first, second, third, fourth] = v4.octets();
        *address = IpAddr::V4(match (first, second) {
            (172, _) => Ipv4Addr::new(172, 29, 5, fourth ^ 0x80),
            (198, _) => Ipv4Addr::new(203, 0, 113, fourth + 60),
            _ => Ipv4Addr::new(first, second, third, fourth),
        });
    }
}

fn endpoint(end: &mut Endpoint) {
    address(&mut end.address);
}

fn id(id: &mut ContainerId) {
    id.0 = id.0.map(|byte| byte ^ 0xa5);
}

fn port(port: &mut PortId) {
    if *port != PortId::UNKNOWN {
        port.0 += 31;
    }
}

fn flow(flow: &mut FlowId) {
    if flow.0 != 0 {
        flow.0 = flow.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

fn renamed(text: &str) -> String {
    text.replace("example.com", "elsewhere.test")
        .replace("198.51.100.10", "203.0.113.70")
        .replace("name-", "other-")
        .replace("alias-", "nick-")
}

fn text(text: &mut Name<'static>) {
    *text = Cow::Owned(renamed(text));
}

fn texts(texts: &mut [Name<'static>]) {
    texts.iter_mut().for_each(text);
}

const PIDS: u32 = 30_000;

/// The same world under other names.
pub(crate) fn world(world: &World) -> World {
    let mut world = world.clone();
    for told in &mut world.facts {
        fact(&mut told.fact);
    }
    world
}

fn fact(fact: &mut Fact<'static>) {
    match fact {
        Fact::FlowOpened(it) => {
            flow(&mut it.flow);
            key(&mut it.key);
        }
        Fact::FlowClosed(it) => {
            flow(&mut it.flow);
            key(&mut it.key);
        }
        Fact::FlowEstablished(it) => flow(&mut it.flow),
        Fact::Burst(it) => flow(&mut it.flow),
        Fact::Dns(it) => {
            flow(&mut it.flow);
            text(&mut it.name);
            for answer in &mut it.answers {
                if let DnsData::Address(found) = &mut answer.data {
                    address(found);
                }
            }
        }
        Fact::ProcessStarted(it) => {
            it.process.pid += PIDS;
            it.parent_pid += PIDS;
            it.cgroup += 7_000;
            it.container.iter_mut().for_each(id);
            texts(&mut it.arguments);
        }
        Fact::ProcessEnded(it) => it.pid += PIDS,
        Fact::SocketOpened(it) => {
            it.pid += PIDS;
            it.cgroup += 7_000;
            it.cookie += 99;
            endpoint(&mut it.remote);
        }
        Fact::SocketTuple(it) => {
            it.cgroup += 7_000;
            it.cookie += 99;
            endpoint(&mut it.local);
            endpoint(&mut it.remote);
        }
        Fact::Container(it) => {
            id(&mut it.id);
            text(&mut it.name);
            texts(&mut it.command);
            if it.pid != 0 {
                it.pid += PIDS;
            }
            if it.cgroup != 0 {
                it.cgroup += 7_000;
            }
            if let Network::Container(other) = &mut it.network {
                id(other);
            }
        }
        Fact::NetworkAttached(it) => {
            id(&mut it.id);
            it.addresses.iter_mut().chain(&mut it.gateways).for_each(address);
            it.port.iter_mut().for_each(port);
            texts(&mut it.aliases);
        }
        Fact::ExecStarted(it) => {
            id(&mut it.id);
            text(&mut it.command);
        }
        _ => {}
    }
}

fn key(key: &mut observation::FlowKey) {
    port(&mut key.port);
    endpoint(&mut key.originator);
    endpoint(&mut key.responder);
}

/// The alert as it should be under the other names.
pub(crate) fn alert(alert: &mut Alert) {
    alert.peer.endpoint.iter_mut().for_each(endpoint);
    for name in &mut alert.peer.names {
        name.name = renamed(&name.name);
        name.answered_by.iter_mut().for_each(address);
    }
    for subject in &mut alert.subjects {
        port(&mut subject.port);
        subject.address.iter_mut().for_each(address);
        if let Some(container) = &mut subject.container {
            id(&mut container.id);
            container.name = renamed(&container.name);
            // The sandbox's id begins with these digits.
            container.network = container.network.replace("2b2b2b2b2b2b", "8e8e8e8e8e8e");
            container.command.iter_mut().for_each(|word| *word = renamed(word));
        }
        if let Some(process) = &mut subject.process {
            process.pid += PIDS;
            process.arguments.iter_mut().for_each(|word| *word = renamed(word));
        }
        if let Some(actor) = &mut subject.started_by {
            actor.pid += PIDS;
            actor.command = renamed(&actor.command);
        }
        for flow in &mut subject.flows {
            endpoint(&mut flow.local);
            endpoint(&mut flow.remote);
        }
    }
}
