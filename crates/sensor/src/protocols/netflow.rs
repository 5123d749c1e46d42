//! NetFlow and IPFIX, by version, counts and the sets that add up: Cisco's NetFlow export formats
//! (1, 5, 7), RFC 3954 (9), RFC 7011 (10).

use super::frames::{Frame, be16_at, be32_at, chain};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, datagram};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "netflow",
    first_bytes: FirstBytes::of(&[0]),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    // An exporter is answered by nobody.
    match datagram(heads.opener, is_export) {
        Fit::Yes => Verdict::Confirmed,
        Fit::Could if heads.answerer.is_empty() => Verdict::Unsure,
        _ => Verdict::Never,
    }
}

fn is_export(bytes: &[u8]) -> bool {
    let (Some(version), Some(count)) = (be16_at(bytes, 0), be16_at(bytes, 2)) else { return false };
    let (count, length) = (usize::from(count), bytes.len());
    let records = |header, record| {
        (1..=RECORD_COUNT_MAX).contains(&count) && length == header + record * count
    };
    let is_dated = |at| be32_at(bytes, at).is_some_and(|seconds| seconds > SECONDS_MIN);
    match version {
        1 => is_dated(8) && records(16, 52),
        5 => is_dated(8) && records(24, 48),
        7 => is_dated(8) && records(24, 52),
        9 => is_dated(8) && count > 0 && are_sets(bytes.get(20..), &[0, 1]),
        10 => is_dated(4) && count == length && are_sets(bytes.get(16..), &[2, 3]),
        _ => false,
    }
}

/// Templates by these numbers, or records by a template's number, to the end.
fn are_sets(sets: Option<&[u8]>, templates: &[u16]) -> bool {
    let set = |head: &[u8]| match (be16_at(head, 0), be16_at(head, 2)) {
        (Some(id), Some(length)) if id >= 256 || templates.contains(&id) => {
            let length = usize::from(length);
            (4..=head.len()).contains(&length).then_some(length).into()
        }
        _ => Frame::Not,
    };
    sets.is_some_and(|sets| !sets.is_empty() && chain(sets, 1, set) == Fit::Yes)
}

/// More do not fit a datagram.
const RECORD_COUNT_MAX: usize = 30;
/// The year 2000.
const SECONDS_MIN: u32 = 946_684_800;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client};

    const V9: &[u8; 32] = b"\0\x09\0\x01\x24\x4e\x08\xee\x5d\x67\xa8\x0c\x16\x6f\xa6\x88\0\0\0\0\
                            \x01\x01\0\x0cabcdefgh";
    const V10: &[u8; 28] = b"\0\x0a\0\x1c\x5d\x67\xa8\x0c\0\0\0\x01\0\0\0\0\x01\0\0\x0cabcdefgh";

    #[test]
    fn sets_that_add_up_are_netflow() {
        Story::of_datagrams(&[client(V9)]).is_confirmed("netflow");
        Story::of_datagrams(&[client(V10)]).is_confirmed("netflow");
    }

    #[test]
    fn netflow_cut_short_is_not_netflow() {
        Story::of_datagrams(&[(observation::Side::Originator, &V9[..31])]).is_nothing();
    }

    #[test]
    fn a_set_that_is_none_is_not_netflow() {
        let mut other = *V9;
        other[20] = 0;
        other[21] = 9;
        Story::of_datagrams(&[client(&other)]).is_nothing();
    }
}
