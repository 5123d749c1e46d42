//! Zabbix, by the header of its messages: Zabbix protocol, header and data length.

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, literal, two_sided};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "zabbix",
    first_bytes: FirstBytes::of(b"Z"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    two_sided(header(heads.opener), header(heads.answerer))
}

/// `ZBXD`, then flags: always the protocol's, perhaps compression's and large packets'.
fn header(head: &[u8]) -> Fit {
    literal(head, b"ZBXD").and(match head.get(4) {
        None => Fit::Could,
        Some(1 | 3 | 5 | 7) => Fit::Yes,
        Some(_) => Fit::No,
    })
}

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn two_headers_are_zabbix() {
        Story::of(&[
            client(b"ZBXD\x01\x02\0\0\0\0\0\0\0{}"),
            server(b"ZBXD\x01\x02\0\0\0\0\0\0\0{}"),
        ])
        .is_confirmed("zabbix");
    }

    #[test]
    fn zabbix_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"ZBXD")]).names.is_empty());
    }

    #[test]
    fn a_shell_behind_the_header_leaves() {
        Story::of(&[client(b"ZBXD\x01\x02\0\0\0\0\0\0\0{}"), server(b"id\n")]).is_left_by_server();
    }
}
