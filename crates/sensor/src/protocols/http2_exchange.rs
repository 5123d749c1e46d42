//! HTTP/2's exchanges: a request and its response on a stream of their own, RFC 9113, section 8.1.
//! Header blocks are read as far as they are kept; a stream that is not understood is only counted.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use observation::Side;

use super::follow::{Both, Context, Step};
use super::framed::Frame;
use super::hpack::{self, Decoder};
use super::http_record::{Answer, HEAD_BYTES_MAX, Request, TYPE_BYTES_MAX, text};
use super::services;
use super::words::decimal;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;
const PADDED: u8 = 8;
const PRIORITIZED: u8 = 32;

/// How much of a header block is kept.
pub(super) const BLOCK_BYTES_MAX: usize = 8192;
/// How much of a body's frame is kept.
pub(super) const BODY_BYTES_MAX: usize = HEAD_BYTES_MAX;
/// Streams at one time whose exchange is put together; the oldest makes room.
const STREAM_COUNT_MAX: usize = 32;

/// The streams of a connection, and what its header blocks are read with.
#[derive(Debug, Default)]
pub(super) struct Streams {
    blocks: Both<Blocks>,
    /// The oldest first.
    open: VecDeque<Stream>,
}

/// One direction's header blocks.
#[derive(Debug, Default)]
struct Blocks {
    decoder: Decoder,
    /// The unfinished block.
    bytes: Vec<u8>,
    stream: u32,
    kind: u8,
    flags: u8,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Readable,
    /// Blocks build on each other: after one that is missing none can be read.
    Lost,
}

#[derive(Debug, Default)]
struct Stream {
    id: u32,
    answer: Answer,
}

/// A frame of a body.
struct Data<'a> {
    id: u32,
    length: u32,
    flags: u8,
    /// Its beginning.
    body: &'a [u8],
}

/// The fields of a block.
#[derive(Debug, Default)]
struct Fields {
    method: String,
    path: String,
    status: u16,
    kind: String,
}

impl Streams {
    /// Bytes were lost, and with them perhaps a block.
    pub(super) fn lose(&mut self) {
        for side in [Side::Originator, Side::Responder] {
            self.blocks.of_mut(side).lose();
        }
    }

    /// A frame is complete.
    pub(super) fn frame(
        &mut self,
        side: Side,
        frame: &Frame<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        let Some(&[high, middle, low, kind, flags, s3, s2, s1, s0]) = frame.head.first_chunk()
        else {
            // The preface.
            return Step::Obeys;
        };
        let length = u32::from_be_bytes([0, high, middle, low]);
        let id = u32::from_be_bytes([s3, s2, s1, s0]);
        match kind {
            DATA => self.data(side, &Data { id, length, flags, body: frame.body }, context),
            RST_STREAM => self.end(id, context),
            HEADERS | PUSH_PROMISE | CONTINUATION => {
                let blocks = self.blocks.of_mut(side);
                if kind != CONTINUATION {
                    (blocks.stream, blocks.kind, blocks.flags) = (id, kind, flags);
                    blocks.bytes.clear();
                }
                let is_whole = frame.body.len() == length as usize;
                let part = fragment(kind, flags, frame.body);
                blocks.take(if is_whole { part } else { None });
                if flags & END_HEADERS != 0 {
                    return self.block(side, context);
                }
            }
            _ => {}
        }
        Step::Obeys
    }

    /// How much memory they hold.
    pub(super) fn held(&self) -> usize {
        let answers = self.open.iter().map(|stream| stream.answer.held());
        size_of::<Self>()
            + self.blocks.sum(|blocks| blocks.bytes.capacity() + blocks.decoder.held())
            + self.open.capacity() * size_of::<Stream>()
            + answers.sum::<usize>()
    }

    /// The connection has ended.
    pub(super) fn close(&mut self, context: &mut Context<'_>) {
        for stream in self.open.drain(..) {
            stream.answer.tell(context);
        }
    }

