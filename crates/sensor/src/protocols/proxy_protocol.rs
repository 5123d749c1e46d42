//! The PROXY protocol, with which a balancer tells whom it speaks for, in its two versions:
//! HAProxy, `proxy-protocol.txt`. What follows its header is a stream like any other.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use observation::{DetailKind, Side};

use super::client_hello::Fields;
use super::follow::{Context, Follow, Follower, Next, Step};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, decimal, first_line, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "proxy_protocol",
    first_bytes: FirstBytes::of(b"P\r"),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::ProxyProtocol(Announcement::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    match (heads.first, header(heads.opener)) {
        (Some(Side::Responder), _) => Verdict::Never,
        (_, Header::No) => Verdict::Never,
        (_, Header::Part) => Verdict::Unsure,
        // Nothing answers it.
        (_, Header::Whole { .. }) => Verdict::Confirmed,
    }
}

/// What a stream begins with.
#[derive(Debug, PartialEq, Eq)]
enum Header {
    No,
    Part,
    /// Its length, and whom it announces; nobody for a balancer's own checks.
    Whole {
        length: usize,
        source: Option<String>,
    },
}

fn header(head: &[u8]) -> Header {
    match (literal(head, b"PROXY "), literal(head, SIGNATURE)) {
        (Fit::Yes, _) => written(head),
        (_, Fit::Yes) => binary(head),
        (Fit::No, Fit::No) => Header::No,
        _ => Header::Part,
    }
}

/// Version 1: one line of words.
fn written(head: &[u8]) -> Header {
    let Some(line) = first_line(head) else {
        return if head.len() < LINE_BYTES_MAX { Header::Part } else { Header::No };
    };
    let length = line.len() + 2;
    if length > LINE_BYTES_MAX || head.get(line.len()) != Some(&b'\r') {
        return Header::No;
    }
    let mut words = line.split(|byte| *byte == b' ').skip(1);
    match words.next() {
        Some(b"UNKNOWN") => Header::Whole { length, source: None },
        Some(b"TCP4" | b"TCP6") => {
            let words: Vec<&[u8]> = words.take(5).collect();
            let [from, to, from_port, to_port] = words.as_slice() else { return Header::No };
            let is_port = |word: &[u8]| decimal(word).is_some_and(|port| port <= 65535);
            match (address(from), address(to), is_port(from_port) && is_port(to_port)) {
                (Some(from), Some(_), true) => {
                    let port = String::from_utf8_lossy(from_port);
                    Header::Whole { length, source: Some(format!("{from}:{port}")) }
                }
                _ => Header::No,
            }
        }
        _ => Header::No,
    }
}

fn address(word: &[u8]) -> Option<String> {
    let text = core::str::from_utf8(word).ok()?;
    let four = text.parse::<Ipv4Addr>().ok().map(|address| format!("{address}"));
    four.or_else(|| text.parse::<Ipv6Addr>().ok().map(|address| format!("[{address}]")))
}

/// Version 2: a command, a family, a length, addresses and ports, more fields.
fn binary(head: &[u8]) -> Header {
    let mut fields = Fields(head.get(SIGNATURE.len()..).unwrap_or_default());
    let (Some(command), Some(family)) = (fields.byte(), fields.byte()) else {
        return match head.get(SIGNATURE.len()) {
            None | Some(0x20 | 0x21) => Header::Part,
            Some(_) => Header::No,
        };
    };
    let least = match (command, family) {
        (0x20, _) | (0x21, 0) => 0,
        (0x21, 0x11 | 0x12) => 12,
        (0x21, 0x21 | 0x22) => 36,
        (0x21, 0x31 | 0x32) => 216,
        _ => return Header::No,
    };
    let Some(rest) = fields.short().map(usize::from) else { return Header::Part };
    if !(least..=FIELDS_BYTES_MAX).contains(&rest) {
        return Header::No;
    }
    match fields.take(rest) {
        None => Header::Part,
        Some(rest) => {
            let length = SIGNATURE.len() + 4 + rest.len();
            Header::Whole {
                length,
                source: if command == 0x21 { source(family, rest) } else { None },
            }
        }
    }
}

