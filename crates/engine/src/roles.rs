//! Who commands and who answers, read from the bursts of one conversation.
//!
//! In C2 the side that opened the connection *answers*, and the side that accepted it *commands*.
//! The signs are independent of content: who speaks first, who takes the initiative after a pause,
//! who answers at a machine's speed, who echoes keystrokes, who prompts.
//! What shells print is a further sign, never a needed one.

use observation::{Burst, Echo, Grammar, Side, Span, Tail, Time};
use serde::{Deserialize, Serialize};

use crate::shell;

/// From this share of printable bytes on, in percent, a burst is text.
const TEXT_PERCENT_MIN: u8 = 85;
/// An answer that comes within this time was given by a machine.
const QUICK_MS_MAX: u64 = 300;
/// One echoed key may be chance.
const ECHO_COUNT_MIN: u32 = 2;
/// Binary bursts are no plaintext conversation, unless they are this rare: one in so many.
const TEXT_PER_BINARY_MIN: u32 = 4;

/// How much each sign weighs. They only decide which side commands; how sure a verdict is, is the
/// strategy's business.
const LED_WEIGHT: u32 = 3;
const ECHO_WEIGHT: u32 = 4;
const PROMPT_WEIGHT: u32 = 2;
const SHELL_WEIGHT: u32 = 4;
const COMMAND_WEIGHT: u32 = 1;
const FIRST_WEIGHT: u32 = 2;
/// A sign counts at most this often: the hundredth prompt says no more than the third.
const SIGN_COUNT_MAX: u32 = 3;

/// What the conversation turned out to be so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conversation {
    /// No payload that a grammar does not explain.
    Nothing,
    /// Mostly binary.
    Binary,
    /// Only the far end spoke.
    FarAlone,
    /// Only the near side spoke.
    NearAlone,
    /// The far end commands, the near side answers.
    FarCommands,
    /// The near side commands, as clients do.
    NearCommands,
}

/// One side's signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Signs {
    turns: u32,
    /// Turns that began after a pause and were answered at once.
    led: u32,
    /// Bursts that repeat what the other side has just sent.
    echoes: u32,
    /// Bursts that end in an invitation to type.
    prompts: u32,
    /// Bursts that look like what a shell prints.
    shell_output: u32,
    /// Bursts that look like what one types into a shell.
    commands: u32,
}

/// What a side said until the other side spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Turn {
    side: Side,
    end: Time,
    initiative: Initiative,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Initiative {
    /// It came after a pause, or was the first word.
    Own,
    /// It followed at once.
    Reply,
    /// It was explained by a grammar that was left afterwards.
    Excused,
}

/// Role statistics of one flow, seen from its near side. Constant size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Roles {
    near_side: Side,
    first: Option<Side>,
    turn: Option<Turn>,
    near: Signs,
    far: Signs,
    text_bursts: u32,
    binary_bursts: u32,
    rounds: u32,
    claim: Claim,
}

/// Whether a protocol has ever claimed the flow. Only the first claim looks back: whoever talks
/// freely inside of a protocol (telnet) is not excused by obeying it between his words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Claim {
    None,
    Made,
}

impl Roles {
    pub(crate) const fn new(near_side: Side) -> Self {
        const NONE: Signs =
            Signs { turns: 0, led: 0, echoes: 0, prompts: 0, shell_output: 0, commands: 0 };
        Self {
            near_side,
            first: None,
            turn: None,
            near: NONE,
            far: NONE,
            text_bursts: 0,
            binary_bursts: 0,
            rounds: 0,
            claim: Claim::None,
        }
    }

    /// A protocol claims the flow, and obeys. Its probe has read the flow from the first byte on,
    /// so
    /// that this explains what came before too: a banner that arrived in two pieces, say.
    pub(crate) const fn claim(&mut self) {
        if let Claim::None = self.claim {
            *self = Self::new(self.near_side);
        }
        self.claim = Claim::Made;
    }

    /// Takes the next burst. `grammar` is the burst's, as the sensor judged it.
    pub(crate) fn observe(&mut self, burst: &Burst<'_>, grammar: Grammar) {
        if burst.bytes == 0 {
            return;
        }
        if matches!(grammar, Grammar::Obeyed | Grammar::Unchecked) {
            let initiative = Initiative::Excused;
            self.turn = Some(Turn { side: burst.side, end: burst.end, initiative });
            return;
        }
        if burst.shape.printable_percent < TEXT_PERCENT_MIN {
            self.binary_bursts = self.binary_bursts.saturating_add(1);
        } else {
            self.text_bursts = self.text_bursts.saturating_add(1);
        }
        self.take_turn(burst);
        self.read_signs(burst);
    }

