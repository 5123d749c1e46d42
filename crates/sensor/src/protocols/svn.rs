//! Subversion's own protocol, by the greeting and its answer: `svn_ra_svn/protocol` of Subversion.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{literal, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "svn",
    first_bytes: FirstBytes::of(b"("),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(literal(heads.opener, b"( 2 ( "), literal(heads.answerer, b"( success ( "))
}

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_greeting_and_its_answer_are_svn() {
        Story::of(&[
            server(b"( success ( 2 2 ( ) ( edit-pipeline ) ) ) "),
            client(b"( 2 ( edit-pipeline ) 9:svn://a/b ) "),
        ])
        .is_confirmed("svn");
    }

    #[test]
    fn svn_cut_short_is_unsure() {
        assert!(Story::of(&[server(b"( succ")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_the_greeting_leaves() {
        Story::of(&[server(b"( success ( 2 2 ( ) ) ) "), client(b"uid=0\n")]).is_left_by_client();
    }
}
