//! What belongs behind the openings.

use crate::openings::Said;
use crate::talk::By::{Client, Server};

pub(crate) struct Innocent {
    /// The opening's name.
    pub(crate) behind: &'static str,
    pub(crate) turns: &'static [Said],
}

const fn after(behind: &'static str, turns: &'static [Said]) -> Innocent {
    Innocent { behind, turns }
}

const TEXT: &[u8] = b"The quick brown fox jumps over the lazy dog.\nThe end of the file is near.\n";

pub(crate) static INNOCENT: &[Innocent] = &[
    after(
        "http",
        &[
            (Client, b"GET /b HTTP/1.1\r\nHost: a.example\r\n\r\n"),
            (Server, b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found"),
        ],
    ),
    // A file is uploaded, and the server says how far it has come.
    after(
        "http bodies",
        &[
            (Client, &[b'a'; 1200]),
            (Client, &[b'b'; 1200]),
            (Server, b"1%\n"),
            (Client, &[b'c'; 1200]),
        ],
    ),
    after(
        "http upgrade",
        &[(Server, b"\x81\x05hello"), (Client, b"\x81\x85\x01\x02\x03\x04iguhn")],
    ),
    after(
        "smtp",
        &[
            (Client, b"MAIL FROM:<a@example>\r\n"),
            (Server, b"250 ok\r\n"),
            (Client, b"QUIT\r\n"),
            (Server, b"221 bye\r\n"),
        ],
    ),
    after("pop3", &[(Client, b"QUIT\r\n"), (Server, b"+OK bye\r\n")]),
    after("imap", &[(Client, b"a2 LOGOUT\r\n"), (Server, b"* BYE\r\na2 OK\r\n")]),
    after(
        "ftp",
        &[
            (Client, b"PASS a\r\n"),
            (Server, b"230 in\r\n"),
            (Client, b"QUIT\r\n"),
            (Server, b"221 bye\r\n"),
        ],
    ),
    after("redis", &[(Client, b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n"), (Server, b"$2\r\nid\r\n")]),
    // The server becomes the replica's master.
    after(
        "redis",
        &[
            (Client, b"*3\r\n$8\r\nREPLCONF\r\n$14\r\nlistening-port\r\n$4\r\n6380\r\n"),
            (Server, b"+OK\r\n"),
            (Client, b"*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n"),
            (
                Server,
                b"+FULLRESYNC 8de1787ba490483314a4d30f1c628bc5025eb761 0\r\n$18\r\nREDIS0011\xff\
                \0\0\0\0\0\0\0\0",
            ),
            (Server, b"*1\r\n$4\r\nPING\r\n"),
            (Client, b"*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$1\r\n0\r\n"),
        ],
    ),
    after(
        "mqtt",
        &[(Client, b"\x30\x07\0\x01tid\ni"), (Server, b"\x30\x06\0\x01tids"), (Client, b"\xe0\0")],
    ),
    after(
        "vnc",
        &[
            (Server, b"\0\0\0\0"),
            (Client, b"\x01"),
            (Server, b"\x04\0\x03\0\x20\x18\0\x01\0\xff\0\xff\0\xff\x10\x08\0\0\0\0\0\0\0\x04desk"),
            (Client, b"\x06\0\0\0\0\0\0\x05hello"),
            (Server, b"\x03\0\0\0\0\0\0\x05hello"),
        ],
    ),
    after(
        "rdp",
        &[
            (Client, b"\x03\0\0\x0c\x02\xf0\x80\x04\x01\0\x01\0"),
            (Server, b"\x03\0\0\x0b\x02\xf0\x80\x2e\0\0\x06"),
        ],
    ),
    after(
        "x11",
        &[
            (Client, b"\x10\0\x05\0\x09\0\0\0CLIPBOARD\0\0\0"),
            (Server, b"\x01\0\x02\0\0\0\0\0\x45\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        ],
    ),
    // A message of the day, a login, a transfer of text.
    after(
        "rsync",
        &[
            (Server, b"Welcome to the mirror.\n\n"),
            (Client, b"debian\n"),
            (Server, b"@RSYNCD: AUTHREQD 7Lk3\n"),
            (Client, b"bob hGQ2\n"),
            (Server, b"@RSYNCD: OK\n"),
            (Client, b"--server\n--sender\n-lr\n.\ndebian/\n\n"),
            (Server, b"\x24\0\0\x07\x01\0\0\0"),
            (Client, b"\x04\0\0\x07\0\0\0\0"),
            (Server, TEXT),
        ],
    ),
    after(
        "rsync",
        &[
            (Client, b"#list\n"),
            (Server, b"debian         \tthe archive\nubuntu         \tanother\n@RSYNCD: EXIT\n"),
        ],
    ),
    after(
        "git",
        &[
            (Client, b"0032want 7217a7c7e582c46cec22a130adf4b9d7d950fba0\n00000009done\n"),
            (Server, b"0008NAK\n0023\x02Counting objects: 3, done.\n"),
            (Server, TEXT),
        ],
    ),
    after(
        "svn",
        &[
            (Server, b"( success ( ( ANONYMOUS ) 3:svn ) ) "),
            (Client, b"( ANONYMOUS ( 0: ) ) "),
            (Server, b"( success ( ) ) "),
            (Client, b"( get-file ( 5:a.txt ( ) false true ) ) "),
            (Server, b"( success ( ( ) 1 ( ) ) ) 77:"),
            (Server, TEXT),
        ],
    ),
    after(
        "mongodb",
        &[
            (
                Client,
                b"\x22\0\0\0\x08\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x0d\0\0\0\x10ping\0\x01\0\0\
                \0",
            ),
            (
                Server,
                b"\x1e\0\0\0\x0a\0\0\0\x08\0\0\0\xdd\x07\0\0\0\0\0\0\0\x09\0\0\0\x08a\0\x01\0",
            ),
        ],
    ),
    after(
        "tds",
        &[
            (Client, b"\x01\x01\0\x1e\0\0\x01\0s\0e\0l\0e\0c\0t\0 \0\x31\0\r\0\n\0"),
            (Server, b"\x04\x01\0\x15\0\x35\x01\0\xfd\x10\0\xc1\0\x01\0\0\0\0\0\0\0"),
        ],
    ),
    after(
        "ldap",
        &[
            (Client, b"\x30\x05\x02\x01\x02\x42\0"),
            (Server, b"\x30\x0c\x02\x01\x02\x65\x07\x0a\x01\0\x04\0\x04\0"),
        ],
    ),
    // A text file, read block by block.
    after(
        "smb",
        &[
            (Client, b"\0\0\0\x10\xfeSMB\x40\0\x01\0\0\0\0\0\x08\0\0\0"),
            (Server, b"\0\0\x0a\0\xfeSMB\x40\0\x01\0\0\0\0\0\x08\0\0\0"),
            (Server, TEXT),
            (Client, b"\0\0\0\x10\xfeSMB\x40\0\x01\0\0\0\0\0\x08\0\0\0"),
            (Server, TEXT),
        ],
    ),
    after(
        "dcerpc",
        &[
            (Client, b"\x05\0\0\x03\x10\0\0\0\x1c\0\0\0\x02\0\0\0\x04\0\0\0\0\0\x02\0ab\0\0"),
            (Server, b"\x05\0\x02\x03\x10\0\0\0\x1c\0\0\0\x02\0\0\0\x04\0\0\0\0\0\0\0ok\0\0"),
        ],
    ),
    after(
        "kafka",
        &[
            (Client, b"\0\0\0\x17\0\x03\0\0\0\0\0\x82\0\x07rdkafka\0\0\0\x01"),
            (Server, b"\0\0\0\x0a\0\0\0\x82\0\0\0\0\0\0"),
        ],
    ),
    after(
        "bgp",
        &[
            (Client, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\x13\x04"),
            (Server, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\x13\x04"),
        ],
    ),
    after(
        "cassandra",
        &[
            (Client, b"\x04\0\0\x01\x07\0\0\0\x1a\0\0\0\x13SELECT * FROM t; --\n\0\x01\0"),
            (Server, b"\x84\0\0\x01\x08\0\0\0\x04\0\0\0\x01"),
        ],
    ),
    after(
        "zabbix",
        &[
            (Client, b"ZBXD\x01\x0a\0\0\0\0\0\0\0agent.ping"),
            (Server, b"ZBXD\x01\x01\0\0\0\0\0\0\x001"),
        ],
    ),
    after(
        "bitcoin",
        &[
            (Client, b"\xf9\xbe\xb4\xd9verack\0\0\0\0\0\0\0\0\0\0\x5d\xf6\xe0\xe2"),
            (Server, b"\xf9\xbe\xb4\xd9verack\0\0\0\0\0\0\0\0\0\0\x5d\xf6\xe0\xe2"),
        ],
    ),
    // A piece that is text, while the other side asks for more.
    after(
        "bittorrent",
        &[
            (Client, b"\0\0\0\x0d\x06\0\0\0\0\0\0\0\0\0\0\x40\0"),
            (Server, b"\0\0\x40\x09\x07\0\0\0\0\0\0\0\0"),
            (Server, TEXT),
            (Client, b"\0\0\0\x0d\x06\0\0\0\0\0\0\x40\0\0\0\x40\0"),
            (Server, TEXT),
            (Client, b"\0\0\0\x05\x04\0\0\0\x01"),
            (Server, TEXT),
        ],
    ),
    after(
        "jdwp",
        &[
            (Client, b"\0\0\0\x0b\0\0\0\x01\0\x01\x01"),
            (Server, b"\0\0\0\x15\0\0\0\x01\x80\0\0\0\0\0\x06\x31\x37\x2e\x30\x2e\x31"),
        ],
    ),
    after(
        "rmi",
        &[
            (Client, b"\0\x0910.0.0.5\0\0\0\0"),
            (Client, b"\x50\xac\xed\0\x05w\x22"),
            (Server, b"\x51\xac\xed\0\x05w\x0f\x01"),
        ],
    ),
    after(
        "pptp",
        &[
            (Client, b"\0\x10\0\x01\x1a\x2b\x3c\x4d\0\x05\0\0\0\0\0\x01"),
            (Server, b"\0\x14\0\x01\x1a\x2b\x3c\x4d\0\x06\0\0\0\0\0\x01\x01\0\0\0"),
        ],
    ),
    after(
        "elasticsearch",
        &[
            (Client, b"ES\0\0\0\x14\0\0\0\0\0\0\0\x02\x08\0\x5c\xc6\x63\0\0\0\0\0"),
            (Server, b"ES\0\0\0\x14\0\0\0\0\0\0\0\x02\x09\0\x5c\xc6\x63\0\0\0\0\0"),
        ],
    ),
    after(
        "stratum",
        &[
            (
                Client,
                b"{\"id\": 2, \"method\": \"mining.authorize\", \"params\": [\"a\", \"x\"]}\n",
            ),
            (Server, b"{\"id\":2,\"result\":true,\"error\":null}\n"),
            (Server, b"{\"id\":null,\"method\":\"mining.notify\",\"params\":[]}\n"),
            (Client, b"{\"id\": 3, \"method\": \"mining.submit\", \"params\": []}\n"),
        ],
    ),
    after(
        "gnutella",
        &[
            (Client, b"GNUTELLA/0.6 200 OK\r\n\r\n"),
            (Server, b"aaaaaaaaaaaaaaaa\0\x07\0\0\0\0\0"),
            (Client, b"aaaaaaaaaaaaaaaa\x01\x07\0\x0e\0\0\0\xca\x18\x0a\0\0\x05\0\0\0\0\0\0\0\0"),
        ],
    ),
    after(
        "tinc",
        &[
            (Client, b"1 94 64 0 0 8B2F4A\n"),
            (Server, b"1 94 64 0 0 77CE01\n"),
            (Client, b"\x9a\x01\xfe\x80\x12"),
            (Server, b"\x02\xf1\x88\x91\x7c"),
        ],
    ),
    after(
        "quic",
        &[
            (
                Server,
                b"\xc1\0\0\0\x01\0\x08ijklmnop\0\x40\x14\x9a\x01\xfe\x80\x12\x9a\x01\xfe\x80\x12\
                \x9a\x01\xfe\x80\x12\x9a\x01\xfe\x80\x12",
            ),
            (Client, b"Aijklmnop\x02\xf1\x88\x91\x7c\x02\xf1\x88\x91\x7c\x02\xf1"),
            (
                Server,
                b"G\x02\xf1\x88\x91\x7c\x02\xf1\x88\x91\x7c\x02\xf1\x02\xf1\x88\x91\x7c\x02\xf1",
            ),
        ],
    ),
    after(
        "openvpn",
        &[
            (Client, b"\x28abcdefgh\x01\0\0\0\0ijklmnop"),
            (Server, b"\x28ijklmnop\x01\0\0\0\x01abcdefgh"),
            (Client, b"\x20abcdefgh\0\0\0\0\x01\x16\x03\x01\0\x05hello"),
        ],
    ),
    after(
        "stun",
        &[
            (Client, b"\0\x01\0\0\x21\x12\xa4\x42mbcdefghijkl"),
            (
                Server,
                b"\x01\x01\0\x0c\x21\x12\xa4\x42mbcdefghijkl\0\x20\0\x08\0\x01\xa1\x47\xe1\x12\
                \xa6\x43",
            ),
        ],
    ),
    // A call: keys are agreed upon on the same port, then somebody speaks.
    after(
        "stun",
        &[
            (Client, b"\x17\xfe\xfd\0\x01\0\0\0\0\0\x09\0\x08abcdefgh"),
            (Server, b"\x17\xfe\xfd\0\x01\0\0\0\0\0\x09\0\x08abcdefgh"),
            (Client, b"\x80\x6f\0\x01\0\0\0\x01abcdwords in it\n"),
            (Server, b"\x80\x6f\0\x01\0\0\0\x01abcewords in it\n"),
            (Client, b"\x80\x6f\0\x02\0\0\0\x02abcdwords in it\n"),
        ],
    ),
    after(
        "dtls",
        &[
            (Client, b"\x17\xfe\xfd\0\x01\0\0\0\0\0\x09\0\x08abcdefgh"),
            (Server, b"\x17\xfe\xfd\0\x01\0\0\0\0\0\x09\0\x08abcdefgh"),
        ],
    ),
    after(
        "snmp",
        &[
            (Client, b"\x30\x13\x02\x01\x01\x04\x06public\xa1\x06\x02\x01\x02\x02\x01\0"),
            (Server, b"\x30\x13\x02\x01\x01\x04\x06public\xa2\x06\x02\x01\x02\x02\x01\0"),
        ],
    ),
    after(
        "coap",
        &[
            (Client, b"\x43\x01\x05\xcbr\x16\x34\xb1b"),
            (Server, b"\x63\x45\x05\xcbr\x16\x34\xff21.5 C\n"),
            (Client, b"\x43\x01\x05\xccr\x16\x35\xb1b"),
            (Server, b"\x63\x45\x05\xccr\x16\x35\xff21.6 C\n"),
        ],
    ),
    after(
        "radius",
        &[
            (Client, b"\x01\x08\0\x1fabcdefghijklmnop\x01\x05bob\x04\x06\x0a\0\0\x01"),
            (Server, b"\x02\x08\0\x14abcdefghijklmnop"),
        ],
    ),
    after(
        "ipsec",
        &[
            (Client, b"abcdefghijklmnop\x2e\x20\x23\x08\0\0\0\x01\0\0\0\x24\0\0\0\x08"),
            (Server, b"abcdefghijklmnop\x2e\x20\x23\x20\0\0\0\x01\0\0\0\x24\0\0\0\x08"),
        ],
    ),
    after(
        "l2tp",
        &[
            (Client, b"\xc8\x02\0\x14\0\x07\0\0\0\x01\0\x01\x80\x08\0\0\0\0\0\x03"),
            (Server, b"\xc8\x02\0\x0c\0\x05\0\0\0\x01\0\x02"),
        ],
    ),
    after(
        "tftp",
        &[
            (Client, b"\0\x04\0\x01"),
            (Server, b"\0\x03\0\x02default linux\n"),
            (Client, b"\0\x04\0\x02"),
        ],
    ),
    after(
        "gtp",
        &[
            (
                Client,
                b"\x30\xff\0\x1c\0\0\0\x01\x45\0\0\x1c\0\0\0\0\x40\x11\0\0\x0a\0\0\x01\x0a\0\0\
                \x02\0\x35\0\x35\0\x08\0\0",
            ),
            (
                Server,
                b"\x30\xff\0\x1c\0\0\0\x01\x45\0\0\x1c\0\0\0\0\x40\x11\0\0\x0a\0\0\x02\x0a\0\0\
                \x01\0\x35\0\x35\0\x08\0\0",
            ),
        ],
    ),
    after("ntp", &[(Client, &NTP_AGAIN)]),
];

const NTP_AGAIN: [u8; 48] = {
    let mut datagram = [0; 48];
    datagram[0] = 0x23;
    datagram
};

const _: () = assert!(INNOCENT.len() >= 40);
