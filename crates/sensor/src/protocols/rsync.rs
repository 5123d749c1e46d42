//! rsync's daemon protocol, by the greeting line of both sides: rsync(1), rsyncd.conf(5).

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "rsync",
    first_bytes: FirstBytes::of(b"@"),
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

const GREETING: &[u8] = b"@RSYNCD: ";

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn two_greetings_are_rsync() {
        Story::of(&[server(b"@RSYNCD: 31.0 sha512\n"), client(b"@RSYNCD: 31.0\n")])
            .is_confirmed("rsync");
    }

    #[test]
    fn rsync_cut_short_is_unsure() {
        assert!(Story::of(&[server(b"@RSYN")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_the_greeting_leaves() {
        let story = Story::of(&[server(b"@RSYNCD: 31.0 sha512\n"), client(b"uid=0(root)\n")]);
        story.is_only_proposed("rsync");
        story.is_left_by_client();
    }
}
