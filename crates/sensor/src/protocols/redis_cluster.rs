//! Redis's cluster bus, by the signature, length and version of a message: Redis,
//! `cluster_legacy.h`.

use super::frames::{be16_at, be32_at};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, literal, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "redis_cluster",
    first_bytes: FirstBytes::of(b"R"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(message(heads.opener), message(heads.answerer))
}

/// A signature, the whole length, a version.
fn message(head: &[u8]) -> Fit {
    match (literal(head, b"RCmb"), be32_at(head, 4), be16_at(head, 8)) {
        (Fit::Yes, Some(length), Some(version)) => {
            let fits = (LENGTH_MIN..=LENGTH_MAX).contains(&length) && version <= 1;
            if fits { Fit::Yes } else { Fit::No }
        }
        (Fit::Yes, ..) => Fit::Could,
        (fit, ..) => fit,
    }
}

/// The header holds a bitmap of 16,384 slots.
const LENGTH_MIN: u32 = 2048;
const LENGTH_MAX: u32 = 1 << 24;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const PING: &[u8; 12] = b"RCmb\0\0\x08\xd0\0\x01\x40\xeb";

    #[test]
    fn two_messages_are_the_cluster_bus() {
        Story::of(&[client(PING), server(PING)]).is_confirmed("redis_cluster");
        Story::of(&[client(PING)]).is_only_proposed("redis_cluster");
    }

    #[test]
    fn a_message_cut_short_is_unsure() {
        Story::of(&[client(b"RCmb\0\0\x08")]).is_nothing();
    }

    #[test]
    fn a_short_length_or_a_shell_is_not_the_cluster_bus() {
        Story::of(&[client(b"RCmb\0\0\0\x08\0\x01\x40\xeb")]).is_nothing();
        Story::of(&[client(PING), server(b"id\n")]).is_left_by_server();
    }
}
