//! SSDP, by its search and its announcements over multicast: UPnP Device Architecture 2.0, section
//! 1.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, datagram, start_line};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "ssdp",
    first_bytes: FirstBytes::of(b"MNH"),
    transports: Transports::Udp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let is = |bytes: &[u8]| start_line(bytes, &[b"M-SEARCH", b"NOTIFY"], b"HTTP/1.1") == Fit::Yes;
    match (datagram(heads.opener, is), datagram(heads.answerer, is)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Could, Fit::Could) => Verdict::Unsure,
        // Who is announced to does not answer, and answers to a search are flows of their own.
        (Fit::Yes, _) | (_, Fit::Yes) => Verdict::Confirmed,
    }
}

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_search_is_ssdp() {
        Story::of_datagrams(&[client(b"M-SEARCH * HTTP/1.1\r\nST: ssdp:all\r\n\r\n")])
            .is_confirmed("ssdp");
    }

    #[test]
    fn ssdp_cut_short_is_not_ssdp() {
        assert!(Story::of_datagrams(&[client(b"M-SEARCH * HT")]).names.is_empty());
    }

    #[test]
    fn text_is_not_ssdp() {
        assert!(Story::of_datagrams(&[server(b"NOTIFY me\r\n")]).names.is_empty());
    }
}
