//! Telegram's MTProto, where it is not obfuscated, by its transport's tag: MTProto, "Transport
//! protocols", abridged and intermediate.

use observation::Side;

use super::frames::le32_at;
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, literal, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "telegram",
    first_bytes: FirstBytes::of(&[0xef, 0xee, 0xdd]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let lengths = |head: &[u8]| match le32_at(head, 0) {
        None => Fit::Could,
        Some(1..=MESSAGE_BYTES_MAX) => Fit::Yes,
        Some(_) => Fit::No,
    };
    match heads.opener {
        _ if heads.first == Some(Side::Responder) => Verdict::Never,
        [0xef, ..] => two_sided(abridged(heads.opener), Fit::Could.or(abridged_answer(heads))),
        _ => {
            let tags = literal(heads.opener, &[0xee; 4]).or(literal(heads.opener, &[0xdd; 4]));
            let asks = match heads.opener.get(4..) {
                Some(message) => tags.and(lengths(message)),
                None => tags,
            };
            two_sided(asks, lengths(heads.answerer))
        }
    }
}

/// The tag, a length in words, and the eight zeros of a message before there is a key.
fn abridged(head: &[u8]) -> Fit {
    let fits = head.get(1).is_none_or(|words| (5..0x7f).contains(words))
        && head.iter().skip(2).take(8).all(|byte| *byte == 0);
    match (fits, head.len()) {
        (false, _) => Fit::No,
        (true, 0..10) => Fit::Could,
        (true, _) => Fit::Yes,
    }
}

/// The same without the tag.
fn abridged_answer(heads: Heads<'_>) -> Fit {
    match heads.answerer {
        [5..0x7f, 0, 0, 0, 0, 0, 0, 0, 0, ..] => Fit::Yes,
        _ => Fit::Could,
    }
}

const MESSAGE_BYTES_MAX: u32 = 1 << 24;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_tag_and_counted_messages_are_telegram() {
        let asks = client(b"\xee\xee\xee\xee\x28\0\0\0\0\0\0\0\0\0\0\0");
        Story::of(&[asks]).is_only_proposed("telegram");
        Story::of(&[asks, server(b"\x54\0\0\0\0\0\0\0\0\0\0\0")]).is_confirmed("telegram");
        let short = client(b"\xef\x0a\0\0\0\0\0\0\0\0abcd");
        Story::of(&[short, server(b"\x15\0\0\0\0\0\0\0\0")]).is_confirmed("telegram");
    }

    #[test]
    fn telegram_cut_short_is_unsure() {
        Story::of(&[client(b"\xee\xee\xee\xee\x28\0")]).is_nothing();
    }

    #[test]
    fn another_tag_is_not_telegram() {
        Story::of(&[client(b"\xee\xee\xee\xed\x28\0\0\0")]).is_nothing();
        Story::of(&[client(b"\xef\x0a\0\0\x01\0\0\0\0\0")]).is_nothing();
    }
}
