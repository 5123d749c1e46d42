//! Who has the first word once a handshake of TLS or DTLS is over, going by sizes and pauses.
//!
//! Whoever opens a connection mostly wants something, and asks for it at once; servers that greet
//! do so at once, too. A shell that is brought to its commander has nothing to say: the side that
//! was called breaks the first silence, when somebody there has thought.

use observation::{Burst, Side, Span};
use serde::{Deserialize, Serialize};

/// The caller's hello and the called side's; what the caller says next ends its part.
const HELLO_BURST_COUNT: u32 = 2;
/// A called side that answers with no more than this wants the hello once more: HelloRetryRequest
/// (RFC 8446, section 4.1.4), HelloVerifyRequest (RFC 6347, section 4.2.1).
const ONCE_MORE_BYTES_MAX: u64 = 112;
/// The called side lets so much time go by before its first word: what greets by itself is quicker.
const FIRST_THOUGHT_MS_MIN: u64 = 1_000;
/// Keys, ChangeCipherSpec and Finished are no longer than this (RFC 5246, RFC 6347, RFC 8446),
/// unless a client shows a certificate of its own.
const FINISH_BYTES_MAX: u64 = 128;
/// With a prompt or the complaint of a shell that has no terminal they are no longer than this.
const GREETING_BYTES_MAX: u64 = 256;

const _: () = assert!(FINISH_BYTES_MAX < GREETING_BYTES_MAX);

/// Whose the first word was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FirstWord {
    /// Nobody has let a silence go by yet.
    #[default]
    Open,
    /// The caller's, as of all who ask for something.
    Callers,
    /// The called side's, after the caller had said a few words which nobody answered.
    CalledsAfterGreeting,
    /// The called side's, and the caller had said nothing at all.
    Calleds,
}

/// What leads to the first word. Constant size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Opening {
    burst_count: u32,
    /// What the caller has said after its hello.
    caller_bytes: u64,
    caller_turns: u32,
    last: Option<Side>,
    /// How long the called side's first words after its hello were.
    ticket_bytes: u64,
    once_more: OnceMore,
    first_word: FirstWord,
}

/// Whether the caller had to say its hello twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum OnceMore {
    #[default]
    No,
    Asked,
}

impl Opening {
    /// This side was called, and has spoken first.
    pub(crate) fn has_given_first_word_to(&self, side: Side) -> bool {
        side == Side::Responder && self.first_word == FirstWord::Calleds
    }

    /// Takes the next burst in.
    pub(crate) fn observe(&mut self, burst: &Burst<'_>) {
        if self.first_word != FirstWord::Open {
            return;
        }
        let last = self.last.replace(burst.side);
        if self.is_asked_once_more(burst) {
            self.burst_count = 0;
            return;
        }
        self.burst_count = self.burst_count.saturating_add(1);
        if self.burst_count <= HELLO_BURST_COUNT {
            return;
        }
        if self.is_ticket(burst) {
            self.last = last;
        }
        let has_thought = burst.pause_before >= Span::from_millis(FIRST_THOUGHT_MS_MIN);
        if burst.side == Side::Responder && has_thought {
            self.first_word = self.called_speaks(last);
            return;
        }
        if burst.side == Side::Originator {
            self.caller_bytes = self.caller_bytes.saturating_add(burst.bytes);
            self.caller_turns = self.caller_turns.saturating_add(1);
        }
        if has_thought || self.caller_bytes > GREETING_BYTES_MAX {
            self.first_word = FirstWord::Callers;
        }
    }

    /// Tickets are of one length (RFC 8446, section 4.6.1): another one is no answer.
    fn is_ticket(&mut self, burst: &Burst<'_>) -> bool {
        if burst.side == Side::Responder && self.ticket_bytes == 0 {
            self.ticket_bytes = burst.bytes;
            return false;
        }
        burst.side == Side::Responder && burst.bytes == self.ticket_bytes
    }

    /// At most once, and before anything else.
    fn is_asked_once_more(&mut self, burst: &Burst<'_>) -> bool {
        let is_first_answer = self.burst_count == 1 && burst.side == Side::Responder;
        if !is_first_answer || self.once_more == OnceMore::Asked {
            return false;
        }
        if burst.bytes <= ONCE_MORE_BYTES_MAX {
            self.once_more = OnceMore::Asked;
        }
        self.once_more == OnceMore::Asked
    }

    /// What the called side says at once meanwhile may be tickets (RFC 8446, section 4.6.1), unless
    /// the caller has taken another turn since.
    fn called_speaks(&self, last: Option<Side>) -> FirstWord {
        let has_only_finished = self.caller_turns == 1;
        if self.caller_turns == 0 {
            FirstWord::Callers
        } else if has_only_finished && self.caller_bytes <= FINISH_BYTES_MAX {
            FirstWord::Calleds
        } else if has_only_finished || last == Some(Side::Originator) {
            FirstWord::CalledsAfterGreeting
        } else {
            FirstWord::Callers
        }
    }