fn source(family: u8, fields: &[u8]) -> Option<String> {
    let mut fields = Fields(fields);
    match family >> 4 {
        1 => {
            let address = Ipv4Addr::from(*fields.take(4)?.first_chunk::<4>()?);
            fields.take(4)?;
            Some(format!("{address}:{}", fields.short()?))
        }
        2 => {
            let address = Ipv6Addr::from(*fields.take(16)?.first_chunk::<16>()?);
            fields.take(16)?;
            Some(format!("[{address}]:{}", fields.short()?))
        }
        _ => None,
    }
}

/// The header, kept until it is whole.
#[derive(Debug, Default)]
pub(super) struct Announcement(Vec<u8>);

impl Follow for Announcement {
    fn feed(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Step {
        if side == Side::Responder {
            // Whoever is announced to waits for the header.
            return Step::Left;
        }
        let before = self.0.len();
        let room = (HEADER_BYTES_MAX - before).min(bytes.len());
        self.0.extend_from_slice(bytes.get(..room).unwrap_or_default());
        match header(&self.0) {
            Header::No => Step::Left,
            Header::Part if self.0.len() < HEADER_BYTES_MAX => Step::Obeys,
            Header::Part => Step::Left,
            Header::Whole { length, source } => {
                if let Some(source) = source {
                    let kind = DetailKind::Source;
                    context.detail(PROTOCOL.name, kind, Side::Originator, source.as_bytes());
                }
                Step::Becomes(Next::Tunnel, bytes.len() - length.saturating_sub(before))
            }
        }
    }

    fn held(&self) -> usize {
        self.0.capacity()
    }

    fn gap(&mut self, _: Side) {}
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const LINE_BYTES_MAX: usize = 107;
const FIELDS_BYTES_MAX: usize = 1024;
const HEADER_BYTES_MAX: usize = SIGNATURE.len() + 4 + FIELDS_BYTES_MAX;

#[cfg(test)]
mod tests {
    use observation::Certainty;

    use crate::protocols::story::{Story, client, server};

    const REQUEST: &[u8; 18] = b"GET / HTTP/1.0\r\n\r\n";
    const RESPONSE: &[u8; 19] = b"HTTP/1.0 200 OK\r\n\r\n";

    #[test]
    fn the_stream_behind_either_header_is_identified() {
        let written = client(b"PROXY TCP4 192.0.2.7 10.0.0.5 56324 443\r\n");
        let binary = client(
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f\xc0\0\x02\x07\x0a\0\0\x05\xdc\x04\x01\xbb\x04\0\0",
        );
        for header in [written, binary] {
            let story = Story::of(&[header, client(REQUEST), server(RESPONSE)]);
            assert_eq!(story.names, ["proxy_protocol", "http"]);
            assert_eq!((story.certainty, story.left), (Some(Certainty::Confirmed), None));
            let told = "Source, side: Originator, value: \"192.0.2.7:56324\"";
            assert!(story.facts[0].contains(told), "{:?}", story.facts);
        }
    }

    #[test]
    fn header_and_stream_may_share_a_segment() {
        let both = client(b"PROXY UNKNOWN\r\nGET / HTTP/1.0\r\n\r\n");
        assert_eq!(Story::of(&[both, server(RESPONSE)]).names, ["proxy_protocol", "http"]);
        let local = client(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0GET / HTTP/1.0\r\n\r\n");
        assert_eq!(Story::of(&[local, server(RESPONSE)]).names, ["proxy_protocol", "http"]);
    }

    #[test]
    fn a_header_cut_short_is_unsure() {
        Story::of(&[client(b"PROXY TCP4 192.0.2.7 10.0")]).is_nothing();
        Story::of(&[client(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0")]).is_nothing();
    }

    #[test]
    fn what_only_begins_alike_is_not_proxy() {
        for other in [&b"PROXY TCP4 192.0.2.7 10.0.0.5 70000 443\r\n"[..], b"PROXY on\r\n"] {
            Story::of(&[(observation::Side::Originator, other)]).is_nothing();
        }
        Story::of(&[client(b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c\xc0")]).is_nothing();
    }

    #[test]
    fn a_shell_behind_the_header_is_no_protocol() {
        let header = client(b"PROXY TCP4 192.0.2.7 10.0.0.5 56324 443\r\n");
        let story = Story::of(&[header, server(b"id\n"), client(b"uid=0(root)\n")]);
        assert_eq!(story.names, ["proxy_protocol"]);
    }
}
