//! RTPS, which DDS and ROS 2 speak, by its magic number and version: OMG, "DDSI-RTPS",
//! section 8.3.3.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{datagram, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "rtps",
    first_bytes: FirstBytes::of(b"R"),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(datagram(heads.opener, is_message), datagram(heads.answerer, is_message))
}

/// The magic number, version 2, a vendor, a prefix; then submessages.
fn is_message(bytes: &[u8]) -> bool {
    let version = bytes.strip_prefix(b"RTPS");
    version.is_some_and(|rest| matches!(rest, [1 | 2, _, ..]) && rest.len() >= HEADER_BYTES)
}

const HEADER_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const MESSAGE: &[u8; 24] = b"RTPS\x02\x03\x01\x0fabcdefghijkl\x09\x01\x08\0";

    #[test]
    fn messages_are_rtps() {
        Story::of_datagrams(&[client(MESSAGE), server(MESSAGE)]).is_confirmed("rtps");
        Story::of_datagrams(&[client(MESSAGE)]).is_only_proposed("rtps");
    }

    #[test]
    fn rtps_cut_short_is_not_rtps() {
        Story::of_datagrams(&[client(b"RTPS\x02\x03\x01\x0fabcdef")]).is_nothing();
    }

    #[test]
    fn another_version_is_not_rtps() {
        Story::of_datagrams(&[client(b"RTPS\x07\x03\x01\x0fabcdefghijkl\x09\x01")]).is_nothing();
    }
}
