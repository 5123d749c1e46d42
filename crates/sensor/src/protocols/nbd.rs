//! NBD, by the server's two magic numbers and what the client answers: the NBD protocol, "Newstyle
//! negotiation".

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, literal, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "nbd",
    first_bytes: FirstBytes::of(b"N"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    match heads.first {
        Some(Side::Originator) => Verdict::Never,
        _ => two_sided(flags(heads.opener), literal(heads.answerer, b"NBDMAGICIHAVEOPT")),
    }
}

/// Two flags, then options.
fn flags(head: &[u8]) -> Fit {
    match head {
        [] | [0] | [0, 0] | [0, 0, 0] => Fit::Could,
        [0, 0, 0, 0..=3, options @ ..] => match literal(options, b"IHAVEOPT") {
            Fit::No => Fit::No,
            _ => Fit::Yes,
        },
        _ => Fit::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const MAGIC: &[u8; 18] = b"NBDMAGICIHAVEOPT\0\x03";

    #[test]
    fn a_magic_number_and_flags_are_nbd() {
        let answers = client(b"\0\0\0\x03IHAVEOPT\0\0\0\x07\0\0\0\x04");
        Story::of(&[server(MAGIC), answers]).is_confirmed("nbd");
        Story::of(&[server(MAGIC)]).is_only_proposed("nbd");
    }

    #[test]
    fn nbd_cut_short_is_unsure() {
        Story::of(&[server(b"NBDMAGIC")]).is_nothing();
    }

    #[test]
    fn a_shell_behind_the_number_leaves() {
        Story::of(&[server(b"NBDMAGICIHAVEMOD")]).is_nothing();
        Story::of(&[server(MAGIC), client(b"uid=0(root)\n")]).is_left_by_client();
    }
}
