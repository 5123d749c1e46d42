//! sFlow, by version, agent and samples that add up: sFlow version 5, section 5 (sflow.org).

use super::frames::{Frame, be32_at, chain};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, datagram};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "sflow",
    first_bytes: FirstBytes::of(&[0]),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    // An agent is answered by nobody.
    match datagram(heads.opener, is_sflow) {
        Fit::Yes => Verdict::Confirmed,
        Fit::Could if heads.answerer.is_empty() => Verdict::Unsure,
        _ => Verdict::Never,
    }
}

fn is_sflow(bytes: &[u8]) -> bool {
    let address = match (be32_at(bytes, 0), be32_at(bytes, 4)) {
        (Some(5), Some(1)) => 4,
        (Some(5), Some(2)) => 16,
        _ => return false,
    };
    // The agent's part, the datagram's number and the uptime stand between.
    let at = 8 + address + 12;
    let (Some(count), Some(samples)) = (be32_at(bytes, at), bytes.get(at + 4..)) else {
        return false;
    };
    let sample = |head: &[u8]| match (be32_at(head, 0), be32_at(head, 4)) {
        // A vendor's number above the format's.
        (Some(format), Some(length)) if format & 0xfff <= 5 => {
            let length = 8 + length as usize;
            (length <= head.len()).then_some(length).into()
        }
        _ => Frame::Not,
    };
    (1..=SAMPLE_COUNT_MAX).contains(&count) && chain(samples, count as usize, sample) == Fit::Yes
}

const SAMPLE_COUNT_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client};

    const SAYS: &[u8; 40] =
        b"\0\0\0\x05\0\0\0\x01\x0a\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x01\
                              \0\0\0\x02\0\0\0\x04abcd";

    #[test]
    fn a_sample_is_sflow() {
        Story::of_datagrams(&[client(SAYS)]).is_confirmed("sflow");
    }

    #[test]
    fn sflow_cut_short_is_not_sflow() {
        Story::of_datagrams(&[(observation::Side::Originator, &SAYS[..39])]).is_nothing();
    }

    #[test]
    fn samples_that_do_not_add_up_are_not_sflow() {
        let mut other = *SAYS;
        other[27] = 2;
        Story::of_datagrams(&[client(&other)]).is_nothing();
    }
}
