//! SMB 1 to 3 over TCP, by the protocol identifier of both sides' first message: MS-SMB2, sections
//! 2.1 and 2.2; MS-CIFS, section 2.2.3.1.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, any_literal, client_first};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "smb",
    first_bytes: FirstBytes::of(&[0]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    client_first(&heads, message(heads.opener), message(heads.answerer))
}

/// A zero and a length of three bytes, then the identifier.
fn message(head: &[u8]) -> Fit {
    match (head.first(), head.get(4..)) {
        (Some(1..), _) => Fit::No,
        (_, Some(message)) => any_literal(message, IDENTIFIERS),
        (_, None) => Fit::Could,
    }
}

/// Version 1; 2 and 3, which also say how long their header is; sealed; compressed.
const IDENTIFIERS: &[&[u8]] = &[b"\xffSMB", b"\xfeSMB\x40\0", b"\xfdSMB", b"\xfcSMB"];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_negotiation_is_smb_also_where_it_goes_up_a_version() {
        let asks = client(b"\0\0\0\x2f\xffSMBr\0\0\0\0");
        Story::of(&[asks]).is_only_proposed("smb");
        Story::of(&[asks, server(b"\0\0\0\xf0\xfeSMB\x40\0\0\0")]).is_confirmed("smb");
    }

    #[test]
    fn smb_cut_short_is_unsure() {
        Story::of(&[client(b"\0\0\0\x2f\xffSM")]).is_nothing();
    }

    #[test]
    fn another_identifier_is_not_smb() {
        Story::of(&[client(b"\0\0\0\x2f\xffSMC")]).is_nothing();
        Story::of(&[client(b"\0\0\0\x2f\xffSMBr"), server(b"id\n")]).is_left_by_server();
    }
}
