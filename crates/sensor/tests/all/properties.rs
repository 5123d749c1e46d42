//! What must never change what is told: the number of lanes, and ticks.

use std::collections::HashSet;

use observation::{Fact, FactKind, Observation, PortId, Time};
use sensor::{Lane, Limits, Sensor, shard_of};

use crate::wire::By::{Client, Server};
use crate::wire::{ACK, Chance, Frame, Talk, keep, ms};

/// Many conversations at once, in order of time.
fn traffic(seed: u64) -> Vec<Frame> {
    let mut chance = Chance(seed);
    let mut frames = Vec::new();
    for number in 0..150 {
        let client = format!("172.17.0.{}:{}", 2 + chance.below(20), 32_768 + chance.below(20_000));
        let server = format!("198.51.100.{}:{}", 1 + chance.below(20), 1 + chance.below(6000));
        let mut talk = Talk::between(&client, &server).wait(chance.below(90_000));
        talk.port = PortId(1 + number % 5);
        if chance.below(4) > 0 {
            talk = talk.handshake();
        }
        for _ in 0..chance.below(12) {
            let from = if chance.below(2) == 0 { Client } else { Server };
            let said: &[u8] = match chance.below(4) {
                0 => b"id; uname -a\n",
                1 => b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
                2 => b"uid=0(root)\n# ",
                _ => &chance.bytes(40),
            };
            talk = talk.wait(chance.below(600));
            talk = if number % 3 == 0 { talk.udp(from, said) } else { talk.says(from, said) };
            if chance.below(9) == 0 {
                // Something is lost.
                talk.frames.pop();
            }
        }
        talk = if chance.below(2) == 0 { talk.fin(Client).fin(Server) } else { talk };
        frames.extend(talk.frames);
    }
    frames.sort_by_key(|frame| frame.at);
    // Some packets lie about their time.
    for _ in 0..3 {
        let place = chance.below(frames.len() as u64) as usize;
        frames[place].at = ms(chance.below(1 << 42));
    }
    frames
}

fn sorted(mut told: Vec<Observation<'static>>) -> Vec<Observation<'static>> {
    told.sort_by_key(|told| (told.at, told.flow(), told.order));
    told
}

enum Dispatch {
    /// Every lane sees all packets and takes its own.
    All,
    /// Each lane is given only its own.
    ByShard,
}

fn in_lanes(frames: &[Frame], count: u8, dispatch: &Dispatch) -> Vec<Observation<'static>> {
    let mut all = Vec::new();
    for index in 0..count {
        let mut sensor = Sensor::new(Limits::default(), 99, Lane { index, count });
        for frame in frames {
            let packet = frame.packet();
            if matches!(dispatch, Dispatch::All) || shard_of(&packet).0 % count == index {
                sensor.packet(packet, &mut |told| all.push(keep(told)));
            }
        }
        sensor.advance(ms(100_000_000), &mut |told| all.push(keep(told)));
        sensor.finish(&mut |told| all.push(keep(told)));
    }
    sorted(all)
}

#[test]
fn the_number_of_lanes_changes_nothing() {
    let frames = traffic(3);
    let one = in_lanes(&frames, 1, &Dispatch::All);
    assert!(one.iter().filter(|told| told.fact.kind() == FactKind::Burst).count() > 200);
    for count in [2, 7] {
        assert!(in_lanes(&frames, count, &Dispatch::All) == one);
        assert!(in_lanes(&frames, count, &Dispatch::ByShard) == one);
    }
}

#[test]
fn ticks_change_nothing() {
    let frames = traffic(5);
    let with = |ticks: &mut dyn FnMut(Time, Time) -> Vec<Time>| {
        let (mut sensor, mut all) = (Sensor::new(Limits::default(), 1, Lane::ONLY), Vec::new());
        // Ticks come from a clock that no packet can lead astray.
        let mut clock = Time(0);
        for frame in &frames {
            let honest = frame.at.max(clock);
            if honest < ms(200_000) {
                for tick in ticks(clock, honest) {
                    sensor.advance(tick, &mut |told| all.push(keep(told)));
                }
                clock = honest;
            }
            sensor.packet(frame.packet(), &mut |told| all.push(keep(told)));
        }
        sensor.advance(ms(300_000_000), &mut |told| all.push(keep(told)));
        sensor.finish(&mut |told| all.push(keep(told)));
        sorted(all)
    };
    let without = with(&mut |_, _| Vec::new());
    let mut chance = Chance(11);
    assert!(with(&mut |_, to| vec![to]) == without);
    assert!(
        with(&mut |from, to| {
            let room = to.0.saturating_sub(from.0);
            let mut ticks: Vec<Time> =
                (0..chance.below(3)).map(|_| Time(from.0 + chance.below(room + 1))).collect();
            ticks.sort();
            ticks
        }) == without
    );
}

#[test]
fn a_lane_can_live_on_its_own_thread() {
    fn assert_send<T: Send>(_: &T) {}
    assert_send(&Sensor::new(Limits::default(), 1, Lane::ONLY));
}

