//! NTP, by mode and plausible fields of both sides: RFC 5905, section 7.3; RFC 9327; mode 7 of
//! ntpd.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "ntp",
    first_bytes: FirstBytes::ANY,
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    match (mode(heads.opener), mode(heads.answerer)) {
        (Some(Mode::Asks), Some(Mode::Answers)) => Verdict::Confirmed,
        (Some(Mode::Either), Some(Mode::Either)) => Verdict::Confirmed,
        (Some(Mode::Asks | Mode::Either), None) if heads.answerer.is_empty() => {
            Verdict::Proposed(Side::Originator)
        }
        // The capture began behind the question.
        (Some(Mode::Answers), None) if heads.answerer.is_empty() => {
            Verdict::Proposed(Side::Originator)
        }
        (None, Some(_)) if heads.opener.is_empty() => Verdict::Proposed(Side::Responder),
        (None, None) if heads.opener.is_empty() && heads.answerer.is_empty() => Verdict::Unsure,
        _ => Verdict::Never,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Asks,
    Answers,
    Either,
}

/// What a datagram is, if it is NTP.
fn mode(datagram: &[u8]) -> Option<Mode> {
    let first = *datagram.first()?;
    let version = first >> 3 & 7;
    if !(1..=4).contains(&version) {
        return None;
    }
    match first & 7 {
        1 | 2 | 5 if is_time(datagram) => Some(Mode::Either),
        3 if is_time(datagram) => Some(Mode::Asks),
        4 if is_time(datagram) => Some(Mode::Answers),
        6 if version > 1 && is_control(datagram) => {
            Some(if is_response(datagram) { Mode::Answers } else { Mode::Asks })
        }
        7 if version > 1 && is_private(datagram) => {
            Some(if first & 0x80 == 0 { Mode::Asks } else { Mode::Answers })
        }
        _ => None,
    }
}

/// Stratum, poll and precision in their ranges, and a length with or without authentication.
fn is_time(datagram: &[u8]) -> bool {
    let Some([_, stratum, poll, precision, delay, _, _, _, dispersion, ..]) =
        datagram.first_chunk::<TIME_BYTES>()
    else {
        return false;
    };
    let precision = i8::from_be_bytes([*precision]);
    let spread = [*delay, *dispersion].iter().all(|high| matches!(high, 0 | 0xff));
    *stratum <= 16
        && *poll <= 17
        && (-32..=0).contains(&precision)
        && spread
        && datagram.len().is_multiple_of(4)
        && datagram.len() <= TIME_BYTES_MAX
}

/// A control message whose count fits its length: RFC 9327, section 2.
fn is_control(datagram: &[u8]) -> bool {
    let Some([_, operation, .., high, low]) = datagram.first_chunk::<12>() else { return false };
    let count = usize::from(u16::from_be_bytes([*high, *low]));
    operation & 31 <= 12 && datagram.len() >= 12 + count && datagram.len() <= 12 + count + 28
}

fn is_response(datagram: &[u8]) -> bool {
    datagram.get(1).is_some_and(|operation| operation & 0x80 != 0)
}

/// A request or response of ntpd's own, by implementation and request code.
fn is_private(datagram: &[u8]) -> bool {
    let fits = matches!(datagram.first_chunk::<8>(), Some([_, _, 0 | 2 | 3, 0..=45, ..]));
    fits && (datagram.first().is_some_and(|first| first & 0x80 == 0) || is_private_answer(datagram))
}

/// So many items of such a size fill the datagram.
fn is_private_answer(datagram: &[u8]) -> bool {
    let Some(([first, _, _, _, c, count, s, size], items)) = datagram.split_first_chunk::<8>()
    else {
        return false;
    };
    let count = usize::from(u16::from_be_bytes([*c, *count]) & 0xfff);
    let size = usize::from(u16::from_be_bytes([*s, *size]));
    first & 0x87 == 0x87 && count * size == items.len()
}

const TIME_BYTES: usize = 48;
/// With extension fields and authentication.
const TIME_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const ASKS: [u8; 48] = {
        let mut datagram = [0; 48];
        datagram[0] = 0x23;
        datagram
    };
    const ANSWERS: [u8; 48] = {
        let mut datagram = [0; 48];
        datagram[0] = 0x24;
        datagram[1] = 2;
        datagram[3] = 0xe9;
        datagram
    };

    #[test]
    fn a_question_and_its_answer_are_ntp() {
        Story::of_datagrams(&[client(&ASKS), server(&ANSWERS)]).is_confirmed("ntp");
    }

    #[test]
    fn ntp_cut_short_is_not_ntp() {
        assert!(
            Story::of_datagrams(&[(observation::Side::Originator, &ASKS[..40])]).names.is_empty()
        );
    }

    #[test]
    fn text_on_the_same_port_is_not_ntp() {
        let text = b"#!/bin/sh; id; uname -a; cat /etc/passwd; ls -l ";
        assert_eq!(text.len(), 48);
        assert!(Story::of_datagrams(&[client(text)]).names.is_empty());
        Story::of_datagrams(&[client(&ASKS), server(b"id\n")]).is_left_by_server();
    }
}
