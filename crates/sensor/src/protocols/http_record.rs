//! What is told of an HTTP exchange, while it is put together.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use observation::{HttpExchange, Time};

use super::Heard;
use super::follow::Context;
use super::lines::LINE_BYTES_MAX;

/// A request, as far as it is told.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) body: Body,
    asked_at: Time,
    line: String,
    host: String,
    agent: String,
    header_names: String,
    request_type: String,
}

/// A request and its response, whose body is still coming.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) request: Request,
    pub(super) status: u16,
    pub(super) response_type: String,
    pub(super) body: Body,
}

/// What is known of a body: its size and its first bytes.
#[derive(Debug, Default)]
pub(super) struct Body {
    bytes: u64,
    head: Vec<u8>,
}

impl Body {
    /// So many bytes more, of which nothing else is known.
    pub(super) fn measure(&mut self, count: u64) {
        self.bytes = self.bytes.saturating_add(count);
    }

    /// These come next; they are measured afterwards.
    pub(super) fn begin(&mut self, bytes: &[u8]) {
        // Behind a gap it is no longer the beginning.
        if self.head.len() as u64 == self.bytes {
            let room = HEAD_BYTES_MAX - self.head.len();
            self.head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
    }
}

impl Request {
    pub(super) fn begun(line: &[u8], at: Time) -> Self {
        Self { asked_at: at, line: text(line, LINE_BYTES_MAX), ..Self::default() }
    }

    /// One of HTTP/2, whose fields come first.
    pub(super) fn of_stream(at: Time) -> Self {
        Self { asked_at: at, ..Self::default() }
    }

    /// What HTTP/2 asks for, in the shape of a request line.
    pub(super) fn asks(&mut self, method: &str, path: &str) {
        self.line = format!("{method} {path} HTTP/2");
    }

    pub(super) fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    pub(super) fn target(&self) -> &str {
        let rest = self.line.get(self.method().len()..).unwrap_or_default().trim_start();
        rest.rsplit_once(' ').map_or(rest, |(target, _)| target)
    }

    /// 10, 11 or 20; 0 where the end of a long line was not kept.
    fn version(&self) -> u8 {
        if self.line.ends_with(" HTTP/2") {
            return 20;
        }
        match self.line.rsplit_once(" HTTP/1.") {
            Some((_, "0")) => 10,
            Some((_, "1")) => 11,
            _ => 0,
        }
    }

    /// Takes a header field in.
    pub(super) fn field(&mut self, name: &[u8], value: &[u8]) {
        let room = NAMES_BYTES_MAX.saturating_sub(self.header_names.len() + 1);
        if name.len() <= room {
            if !self.header_names.is_empty() {
                self.header_names.push(',');
            }
            // A field's name is ASCII.
            self.header_names.extend(name.iter().map(|byte| char::from(*byte)));
        }
        let is_host = name.eq_ignore_ascii_case(b"host") || name == b":authority";
        let (kept, bytes_max) = if is_host {
            (&mut self.host, HOST_BYTES_MAX)
        } else if name.eq_ignore_ascii_case(b"user-agent") {
            (&mut self.agent, AGENT_BYTES_MAX)
        } else if name.eq_ignore_ascii_case(b"content-type") {
            (&mut self.request_type, TYPE_BYTES_MAX)
        } else {
            return;
        };
        *kept = text(value, bytes_max);
    }

    /// How much memory it holds beside itself.
    pub(super) fn held(&self) -> usize {
        let texts = [&self.line, &self.host, &self.agent, &self.header_names, &self.request_type];
        texts.map(String::capacity).iter().sum::<usize>() + self.body.head.capacity()
    }

    /// Tells it without a response.
    pub(super) fn tell(&self, context: &mut Context<'_>) {
        (context.heard)(Heard::Http(self.exchange()));
    }

    fn exchange(&self) -> HttpExchange<'_> {
        HttpExchange {
            asked_at: self.asked_at,
            method: Cow::Borrowed(self.method()),
            host: Cow::Borrowed(&self.host),
            target: Cow::Borrowed(self.target()),
            user_agent: Cow::Borrowed(&self.agent),
            version: self.version(),
            header_names: Cow::Borrowed(&self.header_names),
            request_type: Cow::Borrowed(&self.request_type),
            request_body_bytes: self.body.bytes,
            request_head: Cow::Borrowed(&self.body.head),
            ..HttpExchange::default()
        }
    }
}

impl Answer {
    /// How much memory it holds beside itself.
    pub(super) fn held(&self) -> usize {
        self.request.held() + self.response_type.capacity() + self.body.head.capacity()
    }

    pub(super) fn tell(&self, context: &mut Context<'_>) {
        (context.heard)(Heard::Http(HttpExchange {
            status: self.status,
            response_type: Cow::Borrowed(&self.response_type),
            response_body_bytes: self.body.bytes,
            response_head: Cow::Borrowed(&self.body.head),
            ..self.request.exchange()
        }));
    }
}

pub(super) fn text(bytes: &[u8], bytes_max: usize) -> String {
    String::from_utf8_lossy(bytes.get(..bytes_max).unwrap_or(bytes)).into_owned()
}

const HOST_BYTES_MAX: usize = 255;
const AGENT_BYTES_MAX: usize = 256;
const NAMES_BYTES_MAX: usize = 256;
/// As the contract says.
pub(super) const HEAD_BYTES_MAX: usize = 128;
pub(super) const TYPE_BYTES_MAX: usize = 128;
