//! Floods and bombs: what is kept stays bounded, everything is counted, neighbours are heard.

use observation::{Observation, PortId};
use sensor::{Lane, Limits, Sensor};

use crate::wire::By::{Client, Server};
use crate::wire::{ACK, Chance, Frame, SYN, Talk, bursts, excerpts, keep};

/// What is told when a neighbour talks before and after `flood`, and the sensor's tally.
fn beside(
    limits: Limits,
    flood: impl Iterator<Item = Frame>,
) -> (Vec<Observation<'static>>, sensor::Tally) {
    let mut sensor = Sensor::new(limits, 3, Lane::ONLY);
    let mut neighbour = Talk::between("172.17.0.9:50000", "198.51.100.20:4444");
    neighbour.port = PortId(8);
    let neighbour = neighbour.handshake().says(Server, b"id\n");
    let (before, after) = neighbour.frames.split_at(3);
    let mut told = Vec::new();
    let mut tell = |fact: &Observation<'_>| {
        // A flood's flows without a name are not what is asked for.
        if !is_opening(fact) || format!("{:?}", fact.fact).contains('"') {
            told.push(keep(fact));
        }
    };
    before.iter().for_each(|frame| sensor.packet(frame.packet(), &mut tell));
    flood.for_each(|frame| sensor.packet(frame.packet(), &mut tell));
    after.iter().for_each(|frame| sensor.packet(frame.packet(), &mut tell));
    sensor.finish(&mut tell);
    (told, *sensor.tally())
}

const fn is_opening(told: &Observation<'_>) -> bool {
    matches!(told.fact, observation::Fact::FlowOpened(_) | observation::Fact::FlowClosed(_))
}

