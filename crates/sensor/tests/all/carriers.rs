//! Whatever carries a conversation, and however it was captured, it is the same conversation.

use observation::{Flaws, FlowClosed, PortId};
use sensor::{Direction, LinkType};

use crate::wire::By::{Client, Server};
use crate::wire::{Frame, Talk, closed, ip, tell, udp_packet};

/// A request and its answer: IPv4 packets.
fn exchange() -> Talk {
    Talk::between("10.1.0.2:40000", "10.1.0.3:31337")
        .handshake()
        .says(Client, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        .says(Server, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .fin(Client)
        .fin(Server)
}

fn ethernet(tags: &[u8], packet: &[u8]) -> Vec<u8> {
    let kind =
        if packet.first().is_some_and(|first| first >> 4 == 6) { [0x86, 0xdd] } else { [8, 0] };
    [&[2; 12], tags, &kind, packet].concat()
}

/// Both directions between the ends of a tunnel.
fn outer(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ip("192.168.0.1".parse().unwrap(), "192.168.0.2".parse().unwrap(), protocol, payload)
}

fn in_udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let to = std::net::SocketAddr::new("192.168.0.2".parse().unwrap(), port);
    udp_packet("192.168.0.1:50000".parse().unwrap(), to, payload)
}

/// The one flow of frames that were changed like this.
fn carried(link: LinkType, change: impl Fn(&[u8]) -> Vec<Vec<u8>>) -> FlowClosed<'static> {
    let frames: Vec<Frame> = exchange()
        .frames
        .iter()
        .flat_map(|frame| {
            change(&frame.bytes).into_iter().map(|bytes| Frame { link, bytes, ..frame.clone() })
        })
        .collect();
    let mut flows = closed(&tell(&frames));
    assert_eq!(flows.len(), 1, "{flows:?}");
    flows.remove(0)
}

#[test]
fn tunnels_and_tags_change_nothing_inside() {
    let vxlan = [8, 0, 0, 0, 0, 0, 5, 0];
    type Carry<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;
    let carriers: [(&str, Carry<'_>); 12] = [
        ("QinQ", &|packet| ethernet(&[0x88, 0xa8, 0, 5, 0x81, 0, 0, 7], packet)),
        ("VXLAN", &|packet| {
            let inner = ethernet(&[], packet);
            ethernet(&[], &in_udp(4789, &[&vxlan[..], &inner].concat()))
        }),
        ("VXLAN on Linux's port", &|packet| {
            let inner = ethernet(&[0x81, 0, 0, 7], packet);
            ethernet(&[], &in_udp(8472, &[&vxlan[..], &inner].concat()))
        }),
        ("GENEVE", &|packet| {
            ethernet(&[], &in_udp(6081, &[&[1, 0, 8, 0, 0, 0, 5, 0, 1, 1, 1, 1], packet].concat()))
        }),
        ("GTP", &|packet| {
            ethernet(&[], &in_udp(2152, &[&[0x30, 255, 0, 0, 0, 0, 0, 5], packet].concat()))
        }),
        ("GRE", &|packet| ethernet(&[], &outer(47, &[&[0, 0, 8, 0], packet].concat()))),
        ("GRE with Ethernet", &|packet| {
            let inner = ethernet(&[], packet);
            ethernet(&[], &outer(47, &[&[0x20, 0, 0x65, 0x58, 0, 0, 0, 9], &*inner].concat()))
        }),
        ("ERSPAN II", &|packet| {
            let head = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 5, 0, 0, 0, 0];
            ethernet(&[], &outer(47, &[&head[..], &ethernet(&[], packet)].concat()))
        }),
        ("IP in IP", &|packet| ethernet(&[], &outer(4, packet))),
        ("IP in IP in VXLAN", &|packet| {
            let inner = ethernet(&[], &outer(4, packet));
            ethernet(&[], &in_udp(4789, &[&vxlan[..], &inner].concat()))
        }),
        ("a frame's padding", &|packet| [&*ethernet(&[], packet), &[0; 40]].concat()),
        ("no more than its frame", &|packet| ethernet(&[], packet)),
    ];
    for (name, carry) in carriers {
        let flow = carried(LinkType::Ethernet, |packet| vec![carry(packet)]);
        assert_eq!(flow.protocols, ["http"], "{name}");
        assert_eq!(
            (flow.originator.payload_bytes, flow.responder.payload_bytes),
            (28, 40),
            "{name}"
        );
        assert_eq!(flow.key.responder.port, 31337, "{name}");
    }
}

