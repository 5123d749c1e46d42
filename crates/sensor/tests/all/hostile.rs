//! Whatever comes off the wire: no panic, and every packet is counted.

use observation::{Fact, PortId, SourceId, Time};
use sensor::{Direction, Lane, Limits, LinkType, NotUnderstood, Packet, Sensor, Tally, Watermark};

use crate::wire::By::{Client, Server};
use crate::wire::{ACK, Chance, FIN, Frame, RST, SYN, Talk, ms};

const LINKS: [LinkType; 9] = [
    LinkType::Null,
    LinkType::Ethernet,
    LinkType::RawIp,
    LinkType::Loop,
    LinkType::LinuxSll,
    LinkType::LinuxSll2,
    LinkType::Ipv4,
    LinkType::Ipv6,
    LinkType::Other(999),
];

/// Every packet is part of a flow, or has a reason.
fn assert_complete(tally: &Tally, packets: u64) {
    assert_eq!(tally.packets, packets);
    let refused: u64 = tally.not_understood.iter().sum();
    assert_eq!(tally.understood + refused + tally.fragments, packets, "{tally:?}");
    assert_eq!(tally.flows_opened, tally.flows_closed);
}

fn run(limits: Limits, frames: &[Frame]) -> Tally {
    let mut sensor = Sensor::new(limits, 3, Lane::ONLY);
    let (mut opened, mut closed) = (0, 0);
    let mut count = |told: &observation::Observation<'_>| match told.fact {
        Fact::FlowOpened(_) => opened += 1,
        Fact::FlowClosed(_) => closed += 1,
        _ => {}
    };
    let mut watermark = Watermark::default();
    for (number, frame) in frames.iter().enumerate() {
        let now = watermark.pass(frame.at);
        if number % 50 == 0 {
            sensor.advance(now, &mut count);
        }
        sensor.packet(frame.packet(), &mut count);
    }
    sensor.finish(&mut count);
    let tally = *sensor.tally();
    assert_eq!((tally.flows_opened, tally.flows_closed), (opened, closed));
    tally
}

#[test]
fn random_bytes_never_panic() {
    let mut chance = Chance(1);
    let mut sensor = Sensor::new(Limits::default(), 3, Lane::ONLY);
    for number in 0..40_000 {
        let len = chance.below(200);
        let bytes = chance.bytes(len);
        sensor.packet(
            Packet {
                at: Time(chance.below(u64::MAX)),
                source: SourceId(1),
                link: LINKS[chance.below(9) as usize],
                port: PortId(chance.below(3) as u32),
                direction: Direction::Inward,
                wire_len: chance.below(u64::from(u32::MAX)) as u32,
                bytes: &bytes,
            },
            &mut |_| {},
        );
        if number % 100 == 0 {
            sensor.advance(Time(chance.below(u64::MAX)), &mut |_| {});
        }
    }
    sensor.finish(&mut |_| {});
    assert_complete(sensor.tally(), 40_000);
}

/// Conversations of hostile numbers, flags and cuts between few ends.
fn hostile(seed: u64, count: u64) -> Vec<Frame> {
    let mut chance = Chance(seed);
    let mut frames = Vec::new();
    for _ in 0..count {
        let client = format!("10.0.0.{}:{}", 1 + chance.below(4), 40_000 + chance.below(8));
        let talk = Talk::between(&client, "10.0.1.1:80").wait(chance.below(3_000_000));
        let from = if chance.below(2) == 0 { Client } else { Server };
        let flags = [ACK, SYN, SYN | ACK, FIN | ACK, RST, ACK, ACK, ACK][chance.below(8) as usize];
        let seq = match chance.below(4) {
            0 => chance.below(1 << 32) as u32,
            _ => u32::MAX.wrapping_add(chance.below(5000) as u32),
        };
        let len = if chance.below(10) == 0 { 9000 } else { chance.below(300) };
        let numbers = (seq, chance.below(9000) as u32, flags);
        let mut frame = talk.raw(from, numbers, &chance.bytes(len)).frames.remove(0);
        if chance.below(3) == 0 {
            let at = chance.below(60) as usize;
            let byte = chance.below(256) as u8;
            if let Some(place) = frame.bytes.get_mut(at) {
                *place = byte;
            }
        }
        if chance.below(20) == 0 {
            let len = chance.below(60) as usize;
            frame.bytes.truncate(len);
        }
        frames.push(frame);
    }
    if seed.is_multiple_of(2) {
        frames.sort_by_key(|frame| frame.at);
    }
    frames
}

#[test]
fn hostile_segments_are_all_counted() {
    for seed in 1..9 {
        let frames = hostile(seed, 4000);
        assert_complete(&run(Limits::default(), &frames), 4000);
    }
}

#[test]
fn small_limits_never_panic_and_count_everything() {
    for seed in 1..7 {
        for part in [64, 1 << 20, u32::MAX] {
            let frames = hostile(seed, 3000);
            assert_complete(&run(Limits::default().divided_by(part), &frames), 3000);
        }
    }
}

#[test]
fn what_limits_take_away_is_counted() {
    let mut frames = Vec::new();
    for number in 0..400u32 {
        let client = format!("10.0.0.1:{}", 30_000 + number);
        let talk = Talk::between(&client, "10.0.1.1:80").handshake();
        let early = (talk.server_seq.wrapping_add(10), 1001, ACK);
        frames.extend(talk.says(Client, b"G").raw(Server, early, b"early").frames);
    }
    let tally = run(Limits::default().divided_by(u32::MAX), &frames);
    assert!(tally.flows_evicted > 390 && tally.segments_dropped > 390);
    assert!(tally.bursts_unsampled > 0, "{tally:?}");
    assert!(tally.heads_denied > 0, "{tally:?}");
    assert_eq!(tally.packets_uncounted_port, 0);
}

#[test]
fn every_reason_is_counted_under_its_own_name() {
    let mut names: Vec<&str> = NotUnderstood::ALL.iter().map(|why| why.name()).collect();
    names.dedup();
    assert_eq!(names.len(), NotUnderstood::COUNT);
    let mut arp = vec![2u8; 12];
    arp.extend([8, 6, 0, 1]);
    let frame = Frame {
        at: ms(0),
        port: PortId(1),
        direction: Direction::Inward,
        link: LinkType::Ethernet,
        bytes: arp,
    };
    assert_eq!(run(Limits::default(), &[frame]).not_understood[NotUnderstood::Arp as usize], 1);
}
