//! What shells print and what one types into them. A sign beside others: base64 hides it.

/// Bytes of a burst that are looked at.
const LOOK_BYTES_MAX: usize = 256;

/// Output that hardly anything but a Unix shell session prints: each needs all of its parts.
const OUTPUT: &[&[&str]] = &[
    &["uid=", "gid="],
    &["root:x:0:0:"],
    &["Linux ", " GNU/Linux"],
    &["Linux ", "x86_64"],
    &["Linux ", "aarch64"],
    &["total ", "drwx"],
    &["-rw-r--r--"],
    &["-rwxr-xr-x"],
    &["drwxr-xr-x"],
    &[": command not found"],
    &["sh: ", "not found"],
    &["No such file or directory"],
    &["bin", "etc", "proc"],
    &["PID", "CMD"],
    &["PID", "COMMAND"],
    &["inet ", "netmask"],
    &["inet ", "scope"],
    &["PATH=/", "HOME=/"],
];

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
    OUTPUT.iter().any(|parts| parts.iter().all(|part| contains(look, part.as_bytes())))
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
    fn commands_by_their_first_word() {
        assert!(is_command(b"id; uname -a\n"));
        assert!(is_command(b"\0i\0d\0\n"));
        assert!(!is_command(b"identify yourself\n"));
        assert!(!is_command(b"220 mail ESMTP\r\n"));
        assert!(!is_command(b""));
    }
}
