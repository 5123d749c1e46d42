//! yamux, which runs many streams over one connection (Consul, Nomad, frp, libp2p), by the first
//! header of both sides: HashiCorp, `yamux/spec.md`.

use super::frames::be32_at;
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, client_first, confirmed_only};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "yamux",
    first_bytes: FirstBytes::of(&[0]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let verdict = client_first(&heads, header(heads.opener, SYN), header(heads.answerer, ACK));
    confirmed_only(verdict)
}

/// A version, a type, flags, a stream, a length: either the first stream, or a ping.
fn header(head: &[u8], flag: u8) -> Fit {
    let fits = head.iter().take(4).enumerate().all(|(at, byte)| match at {
        0 | 2 => *byte == 0,
        1 => *byte <= PING,
        _ => *byte == flag,
    });
    let [kind, stream] = [head.get(1).map(|kind| u32::from(*kind)), be32_at(head, 4)];
    match (fits, kind, stream) {
        (false, ..) => Fit::No,
        (true, Some(kind), Some(stream)) => {
            let is_ping = kind == u32::from(PING);
            match (is_ping, stream) {
                (true, 0) | (false, 1 | 2) if head.len() < HEADER_BYTES => Fit::Could,
                (true, 0) | (false, 1 | 2) => Fit::Yes,
                _ => Fit::No,
            }
        }
        _ => Fit::Could,
    }
}

const SYN: u8 = 1;
const ACK: u8 = 2;
const PING: u8 = 2;
const HEADER_BYTES: usize = 12;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const OPENS: &[u8; 12] = b"\0\x01\0\x01\0\0\0\x01\0\0\0\0";

    #[test]
    fn a_stream_that_is_opened_and_acknowledged_is_yamux() {
        let answers = server(b"\0\x01\0\x02\0\0\0\x01\0\0\0\0");
        Story::of(&[client(OPENS), answers]).is_confirmed("yamux");
        let ping = client(b"\0\x02\0\x01\0\0\0\0\0\0\0\x05");
        Story::of(&[ping, server(b"\0\x02\0\x02\0\0\0\0\0\0\0\x05")]).is_confirmed("yamux");
    }

    #[test]
    fn a_stream_that_nobody_acknowledges_is_unsure() {
        Story::of(&[client(OPENS)]).is_nothing();
    }

    #[test]
    fn another_stream_or_a_shell_is_not_yamux() {
        Story::of(&[client(OPENS), server(b"\0\x01\0\x02\0\0\0\x07\0\0\0\0")]).is_nothing();
        Story::of(&[client(OPENS), server(b"id\n")]).is_nothing();
    }
}
