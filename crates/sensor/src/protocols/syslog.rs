//! Syslog, by the priority before each message: RFC 5424, RFC 3164, over UDP, or over TCP by
//! line or counted as in RFC 6587. The receiver never speaks.

use observation::{Side, Transport};

use super::follow::{Context, Follow, Follower, Step};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, decimal, is_text};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "syslog",
    first_bytes: FirstBytes::of(b"<").or(FirstBytes::range(b'1', b'9')),
    transports: Transports::Both,
    probe,
    follow: Some(|| Follower::Syslog(Stream::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if !heads.answerer.is_empty() {
        return Verdict::Never;
    }
    let (counted, message) = match counted(heads.opener) {
        (Fit::No, _) => (Fit::Yes, heads.opener),
        (fit, message) => (fit, message),
    };
    let begins = counted.and(priority(message));
    match begins {
        Fit::No => Verdict::Never,
        Fit::Yes if heads.transport == Transport::Udp => Verdict::Confirmed,
        Fit::Yes if message.contains(&b'\n') || message.len() >= MESSAGE_BYTES_ENOUGH => {
            Verdict::Confirmed
        }
        // A counted message has no line end.
        Fit::Yes if message.len() < heads.opener.len() => Verdict::Confirmed,
        Fit::Yes | Fit::Could => Verdict::Unsure,
    }
}

/// `123 `, then the message; a sender that counts does so from the first message on.
fn counted(head: &[u8]) -> (Fit, &[u8]) {
    let digits = head.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match head.get(digits) {
        _ if digits > COUNT_DIGITS_MAX => (Fit::No, head),
        None => (Fit::Could, &[]),
        Some(b' ') if digits > 0 => (Fit::Yes, head.get(digits + 1..).unwrap_or_default()),
        Some(_) => (Fit::No, head),
    }
}

/// `<0>` to `<191>`, then text.
fn priority(message: &[u8]) -> Fit {
    let Some(rest) = message.strip_prefix(b"<") else {
        return if message.is_empty() { Fit::Could } else { Fit::No };
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = rest.get(..digits).and_then(decimal);
    match (number, rest.get(digits..)) {
        (None, Some([])) => Fit::Could,
        (Some(0..=191), Some([])) if digits <= 3 => Fit::Could,
        (Some(0..=191), Some([b'>'])) => Fit::Could,
        (Some(0..=191), Some([b'>', first, ..]))
            if is_text(&[*first]) && !matches!(first, b'<' | b'\t') && digits <= 3 =>
        {
            Fit::Yes
        }
        _ => Fit::No,
    }
}

/// What the sender is in the middle of.
#[derive(Debug, Default)]
pub(super) struct Stream {
    part: Part,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Start,
    /// A message's length so far.
    Count(u32),
    /// Behind the length; so many bytes of the message are to come.
    Counted(u32),
    /// Digits so far, their value, and the counted bytes that are left, if any.
    Priority(u8, u16, Option<u32>),
    Text(Option<u32>),
    /// After a gap: up to the next line end.
    Seeking,
}

impl Follow for Stream {
    fn feed(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Step {
        if side == Side::Responder {
            return Step::Left;
        }
        if context.transport == Transport::Udp {
            self.part = Part::Start;
        }
        let mut step = Step::Obeys;
        for byte in bytes {
            if self.part == Part::Seeking {
                step = Step::Unchecked;
            }
            match self.part.after(*byte) {
                Some(part) => self.part = part,
                None => return Step::Left,
            }
        }
        step
    }

    fn gap(&mut self, _: Side) {
        self.part = Part::Seeking;
    }
}

impl Part {
    /// What is expected after `byte`, or `None` where it may not stand.
    fn after(self, byte: u8) -> Option<Self> {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        Some(match (self, byte) {
            (Self::Start, b'<') => Self::Priority(0, 0, None),
            (Self::Start, b'1'..=b'9') => Self::Count(digit),
            (Self::Start, b'\r' | b'\n' | 0) => Self::Start,
            (Self::Count(count @ 0..COUNT_LIMIT), b'0'..=b'9') => Self::Count(count * 10 + digit),
            (Self::Count(count @ 5..), b' ') => Self::Counted(count),
            (Self::Counted(left), b'<') => Self::Priority(0, 0, Some(left - 1)),
            (Self::Priority(count @ 0..3, value, left), b'0'..=b'9') => {
                Self::Priority(count + 1, value * 10 + u16::from(byte - b'0'), spend(left)?)
            }
            (Self::Priority(1.., 0..=191, left), b'>') => Self::Text(spend(left)?),
            // RFC 3164 senders end with a line end, some with NUL.
            (Self::Text(None), b'\n' | 0) => Self::Start,
            (Self::Text(None), _) => Self::Text(None),
            (Self::Text(Some(0 | 1)), _) => Self::Start,
            (Self::Text(Some(left)), _) => Self::Text(Some(left - 1)),
            (Self::Seeking, b'\n') => Self::Start,
            (Self::Seeking, _) => Self::Seeking,
            _ => return None,
        })
    }
}

/// One byte less of a counted message; `None` when the message ended too early.
fn spend(left: Option<u32>) -> Option<Option<u32>> {
    match left {
        None => Some(None),
        Some(left) => Some(Some(left.checked_sub(1).filter(|left| *left > 0)?)),
    }
}

/// A count of at most five digits.
const COUNT_LIMIT: u32 = 10_000;
const COUNT_DIGITS_MAX: usize = 5;
/// So much of a message without a line end is enough to know it.
const MESSAGE_BYTES_ENOUGH: usize = 64;

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn lines_with_priorities_are_syslog() {
        let story = Story::of(&[client(
            b"<13>Oct 11 22:14:15 box app: hi\n<34>1 2003-10-11T22:14:15.003Z box su - ID47 - no\n",
        )]);
        story.is_confirmed("syslog");
        story.is_obeyed_after(0);
        Story::of_datagrams(&[client(b"<13>hello")]).is_confirmed("syslog");
    }

    #[test]
    fn counted_messages_are_syslog() {
        let story = Story::of(&[client(b"10 <13>1 a bc12 <13>1 a b cd")]);
        story.is_confirmed("syslog");
        story.is_obeyed_after(0);
    }

    #[test]
    fn syslog_cut_short_is_unsure() {
        assert!(Story::of(&[client(b"<13>Oct")]).names.is_empty());
    }

    #[test]
    fn a_receiver_that_answers_leaves() {
        Story::of(&[client(b"<13>hi\n"), server(b"id\n")]).is_left_by_server();
        Story::of(&[client(b"<13>hi\nuid=0(root)\n")]).is_left_by_client();
        assert!(Story::of(&[client(b"<html>\n")]).names.is_empty());
    }
}
