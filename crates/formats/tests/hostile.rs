//! Damaged and random bytes as every format: nothing panics, everything ends, and what is read is
//! never more than what was given.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy takes only #[test] functions for tests, not what they call"
)]

use std::io::Cursor;

use formats::{
    Capture, Limits, LineLimits, LineSplitter, Lines, PcapngWriter, detect, docker_events,
    docker_inspect, recording,
};
use observation::{Fact, Gap, GapCause, Observation, PortId, SourceId, Time};
use sensor::{Direction, LinkType, Packet};

/// A xorshift generator: the same bytes in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }

    /// A few bytes overwritten, removed or doubled, or the end cut off.
    fn damage(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(5) {
                0 => bytes.truncate(at),
                1 if !bytes.is_empty() => drop(bytes.remove(at)),
                2 => bytes.extend_from_slice(&seed[self.below(seed.len())..]),
                3 => bytes.iter_mut().skip(at).take(4).for_each(|byte| *byte = 0xff),
                _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (at % 8)),
            }
        }
        bytes
    }
}

fn pcap() -> Vec<u8> {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend([0, 0, 4, 0, 1, 0, 0, 0]);
    for len in [3_u8, 0, 9] {
        bytes.extend([9, 0, 0, 0, 1, 0, 0, 0, len, 0, 0, 0, len, 0, 0, 0]);
        bytes.extend(vec![len; usize::from(len)]);
    }
    bytes
}

fn pcapng() -> Vec<u8> {
    let mut writer = PcapngWriter::new(Vec::new(), "seed").unwrap();
    writer.interface(PortId(3), LinkType::Ethernet, "veth3").unwrap();
    for (port, direction) in [(3, Direction::Inward), (4, Direction::Outward)] {
        let packet = Packet {
            at: Time(1_700_000_000_000_000_000),
            source: SourceId(1),
            link: LinkType::Ethernet,
            port: PortId(port),
            direction,
            wire_len: 60,
            bytes: b"frame",
        };
        writer.packet(&packet).unwrap();
    }
    writer.finish(Time(9), 2).unwrap()
}

fn recorded() -> Vec<u8> {
    let fact = Fact::Gap(Gap {
        source: SourceId(1),
        from: Time(1),
        to: Time(2),
        lost_count: 3,
        cause: GapCause::KernelDrop,
    });
    let mut line = Vec::new();
    let observation = Observation { at: Time(5), witness: SourceId(1), order: 0, fact };
    recording::write_observation(&mut line, &observation).unwrap();
    line
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn seeds() -> Vec<Vec<u8>> {
    let id = "0123456789abcdef".repeat(4);
    let event = format!(
        r#"{{"Type":"container","Action":"die","Actor":{{"ID":"{id}","Attributes":{{"exitCode":
        "1","image":"a","name":"b","c":"d"}}}},"time":1700000000,"timeNano":1700000000000000001}}"#
    );
    let inspect = format!(
        r#"[{{"Id":"{id}","Created":"2026-01-02T03:04:05.6Z","Path":"nc","Args":["a"],"State":
        {{"Status":"running","Pid":3}},"HostConfig":{{"NetworkMode":"bridge","Binds":["/:/x"]}},
        "Config":{{"Labels":{{"a":"b"}},"Env":["A=b"]}},"NetworkSettings":{{"Networks":{{"n":
        {{"IPAddress":"10.0.0.2","Aliases":["x"]}}}}}}}}]"#
    );
    let mut described = Vec::new();
    recording::write_inspect(&mut described, Time(7), inspect.as_bytes()).unwrap();
    let plain = [pcap(), pcapng(), event.into_bytes(), inspect.into_bytes(), recorded(), described];
    let gzipped = plain.iter().map(|bytes| gzip(bytes));
    let zipped = plain.iter().map(|bytes| zstd(bytes));
    plain.iter().cloned().chain(gzipped).chain(zipped).collect()
}

/// Reads the bytes as every format there is.
fn read_as_all(bytes: &[u8]) {
    let _ = detect(bytes);
    let limits = Limits { expanded_bytes_max: 1_000_000, ..Limits::default() };
    if let Ok(mut capture) = Capture::open(Cursor::new(bytes.to_vec()), SourceId(1), limits) {
        let (mut error_count, mut captured_bytes) = (0, 0);
        while let Some(next) = capture.next() {
            match next {
                Ok(packet) => captured_bytes += packet.bytes.len() as u64,
                Err(error) => {
                    error_count += 1;
                    assert!(!error.to_string().is_empty());
                }
            }
        }
        assert!(error_count <= 1);
        assert!(captured_bytes <= capture.position_bytes());
        assert!(capture.next().is_none());
    }
    let out = &mut |_: Observation<'_>| {};
    let line_limits = LineLimits { line_bytes_max: 4096, expanded_bytes_max: 1_000_000 };
    let mut lines = Lines::open(Cursor::new(bytes.to_vec()), line_limits);
    while let Some(line) = lines.next() {
        let Ok(line) = line else { continue };
        assert!(line.len() <= 4096);
        docker_events::parse(line, SourceId(1), out);
        recording::parse_observation(line, out);
        recording::parse_inspect(line, SourceId(1), out);
    }
    docker_inspect::parse(bytes, Some(Time(1)), SourceId(1), out);
    docker_inspect::registry_digests(bytes, &mut |_, _| {});
    let mut splitter = LineSplitter::new(16);
    for piece in bytes.chunks(7) {
        splitter.push(piece, &mut |line| assert!(line.len() <= 16));
    }
    splitter.finish(&mut |line| assert!(line.len() <= 16));
}

#[test]
fn damaged_files_of_every_format() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for seed in seeds() {
        read_as_all(&seed);
        for _ in 0..300 {
            read_as_all(&random.damage(&seed));
        }
    }
}

#[test]
fn random_bytes_as_every_format() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for count in 0..300 {
        let mut bytes = random.bytes(count);
        read_as_all(&bytes);
        // Behind a right beginning they get further.
        for seed in seeds() {
            let mut behind = seed.get(..seed.len().min(12)).unwrap().to_vec();
            behind.append(&mut bytes.clone());
            read_as_all(&behind);
        }
        bytes.clear();
    }
}

#[test]
fn every_prefix_of_every_format() {
    for seed in seeds() {
        for cut in 0..seed.len() {
            read_as_all(&seed[..cut]);
        }
    }
}
