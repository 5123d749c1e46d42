//! What must be true of every protocol in the registry.

use alloc::vec::Vec;

use observation::{Side, Time, Transport};

use super::registry::REGISTRY;
use super::{Heads, Recognizer, Verdict};

/// A seeded xorshift generator.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

/// Beginnings of every protocol's two sides, for mutation and for mixing with each other.
const HEADS: &[&[u8]] = &[
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"\x16\x03\x01\x00\x40\x01\x00\x00\x3c\x03\x03",
    b"\x16\x03\x03\x00\x40\x02\x00\x00\x3c\x03\x03",
    b"\x15\x03\x03\x00\x02\x02\x28",
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01",
    b"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01\
      \xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc6\x33\x64\x0a",
    b"\x00\x1d\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01",
    b"\xff\xfd\x18\xff\xfd\x20",
    b"\xff\xfa\x18\x00vt100\xff\xf0",
    b"220 mail.example.com ESMTP\r\n",
    b"EHLO box\r\nMAIL FROM:<a>\r\n",
    b"220 FTP ready\r\n",
    b"USER anonymous\r\nPASS x\r\n",
    b"+OK POP3 ready\r\n",
    b"NICK a\r\nUSER a 0 * :a\r\n",
    b":irc 001 a :hi\r\n",
    b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
    b"+PONG\r\n$1\r\na\r\n",
    b"PING\r\n",
    b"set a 0 0 1\r\nx\r\n",
    b"STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n",
    b"INFO {\"server_id\":\"a\"}\r\n",
    b"CONNECT {}\r\nPUB a 1\r\nx\r\n",
    b"* OK IMAP ready\r\na1 OK\r\n",
    b"a1 LOGIN {1}\r\nx y\r\n",
    b"CONNECT\nhost:a\ncontent-length:1\n\nx\0",
    b"CONNECTED\nversion:1.2\n\n\0",
    b"8=FIX.4.2\x019=5\x0135=0\x0110=161\x01",
    b"\x0bMSH|^~\\&|A|B\rPID|1\r\x1c\r",
    b"up 75% maxconn:10 # well\n",
    b"ruok",
    b"imok",
    b"zINSTREAM\0\0\0\0\x01x\0\0\0\0",
    b"stream: OK\0PONG\n",
    b"> /a.py(3)<module>()\n-> run()\n(Pdb) ",
    b"n\np x\n",
    b"<13>Oct 11 22:14:15 box app: hi\n",
    b"10 <13>1 a bc",
    b"web.cpu 0.5 1700000000\n",
    b"web.hits:1|c|@0.1\n",
    b"id\nuname -a\n",
];

const TRANSPORTS: [Transport; 2] = [Transport::Tcp, Transport::Udp];

fn heads<'a>(opener: &'a [u8], answerer: &'a [u8], first: Side, transport: Transport) -> Heads<'a> {
    let first = if opener.is_empty() && answerer.is_empty() { None } else { Some(first) };
    Heads { opener, answerer, first, transport }
}

/// Both sides: a known head, perhaps mutated, perhaps random.
fn sample(random: &mut Random) -> Vec<u8> {
    let mut head = match random.below(8) {
        0 => {
            let count = random.below(64);
            random.bytes(count)
        }
        _ => HEADS[random.below(HEADS.len())].to_vec(),
    };
    for _ in 0..[0, 0, 1, 3][random.below(4)] {
        if head.is_empty() {
            break;
        }
        let at = random.below(head.len());
        match random.below(3) {
            0 => head[at] = random.next().to_le_bytes()[0],
            1 => head.truncate(at),
            _ => head.insert(at, b"\r\n \0:*"[random.below(6)]),
        }
    }
    head
}

#[test]
fn names_are_unique_and_lower_case() {
    for (index, protocol) in REGISTRY.iter().enumerate() {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        assert!(protocol.name.bytes().all(plain), "{}", protocol.name);
        assert!(!REGISTRY[..index].iter().any(|other| other.name == protocol.name));
    }
}

