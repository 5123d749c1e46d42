//! Who commands and who answers, read from the bursts of one conversation.
//!
//! In C2 the side that opened the connection *answers*, and the side that accepted it *commands*.
//! The signs are independent of content: who speaks first, who breaks a silence, whose words are
//! followed by one, who answers at a machine's speed, who echoes keystrokes, who prompts.
//! What shells print is a further sign, never a needed one.
//!
//! A verdict is made when nobody speaks: in the middle of an exchange the client of a server that
//! greets cannot be told from a bot that obeys.

mod signs;

use observation::{Burst, Echo, Grammar, Side, Span, Tail, Time};
use serde::{Deserialize, Serialize};

pub(crate) use signs::Looks;
use signs::Signs;

use crate::shell;
use crate::words;

/// An answer that comes within this time was given by a machine.
const QUICK_MS_MAX: u64 = 300;
/// An answer is one, however slow, if it came so many times sooner than what it answers.
const SOONER_TIMES_MIN: u64 = 4;
/// A burst that is told so long after its end was followed by silence. The sensor waits a little
/// longer before it tells one.
const SILENCE_MS_MIN: u64 = 200;
/// One echoed key may be chance.
const ECHO_COUNT_MIN: u32 = 2;
/// Binary bursts are no plaintext conversation, unless they are this rare: one in so many.
const TEXT_PER_BINARY_MIN: u32 = 4;
/// A conversation that knows no silence is judged after so many rounds all the same.
const ROUND_COUNT_MAX: u32 = 32;
/// The same words and the same answer so often, and no others, are a heartbeat.
const HEARTBEAT_COUNT_MIN: u32 = 3;

/// How much each sign weighs. They only decide which side commands; how sure a verdict is, is the
/// strategy's business.
const LED_WEIGHT: u32 = 3;
/// Whoever answers has the last word, and then there is silence.
const LAST_WORD_WEIGHT: u32 = 6;
/// Whoever takes leave has been in command.
const GOODBYE_WEIGHT: u32 = 6;
const ECHO_WEIGHT: u32 = 4;
const PROMPT_WEIGHT: u32 = 2;
const SHELL_WEIGHT: u32 = 6;
const COMMAND_WEIGHT: u32 = 1;
const FIRST_WEIGHT: u32 = 2;
/// A sign counts at most this often: the hundredth prompt says no more than the third.
const SIGN_COUNT_MAX: u32 = 3;

// A greeting that is answered at once must not outweigh the last word of whoever greeted.
const _: () = assert!(LAST_WORD_WEIGHT > LED_WEIGHT + FIRST_WEIGHT);
const _: () = assert!(GOODBYE_WEIGHT > LED_WEIGHT + FIRST_WEIGHT);

/// What the conversation turned out to be so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Conversation {
    /// No payload that a grammar does not explain, or none that is complete.
    Nothing,
    /// Mostly binary.
    Binary,
    /// Mostly binary, and the far end commands.
    BinaryReversed,
    /// Only the far end spoke.
    FarAlone,
    /// Only the near side spoke.
    NearAlone,
    /// The far end commands, the near side answers.
    FarCommands,
    /// The near side commands, as clients do.
    NearCommands,
    /// The far end asks the same thing over and over and gets the same answer.
    Heartbeat,
}

/// What a side said until the other side spoke, or until it broke a silence again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Turn {
    side: Side,
    end: Time,
    pause: Span,
    initiative: Initiative,
    rest: Rest,
    words: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Initiative {
    /// It broke a silence, or was the first word.
    Own,
    /// It followed at once.
    Reply,
    /// It takes leave: no answer is expected, and it is none.
    Farewell,
    /// It was explained by a grammar that was left afterwards.
    Excused,
}

/// Whether a silence has followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Rest {
    None,
    Followed,
}

