//! Python's debugger over TCP (rpdb and its like), by its prompt: the Python library reference,
//! pdb.
//!
//! The *responder* is debugged and prompts, the originator types. A container that prompts to the
//! far end that it connected to is no debugger, whatever its prompt says.

use alloc::vec::Vec;

use observation::Side;

use super::follow::{Context, Follow, Follower, Step};
use super::registry::{FirstBytes, Protocol, Transports};
use super::words::{Fit, first_line, first_word, is_text, line_word, literal, word};
use super::{Heads, Verdict};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "pdb",
    first_bytes: FirstBytes::of(b">(-"),
    transports: Transports::Tcp,
    probe,
    follow: Some(|| Follower::Pdb(Session::default())),
};

fn probe(heads: Heads<'_>) -> Verdict {
    if heads.first == Some(Side::Originator) {
        return Verdict::Never;
    }
    match (types(heads.opener), prompts(heads.answerer)) {
        (Fit::No, _) | (_, Fit::No) => Verdict::Never,
        (Fit::Yes, Fit::Yes) => Verdict::Confirmed,
        (Fit::Could, Fit::Yes) => Verdict::Proposed(Side::Responder),
        _ => Verdict::Unsure,
    }
}

fn types(head: &[u8]) -> Fit {
    match (first_word(head, COMMANDS), first_line(head)) {
        (Fit::Yes, Some(_)) => Fit::Yes,
        (Fit::Yes, None) => Fit::Could,
        (fit, _) => fit,
    }
}

/// `> file(line)function()`, then a prompt.
fn prompts(head: &[u8]) -> Fit {
    let Some(line) = first_line(head) else {
        return if literal(head, b"> ").or(literal(head, b"--")).possible() {
            Fit::Could
        } else {
            Fit::No
        };
    };
    let place = line.strip_prefix(b"> ").unwrap_or_default();
    let opens = place.iter().position(|byte| *byte == b'(');
    let closes = place.iter().position(|byte| *byte == b')');
    let numbered = opens.zip(closes).and_then(|(opens, closes)| place.get(opens + 1..closes));
    let fits = numbered
        .is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
        || line == b"--Return--"
        || line == b"--Call--";
    match (fits, has_prompt(head)) {
        (true, true) => Fit::Yes,
        (true, false) if head.len() < PLACE_BYTES_MAX => Fit::Could,
        _ => Fit::No,
    }
}

fn has_prompt(head: &[u8]) -> bool {
    PROMPTS.iter().any(|prompt| head.windows(prompt.len()).any(|part| part == *prompt))
}

/// Whose turn it is, and the line that is being typed.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// The last bytes that the debugger sent.
    tail: Vec<u8>,
    typed: Vec<u8>,
    typed_lines: u32,
}

impl Follow for Session {
    fn feed(&mut self, side: Side, bytes: &[u8], _: &mut Context<'_>) -> Step {
        match side {
            Side::Responder => {
                self.typed_lines = 0;
                let from = bytes.len().saturating_sub(PROMPT_BYTES_MAX);
                self.tail.extend_from_slice(bytes.get(from..).unwrap_or_default());
                let excess = self.tail.len().saturating_sub(PROMPT_BYTES_MAX);
                self.tail.drain(..excess);
                // What a program prints has no grammar.
                Step::Unchecked
            }
            Side::Originator => self.typed(bytes),
        }
    }

    fn held(&self) -> usize {
        self.tail.capacity() + self.typed.capacity()
    }

    fn gap(&mut self, side: Side) {
        match side {
            Side::Originator => self.typed.clear(),
            Side::Responder => self.tail.clear(),
        }
    }
}

impl Session {
    fn typed(&mut self, bytes: &[u8]) -> Step {
        let prompted = PROMPTS.iter().any(|prompt| self.tail.ends_with(prompt));
        let mut step = Step::Obeys;
        for byte in bytes {
            // One line for each prompt: output that runs over several lines is not typed.
            if !prompted || self.typed_lines > 0 || self.typed.len() > TYPED_BYTES_MAX {
                return Step::Left;
            }
            if *byte != b'\n' {
                self.typed.push(*byte);
                continue;
            }
            let line = core::mem::take(&mut self.typed);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            self.typed_lines += 1;
            if !is_text(line) {
                return Step::Left;
            }
            // An empty line repeats the last command; any other may be Python, of which we know
            // nothing.
            if !line.is_empty() && line_word(word(line), COMMANDS) != Fit::Yes {
                step = Step::Unchecked;
            }
        }
        step
    }
}

const PROMPTS: &[&[u8]] = &[b"(Pdb) ", b"(Pdb++) ", b"ipdb> "];
const PROMPT_BYTES_MAX: usize = 8;
const PLACE_BYTES_MAX: usize = 1024;
const TYPED_BYTES_MAX: usize = 256;
const COMMANDS: &[&[u8]] = &[
    b"n",
    b"next",
    b"s",
    b"step",
    b"c",
    b"cont",
    b"continue",
    b"b",
    b"break",
    b"tbreak",
    b"cl",
    b"clear",
    b"p",
    b"pp",
    b"l",
    b"list",
    b"ll",
    b"longlist",
    b"w",
    b"where",
    b"bt",
    b"u",
    b"up",
    b"d",
    b"down",
    b"h",
    b"help",
    b"q",
    b"quit",
    b"exit",
    b"r",
    b"return",
    b"a",
    b"args",
    b"j",
    b"jump",
    b"unt",
    b"until",
    b"whatis",
    b"source",
    b"display",
    b"undisplay",
    b"interact",
    b"commands",
    b"condition",
    b"ignore",
    b"enable",
    b"disable",
    b"alias",
    b"unalias",
    b"retval",
    b"rv",
    b"run",
    b"restart",
    b"debug",
    b"!",
];

#[cfg(test)]
mod tests {
    use crate::protocols::story::{Story, client, server};

    #[test]
    fn a_debugger_that_prompts_is_pdb() {
        let story = Story::of(&[
            server(b"> /app/a.py(3)<module>()\n-> run()\n(Pdb) "),
            client(b"n\n"),
            server(b"> /app/a.py(4)<module>()\n-> x = 1\n(Pdb) "),
            client(b"p x\n"),
            server(b"1\n(Pdb) "),
        ]);
        story.is_confirmed("pdb");
        assert_eq!(story.left, None);
    }

    #[test]
    fn pdb_cut_short_is_unsure() {
        assert!(Story::of(&[server(b"> /app/a.py(3)<module>()\n-> r")]).names.is_empty());
    }

    #[test]
    fn who_connects_and_prompts_is_no_debugger() {
        let prompt = client(b"> /app/a.py(3)<module>()\n-> run()\n(Pdb) ");
        assert!(Story::of(&[prompt, server(b"n\n")]).names.is_empty());
    }

    #[test]
    fn output_of_several_lines_is_not_typed() {
        let story = Story::of(&[
            server(b"> /app/a.py(3)<module>()\n-> run()\n(Pdb) "),
            client(b"total 0\ndrwxr-xr-x 2 root\n"),
        ]);
        story.is_only_proposed("pdb");
        story.is_left_by_client();
    }
}
