//! Conversations over TCP, behind an opening that leads to a follower: cut anywhere, with holes,
//! out of order and byte by byte. No panic, and every packet is part of a flow.

#![no_main]

use libfuzzer_sys::fuzz_target;
use observation::{PortId, SourceId, Time};
use sensor::{Direction, Lane, Limits, LinkType, Packet, Sensor};

const CLIENT: [u8; 4] = [172, 17, 0, 2];
const SERVER: [u8; 4] = [198, 51, 100, 10];
const SYN: u8 = 2;
const ACK: u8 = 16;
/// A whole conversation is not longer than what a fuzzer can see through.
const SEGMENT_COUNT_MAX: u32 = 4096;

/// What both sides say before the input's bytes: the client first, but for the last ones.
const OPENINGS: &[[&[u8]; 2]] = &[
    [b"", b""],
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", b"\0\0\0\x04\0\0\0\0\0"],
    [b"GET /v1.47/info HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\n"],
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 a\r\nUpgrade: websocket\r\n\r\n",
    ],
    [b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"],
    [b"\x05\x01\0", b"\x05\0"],
    [b"PROXY UNKNOWN\r\n", b""],
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11", b""],
    [b"\x16\x03\x01\0\x40\x01\0\0\x3c\x03\x03", b"\x16\x03\x03\0\x40\x02\0\0\x3c\x03\x03"],
    [b"SSH-2.0-a\r\n", b"SSH-2.0-b\r\n"],
    [b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"],
    [b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04test", b"\x20\x02\0\0"],
    [b"AMQP\0\0\x09\x01", b"\x01\0\0\0\0\0\x0c\0\x0a\0\x0a"],
    [b"\0\0\0\x10\0\x03\0\0user\0a\0\0", b"R\0\0\0\x08\0\0\0\0"],
    [b"\0\x1d\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01", b""],
    [b"<?xml version='1.0'?><stream:stream to='a'>", b""],
    [b"CONNECT\nhost:a\n\n\0", b"CONNECTED\nversion:1.2\n\n\0"],
    [b"8=FIX.4.2\x019=5\x0135=0\x0110=161\x01", b""],
    [b"EHLO a\r\n", b"220 a ESMTP\r\n250-STARTTLS\r\n"],
    [b"USER a\r\n", b"220 FTP ready\r\n"],
    [b"NICK a\r\nUSER a 0 * :a\r\n", b":irc 001 a :hi\r\n"],
    [b"a1 LOGIN a b\r\n", b"* OK IMAP ready\r\n"],
    [b"USER a\r\n", b"+OK POP3 ready\r\n"],
    [b"CONNECT {}\r\n", b"INFO {\"server_id\":\"a\"}\r\n"],
    [b"\x20\0\0\x01\x05\xae\xff\x01", b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0"],
];

struct Talk {
    sensor: Sensor,
    at: u64,
    /// The next byte of each side.
    next: [u32; 2],
    count: u64,
}

impl Talk {
    fn send(&mut self, side: usize, seq: u32, flags: u8, payload: &[u8]) {
        let (from, to) = if side == 0 { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let (from_port, to_port) = if side == 0 { (40_000_u16, 7_u16) } else { (7, 40_000) };
        let length = 40 + u16::try_from(payload.len()).unwrap_or(0);
        let mut bytes = vec![0x45, 0];
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        bytes.extend(from.into_iter().chain(to));
        bytes.extend(from_port.to_be_bytes().into_iter().chain(to_port.to_be_bytes()));
        bytes.extend(seq.to_be_bytes());
        bytes.extend(self.next[1 - side].to_be_bytes());
        bytes.extend([0x50, flags, 1, 0, 0, 0, 0, 0]);
        bytes.extend(payload);
        self.at += 50_000_000;
        self.sensor.packet(
            Packet {
                at: Time(self.at),
                source: SourceId(0),
                link: LinkType::RawIp,
                port: PortId(1),
                direction: Direction::Unknown,
                wire_len: u32::from(length),
                bytes: &bytes,
            },
            &mut |_| {},
        );
        self.count += 1;
    }

    fn say(&mut self, side: usize, bytes: &[u8]) {
        if !bytes.is_empty() {
            let seq = self.next[side];
            self.next[side] = seq.wrapping_add(bytes.len() as u32);
            self.send(side, seq, ACK, bytes);
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let [opening, limit, rest @ ..] = data else { return };
    let part = if limit & 1 == 0 { 1 } else { 1 << (limit >> 1 & 15) };
    let sensor = Sensor::new(Limits::default().divided_by(part), 1, Lane::ONLY);
    let mut talk = Talk { sensor, at: 1_795_491_884_000_000_000, next: [1000, 9000], count: 0 };
    // Every fourth conversation was under way when the capture began.
    if opening >> 6 != 3 {
        talk.send(0, 999, SYN, b"");
        talk.send(1, 8999, SYN | ACK, b"");
    }
    let opening = &OPENINGS[usize::from(opening & 63) % OPENINGS.len()];
    for (side, said) in opening.iter().enumerate() {
        talk.say(side, said);
    }
    let mut rest = rest;
    while let [how, length, tail @ ..] = rest {
        if talk.count > u64::from(SEGMENT_COUNT_MAX) {
            break;
        }
        let side = usize::from(how & 1);
        let (bytes, next) = tail.split_at((usize::from(*length) * 4).min(tail.len()));
        rest = next;
        match how >> 1 & 7 {
            // Lost before the capture.
            0 => talk.next[side] = talk.next[side].wrapping_add(bytes.len() as u32),
            1 => bytes.iter().for_each(|byte| talk.say(side, &[*byte])),
            2 => {
                // The second half comes first, and the first half again with other bytes.
                let (front, back) = bytes.split_at(bytes.len() / 2);
                let seq = talk.next[side];
                let middle = seq.wrapping_add(front.len() as u32);
                talk.send(side, middle, ACK, back);
                talk.send(side, seq, ACK, front);
                talk.next[side] = middle.wrapping_add(back.len() as u32);
                let other: Vec<u8> = front.iter().map(|byte| byte ^ 1).collect();
                talk.send(side, seq, ACK, &other);
            }
            _ => talk.say(side, bytes),
        }
    }
    talk.sensor.finish(&mut |_| {});
    let tally = talk.sensor.tally();
    assert_eq!((tally.packets, tally.understood), (talk.count, talk.count));
    assert_eq!(tally.flows_opened, tally.flows_closed);
});
