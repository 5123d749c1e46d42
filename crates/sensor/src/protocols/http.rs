//! HTTP/1, by its request line and status line: RFC 9112.
//!
//! `http_exchange` follows it message by message.

use alloc::boxed::Box;

use observation::Side;

use super::follow::Follower;
use super::lines::LINE_BYTES_MAX;
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, decimal, exact_word, first_line, is_text, literal, word};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "http",
    first_bytes: FirstBytes::range(b'A', b'Z'),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Http(Box::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    let ahead = exchange(heads.opener, heads.answerer, Side::Originator);
    if ahead != Verdict::Never {
        return ahead;
    }
    // A capture that begins in the middle takes the first speaker for the originator.
    exchange(heads.answerer, heads.opener, Side::Responder)
}

fn exchange(client: &[u8], server: &[u8], client_side: Side) -> Verdict {
    match (request(client), response(server)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Yes, Fit::Could) => Verdict::Proposed(client_side),
        (Fit::Could, Fit::Yes) if client.is_empty() => Verdict::Proposed(client_side.other()),
        (Fit::Could, _) => Verdict::Unsure,
    }
}

/// Whether `head` begins with a request line of a registered method.
fn request(head: &[u8]) -> Fit {
    match (exact_word(head, METHODS), first_line(head)) {
        (Fit::Yes, Some(line)) if is_request_line(line) => Fit::Yes,
        (Fit::Yes, Some(_)) => Fit::No,
        (Fit::Yes, None) if !is_text(without_cr(head)) => Fit::No,
        (Fit::Yes, None) if head.len() >= LINE_BYTES_MAX => Fit::Yes,
        (Fit::Yes, None) => Fit::Could,
        (fit, _) => fit,
    }
}

/// Whether `head` begins with a status line.
fn response(head: &[u8]) -> Fit {
    match (literal(head, VERSION), first_line(head)) {
        (Fit::Yes, Some(line)) if status(line).is_some() => Fit::Yes,
        (Fit::Yes, Some(_)) => Fit::No,
        (Fit::Yes, None) => Fit::Could,
        (fit, _) => fit,
    }
}

/// Method, target, version. A target with blanks is not valid and common in attacks on servers.
pub(super) fn is_request_line(line: &[u8]) -> bool {
    let method = word(line);
    let rest = line.get(method.len()..).unwrap_or_default();
    let version = rest.len().checked_sub(VERSION.len() + 2).and_then(|at| rest.get(at..));
    is_method(method)
        && is_text(line)
        && match version {
            Some([b' ', version @ .., b'0'..=b'9']) => version == VERSION && rest.len() > 10,
            _ => false,
        }
        // The end of a long line was not kept.
        || line.len() + 2 >= LINE_BYTES_MAX && super::words::is_one_of(method, METHODS)
}

fn is_method(word: &[u8]) -> bool {
    (2..=METHOD_BYTES_MAX).contains(&word.len())
        && word.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'-' | b'_'))
}

pub(super) fn status(line: &[u8]) -> Option<u16> {
    let [digit, b' ', code @ ..] = line.strip_prefix(VERSION)? else { return None };
    let status = decimal(code.get(..3)?)?;
    let ends = matches!(code.get(3), None | Some(b' '));
    (digit.is_ascii_digit() && (100..=999).contains(&status) && ends)
        .then(|| u16::try_from(status).unwrap_or_default())
}

pub(super) fn begins_request(part: &[u8]) -> bool {
    let method = word(part);
    let letters = method.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'-' | b'_'));
    letters && method.len() <= METHOD_BYTES_MAX && is_text(part)
}

/// `name: value`, or a folded continuation of the line before.
pub(super) fn is_field(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or(line);
    matches!(line, [b' ' | b'\t', ..])
        || name.len() < line.len() && !name.is_empty() && name.iter().all(is_token)
}

