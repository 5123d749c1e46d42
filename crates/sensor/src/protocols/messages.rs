//! Messages in HTTP's shape that both sides may begin, as SIP (RFC 3261, section 7) and RTSP
//! (RFC 7826, section 5) have them: start line, fields, a blank line, a counted body.

use observation::Side;

use super::follow::{Both, Context, Skipped, Step};
use super::http::{begins_field, is_field};
use super::lines::{Expect, LINE_BYTES_MAX, Talk};
use super::words::{Fit, decimal, start_line};

/// What tells one such protocol from another.
pub(super) trait Dialect {
    const METHODS: &[&[u8]];
    const VERSION: &[u8];
}

/// Both sides' messages.
#[derive(Debug, Default)]
pub(super) struct Messages<D> {
    sides: Both<Message>,
    dialect: core::marker::PhantomData<D>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Message {
    part: Part,
    length: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Start,
    Header,
    Body(u64),
    /// After a gap: lines are passed over until one starts a message.
    Seeking,
    /// Media between the messages, which nothing tells from them but their first byte.
    Interleaved,
}

impl<D: Dialect> Talk for Messages<D> {
    fn expects(&self, side: Side) -> Expect {
        match self.sides.of(side).part {
            Part::Body(count) => Expect::Payload(count),
            Part::Interleaved => Expect::Anything,
            Part::Start | Part::Header | Part::Seeking => Expect::Line,
        }
    }

    fn line(&mut self, side: Side, line: &[u8], _: &mut Context<'_>) -> Step {
        let message = self.sides.of_mut(side);
        match message.part {
            // Blank lines keep a connection alive: RFC 5626, section 3.5.1.
            Part::Start if line.is_empty() => Step::Obeys,
            Part::Start if is_start::<D>(line) => {
                *message = Message { part: Part::Header, length: 0 };
                Step::Obeys
            }
            Part::Seeking if is_start::<D>(line) => {
                *message = Message { part: Part::Header, length: 0 };
                Step::Obeys
            }
            Part::Seeking => Step::Unchecked,
            Part::Header if line.is_empty() => {
                message.part = match message.length {
                    0 => Part::Start,
                    length => Part::Body(length),
                };
                Step::Obeys
            }
            Part::Header => self.field(side, line),
            Part::Start | Part::Body(_) | Part::Interleaved => Step::Left,
        }
    }

    fn begun(&self, side: Side, part: &[u8]) -> Step {
        let fits = match self.sides.of(side).part {
            Part::Start => start_line(part, D::METHODS, D::VERSION).possible(),
            Part::Header => begins_field(part),
            Part::Seeking => return Step::Unchecked,
            Part::Body(_) | Part::Interleaved => true,
        };
        if fits { Step::Obeys } else { Step::Left }
    }

    fn payload(&mut self, side: Side, count: u64) -> Step {
        let part = &mut self.sides.of_mut(side).part;
        if let Part::Body(left) = *part {
            *part = if left <= count { Part::Start } else { Part::Body(left - count) };
        }
        Step::Obeys
    }

    fn skip(&mut self, side: Side, count: u64) -> Skipped {
        match self.sides.of(side).part {
            Part::Body(left) if count <= left => {
                self.payload(side, count);
                Skipped::Yes
            }
            _ => Skipped::No,
        }
    }

    fn gap(&mut self, side: Side) {
        let message = self.sides.of_mut(side);
        if message.part != Part::Interleaved {
            message.part = Part::Seeking;
        }
    }
}

impl<D: Dialect> Messages<D> {
    fn field(&mut self, side: Side, line: &[u8]) -> Step {
        if !is_field(line) {
            return Step::Left;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let name = line.get(..colon).unwrap_or_default().trim_ascii();
        let value = line.get(colon + 1..).unwrap_or_default().trim_ascii();
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if is(b"content-length") || is(b"l") {
            let Some(length) = decimal(value) else { return Step::Left };
            self.sides.of_mut(side).length = length;
        } else if is(b"transport") && value.windows(TCP.len()).any(|part| part == TCP) {
            // RFC 7826, section 14: from now on frames of media may stand between the messages.
            for side in [Side::Originator, Side::Responder] {
                self.sides.of_mut(side).part = Part::Interleaved;
            }
        }
        Step::Obeys
    }
}

fn is_start<D: Dialect>(line: &[u8]) -> bool {
    let answer = line.starts_with(D::VERSION);
    // The end of a long line was not kept.
    let is_cut = line.len() + 2 >= LINE_BYTES_MAX;
    answer || is_cut || starts::<D>(line)
}

fn starts<D: Dialect>(line: &[u8]) -> bool {
    let version = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    super::words::exact_word(line, D::METHODS) == Fit::Yes && version.starts_with(D::VERSION)
}

const TCP: &[u8] = b"/TCP";
