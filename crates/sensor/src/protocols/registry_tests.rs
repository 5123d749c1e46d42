//! What must be true of every protocol in the registry.

use alloc::vec::Vec;

use observation::{Side, Time, Transport};

use super::registry::REGISTRY;
use super::{Datagrams, Heads, LATER_BYTES_MAX, Recognizer, Start, Verdict};

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
    b"\0\0\0\x10\0\x03\0\0user\0a\0\0",
    b"R\0\0\0\x08\0\0\0\0",
    b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0",
    b"\x20\0\0\x01\x05\xae\xff\x01",
    b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04test",
    b"\x20\x02\0\0",
    b"AMQP\0\0\x09\x01",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64",
    b"@RSYNCD: 31.0\n",
    b"RFB 003.008\n",
    b"\x23\0\0\xe9\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\xc3\0\0\0\x01\x08abcdefgh\0\0\x44\xd0abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
    b"\x05\x01\0",
    b"\x05\0\x05\0\0\x01\0\0\0\0\0\0",
    b"\x04\x01\0\x50\x0a\0\0\x05\0",
    b"INVITE sip:a@b SIP/2.0\r\n\r\n",
    b"SIP/2.0 100 Trying\r\n",
    b"OPTIONS rtsp://a/ RTSP/1.0\r\n",
    b"RTSP/1.0 200 OK\r\n",
    b"M-SEARCH * HTTP/1.1\r\nST: ssdp:all\r\n\r\n",
    b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0",
    b"<?xml version='1.0'?><stream:stream to='a'>",
    b"0027git-upload-pack /a.git\0host=b\0",
    b"( success ( 2 2 ( ) ( edit-pipeline ) ) ) ",
    b"( 2 ( edit-pipeline ) 9:svn://a/b ) ",
    b"\0\x01\0\0\x21\x12\xa4\x42abcdefghijkl",
    b"\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x0c\x01\0\0\0\0\0\0\0\0\0\0\0",
    b"ZBXD\x01\x02\0\0\0\0\0\0\0{}",
    b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0",
    b"6193, 23 : USERID : UNIX : a\r\n",
    b"\x80\x01\x01\x10\0\x01\0\0\0\0\0\0 FHEPFCELEHFCEPFFFACACACACACACABL\0\0\x20\0\x01",
    b"\x81\0\0\x44 FHEPFCELEHFCEPFFFACACACACACACABL\0",
    b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x012\x0ddnscrypt-cert\x01a\0\0\x10\0\x01",
    b"\x30\x13\x02\x01\x01\x04\x06public\xa0\x06\x02\x01\x01\x02\x01\0",
    b"\x6a\x14\x30\x12\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\x0a\xa3\x06\x30\x04\xa1\x02\x04\0",
    b"\0\0\0\x16\x6a\x14\x30\x12\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\x0a\xa3\x06\x30\x04\xa1\x02\x04\0",
    b"\x38abcdefgh\0\0\0\0\0",
    b"\x40ijklmnop\x01\0\0\0\0abcdefgh\0\0\0\0",
    b"\0\x0e\x38abcdefgh\0\0\0\0\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\x13\x04",
    b"200 news ready\r\n",
    b"MODE READER\r\nGROUP a.b\r\n",
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
    b"\0\0\0\x2f\xffSMBr\0\0\0\0",
    b"\0\0\0\xf0\xfeSMB\x40\0\0\0",
    b"\x14\0\0\0\x07\0\0\0\0\0\0\0\xd4\x07\0\0\0\0\0\0",
    b"\x24\0\0\0\x09\0\0\0\x07\0\0\0\x01\0\0\0\x08\0\0\0",
    b"\x12\x01\0\x2f\0\0\x01\0\0\0\x1a\0\x06\x01\0\x20",
    b"\x04\x01\0\x2b\0\0\x01\0\0\0\x1a\0\x06\x01\0\x20",
    b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0",
    b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0",
    b"\x01\x07\0\x1fabcdefghijklmnop\x01\x05bob\x04\x06\x0a\0\0\x01",
    b"\x02\x07\0\x14abcdefghijklmnop",
    b"l\0\x0b\0\0\0\0\0\0\0\0\0",
    b"\x01\0\x0b\0\0\0\x0a\x05",
    b"\0\x01boot.cfg\0octet\0",
    b"\0\x03\0\x01label",
    b"\0\x04\0\x01",
    b"\xc8\x02\0\x14\0\0\0\0\0\0\0\0\x80\x08\0\0\0\0\0\x01",
    b"GNUTELLA CONNECT/0.6\r\n\r\n",
    b"GNUTELLA/0.6 200 OK\r\n\r\n",
    b"\x05\0\x0b\x03\x10\0\0\0\x48\0\0\0",
    b"\x05\0\x0c\x03\x10\0\0\0\x3c\0\0\0",
    b"\xee\xee\xee\xee\x28\0\0\0\0\0\0\0",
    b"\xef\x0a\0\0\0\0\0\0\0\0abcd",
    b"\xe3\x49\0\0\0\x01\x10abcdefghijklmnop",
    b"\xe3\x48\0\0\0\x4cabcd",
    b"JDWP-Handshake",
    b"JRMI\0\x02K",
    b"N\0\x0910.0.0.5",
    b"\x4a\x4b\0\0\0\x01\0\0\0\0\0\0\x07printer\0\0\x01\0\x01",
    b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0",
    b"\x01\x06\0\x01\0\x02\x06\0X\n\0\0\0\0\0\0",
    b"\0\x1a\0\0\x0e\0REQUEST_METHOD\x03\0GET",
    b"\x12\x34\0\x01\x0a",
    b"AB\0\x01\x09",
    b"\x60\x60\xb0\x17\0\x08\x08\x05\0\x02\x04\x04\0\0\x01\x04\0\0\0\x03",
    b"\0\0\x08\x05",
    b"\0\x11ClickHouse client\x18\x03",
    b"\0\x0aClickHouse\x18\x03",
    b"use mail\r\n",
    b"USING mail\r\n",
    b"  V2",
    b"\0\0\0\x06\0\0\0\0OK",
    b"\0\x07zrabbit",
    b"w\0\x62\xa4M",
    b"\0\0\x11\x11name a at port 1\n",
    b"\0\x0an\0\x05\0\x03\x7f\xffa@b",
    b"\0\x03sok",
    b"\0\x10x\x62\xa4M\0\0\x06\0\x05\0\x03abc\0\0",
    b"y\0\0\x01",
    b"ceph v2\n\x10\0\0\0",
    b"NBDMAGICIHAVEOPT\0\x03",
    b"\0\0\0\x03IHAVEOPT\0\0\0\x07",
    b"\0\x35\0\0\x01\0\0\0\x01\x3e(CONNECT_DATA=(SERVICE_NAME=a))",
    b"\0\x0c\0\0\x04\0\0\0\x22\0\0\0",
    b"\x15\0\0\0\x64\xff\xff\0\0\x02\0\x08\x009P2000.L",
    b"\x15\0\0\0\x65\xff\xff\0\0\x02\0\x08\x009P2000.L",
    b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL",
    b"\0\0\0\x0e\x80\x01\0\x01\0\0\0\x01a\0\0\0\x01\0",
    b"\x80\x01\0\x02\0\0\0\x01a\0\0\0\x01\0",
    b"\0\0\0\x0d\0\0\0\x09\x08\x02\x12\x05\x0a\x033.1",
    b"\0\0\0\x0d\0\0\0\x09\x08\x03\x1a\x05\x0a\x033.1",
    b"\x17\x24\x0a\x20\0\x12\0\0",
    b"HELF\x38\0\0\0\0\0\0\0",
    b"ACKF\x1c\0\0\0\0\0\0\0",
    b"\0\x01\0\x01\0\0\0\x01\0\0\0\0",
    b"\0\x01\0\x02\0\0\0\x01\0\0\0\0",
    b"RTPS\x02\x03\x01\x0fabcdefghijkl\x09\x01",
    b"CNXN\x01\0\0\x01\0\0\x10\0\x07\0\0\0\x32\x02\0\0\xbc\xb1\xa7\xb1",
    b"AUTH\x01\0\0\0\0\0\0\0\x14\0\0\0\x32\x02\0\0\xbe\xaa\xab\xb7",
    b"\x94\xa6docker\xd7\x00\x65\x00\x00\x00\0\0\0\0\x81\xa3log\xa2hi",
    b"\x92\xa1a\xdc\0\x01\x92\xce\0\0\0\x01\x81\xa3log",
    b"\x81\xa3ack\xa1x",
    b"2W\0\0\0\x012C\0\0\0\x10",
    b"2A\0\0\0\x01",
    b"RCmb\0\0\x08\xd0\0\x01\x40\xeb",
    b"\x80\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x07\0\0\0\0\0\0\0\0a",
    b"\x81\0\0\0\x04\0\0\0\0\0\0\x06\0\0\0\x07\0\0\0\0\0\0\0\x01",
    b"PROXY TCP4 192.0.2.7 10.0.0.5 56324 443\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x05\xdc\x04\x01\xbb",
    b"\0\0\x07\0\x06\0\x03\0\x04\0\x05",
    b"\0\0\x07\0\x04\0\x04\0\x05\0\0\0\0\x81\x02\xbd",
    b"A",
    b"IP=192.0.2.7,PORT=40000",
    b"\0\0\0\x01\0\0\0\x07opcode\0\0\0\x02\0\0\0\x01\0\0\0\x09get_token",
    b"\x11\x22\x33\x44\0\0\0\0\0\0\x13\x88\0\0\0\0\0\0\0\0\0\0\0",
    b"\x11\x22\x33\x44\0\0\0\0\0\0\x13\x89\0\0\0\0\0\0\0\0\0\0\0",
    b"\x3e\xd1\x03\x01\0\0\0\x09123456789",
    b"id\nuname -a\n",
];

