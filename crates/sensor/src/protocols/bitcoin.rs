//! Bitcoin's peer-to-peer protocol, by the network's magic number and the command of both sides:
//! Bitcoin Developer Reference, "Message Headers"; BIP 325 (signet), BIP 94 (testnet4).

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, any_literal, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "bitcoin",
    first_bytes: FirstBytes::of(&[0xf9, 0x0b, 0xfa, 0x0a, 0x1c, 0xfb, 0xc0, 0xbf, 0xe3]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(message(heads.opener), message(heads.answerer))
}

/// The magic number, then a command in lower case, filled up with zeros.
fn message(head: &[u8]) -> Fit {
    let command = head.get(MAGIC_BYTES..).unwrap_or_default();
    let command = command.get(..COMMAND_BYTES).unwrap_or(command);
    let name_bytes = command.iter().position(|byte| *byte == 0).unwrap_or(command.len());
    let fits = command.iter().enumerate().all(|(at, byte)| match byte {
        b'a'..=b'z' | b'0'..=b'9' => at < name_bytes,
        0 => at > 0,
        _ => false,
    });
    match (any_literal(head, MAGICS), fits) {
        (Fit::No, _) | (_, false) => Fit::No,
        (_, true) if command.len() < COMMAND_BYTES => Fit::Could,
        (_, true) => Fit::Yes,
    }
}

/// Bitcoin's networks, then those of the coins that kept its protocol (Litecoin, Dogecoin, Dash,
/// Bitcoin Cash).
const MAGICS: &[&[u8]] = &[
    b"\xf9\xbe\xb4\xd9",
    b"\x0b\x11\x09\x07",
    b"\xfa\xbf\xb5\xda",
    b"\x0a\x03\xcf\x40",
    b"\x1c\x16\x3f\x28",
    b"\xfb\xc0\xb6\xdb",
    b"\xc0\xc0\xc0\xc0",
    b"\xbf\x0c\x6b\xbd",
    b"\xe3\xe1\xf3\xe8",
];
const MAGIC_BYTES: usize = 4;
const COMMAND_BYTES: usize = 12;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const VERSION: &[u8; 20] = b"\xf9\xbe\xb4\xd9version\0\0\0\0\0\x55\0\0\0";

    #[test]
    fn two_versions_are_bitcoin() {
        Story::of(&[client(VERSION), server(VERSION)]).is_confirmed("bitcoin");
    }

    #[test]
    fn bitcoin_cut_short_is_unsure() {
        Story::of(&[client(b"\xf9\xbe\xb4\xd9vers")]).is_nothing();
    }

    #[test]
    fn no_command_behind_the_magic_is_not_bitcoin() {
        Story::of(&[client(b"\xf9\xbe\xb4\xd9id; uname -a")]).is_nothing();
        Story::of(&[client(b"\xf9\xbe\xb4\xd9ping\0\0x\0\0\0\0\0")]).is_nothing();
    }
}
