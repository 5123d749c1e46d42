//! Any frames, any times, any link type: no panic, and every packet is counted.

#![no_main]

use libfuzzer_sys::fuzz_target;
use observation::{PortId, SourceId, Time};
use sensor::{Direction, Lane, Limits, LinkType, Packet, Sensor};

fuzz_target!(|data: &[u8]| {
    let mut sensor = Sensor::new(Limits::default().divided_by(64), 1, Lane::ONLY);
    let mut at = 1_795_491_884_000_000_000_u64;
    let mut count = 0;
    let mut rest = data;
    while let [kind, pause, length, tail @ ..] = rest {
        let length = usize::from(*length).min(tail.len());
        let (bytes, next) = tail.split_at(length);
        rest = next;
        at = at.wrapping_add(u64::from(*pause) << (kind & 31));
        let link = match kind % 6 {
            0 => LinkType::Ethernet,
            1 => LinkType::RawIp,
            2 => LinkType::Null,
            3 => LinkType::LinuxSll,
            4 => LinkType::LinuxSll2,
            _ => LinkType::Other(u32::from(*kind)),
        };
        let packet = Packet {
            at: Time(at),
            source: SourceId(0),
            link,
            port: PortId(u32::from(kind >> 6)),
            direction: Direction::Unknown,
            wire_len: u32::try_from(length).unwrap_or(u32::MAX),
            bytes,
        };
        sensor.packet(packet, &mut |_| {});
        count += 1;
    }
    sensor.finish(&mut |_| {});
    assert_eq!(sensor.tally().packets, count);
});
