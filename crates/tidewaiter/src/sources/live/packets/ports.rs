//! The host's interfaces as they come and go, and the manifest check over those that lead to
//! containers.

use std::collections::BTreeMap;
use std::time::Duration;

use observation::{Fact, PortId, PortTraffic, Span, Time};
use sensor::Sensor;
use sys::link::{Link, LinkCounters, LinkEvent, LinkWatch, Links};

use super::Side;
use crate::sources::live::Voice;
use crate::sources::live::interfaces::{Class, Interfaces};
use crate::sources::live::manifest::{Birth, Manifest, Sample};

/// Link events taken in a row.
const EVENT_COUNT_MAX: usize = 256;
const SETTLE: Span = Span::from_millis(200);

/// Interfaces, their numbers for the rings' filters, and their counters.
pub(crate) struct Ports {
    watch: LinkWatch,
    links: Links,
    interfaces: Interfaces,
    ports: Vec<u32>,
    host: Vec<u32>,
    /// The comparison.
    pub(crate) manifest: Manifest,
}

impl Ports {
    /// Subscribes, then lists, so that no interface falls between.
    pub(crate) fn open(now: Time) -> sys::Result<Self> {
        let watch = LinkWatch::open()?;
        let mut links = Links::open()?;
        let all = links.all()?;
        let mut ports = Self {
            watch,
            links,
            interfaces: Interfaces::default(),
            ports: Vec::new(),
            host: Vec::new(),
            manifest: Manifest::default(),
        };
        ports.interfaces.read_routes();
        all.iter().for_each(|link| ports.put(link, now, Birth::Before));
        ports.list();
        Ok(ports)
    }

    /// What a ring's filter lists: what the containers' ring leaves out, or all that the host's
    /// ring lets in.
    pub(crate) fn listed(&self, side: Side) -> Vec<u32> {
        match side {
            Side::Containers => self.ports.clone(),
            Side::Host => self.host.clone(),
        }
    }

    /// The interface's name, or its number where it is gone.
    pub(crate) fn name(&self, port: PortId) -> String {
        let ifindex = port.ifindex();
        self.interfaces.name(ifindex).map_or_else(|| format!("if{ifindex}"), str::to_owned)
    }

    /// Takes in counters that somebody read while they were there to be read.
    pub(crate) fn counted(&mut self, port: PortId, counters: LinkCounters, at: Time) {
        self.manifest.counted(port, traffic(counters), at);
    }

    /// Takes in what happened to interfaces.
    pub(crate) fn follow_links(&mut self, now: Time) {
        let mut changed = false;
        for _ in 0..EVENT_COUNT_MAX {
            match self.watch.next(Duration::ZERO) {
                Ok(Some(LinkEvent::Changed(link))) => self.put(&link, now, Birth::Watched),
                Ok(Some(LinkEvent::Removed(link))) => {
                    let port = PortId(link.ifindex);
                    self.manifest.counted(port, traffic(link.counters), now);
                    self.manifest.vanish(port, now);
                    self.interfaces.remove(link.ifindex);
                }
                Ok(Some(LinkEvent::Lost)) => self.relist(now),
                Ok(None) | Err(_) => break,
            }
            changed = true;
        }
        if changed {
            self.list();
        }
    }

    /// Compares every port, once a second.
    pub(crate) fn check(&mut self, now: Time, dropped: u64, sensor: &Sensor, voice: &Voice) {
        self.interfaces.read_routes();
        self.list();
        // The sensor's side is read first: what comes in between moves the counters, and a port
        // that moves is not compared.
        let live = |port: &PortId| (*port, sensor.port_traffic(*port));
        let ports: Vec<_> = self.manifest.live().collect();
        let ports: Vec<_> = ports.iter().map(live).collect();
        let Ok(all) = self.links.all() else { return };
        let all: BTreeMap<_, _> = all.iter().map(|link| (PortId(link.ifindex), link)).collect();
        for (port, seen) in ports {
            if self.interfaces.class(port.0) != Class::Port {
                self.manifest.forget(port);
                continue;
            }
            let Some(link) = all.get(&port) else { continue };
            let counted = traffic(link.counters);
            let sample = Sample { at: now, counted, seen, ring_drop_count: dropped };
            if let Some(told) = self.manifest.sample(port, sample) {
                voice.say(now, Fact::PortCounters(told));
            }
        }
        for told in self.manifest.bury(now, dropped, |port| sensor.port_traffic(port)) {
            voice.say(now, Fact::PortCounters(told));
        }
    }

    /// The run ends: ports that went a moment ago are compared too.
    pub(crate) fn finish(&mut self, now: Time, dropped: u64, sensor: &Sensor, voice: &Voice) {
        self.follow_links(now);
        for told in self.manifest.bury(now + SETTLE, dropped, |port| sensor.port_traffic(port)) {
            voice.say(now, Fact::PortCounters(told));
        }
    }

    fn put(&mut self, link: &Link, now: Time, birth: Birth) {
        self.interfaces.put(link);
        if self.interfaces.class(link.ifindex) == Class::Port {
            let port = PortId(link.ifindex);
            let counted = traffic(link.counters);
            self.manifest.appear(port, &link.name, (now, counted), birth);
            self.manifest.counted(port, counted, now);
        }
    }

    /// Events were lost: what is gone, and what is new, shows in the whole list.
    fn relist(&mut self, now: Time) {
        let Ok(all) = self.links.all() else { return };
        let gone = |port: &PortId| !all.iter().any(|link| PortId(link.ifindex) == *port);
        let vanished: Vec<_> = self.manifest.live().filter(gone).collect();
        for port in vanished {
            self.manifest.vanish(port, now);
            self.interfaces.remove(port.0);
        }
        all.iter().for_each(|link| self.put(link, now, Birth::Before));
    }

    fn list(&mut self) {
        self.ports = self.interfaces.of_class(|class| class != Class::Port);
        self.host = self.interfaces.of_class(|class| class == Class::Host);
    }
}

/// What the host's end receives comes from the container.
const fn traffic(counters: LinkCounters) -> PortTraffic {
    PortTraffic {
        frames_in: counters.tx_packets,
        bytes_in: counters.tx_bytes,
        frames_out: counters.rx_packets,
        bytes_out: counters.rx_bytes,
    }
}
