//! Who types and who echoes, where nothing can be read: encrypted and binary conversations.
//!
//! A person at a shell sends packets the size of a key, at a person's pace, and the other side
//! answers each of them within milliseconds with a packet of about that size; after the last key of
//! a line comes what the command prints. Encryption hides none of this.
//! Whoever sends whole lines is told by thinking before each and by answers of all sizes; of whom
//! it is known that he had the first word, less of both is asked.

use alloc::boxed::Box;

use observation::{Burst, Side, Time};
use serde::{Deserialize, Serialize};

use crate::opening::{FirstWord, Opening};

/// A key with all that TLS, SSH and a tunnel around them add to it.
const KEY_BYTES_MAX: u64 = 160;
/// A machine that sends small packets in a row needs less time for the next one.
const KEY_PAUSE_MS_MIN: u64 = 25;
/// A person who types on does not pause longer within a line.
const KEY_PAUSE_MS_MAX: u64 = 2_000;
/// An echo comes at a machine's speed and a round trip.
const ECHO_MS_MAX: u64 = 150;
/// An echo is as long as what it echoes, give or take an escape sequence. Of two programs that
/// exchange small messages at such a pace hardly any do so in messages of one length.
const ECHO_BYTES_DIFFERENCE_MAX: u64 = 8;
/// Fewer echoed keys are no line.
const LINE_KEY_COUNT_MIN: u32 = 2;
/// So many echoed keys and lines are somebody at a keyboard.
const KEY_COUNT_MIN: u32 = 8;
const LINE_COUNT_MIN: u32 = 2;
/// Keys that the other side types meanwhile: one in so many may be chance.
const KEYS_PER_OTHER_MIN: u32 = 4;

/// A command is no longer than this.
const COMMAND_BYTES_MAX: u64 = 256;
/// Whoever breaks a silence of this length has thought.
const THOUGHT_MS_MIN: u64 = 1_000;
/// Of whoever had the first word a shorter silence is enough.
const NEXT_THOUGHT_MS_MIN: u64 = 400;
/// An answer that comes within this time was given by a machine.
const ANSWER_MS_MAX: u64 = 300;
/// To whoever had the first word an answer may come later, if it comes so many times sooner than
/// what it answers: some commands take their time.
const SOONER_TIMES_MIN: u64 = 3;
/// So many commands are a session.
const COMMAND_COUNT_MIN: u32 = 4;
/// What commands print is of all sizes; what a client asks for again and again is not. The longest
/// answer has to be so many times as long as the shortest.
const ANSWER_TIMES_MIN: u64 = 8;
/// Of whoever had the first word they only have to differ: pings have one answer.
const FIRST_ANSWER_TIMES_MIN: u64 = 2;
/// People think for as long as they like; a server that takes its time takes much the same.
const THOUGHT_TIMES_MIN: u64 = 3;
/// Bursts that belong to a handshake and tell nothing of what follows.
const HANDSHAKE_BURST_COUNT: u32 = 4;

const _: () = assert!(KEY_PAUSE_MS_MIN < KEY_PAUSE_MS_MAX);
const _: () = assert!(KEY_PAUSE_MS_MAX > ECHO_MS_MAX);
const _: () = assert!(NEXT_THOUGHT_MS_MIN < THOUGHT_MS_MIN && NEXT_THOUGHT_MS_MIN > ANSWER_MS_MAX);
const _: () = assert!(FIRST_ANSWER_TIMES_MIN < ANSWER_TIMES_MIN);

/// Which side has the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Reversal {
    /// Nothing shows that the far end commands.
    None,
    /// The far end breaks silences with short messages and gets answers of all sizes at once.
    Leads,
    /// The far end types, and the near side echoes.
    Types,
}

/// What one side does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Hands {
    keys: u32,
    /// Echoed keys since the last line.
    run: u32,
    lines: u32,
    commands: u32,
}

impl Hands {
    const IDLE: Self = Self { keys: 0, run: 0, lines: 0, commands: 0 };
}

/// A burst that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Spoken {
    side: Side,
    end: Time,
    bytes: u64,
    pause_ms: u64,
    is_key: Is,
    is_command: Is,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Is {
    Not,
    Likely,
}

/// Typing statistics of one flow. Constant size; what few bursts are no conversation takes little.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Typing {
    burst_count: u32,
    opening: Opening,
    talk: Option<Box<Talk>>,
}

/// What was said after the first bursts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Talk {
    originator: Hands,
    responder: Hands,
    last: Option<Spoken>,
    /// How long the answers to the responder's commands were, in bytes.
    answers: Extent,
    /// How long it thought before each, in milliseconds.
    thoughts: Extent,
}

impl Talk {
    const NONE: Self = Self {
        originator: Hands::IDLE,
        responder: Hands::IDLE,
        last: None,
        answers: Extent::NONE,
        thoughts: Extent::NONE,
    };

    const fn hands(&mut self, side: Side) -> &mut Hands {
        match side {
            Side::Originator => &mut self.originator,
            Side::Responder => &mut self.responder,
        }
    }
}

/// The least and the most of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Extent {
    least: u64,
    most: u64,
}

impl Extent {
    const NONE: Self = Self { least: 0, most: 0 };
}

