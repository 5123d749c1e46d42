//! XMPP, by the opening stream tag of both sides: RFC 6120, section 4.2.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, literal, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "xmpp",
    first_bytes: FirstBytes::of(b"<"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(opens(heads.opener), opens(heads.answerer))
}

/// A stream tag, perhaps behind an XML declaration.
fn opens(head: &[u8]) -> Fit {
    let begins = literal(head, b"<?xml ").or(literal(head, TAG));
    let early = head.get(..OPENING_BYTES_MAX).unwrap_or(head);
    let has_tag = early.windows(TAG.len()).any(|part| part == TAG);
    match (begins, has_tag) {
        (Fit::Yes, true) => Fit::Yes,
        (Fit::Yes, false) if head.len() < OPENING_BYTES_MAX => Fit::Could,
        (Fit::Yes, false) => Fit::No,
        (fit, _) => fit,
    }
}

const TAG: &[u8] = b"<stream:stream";
const OPENING_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn two_streams_are_xmpp() {
        let open = b"<?xml version='1.0'?><stream:stream to='a'>";
        Story::of(&[client(open), server(open)]).is_confirmed("xmpp");
    }

    #[test]
    fn xmpp_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"<?xml version='1.0'?><stre")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_the_stream_leaves() {
        Story::of(&[client(b"<stream:stream to='a'>"), server(b"id\n")]).is_left_by_server();
    }
}
