//! How a burst ends, and whether it begins with what the other side has just said: prompts and
//! echoes, by which terminals are known.

use observation::Tail;

/// The longest unfinished line that can be a prompt, with its escape sequences.
pub(super) const PROMPT_END_BYTES_MAX: usize = 96;
/// The longest prompt without them.
const PROMPT_BYTES_MAX: usize = 64;
/// What of a burst has to come back to be an echo.
const ECHO_BYTES_MAX: usize = 96;
const ESCAPE: u8 = 0x1b;

/// What a burst said, for comparison with what comes back: its first byte, its length and its hash,
/// with every line end taken for one and NULs left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    hash: u32,
    len: u16,
    first: u8,
}

impl Said {
    /// Nothing, which nobody can repeat.
    pub(crate) const NOTHING: Self = Self { hash: 0, len: 0, first: 0 };

    /// What the other side may echo.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self::upto(bytes, ECHO_BYTES_MAX).unwrap_or(Self::NOTHING)
    }

    pub(super) fn is_repeated_by(self, bytes: &[u8]) -> bool {
        self.len > 0
            && plain(bytes).next() == Some(self.first)
            && Self::upto(bytes, self.len.into()) == Some(self)
    }

    fn upto(bytes: &[u8], len_max: usize) -> Option<Self> {
        let first = plain(bytes).next()?;
        let mut said = Self { hash: 0x811c_9dc5, len: 0, first };
        for byte in plain(bytes).take(len_max) {
            // FNV-1a.
            said.hash = (said.hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
            said.len += 1;
        }
        Some(said)
    }
}

/// The bytes with every line end taken for one LF and NULs left out.
fn plain(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let mut after_return = false;
    bytes.iter().filter(|&&byte| byte != 0).filter_map(move |&byte| {
        let second_half = after_return && byte == b'\n';
        after_return = byte == b'\r';
        if second_half { None } else { Some(if byte == b'\r' { b'\n' } else { byte }) }
    })
}

/// How text ends, escape sequences and NUL padding aside.
pub(super) fn tail(end: &[u8]) -> Tail {
    // Most of what passes ends like no prompt, and has no escape sequences that hide its end.
    match end.iter().rev().find(|&&byte| byte != 0) {
        Some(b'\n' | b'\r') => return Tail::LineEnd,
        Some(b' ' | b'>' | b'#' | b'$') => {}
        _ if !end.contains(&ESCAPE) => return Tail::Open,
        _ => {}
    }
    let mut line = [0u8; PROMPT_END_BYTES_MAX];
    let mut len = 0;
    let mut rest = end.iter().copied().filter(|&byte| byte != 0);
    while let Some(byte) = rest.next() {
        if byte == ESCAPE {
            // A control sequence ends with a letter; others are one more byte.
            if rest.next() == Some(b'[') {
                rest.by_ref().find(u8::is_ascii_alphabetic);
            }
            continue;
        }
        if let Some(place) = line.get_mut(len) {
            *place = byte;
            len += 1;
        }
    }
    let line = line.get(..len).unwrap_or_default();
    let unfinished = match line.iter().rposition(|&byte| byte == b'\n' || byte == b'\r') {
        Some(place) if place + 1 == line.len() => return Tail::LineEnd,
        Some(place) => line.get(place + 1..).unwrap_or_default(),
        // Its beginning is out of sight: too long.
        None if end.len() == PROMPT_END_BYTES_MAX => return Tail::Open,
        None => line,
    };
    if is_prompt(unfinished) { Tail::Prompt } else { Tail::Open }
}

/// `# `, `$ `, `> `, `% `, `: `, `? `, `) `, `] ` after a short printable line, or a bare `>`, `#`
/// or `$`, which some programs leave without a space.
fn is_prompt(line: &[u8]) -> bool {
    if line.len() > PROMPT_BYTES_MAX || line.iter().any(|byte| byte.is_ascii_control()) {
        return false;
    }
    match *line {
        [.., mark, b' '] => b"#$>%:?)]".contains(&mark),
        [.., mark] => b">#$".contains(&mark),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_invite_to_type() {
        let prompts: [&[u8]; 8] = [
            b"uid=0(root)\n/ # ",
            b"$ ",
            b"login: ",
            b"\r\nroot@5455d941:/# \x1b[6n",
            b"C:\\>",
            b"(Pdb) ",
            b"\x1b[32muser@host\x1b[0m:~$ \0\0",
            b"Password: ",
        ];
        for text in prompts {
            assert_eq!(tail(text), Tail::Prompt, "{text:?}");
        }
        for text in [&b"id; uname -a\n"[..], b"id\r\0", b"done\r\n\x1b[0m"] {
            assert_eq!(tail(text), Tail::LineEnd, "{text:?}");
        }
        let open: [&[u8]; 3] = [b"no newline", b"\x17\x03\x03\x00 ", &[b'x'; 96]];
        for text in open {
            assert_eq!(tail(text), Tail::Open, "{text:?}");
        }
    }

    #[test]
    fn a_terminal_repeats_what_was_typed() {
        let typed = Said::of(b"ls\n");
        for echoed in [&b"ls\r\nbin\r\n"[..], b"ls\n", b"ls\r\0\0"] {
            assert!(typed.is_repeated_by(echoed), "{echoed:?}");
        }
        for other in [&b"l"[..], b"bin\r\nls\n", b"", b"le\n"] {
            assert!(!typed.is_repeated_by(other), "{other:?}");
        }
        assert!(!Said::of(b"").is_repeated_by(b""));
    }
}
