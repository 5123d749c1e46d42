//! DNS, by a whole message that holds together: RFC 1035, over UDP or with TCP's length before it.

use alloc::borrow::Cow;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use observation::{DnsExchange, Side, Time, Transport};

use super::dns_message::{Kind, Message, Read};
use super::follow::{Both, Context, Follow, Follower, Step};
use super::registry::{FirstBytes, Protocol, Transports};
use super::{Heads, Heard, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "dns",
    first_bytes: FirstBytes::ANY,
    transports: Transports::Both,
    probe,
    follow: Some(|| Follower::Dns(Exchange::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    let (opener, answerer) = match heads.transport {
        Transport::Udp => (Message::read(heads.opener), Message::read(heads.answerer)),
        _ => (framed(heads.opener), framed(heads.answerer)),
    };
    match (kind(&opener, heads.opener), kind(&answerer, heads.answerer)) {
        (Said::Not, _) | (_, Said::Not) => Verdict::Never,
        (Said::Query(asked), Said::Response(answered)) if asked == answered => Verdict::Confirmed,
        // Answers to later queries may come first.
        (Said::Query(_), Said::Response(_)) => Verdict::Proposed(Side::Originator),
        (Said::Query(_), Said::Nothing | Said::Part) => Verdict::Proposed(Side::Originator),
        // The capture began behind the query.
        (Said::Response(_), Said::Nothing) => Verdict::Proposed(Side::Originator),
        (Said::Nothing, Said::Response(_)) => Verdict::Proposed(Side::Responder),
        (Said::Nothing | Said::Part, _) => Verdict::Unsure,
        (Said::Response(_), _) | (_, Said::Query(_)) => Verdict::Never,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Part,
    Query(u16),
    Response(u16),
    Not,
}

fn kind(read: &Read<'_>, head: &[u8]) -> Said {
    match read {
        _ if head.is_empty() => Said::Nothing,
        Read::Whole(message) if message.counts().questions > 1 => Said::Not,
        Read::Whole(message) if message.kind == Kind::Query => Said::Query(message.id),
        Read::Whole(message) => Said::Response(message.id),
        Read::Short => Said::Part,
        Read::Not => Said::Not,
    }
}

/// The first message behind its length.
fn framed(head: &[u8]) -> Read<'_> {
    let Some((length, rest)) = head.split_first_chunk::<2>() else { return Read::Short };
    let length = usize::from(u16::from_be_bytes(*length));
    if !(QUERY_BYTES_MIN..=MESSAGE_BYTES_MAX).contains(&length) {
        return Read::Not;
    }
    match rest.get(..length) {
        Some(message) => match Message::read(message) {
            // The length says that it is whole.
            Read::Short => Read::Not,
            read => read,
        },
        None => match Message::read(rest) {
            // A head may end before a long answer does; what is there has been looked at.
            Read::Whole(_) => Read::Short,
            read => read,
        },
    }
}

/// The questions of one flow that wait for their answers.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    pending: VecDeque<Question>,
    frames: Both<Frame>,
}

#[derive(Debug)]
struct Question {
    asked_at: Time,
    id: u16,
    query_type: u16,
    name: String,
    bytes: u16,
    edns_payload_bytes: u16,
}

/// The message of one side of a TCP flow that is being put together.
#[derive(Debug, Default)]
struct Frame {
    length: Vec<u8>,
    message: Vec<u8>,
    state: FrameState,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum FrameState {
    #[default]
    InOrder,
    /// Nothing marks the beginning of a message.
    Lost,
}

impl Follow for Exchange {
    fn feed(&mut self, side: Side, mut bytes: &[u8], context: &mut Context<'_>) -> Step {
        if context.transport == Transport::Udp {
            return self.message(bytes, context);
        }
        while !bytes.is_empty() {
            let frame = self.frames.of_mut(side);
            if frame.state == FrameState::Lost {
                return Step::Unchecked;
            }
            bytes = frame.take(bytes);
            let Some(length) = frame.missing() else { continue };
            if length.whole < QUERY_BYTES_MIN || length.whole > MESSAGE_BYTES_MAX {
                self.gap(side);
                return Step::Left;
            }
            if length.left == 0 {
                let frame = core::mem::take(frame);
                let step = self.message(&frame.message, context);
                if step != Step::Obeys {
                    self.gap(side);
                    return step;
                }
            }
        }
        Step::Obeys
    }

    fn held(&self) -> usize {
        let names = self.pending.iter().map(|question| question.name.capacity());
        self.pending.capacity() * size_of::<Question>()
            + names.sum::<usize>()
            + self.frames.sum(|frame| frame.length.capacity() + frame.message.capacity())
    }

    fn gap(&mut self, side: Side) {
        *self.frames.of_mut(side) = Frame { state: FrameState::Lost, ..Frame::default() };
    }

    fn end(&mut self, context: &mut Context<'_>) {
        for question in self.pending.drain(..) {
            question.give_up(context);
        }
    }
}

struct Length {
    whole: usize,
    left: usize,
}

impl Frame {
    /// Takes what belongs to this message and returns the rest.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let room = match self.missing() {
            None => 2 - self.length.len(),
            Some(length) => length.left,
        };
        let (taken, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        let part = if self.length.len() < 2 { &mut self.length } else { &mut self.message };
        part.extend_from_slice(taken);
        rest
    }

    fn missing(&self) -> Option<Length> {
        let whole = usize::from(u16::from_be_bytes(*self.length.first_chunk::<2>()?));
        Some(Length { whole, left: whole.saturating_sub(self.message.len()) })
    }
}

impl Exchange {
    fn message(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Step {
        let message = match Message::read(bytes) {
            Read::Whole(message) => message,
            // A datagram that the capture cut short.
            Read::Short if context.transport == Transport::Udp => return Step::Unchecked,
            Read::Short | Read::Not => return Step::Left,
        };
        match message.kind {
            Kind::Query => self.ask(&message, context),
            Kind::Response => self.answer(&message, context),
        }
        Step::Obeys
    }

    fn ask(&mut self, message: &Message<'_>, context: &mut Context<'_>) {
        let question = Question {
            asked_at: context.at,
            id: message.id,
            query_type: message.query_type,
            name: message.name(),
            bytes: message.bytes_count(),
            edns_payload_bytes: message.edns_payload_bytes(),
        };
        // A repeated question is the same question.
        if self.pending.iter().any(|each| each.is_as(&question)) {
            return;
        }
        if self.pending.len() == QUESTION_COUNT_MAX
            && let Some(oldest) = self.pending.pop_front()
        {
            oldest.give_up(context);
        }
        self.pending.push_back(question);
    }

    fn answer(&mut self, message: &Message<'_>, context: &mut Context<'_>) {
        let answered = Question {
            asked_at: context.at,
            id: message.id,
            query_type: message.query_type,
            name: message.name(),
            bytes: 0,
            edns_payload_bytes: 0,
        };
        let at = self.pending.iter().position(|each| each.is_as(&answered));
        let question = at.and_then(|at| self.pending.remove(at)).unwrap_or(answered);
        (context.heard)(Heard::Dns(DnsExchange {
            response_code: Some(message.response_code),
            answers: message.answers(),
            response_bytes: message.bytes_count(),
            ..question.exchange()
        }));
    }
}

impl Question {
    fn is_as(&self, other: &Self) -> bool {
        self.id == other.id && self.query_type == other.query_type && self.name == other.name
    }

    fn give_up(self, context: &mut Context<'_>) {
        (context.heard)(Heard::Dns(self.exchange()));
    }

    fn exchange(&self) -> DnsExchange<'_> {
        DnsExchange {
            asked_at: self.asked_at,
            name: Cow::Borrowed(&self.name),
            query_type: self.query_type,
            query_bytes: self.bytes,
            edns_payload_bytes: self.edns_payload_bytes,
            ..DnsExchange::default()
        }
    }
}

/// A header and the shortest question.
const QUERY_BYTES_MIN: usize = 17;
const MESSAGE_BYTES_MAX: usize = 8192;
const QUESTION_COUNT_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use observation::Side;

    use crate::protocols::story::{Story, client, server};

    const ASKS: &[u8; 29] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07eXample\x03com\0\0\x01\0\x01";
    const ANSWERS: &[u8; 45] =
        b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x07eXample\x03com\0\0\x01\0\x01\
        \xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc6\x33\x64\x0a";
    const HEARD: &str = r#"name: "example.com", query_type: 1, response_code: Some(0), answers: [DnsAnswer { ttl_s: 60, data: Address(198.51.100.10) }], query_bytes: 29, response_bytes: 45, edns_payload_bytes: 0 })"#;

    #[test]
    fn a_question_and_its_answer_are_dns() {
        let story = Story::of_datagrams(&[client(ASKS), server(ANSWERS)]);
        story.is_confirmed("dns");
        story.is_obeyed_after(0);
        assert!(story.facts[0].ends_with(HEARD), "{story:?}");
    }

    #[test]
    fn dns_over_tcp_is_dns() {
        let framed =
            |message: &[u8]| [&[0, u8::try_from(message.len()).unwrap()], message].concat();
        let (asks, answers) = (framed(ASKS), framed(ANSWERS));
        let story = Story::of(&[(Side::Originator, &asks), (Side::Responder, &answers)]);
        story.is_confirmed("dns");
        assert!(story.facts[0].ends_with(HEARD), "{story:?}");
        Story::of(&[(Side::Originator, &asks), server(b"id\n")]).is_left_by_server();
    }

    #[test]
    fn a_question_without_answer_is_told_at_the_end() {
        let story = Story::of_datagrams(&[client(ASKS), client(ASKS)]);
        story.is_only_proposed("dns");
        assert_eq!(story.facts.len(), 1);
        assert!(story.facts[0].contains("response_code: None"));
    }

    #[test]
    fn a_resolver_says_how_much_it_can_take() {
        let mut asks = ASKS.to_vec();
        asks[11] = 1;
        asks.extend_from_slice(b"\0\0\x29\x04\xd0\0\0\0\0\0\0");
        let story = Story::of_datagrams(&[(Side::Originator, &asks), server(ANSWERS)]);
        assert!(story.facts[0].ends_with("edns_payload_bytes: 1232 })"), "{story:?}");
    }

    #[test]
    fn dns_cut_short_is_unsure() {
        assert!(Story::of_datagrams(&[(Side::Originator, &ASKS[..20])]).names.is_empty());
    }

    #[test]
    fn text_is_not_dns_and_text_behind_a_question_leaves() {
        assert!(Story::of_datagrams(&[client(b"cat /etc/passwd; id; uname -a")]).names.is_empty());
        Story::of_datagrams(&[client(ASKS), server(b"id\n")]).names.is_empty();
        let story = Story::of_datagrams(&[client(ASKS), server(b"cat /etc/passwd; uname -a")]);
        story.is_left_by_server();
    }

    #[test]
    fn a_bad_datagram_does_not_hide_what_follows_it() {
        let mut later = *ASKS;
        later[0] = 0x77;
        let story = Story::of_datagrams(&[
            client(ASKS),
            server(b"cat /etc/passwd; uname -a"),
            client(&later),
            server(ANSWERS),
        ]);
        story.is_left_by_server();
        assert_eq!(story.facts.len(), 2);
    }

    #[test]
    fn a_name_that_points_at_itself_ends() {
        let mut answers = *ANSWERS;
        answers[30] = 29;
        let story = Story::of_datagrams(&[client(ASKS), server(&answers)]);
        story.is_left_by_server();
    }

    #[test]
    fn odd_bytes_in_names_are_escaped() {
        let story = Story::of_datagrams(&[client(
            b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04_a.\x1b\0\0\x10\0\x01",
        )]);
        assert!(story.facts[0].contains(r#"name: "_a\\046\\027""#), "{story:?}");
    }

    #[test]
    fn questions_beyond_the_limit_are_given_up_in_order() {
        let asks: Vec<[u8; 29]> = (0..40)
            .map(|id| {
                let mut datagram = *ASKS;
                datagram[1] = id;
                datagram
            })
            .collect();
        let turns: Vec<_> = asks.iter().map(|ask| (Side::Originator, &ask[..])).collect();
        assert_eq!(Story::of_datagrams(&turns).facts.len(), 40);
    }
}
