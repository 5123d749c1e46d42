//! Git's own transport, by the request line in a packet line: gitprotocol-pack(5).

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, literal, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "git",
    first_bytes: FirstBytes::of(b"0"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Responder) {
        return Verdict::Never;
    }
    match two_sided(packet_line(heads.opener, SERVICES), packet_line(heads.answerer, &[b""])) {
        // Four digits alone are nothing.
        Verdict::Proposed(Side::Responder) => Verdict::Unsure,
        verdict => verdict,
    }
}

/// Four hexadecimal digits, then one of these.
fn packet_line(head: &[u8], words: &[&[u8]]) -> Fit {
    let digits = head.get(..head.len().min(4)).unwrap_or_default();
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Fit::No;
    }
    match head.get(4..) {
        None => Fit::Could,
        Some(rest) => words.iter().fold(Fit::No, |fit, word| fit.or(literal(rest, word))),
    }
}

const SERVICES: &[&[u8]] = &[b"git-upload-pack ", b"git-receive-pack ", b"git-upload-archive "];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_clone_is_git() {
        Story::of(&[client(b"0027git-upload-pack /a.git\0host=b\0"), server(b"0032abcdef")])
            .is_confirmed("git");
    }

    #[test]
    fn git_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"0027git-upl")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_the_request_leaves() {
        Story::of(&[client(b"0027git-upload-pack /a.git\0host=b\0"), server(b"id\n")])
            .is_left_by_server();
    }
}
