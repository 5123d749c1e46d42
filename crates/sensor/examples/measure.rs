//! Runs a classic capture file through the sensor and prints what it cost:
//! `cargo run --release -p sensor --example measure -- FILE [LANES]`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use observation::{FactKind, PortId, SourceId, Time};
use sensor::{Direction, Lane, Limits, LinkType, Packet, Sensor};

/// Packets between two ticks, as a dispatcher would send them in blocks.
const BLOCK_PACKETS: u64 = 1024;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        eprintln!("usage: measure FILE [LANES]");
        return;
    };
    let lanes: u8 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("{path}: {error}");
            return;
        }
    };
    let resident_before = resident_kib();
    let started = Instant::now();
    let mut kinds: BTreeMap<FactKind, u64> = BTreeMap::new();
    let mut sensors: Vec<Sensor> = (0..lanes)
        .map(|index| Sensor::new(Limits::default(), 1, Lane { index, count: lanes }))
        .collect();
    let mut count = 0;
    for packet in packets(&bytes) {
        count += 1;
        for sensor in &mut sensors {
            sensor.packet(packet, &mut |told| *kinds.entry(told.fact.kind()).or_default() += 1);
            if count % BLOCK_PACKETS == 0 {
                let now = sensor.now();
                sensor.advance(now, &mut |told| *kinds.entry(told.fact.kind()).or_default() += 1);
            }
        }
    }
    let resident = resident_kib().saturating_sub(resident_before);
    for sensor in &mut sensors {
        sensor.finish(&mut |told| *kinds.entry(told.fact.kind()).or_default() += 1);
    }
    let seconds = started.elapsed().as_secs_f64();
    let rate = f64::from(count as u32) / seconds;
    println!("{count} packets in {seconds:.3} s: {rate:.0} a second, {:.0} ns each", 1e9 / rate);
    println!("resident beside the file: {} MiB at its end", resident / 1024);
    println!("told: {kinds:?}");
    for sensor in &sensors {
        println!("{:?}", sensor.tally());
    }
}

/// The packets of a little-endian classic capture.
fn packets(bytes: &[u8]) -> impl Iterator<Item = Packet<'_>> {
    let word = |at: usize| -> Option<u32> {
        bytes.get(at..)?.first_chunk().map(|field| u32::from_le_bytes(*field))
    };
    let fraction = if word(0) == Some(0xa1b2_3c4d) { 1 } else { 1000 };
    let link = match word(20).unwrap_or(0) & 0xffff {
        0 => LinkType::Null,
        1 => LinkType::Ethernet,
        12 | 14 | 101 => LinkType::RawIp,
        108 => LinkType::Loop,
        113 => LinkType::LinuxSll,
        228 => LinkType::Ipv4,
        229 => LinkType::Ipv6,
        276 => LinkType::LinuxSll2,
        other => LinkType::Other(other),
    };
    let mut at = 24;
    std::iter::from_fn(move || {
        let (seconds, part) = (word(at)?, word(at + 4)?);
        let (captured, wire_len) = (word(at + 8)?, word(at + 12)?);
        let frame = bytes.get(at + 16..at + 16 + captured as usize)?;
        at += 16 + captured as usize;
        Some(Packet {
            at: Time(u64::from(seconds) * 1_000_000_000 + u64::from(part) * fraction),
            source: SourceId(1),
            link,
            port: PortId::UNKNOWN,
            direction: Direction::Unknown,
            wire_len,
            bytes: frame,
        })
    })
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|text| text.parse().ok()).unwrap_or(0)
}
