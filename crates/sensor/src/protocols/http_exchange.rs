//! HTTP/1 message by message: RFC 9112.
//!
//! After a request only another request may come, after a response only another response:
//! a conversation that turns into something else leaves its grammar there.

use alloc::collections::VecDeque;
use alloc::string::String;

use observation::{DetailKind, Side};

use super::follow::{Both, Context, Next, Skipped, Step};
use super::http::{VERSION, begins_field, begins_request, is_field, is_request_line, status};
use super::http_record::{Answer, Body, Request, TYPE_BYTES_MAX, text};
use super::lines::{Expect, Talk};
use super::services;
use super::words::{Fit, decimal, hexadecimal, is_text, literal};

/// What both sides are in the middle of.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// Who requests; known with the first bytes.
    client: Option<Side>,
    messages: Both<Message>,
    /// The request whose header is being read.
    building: Option<Request>,
    /// Requests without a response, oldest first, at most `REQUEST_COUNT_MAX`.
    pending: VecDeque<Request>,
    /// Whose response's header is being read, by its fields.
    service: Option<&'static str>,
    /// The `Content-Type` of the response whose header is being read.
    response_type: String,
    /// The exchange whose response's body is being measured.
    answering: Option<Answer>,
    /// Whether a request has been seen at all.
    requested: Requested,
    turns: Turns,
}

/// Whether both sides take turns, as HTTP's do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turns {
    #[default]
    Taken,
    /// A response began before its request had ended. Servers do so to refuse; two endless bodies
    /// are also a terminal in both directions, of which nothing can be said.
    Overlap,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Requested {
    #[default]
    NotYet,
    Seen,
}

