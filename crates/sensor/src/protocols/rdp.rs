//! RDP, by the X.224 connection request and confirmation: MS-RDPBCGR, section 2.2.1.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "rdp",
    first_bytes: FirstBytes::of(&[3]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(packet(heads.opener, REQUEST), packet(heads.answerer, CONFIRM))
}

/// A TPKT of less than 256 bytes with one X.224 unit of this kind that fills it.
fn packet(head: &[u8], kind: u8) -> Fit {
    let want = [Some(3), Some(0), Some(0), None, None, Some(kind), Some(0), Some(0)];
    let fits = want.iter().zip(head).all(|(want, byte)| want.is_none_or(|want| want == *byte))
        && head.get(3).zip(head.get(4)).is_none_or(|(whole, unit)| *whole == unit.wrapping_add(5));
    match (fits, head.len()) {
        (false, _) => Fit::No,
        (true, 0..8) => Fit::Could,
        (true, _) => Fit::Yes,
    }
}

const REQUEST: u8 = 0xe0;
const CONFIRM: u8 = 0xd0;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_request_and_its_confirmation_are_rdp() {
        Story::of(&[
            client(b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0"),
            server(b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\0\x08\0\x01\0\0\0"),
        ])
        .is_confirmed("rdp");
    }

    #[test]
    fn rdp_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"\x03\0\0\x13\x0e")]).names.is_empty());
    }

    #[test]
    fn a_unit_that_does_not_fit_is_not_rdp() {
        assert!(
            Story::of(&[client(b"\x03\0\0\x13\x0d\xe0\0\0"), server(b"\x03")]).names.is_empty()
        );
    }
}
