//! Java RMI, by its header and the acknowledgement: Java Remote Method Invocation, section 10.2.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, client_first, literal};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "rmi",
    first_bytes: FirstBytes::of(b"J"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let asks = [b"JRMI\0\x01K", b"JRMI\0\x02K", b"JRMI\0\x01L", b"JRMI\0\x02L", b"JRMI\0\x02M"];
    let asks = asks.iter().fold(Fit::No, |fit, each| fit.or(literal(heads.opener, *each)));
    // Acknowledged, or the protocol within is not spoken; single operations are answered at once.
    let answers = match heads.answerer.first() {
        None => Fit::Could,
        Some(b'N' | b'O' | b'Q' | b'S') => Fit::Yes,
        Some(_) => Fit::No,
    };
    client_first(&heads, asks, answers)
}

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_header_and_its_acknowledgement_are_rmi() {
        Story::of(&[client(b"JRMI\0\x02K")]).is_only_proposed("rmi");
        Story::of(&[client(b"JRMI\0\x02K"), server(b"N\0\x0910.0.0.5")]).is_confirmed("rmi");
    }

    #[test]
    fn rmi_cut_short_is_unsure() {
        Story::of(&[client(b"JRMI\0")]).is_nothing();
    }

    #[test]
    fn another_protocol_byte_is_not_rmi() {
        Story::of(&[client(b"JRMI\0\x02A")]).is_nothing();
    }
}
