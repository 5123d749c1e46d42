//! The ring and the counters, on real interfaces.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests state facts the short way"
)]

mod support;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use support::{NET_ADMIN, NET_RAW, SYS_ADMIN, Sandbox, may};
use sys::link::{LinkEvent, LinkWatch, Links};
use sys::ring::{InterfaceFilter, PacketType, Readiness, Ring, RingConfig};

const CAPS: &[(u32, &str)] = &[NET_ADMIN, NET_RAW, SYS_ADMIN];

/// (interface, direction, wire length, bytes)
type Seen = Vec<(u32, PacketType, u32, Vec<u8>)>;

/// What the ring holds until it has been quiet for a while, or `time` has passed.
fn collect(ring: &mut Ring, time: Duration) -> Seen {
    let end = Instant::now() + time;
    let mut seen = Vec::new();
    while Instant::now() < end {
        if ring.wait(Duration::from_millis(250)).unwrap() == Readiness::TimedOut {
            break;
        }
        while let Some(block) = ring.next_block() {
            for frame in block.frames() {
                seen.push((frame.ifindex, frame.pkttype, frame.wire_len, frame.bytes.to_vec()));
            }
        }
    }
    seen
}

fn ethertype(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[12], frame[13]])
}

#[test]
fn an_interface_made_later_is_seen_from_its_first_frame() {
    if !may("an_interface_made_later_is_seen_from_its_first_frame", CAPS) {
        return;
    }
    let mut ring = Ring::open(&RingConfig::default(), &InterfaceFilter::Drop(vec![1])).unwrap();
    let before = sys::clock::realtime_ns();
    let sandbox = Sandbox::new();
    assert!(sandbox.ping());
    let seen = collect(&mut ring, Duration::from_secs(2));
    let mine: Vec<_> = seen.iter().filter(|seen| seen.0 == sandbox.host_ifindex).collect();
    // The first frame of a silent namespace's first conversation is its question for our address.
    assert_eq!(ethertype(&mine[0].3), 0x0806, "{:02x?}", mine[0].3);
    assert_eq!(mine[0].1, PacketType::Broadcast);
    let echoes: Vec<_> = mine.iter().filter(|seen| ethertype(&seen.3) == 0x0800).collect();
    assert_eq!(echoes.len(), 2, "request and reply, once each");
    assert_ne!(echoes[0].1, PacketType::Outgoing, "from the container");
    assert_eq!(echoes[1].1, PacketType::Outgoing, "towards the container");
    assert_eq!(ring.statistics().unwrap().drop_count, 0);
    assert!(sys::clock::realtime_ns() > before);
}

#[test]
fn frame_times_are_the_wall_clock() {
    if !may("frame_times_are_the_wall_clock", CAPS) {
        return;
    }
    let sandbox = Sandbox::new();
    let filter = InterfaceFilter::Only(vec![sandbox.host_ifindex]);
    let mut ring = Ring::open(&RingConfig::default(), &filter).unwrap();
    let before = sys::clock::realtime_ns();
    assert!(sandbox.ping());
    let after = sys::clock::realtime_ns();
    assert_eq!(ring.wait(Duration::from_secs(1)).unwrap(), Readiness::Ready);
    let block = ring.next_block().unwrap();
    for frame in block.frames() {
        assert!((before..=after).contains(&frame.at_ns), "{before} {} {after}", frame.at_ns);
        assert_eq!(frame.hardware_type, 1);
    }
}

#[test]
fn the_filter_is_replaced_live() {
    if !may("the_filter_is_replaced_live", CAPS) {
        return;
    }
    let (left, right) = (Sandbox::new(), Sandbox::new());
    let only = |sandbox: &Sandbox| InterfaceFilter::Only(vec![sandbox.host_ifindex]);
    let mut ring = Ring::open(&RingConfig::default(), &only(&left)).unwrap();
    assert!(left.ping() && right.ping());
    let seen = collect(&mut ring, Duration::from_secs(2));
    assert!(!seen.is_empty() && seen.iter().all(|seen| seen.0 == left.host_ifindex));
    ring.set_filter(&only(&right)).unwrap();
    assert!(left.ping() && right.ping());
    let seen = collect(&mut ring, Duration::from_secs(2));
    assert!(!seen.is_empty() && seen.iter().all(|seen| seen.0 == right.host_ifindex));
    ring.set_filter(&InterfaceFilter::Only(Vec::new())).unwrap();
    assert!(left.ping() && right.ping());
    assert!(collect(&mut ring, Duration::from_secs(2)).is_empty());
}

