//! tinc, by the ID line of both daemons, with a name and protocol 17: tinc's manual, "The
//! meta-protocol".

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, decimal, first_line, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "tinc",
    first_bytes: FirstBytes::of(b"0"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(id(heads.opener), id(heads.answerer))
}

/// `0`, a node's name, the protocol's version.
fn id(head: &[u8]) -> Fit {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b' ');
    let Some(line) = first_line(head) else {
        let begins = head.iter().zip(b"0 ").all(|(byte, want)| byte == want);
        let fits = begins && head.len() <= LINE_BYTES_MAX && head.iter().all(is_plain);
        return if fits { Fit::Could } else { Fit::No };
    };
    let mut fields = line.split(|byte| *byte == b' ');
    let fits = fields.next() == Some(b"0")
        && fields.next().is_some_and(|name| !name.is_empty() && name.iter().all(is_plain))
        && fields.next().is_some_and(is_version)
        && fields.next().is_none();
    if fits { Fit::Yes } else { Fit::No }
}

/// 17, since version 1.1 with a minor number.
fn is_version(version: &[u8]) -> bool {
    let mut numbers = version.split(|byte| *byte == b'.');
    numbers.next() == Some(b"17")
        && numbers.next().is_none_or(|minor| decimal(minor).is_some_and(|minor| minor < 100))
        && numbers.next().is_none()
}

const LINE_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn two_ids_are_tinc() {
        Story::of(&[client(b"0 think 17.7\n"), server(b"0 t 17\n")]).is_confirmed("tinc");
    }

    #[test]
    fn tinc_cut_short_is_unsure() {
        Story::of(&[client(b"0 think 17")]).is_nothing();
    }

    #[test]
    fn another_version_is_not_tinc() {
        Story::of(&[client(b"0 think 18\n")]).is_nothing();
        Story::of(&[client(b"0 think 17\n"), server(b"uid=0(root)\n")]).is_left_by_server();
    }
}
