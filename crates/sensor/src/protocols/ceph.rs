//! Ceph's messengers, by the banner of both sides: Ceph, "msgr2 protocol" and its predecessor.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{any_literal, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "ceph",
    first_bytes: FirstBytes::of(b"c"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(any_literal(heads.opener, BANNERS), any_literal(heads.answerer, BANNERS))
}

const BANNERS: &[&[u8]] = &[b"ceph v2\n", b"ceph v027"];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn two_banners_are_ceph() {
        let banner = b"ceph v2\n\x10\0\0\0";
        Story::of(&[client(banner), server(banner)]).is_confirmed("ceph");
        Story::of(&[server(banner)]).is_only_proposed("ceph");
    }

    #[test]
    fn ceph_cut_short_is_unsure() {
        Story::of(&[client(b"ceph v")]).is_nothing();
    }

    #[test]
    fn a_command_that_begins_alike_is_not_ceph() {
        Story::of(&[client(b"ceph version\n")]).is_nothing();
        Story::of(&[client(b"ceph v2\n"), server(b"id\n")]).is_left_by_server();
    }
}
