//! Everything that an attacker can write, made harmless to look at and to copy.
//!
//! For people, only printable ASCII passes: a terminal obeys control characters, a bidirectional
//! mark reorders the line around it, and a Cyrillic letter passes for a Latin one.

use std::borrow::Cow;
use std::fmt::Write;
use std::net::IpAddr;

use observation::Endpoint;

/// How much of one value is shown; the rest is in the JSON forms.
const VALUE_CHARS_MAX: usize = 240;

/// Text on one line for people: control characters and everything outside ASCII as escapes.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(VALUE_CHARS_MAX) + 8);
    for (index, character) in text.chars().enumerate() {
        if index == VALUE_CHARS_MAX {
            out.push_str("...");
            break;
        }
        push_escaped(&mut out, character);
    }
    out
}

/// Text on one line for people, as long as it is: for our own messages that quote names.
pub(crate) fn escaped_whole(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    text.chars().for_each(|character| push_escaped(&mut out, character));
    out
}

fn push_escaped(out: &mut String, character: char) {
    match character {
        '\\' => out.push_str("\\\\"),
        ' '..='~' => out.push(character),
        // The derived escapes: \n, \r, \t, and \u{…} for the rest.
        _ => out.extend(character.escape_default()),
    }
}

/// Raw payload in double quotes: printable ASCII as it is, the rest as `\n`, `\x1b` …
pub(crate) fn escaped_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for &byte in bytes {
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(byte)),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push('"');
    out
}

/// A name that nobody can click or paste by accident: `c2[.]example[.]com`.
pub(crate) fn defanged(name: &str) -> String {
    escaped(name).replace('.', "[.]")
}

/// An address that nobody can click or paste by accident: `198[.]51[.]100[.]10`, `2001[:]db8[:]…`.
pub(crate) fn defanged_address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string().replace('.', "[.]"),
        IpAddr::V6(address) => address.to_string().replace(':', "[:]"),
    }
}

/// An address and its port.
pub(crate) fn defanged_endpoint(endpoint: Endpoint) -> String {
    let address = defanged_address(endpoint.address);
    match endpoint.address {
        IpAddr::V4(_) => format!("{address}:{}", endpoint.port),
        IpAddr::V6(_) => format!("({address}):{}", endpoint.port),
    }
}

/// One word of a command line that a person will copy into a shell.
/// A word that no shell can be given safely (a NUL, a control character, anything outside ASCII)
/// becomes a placeholder.
pub(crate) fn shell_word(word: &str) -> Cow<'_, str> {
    if !word.chars().all(|character| matches!(character, ' '..='~')) {
        return Cow::Borrowed("'<unprintable>'");
    }
    shlex::try_quote(word).unwrap_or(Cow::Borrowed("'<unprintable>'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_nothing_to_obey() {
        assert_eq!(escaped("a\x1b[2Jb\r\n\u{202e}c"), "a\\u{1b}[2Jb\\r\\n\\u{202e}c");
        assert_eq!(escaped("plain-name_1"), "plain-name_1");
    }

    #[test]
    fn an_escape_cannot_be_forged_by_writing_one() {
        assert_ne!(escaped("a\\n"), escaped("a\n"));
        assert_ne!(escaped_bytes(b"\\x1b"), escaped_bytes(b"\x1b"));
    }

    #[test]
    fn a_look_alike_shows_its_number() {
        assert_eq!(escaped("ex\u{430}mple.com"), "ex\\u{430}mple.com");
    }

    #[test]
    fn a_long_value_ends_and_says_so() {
        let shown = escaped(&"x".repeat(1000));
        assert_eq!(shown.len(), VALUE_CHARS_MAX + 3);
        assert!(shown.ends_with("..."));
    }

    #[test]
    fn payload_keeps_its_quotes_inside() {
        assert_eq!(escaped_bytes(b"id; \"x\"\n\x00\xff"), r#""id; \"x\"\n\x00\xff""#);
    }

    #[test]
    fn addresses_and_names_are_defanged() {
        assert_eq!(defanged("c2.example.com"), "c2[.]example[.]com");
        assert_eq!(defanged_address("198.51.100.10".parse().unwrap()), "198[.]51[.]100[.]10");
        assert_eq!(defanged_address("2001:db8::1".parse().unwrap()), "2001[:]db8[:][:]1");
    }

    #[test]
    fn a_word_for_the_shell_stays_one_word() {
        assert_eq!(shell_word("/var/lib/x"), "/var/lib/x");
        assert_eq!(shell_word("a; rm -rf ~"), "'a; rm -rf ~'");
        assert_eq!(shell_word("a\nb"), "'<unprintable>'");
    }
}
