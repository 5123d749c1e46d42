//! Conversations in datagrams: DNS, QUIC, DTLS, STUN and what shares its port, and all that is
//! identified by its first datagrams. No panic, and every packet is part of a flow.

#![no_main]

use libfuzzer_sys::fuzz_target;
use observation::{PortId, SourceId, Time};
use sensor::{Direction, Lane, Limits, LinkType, Packet, Sensor};

const ENDS: [[u8; 4]; 2] = [[172, 17, 0, 2], [198, 51, 100, 53]];
const PORTS: [[u8; 2]; 2] = [[0x9c, 0x40], [0, 99]];

fuzz_target!(|data: &[u8]| {
    let mut sensor = Sensor::new(Limits::default(), 1, Lane::ONLY);
    let (mut at, mut count, mut rest) = (1_795_491_884_000_000_000_u64, 0, data);
    while let [how, length, tail @ ..] = rest {
        let side = usize::from(how & 1);
        let repeat = if how >> 1 & 3 == 3 { 8 } else { 1 };
        let length = (usize::from(*length) * 6).min(tail.len());
        let (said, next) = tail.split_at(length);
        rest = next;
        for _ in 0..repeat {
            at += u64::from(*how) * 1_000_000;
            let whole = 28 + u16::try_from(said.len()).unwrap_or(0);
            let mut bytes = vec![0x45, 0];
            bytes.extend(whole.to_be_bytes());
            bytes.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
            bytes.extend(ENDS[side].into_iter().chain(ENDS[1 - side]));
            bytes.extend(PORTS[side].into_iter().chain(PORTS[1 - side]));
            bytes.extend((whole - 20).to_be_bytes());
            bytes.extend([0, 0]);
            bytes.extend(said);
            let packet = Packet {
                at: Time(at),
                source: SourceId(0),
                link: LinkType::RawIp,
                port: PortId(1),
                direction: Direction::Unknown,
                wire_len: u32::from(whole),
                bytes: &bytes,
            };
            sensor.packet(packet, &mut |_| {});
            count += 1;
        }
    }
    sensor.finish(&mut |_| {});
    let tally = sensor.tally();
    assert_eq!((tally.packets, tally.understood), (count, count));
    assert_eq!(tally.flows_opened, tally.flows_closed);
});