    pub(crate) const fn first_word(&self) -> FirstWord {
        self.first_word
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::Cow;

    use observation::{Echo, FlowId, Grammar, Shape, Tail, Time};

    use super::*;

    const NEAR: Side = Side::Originator;
    const FAR: Side = Side::Responder;

    /// Who spoke, after how many milliseconds, and how many bytes.
    fn first_word(bursts: &[(Side, u64, u64)]) -> FirstWord {
        let mut opening = Opening::default();
        for (side, pause_ms, bytes) in bursts {
            opening.observe(&Burst {
                flow: FlowId(0),
                index: 0,
                side: *side,
                start: Time(0),
                end: Time(0),
                pause_before: Span::from_millis(*pause_ms),
                bytes: *bytes,
                segments: 1,
                shape: Shape {
                    printable_percent: 0,
                    tail: Tail::Open,
                    echo: Echo::None,
                    texture: None,
                },
                grammar: Grammar::Obeyed,
                excerpt: Cow::Borrowed(&[]),
            });
        }
        opening.first_word()
    }

    #[test]
    fn a_shell_waits_for_its_commander() {
        let tickets = [(NEAR, 1, 297), (FAR, 4, 1331), (NEAR, 1, 80), (FAR, 1, 510)];
        assert_eq!(first_word(&tickets), FirstWord::Open);
        let asked = [&tickets[..], &[(FAR, 2_940, 25)]].concat();
        assert_eq!(first_word(&asked), FirstWord::Calleds);
        let no_tickets = [(NEAR, 1, 297), (FAR, 4, 1331), (NEAR, 1, 80), (FAR, 4_680, 25)];
        assert_eq!(first_word(&no_tickets), FirstWord::Calleds);
        let older =
            [(NEAR, 1, 188), (FAR, 4, 1174), (NEAR, 1, 93), (FAR, 1, 242), (FAR, 7_190, 32)];
        assert_eq!(first_word(&older), FirstWord::Calleds);
    }

    #[test]
    fn a_hello_that_is_asked_for_once_more_is_no_word() {
        let asked = [(NEAR, 1, 205), (FAR, 1, 48), (NEAR, 1, 225), (FAR, 1, 1363), (NEAR, 1, 133)];
        let commanded = [&asked[..], &[(FAR, 1, 282), (FAR, 7_070, 40)]].concat();
        assert_eq!(first_word(&commanded), FirstWord::CalledsAfterGreeting);
        let retried = [(NEAR, 1, 517), (FAR, 1, 99), (NEAR, 1, 523), (FAR, 1, 794), (NEAR, 1, 80)];
        let commanded = [&retried[..], &[(FAR, 1, 510), (FAR, 7_070, 40)]].concat();
        assert_eq!(first_word(&commanded), FirstWord::Calleds);
    }

    #[test]
    fn a_prompt_asks_for_nothing() {
        let with_finish =
            [(NEAR, 1, 297), (FAR, 4, 1331), (NEAR, 1, 152), (FAR, 1, 765), (FAR, 7_000, 25)];
        assert_eq!(first_word(&with_finish), FirstWord::CalledsAfterGreeting);
        let alone = [
            (NEAR, 1, 422),
            (FAR, 4, 1364),
            (NEAR, 1, 80),
            (FAR, 1, 255),
            (NEAR, 9, 30),
            (FAR, 1, 255),
            (NEAR, 1, 32),
            (FAR, 3_850, 25),
        ];
        assert_eq!(first_word(&alone), FirstWord::CalledsAfterGreeting);
        let between_tickets = [(NEAR, 1, 80), (FAR, 1, 255), (NEAR, 1, 24), (FAR, 1, 255)];
        let commanded = [&alone[..2], &between_tickets, &[(FAR, 2_110, 25)]].concat();
        assert_eq!(first_word(&commanded), FirstWord::CalledsAfterGreeting);
    }

    #[test]
    fn who_asks_for_something_has_the_first_word() {
        let hellos = [(NEAR, 1, 517), (FAR, 4, 794), (NEAR, 1, 80), (FAR, 1, 510)];
        let slow_answer = [&hellos[..], &[(NEAR, 9, 300), (FAR, 5_830, 82)]].concat();
        assert_eq!(first_word(&slow_answer), FirstWord::Callers);
        let subscriber = [(NEAR, 1, 36), (FAR, 1, 281), (NEAR, 1, 32), (FAR, 1, 27)];
        let pushed = [&hellos[..], &subscriber, &[(FAR, 2_090, 83)]].concat();
        assert_eq!(first_word(&pushed), FirstWord::Callers);
        let later = [&hellos[..], &[(NEAR, 4_000, 60), (FAR, 2_000, 90)]].concat();
        assert_eq!(first_word(&later), FirstWord::Callers);
    }

    #[test]
    fn who_greets_at_once_has_not_thought() {
        let greeted = [
            (NEAR, 1, 517),
            (FAR, 4, 794),
            (NEAR, 1, 80),
            (FAR, 30, 552),
            (NEAR, 1, 52),
            (FAR, 4, 90),
            (FAR, 2_000, 90),
        ];
        assert_eq!(first_word(&greeted), FirstWord::Callers);
    }
}
