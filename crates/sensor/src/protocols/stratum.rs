//! Stratum, which hands out work to miners: JSON-RPC in lines, by methods that only mining has.
//! Stratum V1 (slushpool), Ethereum's getwork and EthereumStratum, and Monero's pool protocol.

use observation::Side;

use super::registry::{FirstBytes, Protocol, Transports};
use super::words::contains;
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "stratum",
    first_bytes: FirstBytes::of(b"{"),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    match (talk(heads.opener), talk(heads.answerer)) {
        (Talk::Other, _) | (_, Talk::Other) => Verdict::Never,
        (Talk::Silent, Talk::Mining) => Verdict::Proposed(Side::Responder),
        (Talk::Mining, Talk::Silent) => Verdict::Proposed(Side::Originator),
        (Talk::Mining, _) | (_, Talk::Mining) => Verdict::Confirmed,
        _ => Verdict::Unsure,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Talk {
    Silent,
    /// An object of JSON that could be anyone's, so far.
    Object,
    Mining,
    Other,
}

fn talk(head: &[u8]) -> Talk {
    match head {
        [] => Talk::Silent,
        [b'{', ..] if is_mining(head) => Talk::Mining,
        [b'{', ..] if head.len() < HEAD_BYTES_MAX => Talk::Object,
        _ => Talk::Other,
    }
}

fn is_mining(head: &[u8]) -> bool {
    let mut rest = head;
    while let Some((method, after)) = next_method(rest) {
        let needs: &[&[u8]] = match method {
            b"login" => &[b"\"login\"", b"\"pass\""],
            b"submit" => &[b"\"nonce\"", b"\"job_id\""],
            b"job" => &[b"\"blob\"", b"\"job_id\""],
            _ if METHODS.contains(&method) || method.starts_with(b"mining.") => &[],
            _ => &[b"\0"],
        };
        if needs.iter().all(|need| contains(head, need)) {
            return true;
        }
        rest = after;
    }
    false
}

/// The next value of a key `method`, and what follows it.
fn next_method(json: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = json.windows(KEY.len()).position(|part| part == KEY)?;
    let value = json.get(at + KEY.len()..)?.trim_ascii_start();
    let value = value.strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let end = value.iter().position(|byte| *byte == b'"')?;
    Some((value.get(..end)?, value.get(end..)?))
}

const KEY: &[u8] = b"\"method\"";
const METHODS: &[&[u8]] = &[
    b"eth_login",
    b"eth_submitLogin",
    b"eth_getWork",
    b"eth_submitWork",
    b"eth_submitHashrate",
    b"keepalived",
    b"getblocktemplate",
];
/// Mining shows itself in the first messages.
const HEAD_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn subscribing_is_stratum() {
        Story::of(&[
            client(b"{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": []}\n"),
            server(
                b"{\"id\":1,\"result\":[[[\"mining.notify\",\"a\"]],\"08\",4],\"error\":null}\n",
            ),
        ])
        .is_confirmed("stratum");
    }

    #[test]
    fn a_login_at_a_pool_is_stratum() {
        Story::of(&[client(
            b"{\"method\":\"login\",\"params\":{\"login\":\"4BCe\",\"pass\":\"x\"},\"id\":1}\n",
        )])
        .is_only_proposed("stratum");
    }

    #[test]
    fn stratum_cut_short_is_unsure() {
        Story::of(&[client(b"{\"id\": 1, \"method\": \"mining.subscr")]).is_nothing();
    }

    #[test]
    fn other_json_is_not_stratum() {
        Story::of(&[
            client(b"{\"method\":\"login\",\"params\":[\"root\"],\"id\":1}\n"),
            server(b"{\"id\":1,\"result\":true}\n"),
        ])
        .is_nothing();
    }
}
