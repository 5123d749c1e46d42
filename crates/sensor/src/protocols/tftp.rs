//! TFTP, by a request with its mode, or by the first block and its acknowledgement, which go
//! between other ports: RFC 1350, sections 4 and 5; RFC 2347.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "tftp",
    first_bytes: FirstBytes::of(&[0]),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let first = heads.first.unwrap_or(Side::Originator);
    match (heads.of(first), heads.of(first.other())) {
        ([], _) => Verdict::Unsure,
        // The answer comes from a port of its own: one side is all there is.
        (asks, []) if is_request(asks) => Verdict::Confirmed,
        (asks, answers) if is_request(asks) && answers_a_request(answers) => Verdict::Confirmed,
        (leads, []) if answers_a_request(leads) => Verdict::Unsure,
        (leads, follows) if goes_on(leads, follows) => Verdict::Confirmed,
        _ => Verdict::Never,
    }
}

/// A read or write request: name, mode, and options in pairs.
fn is_request(datagram: &[u8]) -> bool {
    let [0, 1 | 2, fields @ .., 0] = datagram else { return false };
    let mut fields = fields.split(|byte| *byte == 0);
    let name = fields.next().unwrap_or_default();
    let mode = fields.next().unwrap_or_default();
    let known = MODES.iter().any(|known| mode.eq_ignore_ascii_case(known));
    let printable = |byte: &u8| (b' '..=b'~').contains(byte);
    known && !name.is_empty() && name.iter().all(printable) && fields.count().is_multiple_of(2)
}

/// The first block, the leave to send it, a refusal, or what was agreed.
const fn answers_a_request(datagram: &[u8]) -> bool {
    matches!(datagram, [0, 3, 0, 1, ..] | [0, 4, 0, 0] | [0, 5, 0, 0..=8, .., 0] | [0, 6, .., 0])
}

/// What follows the first packet of a transfer.
const fn goes_on(leads: &[u8], follows: &[u8]) -> bool {
    matches!(
        (leads, follows),
        ([0, 3, 0, 1, ..], [0, 4, 0, 1])
            | ([0, 4, 0, 0], [0, 3, 0, 1, ..])
            | ([0, 6, .., 0], [0, 4, 0, 0] | [0, 3, 0, 1, ..])
    )
}

const MODES: &[&[u8]] = &[b"octet", b"netascii", b"mail"];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_request_is_tftp_and_so_is_the_transfer_between_other_ports() {
        Story::of_datagrams(&[client(b"\0\x01boot.cfg\0octet\0blksize\0\x31468\0")])
            .is_confirmed("tftp");
        let block = client(b"\0\x03\0\x01label linux");
        Story::of_datagrams(&[block, server(b"\0\x04\0\x01")]).is_confirmed("tftp");
    }

    #[test]
    fn tftp_cut_short_is_not_tftp() {
        Story::of_datagrams(&[client(b"\0\x01boot.cfg\0octe")]).is_nothing();
        Story::of_datagrams(&[client(b"\0\x03\0\x01label linux")]).is_nothing();
    }

    #[test]
    fn another_mode_or_block_is_not_tftp() {
        Story::of_datagrams(&[client(b"\0\x01boot.cfg\0shell\0")]).is_nothing();
        let block = client(b"\0\x03\0\x01label linux");
        Story::of_datagrams(&[block, server(b"\0\x04\0\x02")]).is_nothing();
    }
}