    /// A header block is complete.
    fn block(&mut self, side: Side, context: &mut Context<'_>) -> Step {
        let blocks = self.blocks.of_mut(side);
        if blocks.state == State::Lost {
            return Step::Obeys;
        }
        let (id, kind, flags) = (blocks.stream, blocks.kind, blocks.flags);
        let bytes = core::mem::take(&mut blocks.bytes);
        let (mut fields, mut request) = (Fields::default(), Request::of_stream(context.at));
        let read = blocks.decoder.read(&bytes, &mut |name, value| {
            fields.take(name, value);
            request.field(name, value);
        });
        match read {
            hpack::Block::Read => {}
            hpack::Block::Beyond => {
                blocks.lose();
                return Step::Obeys;
            }
            hpack::Block::Wrong => return Step::Left,
        }
        if kind == HEADERS {
            match side {
                Side::Originator => self.asked(id, fields, request, context),
                Side::Responder => self.answered(id, fields, context),
            }
            // A request ends when its response does.
            if flags & END_STREAM != 0 && side == Side::Responder {
                self.end(id, context);
            }
        }
        Step::Obeys
    }

    /// A request; what comes without a method are trailers.
    fn asked(&mut self, id: u32, fields: Fields, mut request: Request, context: &mut Context<'_>) {
        if fields.method.is_empty() {
            return;
        }
        request.asks(&fields.method, &fields.path);
        if fields.kind.starts_with(GRPC) {
            context.carries("grpc", Side::Originator);
        }
        if let Some(service) = services::by_target(&fields.path) {
            context.carries(service, Side::Originator);
        }
        if self.open.len() >= STREAM_COUNT_MAX
            && let Some(oldest) = self.open.pop_front()
        {
            oldest.answer.tell(context);
        }
        self.open.push_back(Stream { id, answer: Answer { request, ..Answer::default() } });
    }

    /// A response; trailers have no status, and what is only under way has one below 200.
    fn answered(&mut self, id: u32, fields: Fields, context: &mut Context<'_>) {
        let Some(stream) = self.open.iter_mut().find(|stream| stream.id == id) else { return };
        if fields.status < 200 {
            return;
        }
        let answer = &mut stream.answer;
        (answer.status, answer.response_type) = (fields.status, fields.kind);
        if answer.response_type.starts_with(GRPC) {
            context.carries("grpc", Side::Responder);
            if let Some(service) = services::by_target(answer.request.target()) {
                context.carries(service, Side::Responder);
            }
        }
    }

    fn data(&mut self, side: Side, data: &Data<'_>, context: &mut Context<'_>) {
        let Some(stream) = self.open.iter_mut().find(|stream| stream.id == data.id) else { return };
        let answer = &mut stream.answer;
        let body = match side {
            Side::Originator => &mut answer.request.body,
            Side::Responder => &mut answer.body,
        };
        if data.flags & PADDED == 0 {
            body.begin(data.body);
        }
        body.measure(data.length.into());
        if data.flags & END_STREAM != 0 && side == Side::Responder {
            self.end(data.id, context);
        }
    }

    fn end(&mut self, id: u32, context: &mut Context<'_>) {
        let place = self.open.iter().position(|stream| stream.id == id);
        if let Some(stream) = place.and_then(|place| self.open.remove(place)) {
            stream.answer.tell(context);
        }
    }
}

impl Blocks {
    /// The next part of a block; `None` where it is not all there.
    fn take(&mut self, part: Option<&[u8]>) {
        match part {
            Some(part) if self.bytes.len() + part.len() <= BLOCK_BYTES_MAX => {
                if self.state == State::Readable {
                    self.bytes.extend_from_slice(part);
                }
            }
            _ => self.lose(),
        }
    }

    fn lose(&mut self) {
        *self = Self { state: State::Lost, ..Self::default() };
    }
}

impl Fields {
    fn take(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b":method" => self.method = text(value, METHOD_BYTES_MAX),
            b":path" => self.path = text(value, PATH_BYTES_MAX),
            b":status" => self.status = decimal(value).unwrap_or_default() as u16,
            b"content-type" => self.kind = text(value, TYPE_BYTES_MAX),
            _ => {}
        }
    }
}

/// The part of a header block that a frame carries, without padding, priority and promise.
fn fragment(kind: u8, flags: u8, body: &[u8]) -> Option<&[u8]> {
    if kind == CONTINUATION {
        return Some(body);
    }
    let (padding, body) = match (flags & PADDED != 0, body.split_first()) {
        (false, _) => (0, body),
        (true, Some((padding, rest))) => (usize::from(*padding), rest),
        (true, None) => return None,
    };
    let skipped = match kind {
        PUSH_PROMISE => 4,
        _ if flags & PRIORITIZED != 0 => 5,
        _ => 0,
    };
    body.get(skipped..body.len().checked_sub(padding)?)
}

const GRPC: &str = "application/grpc";
const METHOD_BYTES_MAX: usize = 32;
const PATH_BYTES_MAX: usize = 900;