/// The exchanges that the far end led: whether they are always the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Exchanges {
    None,
    Same(u64),
    Differ,
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
    exchanges: Exchanges,
    claim: Claim,
    conversation: Conversation,
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
        const NONE: Signs = Signs {
            turns: 0,
            hidden: 0,
            led: 0,
            last_words: 0,
            echoes: 0,
            prompts: 0,
            shell_output: 0,
            commands: 0,
            encoded: 0,
            goodbyes: 0,
        };
        Self {
            near_side,
            first: None,
            turn: None,
            near: NONE,
            far: NONE,
            text_bursts: 0,
            binary_bursts: 0,
            rounds: 0,
            exchanges: Exchanges::None,
            claim: Claim::None,
            conversation: Conversation::Nothing,
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

    /// Takes the next burst, which is told `at` this time. `grammar` is the burst's, as the sensor
    /// judged it.
    pub(crate) fn observe(&mut self, at: Time, burst: &Burst<'_>, grammar: Grammar) {
        if burst.bytes == 0 {
            return;
        }
        let is_excused = matches!(grammar, Grammar::Obeyed | Grammar::Unchecked);
        if is_excused || self.is_greeting(burst) {
            self.turn = Some(Turn {
                side: burst.side,
                end: burst.end,
                pause: burst.pause_before,
                initiative: Initiative::Excused,
                rest: Rest::None,
                words: 0,
            });
            return;
        }
        if words::are_text(burst) {
            self.text_bursts = self.text_bursts.saturating_add(1);
        } else {
            self.binary_bursts = self.binary_bursts.saturating_add(1);
        }
        self.take_turn(burst);
        self.read_signs(burst);
        let is_followed_by_silence = at.since(burst.end) >= Span::from_millis(SILENCE_MS_MIN);
        if is_followed_by_silence {
            self.rest();
        }
        let is_plain = self.near.shell_output > 0 || self.near_echoes();
        if is_followed_by_silence || is_plain || self.rounds >= ROUND_COUNT_MAX {
            self.conversation = self.weigh();
        }
    }

    /// The first words of whoever was called are a reply code and its text: so greet FTP, SMTP and
    /// NNTP, and only the answer tells them apart.
    fn is_greeting(&self, burst: &Burst<'_>) -> bool {
        let is_first = self.turn.is_none() && burst.side == Side::Responder;
        is_first && self.near_side == Side::Originator && words::greet(&burst.excerpt)
    }

    /// The flow has ended. Whether the near side's last word was an answer or a farewell cannot be
    /// told; the far end has no reason to take leave.
    pub(crate) fn end(&mut self) {
        if self.turn.is_some_and(|turn| turn.side != self.near_side) {
            self.rest();
        }
        if self.text_bursts > 0 || self.binary_bursts > 0 {
            self.conversation = self.weigh();
        }
    }

    /// Silence follows the latest turn.
    fn rest(&mut self) {
        let Some(turn) = &mut self.turn else { return };
        let was_answer = turn.initiative == Initiative::Reply && turn.rest == Rest::None;
        let side = turn.side;
        turn.rest = Rest::Followed;
        if was_answer {
            let signs = self.signs(side);
            signs.last_words = signs.last_words.saturating_add(1);
        }
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
            signs.hidden = signs.hidden.saturating_add(1);
        }
        let quick = Span::from_millis(QUICK_MS_MAX);
        // Whoever goes on after a silence has something new to say.
        let goes_on = |turn: &Turn| turn.rest == Rest::None || burst.start.since(turn.end) <= quick;
        if let Some(turn) =
            before.filter(|turn| turn.side == burst.side && !excused(turn) && goes_on(turn))
        {
            self.turn = Some(Turn { end: burst.end, rest: Rest::None, ..turn });
            return;
        }
        let across = before.filter(|turn| turn.side != burst.side);
        let pause = before.map_or(burst.pause_before, |turn| burst.start.since(turn.end));
        let is_sooner = |turn: Turn| pause.0.saturating_mul(SOONER_TIMES_MIN) <= turn.pause.0;
        let initiative = match across {
            _ if words::take_leave(&burst.excerpt) => Initiative::Farewell,
            Some(turn) if pause <= quick || is_sooner(turn) => Initiative::Reply,
            _ => Initiative::Own,
        };
        let words = words::hash_of(&burst.excerpt);
        if let Some(led) = across.filter(|turn| turn.initiative != Initiative::Reply)
            && initiative == Initiative::Reply
        {
            self.note_led(led, words);
        }
        if across.is_some() && burst.side == self.near_side {
            self.rounds = self.rounds.saturating_add(1);
        }
        let signs = self.signs(burst.side);
        signs.turns = signs.turns.saturating_add(1);
        let (side, end, rest) = (burst.side, burst.end, Rest::None);
        self.turn = Some(Turn { side, end, pause, initiative, rest, words });
    }

    fn note_led(&mut self, led: Turn, answer: u64) {
        let signs = self.signs(led.side);
        signs.led = signs.led.saturating_add(1);
        if led.side == self.near_side {
            return;
        }
        let exchange = led.words.rotate_left(17) ^ answer;
        self.exchanges = match self.exchanges {
            Exchanges::None => Exchanges::Same(exchange),
            Exchanges::Same(known) if known == exchange => self.exchanges,
            Exchanges::Same(_) | Exchanges::Differ => Exchanges::Differ,
        };
    }

    fn read_signs(&mut self, burst: &Burst<'_>) {
        let answers = self.rounds > 0 || burst.side != self.near_side;
        let was_called = self.near_side == Side::Responder;
        let encoded = was_called && shell::is_encoded(&burst.excerpt);
        let signs = self.signs(burst.side);
        let count = |counter: &mut u32, more: u32| *counter = counter.saturating_add(more);
        count(&mut signs.echoes, (burst.shape.echo == Echo::Repeats).into());
        count(&mut signs.prompts, (burst.shape.tail == Tail::Prompt).into());
        count(&mut signs.shell_output, (answers && shell::is_output(&burst.excerpt)).into());
        count(&mut signs.commands, shell::is_command(&burst.excerpt).into());
        count(&mut signs.encoded, encoded.into());
        count(&mut signs.goodbyes, words::take_leave(&burst.excerpt).into());
    }

    const fn signs(&mut self, side: Side) -> &mut Signs {
        match (side, self.near_side) {
            (Side::Originator, Side::Originator) | (Side::Responder, Side::Responder) => {
                &mut self.near
            }
            _ => &mut self.far,
        }
    }

    /// What it turned out to be when last nobody spoke.
    pub(crate) const fn conversation(&self) -> Conversation {
        self.conversation
    }

    fn weigh(&self) -> Conversation {
        if self.binary_bursts.saturating_mul(TEXT_PER_BINARY_MIN) > self.text_bursts {
            return self.weigh_binary();
        }
        match (self.far.turns, self.near.turns) {
            (0, _) => Conversation::NearAlone,
            (_, 0) => Conversation::FarAlone,
            _ if self.is_heartbeat() => Conversation::Heartbeat,
            _ if self.has_only_greeted() => Conversation::NearAlone,
            _ if self.is_reversed() => Conversation::FarCommands,
            _ => Conversation::NearCommands,
        }
    }

    fn weigh_binary(&self) -> Conversation {
        let both = self.far.turns > 0 && self.near.turns > 0 && self.rounds > 0;
        if both && !self.has_only_greeted() && !self.is_heartbeat() && self.is_reversed() {
            Conversation::BinaryReversed
        } else {
            Conversation::Binary
        }
    }

    fn is_reversed(&self) -> bool {
        self.weight(self.far, self.near, self.near_side.other())
            > self.weight(self.near, self.far, self.near_side)
    }

    /// All that the far end said was a grammar's, as a banner is. Whoever answers that with
    /// something else obeys no command, unless he answers as a shell does.
    const fn has_only_greeted(&self) -> bool {
        self.far.hidden > 0
            && self.far.hidden == self.far.turns
            && self.near.shell_output == 0
            && !self.near_echoes()
    }

    /// What always repeats itself commands nothing.
    const fn is_heartbeat(&self) -> bool {
        matches!(self.exchanges, Exchanges::Same(_))
            && self.far.led >= HEARTBEAT_COUNT_MIN
            && self.near.shell_output == 0
    }

    /// Rounds of a far end's command and the near side's answer.
    pub(crate) const fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Answers that look like what a shell prints.
    pub(crate) const fn shell_answers(&self) -> u32 {
        self.near.shell_output
    }

    /// What the near side's words look like.
    pub(crate) const fn near_looks(&self) -> Looks {
        Looks::of(&self.near)
    }

    /// What the far end's words look like.
    pub(crate) const fn far_looks(&self) -> Looks {
        Looks::of(&self.far)
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
            + answerer.last_words.min(SIGN_COUNT_MAX) * LAST_WORD_WEIGHT
            + commander.goodbyes.min(1) * GOODBYE_WEIGHT
            + echo * ECHO_WEIGHT
            + answerer.prompts.min(SIGN_COUNT_MAX) * PROMPT_WEIGHT
            + answerer.shell_output.min(SIGN_COUNT_MAX) * SHELL_WEIGHT
            + commander.commands.min(SIGN_COUNT_MAX) * COMMAND_WEIGHT
            + first * FIRST_WEIGHT
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::Cow;
    use alloc::vec::Vec;

    use observation::{FlowId, Shape};

    use super::*;

    const FAR: Side = Side::Responder;
    const NEAR: Side = Side::Originator;

    /// Speaks `(side, pause in ms, text)` one after the other; then there is silence.
    fn talk(bursts: &[(Side, u64, &str)]) -> Roles {
        let mut roles = under_way(bursts);
        roles.rest();
        roles.conversation = roles.weigh();
        if bursts.is_empty() { Roles::new(NEAR) } else { roles }
    }

    /// The same, and it ends with the last word.
    fn talk_and_end(bursts: &[(Side, u64, &str)]) -> Roles {
        let mut roles = under_way(bursts);
        roles.end();
        roles
    }

    /// Each burst is told when the next one begins, or when nobody has spoken for a while.
    fn under_way(bursts: &[(Side, u64, &str)]) -> Roles {
        let mut roles = Roles::new(NEAR);
        let mut at = Time(1_000_000_000);
        let mut last: &str = "";
        for (place, (side, pause_ms, text)) in bursts.iter().enumerate() {
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
                    tail: if prompt { Tail::Prompt } else { Tail::LineEnd },
                    echo: if echo { Echo::Repeats } else { Echo::None },
                    texture: None,
                },
                grammar: Grammar::None,
                excerpt: Cow::Borrowed(text.as_bytes()),
            };
            let next = bursts.get(place + 1).map_or(0, |(_, pause_ms, _)| *pause_ms);
            let told = start + Span::from_millis(next.min(250));
            roles.observe(told, &burst, Grammar::None);
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
    fn the_client_of_a_server_that_greets_commands_it() {
        // An automated client loses no time: nobody ever breaks a silence but the greeting.
        let greeted = [
            (FAR, 10, "OK MPD 0.23.5\n"),
            (NEAR, 1, "status\n"),
            (FAR, 2, "volume: 80\nstate: play\nOK\n"),
            (NEAR, 1, "currentsong\n"),
            (FAR, 2, "file: a.ogg\nOK\n"),
        ];
        assert_eq!(talk(&greeted).conversation(), Conversation::NearCommands);
        assert_eq!(talk_and_end(&greeted).conversation(), Conversation::NearCommands);
        let mut farewell = greeted.to_vec();
        farewell.push((NEAR, 1, "quit\n"));
        assert_eq!(talk_and_end(&farewell).conversation(), Conversation::NearCommands);
    }

    #[test]
    fn nothing_is_decided_in_the_middle_of_an_exchange() {
        let begun = [(FAR, 10, "OK MPD 0.23.5\n"), (NEAR, 1, "status\n"), (FAR, 2, "OK\n")];
        for length in 1..=3 {
            assert_eq!(under_way(&begun[..length]).conversation(), Conversation::Nothing);
        }
        assert_eq!(talk(&begun[..1]).conversation(), Conversation::FarAlone);
    }

    #[test]
    fn a_bot_that_speaks_first_and_obeys_at_once_is_commanded() {
        let roles = talk(&[
            (NEAR, 1, "aGVsbG8=\n"),
            (FAR, 2, "aWQ=\n"),
            (NEAR, 5, "dWlkPTAocm9vdCk=\n"),
            (FAR, 1, "bHM=\n"),
            (NEAR, 6, "YmluIGRldg==\n"),
        ]);
        assert_eq!(roles.conversation(), Conversation::FarCommands);
    }

    #[test]
    fn slow_answers_are_answers_beside_slower_commands() {
        let roles = talk(&[
            (NEAR, 1, "hello\n"),
            (FAR, 9_000, "c2xlZXA=\n"),
            (NEAR, 1_200, "b2s=\n"),
            (FAR, 14_000, "bHM=\n"),
            (NEAR, 900, "YmluIGRldg==\n"),
        ]);
        assert_eq!(roles.conversation(), Conversation::FarCommands);
    }

    #[test]
    fn a_slow_server_still_answers() {
        let roles = talk(&[
            (NEAR, 1, "GET_ITEM 5\n"),
            (FAR, 900, "ITEM apple\n"),
            (NEAR, 8_000, "GET_ITEM 6\n"),
            (FAR, 1_100, "ITEM pear\n"),
        ]);
        assert_eq!(roles.conversation(), Conversation::NearCommands);
    }

    #[test]
    fn a_far_end_that_first_acknowledges_and_later_commands_commands() {
        let roles = talk(&[
            (NEAR, 1, "hello\n"),
            (FAR, 2, "ok\n"),
            (FAR, 9_000, "aWQ=\n"),
            (NEAR, 5, "dWlkPTAocm9vdCk=\n"),
            (FAR, 7_000, "bHM=\n"),
            (NEAR, 6, "YmluIGRldg==\n"),
        ]);
        assert_eq!(roles.conversation(), Conversation::FarCommands);
    }

    #[test]
    fn a_heartbeat_commands_nothing_and_a_command_among_heartbeats_does() {
        let beat = [(FAR, 30_000, "PING\n"), (NEAR, 1, "PONG\n")];
        let mut beats: Vec<_> = beat.iter().copied().cycle().take(8).collect();
        assert_eq!(talk(&beats).conversation(), Conversation::Heartbeat);
        beats.extend([(FAR, 9_000, "aWQ=\n"), (NEAR, 4, "dWlkPTAocm9vdCk=\n")]);
        assert_eq!(talk(&beats).conversation(), Conversation::FarCommands);
        let same = [(FAR, 30_000, "w\n"), (NEAR, 1, "1 user\n"), (FAR, 30_000, "w\n")];
        let mut asked = same.to_vec();
        asked.extend([(NEAR, 1, "2 users\n"), (FAR, 30_000, "w\n"), (NEAR, 1, "1 user\n")]);
        assert_eq!(talk(&asked).conversation(), Conversation::FarCommands);
    }

    #[test]
    fn who_speaks_alone_is_neither() {
        assert_eq!(talk(&[(FAR, 1, "id\n")]).conversation(), Conversation::FarAlone);
        assert_eq!(talk(&[(NEAR, 1, "a.b 1 2\n")]).conversation(), Conversation::NearAlone);
        assert_eq!(talk(&[]).conversation(), Conversation::Nothing);
    }

    #[test]
    fn whoever_greets_with_a_reply_code_commands_nothing_until_he_says_more() {
        let greeted = talk_and_end(&[(FAR, 1, "220 ready\r\n")]);
        assert_eq!(greeted.conversation(), Conversation::Nothing);
        let asks = talk(&[(FAR, 1, "220 ready\r\n"), (FAR, 900, "id\n")]);
        assert_eq!(asks.conversation(), Conversation::FarAlone);
        let obeyed = talk(&[(FAR, 1, "220 id\r\n"), (NEAR, 5, "uid=0(root) gid=0(root)\n")]);
        assert_eq!(obeyed.conversation(), Conversation::FarCommands);
    }
}
