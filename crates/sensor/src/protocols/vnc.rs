//! VNC, by the version line of both sides: RFC 6143, section 7.1.1.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "vnc",
    first_bytes: FirstBytes::of(b"R"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    match (literal(heads.opener, GREETING), literal(heads.answerer, GREETING)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, Fit::Could) => Verdict::Proposed(Side::Originator),
        (Fit::Could, Fit::Yes) => Verdict::Proposed(Side::Responder),
        (Fit::Could, Fit::Could) => Verdict::Unsure,
    }
}

const GREETING: &[u8] = b"RFB 00";

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn two_greetings_are_vnc() {
        Story::of(&[server(b"RFB 003.008\n"), client(b"RFB 003.008\n")]).is_confirmed("vnc");
    }

    #[test]
    fn vnc_cut_short_is_unsure() {
        assert!(Story::of(&[server(b"RFB")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_the_greeting_leaves() {
        let story = Story::of(&[server(b"RFB 003.008\n"), client(b"uid=0(root)\n")]);
        story.is_only_proposed("vnc");
        story.is_left_by_client();
    }
}
