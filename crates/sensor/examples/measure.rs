//! Runs a classic capture file through the sensor and prints what it cost:
//! `cargo run --release -p sensor --example measure -- FILE [LANES]`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::time::Instant;

use observation::{FactKind, PortId, SourceId, Time};
use sensor::{Direction, Lane, Limits, LinkType, Packet, Sensor, Watermark};

const FRAME_BYTES_MAX: u32 = 1 << 20;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        eprintln!("usage: measure FILE [LANES]");
        return;
    };
    let lanes: u8 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut capture = match Capture::open(&path) {
        Ok(capture) => capture,
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
    let (mut count, mut watermark) = (0, Watermark::default());
    while let Some(packet) = capture.next() {
        count += 1;
        let now = watermark.pass(packet.at);
        for sensor in &mut sensors {
            sensor.advance(now, &mut |told| *kinds.entry(told.fact.kind()).or_default() += 1);
            sensor.packet(packet, &mut |told| *kinds.entry(told.fact.kind()).or_default() += 1);
        }
    }
    let resident = resident_kib().saturating_sub(resident_before);
    for sensor in &mut sensors {
        sensor.finish(&mut |told| *kinds.entry(told.fact.kind()).or_default() += 1);
    }
    let seconds = started.elapsed().as_secs_f64();
    let rate = f64::from(count as u32) / seconds;
    println!("{count} packets in {seconds:.3} s: {rate:.0} a second, {:.0} ns each", 1e9 / rate);
    println!("resident, without the program: {} MiB at the end", resident / 1024);
    println!("told: {kinds:?}");
    for sensor in &sensors {
        println!("{:?}", sensor.tally());
    }
}

/// A little-endian classic capture.
struct Capture {
    file: BufReader<File>,
    link: LinkType,
    nanos: u64,
    frame: Vec<u8>,
}

impl Capture {
    fn open(path: &str) -> std::io::Result<Self> {
        let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
        let mut header = [0; 24];
        file.read_exact(&mut header)?;
        let link = match word(&header, 20) & 0xffff {
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
        let nanos = if word(&header, 0) == 0xa1b2_3c4d { 1 } else { 1000 };
        Ok(Self { file, link, nanos, frame: Vec::new() })
    }

    fn next(&mut self) -> Option<Packet<'_>> {
        let mut header = [0; 16];
        self.file.read_exact(&mut header).ok()?;
        let captured = word(&header, 8).min(FRAME_BYTES_MAX);
        self.frame.resize(captured as usize, 0);
        self.file.read_exact(&mut self.frame).ok()?;
        let (seconds, part) = (u64::from(word(&header, 0)), u64::from(word(&header, 4)));
        Some(Packet {
            at: Time(seconds * 1_000_000_000 + part * self.nanos),
            source: SourceId(1),
            link: self.link,
            port: PortId::UNKNOWN,
            direction: Direction::Unknown,
            wire_len: word(&header, 12),
            bytes: &self.frame,
        })
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |field| u32::from_le_bytes(*field))
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|text| text.parse().ok()).unwrap_or(0)
}
