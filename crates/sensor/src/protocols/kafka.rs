//! Kafka, by a request with a client's name and the response that repeats its number: the Kafka
//! protocol guide, "Protocol Primitive Types" and "Request and Response Headers".

use observation::Side;

use super::frames::{be16_at, be32, be32_at};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, is_text};
use super::{Heads, Start, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "kafka",
    first_bytes: FirstBytes::range(0, 6),
    transports: Transports::Tcp,
    probe,
    follow: None,
};

fn probe(heads: Heads<'_>) -> Verdict {
    let as_opened = exchange(&heads, Side::Originator);
    // In the middle of a conversation nobody knows who asks.
    match (heads.start, as_opened) {
        (Start::Missed, Verdict::Never | Verdict::Unsure) => {
            match (exchange(&heads, Side::Responder), as_opened) {
                (Verdict::Never, other) => other,
                (verdict, _) => verdict,
            }
        }
        _ => as_opened,
    }
}

fn exchange(heads: &Heads<'_>, client: Side) -> Verdict {
    let (asks, answers) = (heads.of(client), heads.of(client.other()));
    let answered = match heads.start {
        Start::Seen if heads.first == Some(client.other()) => return Verdict::Never,
        Start::Seen => 0,
        Start::Missed => PENDING_COUNT_MAX,
    };
    match (request(asks), number_of_response(answers)) {
        (Fit::No, _) => Verdict::Never,
        (Fit::Could, _) => Verdict::Unsure,
        (Fit::Yes, Ok(number)) => {
            let asked = be32_at(asks, 8).unwrap_or(0);
            let is_answer = asked.wrapping_sub(number) <= answered;
            if is_answer { Verdict::Confirmed } else { Verdict::Never }
        }
        (Fit::Yes, Err(Fit::No)) => Verdict::Never,
        (Fit::Yes, Err(_)) if be16_at(asks, 12) == Some(NO_NAME) => Verdict::Unsure,
        (Fit::Yes, Err(_)) => Verdict::Proposed(client),
    }
}

/// Length, API and its version, a number, and the client's name or none.
fn request(head: &[u8]) -> Fit {
    let fits = be32(head).is_none_or(|size| (10..=SIZE_MAX).contains(&size))
        && be16_at(head, 4).is_none_or(|api| api <= API_MAX)
        && be16_at(head, 6).is_none_or(|version| version <= VERSION_MAX);
    let name = head.get(14..).unwrap_or_default();
    match be16_at(head, 12) {
        _ if !fits => Fit::No,
        None => Fit::Could,
        Some(NO_NAME) => Fit::Yes,
        Some(length @ 1..=NAME_BYTES_MAX) => {
            let length = usize::from(length);
            let whole = name.get(..length);
            match (is_text(whole.unwrap_or(name)), whole) {
                _ if be32(head).is_some_and(|size| size < 10 + length) => Fit::No,
                (false, _) => Fit::No,
                (true, None) => Fit::Could,
                (true, Some(_)) => Fit::Yes,
            }
        }
        Some(_) => Fit::No,
    }
}

/// The request's number behind a plausible length.
fn number_of_response(head: &[u8]) -> Result<u32, Fit> {
    match (be32(head), be32_at(head, 4)) {
        (None, _) => Err(Fit::Could),
        (Some(size), _) if !(4..=SIZE_MAX).contains(&size) => Err(Fit::No),
        (Some(_), number) => number.ok_or(Fit::Could),
    }
}

/// `socket.request.max.bytes`, as brokers are shipped.
const SIZE_MAX: usize = 104_857_600;
const API_MAX: u16 = 120;
const VERSION_MAX: u16 = 30;
const NAME_BYTES_MAX: u16 = 255;
const NO_NAME: u16 = 0xffff;
/// Requests that may be under way when a capture begins.
const PENDING_COUNT_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    const ASKS: &[u8; 25] = b"\0\0\0\x15\0\x12\0\0\0\0\0\x81\0\x07rdkafka\0\0\0\0";
    const ANSWERS: &[u8; 14] = b"\0\0\0\x0a\0\0\0\x81\0\0\0\0\0\0";

    #[test]
    fn a_request_and_its_answer_are_kafka() {
        Story::of(&[client(ASKS), server(ANSWERS)]).is_confirmed("kafka");
        Story::of(&[client(ASKS)]).is_only_proposed("kafka");
    }

    #[test]
    fn kafka_in_the_middle_is_kafka_whoever_speaks_first() {
        Story::of_midstream(&[client(ANSWERS), server(ASKS)]).is_confirmed("kafka");
    }

    #[test]
    fn kafka_cut_short_is_unsure() {
        Story::of(&[client(b"\0\0\0\x15\0\x12\0\0\0\0\0\x81\0\x07rdka")]).is_nothing();
    }

    #[test]
    fn another_number_and_no_name_are_not_kafka() {
        let nameless = b"\0\0\0\x0a\0\x12\0\0\0\0\0\x81\xff\xff";
        Story::of(&[client(nameless)]).is_nothing();
        Story::of(&[client(nameless), server(b"\0\0\0\x0a\0\0\0\x82\0\0")]).is_nothing();
        Story::of(&[client(ASKS), server(b"uid=0(root)\n")]).is_left_by_server();
    }
}