pub(super) fn begins_field(part: &[u8]) -> bool {
    matches!(part, [b' ' | b'\t', ..])
        || part.iter().take_while(|byte| **byte != b':').all(is_token)
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

fn without_cr(head: &[u8]) -> &[u8] {
    head.strip_suffix(b"\r").unwrap_or(head)
}

pub(super) const VERSION: &[u8] = b"HTTP/1.";
const METHODS: &[&[u8]] = &[
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"CONNECT",
    b"PATCH",
    b"TRACE",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"REPORT",
    b"SEARCH",
    b"MERGE",
    b"CHECKOUT",
    b"MKACTIVITY",
    b"NOTIFY",
    b"SUBSCRIBE",
    b"UNSUBSCRIBE",
    b"PURGE",
    b"LINK",
    b"UNLINK",
    b"RPC_IN_DATA",
    b"RPC_OUT_DATA",
    b"BITS_POST",
    b"MKCALENDAR",
    b"VERSION-CONTROL",
    b"M-SEARCH",
    b"DEBUG",
    b"TRACK",
    b"QUERY",
];
const METHOD_BYTES_MAX: usize = 24;

#[cfg(test)]
mod tests {
    use observation::{Grammar, Side};

    use crate::protocols::story::{Story, client, server};

    #[test]
    fn requests_and_responses_are_http() {
        let story = Story::of(&[
            client(b"GET /a?b HTTP/1.1\r\nHost: a.example\r\nUser-Agent: x/1\r\n\r\n"),
            server(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\n\n\n"),
            client(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nid\nHEAD / HTTP/1.1\r\n\r\n"),
            server(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\n"),
            server(b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nid\n\r\n0\r\nT: a\r\n\r\n"),
            server(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
            client(b"OPTIONS * HTTP/1.0\r\n\r\n"),
        ]);
        story.is_confirmed("http");
        story.is_obeyed_after(0);
        assert_eq!(
            story.facts[0],
            r#"Http(HttpExchange { flow: FlowId(0), asked_at: Time(1), method: "GET", host: "a.example", target: "/a?b", user_agent: "x/1", status: 200, version: 11, header_names: "Host,User-Agent", request_type: "", response_type: "", request_body_bytes: 0, response_body_bytes: 3, request_head: [], response_head: [10, 10, 10] })"#
        );
        assert_eq!(story.facts.len(), 4);
        // Chunks are measured without their frames, and a body that was not sent is none.
        assert!(story.facts[1].contains("status: 404"));
        assert!(story.facts[1].contains("request_body_bytes: 3, response_body_bytes: 3,"));
        assert!(story.facts[1].contains("request_head: [105, 100, 10]"));
        assert!(story.facts[1].contains("response_head: [105, 100, 10]"));
        assert!(story.facts[2].contains("response_body_bytes: 0,"));
        assert!(story.facts[3].contains("status: 0, version: 10"));
    }

    #[test]
    fn an_exchange_says_what_its_bodies_are() {
        let story = Story::of(&[
            client(b"POST /a HTTP/1.1\r\ncontent-TYPE: text/plain\r\nContent-Length: 2\r\n\r\nid"),
            server(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{}\n"),
        ]);
        // This one ends with the connection.
        assert_eq!(story.facts.len(), 1);
        let fact = &story.facts[0];
        assert!(fact.contains(r#"header_names: "content-TYPE,Content-Length""#), "{fact}");
        assert!(fact.contains(
            r#"request_type: "text/plain", response_type: "application/json", request_body_bytes: 2, response_body_bytes: 3,"#
        ));
    }

    #[test]
    fn an_endless_header_is_bounded() {
        let field = [b"X-", &[b'a'; 200][..], b": 1\r\n"].concat();
        let mut turns = [client(b"GET / HTTP/1.1\r\n")].to_vec();
        turns.extend([(Side::Originator, &*field); 5000]);
        let story = Story::cut(&turns, usize::MAX);
        story.is_only_proposed("http");
        assert!(story.facts[0].len() < 1024);
    }

    #[test]
    fn http_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"GET /index.html HTT")]).names.is_empty());
    }

    #[test]
    fn http_1_0_by_hand_is_http() {
        let story = Story::of(&[
            client(b"GET / HTTP/1.0\n\n"),
            server(b"HTTP/1.0 200 OK\r\n\r\nany\nbody\n"),
        ]);
        story.is_confirmed("http");
        story.is_obeyed_after(0);
    }

    #[test]
    fn an_exchange_that_turns_into_a_shell_leaves() {
        let ask = client(b"GET / HTTP/1.0\r\n\r\n");
        for answer in
            [&b"HTTP/1.0 200 OK\r\n\r\nid\n"[..], b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"]
        {
            for output in [&b"uid=0(root) gid=0(root)\n"[..], b"/ # ", b"root@x:/# ", b"$ "] {
                let story =
                    Story::of(&[ask, (Side::Responder, answer), (Side::Originator, output)]);
                story.is_left_by_client();
            }
        }
        let story =
            Story::of(&[ask, server(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\nuname -a\n")]);
        story.is_left_by_server();
    }

    #[test]
    fn a_get_to_an_ssh_server_is_an_attempt() {
        let story = Story::of(&[client(b"GET / HTTP/1.0\r\n\r\n"), server(b"SSH-2.0-x\r\n")]);
        story.is_only_proposed("http");
        story.is_left_by_server();
    }

    #[test]
    fn a_command_that_looks_like_a_method_is_not_http() {
        assert!(Story::of(&[client(b"GET me a shell\r\n")]).names.is_empty());
    }

    #[test]
    fn what_a_proxy_tunnels_is_identified_like_any_other() {
        let connect = client(b"CONNECT a:22 HTTP/1.1\r\n\r\n");
        let connected = server(b"HTTP/1.1 200 OK\r\n\r\n");
        let shell = Story::of(&[connect, connected, server(b"id\n"), client(b"uid=0\n")]);
        shell.is_confirmed("http");
        assert_eq!(shell.left, None);
        assert_eq!(shell.grammars[2..], [Grammar::None, Grammar::None]);
        let target =
            r#"Detail { protocol: "http", kind: Target, side: Originator, value: "a:22" }"#;
        assert_eq!(shell.facts[0], target);

        let banner = b"SSH-2.0-x\r\n";
        let ssh = Story::of(&[connect, connected, server(banner), client(banner)]);
        assert_eq!(ssh.names, ["http", "ssh"]);
        assert_eq!(ssh.grammars[3], Grammar::Obeyed);
        let mask =
            Story::of(&[connect, connected, server(banner), client(banner), server(b"id\n")]);
        mask.is_left_by_server();
    }

    #[test]
    fn tunnels_in_tunnels_have_an_end() {
        let connect = client(b"CONNECT a:22 HTTP/1.1\r\n\r\n");
        let connected = server(b"HTTP/1.1 200 OK\r\n\r\n");
        let turns = [[connect, connected]; 8].concat();
        let story = Story::of(&turns);
        assert_eq!(story.names, ["http", "http", "http"]);
        assert_eq!(story.grammars.last(), Some(&Grammar::Unchecked));
    }

    #[test]
    fn two_endless_bodies_are_not_vouched_for() {
        let story = Story::of(&[
            client(b"POST / HTTP/1.0\r\nContent-Length: 99999\r\n\r\n"),
            server(b"HTTP/1.0 200 OK\r\n\r\nid\n"),
            client(b"uid=0(root)\n"),
            server(b"uname -a\n"),
        ]);
        story.is_confirmed("http");
        assert_eq!(story.grammars[1..], [Grammar::Unchecked; 3]);
    }

    #[test]
    fn reversed_roles_are_not_vouched_for() {
        let story = Story::of(&[
            client(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            server(b"GET /id HTTP/1.1\r\n\r\n"),
        ]);
        assert_eq!((&*story.names, story.left), (&["http"][..], None));
        assert_eq!(story.grammars, [Grammar::Unchecked; 2]);
    }
}