#[test]
fn what_finds_no_room_is_counted() {
    if !may("what_finds_no_room_is_counted", CAPS) {
        return;
    }
    let sandbox = Sandbox::new();
    let filter = InterfaceFilter::Only(vec![sandbox.host_ifindex]);
    let config = RingConfig::default().with_size(2 << 20);
    let mut ring = Ring::open(&config, &filter).unwrap();
    assert!(sandbox.ping());
    let socket = UdpSocket::bind((sandbox.host_address.as_str(), 0)).unwrap();
    // More than the two blocks of 1 MiB hold, read by nobody.
    for _ in 0..4000 {
        let _ = socket.send_to(&[7; 1400], (sandbox.inner_address.as_str(), 9));
    }
    let full = ring.statistics().unwrap();
    assert!(full.drop_count > 0 && full.freeze_count > 0, "{full:?}");
    let held = u64::try_from(collect(&mut ring, Duration::from_secs(2)).len()).unwrap();
    assert_eq!(held + full.drop_count, full.packet_count, "every frame is held or counted");
    assert!(sandbox.ping());
    assert!(!collect(&mut ring, Duration::from_secs(2)).is_empty(), "it works on after a freeze");
}

#[test]
fn a_held_block_is_not_lent_twice_and_may_cross_threads() {
    if !may("a_held_block_is_not_lent_twice_and_may_cross_threads", CAPS) {
        return;
    }
    let sandbox = Sandbox::new();
    let filter = InterfaceFilter::Only(vec![sandbox.host_ifindex]);
    let config = RingConfig::default().with_size(2 << 20);
    let mut ring = Ring::open(&config, &filter).unwrap();
    let mut held = Vec::new();
    for _ in 0..4 {
        assert!(sandbox.ping());
        if ring.wait(Duration::from_millis(200)).unwrap() == Readiness::Ready {
            held.extend(ring.next_block());
        }
    }
    assert_eq!(held.len(), 2, "two blocks exist");
    assert!(ring.next_block().is_none());
    let total = std::thread::spawn(move || held.iter().map(|b| b.frames().count()).sum::<usize>());
    assert!(total.join().unwrap() > 0);
    assert!(sandbox.ping());
    assert!(!collect(&mut ring, Duration::from_secs(2)).is_empty(), "handed back");
}

#[test]
fn at_rest_the_counters_equal_the_ring_to_the_byte() {
    if !may("at_rest_the_counters_equal_the_ring_to_the_byte", CAPS) {
        return;
    }
    let sandbox = Sandbox::new();
    let filter = InterfaceFilter::Only(vec![sandbox.host_ifindex]);
    let mut ring = Ring::open(&RingConfig::default(), &filter).unwrap();
    let mut links = Links::open().unwrap();
    let before = links.counters(sandbox.host_ifindex).unwrap().unwrap();
    for _ in 0..3 {
        assert!(sandbox.ping());
    }
    let socket = UdpSocket::bind((sandbox.host_address.as_str(), 0)).unwrap();
    for size in [0, 1, 700, 1472, 9000] {
        socket.send_to(&vec![7; size], (sandbox.inner_address.as_str(), 9)).unwrap();
    }
    let seen = collect(&mut ring, Duration::from_secs(3));
    let after = links.counters(sandbox.host_ifindex).unwrap().unwrap();
    let sum = |out: bool| {
        let one_way = seen.iter().filter(|seen| (seen.1 == PacketType::Outgoing) == out);
        one_way.fold((0, 0), |sum, seen| (sum.0 + 1, sum.1 + u64::from(seen.2)))
    };
    let (tx, rx) = (sum(true), sum(false));
    assert_eq!(tx, (after.tx_packets - before.tx_packets, after.tx_bytes - before.tx_bytes));
    assert_eq!(rx, (after.rx_packets - before.rx_packets, after.rx_bytes - before.rx_bytes));
    assert!(tx.0 > 5 && rx.0 > 5, "{tx:?} {rx:?}");
}

#[test]
fn links_come_and_go_with_kind_and_peer() {
    if !may("links_come_and_go_with_kind_and_peer", CAPS) {
        return;
    }
    let mut watch = LinkWatch::open().unwrap();
    let sandbox = Sandbox::new();
    let (name, ifindex) = (sandbox.host_link.clone(), sandbox.host_ifindex);
    let link = Links::open().unwrap().link(ifindex).unwrap().unwrap();
    assert_eq!((link.name.as_str(), link.kind.as_str()), (name.as_str(), "veth"));
    assert!(link.peer.is_some() && link.peer_netnsid.is_some() && link.is_up());
    assert_eq!((link.master, link.address.len()), (None, 6));
    drop(sandbox);
    let end = Instant::now() + Duration::from_secs(5);
    let (mut came, mut went) = (false, false);
    while Instant::now() < end && !(came && went) {
        match watch.next(Duration::from_millis(500)).unwrap() {
            Some(LinkEvent::Changed(link)) => came |= link.ifindex == ifindex,
            Some(LinkEvent::Removed(link)) => went |= link.ifindex == ifindex && link.name == name,
            Some(LinkEvent::Lost) | None => {}
        }
    }
    assert!(came && went);
}

#[test]
fn a_ring_out_of_bounds_is_refused_with_a_reason() {
    let config = RingConfig { block_bytes: 4096, ..RingConfig::default() };
    let error = Ring::open(&config, &InterfaceFilter::Drop(Vec::new())).unwrap_err();
    assert!(error.to_string().contains("64 MiB"), "{error}");
}