    fn take_turn(&mut self, burst: &Burst<'_>) {
        let before = self.turn;
        let excused = |turn: &Turn| turn.initiative == Initiative::Excused;
        // Words that were hidden in a grammar were spoken all the same.
        let hidden = before.filter(|turn| excused(turn) && turn.side != burst.side);
        self.first.get_or_insert_with(|| hidden.map_or(burst.side, |turn| turn.side));
        if hidden.is_some() {
            let signs = self.signs(burst.side.other());
            signs.turns = signs.turns.saturating_add(1);
        }
        if let Some(turn) = before.filter(|turn| turn.side == burst.side && !excused(turn)) {
            self.turn = Some(Turn { end: burst.end, ..turn });
            return;
        }
        let quick = Span::from_millis(QUICK_MS_MAX);
        let across = before.filter(|turn| turn.side != burst.side);
        let pause = across.map_or(burst.pause_before, |turn| burst.start.since(turn.end));
        let initiative = match across {
            Some(_) if pause <= quick => Initiative::Reply,
            _ => Initiative::Own,
        };
        if let Some(led) = across.filter(|turn| turn.initiative != Initiative::Reply)
            && initiative == Initiative::Reply
        {
            let signs = self.signs(led.side);
            signs.led = signs.led.saturating_add(1);
        }
        if across.is_some() && burst.side == self.near_side {
            self.rounds = self.rounds.saturating_add(1);
        }
        let signs = self.signs(burst.side);
        signs.turns = signs.turns.saturating_add(1);
        self.turn = Some(Turn { side: burst.side, end: burst.end, initiative });
    }

    fn read_signs(&mut self, burst: &Burst<'_>) {
        let signs = self.signs(burst.side);
        let mut count = |counter: fn(&mut Signs) -> &mut u32, is_there: IsThere| {
            if is_there == IsThere::Yes {
                let counter = counter(signs);
                *counter = counter.saturating_add(1);
            }
        };
        count(|signs| &mut signs.echoes, (burst.shape.echo == Echo::Repeats).into());
        count(|signs| &mut signs.prompts, (burst.shape.tail == Tail::Prompt).into());
        count(|signs| &mut signs.shell_output, shell::is_output(&burst.excerpt).into());
        count(|signs| &mut signs.commands, shell::is_command(&burst.excerpt).into());
    }

    const fn signs(&mut self, side: Side) -> &mut Signs {
        match (side, self.near_side) {
            (Side::Originator, Side::Originator) | (Side::Responder, Side::Responder) => {
                &mut self.near
            }
            _ => &mut self.far,
        }
    }

    pub(crate) fn conversation(&self) -> Conversation {
        if self.text_bursts == 0 && self.binary_bursts == 0 {
            return Conversation::Nothing;
        }
        if self.binary_bursts.saturating_mul(TEXT_PER_BINARY_MIN) > self.text_bursts {
            return Conversation::Binary;
        }
        match (self.far.turns, self.near.turns) {
            (0, _) => Conversation::NearAlone,
            (_, 0) => Conversation::FarAlone,
            _ if self.weight(self.far, self.near, self.near_side.other())
                > self.weight(self.near, self.far, self.near_side) =>
            {
                Conversation::FarCommands
            }
            _ => Conversation::NearCommands,
        }
    }

    /// Rounds of a far end's command and the near side's answer.
    pub(crate) const fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Answers that look like what a shell prints.
    pub(crate) const fn shell_answers(&self) -> u32 {
        self.near.shell_output
    }

    /// Whether the near side echoes keystrokes, as a PTY does.
    pub(crate) const fn near_echoes(&self) -> bool {
        self.near.echoes >= ECHO_COUNT_MIN
    }