/// Offload leaves checksums to the network card, a length of zero to large frames.
#[test]
fn what_offload_leaves_behind_is_no_flaw() {
    let flow = carried(LinkType::RawIp, |packet| {
        let mut packet = packet.to_vec();
        // The IP header's checksum and TCP's.
        packet[10..12].copy_from_slice(&[0xde, 0xad]);
        packet[36..38].copy_from_slice(&[0xbe, 0xef]);
        packet[2..4].fill(0);
        vec![packet]
    });
    assert_eq!((flow.protocols, flow.flaws), (vec!["http".into()], Flaws::NONE));
    let large =
        [b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n".as_slice(), &[b'x'; 60_000]].concat();
    let talk = Talk::new().handshake().says(Client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let flow = closed(&talk.says(Server, &large).told()).remove(0);
    assert_eq!((flow.protocols, flow.flaws), (vec!["http".into()], Flaws::NONE));
}

#[test]
fn fragments_are_put_together_in_any_order() {
    let cut = |packet: &[u8]| {
        let (header, payload) = packet.split_at(20);
        let mut parts: Vec<Vec<u8>> = Vec::new();
        for (number, part) in payload.chunks(16).enumerate() {
            let mut bytes = [header, part].concat();
            let length = bytes.len() as u16;
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            let more = if number * 16 + part.len() < payload.len() { 0x2000 } else { 0 };
            bytes[6..8].copy_from_slice(&(more | (number * 2) as u16).to_be_bytes());
            // A datagram's own number, so that none is taken for another's.
            bytes[4..6].copy_from_slice(&[packet[24], packet[27] ^ packet[31]]);
            parts.push(bytes);
        }
        parts.reverse();
        parts
    };
    let flow = carried(LinkType::RawIp, cut);
    assert_eq!(flow.protocols, ["http"]);
    assert_eq!((flow.originator.payload_bytes, flow.responder.payload_bytes), (28, 40));
}

#[test]
fn extension_headers_are_passed_over() {
    let flow = carried(LinkType::RawIp, |packet| {
        // Hop-by-hop, destination options, an atomic fragment, then TCP.
        let extensions: [[u8; 8]; 3] =
            [[60, 0, 1, 4, 0, 0, 0, 0], [44, 0, 1, 4, 0, 0, 0, 0], [6, 0, 0, 0, 0, 0, 0, 9]];
        let payload = [&*extensions.concat(), &packet[20..]].concat();
        let end = |last: u8| std::net::IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(last)]);
        vec![ip(end(packet[15]), end(packet[19]), 0, &payload)]
    });
    assert_eq!(flow.protocols, ["http"]);
    assert_eq!((flow.originator.payload_bytes, flow.responder.payload_bytes), (28, 40));
}

#[test]
fn one_side_alone_is_a_proposal_and_says_so() {
    for (by, kept) in [(Client, Direction::Outward), (Server, Direction::Inward)] {
        let mut talk = exchange();
        talk.frames.retain(|frame| frame.direction == kept);
        let flow = closed(&talk.told()).remove(0);
        assert_eq!(flow.protocols, ["http"], "{by:?}");
        assert!(flow.flaws.has(Flaws::ONE_SIDED), "{by:?}");
        assert_eq!(flow.key.responder.port, 31337, "{by:?}");
    }
}

#[test]
fn a_conversation_under_way_is_still_what_it_is() {
    let mut talk = exchange();
    talk.frames.drain(..3);
    let flow = closed(&talk.told()).remove(0);
    assert_eq!(flow.protocols, ["http"]);
    assert!(flow.flaws.has(Flaws::MIDSTREAM));
}

/// What a proxy leads to is identified, whatever the proxy.
#[test]
fn what_is_inside_a_proxy_is_identified() {
    let inside = |talk: Talk| {
        talk.says(Client, b"SSH-2.0-a\r\n").says(Server, b"SSH-2.0-b\r\n").fin(Client).fin(Server)
    };
    let proxies: [(&str, &[u8], &[u8]); 4] = [
        ("http", b"CONNECT a:22 HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"),
        (
            "http",
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        ),
        ("socks", b"\x04\x01\0\x16\x0a\0\0\x05\0", b"\0\x5a\0\0\0\0\0\0"),
        ("proxy_protocol", b"PROXY TCP4 192.0.2.7 10.0.0.5 56324 22\r\n", b""),
    ];
    for (proxy, asks, grants) in proxies {
        let mut talk = Talk::new().handshake().says(Client, asks);
        if !grants.is_empty() {
            talk = talk.says(Server, grants);
        }
        let flow = closed(&inside(talk).told()).remove(0);
        assert_eq!(flow.protocols, [proxy, "ssh"]);
        assert_eq!(flow.key.port, PortId(7));
    }
}
