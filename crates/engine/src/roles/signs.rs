//! The signs by which one side of a conversation is judged.

use serde::{Deserialize, Serialize};

/// One side's signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Signs {
    pub turns: u32,
    /// Those of them that a grammar explains.
    pub hidden: u32,
    /// Turns that broke a silence and were answered at once.
    pub led: u32,
    /// Answers that were followed by silence.
    pub last_words: u32,
    /// Bursts that repeat what the other side has just sent.
    pub echoes: u32,
    /// Bursts that end in an invitation to type.
    pub prompts: u32,
    /// Answers that look like what a shell prints.
    pub shell_output: u32,
    /// Bursts that look like what one types into a shell.
    pub commands: u32,
    /// Bursts in base64 that look like a shell's once they are decoded, either way. Looked for
    /// where the near side was called.
    pub encoded: u32,
    /// Bursts that take leave.
    pub goodbyes: u32,
}

/// What one side's words look like, for those who judge a side that was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Looks {
    /// Turns that a grammar does not explain.
    pub turns: u32,
    pub outputs: u32,
    pub commands: u32,
    pub prompts: u32,
    pub echoes: u32,
    pub encoded: u32,
}

impl Looks {
    pub(super) const fn of(signs: &Signs) -> Self {
        Self {
            turns: signs.turns.saturating_sub(signs.hidden),
            outputs: signs.shell_output,
            commands: signs.commands,
            prompts: signs.prompts,
            echoes: signs.echoes,
            encoded: signs.encoded,
        }
    }
}
