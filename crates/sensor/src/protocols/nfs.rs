//! NFS and the programs that it cannot do without (port mapper, mount, lock manager, status
//! monitor, quotas, access lists), by their numbers in ONC RPC: RFC 1813, RFC 1833, RFC 7530.

use super::registry::{FirstBytes, Protocol, Transports};
use super::rpc;

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "nfs",
    first_bytes: FirstBytes::ANY,
    transports: Transports::Both,
    probe: |heads| rpc::probe(heads, is_meant),
    follow: None,
};

const fn is_meant(program: u32) -> bool {
    matches!(program, 100_000 | 100_003 | 100_005 | 100_011 | 100_021 | 100_024 | 100_227)
}

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const CALL: &[u8; 40] = b"abcd\0\0\0\0\0\0\0\x02\0\x01\x86\xa3\0\0\0\x03\0\0\0\0\
                              \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    const REPLY: &[u8; 24] = b"abcd\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

    #[test]
    fn a_call_of_nfs_is_nfs() {
        Story::of_datagrams(&[client(CALL), server(REPLY)]).is_confirmed("nfs");
        Story::of_datagrams(&[client(CALL)]).is_only_proposed("nfs");
    }

    #[test]
    fn nfs_cut_short_is_not_nfs() {
        let cut = (observation::Side::Originator, &CALL[..28]);
        Story::of_datagrams(&[cut]).is_nothing();
    }

    #[test]
    fn another_program_is_plain_rpc() {
        let mut other = *CALL;
        other[15] = 0xa7;
        Story::of_datagrams(&[client(&other)]).is_only_proposed("rpc");
    }
}