impl Typing {
    /// Takes the next burst in.
    pub(crate) fn observe(&mut self, burst: &Burst<'_>) {
        self.burst_count = self.burst_count.saturating_add(1);
        self.opening.observe(burst);
        if self.burst_count <= HANDSHAKE_BURST_COUNT {
            return;
        }
        let talk = self.talk.get_or_insert_with(|| Box::new(Talk::NONE));
        let last = talk.last.filter(|last| last.side != burst.side);
        let since = last.map_or(burst.pause_before, |last| burst.start.since(last.end));
        let pause_ms = since.as_millis();
        let is_small = burst.bytes <= KEY_BYTES_MAX && burst.segments == 1;
        let answers_key = last.filter(|last| last.is_key == Is::Likely && pause_ms <= ECHO_MS_MAX);
        let answers_command = last
            .filter(|last| last.is_command == Is::Likely && is_soon(pause_ms, last, &self.opening));
        if let Some(key) = answers_key {
            let is_echo = burst.bytes.abs_diff(key.bytes) <= ECHO_BYTES_DIFFERENCE_MAX;
            match (is_small, is_echo) {
                (true, true) => talk.hands(key.side).echoed(),
                (true, false) => {}
                (false, _) => talk.hands(key.side).ran_a_line(),
            }
        }
        if let Some(command) = answers_command {
            let hands = talk.hands(command.side);
            hands.commands = hands.commands.saturating_add(1);
            if command.side == Side::Responder {
                talk.answers.note(burst.bytes);
                talk.thoughts.note(command.pause_ms);
            }
        }
        let likely = |likely: bool| if likely { Is::Likely } else { Is::Not };
        let is_reply = answers_key.is_some() || answers_command.is_some();
        let run = talk.hands(burst.side).run;
        let at_a_persons_pace =
            pause_ms >= KEY_PAUSE_MS_MIN && (run == 0 || pause_ms <= KEY_PAUSE_MS_MAX);
        let has_thought = pause_ms
            >= if self.opening.has_given_first_word_to(burst.side) {
                NEXT_THOUGHT_MS_MIN
            } else {
                THOUGHT_MS_MIN
            };
        talk.last = Some(Spoken {
            side: burst.side,
            end: burst.end,
            bytes: burst.bytes,
            pause_ms,
            is_key: likely(is_small && !is_reply && at_a_persons_pace),
            is_command: likely(!is_reply && has_thought && burst.bytes <= COMMAND_BYTES_MAX),
        });
    }

    fn talk(&self) -> &Talk {
        self.talk.as_deref().unwrap_or(&Talk::NONE)
    }

    /// Whether the side that was called has the keyboard.
    pub(crate) fn reversal(&self) -> Reversal {
        let talk = self.talk();
        let (caller, called) = (&talk.originator, &talk.responder);
        if called.lines >= LINE_COUNT_MIN
            && called.keys >= KEY_COUNT_MIN
            && called.keys >= caller.keys.saturating_mul(KEYS_PER_OTHER_MIN)
        {
            return Reversal::Types;
        }
        let at_will =
            talk.answers.varies(ANSWER_TIMES_MIN) && talk.thoughts.varies(THOUGHT_TIMES_MIN);
        if self.has_led() && at_will { Reversal::Leads } else { Reversal::None }
    }

    /// The same of a conversation in which the side that was called is known to have had the first
    /// word.
    pub(crate) fn reversal_from_the_first_word(&self) -> Reversal {
        let differs = self.talk().answers.varies(FIRST_ANSWER_TIMES_MIN);
        if self.has_led() && differs {
            self.reversal().max(Reversal::Leads)
        } else {
            self.reversal()
        }
    }

    fn has_led(&self) -> bool {
        let Talk { originator: caller, responder: called, .. } = self.talk();
        called.commands >= COMMAND_COUNT_MIN && called.commands > caller.commands.saturating_mul(2)
    }

    /// Whose the first word was, if what opened the conversation was a TLS handshake.
    pub(crate) const fn first_word(&self) -> FirstWord {
        self.opening.first_word()
    }

    /// Commands that were given there, each after a silence.
    pub(crate) fn commands(&self) -> u32 {
        self.talk().responder.commands
    }

    /// Keys that were typed there.
    pub(crate) fn keys(&self) -> u32 {
        self.talk().responder.keys
    }
}

/// Whether what comes after this pause answers what was said before it.
fn is_soon(pause_ms: u64, said: &Spoken, opening: &Opening) -> bool {
    let is_sooner = pause_ms.saturating_mul(SOONER_TIMES_MIN) <= said.pause_ms;
    pause_ms <= ANSWER_MS_MAX || is_sooner && opening.has_given_first_word_to(said.side)
}

impl Hands {
    fn echoed(&mut self) {
        self.keys = self.keys.saturating_add(1);
        self.run = self.run.saturating_add(1);
    }

    /// The last key was answered with what the whole line printed.
    fn ran_a_line(&mut self) {
        if self.run >= LINE_KEY_COUNT_MIN {
            self.lines = self.lines.saturating_add(1);
        }
        self.run = 0;
    }
}

impl Extent {
    fn note(&mut self, value: u64) {
        self.least = if self.least == 0 { value } else { self.least.min(value) };
        self.most = self.most.max(value);
    }

    const fn varies(&self, times: u64) -> bool {
        self.least > 0 && self.most >= self.least.saturating_mul(times)
    }
}
