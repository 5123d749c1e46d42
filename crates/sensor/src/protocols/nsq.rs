//! NSQ, by the client's magic number and the server's first frame: NSQ, "TCP Protocol Spec".

use super::frames::{be32, be32_at};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, client_first, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "nsq",
    first_bytes: FirstBytes::of(b" "),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    client_first(&heads, literal(heads.opener, b"  V2"), frame(heads.answerer))
}

/// A size, then the type of a response, an error or a message.
fn frame(head: &[u8]) -> Fit {
    match (be32(head), be32_at(head, 4)) {
        _ if head.first().is_some_and(|high| *high != 0) => Fit::No,
        (Some(size), _) if !(4..SIZE_END).contains(&size) => Fit::No,
        (Some(_), Some(kind)) => {
            if kind <= 2 {
                Fit::Yes
            } else {
                Fit::No
            }
        }
        _ => Fit::Could,
    }
}

const SIZE_END: usize = 1 << 24;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_magic_number_and_a_response_are_nsq() {
        let answers = server(b"\0\0\0\x06\0\0\0\0OK");
        Story::of(&[client(b"  V2SUB a b\n"), answers]).is_confirmed("nsq");
        Story::of(&[client(b"  V2")]).is_only_proposed("nsq");
    }

    #[test]
    fn nsq_cut_short_is_unsure() {
        Story::of(&[client(b"  V")]).is_nothing();
    }

    #[test]
    fn a_shell_behind_the_number_leaves() {
        Story::of(&[client(b"  V3")]).is_nothing();
        Story::of(&[client(b"  V2"), server(b"id; uname\n")]).is_left_by_server();
    }
}
