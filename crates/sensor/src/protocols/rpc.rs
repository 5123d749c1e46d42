//! ONC RPC, by a call's fixed fields and the reply that repeats its number: RFC 5531, section 9.
//! NFS and what belongs to it are told apart by the program's number.

use observation::{Side, Transport};

use super::frames::be32_at;
use super::registry::{FirstBytes, Protocol, Transports};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "rpc",
    first_bytes: FirstBytes::ANY,
    transports: Transports::Both,
    probe: |heads| probe(heads, |_| true),
    follow: None,
};

/// The verdict for calls of these programs.
pub(super) fn probe(heads: Heads<'_>, is_meant: fn(u32) -> bool) -> Verdict {
    let first = heads.first.unwrap_or(Side::Originator);
    let (asks, answers) = (heads.of(first), heads.of(first.other()));
    let transport = heads.transport;
    match (call(asks, transport), reply(answers, transport)) {
        (Message::Other, _) => Verdict::Never,
        (Message::Part, _) => Verdict::Unsure,
        (Message::Of(_, program), _) if !is_meant(program) => Verdict::Never,
        (Message::Of(asked, _), Message::Of(answered, _)) if asked == answered => {
            Verdict::Confirmed
        }
        (Message::Of(..), Message::Part) => Verdict::Proposed(first),
        (Message::Of(..), _) => Verdict::Never,
    }
}

enum Message {
    Part,
    /// The number, and the program where it is a call.
    Of(u32, u32),
    Other,
}

/// Number, call, version 2, program, version, procedure and the kind of credential.
fn call(head: &[u8], transport: Transport) -> Message {
    message(head, transport, |body| {
        let field = |at: usize| be32_at(body, 4 * at);
        // Version and procedure are small; kinds of credentials have been assigned up to 7, and
        // implementers' own begin at 200000.
        let bounds = [(1, 0), (2, 2), (3, PROGRAM_MAX), (4, 255), (5, 255), (6, 400_000), (7, 400)];
        let fits = bounds.iter().all(|&(at, max)| field(at).is_none_or(|value| value <= max))
            && field(2).is_none_or(|version| version == 2)
            && field(3).is_none_or(|program| program >= PROGRAM_MIN);
        (fits, 8, field(3).unwrap_or(0))
    })
}

/// Number, reply, accepted or denied.
fn reply(head: &[u8], transport: Transport) -> Message {
    message(head, transport, |body| {
        let fits = be32_at(body, 4).is_none_or(|kind| kind == 1)
            && be32_at(body, 8).is_none_or(|accepted| accepted <= 1);
        (fits, 3, 0)
    })
}

/// Over TCP, what `read` says holds behind the record's mark.
fn message(
    head: &[u8],
    transport: Transport,
    read: impl Fn(&[u8]) -> (bool, usize, u32),
) -> Message {
    let marked = transport != Transport::Udp;
    let body = match (marked, be32_at(head, 0)) {
        _ if head.is_empty() => return Message::Part,
        (false, _) => head,
        (true, None) => return Message::Part,
        (true, Some(mark)) if (24..=RECORD_BYTES_MAX).contains(&(mark & 0x7fff_ffff)) => {
            head.get(4..).unwrap_or_default()
        }
        (true, Some(_)) => return Message::Other,
    };
    match (read(body), be32_at(body, 0)) {
        ((false, ..), _) => Message::Other,
        ((true, words, program), Some(number)) if body.len() >= 4 * words => {
            Message::Of(number, program)
        }
        _ if marked => Message::Part,
        _ => Message::Other,
    }
}

const PROGRAM_MIN: u32 = 100_000;
const PROGRAM_MAX: u32 = 0x5fff_ffff;
/// The largest write, 1 MiB, with its header.
const RECORD_BYTES_MAX: u32 = (1 << 20) + 4096;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    /// A call of NULL in `ypbind`.
    const CALL: &[u8; 44] = b"\x80\0\0\x28abcd\0\0\0\0\0\0\0\x02\0\x01\x86\xa7\0\0\0\x02\0\0\0\0\
                              \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    const REPLY: &[u8; 28] = b"\x80\0\0\x18abcd\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

    #[test]
    fn a_call_and_its_reply_are_rpc() {
        Story::of(&[client(CALL), server(REPLY)]).is_confirmed("rpc");
    }

    #[test]
    fn rpc_cut_short_is_unsure() {
        Story::of(&[client(b"\x80\0\0\x28abcd\0\0\0\0\0\0\0\x02\0\x01\x86\xa7\0\0\0\x02")])
            .is_nothing();
    }

    #[test]
    fn another_version_or_number_is_not_rpc() {
        let mut three = *CALL;
        three[15] = 3;
        Story::of(&[client(&three)]).is_nothing();
        let mut other = *REPLY;
        other[4] = b'b';
        Story::of(&[client(CALL), server(&other)]).is_left_by_server();
    }
}