#[derive(Clone, Copy, Debug, Default)]
struct Message {
    part: Part,
    length: Option<u64>,
    coding: Coding,
    upgrade: Upgrade,
    status: u16,
    blank_lines: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Start,
    Header,
    Body(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailer,
    ToTheEnd,
    /// After a gap: lines are passed over until one starts a message.
    Seeking,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    Identity,
    Chunked,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Upgrade {
    #[default]
    None,
    Websocket,
}

impl Talk for Exchange {
    fn expects(&self, side: Side) -> Expect {
        match self.messages.of(side).part {
            Part::Body(count) | Part::Chunk(count) => Expect::Payload(count),
            // Until the connection closes everything is body.
            Part::ToTheEnd => Expect::Payload(u64::MAX),
            _ => Expect::Line,
        }
    }

    fn line(&mut self, side: Side, line: &[u8], context: &mut Context<'_>) -> Step {
        let client = self.client(side, line);
        self.client = Some(client);
        let step = self.read(side, client, line, context);
        self.judged(step)
    }

    fn begun(&self, side: Side, part: &[u8]) -> Step {
        let fits = match self.messages.of(side).part {
            Part::Start if side == self.client(side, part) => begins_request(part),
            Part::Start => literal(part, VERSION).possible(),
            Part::Header | Part::Trailer => begins_field(part),
            Part::ChunkSize => hexadecimal(part.split(|b| *b == b';').next().unwrap_or(part))
                .is_some_and(|_| is_text(part)),
            Part::ChunkEnd => false,
            Part::Seeking => return Step::Unchecked,
            Part::Body(_) | Part::Chunk(_) | Part::ToTheEnd => true,
        };
        if fits { Step::Obeys } else { Step::Left }
    }

    fn body(&mut self, side: Side, bytes: &[u8]) {
        if let Some(body) = self.body_of(side) {
            body.begin(bytes);
        }
    }

    fn payload(&mut self, side: Side, count: u64) -> Step {
        if let Some(body) = self.body_of(side) {
            body.measure(count);
        }
        let message = self.messages.of_mut(side);
        message.part = match message.part {
            Part::Body(left) if left <= count => Part::Start,
            Part::Body(left) => Part::Body(left - count),
            Part::Chunk(left) if left <= count => Part::ChunkEnd,
            Part::Chunk(left) => Part::Chunk(left - count),
            other => other,
        };
        self.judged(Step::Obeys)
    }

    fn paid(&mut self, context: &mut Context<'_>) {
        self.settle(context);
    }

    fn skip(&mut self, side: Side, count: u64) -> Skipped {
        match self.expects(side) {
            Expect::Payload(left) if count <= left => {
                self.payload(side, count);
                Skipped::Yes
            }
            _ => Skipped::No,
        }
    }

    fn gap(&mut self, side: Side) {
        let message = self.messages.of_mut(side);
        if message.part != Part::ToTheEnd {
            *message = Message { part: Part::Seeking, ..Message::default() };
        }
        // Which response belongs to which request can no longer be told.
        self.requested = Requested::NotYet;
    }

    fn held(&self) -> usize {
        let requests = self.pending.iter().chain(&self.building).map(Request::held);
        self.pending.capacity() * size_of::<Request>()
            + requests.sum::<usize>()
            + self.answering.as_ref().map_or(0, Answer::held)
    }

    fn end(&mut self, context: &mut Context<'_>) {
        self.tell_answer(context);
        for request in self.pending.drain(..).chain(self.building.take()) {
            request.tell(context);
        }
    }
}

impl Exchange {
    fn read(&mut self, side: Side, client: Side, line: &[u8], context: &mut Context<'_>) -> Step {
        let message = self.messages.of_mut(side);
        match message.part {
            Part::Start | Part::Seeking if side == client => self.request_line(side, line, context),
            Part::Start | Part::Seeking => self.status_line(side, line, context),
            Part::Header if line.is_empty() => self.header_end(side, context),
            Part::Header => self.field(side, line),
            Part::ChunkSize => message.chunk_size(line),
            Part::ChunkEnd => message.chunk_end(line),
            Part::Trailer if line.is_empty() => {
                message.part = Part::Start;
                self.settle(context);
                Step::Obeys
            }
            Part::Trailer if is_field(line) => Step::Obeys,
            _ => Step::Left,
        }
    }

    /// Nothing is vouched for where the roles are reversed or the turns overlap.
    fn judged(&self, step: Step) -> Step {
        let regular = self.client != Some(Side::Responder) && self.turns == Turns::Taken;
        if step == Step::Obeys && !regular { Step::Unchecked } else { step }
    }

    fn client(&self, side: Side, bytes: &[u8]) -> Side {
        self.client.unwrap_or_else(|| {
            if literal(bytes, VERSION) == Fit::Yes { side.other() } else { side }
        })
    }

    /// The body that `side` is sending.
    fn body_of(&mut self, side: Side) -> Option<&mut Body> {
        let answering = self.answering.as_mut();
        if self.client == Some(side) {
            let pending = self.pending.back_mut();
            pending.or(answering.map(|answer| &mut answer.request)).map(|it| &mut it.body)
        } else {
            answering.map(|answer| &mut answer.body)
        }
    }

    /// Tells the exchange whose response has ended.
    fn settle(&mut self, context: &mut Context<'_>) {
        let server = self.client.map_or(Side::Responder, Side::other);
        if self.answering.is_some() && self.messages.of(server).part == Part::Start {
            self.tell_answer(context);
        }
    }

    fn tell_answer(&mut self, context: &mut Context<'_>) {
        if let Some(answer) = self.answering.take() {
            answer.tell(context);
        }
    }

    fn request_line(&mut self, side: Side, line: &[u8], context: &mut Context<'_>) -> Step {
        let message = self.messages.of_mut(side);
        if line.is_empty() && message.blank_lines < BLANK_LINE_COUNT_MAX {
            // RFC 9112, section 2.2: a stray line end before a request is to be ignored.
            message.blank_lines += 1;
            return Step::Obeys;
        }
        if !is_request_line(line) {
            return if message.part == Part::Seeking { Step::Unchecked } else { Step::Left };
        }
        *message = Message { part: Part::Header, ..Message::default() };
        self.requested = Requested::Seen;
        let request = Request::begun(line, context.at);
        if let Some(service) = services::by_target(request.target()) {
            context.carries(service, side);
        }
        self.building = Some(request);
        Step::Obeys
    }

    fn status_line(&mut self, side: Side, line: &[u8], context: &mut Context<'_>) -> Step {
        let message = self.messages.of_mut(side);
        let Some(status) = status(line) else {
            return if message.part == Part::Seeking { Step::Unchecked } else { Step::Left };
        };
        *message = Message { part: Part::Header, status, ..Message::default() };
        let asked = !self.pending.is_empty() || self.building.is_some();
        let unseen = self.requested == Requested::NotYet;
        // A server may give up waiting for a request; it may not answer one that nobody sent.
        if !asked && !unseen && status != REQUEST_TIMEOUT {
            return Step::Left;
        }
        if status >= 200 && self.is_requesting(side.other()) {
            self.turns = Turns::Overlap;
        }
        // Only a gap leaves one behind.
        self.tell_answer(context);
        self.response_type.clear();
        self.service = None;
        Step::Obeys
    }

    /// Whether `client` is in the middle of a request.
    fn is_requesting(&self, client: Side) -> bool {
        !matches!(self.messages.of(client).part, Part::Start | Part::Seeking)
    }

    fn field(&mut self, side: Side, line: &[u8]) -> Step {
        if !is_field(line) {
            return Step::Left;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Step::Obeys };
        let name = line.get(..colon).unwrap_or_default();
        let value = line.get(colon + 1..).unwrap_or_default().trim_ascii();
        let message = self.messages.of_mut(side);
        if name.eq_ignore_ascii_case(b"content-length") {
            message.length = decimal(value);
            if message.length.is_none() {
                return Step::Left;
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if value.to_ascii_lowercase().ends_with(b"chunked") {
                message.coding = Coding::Chunked;
            }
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            if value.eq_ignore_ascii_case(b"websocket") {
                message.upgrade = Upgrade::Websocket;
            }
        } else if self.client != Some(side) {
            self.service = self.service.or_else(|| services::by_field(name, value));
            if name.eq_ignore_ascii_case(b"content-type") {
                self.response_type = text(value, TYPE_BYTES_MAX);
            }
        }
        if let Some(request) = self.building.as_mut().filter(|_| self.client == Some(side)) {
            request.field(name, value);
        }
        Step::Obeys
    }

    fn header_end(&mut self, side: Side, context: &mut Context<'_>) -> Step {
        if self.client != Some(side) {
            return self.response_header_end(side, context);
        }
        let message = self.messages.of_mut(side);
        message.part = match (message.coding, message.length) {
            (Coding::Chunked, _) => Part::ChunkSize,
            (Coding::Identity, Some(1..)) => Part::Body(message.length.unwrap_or_default()),
            (Coding::Identity, _) => Part::Start,
        };
        if let Some(request) = self.building.take() {
            if self.pending.len() == REQUEST_COUNT_MAX
                && let Some(oldest) = self.pending.pop_front()
            {
                oldest.tell(context);
            }
            self.pending.push_back(request);
        }
        Step::Obeys
    }

    fn response_header_end(&mut self, side: Side, context: &mut Context<'_>) -> Step {
        let message = *self.messages.of(side);
        if message.status < 200 && message.status != SWITCHING {
            self.messages.of_mut(side).part = Part::Start;
            return Step::Obeys;
        }
        let request = self.pending.pop_front().or_else(|| self.building.take());
        let method = request.as_ref().map_or("", Request::method);
        let tunnels = method == "CONNECT" && (200..300).contains(&message.status);
        let bodiless = method == "HEAD" || matches!(message.status, 204 | 304);
        if tunnels && let Some(request) = &request {
            let target = request.target().as_bytes();
            context.detail("http", DetailKind::Target, side.other(), target);
        }
        // Either alone is what anybody may write.
        if let Some(service) = self.service
            && request.as_ref().and_then(|asked| services::by_target(asked.target()))
                == self.service
        {
            context.carries(service, side);
        }
        let response_type = core::mem::take(&mut self.response_type);
        self.answering = request.map(|request| Answer {
            request,
            status: message.status,
            response_type,
            body: Body::default(),
        });
        if message.status == SWITCHING && message.upgrade == Upgrade::Websocket {
            return Step::Becomes(Next::Websocket, 0);
        }
        if message.status == SWITCHING || tunnels {
            return Step::Becomes(Next::Tunnel, 0);
        }
        self.messages.of_mut(side).part = match (message.coding, message.length) {
            _ if bodiless => Part::Start,
            (Coding::Chunked, _) => Part::ChunkSize,
            (Coding::Identity, None) => Part::ToTheEnd,
            (Coding::Identity, Some(0)) => Part::Start,
            (Coding::Identity, Some(length)) => Part::Body(length),
        };
        self.settle(context);
        Step::Obeys
    }
}

impl Message {
    fn chunk_size(&mut self, line: &[u8]) -> Step {
        let size = line.split(|byte| *byte == b';').next().unwrap_or(line).trim_ascii();
        self.part = match hexadecimal(size) {
            Some(0) => Part::Trailer,
            Some(size) => Part::Chunk(size),
            None => return Step::Left,
        };
        Step::Obeys
    }

    fn chunk_end(&mut self, line: &[u8]) -> Step {
        self.part = Part::ChunkSize;
        if line.is_empty() { Step::Obeys } else { Step::Left }
    }
}

const REQUEST_COUNT_MAX: usize = 32;
const BLANK_LINE_COUNT_MAX: u8 = 2;
const SWITCHING: u16 = 101;
const REQUEST_TIMEOUT: u16 = 408;
