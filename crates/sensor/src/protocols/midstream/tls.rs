//! TLS in its middle, by records that follow each other and cannot be read: RFC 8446, section 5;
//! RFC 5246, section 6.2.

use super::Part;
use crate::protocols::frames::{Frame, chain};
use crate::protocols::registry::{FirstBytes, Protocol, Transports};
use crate::protocols::words::{Fit, is_readable};
use crate::protocols::{Heads, Verdict};

pub(in crate::protocols) static PROTOCOL: Protocol = Protocol {
    name: "tls",
    first_bytes: FirstBytes::range(20, 24),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let [opener, answerer] = [heads.opener, heads.answerer].map(|head| Part::of(records(head)));
    super::verdict(&heads, opener, answerer)
}

fn records(head: &[u8]) -> Fit {
    match chain(head, 1, record) {
        // A record may be longer than what is kept of it.
        Fit::Could if head.len() >= ENOUGH_BYTES => Fit::Yes,
        fit => fit,
    }
}

/// Content type, version, length; and a body that is no text, as far as it is there.
fn record(head: &[u8]) -> Frame {
    let fits = head.iter().enumerate().take(4).all(|(at, byte)| match at {
        0 => (20..=24).contains(byte),
        1 => *byte == 3,
        2 => *byte <= MINOR_MAX,
        _ => *byte <= 0x48,
    });
    match head.split_first_chunk::<5>() {
        _ if !fits => Frame::Not,
        None => Frame::Part,
        Some(([kind, _, _, high, low], body)) => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let body = body.get(..length.min(JUDGED_BYTES)).unwrap_or(body);
            let is_whole = body.len() == length.min(JUDGED_BYTES);
            // Sealed bytes are text where a quarter of all bytes is: once in 4^n.
            let is_text = is_whole && body.len() >= 8 && body.iter().all(|byte| is_readable(*byte));
            let is_one = *kind != 20 || length == 1;
            (length > 0 && is_one && !is_text).then_some(length + 5).into()
        }
    }
}

/// TLS 1.3 says 3.3 for itself.
const MINOR_MAX: u8 = 4;
const JUDGED_BYTES: usize = 32;
const ENOUGH_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const SEALED: &[u8; 21] =
        b"\x17\x03\x03\0\x10\x8a\x01\xe6\xcf\xd9\xaf\xed\x5e\x68\xa7\xcb\x83\xce\xb5\x65\xc9";

    #[test]
    fn records_of_both_are_tls() {
        Story::of_midstream(&[client(SEALED), server(SEALED)]).is_confirmed("tls");
        Story::of_midstream(&[server(SEALED)]).is_only_proposed("tls");
    }

    #[test]
    fn a_record_cut_short_is_unsure() {
        Story::of_midstream(&[(observation::Side::Originator, &SEALED[..20])]).is_nothing();
    }

    #[test]
    fn a_shell_in_records_is_not_tls() {
        Story::of_midstream(&[client(b"\x17\x03\x03\0\x10uname -a; id; ls")]).is_nothing();
    }

    #[test]
    fn records_without_a_hello_are_not_tls_where_the_opening_was_seen() {
        Story::of(&[client(SEALED), server(SEALED)]).is_nothing();
    }
}
