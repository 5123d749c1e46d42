//! How protocols open over UDP.

use crate::openings::{Opening, Said, Transport::Udp};
use crate::talk::By::{Client, Server};

const fn udp(name: &'static str, port: u16, turns: &'static [Said]) -> Opening {
    Opening { name, transport: Udp, port, turns }
}

pub(crate) static DATAGRAMS: &[Opening] = &[
    // RFC 9000, section 17.2.2, without a payload that anybody could open.
    udp("quic", 443, &[(Client, &QUIC_INITIAL)]),
    // openvpn, "Reset" packets: P_CONTROL_HARD_RESET_CLIENT_V2 and _SERVER_V2.
    udp(
        "openvpn",
        1194,
        &[
            (Client, b"\x38abcdefgh\0\0\0\0\0"),
            (Server, b"\x40ijklmnop\x01\0\0\0\0abcdefgh\0\0\0\0"),
        ],
    ),
    // RFC 8489, section 5.
    udp(
        "stun",
        3478,
        &[
            (Client, b"\0\x01\0\0\x21\x12\xa4\x42abcdefghijkl"),
            (
                Server,
                b"\x01\x01\0\x0c\x21\x12\xa4\x42abcdefghijkl\0\x20\0\x08\0\x01\xa1\x47\xe1\x12\
                \xa6\x43",
            ),
        ],
    ),
    // RFC 6347, section 4.3.2.
    udp(
        "dtls",
        5684,
        &[
            (Client, b"\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x0c\x01\0\0\0\0\0\0\0\0\0\0\0"),
            (Server, b"\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x0c\x03\0\0\0\0\0\0\0\0\0\0\0"),
        ],
    ),
    // RFC 5905, section 7.3.
    udp("ntp", 123, &[(Client, &NTP_ASKS), (Server, &NTP_ANSWERS)]),
    // RFC 3416.
    udp(
        "snmp",
        161,
        &[
            (Client, b"\x30\x13\x02\x01\x01\x04\x06public\xa0\x06\x02\x01\x01\x02\x01\0"),
            (Server, b"\x30\x13\x02\x01\x01\x04\x06public\xa2\x06\x02\x01\x01\x02\x01\0"),
        ],
    ),
    // RFC 7252, section 3.
    udp(
        "coap",
        5683,
        &[
            (Client, b"\x43\x01\x05\xcar\x16\x33\xb1a"),
            (Server, b"\x63\x45\x05\xcar\x16\x33\xff</a>"),
        ],
    ),
    // RFC 2865, section 3.
    udp(
        "radius",
        1812,
        &[
            (Client, b"\x01\x07\0\x1fabcdefghijklmnop\x01\x05bob\x04\x06\x0a\0\0\x01"),
            (Server, b"\x02\x07\0\x14abcdefghijklmnop"),
        ],
    ),
    // RFC 7296, section 3.1.
    udp(
        "ipsec",
        500,
        &[
            (Client, b"abcdefgh\0\0\0\0\0\0\0\0\x21\x20\x22\x08\0\0\0\0\0\0\0\x20\0\0\0\x04"),
            (Server, b"abcdefghijklmnop\x21\x20\x22\x20\0\0\0\0\0\0\0\x20\0\0\0\x04"),
        ],
    ),
    // RFC 2661, section 3.1.
    udp(
        "l2tp",
        1701,
        &[
            (Client, b"\xc8\x02\0\x14\0\0\0\0\0\0\0\0\x80\x08\0\0\0\0\0\x01"),
            (Server, b"\xc8\x02\0\x14\0\x05\0\0\0\0\0\x01\x80\x08\0\0\0\0\0\x02"),
        ],
    ),
    // RFC 1350, section 5.
    udp("tftp", 69, &[(Client, b"\0\x01boot.cfg\0octet\0"), (Server, b"\0\x03\0\x01label linux")]),
    // 3GPP TS 29.281, section 7.2.
    udp(
        "gtp",
        2152,
        &[
            (Client, b"\x32\x01\0\x04\0\0\0\0\0\x01\0\0"),
            (Server, b"\x32\x02\0\x06\0\0\0\0\0\x01\0\0\x0e\0"),
        ],
    ),
    // RFC 1035, section 4.1.
    udp(
        "dns",
        53,
        &[
            (Client, b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01"),
            (
                Server,
                b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x01a\x07example\0\0\x01\0\x01\xc0\x0c\0\
                \x01\0\x01\0\0\0\x3c\0\x04\xc6\x33\x64\x0a",
            ),
        ],
    ),
];

const QUIC_INITIAL: [u8; 1200] = {
    let mut datagram = [0x5a; 1200];
    let head = *b"\xc3\0\0\0\x01\x08abcdefgh\0\0\x44\x9e";
    let mut at = 0;
    while at < head.len() {
        datagram[at] = head[at];
        at += 1;
    }
    datagram
};

const NTP_ASKS: [u8; 48] = {
    let mut datagram = [0; 48];
    datagram[0] = 0x23;
    datagram
};

const NTP_ANSWERS: [u8; 48] = {
    let mut datagram = [0; 48];
    datagram[0] = 0x24;
    datagram[1] = 2;
    datagram[3] = 0xe9;
    datagram
};