    /// The case for `commander` being in command, from its own signs and those of the other side.
    fn weight(&self, commander: Signs, answerer: Signs, side: Side) -> u32 {
        let echo = u32::from(answerer.echoes >= ECHO_COUNT_MIN);
        let first = u32::from(self.first == Some(side));
        commander.led.min(SIGN_COUNT_MAX) * LED_WEIGHT
            + echo * ECHO_WEIGHT
            + answerer.prompts.min(SIGN_COUNT_MAX) * PROMPT_WEIGHT
            + answerer.shell_output.min(SIGN_COUNT_MAX) * SHELL_WEIGHT
            + commander.commands.min(SIGN_COUNT_MAX) * COMMAND_WEIGHT
            + first * FIRST_WEIGHT
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum IsThere {
    Yes,
    No,
}

impl From<bool> for IsThere {
    fn from(is_there: bool) -> Self {
        if is_there { Self::Yes } else { Self::No }
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::Cow;

    use observation::{FlowId, Shape};

    use super::*;

    const FAR: Side = Side::Responder;
    const NEAR: Side = Side::Originator;

    /// Speaks `(side, pause in ms, text)` one after the other.
    fn talk(bursts: &[(Side, u64, &str)]) -> Roles {
        let mut roles = Roles::new(NEAR);
        let mut at = Time(1_000_000_000);
        let mut last: &str = "";
        for (side, pause_ms, text) in bursts {
            let start = at + Span::from_millis(*pause_ms);
            let ends_open = !text.ends_with('\n');
            let prompt = ends_open && (text.ends_with("# ") || text.ends_with(") "));
            let echo = !last.is_empty() && text.starts_with(last);
            let burst = Burst {
                flow: FlowId(1),
                index: 0,
                side: *side,
                start,
                end: start,
                pause_before: Span::from_millis(*pause_ms),
                bytes: text.len() as u64,
                segments: 1,
                shape: Shape {
                    printable_percent: 100,
                    nul_percent: 0,
                    line_count: 1,
                    line_bytes_max: 80,
                    entropy_centibits: 400,
                    tail: if prompt { Tail::Prompt } else { Tail::LineEnd },
                    echo: if echo { Echo::Repeats } else { Echo::None },
                },
                grammar: Grammar::None,
                excerpt: Cow::Borrowed(text.as_bytes()),
            };
            roles.observe(&burst, Grammar::None);
            at = start;
            last = text;
        }
        roles
    }

    #[test]
    fn a_reverse_shell_is_commanded_by_the_far_end() {
        let roles = talk(&[(FAR, 900, "id\n"), (NEAR, 4, "uid=0(root) gid=0(root)\n")]);
        assert_eq!(roles.conversation(), Conversation::FarCommands);
        assert_eq!((roles.rounds(), roles.shell_answers()), (1, 1));
    }

    #[test]
    fn base64_lines_need_no_words_to_be_commands() {
        let roles = talk(&[
            (FAR, 900, "aWQ=\n"),
            (NEAR, 4, "dWlkPTAocm9vdCk=\n"),
            (FAR, 1800, "bHM=\n"),
            (NEAR, 5, "YmluIGRldiBldGM=\n"),
        ]);
        assert_eq!(roles.conversation(), Conversation::FarCommands);
        assert_eq!((roles.rounds(), roles.shell_answers()), (2, 0));
    }

    #[test]
    fn a_shell_that_prompts_first_is_still_the_one_that_answers() {
        let roles = talk(&[
            (NEAR, 3, "/ # "),
            (FAR, 1500, "l"),
            (NEAR, 1, "l"),
            (FAR, 140, "s"),
            (NEAR, 1, "s"),
            (FAR, 140, "\n"),
            (NEAR, 2, "\nbin  dev  etc\n/ # "),
        ]);
        assert_eq!(roles.conversation(), Conversation::FarCommands);
        assert!(roles.near_echoes());
    }

    #[test]
    fn a_person_who_uses_a_service_commands_it() {
        let roles = talk(&[
            (FAR, 10, "Welcome\nlogin) "),
            (NEAR, 2100, "anna\n"),
            (FAR, 3, "menu) "),
            (NEAR, 1700, "1\n"),
            (FAR, 3, "balance 12\nmenu) "),
        ]);
        assert_eq!(roles.conversation(), Conversation::NearCommands);
    }

    #[test]
    fn a_client_that_asks_and_is_answered_commands() {
        let roles = talk(&[
            (NEAR, 1, "GET_ITEM 5\n"),
            (FAR, 2, "ITEM apple\n"),
            (NEAR, 5000, "GET_ITEM 6\n"),
            (FAR, 2, "ITEM pear\n"),
        ]);
        assert_eq!(roles.conversation(), Conversation::NearCommands);
    }

    #[test]
    fn who_speaks_alone_is_neither() {
        assert_eq!(talk(&[(FAR, 1, "id\n")]).conversation(), Conversation::FarAlone);
        assert_eq!(talk(&[(NEAR, 1, "a.b 1 2\n")]).conversation(), Conversation::NearAlone);
        assert_eq!(talk(&[]).conversation(), Conversation::Nothing);
    }
}
