//! What is told of an HTTP exchange, while it is put together.

use alloc::borrow::Cow;
use alloc::string::String;

use observation::{HttpExchange, Time};

use super::Heard;
use super::follow::Context;
use super::lines::LINE_BYTES_MAX;

/// A request, as far as it is told.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) body_bytes: u64,
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
    pub(super) body_bytes: u64,
}

impl Request {
    pub(super) fn begun(line: &[u8], at: Time) -> Self {
        Self { asked_at: at, line: text(line, LINE_BYTES_MAX), ..Self::default() }
    }

    pub(super) fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    pub(super) fn target(&self) -> &str {
        let rest = self.line.get(self.method().len()..).unwrap_or_default().trim_start();
        rest.rsplit_once(' ').map_or(rest, |(target, _)| target)
    }

    /// 10 or 11; 0 where the end of a long line was not kept.
    fn version(&self) -> u8 {
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
        let (kept, bytes_max) = if name.eq_ignore_ascii_case(b"host") {
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
            request_body_bytes: self.body_bytes,
            ..HttpExchange::default()
        }
    }
}

impl Answer {
    pub(super) fn tell(&self, context: &mut Context<'_>) {
        (context.heard)(Heard::Http(HttpExchange {
            status: self.status,
            response_type: Cow::Borrowed(&self.response_type),
            response_body_bytes: self.body_bytes,
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
pub(super) const TYPE_BYTES_MAX: usize = 128;
