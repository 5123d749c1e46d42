//! How protocols open over TCP: the first bytes of both sides, by their specifications.

use crate::talk::By::{self, Client, Server};

/// What carries a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Udp,
}
use Transport::Tcp;

pub(crate) type Said = (By, &'static [u8]);

pub(crate) struct Opening {
    pub(crate) name: &'static str,
    pub(crate) transport: Transport,
    /// The protocol's own, where it has one: nothing else is to be odd about it.
    pub(crate) port: u16,
    pub(crate) turns: &'static [Said],
}

const fn tcp(name: &'static str, port: u16, turns: &'static [Said]) -> Opening {
    Opening { name, transport: Tcp, port, turns }
}

pub(crate) static STREAMS: &[Opening] = &[
    // RFC 4253, section 4.2.
    tcp("ssh", 22, &[(Server, b"SSH-2.0-OpenSSH_9.6\r\n"), (Client, b"SSH-2.0-OpenSSH_9.6\r\n")]),
    // RFC 8446, section 4.1.2.
    tcp("tls", 443, &[(Client, TLS_HELLO)]),
    // RFC 9112.
    tcp(
        "http",
        80,
        &[
            (Client, b"GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n"),
            (Server, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ],
    ),
    tcp("http bodies", 80, HTTP_BODIES),
    tcp(
        "http upgrade",
        80,
        &[
            (
                Client,
                b"GET /a HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrad\
                e\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\
                \n\r\n",
            ),
            (
                Server,
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\
                \r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            ),
        ],
    ),
    // RFC 5321, 1939, 9051, 959 and 3977: greetings.
    tcp(
        "smtp",
        25,
        &[
            (Server, b"220 mx.example ESMTP\r\n"),
            (Client, b"EHLO a.example\r\n"),
            (Server, b"250 mx.example\r\n"),
        ],
    ),
    tcp(
        "pop3",
        110,
        &[(Server, b"+OK POP3 ready\r\n"), (Client, b"USER a\r\n"), (Server, b"+OK\r\n")],
    ),
    tcp(
        "imap",
        143,
        &[
            (Server, b"* OK IMAP4rev1 ready\r\n"),
            (Client, b"a1 NOOP\r\n"),
            (Server, b"a1 OK done\r\n"),
        ],
    ),
    tcp(
        "ftp",
        21,
        &[
            (Server, b"220 ftp.example FTP\r\n"),
            (Client, b"USER anonymous\r\n"),
            (Server, b"331 password\r\n"),
        ],
    ),
    // redis.io, "RESP protocol spec".
    tcp("redis", 6379, &[(Client, b"*1\r\n$4\r\nPING\r\n"), (Server, b"+PONG\r\n")]),
    // dev.mysql.com, "Protocol::HandshakeV10".
    tcp(
        "mysql",
        3306,
        &[(
            Server,
            b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xf7\xff\x02\0\xff\xdf\x15\0\0\0\
                \0\0\0\0\0\0\0abcdefghijkl\0mysql_native_password\0",
        )],
    ),
    // postgresql.org, "Message Formats".
    tcp("postgresql", 5432, &[(Client, b"\0\0\0\x08\x04\xd2\x16\x2f"), (Server, b"N")]),
    // MQTT 3.1.1, section 3.1.
    tcp(
        "mqtt",
        1883,
        &[(Client, b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a"), (Server, b"\x20\x02\0\0")],
    ),
    tcp("amqp", 5672, &[(Client, b"AMQP\0\0\x09\x01")]),
    // RFC 6143, section 7.1.
    tcp(
        "vnc",
        5900,
        &[
            (Server, b"RFB 003.008\n"),
            (Client, b"RFB 003.008\n"),
            (Server, b"\x01\x01"),
            (Client, b"\x01"),
        ],
    ),
    // MS-RDPBCGR, section 2.2.1.
    tcp(
        "rdp",
        3389,
        &[
            (Client, b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0"),
            (Server, b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\0\x08\0\x01\0\0\0"),
        ],
    ),
    // X11 protocol, "Connection Setup".
    tcp(
        "x11",
        6000,
        &[
            (Client, b"l\0\x0b\0\0\0\x12\0\x10\0\0\0MIT-MAGIC-COOKIE-1\0\0aaaaaaaaaaaaaaaa"),
            (Server, b"\x01\0\x0b\0\0\0\x0a\x05"),
        ],
    ),
    // rsync, clientserver.c: exchange_protocols.
    tcp("rsync", 873, &[(Server, b"@RSYNCD: 31.0\n"), (Client, b"@RSYNCD: 31.0\n")]),
    tcp(
        "git",
        9418,
        &[
            (Client, b"0027git-upload-pack /a.git\0host=b\0"),
            (
                Server,
                b"004f7217a7c7e582c46cec22a130adf4b9d7d950fba0 HEAD\0multi_ack side-band-64k\n00\
                00",
            ),
        ],
    ),
    tcp(
        "svn",
        3690,
        &[
            (Server, b"( success ( 2 2 ( ) ( edit-pipeline ) ) ) "),
            (Client, b"( 2 ( edit-pipeline ) 9:svn://a/b ) "),
        ],
    ),
    // mongodb.com, "Wire Protocol".
    tcp(
        "mongodb",
        27017,
        &[
            (Client, b"\x14\0\0\0\x07\0\0\0\0\0\0\0\xd4\x07\0\0\0\0\0\0"),
            (
                Server,
                b"\x24\0\0\0\x09\0\0\0\x07\0\0\0\x01\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
                \0\0",
            ),
        ],
    ),
    // MS-TDS, section 2.2.6.5.
    tcp(
        "tds",
        1433,
        &[
            (
                Client,
                b"\x12\x01\0\x2f\0\0\x01\0\0\0\x1a\0\x06\x01\0\x20\0\x01\x02\0\x21\0\x01\x03\0\
                \x22\0\x04\x04\0\x26\0\x01\xff\x11\0\0\x01\0\0\0\0\0\0\0\0\0\0",
            ),
            (
                Server,
                b"\x04\x01\0\x2b\0\0\x01\0\0\0\x1a\0\x06\x01\0\x20\0\x01\x02\0\x21\0\x01\x03\0\
                \x22\0\0\x04\0\x22\0\x01\xff\x0f\0\x07\xd0\0\0\x02\0\0",
            ),
        ],
    ),
    // RFC 4511, section 4.2.
    tcp(
        "ldap",
        389,
        &[
            (Client, b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0"),
            (Server, b"\x30\x84\0\0\0\x10\x02\x01\x01\x61\x84\0\0\0\x07\x0a\x01\0\x04\0\x04\0"),
        ],
    ),
    // MS-SMB2, section 2.2.3.
    tcp(
        "smb",
        445,
        &[
            (Client, b"\0\0\0\x0c\xffSMBr\0\0\0\0\0\0\0"),
            (Server, b"\0\0\0\x10\xfeSMB\x40\0\0\0\0\0\0\0\0\0\0\0"),
        ],
    ),
    tcp(
        "dcerpc",
        135,
        &[
            (Client, b"\x05\0\x0b\x03\x10\0\0\0\x10\0\0\0\x01\0\0\0"),
            (Server, b"\x05\0\x0c\x03\x10\0\0\0\x10\0\0\0\x01\0\0\0"),
        ],
    ),
    // kafka.apache.org, "ApiVersions".
    tcp(
        "kafka",
        9092,
        &[
            (Client, b"\0\0\0\x15\0\x12\0\0\0\0\0\x81\0\x07rdkafka\0\0\0\0"),
            (Server, b"\0\0\0\x0a\0\0\0\x81\0\0\0\0\0\0"),
        ],
    ),
    // RFC 4271, section 4.1: KEEPALIVE.
    tcp(
        "bgp",
        179,
        &[
            (Client, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\x13\x04"),
            (Server, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\x13\x04"),
        ],
    ),
    // CQL binary protocol, version 4: OPTIONS, SUPPORTED.
    tcp(
        "cassandra",
        9042,
        &[(Client, b"\x04\0\0\0\x05\0\0\0\0"), (Server, b"\x84\0\0\0\x06\0\0\0\x02\0\0")],
    ),
    tcp(
        "zabbix",
        10051,
        &[(Client, b"ZBXD\x01\x02\0\0\0\0\0\0\0{}"), (Server, b"ZBXD\x01\x02\0\0\0\0\0\0\0{}")],
    ),
    // Bitcoin developer reference, "Message Headers".
    tcp("bitcoin", 8333, &[(Client, BITCOIN_VERSION), (Server, BITCOIN_VERSION)]),
    // BEP 3.
    tcp(
        "bittorrent",
        6881,
        &[
            (
                Client,
                b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbb\
                b",
            ),
            (
                Server,
                b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0aaaaaaaaaaaaaaaaaaaaccccccccccccccccccc\
                c",
            ),
        ],
    ),
    // Java SE, "Java Debug Wire Protocol", "JRMP".
    tcp("jdwp", 5005, &[(Client, b"JDWP-Handshake"), (Server, b"JDWP-Handshake")]),
    tcp("rmi", 1099, &[(Client, b"JRMI\0\x02K"), (Server, b"N\0\x0910.0.0.5\0\0\xcb\xf0")]),
    // RFC 2637, section 2.1.
    tcp(
        "pptp",
        1723,
        &[
            (Client, b"\0\x9c\0\x01\x1a\x2b\x3c\x4d\0\x01\0\0\x01\0\0\0"),
            (Server, b"\0\x9c\0\x01\x1a\x2b\x3c\x4d\0\x02\0\0\x01\0\x01\0"),
        ],
    ),
    tcp(
        "elasticsearch",
        9300,
        &[
            (Client, b"ES\0\0\0\x34\0\0\0\0\0\0\0\x01\x08\0\x5c\xc6\x63\0\0\0\0"),
            (Server, b"ES\0\0\0\x13\0\0\0\0\0\0\0\x01\x09\0\x5c\xc6\x63\0\0\0\0"),
        ],
    ),
    tcp(
        "stratum",
        3333,
        &[
            (Client, b"{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": []}\n"),
            (
                Server,
                b"{\"id\":1,\"result\":[[[\"mining.notify\",\"a\"]],\"08\",4],\"error\":null}\n",
            ),
        ],
    ),
    tcp(
        "gnutella",
        6346,
        &[
            (Client, b"GNUTELLA CONNECT/0.6\r\nUser-Agent: a\r\n\r\n"),
            (Server, b"GNUTELLA/0.6 200 OK\r\n\r\n"),
        ],
    ),
    tcp("tinc", 655, &[(Client, b"0 alice 17.7\n"), (Server, b"0 bob 17.7\n")]),
    tcp("ident", 113, &[(Client, b"6193, 23\r\n"), (Server, b"6193, 23 : USERID : UNIX : a\r\n")]),
];

const HTTP_BODIES: &[Said] = &[
    (Client, b"POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000000\r\n\r\n"),
    (Server, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"),
];

const TLS_HELLO: &[u8] =
    b"\x16\x03\x01\0\x3f\x01\0\0\x3b\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0\0\x04\x13\x01\x13\
    \x02\x01\0\0\x0e\0\0\0\x0a\0\x08\0\0\x05a.com";

const BITCOIN_VERSION: &[u8] =
    b"\xf9\xbe\xb4\xd9version\0\0\0\0\0\x55\0\0\0\x01\x02\x03\x04\x7f\x11\x01\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