const TRANSPORTS: [Transport; 2] = [Transport::Tcp, Transport::Udp];

fn heads<'a>(opener: &'a [u8], answerer: &'a [u8], first: Side, transport: Transport) -> Heads<'a> {
    let first = if opener.is_empty() && answerer.is_empty() { None } else { Some(first) };
    let later = [Datagrams::default(); 2];
    Heads { opener, answerer, first, transport, start: Start::Seen, later }
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
        let known = REGISTRY[..index].iter().filter(|other| other.name == protocol.name).count();
        // Some are known by their opening, and again by their middle.
        let is_again = ["tls", "amqp", "mqtt", "xmpp"].contains(&protocol.name);
        assert!(known == 0 || known == 1 && is_again, "{}", protocol.name);
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
fn never_is_final_in_a_stream() {
    let mut random = Random(0x5eed_0001);
    for _ in 0..20_000 {
        let (lead, follow) = (sample(&mut random), sample(&mut random));
        let first = [Side::Originator, Side::Responder][random.below(2)];
        let lengths = 1..=lead.len() + follow.len();
        let growing = lengths.map(|length| {
            let led = &lead[..length.min(lead.len())];
            spoken(first, led, &follow[..length - led.len()], Transport::Tcp)
        });
        never_is_final(&growing.collect::<Vec<_>>(), Transport::Tcp);
    }
}

#[test]
fn never_is_final_in_datagrams() {
    let mut random = Random(0x5eed_0004);
    for _ in 0..50_000 {
        let (lead, follow) = (sample(&mut random), sample(&mut random));
        let first = [Side::Originator, Side::Responder][random.below(2)];
        let (more, kept) = (sample(&mut random), sample(&mut random));
        let after = [kept_datagrams(&[&kept]), kept_datagrams(&[&more])];
        let growing = [0, 1, 2, 3].map(|count| {
            let said = if count == 0 { &[][..] } else { &follow };
            let later = [
                if count > 1 { Datagrams::later(&after[0]) } else { Datagrams::default() },
                if count > 2 { Datagrams::later(&after[1]) } else { Datagrams::default() },
            ];
            Heads { later, ..spoken(first, &lead, said, Transport::Udp) }
        });
        never_is_final(&growing, Transport::Udp);
    }
}

fn kept_datagrams(datagrams: &[&[u8]]) -> Vec<u8> {
    let mut kept = Vec::new();
    for datagram in datagrams {
        kept.extend(u16::try_from(datagram.len()).unwrap().to_be_bytes());
        kept.extend(&datagram[..datagram.len().min(LATER_BYTES_MAX)]);
    }
    kept
}

fn spoken<'a>(first: Side, lead: &'a [u8], follow: &'a [u8], transport: Transport) -> Heads<'a> {
    match first {
        Side::Originator => heads(lead, follow, first, transport),
        Side::Responder => heads(follow, lead, first, transport),
    }
}

fn never_is_final(growing: &[Heads<'_>], transport: Transport) {
    for protocol in REGISTRY.iter().filter(|each| each.transports.include(transport)) {
        let verdicts = growing.iter().map(|heads| (protocol.probe)(*heads));
        let mut after = verdicts.skip_while(|verdict| *verdict != Verdict::Never);
        let changed = after.position(|verdict| verdict != Verdict::Never);
        assert_eq!(changed, None, "{} changed its mind: {:?}", protocol.name, growing.last());
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
            for protocol in REGISTRY.iter().filter(|each| each.transports.include(transport)) {
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
        let start = [Start::Seen, Start::Missed][random.below(2)];
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
                let heads = Heads {
                    opener: &opener,
                    answerer: &answerer,
                    first,
                    transport,
                    start,
                    later: [Datagrams::default(); 2],
                };
                recognizer.bytes(heads, side, fresh, Time(1), &mut |heard| {
                    left += u32::from(matches!(heard, super::Heard::Left { .. }));
                });
            }
            let _ = recognizer.grammar();
            if random.below(16) == 0 {
                let lost = [0, 1, 1000][random.below(3)];
                recognizer.gap(side, lost);
            }
        }
        recognizer.end(heads(b"", b"", Side::Originator, transport), &mut |_| {});
        assert!(left <= 1);
    }
}
