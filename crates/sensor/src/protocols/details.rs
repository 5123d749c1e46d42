//! What a flow says in clear and detection asks for: each value once, and a bounded number of them.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use observation::{DetailKind, Side};

use super::Heard;
use super::follow::Context;
use super::words::{is_one_of, word};

/// Hashes of what was told.
#[derive(Debug, Default)]
pub(super) struct Details(Vec<u32>);

impl Context<'_> {
    /// Tells a detail, unless the flow has told it, or enough others, before.
    pub(super) fn detail(
        &mut self,
        protocol: &'static str,
        kind: DetailKind,
        side: Side,
        value: &[u8],
    ) {
        let told = &mut self.details.0;
        let hash = value.iter().fold(0x811c_9dc5 ^ kind as u32, |hash, byte| step(hash, *byte));
        if told.len() >= DETAIL_COUNT_MAX || value.is_empty() || told.contains(&hash) {
            return;
        }
        told.push(hash);
        let value = shown(value);
        (self.heard)(Heard::Detail { protocol, kind, side, value: &value });
    }
}

impl Context<'_> {
    /// Tells a client's command: its word, and with it an address, a name or a path, never a
    /// password.
    pub(super) fn command(&mut self, protocol: &'static str, line: &[u8]) {
        let verb = word(line);
        let told = if is_one_of(verb, TELLING) { line.trim_ascii_end() } else { verb };
        self.detail(protocol, DetailKind::Command, Side::Originator, told);
    }
}

/// FNV-1a.
const fn step(hash: u32, byte: u8) -> u32 {
    (hash ^ byte as u32).wrapping_mul(0x0100_0193)
}

/// At most `VALUE_BYTES_MAX` bytes, what is no printable ASCII escaped.
pub(super) fn shown(value: &[u8]) -> String {
    let mut shown = String::new();
    for byte in value {
        if shown.len() + ESCAPE_BYTES > VALUE_BYTES_MAX {
            break;
        }
        match byte {
            b' '..=b'[' | b']'..=b'~' => shown.push(char::from(*byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\x{byte:02x}");
            }
        }
    }
    shown
}

/// Commands of SMTP and FTP whose parameters are told too.
const TELLING: &[&[u8]] = &[
    b"HELO", b"EHLO", b"LHLO", b"MAIL", b"RCPT", b"USER", b"RETR", b"STOR", b"APPE", b"DELE",
    b"CWD", b"SITE",
];
const DETAIL_COUNT_MAX: usize = 64;
const VALUE_BYTES_MAX: usize = 256;
const ESCAPE_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_cannot_be_printed_is_escaped_and_what_is_long_is_cut() {
        assert_eq!(shown(b"a b\x1b[0m\\"), "a b\\x1b[0m\\x5c");
        assert_eq!(shown(&[0; 4096]).len(), 256);
    }
}
