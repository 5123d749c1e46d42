//! Apache Pulsar, by the first command of each side: Pulsar, "Binary protocol".

use super::frames::{be32, be32_at};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, client_first, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "pulsar",
    first_bytes: FirstBytes::of(&[0]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    client_first(&heads, command(heads.opener, CONNECT), command(heads.answerer, CONNECTED))
}

/// Two lengths, of the frame and of the command in it; the command's type twice, as its own field
/// and as that of its body.
fn command(head: &[u8], kind: u8) -> Fit {
    let lengths = (be32(head), be32_at(head, 4).map(|length| length as usize));
    let body = head.get(8..).unwrap_or_default();
    let begins = literal(body.get(..3).unwrap_or(body), &[0x08, kind, kind << 3 | 2]);
    match lengths {
        _ if head.first().is_some_and(|high| *high != 0) => Fit::No,
        (Some(frame), _) if !(8..=FRAME_BYTES_MAX).contains(&frame) => Fit::No,
        (Some(frame), Some(command)) if frame != command + 4 => Fit::No,
        (Some(_), Some(_)) => begins,
        _ => Fit::Could,
    }
}

const CONNECT: u8 = 2;
const CONNECTED: u8 = 3;
const FRAME_BYTES_MAX: usize = 5 << 20;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const CONNECT: &[u8; 17] = b"\0\0\0\x0d\0\0\0\x09\x08\x02\x12\x05\x0a\x033.1";

    #[test]
    fn a_connection_that_is_granted_is_pulsar() {
        let answers = server(b"\0\0\0\x0d\0\0\0\x09\x08\x03\x1a\x05\x0a\x033.1");
        Story::of(&[client(CONNECT), answers]).is_confirmed("pulsar");
        Story::of(&[client(CONNECT)]).is_only_proposed("pulsar");
    }

    #[test]
    fn pulsar_cut_short_is_unsure() {
        Story::of(&[client(b"\0\0\0\x0d\0\0\0\x09\x08\x02")]).is_nothing();
    }

    #[test]
    fn lengths_that_do_not_add_up_are_not_pulsar() {
        Story::of(&[client(b"\0\0\0\x0d\0\0\0\x0a\x08\x02\x12\x05\x0a\x033.1")]).is_nothing();
        Story::of(&[client(CONNECT), server(b"id; uname -a\n")]).is_left_by_server();
    }
}