#[test]
fn silence_is_unsure() {
    for protocol in REGISTRY {
        for transport in TRANSPORTS {
            let heads = heads(b"", b"", Side::Originator, transport);
            assert_eq!((protocol.probe)(heads), Verdict::Unsure, "{}", protocol.name);
        }
    }
}

/// Grows both heads byte by byte, whoever speaks first wholly before the other.
#[test]
fn never_is_final() {
    let mut random = Random(0x5eed_0001);
    for round in 0..20_000 {
        let (opener, answerer) = (sample(&mut random), sample(&mut random));
        let first = [Side::Originator, Side::Responder][random.below(2)];
        for protocol in REGISTRY {
            let mut never = None;
            let (lead, follow) = match first {
                Side::Originator => (&opener, &answerer),
                Side::Responder => (&answerer, &opener),
            };
            for length in 1..=lead.len() + follow.len() {
                let led = &lead[..length.min(lead.len())];
                let followed = &follow[..length - led.len()];
                let heads = match first {
                    Side::Originator => heads(led, followed, first, Transport::Tcp),
                    Side::Responder => heads(followed, led, first, Transport::Tcp),
                };
                let verdict = (protocol.probe)(heads);
                if let Some(at) = never {
                    assert_eq!(
                        verdict,
                        Verdict::Never,
                        "round {round}: {} said never at {at} bytes of {}, then {verdict:?}: {heads:?}",
                        protocol.name,
                        length
                    );
                } else if verdict == Verdict::Never {
                    never = Some(length);
                }
            }
        }
    }
}

#[test]
fn first_bytes_exclude_nothing_that_the_probe_would_claim() {
    let mut random = Random(0x5eed_0002);
    for _ in 0..100_000 {
        let (opener, answerer) = (sample(&mut random), sample(&mut random));
        let first = [Side::Originator, Side::Responder][random.below(2)];
        let lead = if first == Side::Originator { &opener } else { &answerer };
        let Some(byte) = lead.first() else { continue };
        for transport in TRANSPORTS {
            let heads = heads(&opener, &answerer, first, transport);
            for protocol in REGISTRY {
                let verdict = (protocol.probe)(heads);
                if matches!(verdict, Verdict::Confirmed | Verdict::Proposed(_)) {
                    assert!(
                        protocol.first_bytes.has(*byte),
                        "{} claims {heads:?} and excludes {byte:#x}",
                        protocol.name
                    );
                }
            }
        }
    }
}

/// Conversations of known, mutated and random bytes, cut anywhere, with gaps.
#[test]
fn no_bytes_panic_and_left_is_said_once() {
    let mut random = Random(0x5eed_0003);
    for _ in 0..20_000 {
        let transport = TRANSPORTS[random.below(2)];
        let mut recognizer = Recognizer::default();
        let (mut opener, mut answerer) = (Vec::new(), Vec::new());
        let (mut first, mut left) = (None, 0);
        for _ in 0..random.below(12) {
            let side = [Side::Originator, Side::Responder][random.below(2)];
            let bytes = sample(&mut random);
            let segment = [1, 7, 4096][random.below(3)];
            for fresh in bytes.chunks(segment) {
                first = first.or(Some(side));
                match side {
                    Side::Originator => opener.extend_from_slice(fresh),
                    Side::Responder => answerer.extend_from_slice(fresh),
                }
                let heads = Heads { opener: &opener, answerer: &answerer, first, transport };
                recognizer.bytes(heads, side, fresh, Time(1), &mut |heard| {
                    left += u32::from(matches!(heard, super::Heard::Left { .. }));
                });
            }
            let _ = recognizer.grammar();
            if random.below(16) == 0 {
                recognizer.gap(side);
            }
        }
        recognizer.end(heads(b"", b"", Side::Originator, transport), &mut |_| {});
        assert!(left <= 1);
    }
}
