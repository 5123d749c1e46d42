//! RTMP, by a handshake whose second half repeats the other side's first: Adobe RTMP 1.0, section
//! 5.2.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "rtmp",
    first_bytes: FirstBytes::of(&[VERSION]),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let begins = |head: &[u8]| head.first().is_none_or(|version| *version == VERSION);
    if heads.first == Some(Side::Responder) || !begins(heads.opener) || !begins(heads.answerer) {
        return Verdict::Never;
    }
    // Thousands of random bytes: what comes back is all there is to know them by.
    let (Some(sent), Some(echo)) = (heads.opener.get(1..), heads.answerer.get(ECHO_AT..)) else {
        return Verdict::Unsure;
    };
    let mut pairs = sent.iter().zip(echo).enumerate();
    // The receiver puts its own time behind the sender's.
    let same = pairs.all(|(at, (sent, echo))| (4..8).contains(&at) || sent == echo);
    match sent.len().min(echo.len()) {
        _ if !same => Verdict::Never,
        0..ECHO_BYTES_MIN => Verdict::Unsure,
        _ => Verdict::Confirmed,
    }
}

const VERSION: u8 = 3;
/// Behind the version and the server's own 1536 bytes.
const ECHO_AT: usize = 1537;
const ECHO_BYTES_MIN: usize = 32;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    fn halves(last: u8) -> ([u8; 1537], [u8; 1601]) {
        let mut asks = [7; 1537];
        asks[0] = 3;
        let mut answers = [9; 1601];
        answers[0] = 3;
        answers[1537..].copy_from_slice(&asks[1..65]);
        answers[1541] = 0;
        answers[1560] = last;
        (asks, answers)
    }

    #[test]
    fn a_handshake_that_is_repeated_is_rtmp() {
        let (asks, answers) = halves(7);
        Story::of(&[client(&asks), server(&answers)]).is_confirmed("rtmp");
    }

    #[test]
    fn rtmp_cut_short_is_unsure() {
        let (asks, answers) = halves(7);
        let cut: &[u8; 1540] = answers.first_chunk().unwrap();
        Story::of(&[client(&asks), server(cut)]).is_nothing();
    }

    #[test]
    fn an_echo_that_differs_is_not_rtmp() {
        let (asks, answers) = halves(8);
        Story::of(&[client(&asks), server(&answers)]).is_nothing();
    }
}
