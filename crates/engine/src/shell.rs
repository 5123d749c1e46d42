//! What shells print and what one types into them. A sign beside others: base64 hides it.

/// Bytes of a burst that are looked at.
const LOOK_BYTES_MAX: usize = 256;

/// Output that hardly anything but a Unix shell session prints: each needs all of its parts.
static OUTPUT: &[Output] = &[
    Output::of(&["uid=", "gid="]),
    Output::of(&["root:x:0:0:"]),
    Output::of(&["Linux ", " GNU/Linux"]),
    Output::of(&["Linux ", "x86_64"]),
    Output::of(&["Linux ", "aarch64"]),
    Output::of(&["total ", "drwx"]),
    Output::of(&["-rw-r--r--"]),
    Output::of(&["-rwxr-xr-x"]),
    Output::of(&["drwxr-xr-x"]),
    Output::of(&[": command not found"]),
    Output::of(&["sh: ", "not found"]),
    Output::of(&["No such file or directory"]),
    Output::of(&["bin", "etc", "proc"]),
    Output::of(&["PID", "CMD"]),
    Output::of(&["PID", "COMMAND"]),
    Output::of(&["inet ", "netmask"]),
    Output::of(&["inet ", "scope"]),
    Output::of(&["PATH=/", "HOME=/"]),
];

/// Words that all have to be there.
struct Output {
    words: &'static [&'static str],
    /// Every character that occurs in them, a bit each: most bursts lack one.
    letters: u128,
}

impl Output {
    const fn of(words: &'static [&'static str]) -> Self {
        let mut letters = 0;
        let mut rest = words;
        while let [word, others @ ..] = rest {
            letters |= letters_of(word.as_bytes());
            rest = others;
        }
        Self { words, letters }
    }

    fn is_in(&self, bytes: &[u8], letters: u128) -> bool {
        letters & self.letters == self.letters
            && self.words.iter().all(|word| contains(bytes, word.as_bytes()))
    }
}

const fn letters_of(bytes: &[u8]) -> u128 {
    let mut letters = 0;
    let mut rest = bytes;
    while let [byte, others @ ..] = rest {
        if byte.is_ascii() {
            letters |= 1 << *byte;
        }
        rest = others;
    }
    letters
}

/// Words in plain text are base64 too: what they decode to is no command, unless it is this short.
const ENCODED_BYTES_MIN: usize = 2;

/// First words of commands that operators type to look around, fetch and stay.
const COMMANDS: &[&str] = &[
    "bash", "cat", "cd", "chmod", "crontab", "curl", "df", "echo", "env", "exit", "export", "find",
    "grep", "hostname", "id", "ifconfig", "ip", "kill", "ls", "mkdir", "mount", "netstat", "nohup",
    "nproc", "ps", "pwd", "python", "python3", "rm", "sh", "ss", "sudo", "tar", "touch", "uname",
    "uptime", "w", "wget", "which", "who", "whoami",
];

/// Whether this looks like what a shell prints.
pub(crate) fn is_output(bytes: &[u8]) -> bool {
    let look = bytes.get(..LOOK_BYTES_MAX).unwrap_or(bytes);
    let letters = letters_of(look);
    OUTPUT.iter().any(|output| output.is_in(look, letters))
}

/// Whether its first line looks like a command typed into a shell.
pub(crate) fn is_command(bytes: &[u8]) -> bool {
    let look = bytes.get(..LOOK_BYTES_MAX).unwrap_or(bytes);
    // Padding with NUL bytes does not hide a word.
    let mut word = [0_u8; 16];
    let mut length = 0;
    for byte in look.iter().copied().filter(|byte| *byte != 0) {
        if !byte.is_ascii_alphanumeric() {
            break;
        }
        let Some(place) = word.get_mut(length) else { return false };
        *place = byte;
        length += 1;
    }
    let word = word.get(..length).unwrap_or_default();
    COMMANDS.iter().any(|command| command.as_bytes() == word)
}

/// Whether this is base64 (RFC 4648) that looks like a command or like what a shell prints once it
/// is decoded.
pub(crate) fn is_encoded(bytes: &[u8]) -> bool {
    let mut decoded = [0_u8; LOOK_BYTES_MAX];
    let look = bytes.get(..LOOK_BYTES_MAX).unwrap_or(bytes);
    let decoded = decode(look, &mut decoded);
    decoded.is_some_and(|text| is_output(text) || is_command(text))
}

/// Decodes base64, also in several lines; `None` where it is anything else, or hardly anything.
fn decode<'a>(bytes: &[u8], out: &'a mut [u8]) -> Option<&'a [u8]> {
    let (mut bits, mut bit_count, mut length) = (0_u32, 0, 0);
    for byte in bytes {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' | b'\r' | b'\n' | 0 => continue,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        bit_count += 6;
        if bit_count >= 8 {
            bit_count -= 8;
            let byte = bits.checked_shr(bit_count)? & 255;
            *out.get_mut(length)? = u8::try_from(byte).ok()?;
            length += 1;
        }
    }
    let text = out.get(..length)?;
    let is_text = text.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'));
    (is_text && length >= ENCODED_BYTES_MIN).then_some(text)
}

/// Compares only where the first byte fits: this is asked of every burst that no grammar explains.
fn contains(bytes: &[u8], part: &[u8]) -> bool {
    let Some((first, others)) = part.split_first() else { return true };
    let mut look = bytes;
    while let Some(place) = look.iter().position(|byte| byte == first) {
        look = look.get(place + 1..).unwrap_or_default();
        if look.starts_with(others) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_prints() {
        assert!(is_output(b"uid=0(root) gid=0(root) groups=0(root)\n"));
        assert!(is_output(b"total 8\ndrwxr-xr-x 2 root root 4096 bin\n"));
        assert!(is_output(b"sh: foo: not found\n"));
    }

    #[test]
    fn what_a_service_prints_is_not_a_shell() {
        assert!(!is_output(b"250 2.1.0 Ok\r\n"));
        assert!(!is_output(b"{\"total\": 12, \"items\": []}\n"));
        assert!(!is_output(b""));
    }

    #[test]
    fn a_shell_behind_base64() {
        assert!(is_encoded(b"aWQ7IHVuYW1lIC1hCg==\n"), "id; uname -a");
        assert!(is_encoded(b"aWQ\n"), "id, unpadded");
        let output = b"dWlkPTAocm9vdCkgZ2lkPTAocm9vdCkgZ3JvdXBzPTAocm9vdCkK\n";
        assert!(is_encoded(output));
        for other in [&b"id; uname -a\n"[..], b"GET_ITEM 5\n", b"OK\n", b"", b"YXBwbGU=\n", b"w\n"]
        {
            assert!(!is_encoded(other), "{other:?}");
        }
    }

    #[test]
    fn commands_by_their_first_word() {
        assert!(is_command(b"id; uname -a\n"));
        assert!(is_command(b"\0i\0d\0\n"));
        assert!(!is_command(b"identify yourself\n"));
        assert!(!is_command(b"220 mail ESMTP\r\n"));
        assert!(!is_command(b""));
    }
}
