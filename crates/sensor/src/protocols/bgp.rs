//! BGP, by the marker and the OPEN of both sides: RFC 4271, section 4.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "bgp",
    first_bytes: FirstBytes::of(&[0xff]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(message(heads.opener), message(heads.answerer))
}

/// Sixteen bytes of ones, a length, a type.
fn message(head: &[u8]) -> Fit {
    let marker = head.iter().take(MARKER_BYTES).all(|byte| *byte == 0xff);
    match (marker, head.get(MARKER_BYTES..)) {
        (false, _) => Fit::No,
        (true, Some([high, low, kind, ..])) => {
            let length = u16::from_be_bytes([*high, *low]);
            let fits = (19..=4096).contains(&length) && (1..=5).contains(kind);
            if fits { Fit::Yes } else { Fit::No }
        }
        (true, _) => Fit::Could,
    }
}

const MARKER_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn two_markers_are_bgp() {
        let keep = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\x13\x04";
        Story::of(&[client(keep), server(keep)]).is_confirmed("bgp");
    }

    #[test]
    fn bgp_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"\xff\xff\xff\xff\xff\xff\xff\xff")]).names.is_empty());
    }

    #[test]
    fn another_type_is_not_bgp() {
        let odd = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\x13\x09";
        assert!(Story::of(&[client(odd), server(odd)]).names.is_empty());
    }
}