/// The neighbour was heard, and every packet is accounted for.
fn assert_unharmed(told: &[Observation<'static>], tally: &sensor::Tally, flood: u64) {
    assert!(excerpts(told).iter().any(|excerpt| excerpt == "id\n"));
    assert_eq!(tally.packets, flood + 4);
    let refused: u64 = tally.not_understood.iter().sum();
    assert_eq!(tally.understood + refused + tally.fragments, flood + 4, "{tally:?}");
    assert_eq!(tally.flows_opened, tally.flows_closed);
}

#[test]
fn a_million_half_open_flows_are_evicted_and_counted() {
    const COUNT: u32 = 1_000_000;
    let limits = Limits { flow_count_max: 1 << 12, ..Limits::default() };
    let syn = Talk::new().tcp(Client, SYN, b"").frames.remove(0);
    let flood = (0..COUNT).map(|number| {
        let mut frame = syn.clone();
        frame.bytes[12..16].copy_from_slice(&(0x0a00_0000 | number).to_be_bytes());
        frame
    });
    let (told, tally) = beside(limits, flood);
    assert_unharmed(&told, &tally, u64::from(COUNT));
    assert_eq!(tally.flows_opened, u64::from(COUNT) + 1);
    assert!(tally.flows_evicted >= u64::from(COUNT) - (1 << 12), "{tally:?}");
}

#[test]
fn a_train_of_fragments_without_an_end_is_counted() {
    const COUNT: u32 = 100_000;
    let whole = Talk::new().udp(Client, &[b'x'; 24]).frames.remove(0);
    let flood = (0..COUNT).map(|number| {
        let mut frame = whole.clone();
        let [.., high, low] = number.to_be_bytes();
        frame.bytes[4..6].copy_from_slice(&[high, low]);
        frame.bytes[6..8].copy_from_slice(&[0x20, (number % 7) as u8]);
        frame
    });
    let (told, tally) = beside(Limits::default(), flood);
    assert_unharmed(&told, &tally, u64::from(COUNT));
    assert_eq!(tally.fragments, u64::from(COUNT));
}

#[test]
fn a_header_without_an_end_is_still_http() {
    let mut talk = Talk::new().handshake().says(Client, b"GET / HTTP/1.1\r\nHost: a\r\nX: ");
    for _ in 0..3000 {
        talk = talk.says(Client, &[b'a'; 1400]);
    }
    let count = talk.frames.len() as u64;
    let (told, tally) = beside(Limits::default(), talk.frames.into_iter());
    assert_unharmed(&told, &tally, count);
    assert!(told.iter().any(|fact| format!("{fact:?}").contains("\"http\"")));
}

/// A `ClientHello` of nearly 64 KiB in four records; its server name stands at the very end.
fn long_hello() -> Vec<u8> {
    let padding = 60_000_u16;
    let name = b"\0\0\0\x0c\0\x0a\0\0\x07a.local";
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend((padding + 4 + name.len() as u16).to_be_bytes());
    body.extend([0, 21]);
    body.extend(padding.to_be_bytes());
    body.extend(vec![0; usize::from(padding)]);
    body.extend(name);
    let mut hello = vec![1];
    hello.extend(&(body.len() as u32).to_be_bytes()[1..]);
    hello.extend(body);
    let record = |part: &[u8]| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat();
    hello.chunks(16_000).flat_map(record).collect()
}

#[test]
fn a_hello_of_64_kib_in_segments_of_one_byte_is_tls() {
    let mut talk = Talk::new().handshake();
    for byte in long_hello() {
        talk = talk.says(Client, &[byte]);
    }
    let count = talk.frames.len() as u64;
    let (told, tally) = beside(Limits::default(), talk.frames.into_iter());
    assert_unharmed(&told, &tally, count);
    assert_eq!(tally.bytes_lost, 0);
    assert!(told.iter().any(|fact| format!("{fact:?}").contains("\"tls\"")));
}

#[test]
fn continuations_without_an_end_are_passed_over() {
    let mut talk = Talk::new()
        .handshake()
        .says(Client, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .says(Server, b"\0\0\0\x04\0\0\0\0\0")
        // Every byte of the block names an entry of the table.
        .says(Client, b"\0\0\x01\x01\0\0\0\0\x01\x82");
    for _ in 0..10_000 {
        talk = talk.says(Client, b"\0\0\x08\x09\0\0\0\0\x01\xbe\xbe\xbe\xbe\xbe\xbe\xbe\xbe");
    }
    let count = talk.frames.len() as u64;
    let (told, tally) = beside(Limits::default(), talk.frames.into_iter());
    assert_unharmed(&told, &tally, count);
    assert!(told.iter().any(|fact| format!("{fact:?}").contains("\"http2\"")));
}

#[test]
fn names_that_point_at_themselves_end() {
    let mut frames = Vec::new();
    // Before that are the header's zeros, where a name can end.
    for at in 12..=u8::MAX {
        let client = format!("172.17.0.2:{}", 40_000 + u16::from(at));
        let mut asks = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0".to_vec();
        asks.extend([3, b'a', b'b', b'c', 0xc0, at, 0, 1, 0, 1]);
        frames.extend(Talk::between(&client, "198.51.100.53:53").udp(Client, &asks).frames);
    }
    let (told, tally) = beside(Limits::default(), frames.into_iter());
    assert_unharmed(&told, &tally, 244);
}

#[test]
fn forged_lengths_of_quic_read_nothing_beyond_the_datagram() {
    let (mut chance, mut frames) = (Chance(5), Vec::new());
    for number in 0..2000_u16 {
        let client = format!("172.17.0.2:{}", 30_000 + number);
        let mut initial = vec![0xc3, 0, 0, 0, 1, 8];
        initial.extend([5; 8]);
        initial.extend([0, 0]);
        let ids = chance.below(3) as usize;
        // A length that promises up to 2^62 bytes, of the token or of what follows it.
        initial.truncate(initial.len() - ids);
        initial.extend([[0xff; 8], [0x40; 8], [0xbf; 8]][chance.below(3) as usize]);
        let rest = chance.below(1180);
        initial.extend(chance.bytes(rest));
        frames.extend(Talk::between(&client, "198.51.100.44:443").udp(Client, &initial).frames);
    }
    let (told, tally) = beside(Limits::default(), frames.into_iter());
    assert_unharmed(&told, &tally, 2000);
}

#[test]
fn a_hole_that_never_fills_is_given_up_before_memory_is_full() {
    let limits = Limits { reorder_bytes_max: 1 << 16, ..Limits::default() };
    let mut talk = Talk::new().handshake();
    for number in 0..2000_u32 {
        let early = (talk.server_seq.wrapping_add(10 + number * 1400), talk.client_seq, ACK);
        talk = talk.raw(Server, early, &[b'x'; 1400]);
    }
    let count = talk.frames.len() as u64;
    let (told, tally) = beside(limits, talk.frames.into_iter());
    assert_unharmed(&told, &tally, count);
    assert_eq!(tally.bytes_lost, 10, "{tally:?}");
    assert!(!bursts(&told).is_empty());
}

/// Requests that nobody answers, in flow after flow: what followers hold has a limit, and the
/// flows beyond it keep their names.
#[test]
fn followers_hold_no_more_than_they_may() {
    const FLOW_COUNT: u16 = 400;
    let limits = Limits { follower_bytes_max: 1 << 19, ..Limits::default() };
    let request = [b"GET /", [b'a'; 900].as_slice(), b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    let mut frames = Vec::new();
    for number in 0..FLOW_COUNT {
        let client = format!("172.17.0.2:{}", 30_000 + number);
        let mut talk = Talk::between(&client, "198.51.100.10:80").handshake();
        for _ in 0..8 {
            talk = talk.says(Client, &request);
        }
        frames.extend(talk.frames);
    }
    let count = frames.len() as u64;
    let (told, tally) = beside(limits, frames.into_iter());
    assert_unharmed(&told, &tally, count);
    assert!((300..400).contains(&tally.followers_given_up), "{tally:?}");
    let closed = told.iter().filter(|fact| is_closed_http(fact));
    assert_eq!(closed.count(), usize::from(FLOW_COUNT));
    let left = |fact: &&Observation<'_>| matches!(fact.fact, observation::Fact::ProtocolLeft(_));
    assert_eq!(told.iter().filter(left).count(), 0);
}

fn is_closed_http(told: &Observation<'_>) -> bool {
    let observation::Fact::FlowClosed(flow) = &told.fact else { return false };
    flow.protocols == ["http"]
}

/// The table of a compressor, filled to the brim and referred to for ever.
#[test]
fn a_bomb_of_compressed_headers_is_read_in_part() {
    let block = |block: &[u8]| {
        let length = (block.len() as u16).to_be_bytes();
        [&[0, length[0], length[1], 1, 5, 0, 0, 0, 1], block].concat()
    };
    let fill = [b"\x82\x86\x84\x40\x01a\x7f\xa1\x1e".as_slice(), &[b'x'; 4000]].concat();
    let mut talk = Talk::new()
        .handshake()
        .says(Client, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .says(Server, b"\0\0\0\x04\0\0\0\0\0")
        .says(Client, &block(&fill));
    for _ in 0..500 {
        let bomb = [&[0x82, 0x86, 0x84], [0xbe; 1300].as_slice()].concat();
        talk = talk.says(Client, &block(&bomb));
    }
    let count = talk.frames.len() as u64;
    let (told, tally) = beside(Limits::default(), talk.frames.into_iter());
    assert_unharmed(&told, &tally, count);
    let exchanges = told.iter().filter(|fact| matches!(fact.fact, observation::Fact::Http(_)));
    assert_eq!(exchanges.count(), 501);
}