#[test]
fn the_table_seed_changes_nothing() {
    let frames = traffic(13);
    let run = |seed| {
        let (mut sensor, mut all) = (Sensor::new(Limits::default(), seed, Lane::ONLY), Vec::new());
        for frame in &frames {
            sensor.packet(frame.packet(), &mut |told| all.push(keep(told)));
        }
        sensor.finish(&mut |told| all.push(keep(told)));
        sorted(all)
    };
    assert!(run(1) == run(0xdead_beef));
}

#[test]
fn timers_fire_in_the_order_of_their_deadlines() {
    let frames = traffic(17);
    let mut sensor = Sensor::new(Limits::default(), 1, Lane::ONLY);
    for frame in frames.iter().filter(|frame| frame.at < ms(200_000)) {
        sensor.packet(frame.packet(), &mut |_| {});
    }
    let mut times = Vec::new();
    sensor.advance(ms(300_000_000), &mut |told| times.push(told.at));
    assert!(times.len() > 10 && times.is_sorted());
}

#[test]
fn a_flood_at_one_port_evicts_only_its_own_flows() {
    let limits = Limits { flow_count_max: 64, ..Limits::default() };
    let mut sensor = Sensor::new(limits, 1, Lane::ONLY);
    let mut evicted = Vec::new();
    let mut quiet = Talk::new().handshake();
    quiet.port = PortId(1);
    quiet.frames.iter_mut().for_each(|frame| frame.port = PortId(1));
    for frame in &quiet.frames {
        sensor.packet(frame.packet(), &mut |_| {});
    }
    for number in 0..2000u32 {
        let client = format!("172.17.0.9:{}", 10_000 + number);
        let mut flood =
            Talk::between(&client, "198.51.100.77:80").wait(10).raw(Client, (1, 1, ACK), b"x");
        flood.frames[0].port = PortId(2);
        sensor.packet(flood.frames[0].packet(), &mut |told| {
            if let Fact::FlowClosed(closed) = &told.fact {
                evicted.push(closed.key.port);
            }
        });
    }
    assert!(evicted.len() > 1900 && evicted.iter().all(|&port| port == PortId(2)));
    assert_eq!(sensor.tally().flows_evicted, evicted.len() as u64);
}

/// What is told of the flows at this port.
fn told_at(frames: &[Frame], port: PortId) -> Vec<Observation<'static>> {
    let mut sensor = Sensor::new(Limits::default().divided_by(512), 1, Lane::ONLY);
    let (mut mine, mut all) = (HashSet::new(), Vec::new());
    let mut hear = |told: &Observation<'_>| {
        if let Fact::FlowOpened(opened) = &told.fact
            && opened.key.port == port
        {
            mine.insert(opened.flow);
        }
        if mine.contains(&told.flow()) {
            all.push(keep(told));
        }
    };
    for frame in frames {
        sensor.packet(frame.packet(), &mut hear);
    }
    sensor.advance(ms(10_000_000), &mut hear);
    sensor.finish(&mut hear);
    sorted(all)
}

#[test]
fn a_neighbours_flood_changes_nothing() {
    let mut mine = Vec::new();
    for number in 0..4u64 {
        let client = format!("172.17.0.2:{}", 40_000 + number);
        let talk = Talk::between(&client, "198.51.100.10:4444").wait(number * 900).handshake();
        let talk = talk.says(Client, b"G").wait(400).says(Server, b"id\n").wait(400);
        let (next, ack) = (talk.client_seq, talk.server_seq);
        let talk = talk.raw(Client, (next.wrapping_add(3), ack, ACK), b"=0\n").wait(50);
        mine.extend(talk.raw(Client, (next, ack, ACK), b"uid").frames);
    }
    mine.iter_mut().for_each(|frame| frame.port = PortId(1));
    mine.sort_by_key(|frame| frame.at);
    let alone = told_at(&mine, PortId(1));
    assert!(alone.len() > 20);

    let mut all = mine;
    for number in 0..4000u64 {
        let client = format!("172.17.0.3:{}", 10_000 + number);
        let talk = Talk::between(&client, "203.0.113.9:80").wait(number).handshake();
        let early = (talk.server_seq.wrapping_add(9), talk.client_seq, ACK);
        let talk = match number % 2 {
            0 => talk.says(Client, b"G"),
            _ => talk.raw(Server, early, &[b'x'; 900]),
        };
        all.extend(talk.frames.into_iter().map(|frame| Frame { port: PortId(2), ..frame }));
    }
    all.sort_by_key(|frame| frame.at);
    assert!(told_at(&all, PortId(1)) == alone);
    // The flood does hit the limits, or this test would prove nothing.
    let mut sensor = Sensor::new(Limits::default().divided_by(512), 1, Lane::ONLY);
    all.iter().for_each(|frame| sensor.packet(frame.packet(), &mut |_| {}));
    let tally = sensor.tally();
    assert!(tally.flows_evicted > 0 && tally.heads_denied > 0 && tally.segments_dropped > 0);
}
